"""`[defaults]`: what feeds have that do not say otherwise."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import ConfigError
from actors.protocol.limits import FrameLimit
from actors.settings import FeedSettings, Settings, load, load_feed
from actors.settings.diff import compare
from actors.settings.feed_keys import FEED_KEYS, TABLES

CANARY = "canary-a7e0"
MARKET = "0x" + "ab" * 32


def read(defaults: dict[str, Any], **feeds: dict[str, Any]) -> Settings:
    return load({"defaults": defaults, "feeds": feeds}, {"TEXT": "deflate"})


def mistakes(defaults: dict[str, Any], **feeds: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(defaults, **feeds)
    return [problem.removeprefix("<config>: ") for problem in caught.value.problems]


O2 = {"venue": "o2"}
ALPACA = {"venue": "alpaca", "key": "k", "secret": "s"}
PX = {"venue": "projectx", "user_name": "u", "api_key": "k"}


def test_a_feed_takes_what_it_does_not_say() -> None:
    settings = read(
        {
            "compression": "${TEXT}",
            "connect_timeout": 3.0,
            "subscribe": [{"channel": "trades", "keys": [MARKET]}],
            "restart": {"maximum": 9.0, "initial": 2.0},
            "send_rate": {"frames": ["5/s"]},
        },
        a=O2,
        b=O2 | {"connect_timeout": 7.0, "restart": {"initial": 1.0}, "subscribe": []},
    )
    a, b = settings.feeds["a"], settings.feeds["b"]
    assert (a.compression, a.connect_timeout, b.connect_timeout) == ("deflate", 3.0, 7.0)
    assert ((a.restart.initial, a.restart.maximum), (b.restart.initial, b.restart.maximum)) == (
        (2.0, 9.0),
        (1.0, 9.0),
    )
    assert (len(a.subscribe), len(b.subscribe)) == (1, 0)
    assert a.send_rate is not None
    assert a.send_rate.frames == (FrameLimit.parse("5/s"),)
    assert a.send_rate.batch == a.kind.send_rate.batch  # the rest is the venue's own


def test_defaults_of_a_venue_come_before_those_of_every_feed() -> None:
    settings = read(
        {
            "venue": "alpaca",
            "connect_timeout": 3.0,
            "health": {"poor_for": 9.0, "hold_off": 9.0},
            "alpaca": {"stream": "sip", "connect_timeout": 4.0, "health": {"poor_for": 8.0}},
            "projectx": {"accounts": [4242]},
        },
        a={"key": "k", "secret": "s"},
        b=ALPACA | {"stream": "crypto", "health": {"poor_for": 7.0}},
        o2=O2,
        px=PX,
    )
    own: Any = settings.feeds["a"].own
    other: Any = settings.feeds["b"].own
    assert (own.stream, other.stream) == ("sip", "crypto")
    assert [feed.connect_timeout for feed in settings.feeds.values()] == [4.0, 4.0, 3.0, 3.0]
    assert [feed.health.poor_for for feed in settings.feeds.values()] == [8.0, 7.0, 9.0, 9.0]
    assert [feed.accounts for feed in settings.feeds.values()] == [(), (), (), (4242,)]


# ── a default equals the same key in each feed ──────────────────────────────────────────────────

SECONDS = [0.5, 1.0, 5.0, 30.0]
BYTES = [100_000, 200_000]
VALUES: dict[str, list[Any]] = {
    "connect_timeout": SECONDS,
    "proxy": ["none", "env", "http://user:pass@host:1"],
    "compression": ["none", "deflate"],
    "ack_timeout": SECONDS,
    "block_timeout": SECONDS,
    "backfill": [True, False],
    "backfill_hold": [1.0, 2.0],
    "rotate_every": [0.0, 600.0],
    "price_sources": [[], ["stream", "rest"]],
    "send_buffer": BYTES,
    "max_message": BYTES,
    "dry_run": [True, False],
    "align": ["refuse", "safe"],
    "order_deadline": SECONDS,
    "on_blind": ["none", "halt"],
    "on_blind_after": SECONDS,
    "env_login": [True, False],
}
INSIDE: dict[str, dict[str, list[Any]]] = {
    "restart": {"initial": [0.5, 40.0], "maximum": [60.0, 90.0], "period": SECONDS},
    "heartbeat": {"ping_interval": SECONDS, "pong_timeout": SECONDS},
    "health": {"poor_for": SECONDS, "hold_off": SECONDS, "rtt_ceiling": SECONDS},
    "send_rate": {"batch": [1, 9], "frames": [["5/s"], ["1/s", "9/min"]]},
    "connect_rate": {"burst": [1, 9], "interval": SECONDS},
    "dead_mans_switch": {"after": [2.0, 9.0], "action": ["halt", "halt+cancel"]},
}
VENUES = {"o2": O2, "alpaca": ALPACA, "projectx": PX}


def test_every_key_of_a_feed_is_drawn() -> None:
    by_hand = {"venue", "subscribe", "limits", "accounts", "trading", "ca_file", "verify_tls"}
    assert VALUES.keys() | INSIDE.keys() == FEED_KEYS - by_hand
    assert INSIDE.keys() == TABLES.keys()


def chosen(values: dict[str, list[Any]], random: Random) -> dict[str, Any]:
    return {key: random.choice(each) for key, each in values.items() if random.random() < 0.3}


def table(random: Random) -> dict[str, Any]:
    inside = {key: chosen(each, random) for key, each in INSIDE.items() if random.random() < 0.3}
    return chosen(VALUES, random) | inside


def under(feed: dict[str, Any], level: dict[str, Any]) -> dict[str, Any]:
    """What stands in a config where each feed has all the keys itself."""
    merged = {
        key: {**value, **feed.get(key, {})} if key in INSIDE else feed.get(key, value)
        for key, value in level.items()
        if key != "dead_mans_switch" or "after" in value or key in feed
    }
    return feed | merged


@given(st.integers(0, 2**32))
def test_a_default_equals_the_same_key_in_each_feed(seed: int) -> None:
    random = Random(seed)  # drawing each value takes hypothesis longer than reading the config
    common = table(random)
    of_venues = {name: table(random) for name in VENUES}
    feeds = {name: own | table(random) for name, own in VENUES.items()}
    written = {name: under(under(feed, of_venues[name]), common) for name, feed in feeds.items()}

    def outcome(defaults: dict[str, Any], feeds: dict[str, Any]) -> object:
        try:
            return load({"defaults": defaults, "feeds": feeds}, {}).feeds
        except ConfigError as error:  # a default is named by its own place
            return len(error.problems) > 0

    assert outcome(common | of_venues, feeds) == outcome({}, written)


# ── mistakes ────────────────────────────────────────────────────────────────────────────────────

TRADING = "it cannot be a default: a feed whose orders may leave says so itself."
LIMITS = "they cannot be a default: a feed that trades names its own limits."
LOGIN = "a login cannot be a default: it stands in the feed that uses it."


@pytest.mark.parametrize(
    ("defaults", "problem"),
    [
        ({"trading": True}, f"[defaults] trading: {TRADING}"),
        ({"trading": False}, f"[defaults] trading: {TRADING}"),
        ({"projectx": {"trading": True}}, f"[defaults.projectx] trading: {TRADING}"),
        ({"limits": {"max_size": 1}}, f"[defaults] limits: {LIMITS}"),
        ({"projectx": {"limits": {}}}, f"[defaults.projectx] limits: {LIMITS}"),
        ({"alpaca": {"key": CANARY}}, f"[defaults.alpaca] key: {LOGIN}"),
        ({"alpaca": {"secret": "${NOT_SET}"}}, f"[defaults.alpaca] secret: {LOGIN}"),
        ({"projectx": {"user_name": CANARY}}, f"[defaults.projectx] user_name: {LOGIN}"),
        ({"tplus": {"keystore": CANARY}}, f"[defaults.tplus] keystore: {LOGIN}"),
        ({"api_key": CANARY}, f"[defaults] api_key: {LOGIN}"),
        (
            {"o2": {"venue": "o2"}},
            "[defaults.o2] venue: it has no place here: these are the defaults of venue o2.",
        ),
        ({"o2": 3}, "[defaults.o2]: expected a table, found 3."),
        ({"restart": 3}, "[defaults.restart]: expected a table, found 3."),
        (
            {"stream": "sip"},
            "[defaults] stream: there is no such key; it is one of a venue, and "
            "belongs in [defaults.alpaca].",
        ),
        ({"compresion": "none"}, "[defaults] compresion: there is no such key; did you mean 'compression'?"),
        ({"alpaka": {}}, "[defaults] alpaka: there is no such key; did you mean 'alpaca'?"),
        (
            {"connect_timeout": -1},
            "[defaults] connect_timeout: expected seconds, more than 0 and at most a year, found -1.",
        ),
        (
            {"compression": "${NOT_SET}"},
            "[defaults] compression: the environment variable NOT_SET is not set.",
        ),
        (
            {"accounts": ["x"]},
            "[defaults] accounts: expected a list of numbers, such as [4242, 4243], "
            "found a list that contains text.",
        ),
        (
            {"subscribe": 3},
            '[defaults] subscribe: expected a list of tables such as { channel = "…" }, found 3.',
        ),
    ],
)
def test_a_mistake_is_named_once_and_by_its_place(defaults: dict[str, Any], problem: str) -> None:
    assert mistakes(defaults) == [problem]
    assert mistakes(defaults, a=O2, b=O2, c=ALPACA, d=PX) == [problem]


def test_a_mistake_that_shows_in_a_feed_is_named_by_the_default() -> None:
    told = mistakes(
        {
            "proxy": "ftp://x",
            "o2": {"subscribe": [{"channel": "trade"}, {"channel": "trades"}]},
            "alpaca": {"calendar": "us", "url": "http://x"},
            "accounts": [1],
        },
        a=O2,
        b=O2,
        c=ALPACA | {"proxy": "none"},
    )
    assert told == [
        "[defaults.alpaca] calendar: there is no such key; it belongs in an entry of subscribe.",
        '[defaults] proxy: expected "none", "env" or a URL that starts with one of: http://, socks4://, '
        "socks4a://, socks5://, socks5h://.",
        "[defaults.o2] subscribe entry 1 channel: venue o2 has no channel 'trade'; did you mean 'trades'?",
        "[defaults.o2] subscribe entry 2 keys: channel trades wants at least one key (market id, 0x…, or "
        "name, FUEL/USDC).",
        "[defaults] accounts: venue o2 has no accounts that can be followed.",
        "[defaults.alpaca] url: expected a URL that starts with wss://, ws:// or sim://; did you mean ws://?",
    ]


def test_a_feeds_own_key_is_named_where_it_contradicts_a_default() -> None:
    relation = "expected maximum to be initial or more; initial is 60 s, maximum 30 s."
    assert mistakes({"restart": {"maximum": 30.0}}, a=O2 | {"restart": {"initial": 60.0}}) == [
        f"[feeds.a.restart] initial: {relation}"
    ]
    contradiction = {"o2": {"restart": {"initial": 60.0, "maximum": 30.0}}}
    assert mistakes(contradiction, a=O2, b=O2) == [f"[defaults.o2.restart] maximum: {relation}"]
    halves = {"restart": {"initial": 60.0}, "o2": {"restart": {"maximum": 90.0}}}
    assert read(halves, a=O2).feeds["a"].restart.maximum == 90.0


def test_a_default_that_means_nothing_to_a_feed_is_no_warning() -> None:
    defaults = {
        "dry_run": True,
        "on_blind": "halt",
        "backfill": True,
        "dead_mans_switch": {"action": "halt+cancel"},
        "health": {"rtt_ceiling": 1.0},
    }
    settings = read(defaults, a=O2 | {"heartbeat": {"ping_interval": 0.0}})
    assert settings.warnings == ()
    assert settings.feeds["a"].dead_mans_switch.after == 0.0


def test_a_switch_takes_what_it_does_not_say(tmp_path: Path) -> None:
    px = PX | {"trading": True, "limits": {"max_size": 1, "orders_per_minute": 1}}
    defaults = {"dead_mans_switch": {"action": "halt+cancel"}}
    feeds = {"a": px | {"dead_mans_switch": {"after": 9.0}}, "b": px}
    settings = load({"trading": {"dir": str(tmp_path)}, "defaults": defaults, "feeds": feeds}, {})
    switches = [feed.dead_mans_switch for feed in settings.feeds.values()]
    assert [(each.after, each.action) for each in switches] == [(9.0, "halt+cancel"), (0.0, "halt")]


def test_an_address_that_is_a_default_keeps_the_environment_out() -> None:
    environ = {"ALPACA_API_KEY": "k", "ALPACA_API_SECRET": "s"}
    feeds = {"a": {"venue": "alpaca"}}
    assert load({"feeds": feeds}, environ).feeds["a"].login_variables
    with pytest.raises(ConfigError, match="the feed has an address of its own"):
        load({"defaults": {"alpaca": {"url": "wss://elsewhere.example/v2/iex"}}, "feeds": feeds}, environ)


# ── later ───────────────────────────────────────────────────────────────────────────────────────


def test_a_feed_that_is_added_takes_the_defaults_of_the_config() -> None:
    settings = read({"compression": "deflate", "o2": {"connect_timeout": 2.0}})
    its = load_feed("a", O2, settings, {})
    assert (its.compression, its.connect_timeout) == ("deflate", 2.0)
    with pytest.raises(ConfigError, match=r"add_feed: \[feeds.a\] proxy: expected"):
        load_feed("a", O2 | {"proxy": 1}, settings, {})


def test_a_changed_default_changes_the_feeds_that_take_it() -> None:
    def texts(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
        feeds = {"a": O2, "b": O2 | {"compression": "none"}}
        return [change.text for change in compare(read(before, **feeds), read(after, **feeds)).changes]

    assert texts({}, {"compression": "deflate"}) == ["feed a is reconnected: compression changed"]
    assert texts({"health": {"poor_for": 3.0}}, {}) == [
        "feed a takes over health; sockets stay open",
        "feed b takes over health; sockets stay open",
    ]


def test_defaults_show_no_values() -> None:
    settings = read({"proxy": f"http://user:{CANARY}@host:1"}, a=O2)
    assert settings.feeds["a"].proxy.endswith("@host:1")
    assert CANARY not in repr(settings)
    assert isinstance(settings.feeds["a"], FeedSettings)
