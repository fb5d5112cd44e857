"""A feed that names no login takes it from the variables that its venue's SDKs use, and says from which."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from msgspec import structs

import actors
from actors import ConfigError
from actors.protocol import Secret, Variable, Venue, VenueSettings
from actors.settings import FeedSettings, known_venues, load
from actors.settings.environment_login import login_keys
from actors.settings.wording import holds_secret
from actors.simulators import SimulatedAlpaca
from actors.venues import VENUES
from actors.venues.alpaca import Alpaca
from actors.venues.projectx import ProjectX

PX = {"PROJECT_X_USERNAME": "anna", "PROJECT_X_API_KEY": "canary-px-key"}
ALPACA = {"ALPACA_API_KEY": "PK1", "ALPACA_API_SECRET": "canary-hush"}
SECOND = {"APCA_API_KEY_ID": "PK2", "APCA_API_SECRET_KEY": "canary-hush-2"}
DIRECTORY = {"trading": {"dir": "/var/lib/orders"}}
LIMITS = {"max_size": 1, "orders_per_minute": 1}


def read(feed: dict[str, Any], environ: Mapping[str, str]) -> FeedSettings:
    return load({"feeds": {"a": feed}}, environ).feeds["a"]


def mistakes(feed: dict[str, Any], environ: Mapping[str, str], **tables: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load({"feeds": {"a": feed}, **tables}, environ)
    assert "canary" not in str(caught.value)
    return [each.removeprefix("<config>: [feeds.a]").removeprefix(": ") for each in caught.value.problems]


def login_of(feed: FeedSettings) -> dict[str, Any]:
    """What its settings have of a login, without the defaults."""
    values = {name: getattr(feed.own, name) for name in login_keys(feed.kind)}
    return {
        name: value.reveal() if isinstance(value, Secret) else value
        for name, value in values.items()
        if value
    }


# ── which variables are taken ──


@pytest.mark.parametrize(
    ("environ", "login"),
    [
        (ALPACA, {"key": "PK1", "secret": "canary-hush"}),
        ({"ALPACA_API_KEY": "PK1", "ALPACA_SECRET_KEY": "s"}, {"key": "PK1", "secret": "s"}),
        (SECOND, {"key": "PK2", "secret": "canary-hush-2"}),
        (
            ALPACA | {"APCA_API_KEY_ID": "", "APCA_API_SECRET_KEY": " "},
            {"key": "PK1", "secret": "canary-hush"},
        ),
    ],
    ids=["the thread manager's", "alpaca-py's examples'", "alpaca-trade-api's", "beside empty ones"],
)
def test_a_feed_of_alpaca_takes_a_pair_that_is_complete(
    environ: dict[str, str], login: dict[str, str]
) -> None:
    feed = read({"venue": "alpaca"}, environ)
    assert login_of(feed) == login
    assert feed.login_variables == tuple(name for name, value in environ.items() if value.strip())


def test_a_feed_of_projectx_takes_what_project_x_py_reads() -> None:
    feed = read({"venue": "projectx"}, PX)
    assert login_of(feed) == {"user_name": "anna", "api_key": "canary-px-key"}
    assert feed.login_variables == tuple(PX)
    assert "canary" not in repr(feed)


def test_a_value_is_taken_as_it_is() -> None:
    odd = {"ALPACA_API_KEY": "P${HOME}K", "ALPACA_API_SECRET": "$${s"}
    assert login_of(read({"venue": "alpaca"}, odd)) == {"key": "P${HOME}K", "secret": "$${s"}


@pytest.mark.parametrize(
    "own", [{"user_name": "eva", "api_key": "k"}, {"token": "t"}], ids=["of a name and a key", "of a token"]
)
def test_a_login_of_the_feed_is_taken_alone(own: dict[str, str]) -> None:
    feed = read({"venue": "projectx", **own}, PX)
    assert login_of(feed) == own
    assert feed.login_variables == ()


def test_a_part_of_a_login_is_not_filled_up_from_the_environment() -> None:
    assert mistakes({"venue": "projectx", "user_name": "eva"}, PX) == [
        "user_name and api_key go together, and one of them is missing."
    ]
    assert mistakes({"venue": "alpaca", "key": "PK7"}, ALPACA) == [
        ' secret: missing; expected text, such as "${ALPACA_API_SECRET}".'
    ]


def test_variables_that_other_programs_use_for_something_else_are_taken_by_no_feed() -> None:
    """tpluspy's own programs keep the key of an EVM wallet there: as a seed it would be another account."""
    environ = {"TPLUS_PRIVATE_KEY": "17" * 32, "TPLUS_TOKEN": "t", "O2_PRIVATE_KEY": "0x17"}
    for venue in ("tplus", "o2", *(name for name in known_venues() if name not in VENUES)):
        feed = read({"venue": venue}, environ)
        assert feed.login_variables == ()
        assert login_of(feed) == {}


# ── where none is taken ──


@pytest.mark.parametrize("url", ["sim://projectx", "ws://127.0.0.1:5000/hubs/user", "wss://other.example"])
def test_the_environment_s_key_goes_to_no_address_that_the_feed_names(url: str) -> None:
    [mistake] = mistakes({"venue": "projectx", "url": url}, PX)
    assert mistake.endswith(
        ", or a token; PROJECT_X_USERNAME and PROJECT_X_API_KEY of the environment cannot be used, because "
        "the feed has an address of its own (url)."
    )
    [mistake] = mistakes({"venue": "alpaca", "data_url": "https://other.example"}, ALPACA)
    assert mistake.endswith("because the feed has an address of its own (data_url).")


def test_it_is_not_sent_where_another_server_could_be_in_the_venue_s_place() -> None:
    [mistake] = mistakes({"venue": "projectx", "verify_tls": False}, PX)
    assert "cannot be used, because the feed has verify_tls = false" in mistake
    named = {"user_name": "${PROJECT_X_USERNAME}", "api_key": "${PROJECT_X_API_KEY}"}
    assert login_of(read({"venue": "projectx", "verify_tls": False, **named}, PX)) != {}


def test_no_order_leaves_by_a_login_of_the_environment() -> None:
    feed = {"venue": "projectx", "trading": True, "limits": LIMITS}
    [mistake] = mistakes(feed, PX, **DIRECTORY)
    assert mistake.endswith("cannot be used, because a feed with trading = true has to name its login.")
    assert mistakes(feed | {"dry_run": True}, PX, **DIRECTORY) == [mistake]


@pytest.mark.parametrize("name", ["PROJECTX_API_URL", "PROJECTX_USER_HUB_URL", "PROJECTX_MARKET_HUB_URL"])
def test_a_login_is_not_taken_while_the_environment_leads_its_sdk_to_another_address(name: str) -> None:
    environ = PX | {name: "https://gateway.other.example"}
    [mistake] = mistakes({"venue": "projectx"}, environ)
    assert mistake.endswith(
        f"cannot be used, because {name} names an address, which Linewarden does not read: say platform in "
        "the feed."
    )
    assert login_of(read({"venue": "projectx", "platform": "topstepx"}, environ)) != {}
    assert login_of(read({"venue": "projectx"}, PX | {name: " "})) != {}


def test_a_feed_can_refuse_it() -> None:
    [mistake] = mistakes({"venue": "alpaca", "env_login": False}, ALPACA)
    assert mistake.endswith("cannot be used, because the feed has env_login = false.")
    assert read({"venue": "alpaca", "env_login": True}, ALPACA).login_variables == tuple(ALPACA)


class Elsewhere(Alpaca):
    """A venue of one's own, whose hosts are not known to be Alpaca's."""

    name: ClassVar[str] = "elsewhere"


def test_a_class_that_extends_a_venue_does_not_take_that_venue_s_login() -> None:
    place = f"{__name__}:Elsewhere"
    assert mistakes({"venue": place}, ALPACA) == [
        ' key: missing; expected text, such as "${ALPACA_API_KEY}".',
        ' secret: missing; expected text, such as "${ALPACA_API_SECRET}".',
    ]


def test_the_table_of_a_venue_names_no_variable_that_is_taken(tmp_path: Path) -> None:
    from tests.venues.test_declarative import LOGIN

    (tmp_path / "pier.toml").write_text(LOGIN)
    [mistake] = mistakes({"venue": str(tmp_path / "pier.toml")}, {"PIER_KEY": "canary"})
    assert mistake == ' api_key: missing; expected text, such as "${PIER_KEY}".'


# ── what is missing ──


def test_a_feed_without_a_login_is_told_which_variables_would_be_taken() -> None:
    assert mistakes({"venue": "alpaca"}, {}) == [
        'there is no login: add key = "${ALPACA_API_KEY}" and secret = "${ALPACA_API_SECRET}", or set '
        "ALPACA_API_KEY and ALPACA_API_SECRET (or ALPACA_SECRET_KEY), or APCA_API_KEY_ID and "
        "APCA_API_SECRET_KEY in the environment."
    ]
    assert mistakes({"venue": "projectx"}, {}) == [
        'there is no login, and both hubs want one: add user_name = "${PROJECT_X_USERNAME}" and api_key = '
        '"${PROJECT_X_API_KEY}", or a token, or set PROJECT_X_USERNAME and PROJECT_X_API_KEY in the '
        "environment."
    ]


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_variable_counts_as_not_set(empty: str) -> None:
    [mistake] = mistakes({"venue": "projectx"}, dict.fromkeys(PX, empty))
    assert mistake.endswith(
        "in the environment; an empty variable counts as not set: PROJECT_X_USERNAME and PROJECT_X_API_KEY."
    )
    [mistake] = mistakes({"venue": "projectx"}, PX | {"PROJECT_X_API_KEY": empty})
    assert mistake == (
        "PROJECT_X_USERNAME of the environment cannot be used without PROJECT_X_API_KEY, which is not set: "
        "set it, or name the login in the feed; an empty variable counts as not set: PROJECT_X_API_KEY."
    )


def test_half_of_a_pair_is_a_mistake_also_beside_a_pair_that_is_complete() -> None:
    expected = (
        "ALPACA_API_KEY of the environment cannot be used without ALPACA_API_SECRET (or ALPACA_SECRET_KEY), "
        "which is not set: set it, or name the login in the feed."
    )
    assert mistakes({"venue": "alpaca"}, {"ALPACA_API_KEY": "canary"}) == [expected]
    assert mistakes({"venue": "alpaca"}, {"ALPACA_API_KEY": "canary", **SECOND}) == [expected]


def test_variables_that_differ_are_a_mistake() -> None:
    assert mistakes({"venue": "alpaca"}, ALPACA | {"ALPACA_SECRET_KEY": "canary"}) == [
        "ALPACA_API_SECRET and ALPACA_SECRET_KEY of the environment differ, and each would be taken for "
        "secret: name the login in the feed, or unset one of them."
    ]
    [mistake] = mistakes({"venue": "alpaca"}, ALPACA | SECOND)
    assert mistake.startswith("ALPACA_API_KEY and APCA_API_KEY_ID of the environment differ")
    same = ALPACA | {"APCA_API_KEY_ID": "PK1", "APCA_API_SECRET_KEY": "canary-hush"}
    assert read({"venue": "alpaca"}, same).login_variables == tuple(ALPACA)


# ── a feed that runs on it ──


class OnLoopback(Alpaca):
    """Alpaca whose own hosts are a simulator's: a feed names no address to reach it."""

    name: ClassVar[str] = "on_loopback"
    variables: ClassVar[Mapping[str, Variable]] = Alpaca.variables
    home: ClassVar[str] = ""

    def __init__(self, feed: str, settings: VenueSettings) -> None:
        super().__init__(feed, structs.replace(settings, url=self.home))


FEED = {"venue": f"{__name__}:OnLoopback", "subscribe": [{"channel": "quotes", "keys": ["AAPL"]}]}
CONFIG: dict[str, Any] = {"feeds": {"desk": FEED}}


@pytest.fixture
def alpaca(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedAlpaca]:
    keys = {"PK1": "canary-hush", "PK2": "canary-hush-2"}
    with SimulatedAlpaca(rate=0, keys=keys) as simulator:
        monkeypatch.setattr(OnLoopback, "home", simulator.url)
        for name, value in ALPACA.items():
            monkeypatch.setenv(name, value)
        yield simulator


def test_a_feed_logs_in_with_it_and_its_status_says_by_which_variables(
    alpaca: SimulatedAlpaca, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "actors")
    with actors.start(CONFIG, wait=10.0) as runtime:
        status = runtime.status()
        assert status.feeds["desk"].login_variables == tuple(ALPACA)
        assert alpaca.subscribers("quotes", "AAPL") == 1
    assert "canary" not in repr(status) + repr(msgspec.to_builtins(status)) + caplog.text


def test_a_reload_takes_the_environment_as_it_is_then(
    alpaca: SimulatedAlpaca, monkeypatch: pytest.MonkeyPatch
) -> None:
    with actors.start(CONFIG, wait=10.0) as runtime:
        assert runtime.reload(CONFIG).changes == ()
        monkeypatch.setenv("ALPACA_SECRET_KEY", "canary-hush")  # the same by another name
        monkeypatch.delenv("ALPACA_API_SECRET")
        [change] = runtime.reload(CONFIG).changes
        assert change.text == "feed desk takes over login_variables; sockets stay open"
        assert runtime.status().feeds["desk"].login_variables == ("ALPACA_API_KEY", "ALPACA_SECRET_KEY")
        assert alpaca.lives == 1

        monkeypatch.delenv("ALPACA_SECRET_KEY")
        with pytest.raises(ConfigError, match="ALPACA_API_KEY of the environment cannot be used without"):
            runtime.reload(CONFIG)
        assert alpaca.lives == 1
        assert runtime.status().feeds["desk"].live

        monkeypatch.delenv("ALPACA_API_KEY")
        for name, value in SECOND.items():
            monkeypatch.setenv(name, value)
        changes = runtime.reload(CONFIG).changes
        assert changes[0].text == "feed desk is reconnected: key and secret changed"
        runtime.wait_live("desk", timeout=10.0)
        assert alpaca.lives == 2
        assert runtime.status().feeds["desk"].login_variables == tuple(SECOND)


def test_a_feed_that_a_program_adds_takes_it_too(
    alpaca: SimulatedAlpaca, monkeypatch: pytest.MonkeyPatch
) -> None:
    with actors.start({"feeds": {}}) as runtime:
        runtime.add_feed("desk", FEED)
        runtime.wait_live("desk", timeout=10.0)
        assert runtime.status().feeds["desk"].login_variables == tuple(ALPACA)
        assert alpaca.authorized == 1
        monkeypatch.delenv("ALPACA_API_KEY")
        with pytest.raises(ConfigError, match="ALPACA_API_SECRET of the environment cannot be used without"):
            runtime.add_feed("second", FEED)
        assert list(runtime.status().feeds) == ["desk"]


@pytest.mark.parametrize("kind", [Alpaca, ProjectX])
def test_a_login_of_a_venue_fills_keys_that_the_venue_has(kind: type[Venue]) -> None:
    fields = {field.encode_name: field for field in structs.fields(kind.Settings)}
    for variable in kind.variables.values():
        assert variable.key in fields
    secret = {name for name, field in fields.items() if holds_secret(field.type)}
    assert secret <= login_keys(kind)
