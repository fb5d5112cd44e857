"""What Alpaca offers: streams, symbols in one form, mistakes with advice, addresses, prices."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, assert_type

import msgspec
import pytest

from actors.errors import ConfigError, LinewardenError
from actors.events import Topic
from actors.http_types import HttpAnswer, HttpRequest
from actors.protocol import Opening
from actors.protocol.channel import TypedChannel
from actors.protocol.conversation import Conversation
from actors.protocol.prices import BookUpdate, Price
from actors.reasons import Fatal, Reason, Retryable, Slow
from actors.rules.latest_price import symbol_of
from actors.secret import Secret
from actors.settings import load
from actors.venues import VENUES, alpaca
from actors.venues.alpaca import Alpaca, AlpacaSettings, Level, OrderBook, Quote, Trade
from actors.venues.alpaca.endpoints import STREAMS

KEYS = (("APCA-API-KEY-ID", "K"), ("APCA-API-SECRET-KEY", "S"))


def venue(**settings: Any) -> Alpaca:
    return Alpaca("desk", AlpacaSettings(key=Secret("K"), secret=Secret("S"), **settings))


def test_alpaca_is_known_by_its_name() -> None:
    assert VENUES["alpaca"] is Alpaca
    assert {name for name, channel in Alpaca.channels.items() if channel.account} == {"trade_updates"}
    assert {name for name, channel in Alpaca.channels.items() if channel.deltas} == {"orderbooks"}
    assert all(type(name) is str for name in Alpaca.channels)


def test_typed_names_carry_their_events() -> None:
    assert_type(alpaca.QUOTES, TypedChannel[Quote])
    assert_type(alpaca.TRADE_UPDATES, TypedChannel[alpaca.TradeUpdate])
    named = {each for each in vars(alpaca).values() if isinstance(each, TypedChannel)}
    assert named == set(Alpaca.channels)
    assert set().union(*(stream.channels for stream in STREAMS.values())) == set(Alpaca.channels)


# ── keys and channels ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("stream", "channel", "key", "canonical"),
    [
        ("iex", "quotes", " aapl ", "AAPL"),
        ("sip", "trades", "brk.b", "BRK.B"),
        ("iex", "bars", "*", "*"),
        ("crypto", "orderbooks", "btc/usd", "BTC/USD"),
        ("crypto/eu-1", "pricing", "btc-perp", "BTC-PERP"),
        ("opra", "quotes", "aapl261218c00200000", "AAPL261218C00200000"),
        ("indicative", "trades", "*", "*"),
        ("news", "news", "btcusd", "BTCUSD"),
        ("test", "quotes", "fakepaca", "FAKEPACA"),
        ("account", "trade_updates", "", ""),
    ],
)
def test_spellings_of_a_symbol_are_one_topic(stream: str, channel: str, key: str, canonical: str) -> None:
    assert venue(stream=stream).topic(channel, key, {}) == Topic("desk", channel, canonical)


@pytest.mark.parametrize(
    ("stream", "channel", "key", "words"),
    [
        ("iex", "quote", "AAPL", "did you mean 'quotes'?"),
        ("iex", "orderbooks", "AAPL", "stream 'iex' has no orderbooks; streams that have: crypto, crypto/us"),
        ("test", "statuses", "FAKEPACA", "It has: trades, quotes, bars."),
        ("iex", "trade_updates", "", "streams that have: account."),
        ("iex", "quotes", "", "quotes takes a symbol such as AAPL, or * for all, and was given no key."),
        ("iex", "quotes", " ", "was given no key."),
        ("iex", "quotes", "AAPL,MSFT", "was given 'AAPL,MSFT'."),
        ("iex", "quotes", "A" * 33, "a symbol such as AAPL"),
        ("iex", "quotes", "Ä", "was given 'Ä'."),
        ("iex", "quotes", "**", "was given '**'."),
        ("crypto", "quotes", "BTCUSD", "takes a pair such as BTC/USD"),
        ("opra", "quotes", "AAPL", "takes a contract such as AAPL261218C00200000"),
        ("opra", "quotes", "*", "no * for the quotes of options"),
        ("test", "quotes", "AAPL", "the test stream has one symbol, FAKEPACA; 'AAPL' stays silent."),
        ("account", "trade_updates", "AAPL", "takes no key, and was given 'AAPL'."),
    ],
)
def test_a_mistake_is_told_with_advice(stream: str, channel: str, key: str, words: str) -> None:
    with pytest.raises(LinewardenError, match=re.escape(words)) as raised:
        venue(stream=stream).topic(channel, key, {})
    assert str(raised.value).startswith("desk: ")


def test_no_channel_has_options() -> None:
    with pytest.raises(LinewardenError, match=r"quotes has no option 'depth'\. It takes: none"):
        venue().topic("quotes", "AAPL", {"depth": 1})


# ── addresses and settings ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "wss://stream.data.alpaca.markets/v2/iex"),
        ({"stream": "sip"}, "wss://stream.data.alpaca.markets/v2/sip"),
        ({"stream": "test", "sandbox": True}, "wss://stream.data.sandbox.alpaca.markets/v2/test"),
        ({"stream": "overnight"}, "wss://stream.data.alpaca.markets/v1beta1/overnight"),
        ({"stream": "crypto"}, "wss://stream.data.alpaca.markets/v1beta3/crypto/us"),
        ({"stream": "crypto/eu-1"}, "wss://stream.data.alpaca.markets/v1beta3/crypto/eu-1"),
        ({"stream": "news"}, "wss://stream.data.alpaca.markets/v1beta1/news"),
        ({"stream": "account"}, "wss://paper-api.alpaca.markets/stream"),
        ({"stream": "account", "paper": False}, "wss://api.alpaca.markets/stream"),
        ({"url": "ws://127.0.0.1:1"}, "ws://127.0.0.1:1/v2/iex"),
        ({"url": "ws://127.0.0.1:1/", "stream": "news"}, "ws://127.0.0.1:1/v1beta1/news"),
        ({"url": "ws://127.0.0.1:1?a=b"}, "ws://127.0.0.1:1/v2/iex?a=b"),
        ({"url": "wss://proxy.example/alpaca", "stream": "opra"}, "wss://proxy.example/alpaca"),
    ],
)
def test_the_endpoint_is_the_streams_or_the_one_that_is_given(settings: dict[str, Any], url: str) -> None:
    assert venue(**settings).endpoint(Opening("desk")).url == url


@pytest.mark.parametrize("name", STREAMS)
def test_a_url_says_which_stream_it_is(name: str) -> None:
    there = venue(url=f"ws://127.0.0.1:1/proxied{STREAMS[name].path}/")
    channel = STREAMS[name].channels[0]
    key = {"crypto": "BTC/USD", "options": "A261218C00200000", "account": ""}.get(STREAMS[name].kind, "*")
    assert there.topic(channel, key, {}).channel == channel


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({}, ()),
        ({"encoding": "msgpack"}, (("Content-Type", "application/msgpack"),)),
        ({"stream": "opra"}, (("Content-Type", "application/msgpack"),)),
        ({"login": "header"}, KEYS),
        ({"login": "header", "stream": "opra"}, (("Content-Type", "application/msgpack"), *KEYS)),
    ],
)
def test_the_handshake_says_the_encoding_and_maybe_the_keys(
    settings: dict[str, Any], headers: tuple[tuple[str, str], ...]
) -> None:
    endpoint = venue(**settings).endpoint(Opening("desk"))
    assert endpoint.headers == headers
    assert "APCA" not in repr(endpoint)


def config(**settings: Any) -> dict[str, Any]:
    keys = {"key": "${ALPACA_API_KEY}", "secret": "${ALPACA_API_SECRET}"}
    return {"feeds": {"desk": {"venue": "alpaca", **keys, **settings}}}


ENVIRON = {"ALPACA_API_KEY": "PKCANARY", "ALPACA_API_SECRET": "SECRETCANARY"}


def test_keys_come_from_the_environment_and_are_shown_nowhere() -> None:
    settings = load(config(subscribe=[{"channel": "quotes", "keys": ["aapl"]}]), ENVIRON)
    own = settings.feeds["desk"].own
    assert isinstance(own, AlpacaSettings)
    assert own.key.reveal() == "PKCANARY"
    assert "CANARY" not in repr(settings)


@pytest.mark.parametrize(
    ("source", "environ", "words"),
    [
        (config(), {}, "key: the environment variable ALPACA_API_KEY is not set"),
        (config(secret=""), ENVIRON, "[feeds.desk] secret: expected text that is not empty"),
        ({"feeds": {"desk": {"venue": "alpaca"}}}, {}, "[feeds.desk]: there is no login: add key = "),
        (config(stream="opra", encoding="json"), ENVIRON, "options come in msgpack alone"),
        (config(stream="siip"), ENVIRON, "did you mean 'sip'?"),
        (config(url="wss://proxy.example/x"), ENVIRON, "the path of url says nothing of the stream"),
        (config(stream="account", login="header"), ENVIRON, "logs in by message alone"),
        (config(stream="account", sandbox=True), ENVIRON, "the account stream has no sandbox"),
        (config(data_url="data.example"), ENVIRON, "starts with https:// or http://"),
        (
            config(subscribe=[{"channel": "orderbooks", "keys": ["BTC/USD"]}]),
            ENVIRON,
            "stream 'iex' has no orderbooks",
        ),
    ],
)
def test_a_config_that_cannot_work_is_refused(
    source: dict[str, Any], environ: Mapping[str, str], words: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        load(source, environ)
    assert words in str(raised.value)
    assert "CANARY" not in str(raised.value)


# ── prices ──────────────────────────────────────────────────────────────────────────────────────

T = "2026-03-02T15:04:05.120000045Z"
T_NS = 1_772_463_845_120_000_045


def quote(bid: str = "10.01", ask: str = "10.02", at: str = T) -> Quote:
    return Quote(
        symbol="AAPL",
        timestamp=at,
        bid_price=Decimal(bid),
        bid_size=3,
        ask_price=Decimal(ask),
        ask_size=1,
    )


def test_a_quote_makes_prices_of_its_two_sides() -> None:
    price = venue().price(quote())
    assert price == Price(
        "AAPL",
        bid=Decimal("10.01"),
        bid_size=3,
        ask=Decimal("10.02"),
        ask_size=1,
        quoted_ns=T_NS,
        quotes=True,
    )


@pytest.mark.parametrize("none", ["0", "0.00", "-1", "NaN", "Infinity"])
def test_a_side_without_a_price_is_none(none: str) -> None:
    price = venue().price(quote(bid=none))
    assert price is not None
    assert (price.bid, price.bid_size, price.ask) == (None, None, Decimal("10.02"))


def test_a_trade_says_the_last_price_alone() -> None:
    trade = Trade(symbol="AAPL", timestamp=T, price=Decimal("10.02"), size=100)
    assert venue().price(trade) == Price("AAPL", last=Decimal("10.02"), last_size=100, traded_ns=T_NS)
    assert venue().price(msgspec.structs.replace(trade, price=Decimal(0))) is None
    assert venue().price("something else") is None


def test_a_quote_whose_time_cannot_be_read_has_a_price_all_the_same() -> None:
    price = venue().price(quote(at="the second of March, noon"))
    assert price is not None
    assert (price.quoted_ns, price.bid) == (None, Decimal("10.01"))


def test_a_book_is_whole_at_its_reset_and_then_changes() -> None:
    there = venue(stream="crypto")
    book = OrderBook(symbol="BTC/USD", timestamp=T, bids=(Level(Decimal("1.5"), Decimal("0.4")),), reset=True)
    assert there.book_update(book) == BookUpdate(
        [(Decimal("1.5"), Decimal("0.4"))], [], whole=True, at_ns=T_NS
    )
    change = there.book_update(msgspec.structs.replace(book, reset=None, timestamp="x" * 20))
    assert change is not None
    assert (change.whole, change.relative, change.at_ns) == (False, False, None)
    assert there.book_update(quote()) is None
    assert Alpaca.book_channel == "orderbooks"


def test_a_reset_starts_its_own_symbol_anew_and_not_the_topic_of_all() -> None:
    there = venue(stream="crypto")
    one, every = (there.topic("orderbooks", key, {}) for key in ("BTC/USD", "*"))
    reset = OrderBook(symbol="BTC/USD", timestamp=T, reset=True)
    assert there.starts_anew(one, reset)
    assert not there.starts_anew(one, msgspec.structs.replace(reset, reset=None))
    assert not there.starts_anew(every, reset)
    assert not there.starts_anew(there.topic("quotes", "BTC/USD", {}), quote())


# ── the latest prices over REST ─────────────────────────────────────────────────────────────────


def played(
    conversation: Conversation[Price] | None, *answers: HttpAnswer
) -> tuple[list[HttpRequest], Price | Reason]:
    """What it asked, and what came of it; it may ask less than there are answers."""
    assert conversation is not None
    asked = [next(conversation)]
    for answer in answers:
        try:
            asked.append(conversation.send(answer))
        except StopIteration as stop:
            return asked, stop.value
    raise AssertionError(f"it goes on asking: {asked}")


QUOTES = HttpAnswer(
    200, b'{"quotes":{"AAPL":{"ap":0,"as":0,"ax":"V","bp":10.01,"bs":3,"bx":"V","c":["R"],"t":"%b","z":"C"}}}'
    % T.encode()
)  # fmt: skip
TRADES = HttpAnswer(
    200, b'{"trades":{"AAPL":{"c":["@"],"i":1,"p":10.02,"s":100,"t":"%b","x":"V","z":"C"}}}' % T.encode()
)


@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_without_trades_and_quotes_tells_no_prices(stream: str) -> None:
    key = {"crypto": "BTC/USD", "options": "AAPL261218C00200000"}.get(STREAMS[stream].kind, "AAPL")
    key = "FAKEPACA" if stream == "test" else key
    if stream in {"news", "account"}:
        with pytest.raises(LinewardenError, match=r"^desk: none of its channels has prices$"):
            symbol_of(venue(stream=stream), key)
    else:
        assert symbol_of(venue(stream=stream), key.lower()) == key


def test_the_latest_quote_and_trade_are_asked_for_one_after_the_other() -> None:
    asked, price = played(venue(stream="sip").latest(" aapl"), QUOTES, TRADES)
    base = "https://data.alpaca.markets/v2/stocks"
    assert [request.url for request in asked] == [
        f"{base}/quotes/latest?symbols=AAPL&feed=sip",
        f"{base}/trades/latest?symbols=AAPL&feed=sip",
    ]
    assert {request.headers for request in asked} == {KEYS}
    assert price == Price(
        "AAPL",
        bid=Decimal("10.01"),
        bid_size=3,
        last=Decimal("10.02"),
        last_size=100,
        quoted_ns=T_NS,
        traded_ns=T_NS,
        quotes=True,
    )


@pytest.mark.parametrize(
    ("settings", "key", "url"),
    [
        (
            {"stream": "crypto/us-1"},
            "btc/usd",
            "https://data.alpaca.markets/v1beta3/crypto/us-1/latest/quotes?symbols=BTC%2FUSD",
        ),
        (
            {"stream": "indicative", "sandbox": True},
            "A261218C00200000",
            "https://data.sandbox.alpaca.markets/v1beta1/options/quotes/latest"
            "?symbols=A261218C00200000&feed=indicative",
        ),
        (
            {"url": "ws://127.0.0.1:9801/v2/iex"},
            "AAPL",
            "http://127.0.0.1:9801/v2/stocks/quotes/latest?symbols=AAPL&feed=iex",
        ),
        (
            {"url": "wss://[::1]:9801"},
            "AAPL",
            "https://[::1]:9801/v2/stocks/quotes/latest?symbols=AAPL&feed=iex",
        ),
        (
            {"data_url": "https://proxy.example/alpaca/", "url": "ws://localhost:1"},
            "AAPL",
            "https://proxy.example/alpaca/v2/stocks/quotes/latest?symbols=AAPL&feed=iex",
        ),
    ],
)
def test_where_the_latest_prices_are_asked_for(settings: dict[str, Any], key: str, url: str) -> None:
    conversation = venue(**settings).latest(key)
    assert conversation is not None
    assert next(conversation).url == url


@pytest.mark.parametrize(
    ("stream", "key"), [("news", "AAPL"), ("account", ""), ("test", "FAKEPACA"), ("iex", "*"), ("iex", "?")]
)
def test_what_has_no_latest_price(stream: str, key: str) -> None:
    assert venue(stream=stream).latest(key) is None


@pytest.mark.parametrize(
    "answer",
    [
        HttpAnswer(200, b'{"quotes":{}}'),
        HttpAnswer(200, b"{}"),
        HttpAnswer(200, b'{"quotes":{"AAPL":null}}'),
        HttpAnswer(200, b'{"quotes":null}'),
    ],
)
def test_a_symbol_without_a_quote_has_its_trade(answer: HttpAnswer) -> None:
    _, price = played(venue().latest("AAPL"), answer, TRADES)
    assert price == Price("AAPL", last=Decimal("10.02"), last_size=100, traded_ns=T_NS)


def test_a_symbol_that_is_not_known_has_no_price() -> None:
    refused = HttpAnswer(400, b'{"message":"invalid symbol: AAPL"}')
    assert played(venue().latest("AAPL"), refused)[1] == Price("AAPL")


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (HttpAnswer(401), Fatal, "http_401"),
        (HttpAnswer(403, b'{"message":"forbidden."}'), Fatal, "http_403"),
        (HttpAnswer(404), Fatal, "http_404"),
        (HttpAnswer(429, headers={"retry-after": "7"}), Slow, "http_429"),
        (HttpAnswer(429, headers={"retry-after": "soon"}), Slow, "http_429"),
        (HttpAnswer(500), Retryable, "http_500"),
        (HttpAnswer(200, b"<html>"), Retryable, "alpaca_latest"),
        (HttpAnswer(200, b'{"quotes":{"AAPL":{"bp":"x"}}}'), Retryable, "alpaca_latest"),
        (HttpAnswer(200, b"[" * 100_000), Retryable, "alpaca_latest"),
    ],
)
def test_why_there_is_no_latest_price(answer: HttpAnswer, kind: type[Any], code: str) -> None:
    _, reason = played(venue().latest("AAPL"), answer)
    assert isinstance(reason, kind)
    assert reason.code == code
    if isinstance(reason, Fatal):
        assert reason.advice
    if isinstance(reason, Slow):
        assert reason.retry_after == (7.0 if answer.headers["retry-after"] == "7" else None)
