"""What a type checker sees of channels, keys, options, handlers and merged streams.

`test_typing.py` gives this page to mypy and to pyright, without its `type: ignore` comments. A line that has
one must be reported by both, and no other line may be. Nothing here is run.
"""
# pyright: strict

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, assert_type

import actors
from actors import Lifecycle, Marked, Received, Runtime, Stream
from actors.protocol import TypedChannel
from actors.venues import alpaca, o2, projectx

Book = o2.DepthSnapshot | o2.DepthChange


def a_constant_has_the_type_of_its_events(runtime: Runtime) -> None:
    assert_type(runtime.subscribe("stocks", alpaca.QUOTES, "AAPL"), Stream[alpaca.Quote])
    assert_type(runtime.subscribe("stocks", alpaca.TRADE_UPDATES), Stream[alpaca.TradeUpdate])
    assert_type(runtime.subscribe("o2", o2.DEPTH, "0xa"), Stream[Book])
    for quote in runtime.subscribe("stocks", alpaca.QUOTES, "AAPL"):
        assert_type(quote, alpaca.Quote)
        assert quote.bid_prise  # type: ignore[attr-defined]


def text_has_any_event_and_any_option(runtime: Runtime, name: str) -> None:
    assert_type(runtime.subscribe("o2", "depth", "0xa", precision="100", wait=5), Stream[Any])
    assert_type(runtime.subscribe("o2", name), Stream[Any])
    assert_type(runtime.on("o2", "depth", "0xa", handler=print, precision="100"), Stream[Any])
    assert_type(runtime.subscribe("o2", str(o2.DEPTH), "0xa"), Stream[Any])


def a_constant_is_no_text() -> None:
    "".join([alpaca.QUOTES])  # type: ignore[list-item]
    assert alpaca.QUOTES == "quotes"
    assert {"quotes": 1}.get(str(alpaca.QUOTES))


def keys_are_text_integers_or_one_iterable(
    runtime: Runtime, ids: Iterator[int], mixed: list[str | int]
) -> None:
    orders = runtime.subscribe("topstep", projectx.ORDERS, 4242)
    runtime.subscribe("topstep", projectx.ORDERS, 4242, "4243")
    runtime.subscribe("topstep", projectx.ORDERS, ["4242", 4243])
    runtime.subscribe("topstep", "orders", ids)
    runtime.on("topstep", projectx.ORDERS, {4242, 4243}, handler=print)
    orders.add(4244)
    orders.add(mixed, wait=5)
    orders.remove(range(4242, 4244))
    runtime.latest("topstep", 4242)
    runtime.book("o2", "0xa", depth=5)
    runtime.subscribe("topstep", projectx.ORDERS, 4242.0)  # type: ignore[call-overload]
    runtime.subscribe("topstep", "orders", None)  # type: ignore[call-overload]
    runtime.subscribe("topstep", projectx.ORDERS, [["4242"]])  # type: ignore[list-item]
    orders.add(4242.0)  # type: ignore[arg-type]
    runtime.book("o2", ["0xa"])  # type: ignore[arg-type]


def every_channel_has_the_same_keywords(runtime: Runtime) -> None:
    quotes = runtime.subscribe("stocks", alpaca.QUOTES, "AAPL", policy="conflate", capacity=10, wait=None)
    assert_type(quotes, Stream[alpaca.Quote])
    runtime.subscribe("stocks", alpaca.QUOTES, "AAPL", stale_after=5, max_event_lag=1.5, calendar="nyse")
    runtime.subscribe("stocks", alpaca.QUOTES, "AAPL", drop_older_than=2)
    runtime.subscribe("stocks", alpaca.QUOTES, "AAPL", polcy="block")  # type: ignore[call-overload]
    runtime.subscribe("stocks", alpaca.QUOTES, "AAPL", policy="blok")  # type: ignore[call-overload]
    runtime.subscribe("stocks", "quotes", "AAPL", policy="blok")  # type: ignore[call-overload]
    runtime.subscribe("stocks", alpaca.QUOTES, "AAPL", capacity="10")  # type: ignore[call-overload]
    runtime.subscribe("stocks", "quotes", "AAPL", wait="10")  # type: ignore[call-overload]
    runtime.subscribe("stocks", alpaca.QUOTES, "AAPL", stale_afer=5)  # type: ignore[call-overload]


def options_are_those_of_the_channel(runtime: Runtime, finest: o2.Precision) -> None:
    assert_type(runtime.subscribe("o2", o2.DEPTH, "0xa", precision="100", wait=5), Stream[Book])
    assert_type(runtime.subscribe("o2", o2.DEPTH, "0xa", precision=finest), Stream[Book])
    assert_type(runtime.subscribe("o2", o2.DEPTH_VIEW, "0xa", frequency="1s"), Stream[o2.DepthView])
    view = runtime.subscribe("o2", o2.DEPTH_VIEW, "0xa", precision="10", frequency="3s", policy="conflate")
    assert_type(view, Stream[o2.DepthView])
    runtime.subscribe("o2", o2.DEPTH, "0xa", precison="100")  # type: ignore[call-overload]
    runtime.subscribe("o2", o2.DEPTH, "0xa", precision="11")  # type: ignore[misc]
    runtime.subscribe("o2", o2.DEPTH, "0xa", precision=100)  # type: ignore[misc]
    runtime.subscribe("o2", o2.DEPTH, "0xa", frequency="1s")  # type: ignore[misc]
    runtime.subscribe("o2", o2.DEPTH_VIEW, "0xa", frequency="2s")  # type: ignore[misc]
    runtime.subscribe("o2", o2.TRADES, "0xa", precision="10")  # type: ignore[call-overload]


def a_constant_is_called_to_have_options(runtime: Runtime) -> None:
    assert_type(runtime.subscribe("o2", o2.DEPTH(precision="100"), "0xa"), Stream[Book])
    assert_type(runtime.subscribe("o2", o2.DEPTH_VIEW(frequency="1s"), "0xa"), Stream[o2.DepthView])
    o2.DEPTH(precision="11")  # type: ignore[arg-type]
    o2.DEPTH(precison="10")  # type: ignore[call-arg]
    o2.DEPTH(frequency="1s")  # type: ignore[arg-type]
    o2.DEPTH_VIEW(precision="10", frequency="2s")  # type: ignore[arg-type]
    o2.TRADES(precision="10")  # type: ignore[operator]


def on_quote(quote: alpaca.Quote) -> None: ...
def on_trade(trade: alpaca.Trade) -> None: ...
def on_either(event: alpaca.Quote | alpaca.Trade) -> None: ...
def on_book(event: Book) -> None: ...
def on_marker(marker: actors.Marker) -> None: ...
def on_gap(gap: actors.Gap) -> None: ...


def a_handler_takes_the_events_of_its_channel(runtime: Runtime) -> None:
    assert_type(runtime.on("stocks", alpaca.QUOTES, "AAPL", handler=on_quote), Stream[alpaca.Quote])
    assert_type(runtime.on("stocks", alpaca.QUOTES, "AAPL", handler=on_either), Stream[alpaca.Quote])
    assert_type(runtime.on("stocks", alpaca.QUOTES, "AAPL", handler=print), Stream[alpaca.Quote])
    runtime.on("stocks", alpaca.QUOTES, "AAPL", handler=lambda quote: quote.bid_price)
    runtime.on("stocks", alpaca.QUOTES, "AAPL", handler=on_quote, on_marker=on_marker, inline=True, wait=5)
    runtime.on("o2", o2.DEPTH, "0xa", handler=on_book, precision="100", capacity=50_000)
    runtime.on("stocks", "quotes", "AAPL", handler=on_quote)
    runtime.on("stocks", alpaca.QUOTES, "AAPL", handler=on_trade)  # type: ignore[arg-type]
    runtime.on("stocks", o2.TRADES, "AAPL", handler=on_trade)  # type: ignore[arg-type]
    runtime.on("stocks", alpaca.QUOTES, "AAPL", handler=on_quote, on_marker=on_gap)  # type: ignore[arg-type]
    runtime.on("stocks", alpaca.QUOTES, "AAPL", handler=lambda quote: quote.bid)  # type: ignore[attr-defined]
    runtime.on("stocks", alpaca.QUOTES, "AAPL", handler=on_quote, inlin=True)  # type: ignore[call-overload]
    runtime.on("stocks", alpaca.QUOTES, "AAPL")  # type: ignore[call-overload]
    runtime.on("o2", o2.DEPTH, "0xa", handler=on_book, precision="11")  # type: ignore[misc]


def a_stream_of_quotes_is_one_of_quotes_or_trades(
    quotes: Stream[alpaca.Quote], either: Stream[alpaca.Quote | alpaca.Trade]
) -> None:
    either = quotes
    assert_type(either, Stream[alpaca.Quote])


def a_stream_of_quotes_or_trades_is_none_of_quotes(
    either: Stream[alpaca.Quote | alpaca.Trade],
) -> Stream[alpaca.Quote]:
    return either  # type: ignore[return-value]


def a_channel_of_quotes_opens_a_stream_of_quotes_or_trades(
    runtime: Runtime, handler: Callable[[alpaca.Quote | alpaca.Trade], None]
) -> None:
    channels: list[TypedChannel[alpaca.Quote | alpaca.Trade]] = [alpaca.QUOTES, alpaca.TRADES]
    for channel in channels:
        runtime.on("stocks", channel, "AAPL", handler=handler)
    either: Stream[alpaca.Quote | alpaca.Trade] = runtime.subscribe("stocks", alpaca.QUOTES, "AAPL")
    streams: list[Stream[alpaca.Quote | alpaca.Trade]] = [
        runtime.subscribe("stocks", alpaca.QUOTES, "AAPL"),
        runtime.subscribe("stocks", alpaca.TRADES, "AAPL"),
    ]
    merged: Iterator[Received[alpaca.Quote | alpaca.Trade]] = runtime.merge(
        runtime.subscribe("stocks", alpaca.QUOTES, "AAPL"), runtime.subscribe("stocks", alpaca.TRADES, "AAPL")
    )
    runtime.on("stocks", channels[0], "AAPL", handler=on_quote)  # type: ignore[arg-type]
    assert either, (streams, merged)


def merged_streams_have_the_events_of_each(runtime: Runtime, every: list[Stream[alpaca.Bar]]) -> None:
    quotes = runtime.subscribe("stocks", alpaca.QUOTES, "AAPL")
    trades = runtime.subscribe("stocks", alpaca.TRADES, "AAPL")
    book = runtime.subscribe("o2", o2.DEPTH, "0xa")
    orders = runtime.subscribe("topstep", projectx.ORDERS, 4242)
    assert_type(runtime.merge(quotes), Iterator[Received[alpaca.Quote]])
    assert_type(runtime.merge(quotes, trades), Iterator[Received[alpaca.Quote | alpaca.Trade]])
    assert_type(runtime.merge(quotes, book), Iterator[Received[alpaca.Quote | Book]])
    assert_type(
        runtime.merge(quotes, trades, book, orders, quotes),
        Iterator[Received[alpaca.Quote | alpaca.Trade | Book | projectx.Order]],
    )
    assert_type(
        runtime.merge(quotes, trades, book, orders, quotes, *every),
        Iterator[Received[alpaca.Quote | alpaca.Trade | Book | projectx.Order | alpaca.Bar]],
    )
    assert_type(runtime.merge(*every), Iterator[Received[alpaca.Bar]])
    for received in runtime.merge(quotes, trades):
        if isinstance(received.event, alpaca.Quote):
            assert received.event.bid_price
        else:
            assert_type(received.event, alpaca.Trade)
    runtime.merge(quotes, "trades")  # type: ignore[call-overload]
    runtime.merge([quotes, trades])  # type: ignore[call-overload]


def merged_streams_have_markers_where_they_are_asked_for(runtime: Runtime, asked: bool) -> None:
    quotes, states = runtime.subscribe("stocks", alpaca.QUOTES, "AAPL"), runtime.lifecycle("stocks")
    for received in runtime.merge(quotes, states, markers=False, timeout=5):
        assert_type(received, Received[alpaca.Quote | Lifecycle])
    for item in runtime.merge(quotes, states, markers=asked):
        assert_type(item, Received[alpaca.Quote | Lifecycle] | Marked)
    for item in runtime.merge(quotes, states, markers=True):
        match item:
            case Received(event=event):
                assert_type(event, alpaca.Quote | Lifecycle)
            case Marked(marker=marker):
                assert_type(marker, actors.Marker)
    runtime.merge(quotes, marker=True)  # type: ignore[call-overload]


def what_must_be_fresh_is_named_as_in_subscribe(runtime: Runtime, quotes: Stream[alpaca.Quote]) -> None:
    assert_type(runtime.fresh("stocks", alpaca.QUOTES, "AAPL", max_age=2), actors.Freshness)
    assert_type(runtime.fresh("topstep", projectx.ORDERS, [4242, 4243]), actors.Freshness)
    permit = runtime.require(
        quotes, ("o2", o2.DEPTH(precision="100"), "0xa"), ("topstep", "orders", 4242), "o2"
    )
    assert_type(permit, actors.Permit)
    runtime.fresh("topstep", projectx.ORDERS, 4242.0)  # type: ignore[arg-type]
    runtime.require(4242)  # type: ignore[arg-type]
    runtime.require(quotes, max_agee=5)  # type: ignore[call-arg]


def a_stream_yields_its_events_and_markers(quotes: Stream[alpaca.Quote]) -> None:
    assert_type(quotes.get(timeout=5), alpaca.Quote)
    assert_type(quotes.get_many(5), list[alpaca.Quote])
    for quote in quotes.take(5):
        assert_type(quote, alpaca.Quote)
    for item in quotes.with_markers(timeout=5):
        assert_type(item, alpaca.Quote | actors.Marker)
    for received in quotes.items():
        assert_type(received, Received[alpaca.Quote] | actors.Marker)


def requests_return_futures_and_handles(runtime: Runtime) -> None:
    px = runtime.ask("topstep")
    assert_type(px.ping().get(timeout=5), str)
    assert_type(px.positions(4242).get().rows, tuple[projectx.Position, ...])
    assert_type(px.place(4242, "ENQ", "buy", 1, limit="21000.25"), actors.OrderHandle)
    assert_type(px.close(4242, "ENQ"), actors.OrderHandle)
    assert_type(px.close(4242, "ENQ", sweep=True), actors.SweepHandle)
    match px.cancel(4242, 9).get(timeout=5):
        case actors.Accepted(order_id=order):
            assert_type(order, int | None)
        case actors.Refused(retry_after=seconds):
            assert_type(seconds, float | None)
        case unknown:
            assert_type(unknown, actors.Unknown)
    px.place(4242, "ENQ", "long", 1)  # type: ignore[arg-type]
    px.place(4242, "ENQ", "buy", 1, limitt=1)  # type: ignore[call-arg]
    px.close(4242, "ENQ", 1, sweep=True)  # type: ignore[call-overload]


def what_is_gathered_has_the_type_of_each(runtime: Runtime) -> None:
    px = runtime.ask("topstep")
    assert_type(actors.gather([px.ping(), px.ping()], timeout=5), list[str])
    assert_type(actors.gather({"a": px.ping()}), dict[str, str])
    assert_type(
        actors.gather({1: px.ping()}, return_exceptions=True), dict[int, str | actors.LinewardenError]
    )
    actors.gather(px.ping())  # type: ignore[call-overload]
