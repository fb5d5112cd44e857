"""What the page and the errors tell people who come from alpaca-py is there."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

import actors
from actors import ConfigError, LinewardenError
from actors.settings import load
from actors.settings.wording import keys_of
from actors.venues import alpaca
from actors.venues.alpaca import Alpaca
from actors.venues.alpaca.endpoints import STREAMS
from actors.venues.alpaca.foreign_words import WORDS
from tests.migrating.test_pages import HERE, names_of

SDK, MANAGER = WORDS
NAMES = names_of(HERE / "alpaca-py.txt")
EVENTS: dict[str, type[msgspec.Struct]] = {
    "Trade": alpaca.Trade,
    "Quote": alpaca.Quote,
    "Bar": alpaca.Bar,
    "TradingStatus": alpaca.Status,
    "TradeCancel": alpaca.CancelError,
    "TradeCorrection": alpaca.Correction,
    "Orderbook": alpaca.OrderBook,
    "OrderbookQuote": alpaca.Level,
    "News": alpaca.News,
    "TradeUpdate": alpaca.TradeUpdate,
    "Order": alpaca.Order,
}
RENAMED = {"Bar.trade_count": "trades", "OrderbookQuote.size": "quantity"}
FROM_REST_ALONE = {"News.images"}
FEED: dict[str, Any] = {"venue": "alpaca", "url": "sim://alpaca", "key": "K", "secret": "S"}


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in NAMES
        if name.partition(".")[0] in EVENTS and "." in name and name not in FROM_REST_ALONE
    ],
)
def test_each_field_of_a_model_is_one_of_its_event(name: str) -> None:
    model, _, field = name.partition(".")
    assert RENAMED.get(name, field) in EVENTS[model].__struct_fields__


def test_each_channel_and_stream_that_the_words_name_is_there() -> None:
    told = " ".join([*SDK.channels.values(), *SDK.calls.values(), *MANAGER.calls.values()])
    named = set(re.findall(r"channel '(\w+)'|subscribe\(feed, '(\w+)'", told))
    assert {channel for pair in named for channel in pair if channel} == set(Alpaca.channels) - {
        *("lulds", "imbalances", "pricing")  # alpaca-py cannot subscribe to them
    }
    said = [call.partition("stream = ")[2] for call in SDK.calls.values()]
    streams = {stream for text in said for stream in re.findall(r"'(\w+)'", text)}
    assert streams == {"iex", "sip", "crypto", "indicative", "opra", "news", "account"}
    assert streams <= STREAMS.keys()
    for key in ("key", "secret", "stream", "url"):
        assert f"key {key!r}" in SDK.keys.values()
        assert key in keys_of(Alpaca.Settings)


def test_each_event_type_that_the_words_name_is_there() -> None:
    told = " ".join(SDK.calls.values())
    for name in re.findall(r"actors\.venues\.alpaca\.(\w+)", told):
        assert hasattr(alpaca, name)


def test_each_method_and_client_has_a_word_or_the_same_name_here() -> None:
    clients = {name for name in NAMES if name.endswith("Stream") and ":" not in name}
    methods = {name.partition(".")[2] for name in NAMES if name.partition(".")[0] in clients}
    ours = {*dir(actors.Runtime), *dir(actors.Stream)}
    assert (clients | methods) - {""} - ours <= SDK.calls.keys()


def test_each_class_and_method_of_the_manager_has_a_word_or_the_same_name_here() -> None:
    of_the_manager = [name.partition(":")[2] for name in NAMES if name.startswith("manager:")]
    fields = {"TickerSnapshot", "MarketDataResult", "option", "setting", "stat"}
    classes = {name.partition(".")[0] for name in of_the_manager} - {"option", "setting", "stat"}
    methods = {name.partition(".")[2] for name in of_the_manager if name.partition(".")[0] not in fields}
    assert (classes | methods) - {""} - {*dir(actors.Runtime)} <= MANAGER.calls.keys()


def test_each_model_and_enumeration_has_a_word() -> None:
    assert {name.partition(".")[0] for name in NAMES if ":" not in name} <= SDK.calls.keys()


def test_the_words_are_told_where_they_are_used() -> None:
    with pytest.raises(ConfigError) as caught:
        load({"feeds": {"a": FEED | {"api_key": "K", "data_timeout": 30.0}}}, {})
    assert [each.rpartition(": ")[2] for each in caught.value.problems] == [
        "it is alpaca-py's name for key 'key'.",
        "it is alpaca-py's name for option stale_after of a subscription, with stale_action of "
        "[feeds.NAME.health].",
    ]
    with actors.start({"feeds": {"a": FEED}}, wait=10.0) as runtime:
        with pytest.raises(LinewardenError, match="alpaca-py's name for channel 'updated_bars'"):
            runtime.subscribe("a", "updatedBars", "SPY")
        with pytest.raises(LinewardenError, match=r"alpaca-py's name for messages as dicts"):
            runtime.subscribe("a", "quotes", "SPY", raw_data=True)
        with pytest.raises(AttributeError, match=r"alpaca-py's name for runtime\.subscribe"):
            runtime.subscribe_quotes  # type: ignore[attr-defined]  # noqa: B018  # a name of another SDK
        with pytest.raises(AttributeError, match=r"ReadyTrader-Stocks's name for runtime\.put_price\("):
            runtime.put_ticker  # type: ignore[attr-defined]  # noqa: B018  # likewise
