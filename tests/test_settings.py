from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from rich.pretty import pretty_repr

import actors
from actors.errors import ConfigError, LinewardenError
from actors.events import Option, Topic
from actors.http_types import Endpoint
from actors.protocol import Opening
from actors.protocol.limits import FrameLimit, SendRate
from actors.protocol.session import Session
from actors.protocol.venue import Channel, Venue, VenueSettings
from actors.rules.calendar import Calendar, Closure, TradingHours
from actors.rules.line_policy import HeartbeatPolicy
from actors.rules.poor_health import HealthPolicy
from actors.rules.restarts import RestartPolicy
from actors.secret import Secret
from actors.settings import (
    FeedSettings,
    RuntimeSettings,
    ServiceSettings,
    Settings,
    WantedTopics,
    known_venues,
    load,
    load_feed,
)
from actors.settings.config import ConfigReader
from actors.settings.diff import compare
from actors.settings.schema import ServiceTokens
from actors.venues.o2.venue import O2
from tests.commands import PATIENCE

CANARY = "canary-5f1d"
PACKAGE = Path(actors.__file__).parent


class Level(Struct, frozen=True):
    price: int


class DeskSettings(VenueSettings, frozen=True, kw_only=True):
    key: Secret
    network: Literal["mainnet", "testnet"] = "mainnet"
    account: int = 0

    def __post_init__(self) -> None:
        if self.account == 13:
            raise ValueError(f"no account 13 for the key {self.key.reveal()}")
        if self.account == 14:
            raise ConfigError(["account 14 is closed.", "account 14 is far away."])


OPTIONS = {"precision": "1 to 18", "levels": "1 or more"}


class Desk(Venue):
    """A venue that is picky, and says why."""

    name = "desk"
    about = "for tests"
    simulator = "actors.simulators.o2:SimulatedO2"
    Settings: ClassVar[type[VenueSettings]] = DeskSettings
    send_rate = SendRate(batch=10, frames=(FrameLimit(5, 1.0),))
    channels: ClassVar = {
        "depth": Channel("depth", Level, "the book", key="market", options=OPTIONS),
        "account": Channel("account", Level, "one's own orders"),
    }

    def topic(self, channel: str, key: str, options: Mapping[str, Option]) -> Topic:
        if len(key) > 6:
            raise LinewardenError(f"{self.feed}: there is no market {key.upper()!r}.")
        return Topic(self.feed, channel, key, tuple(sorted((name, int(v)) for name, v in options.items())))

    def endpoint(self, opening: Opening) -> Endpoint:
        return Endpoint(self.settings.url)

    def session(self, opening: Opening) -> Session:
        raise NotImplementedError


class Open(Desk):
    name = "open"
    simulator = ""
    Settings = VenueSettings


class Mine(O2):
    name = "mine"


VENUES: Mapping[str, type[Venue]] = {"desk": Desk, "open": Open}


def read(source: str | Path | Mapping[str, Any] | Settings, **environ: str) -> Settings:
    return load(source, environ, venues=VENUES)


def mistakes(source: str | Path | Mapping[str, Any], **environ: str) -> list[str]:
    """What is told of this config, without the name of the file."""
    with pytest.raises(ConfigError) as caught:
        read(source, **environ)
    assert all("\n" not in problem for problem in caught.value.problems)
    return [problem.removeprefix("<config>: ") for problem in caught.value.problems]


def feed(**keys: Any) -> dict[str, Any]:
    """A config with one feed."""
    return {"feeds": {"a": {"venue": "desk", "key": "k", **keys}}}


# ── what a config says ──────────────────────────────────────────────────────────────────────────


def test_all_that_is_left_out_has_its_default() -> None:
    settings = read({"feeds": {"a": {"venue": "open"}}})
    assert settings.runtime == RuntimeSettings(name="linewarden", watchdog_timeout=10.0)
    assert settings.service == ServiceSettings(socket="auto", listen="")
    assert settings.feeds["a"] == FeedSettings(name="a", venue="open", kind=Open, own=VenueSettings())
    assert settings.warnings == ()


def test_a_whole_file(tmp_path: Path) -> None:
    config = tmp_path / "desk.toml"
    (tmp_path / "ca.pem").touch()
    config.write_text(
        """
        [runtime]
        name = "desk"
        watchdog_timeout = 0
        [service]
        listen = "[::]:80"
        behind_tls_proxy = true
        [service.tokens]
        look = "${TOKEN}"
        [defaults.restart]
        maximum = 60
        max_restarts = 3
        [defaults.heartbeat]
        ping_interval = 20
        [feeds.a]
        venue = "desk"
        url = "wss://${HOST}/v1"
        key = "${KEY}"
        network = "testnet"
        proxy = "socks5h://localhost:1080"
        ca_file = "ca.pem"
        send_rate = { batch = 2 }
        send_buffer = 1000
        subscribe = [{ channel = "depth", keys = ["A", 4242], stale_after = 60, precision = "10" }]
        [feeds.a.restart]
        max_restarts = 5
        [feeds.a.heartbeat]
        venue_ping_interval = 20
        [feeds.b]
        venue = "open"
        [[feeds.b.subscribe]]
        channel = "account"
        """,
        encoding="utf-8-sig",  # as Windows' editors write it
    )
    settings = read(config, TOKEN="t" * 32, HOST="example.org", KEY="k")
    assert settings.runtime == RuntimeSettings(name="desk", watchdog_timeout=0.0)
    tokens = ServiceTokens(look=Secret("t" * 32))
    assert settings.service == ServiceSettings(listen="[::]:80", behind_tls_proxy=True, tokens=tokens)
    assert settings.service.address == ("::", 80)
    assert settings.file == str(config)
    a, b = settings.feeds.values()
    assert a.own == DeskSettings(url="wss://example.org/v1", key=Secret("k"), network="testnet")
    assert a.restart == RestartPolicy(maximum=60.0, max_restarts=5)
    assert a.heartbeat == HeartbeatPolicy(ping_interval=20.0, venue_ping_interval=20.0)
    assert a.send_rate == SendRate(batch=2, frames=(FrameLimit(5, 1.0),))  # the frames are the venue's
    assert a.ca_file == str(tmp_path / "ca.pem")
    wanted = WantedTopics(channel="depth", keys=("A", "4242"), stale_after=60.0, options={"precision": "10"})
    assert a.subscribe == (wanted,)
    assert b.restart == RestartPolicy(maximum=60.0, max_restarts=3)
    assert b.subscribe == (WantedTopics(channel="account"),)
    venue = a.build_venue()
    assert isinstance(venue, Desk)
    assert (venue.feed, venue.settings) == ("a", a.own)
    assert a.build_venue("ws://127.0.0.1:1").settings.url == "ws://127.0.0.1:1"


def test_settings_are_taken_as_they_are() -> None:
    settings = read(feed())
    assert read(settings) is settings


def test_a_secret_may_come_as_one() -> None:
    own = read(feed(key=Secret("k"))).feeds["a"].own
    assert isinstance(own, DeskSettings)
    assert own.key == Secret("k")


# ── mistakes: one sentence each ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"feed": {}}, "[feed]: there is no such table; did you mean 'feeds'?"),
        (
            {"xyz": {}},
            "[xyz]: there is no such table; "
            "expected one of: calendars, defaults, env_file, feeds, include, log, runtime, service, trading.",
        ),
        ({"runtime": 3}, "[runtime]: expected a table, found 3."),
        (
            {"feeds": {"a": [{}]}},
            "[feeds.a]: expected a table, found a list: a feed has a name, [feeds.NAME].",
        ),
        ({"runtime": {"nmae": "x"}}, "[runtime] nmae: there is no such key; did you mean 'name'?"),
        (
            {"runtime": {"name": "my desk"}},
            "[runtime] name: expected letters, digits, - and _ only.",
        ),
        (
            {"runtime": {"watchdog_timeout": -1}},
            "[runtime] watchdog_timeout: expected seconds, 0 or more and at most a year, found -1.",
        ),
        (
            {"runtime": {"watchdog_timeout": float("nan")}},
            "[runtime] watchdog_timeout: expected seconds, 0 or more and at most a year, found nan.",
        ),
        (
            {"runtime": {"watchdog_timeout": "10"}},
            "[runtime] watchdog_timeout: expected seconds, 0 or more and at most a year, "
            "found text (numbers, true and false stand without quotes).",
        ),
        (
            {"runtime": {"connect_timeout": 3}},
            "[runtime] connect_timeout: there is no such key; it belongs in [feeds.NAME].",
        ),
        (
            {"log": {"level": "inf"}},
            '[log] level: expected one of: "debug", "info", "warning", "error"; did you mean \'info\'?',
        ),
        (
            {"runtime": {"level": "info"}},
            "[runtime] level: there is no such key; it belongs in [log].",
        ),
        (feed(proxy="http://host:97000"), "[feeds.a] proxy: the port 97000 is above 65535."),
        (
            {"defaults": {"restart": {"initial": 0}}},
            "[defaults.restart] initial: expected seconds, more than 0 and at most a year, found 0.",
        ),
        (
            {"defaults": {"restart": {"multiplier": 0.5}}},
            "[defaults.restart] multiplier: expected a number from 1 to 1000, found 0.5.",
        ),
        (
            feed() | {"defaults": {"restart": {"maximum": 0.1}}},
            "[defaults.restart] maximum: expected maximum to be initial or more; "
            "initial is 0.25 s, maximum 0.1 s.",
        ),
        (
            {"defaults": {"restart": {"slow_initial": 301}}},
            "[defaults.restart] slow_initial: expected seconds, more than 0 and at most 300, found 301.",
        ),
        (
            {"defaults": {"restrat": {}}},
            "[defaults] restrat: there is no such key; did you mean 'restart'?",
        ),
        ({"feeds": {"a": {}}}, "[feeds.a] venue: missing; expected one of: desk, open."),
        (
            {"feeds": {"a": {"venue": "dsk"}}},
            "[feeds.a] venue: there is no venue 'dsk'; did you mean 'desk'?",
        ),
        (
            {"feeds": {"a": {"venue": "x"}}},
            "[feeds.a] venue: there is no venue 'x'; expected one of: desk, open.",
        ),
        (
            {"feeds": {"a": {"venue": "my/venue.toml"}}},
            "[feeds.a] venue: there is no file 'my/venue.toml' (from the config's directory).",
        ),
        (
            {"feeds": {"a/b": {"venue": "open"}}},
            '[feeds."a/b"]: expected a feed\'s name of letters, digits, - and _ only.',
        ),
        ({"feeds": {"a": {"venue": "desk"}}}, "[feeds.a] key: missing; expected text."),
        (
            {"feeds": {"a": {"venue": "open", "key": "k"}}},
            "[feeds.a] key: venue open has no such key; it is one of: desk.",
        ),
        (
            {"service": {"url": "k"}},
            "[service] url: there is no such key; it belongs in [feeds.NAME].",
        ),
        (feed(key=""), "[feeds.a] key: expected text that is not empty."),
        (
            feed(network="mainet"),
            '[feeds.a] network: expected one of: "mainnet", "testnet"; did you mean \'mainnet\'?',
        ),
        (feed(account=1.5), "[feeds.a] account: expected a whole number, found 1.5."),
        (feed(account=True), "[feeds.a] account: expected a whole number, found true."),
        (feed(acount=1), "[feeds.a] acount: there is no such key; did you mean 'account'?"),
        (
            feed(account=13),
            "[feeds.a]: the venue refuses it (its words are left out: they repeat a hidden value).",
        ),
        (
            feed(ping_interval=3),
            "[feeds.a] ping_interval: there is no such key; "
            "it belongs in [feeds.a.heartbeat] or [defaults.heartbeat].",
        ),
        (
            feed(heartbeat={"interval": 1}),
            "[feeds.a.heartbeat] interval: there is no such key; "
            "did you mean 'ping_interval' or 'venue_ping_interval'?",
        ),
        (
            feed(heartbeat={"pong_timeot": 1}),
            "[feeds.a.heartbeat] pong_timeot: there is no such key; did you mean 'pong_timeout'?",
        ),
        (
            feed(health={"stale_action": "restrat"}),
            '[feeds.a.health] stale_action: expected one of: "none", "restart"; did you mean \'restart\'?',
        ),
        (
            feed(health={"health_floor": 101}),
            "[feeds.a.health] health_floor: expected a whole number from 0 to 100, found 101.",
        ),
        (
            feed(health={"hold_off": 0}),
            "[feeds.a.health] hold_off: expected seconds, more than 0 and at most a year, found 0.",
        ),
        (
            feed(health={"rtt_cieling": 1}),
            "[feeds.a.health] rtt_cieling: there is no such key; did you mean 'rtt_ceiling'?",
        ),
        (
            feed(stale_action="restart"),
            "[feeds.a] stale_action: there is no such key; "
            "it belongs in [feeds.a.health] or [defaults.health].",
        ),
        (
            feed(restart={"give_up": "never"}),
            '[feeds.a.restart] give_up: expected one of: "wait", "close", found text.',
        ),
        (
            feed(restart={"initial": 31}),
            "[feeds.a.restart] initial: expected maximum to be initial or more; "
            "initial is 31 s, maximum 30 s.",
        ),
        (
            feed(send_rate={"batch": 0}),
            "[feeds.a.send_rate] batch: expected a whole number, 1 or more, found 0.",
        ),
        (
            feed(max_message=0),
            "[feeds.a] max_message: expected a number of bytes from 1 to 1073741824, found 0.",
        ),
        (
            feed(verify_tls="no"),
            "[feeds.a] verify_tls: expected true or false, "
            "found text (numbers, true and false stand without quotes).",
        ),
        (
            feed(compression="gzip"),
            '[feeds.a] compression: expected one of: "none", "deflate", found text.',
        ),
        (
            feed(compression="deflat"),
            '[feeds.a] compression: expected one of: "none", "deflate"; did you mean \'deflate\'?',
        ),
        (
            feed(ca_file="no.pem"),
            "[feeds.a] ca_file: there is no file 'no.pem' (from the config's directory).",
        ),
        (
            feed(proxy="no"),
            '[feeds.a] proxy: expected "none", "env" or a URL that starts with one of: '
            "http://, socks4://, socks4a://, socks5://, socks5h://.",
        ),
    ],
)
def test_a_mistake_is_told_in_one_sentence(config: dict[str, Any], problem: str) -> None:
    assert mistakes(config) == [problem]


PX = {"venue": "projectx", "url": "sim://projectx", "user_name": "a", "api_key": "b"}


def test_what_is_back_filled_is_all_nothing_or_a_list() -> None:
    for value, known in ((True, True), (False, False), (["account_trades"], ("account_trades",))):
        settings = load({"feeds": {"px": PX | {"backfill": value}}}, {})
        assert settings.feeds["px"].backfill == known
        assert settings.warnings == ()
    assert load({"feeds": {"px": PX}}, {}).feeds["px"].backfill is None


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        (
            {"backfill": ["acount_trades"]},
            "venue projectx cannot back-fill the channel 'acount_trades'; did you mean 'account_trades'?",
        ),
        ({"backfill": ["trades"]}, "venue projectx cannot back-fill the channel 'trades'"),
        ({"backfill": "trades"}, "expected true or false or a list, each of it text, found text."),
        ({"backfill_hold": 11}, "expected seconds, more than 0 and at most 10, found 11."),
        ({"backfill_hold": 0}, "expected seconds, more than 0 and at most 10, found 0."),
    ],
    ids=["misspelt", "not one of these", "no list", "too long", "none"],
)
def test_a_mistake_in_back_fill_is_told(keys: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({"feeds": {"px": PX | keys}}, {})
    (found,) = caught.value.problems
    assert problem in found


def test_back_fill_of_a_venue_that_has_none_is_a_warning() -> None:
    (warning,) = read(feed(backfill=True)).warnings
    assert warning.endswith("backfill: it has no effect: venue desk cannot back-fill any channel.")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://x.org", "expected a URL that starts with wss://, ws:// or sim://; did you mean wss://?"),
        ("http://x.org", "expected a URL that starts with wss://, ws:// or sim://; did you mean ws://?"),
        ("x.org", "expected a URL that starts with wss://, ws:// or sim://."),
        ("wss://x.org/\r\nHost: y", "expected a URL of plain ASCII, without spaces and line breaks."),
        ("wss://x.org/ö", "expected a URL of plain ASCII, without spaces and line breaks."),
        ("wss://", "expected a host, and a port up to 65535 if any."),
        ("wss://x.org:70000", "the port 70000 is above 65535."),
        ("wss://[::1", "expected a host, and a port up to 65535 if any."),
        ("wss://x.org/#a", "expected a URL without #…: a WebSocket has no use for it."),
        (
            "wss://me:pw@x.org",
            "a user name or password in a URL ends up in logs; put it into the venue's own keys, as ${NAME}.",
        ),
    ],
)
def test_a_url_is_looked_at(url: str, problem: str) -> None:
    escaped = url.replace("${", "$${")
    assert mistakes(feed(url=escaped)) == [f"[feeds.a] url: {problem}"]


@pytest.mark.parametrize(
    "url", ["wss://x.org", "ws://[::1]:80/v1?a=b@c", "sim://desk?rate=20&fault=drop+every%3D5"]
)
def test_a_good_url_is_left_alone(url: str) -> None:
    assert read(feed(url=url)).feeds["a"].own.url == url


@pytest.mark.parametrize(
    ("venue", "simulator", "advice"),
    [
        ("o2", "alpaca", "sim://o2 or sim://table?talk=FILE"),
        ("o2", "o3", "sim://o2 or sim://table?talk=FILE"),
        ("binance", "o2", "sim://table?talk=FILE"),
        ("binance", "binance", "sim://table?talk=FILE"),
        (f"{__name__}:Mine", "projectx", "sim://mine or sim://table?talk=FILE"),
    ],
)
def test_a_simulator_of_another_venue_is_refused(venue: str, simulator: str, advice: str) -> None:
    config = {"feeds": {"a": {"venue": venue, "url": f"sim://{simulator}?seed=1"}}}
    text = f"there is no simulator '{simulator}' for venue {venue.rpartition(':')[2].lower()}; write {advice}"
    for read_or_start in (load, actors.start):
        with pytest.raises(ConfigError) as raised:
            read_or_start(config)
        assert raised.value.problems == (f"<config>: [feeds.a] url: {text}.",)


def test_a_transcript_is_refused_for_a_hub(tmp_path: Path) -> None:
    talk, hub = tmp_path / "talk.txt", tmp_path / "quay.toml"
    talk.write_text("< {}\n")
    hub.write_text(
        'name = "quay"\nabout = "a hub"\nprotocol = "signalr"\nurl = "https://rtc.quay.example/hubs/market"\n'
        '[channels.notices]\nabout = "news"\n[[events]]\ntarget = "Notice"\nchannel = "notices"\n'
    )
    for venue in ("projectx", str(hub)):
        with pytest.raises(ConfigError, match="a transcript cannot be played to the client of a SignalR hub"):
            load({"feeds": {"a": {"venue": venue, "url": f"sim://table?talk={talk}"}}}, {})


def test_simulators_that_a_venue_may_have(tmp_path: Path) -> None:
    """Its own, that of a base class and a transcript; any, for a protocol that the user has written."""
    (tmp_path / "talk.txt").write_text("< hello\n")
    (tmp_path / "rows.json").write_text('[{"id":1}]')
    (tmp_path / "own.toml").write_text((PACKAGE / "venues" / "tables" / "kraken.toml").read_text() + "\n")
    hub = {"channels": {"notices": {"about": "news"}}, "events": [{"target": "Notice", "channel": "notices"}]}
    feeds = [
        {"venue": "o2", "url": "sim://o2"},
        {"venue": "o2", "url": "sim://table?talk=talk.txt"},
        {"venue": "binance", "url": "sim://table?talk=talk.txt"},
        {"venue": "binance", "url": "sim://table?talk=talk.txt&page=rows.json"},
        {"venue": f"{__name__}:Mine", "url": "sim://mine"},
        {"venue": f"{__name__}:Mine", "url": "sim://o2"},
        {"venue": f"{__name__}:Open", "url": "sim://o2"},
        {"venue": "own.toml", "url": "sim://o2"},
        {"venue": "signalr", "url": "sim://projectx", "hub": hub},
    ]
    for feed in feeds:
        reader = ConfigReader("desk.toml", tmp_path, {}, known_venues())
        assert reader.settings({"feeds": {"a": feed}}).feeds["a"].own.url.startswith("sim://")


@pytest.mark.parametrize(
    ("entry", "problems"),
    [
        ({}, ["channel: missing; expected text."]),
        (
            {"chanel": "depth"},
            ["channel: missing; expected text.", "chanel: there is no such key; did you mean 'channel'?"],
        ),
        ({"channel": "dept"}, ["channel: venue desk has no channel 'dept'; did you mean 'depth'?"]),
        ({"channel": "x"}, ["channel: venue desk has no channel 'x'; expected one of: account, depth."]),
        (
            {"channel": "depth", "keys": "A"},
            ['keys: expected a list of texts, such as ["AAPL"]: one key has brackets, too.'],
        ),
        (
            {"channel": "depth", "keys": 123},
            ['keys: expected a list of texts, such as ["AAPL"]: one key has brackets, too.'],
        ),
        (
            {"channel": "depth", "keys": ["A", 4242.5]},
            ['keys: expected a list of texts, such as ["AAPL", "MSFT"], found a list that contains 4242.5.'],
        ),
        ({"channel": "depth", "keys": [""]}, ["keys: expected texts that are not empty."]),
        ({"channel": "depth"}, ["keys: channel depth wants at least one key (market)."]),
        (
            {"channel": "depth", "keys": ["A", "much-too-long", "also-too-long"]},
            ["keys: there is no market 'MUCH-TOO-LONG'.", "keys: there is no market 'ALSO-TOO-LONG'."],
        ),
        ({"channel": "account", "keys": ["A"]}, ["keys: channel account takes no keys."]),
        (
            {"channel": "depth", "keys": ["too-long"], "stale_after": -1, "precison": 1},
            [
                "stale_after: expected seconds, 0 or more and at most a year, found -1.",
                "precison: channel depth has no such option; did you mean 'precision'?",
                "keys: there is no market 'TOO-LONG'.",
            ],
        ),
        ({"channel": "account", "x": 1}, ["x: channel account has no such option; it takes no options."]),
        (
            {"channel": "account", "verify_tls": False},
            [
                "verify_tls: channel account has no such option; it belongs in [feeds.NAME]; "
                "it takes no options."
            ],
        ),
        (
            {"channel": "depth", "keys": ["A"], "precision": [1]},
            ["precision: expected text, a number, true or false, found a list."],
        ),
        (
            {"channel": "depth", "keys": ["A"], "precision": float("inf")},
            ["precision: expected a finite number, found inf."],
        ),
        (
            {"channel": "depth", "keys": ["A", "B"], "precision": "x"},
            ["precision: invalid literal for int() with base 10: 'x'."],
        ),
        (
            {"channel": "depth", "keys": ["A"], "precision": "x", "levels": "y"},
            [
                "precision: invalid literal for int() with base 10: 'x'.",
                "levels: invalid literal for int() with base 10: 'y'.",
            ],
        ),
        (
            {"channel": "depth", "keys": ["A", "much-too-long"], "precision": "x"},
            [
                "precision: invalid literal for int() with base 10: 'x'.",
                "keys: there is no market 'MUCH-TOO-LONG'.",
            ],
        ),
        (
            {"channel": "depth", "keys": ["${MARKET}"]},
            ["keys: the venue refuses it (its words are left out: they repeat a hidden value)."],
        ),
    ],
)
def test_what_is_wanted_is_checked_with_the_venue(entry: dict[str, Any], problems: list[str]) -> None:
    told = mistakes(feed(subscribe=[{"channel": "account"}, entry]), MARKET="much-too-long")
    places = ("[feeds.a] subscribe entry 2 ", "[feeds.a] subscribe entry 2: ")
    assert [problem.removeprefix(places[0]).removeprefix(places[1]) for problem in told] == problems


def test_subscribe_is_a_list() -> None:
    problem = '[feeds.a] subscribe: expected a list of tables such as { channel = "…" }, found a table.'
    assert mistakes(feed(subscribe={"channel": "depth"})) == [problem]
    assert (
        mistakes(feed(subscribe=["depth"]))[0] == "[feeds.a] subscribe entry 1: expected a table, found text."
    )


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    config = tmp_path / "desk.toml"
    config.write_text(
        """
        [runtime]
        nmae = "x"
        watchdog_timeout = -1
        [feeds.a]
        venue = "desk"
        key = "${KEY}"
        conect_timeout = 3
        ack_timeout = "1"
        subscribe = [{ channel = "dept", stale_after = -1 }, { channel = "depth", keys = 1 }]
        [feeds.b]
        venue = "dsk"
        block_timeout = -1
        """
    )
    told = [" ".join(problem.split(": ")[1:2]) for problem in mistakes(config)]
    assert told == [
        "[runtime] nmae",
        "[runtime] watchdog_timeout",
        "[feeds.a] key",
        "[feeds.a] ack_timeout",
        "[feeds.a] conect_timeout",
        "[feeds.a] subscribe entry 1 stale_after",
        "[feeds.a] subscribe entry 1 channel",
        "[feeds.a] subscribe entry 2 keys",
        "[feeds.b] venue",
        "[feeds.b] block_timeout",
    ]


def test_every_mistake_a_venue_tells_is_told() -> None:
    assert mistakes(feed(account=14)) == [
        "[feeds.a]: account 14 is closed.",
        "[feeds.a]: account 14 is far away.",
    ]


def test_a_misspelt_table_is_not_taken_for_the_setting_of_another_sdk() -> None:
    assert mistakes({"feed": {"a": {"venue": "o2"}}}) == [
        "[feed]: there is no such table; did you mean 'feeds'?"
    ]


def test_a_feed_without_a_name_is_told_how_it_is_written() -> None:
    told = mistakes({"feeds": {"venue": "o2"}})
    assert told == ["[feeds.venue]: expected a table, found text: a feed has a name, [feeds.NAME]."]


def test_a_broken_default_is_not_told_again_for_each_feed() -> None:
    config = feed() | {"defaults": {"restart": {"maximum": 0.1}}}
    assert len(mistakes(config)) == 1


# ── files ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[runtime]\nname = \n", '2:8: this is not TOML: invalid value (a text has quotes: venue = "o2").'),
        ("[runtime]\nname = [1,", '2:11: this is not TOML: invalid value (a text has quotes: venue = "o2").'),
        ("a = 1\na = 2", "2:6: this is not TOML: cannot overwrite a value."),
        (
            '{"feeds": {}}',
            "1:1: this is not TOML: invalid statement. A config is TOML, and this looks like JSON.",
        ),
    ],
)
def test_broken_toml_is_told_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    config = tmp_path / "desk.toml"
    config.write_text(text)
    assert mistakes(config) == [f"{config}:{problem}"]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    config = tmp_path / "desk.toml"
    assert mistakes(config) == [f"{config}: there is no such file."]
    config.write_bytes(b"a = '\xff'")
    assert mistakes(config) == [f"{config}: it is not UTF-8 text (byte 5)."]
    config.write_text("a = " + "[" * 100_000)
    assert mistakes(config) == [f"{config}: it is nested too deeply."]
    config.unlink()
    config.mkdir()
    assert mistakes(config)[0].startswith(f"{config}: it cannot be read (")


# ── the environment ─────────────────────────────────────────────────────────────────────────────


def test_a_missing_variable_is_named() -> None:
    assert mistakes(feed(key="${KEY}-${KEY_2}", url="wss://${HOST}"), KEI_2="x") == [
        "[feeds.a] url: the environment variable HOST is not set.",
        "[feeds.a] key: the environment variable KEY is not set.",
        "[feeds.a] key: the environment variable KEY_2 is not set; did you mean ${KEI_2}?",
    ]


@pytest.mark.parametrize("text", ["${", "${}", "${1}", "${A.b}", "a ${B c} d"])
def test_a_variable_is_spelt_in_one_way(text: str) -> None:
    form = "expected ${NAME}, with a name of letters, digits and _ (or $${ for the two characters)."
    assert mistakes(feed(key=text)) == [f"[feeds.a] key: {form}"]


@pytest.mark.parametrize("text", ["${A-b}", "${A:-1}", "${A:?none}", "x ${A:+y"])
def test_a_shells_forms_of_a_variable_are_told(text: str) -> None:
    advice = "write ${A}, and A=… into the environment or into env_file"
    form = f"expected ${{A}} alone: it has no default and no other form of a shell; {advice}."
    assert mistakes(feed(key=text), A="x") == [f"[feeds.a] key: {form}"]


def test_a_variable_without_braces_is_a_mistake_where_it_is_the_whole_text() -> None:
    braces = "a variable is written with braces"
    assert mistakes(feed(key="$DESK_KEY"), DESK_KEY="x") == [
        f"[feeds.a] key: expected ${{DESK_KEY}}: {braces}."
    ]
    assert mistakes(feed(key="$PASS_1")) == [f"[feeds.a] key: expected ${{NAME}}: {braces}."]  # not repeated
    for text in ("$Pa55", "$", "$A", "x$DESK_KEY", "$DESK_KEY!", "$1"):
        own = read(feed(key=text), DESK_KEY="x").feeds["a"].own
        assert isinstance(own, DeskSettings)
        assert own.key == Secret(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$${A}", "${A}"),
        ("$A $ }{", "$A $ }{"),
        ("-${A}${B}-", "-1${A}-"),
        ("$$${A}", "$${A}"),
        ("$1${A}", "$11"),
    ],
)
def test_variables_are_replaced_once(text: str, value: str) -> None:
    own = read(feed(key=text), A="1", B="${A}").feeds["a"].own
    assert isinstance(own, DeskSettings)
    assert own.key.reveal() == value


# ── health ──


def test_the_health_of_a_feed_is_that_of_all_but_for_its_own_keys() -> None:
    config = feed(health={"rtt_ceiling": 2})
    config["defaults"] = {"health": {"stale_action": "restart", "hold_off": 300}}
    health = read(config).feeds["a"].health
    assert health == HealthPolicy(stale_action="restart", hold_off=300.0, rtt_ceiling=2.0)
    assert not read(feed()).feeds["a"].health.acts


def test_a_ceiling_without_pings_is_a_warning() -> None:
    config = feed(health={"rtt_ceiling": 2}, heartbeat={"ping_interval": 0})
    assert read(config).warnings[-1] == (
        "<config>: [feeds.a.health] rtt_ceiling: it has no effect without pings, and ping_interval is 0."
    )


# ── warnings ────────────────────────────────────────────────────────────────────────────────────


def test_what_is_allowed_but_odd_is_a_warning() -> None:
    subscribe = [{"channel": "depth", "keys": ["A", "A"]}, {"channel": "account"}, {"channel": "account"}]
    settings = read(feed(verify_tls=False, url="ws://example.org", subscribe=subscribe))
    assert settings.warnings == (
        "<config>: [feeds.a] url: ws:// sends everything in clear, also keys; wss:// does not.",
        "<config>: [feeds.a] verify_tls: certificates are not checked, so another server could impersonate "
        "the venue.",
        "<config>: [feeds.a] subscribe entry 1: a/depth/A is wanted twice.",
        "<config>: [feeds.a] subscribe entry 3: a/account is wanted twice.",
    )
    assert read({}).warnings == ("<config>: [feeds]: there is no feed in this config.",)


def test_loopback_needs_no_tls() -> None:
    for host in ("localhost", "127.9.9.9", "[::1]"):
        assert read(feed(url=f"ws://{host}:1")).warnings == ()


def test_a_channel_that_is_not_there_is_told_in_sentences() -> None:
    desk = read(feed()).feeds["a"].build_venue()
    for name, end in (("dept", "; did you mean 'depth'?"), ("x", ".")):
        with pytest.raises(LinewardenError) as caught:
            desk.channel(name)
        told = f"a: venue 'desk' has no channel {name!r}{end} It has: account, depth."
        assert str(caught.value) == told


# ── nothing secret is shown, and nothing odd breaks it ──────────────────────────────────────────


def test_no_repr_shows_a_secret() -> None:
    config = feed(key="${KEY}", url="ws://x.org/${KEY}?k=${KEY}", proxy="http://u:${KEY}@x.org:80")
    config["service"] = {"listen": "localhost:1", "tokens": {"act": "${KEY}"}}
    settings = read(config, KEY=CANARY)
    for shown in (settings, settings.feeds, settings.feeds["a"], settings.service):
        assert CANARY not in repr(shown)
        assert CANARY not in pretty_repr(shown)
    assert "url='ws://x.org/…'" in repr(settings)
    own = settings.feeds["a"].own
    assert repr(own) == "DeskSettings(url='ws://x.org/…', key=Secret('…'), network='mainnet', account=0)"
    assert CANARY not in repr(VenueSettings(url=f"wss://{CANARY}:{CANARY}@x.org?{CANARY}"))
    assert "proxy='http://x.org:80/…'" in repr(settings)


TABLES: tuple[type[Struct], ...] = (
    RuntimeSettings,
    ServiceSettings,
    ServiceTokens,
    RestartPolicy,
    HeartbeatPolicy,
    HealthPolicy,
    FeedSettings,
    WantedTopics,
    SendRate,
    DeskSettings,
)
KEYS = sorted(
    {"runtime", "service", "defaults", "feeds", "a", "b c"}
    | {name for table in TABLES for name in table.__struct_fields__}
)
TEXTS = st.sampled_from(
    ["desk", "open", "depth", "account", "A", "${CANARY}", "x${CANARY}", "${NONE}", "${", "env", "deflate",
     "wss://x.org/${CANARY}", "wss://${CANARY}@x", "[::1]:80", "0.0.0.0:1", "${CANARY}:80", "\n", ""]
)  # fmt: skip
SCALARS = (
    TEXTS
    | st.text(max_size=5)
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.none()
    | st.binary(max_size=3)
    | st.just(10**400)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)
ENTRIES = st.fixed_dictionaries(
    {}, optional={"channel": TEXTS, "keys": st.lists(TEXTS, max_size=2), "precision": VALUES, "x": VALUES}
)
FEEDS = st.fixed_dictionaries(
    {"venue": st.sampled_from(["desk", "open", "${CANARY}"])},
    optional={key: VALUES for key in KEYS if key not in {"venue", "subscribe"}}
    | {"subscribe": st.lists(ENTRIES, max_size=3), "url": TEXTS, "key": TEXTS},
)
CONFIGS = VALUES | st.fixed_dictionaries(
    {"feeds": st.dictionaries(st.sampled_from(["a", "b c", "\n"]), FEEDS | VALUES, max_size=2)},
    optional={"runtime": VALUES, "service": VALUES, "defaults": VALUES},
)


@given(CONFIGS.filter(lambda config: isinstance(config, dict)))
def test_whatever_it_is_given_it_settles_or_tells_why(config: dict[str, Any]) -> None:
    try:
        settings = read(config, CANARY=CANARY)
    except ConfigError as error:
        problems = error.problems
    else:
        assert CANARY not in repr(settings)
        for each in settings.feeds.values():
            each.build_venue()
        return
    assert problems
    for problem in problems:
        assert problem.startswith("<config>: ")
        assert problem.endswith((".", "?"))
        assert "\n" not in problem
        assert CANARY not in problem.lower()


def test_a_config_that_contains_itself() -> None:
    config: dict[str, Any] = feed()
    config["feeds"]["a"]["key"] = config
    config["feeds"]["a"]["subscribe"] = [{"channel": "depth", "keys": ["A"], "precision": config}]
    assert mistakes(config)[0] == "[feeds.a] key: it is nested too deeply."


# ── venues that tables describe ─────────────────────────────────────────────────────────────────

TABLE = """
name = "pier"
about = "for tests"
url = "wss://pier.example"
[keys.api_key]
secret = true
[channels.trades]
about = "trades"
key = "market"
options.depth = { values = [1, 5], default = 5 }
[[events]]
channel = "trades"
key = "m"
"""
FEED = """
[feeds.a]
venue = "tables/pier.toml"
api_key = "${PIER}"
subscribe = [{ channel = "trades", keys = ["A"], depth = 5 }]
"""


@pytest.fixture
def pier(tmp_path: Path) -> Path:
    """A config that names a table beside it."""
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "pier.toml").write_text(TABLE)
    config = tmp_path / "desk.toml"
    config.write_text(FEED)
    return config


def test_a_table_is_found_from_the_configs_directory(
    pier: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    feed = read(pier, PIER=CANARY).feeds["a"]
    assert (feed.venue, feed.name) == ("pier", "a")
    assert feed.build_venue().endpoint(Opening("a")) == Endpoint("wss://pier.example")
    assert CANARY not in repr(feed)


def test_what_a_table_says_binds_its_feeds(pier: Path) -> None:
    pier.write_text(FEED.replace("api_key", "api_kee").replace("depth = 5", "depht = 5"))
    assert mistakes(pier, PIER=CANARY) == [
        f"{pier}: [feeds.a] api_key: missing; expected text.",
        f"{pier}: [feeds.a] api_kee: there is no such key; did you mean 'api_key'?",
        f"{pier}: [feeds.a] subscribe entry 1 depht: channel trades has no such option; "
        "did you mean 'depth'?",
    ]


def test_mistakes_of_a_table_are_told_with_the_configs(pier: Path) -> None:
    table = pier.parent / "tables" / "pier.toml"
    table.write_text(TABLE.replace("default = 5", "default = 6"))
    pier.write_text(FEED + "[runtime]\nwatchdog_timeout = -1\n")
    told = mistakes(pier, PIER=CANARY)
    assert any(problem.startswith(f"{pier}: [runtime] watchdog_timeout: ") for problem in told)
    assert (
        "tables/pier.toml: [channels.trades.options.depth] default: it is none of its values; expected"
        in "".join(told)
    )


def test_a_table_that_stayed_the_same_is_the_same_venue_and_a_changed_one_another(pier: Path) -> None:
    before = read(pier, PIER=CANARY)
    assert compare(before, read(pier, PIER=CANARY)).changes == ()
    table = pier.parent / "tables" / "pier.toml"
    table.write_text(TABLE.replace("wss://pier", "wss://quay"))
    plan = compare(before, read(pier, PIER=CANARY))
    assert [change.kind for change in plan.changes] == ["removed", "added"]


def test_tables_that_come_along_are_known_by_name_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    known = known_venues()
    assert {"o2", "binance", "coinbase", "kraken", "okx", "bybit"} <= set(known)
    for name in known:
        assert known[name].name == name
        assert known[name] is known_venues()[name]
    assert len(known) == len(list(known))
    assert "nope" not in known
    with pytest.raises(KeyError):
        known["nope"]
    wanted = [{"channel": "trades", "keys": ["BTCUSDT"]}]
    source = {"feeds": {"a": {"venue": "binance", "subscribe": wanted}}}
    assert load(source, {}).feeds["a"].kind is known["binance"]
    with pytest.raises(ConfigError, match="did you mean 'binance'"):
        load({"feeds": {"a": {"venue": "binnance"}}}, {})


def test_tables_are_found_in_an_installed_package_even_a_zipped_one(tmp_path: Path) -> None:
    package = tmp_path / "linewarden.zip"
    with zipfile.ZipFile(package, "w") as archive:
        for path in sorted(PACKAGE.rglob("*")):
            if path.suffix in {".py", ".toml"}:
                archive.write(path, path.relative_to(PACKAGE.parent))
    code = "import actors, actors.settings as s; print(s.known_venues()['binance'].name, actors.__file__)"
    told = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        timeout=PATIENCE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
    ).stdout
    assert told.split() == ["binance", str(package / "actors" / "__init__.py")]


def test_importing_reads_no_table() -> None:
    code = (
        "import sys, actors, actors.venues\n"
        "assert not [name for name in sys.modules if name.startswith('actors.venues.declarative')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE)


# ── calendars, and what is promised of a subscription ──


CALENDAR = {"zone": "America/New_York", "sessions": ["Mon-Fri 09:30-16:00"]}


def watched(calendars: object, **entry: object) -> dict[str, Any]:
    return {"calendars": calendars, **feed(subscribe=[{"channel": "depth", "keys": ["A"], **entry}])}


def test_a_subscription_names_its_calendar() -> None:
    config = watched({"us": CALENDAR | {"closed": ["2026-12-25"]}}, calendar="us", stale_after=60)
    settings = read(config)
    (wanted,) = settings.feeds["a"].subscribe
    assert wanted.calendar == Calendar(
        "us", "America/New_York", (TradingHours((0, 1, 2, 3, 4), 570, 960),), (Closure(date(2026, 12, 25)),)
    )
    assert settings.warnings == ()


NO_ZONE = 'there is no such time zone; expected a name such as "America/New_York".'
NO_SESSION = 'expected such as "Mon-Fri 09:30-16:00" or "Sun 17:00 - Fri 16:00".'
NO_YEAR = "expected seconds, 0 or more and at most a year, found -1."
SESSIONS = 'expected a list of texts, such as ["Mon-Fri 09:30-16:00"]'


@pytest.mark.parametrize(
    ("calendars", "entry", "problem"),
    [
        (
            {},
            {"calendar": "us"},
            "calendar: there is no calendar 'us'; describe its hours in [calendars.NAME].",
        ),
        ({"us": CALENDAR}, {"calendar": "usa"}, "calendar: there is no calendar 'usa'; did you mean 'us'?"),
        ({"us": CALENDAR}, {"calendar": 1}, "calendar: expected text, found 1."),
        ({"us": CALENDAR}, {"max_event_lag": -1}, f"max_event_lag: {NO_YEAR}"),
    ],
)
def test_a_mistake_in_what_is_promised_is_told(
    calendars: object, entry: dict[str, object], problem: str
) -> None:
    assert mistakes(watched(calendars, **entry)) == [f"[feeds.a] subscribe entry 1 {problem}"]


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"zone": "New York"}, f"zone: {NO_ZONE}"),
        ({"zone": 1}, 'zone: expected the name of a time zone, such as "America/New_York", found 1.'),
        ({"sessions": []}, f"sessions: {SESSIONS}, found a list."),
        ({"sessions": "Mon-Fri 09:30-16:00"}, f"sessions: {SESSIONS}, found text."),
        ({"sessions": ["Mon-Fri"]}, f"sessions: {NO_SESSION}"),
        (
            {"sessions": ["Mon 09:30-16:00", "Tue 25:00-26:00"]},
            "sessions: entry 2: there is no time 25:00; expected 00:00 to 24:00.",
        ),
        ({"closed": ["2026-02-30"]}, "closed: there is no day 2026-02-30."),
        ({"holidays": []}, "holidays: there is no such key; expected one of: closed, sessions, zone."),
    ],
)
def test_a_mistake_in_a_calendar_is_told_by_its_place(changed: dict[str, object], problem: str) -> None:
    # Named in a subscription, too: that it cannot be read is told once.
    config = watched({"us": CALENDAR | changed}, calendar="us", stale_after=60)
    assert mistakes(config) == [f"[calendars.us] {problem}"]


def test_a_calendar_that_changes_is_taken_over_with_its_sockets_open() -> None:
    before, after = (
        read(watched({"us": CALENDAR | {"closed": closed}}, calendar="us", stale_after=60))
        for closed in ([], ["2026-12-25"])
    )
    assert [(change.where, change.kind, change.text) for change in compare(before, after).changes] == [
        ("feeds.a", "adjusted", "feed a takes over new freshness policies; sockets stay open")
    ]


def test_a_promise_that_means_nothing_is_warned_of() -> None:
    (warning,) = read(watched({}, max_event_lag=5)).warnings
    assert "max_event_lag: events of venue " in warning


@pytest.mark.parametrize("url", ["", "  ", "${URL}"])
def test_an_empty_url_is_a_mistake_and_not_the_venue_s_own(url: str) -> None:
    problems = mistakes(feed(url=url), URL="")
    (problem,) = [each for each in problems if "] url:" in each]
    assert problem.startswith("[feeds.a] url: expected a URL, found an empty text")


def test_an_empty_url_of_the_rest_part_is_a_mistake() -> None:
    table = {"venue": "alpaca", "stream": "iex", "key": "K", "secret": "S", "data_url": ""}
    with pytest.raises(ConfigError, match="data_url: expected a URL, found an empty text"):
        load({"feeds": {"a": table}})


@pytest.mark.parametrize(
    "failure", ["1 / 0", "raise SystemExit", "raise OSError('no file')", "raise GeneratorExit"]
)
def test_a_venue_whose_module_fails_at_import_is_told_in_a_sentence(
    failure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"failing_{abs(hash(failure))}"
    (tmp_path / f"{name}.py").write_text(failure)
    monkeypatch.syspath_prepend(str(tmp_path))
    (problem,) = mistakes({"feeds": {"a": {"venue": f"{name}:Venue"}}})
    assert f"'{name}:Venue' cannot be imported" in problem


def test_accounts_that_are_followed_are_numbers_also_as_text() -> None:
    feed = PX | {"accounts": [4242, "4243", "${PX_ACCOUNT}"]}
    settings = load({"feeds": {"px": feed}}, {"PX_ACCOUNT": "4244"})
    assert settings.feeds["px"].accounts == (4242, 4243, 4244)


@pytest.mark.parametrize(
    ("accounts", "found"),
    [
        (4242, "4242"),
        ("4242", "text"),
        ([4242.0], "a list that contains 4242.0"),
        ([4242, "PRAC-V2"], "a list that contains text"),
        ([True], "a list that contains true"),
        ([-1], "a list that contains -1"),
        ([10**18], "a list that contains 1000000000000000000"),
    ],
)
def test_accounts_that_are_no_numbers_are_named(accounts: Any, found: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load({"feeds": {"px": PX | {"accounts": accounts}}}, {})
    words = f"expected a list of numbers, such as [4242, 4243], found {found}."
    assert list(raised.value.problems) == [f"<config>: [feeds.px] accounts: {words}"]


def test_the_traceback_of_a_mistake_holds_no_frame_that_knows_a_secret(tmp_path: Path) -> None:
    """Tracebacks of notebooks and of error reports may show the variables of each frame."""
    file = tmp_path / "desk.toml"
    file.write_text(
        '[feeds.a]\nvenue = "alpaca"\nkey = "s3cr3t"\nsecret = "${S}"\ntypo = 1\n', encoding="utf-8"
    )
    for source in (file, {"feeds": {"a": {"venue": "alpaca", "key": "${S}", "secret": "${S}", "typo": 1}}}):
        with pytest.raises(ConfigError) as caught:
            load(source, {"S": "s3cr3t"})
        below = caught.traceback[1:]  # this test's own frame
        assert [entry.name for entry in below] == ["load"]
        assert caught.value.__context__ is None or caught.value.__suppress_context__
    with pytest.raises(ConfigError) as caught:
        actors.start(file)
    shown = [repr(value) for entry in caught.traceback[1:] for value in entry.frame.f_locals.values()]
    assert not [value for value in shown if "s3cr3t" in value]


def test_nor_does_that_of_a_mistake_in_a_feed_that_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S", "s3cr3t")
    with pytest.raises(ConfigError) as caught:
        load_feed("a", {"venue": "alpaca", "key": "${S}", "secret": "${S}", "typo": 1}, load({"feeds": {}}))
    assert [entry.name for entry in caught.traceback[1:]] == ["load_feed"]


@pytest.mark.parametrize("key", ["secret", "data_url", "proxy"])
def test_a_variable_whose_bytes_are_no_utf_8_is_a_mistake(key: str) -> None:
    """Python reads such bytes as halves of surrogate pairs, and no venue can be sent one."""
    feed = {"venue": "alpaca", "key": "k", "secret": "s"} | {key: "${S}"}
    with pytest.raises(ConfigError) as raised:
        load({"feeds": {"a": feed}}, {"S": os.fsdecode(b"canary-\xff")})
    assert list(raised.value.problems) == [
        f"<config>: [feeds.a] {key}: expected text that can be sent; it has halves of surrogate pairs, as a "
        "variable has whose bytes are no UTF-8."
    ]


def test_a_home_directory_that_is_not_there_is_no_crash(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"~no-such-user/desk\.toml: there is no such file"):
        load("~no-such-user/desk.toml")
    feed = {"venue": "tplus", "ca_file": "~no-such-user/ca", "keystore": "~no-such-user/k"}
    with pytest.raises(ConfigError) as raised:
        load({"trading": {"dir": "~no-such-user/orders"}, "feeds": {"a": feed}}, {})
    assert [each.partition(": ")[2].partition(";")[0] for each in raised.value.problems] == [
        "[trading] dir: expected an absolute path, the same for every process that trades the same accounts.",
        "[feeds.a] keystore: there is no file '~no-such-user/k' (from the config's directory).",
        "[feeds.a] ca_file: there is no file '~no-such-user/ca' (from the config's directory).",
    ]


@pytest.mark.parametrize("url", ["SIM://o2", "WS://host.example", "Wss://host.example"])
def test_the_scheme_of_an_address_is_in_lower_case(url: str) -> None:
    """Else a simulator is not known for one, nor an address that sends in clear."""
    for written in (url, [url]):
        with pytest.raises(ConfigError, match=r"url: .*expected a URL that starts with .*, in lower case\."):
            load({"feeds": {"a": {"venue": "o2", "url": written}}}, {})
