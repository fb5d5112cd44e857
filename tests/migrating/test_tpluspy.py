"""People who come from tpluspy: its words in errors, and what its page says of Linewarden."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import actors
from actors.errors import ConfigError, LinewardenError
from actors.settings import load
from actors.venues import VENUES, tplus
from tests.migrating.test_pages import HERE, PAGES, TRANSLATED, names_of
from tests.venues.test_tplus_keystore import PASSWORD, WRITTEN

NAMES = {re.split(r"[.:]", name)[-1] for name in names_of(HERE / "tpluspy.txt")}
[WORDS] = VENUES["tplus"].sdk_words()
# Paths, channels of welcomes and commands, which are no names of Python.
OTHERS = {
    *("marketdepth", "finalized_trades", "finalized-trades", "user_trade_events", "user-trades"),
    *("user_positions", "user_events", "password"),
}
MODELS: dict[str, type[msgspec.Struct]] = {
    "IntentAggregateUpdate": tplus.Intent,
    "MarginCallUpdated": tplus.MarginCallUpdated,
    "Order": tplus.Order,
    "OrderAmendedEvent": tplus.Amended,
    "OrderBook": tplus.DepthSnapshot,
    "OrderBookDiff": tplus.DepthChange,
    "OrderCancelledEvent": tplus.Canceled,
    "OrderCreatedEvent": tplus.Created,
    "OrderRemovedEvent": tplus.Removed,
    "OrderReplacedEvent": tplus.Replaced,
    "PositionResponse": tplus.Position,
    "PositionUpdate": tplus.PositionUpdate,
    "SubAccountAssetTransferred": tplus.SubAccountAssetTransferred,
    "Ticker": tplus.Ticker,
    "TickerOpenInterest": tplus.OpenInterest,
    "Timebar": tplus.Timebar,
    "Trade": tplus.Trade,
    "UserTrade": tplus.UserTrade,
    "WithdrawalCompleted": tplus.WithdrawalCompleted,
}
RENAMED = {"sequence_number": "sequence", "total_open_interest": "total"}
# What the page names in its remarks, and methods.
ELSEWHERE = {
    "Order.serialize_trigger",
    "Order.signable_part",
    "OrderCreatedEvent.order_id",
    "Timebar.close_datetime",
    "Timebar.open_datetime",
    "UserTrade.buyer_is_maker",
}
CONFIG: dict[str, Any] = {"feeds": {"tplus": {"venue": "tplus", "url": "sim://tplus?rate=0"}}}


def test_each_translated_word_is_one_of_the_sdk() -> None:
    words = WORDS.channels.keys() | WORDS.options.keys() | WORDS.keys.keys() | WORDS.calls.keys()
    assert words - NAMES - OTHERS == set()


@pytest.mark.parametrize("model", MODELS)
def test_each_field_of_a_model_is_one_of_its_event(model: str) -> None:
    listed = [name for name in names_of(HERE / "tpluspy.txt") if name.startswith(f"{model}.")]
    fields = {name.partition(".")[2] for name in listed if name not in ELSEWHERE} - {"event_type"}
    assert len(fields) > 2
    there = dir(MODELS[model])
    assert {field for field in fields if RENAMED.get(field, field) not in there} == set()


def test_arguments_of_its_clients_are_translated_in_a_feed() -> None:
    given = dict.fromkeys(WORDS.keys, "x")
    with pytest.raises(ConfigError) as told:
        load({"feeds": {"tplus": {"venue": "tplus", **given}}})
    for key in given:
        assert re.search(f"{key}: there is no such key: it is tpluspy{TRANSLATED}", str(told.value))


def test_its_streams_and_classes_are_translated() -> None:
    with actors.start(CONFIG) as runtime:
        with pytest.raises(LinewardenError, match="it is tpluspy's name for channel 'user_trades'"):
            runtime.subscribe("tplus", "stream_user_trade_events")
        with pytest.raises(AttributeError, match=r"tpluspy's name for runtime\.bars\(\.\.\.\)"):
            runtime.iter_klines  # type: ignore[attr-defined]  # noqa: B018
        with pytest.raises(LinewardenError, match="tpluspy's name for a timeframe of runtime"):
            runtime.subscribe("tplus", "klines", 200, interval="4h")
    with pytest.raises(AttributeError, match="tpluspy's name for key 'keystore' of a feed"):
        actors.load_user  # type: ignore[attr-defined]  # noqa: B018


def test_what_is_not_here_is_refused_and_not_pretended() -> None:
    with actors.start(CONFIG) as runtime:
        with pytest.raises(LinewardenError, match="tplus"):
            runtime.ask("tplus")
        with pytest.raises(LinewardenError, match="tplus"):
            runtime.account("tplus", 1)
    trading = CONFIG["feeds"]["tplus"] | {
        "trading": True,
        "limits": {"max_size": 1, "orders_per_minute": 1},
    }
    with pytest.raises(ConfigError, match="venue tplus takes no orders from Linewarden"):
        load({"trading": {"dir": "/tmp"}, "feeds": {"tplus": trading}})


def test_the_name_of_a_user_comes_from_the_sdk_s_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # what ~ means
    user = tmp_path / ".tplus" / "users" / "alice"
    user.parent.mkdir(parents=True)
    user.write_text(WRITTEN, "utf-8")
    user.chmod(0o600)
    feed = {"venue": "tplus", "keystore": "~/.tplus/users/${TPLUS_ACCOUNT}"}
    environ = {"TPLUS_ACCOUNT": "alice", "TPLUS_PASSWORD": PASSWORD}
    its = load({"feeds": {"tplus": feed}}, environ).feeds["tplus"]
    assert its.login_variables == ("TPLUS_PASSWORD",)
    assert its.build_venue().needs_token("tplus/orders")


def test_each_event_that_the_page_names_is_there() -> None:
    page = (PAGES / "tpluspy.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`tplus\.([A-Za-z_]+)", page)) - {"evm"}
    assert [name for name in named if not hasattr(tplus, name)] == []
    assert {"DEPTH", "DepthChange", "Unknown"} <= named


def test_it_and_linewarden_want_other_versions_of_websockets() -> None:
    """As the page says. `tests/interop` asserts what tpluspy wants: a version before 14."""
    project = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [ours] = [each for each in map(Requirement, project["dependencies"]) if each.name == "websockets"]
    assert Version("13.1") not in ours.specifier
    assert Version("17.0") in ours.specifier
