"""Alpaca's rules, each as its documents and its users tell it, from the client's side."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from actors.errors import ConfigError
from actors.simulators import SimulatedAlpaca, embed
from actors.simulators.alpaca.payloads import Stamp, encode
from tests.simulators.plain_client import Client
from tests.support.examples import examples

pytest_plugins = ["actors.testing"]

KEYS = {"key": "PK1", "secret": "hush"}
HEADERS = {"APCA-API-KEY-ID": "PK1", "APCA-API-SECRET-KEY": "hush"}
MSGPACK = {"Content-Type": "application/msgpack"}
CONNECTED = {"T": "success", "msg": "connected"}
AUTHENTICATED = {"T": "success", "msg": "authenticated"}
OPTION = "AAPL281215C00200000"


class Desk(Client):
    """A client of a data stream or the account's, in either encoding."""

    packed = False

    def say(self, action: str, **fields: Any) -> None:
        told = {"action": action, **fields}
        self.socket.send(msgspec.msgpack.encode(told) if self.packed else msgspec.json.encode(told).decode())

    def hear(self, timeout: float = 5.0) -> Any:
        message = self.socket.recv(timeout=timeout)
        return (msgspec.msgpack if self.packed else msgspec.json).decode(message)

    def log_in(self) -> None:
        assert self.hear() == [CONNECTED]
        self.say("auth", **KEYS)
        assert self.hear() == [AUTHENTICATED]

    def subscribe(self, **channels: list[str]) -> dict[str, Any]:
        self.say("subscribe", **channels)
        return self.acknowledgement()

    def acknowledgement(self) -> dict[str, Any]:
        [told] = self.hear()
        assert told.pop("T") == "subscription"
        return dict(told)

    def listen(self) -> None:
        self.say("auth", **KEYS)
        assert self.hear()["data"]["status"] == "authorized"
        self.say("listen", data={"streams": ["trade_updates"]})
        assert self.hear() == {"stream": "listening", "data": {"streams": ["trade_updates"]}}

    def hears_nothing_else(self) -> bool:
        """Whether nothing stands between here and the answer to a second login."""
        self.say("auth", **KEYS)
        return bool(self.hear() == [{"T": "error", "code": 403, "msg": "already authenticated"}])

    def error(self) -> int:
        [told] = self.hear()
        assert told.keys() == {"T", "code", "msg"}
        return int(told["code"])


@contextmanager
def desk(
    alpaca: SimulatedAlpaca, stream: str = "iex", *, packed: bool = False, headers: Mapping[str, str] = {}
) -> Iterator[Desk]:
    sent = {**headers, **(MSGPACK if packed else {})}
    url = alpaca.url_of(stream)
    with connect(
        url, additional_headers=sent, ping_interval=None, proxy=None, max_size=None, max_queue=None
    ) as each:
        client = Desk(each)
        client.packed = packed
        yield client


@contextmanager
def trader(alpaca: SimulatedAlpaca, stream: str = "iex", *, packed: bool = False) -> Iterator[Desk]:
    """A desk that is logged in."""
    with desk(alpaca, stream, packed=packed) as each:
        each.log_in()
        yield each


# logging in


def test_a_bare_host_is_the_free_stock_feed(simulated_alpaca: SimulatedAlpaca) -> None:
    with connect(simulated_alpaca.url, ping_interval=None, proxy=None) as socket:
        each = Desk(socket)
        each.log_in()
        assert "updatedBars" in each.subscribe(trades=["AAPL"])


@pytest.mark.parametrize("packed", [False, True])
def test_welcome_login_subscription_data(simulated_alpaca: SimulatedAlpaca, packed: bool) -> None:
    with trader(simulated_alpaca, packed=packed) as each:
        each.subscribe(quotes=["AAPL"])
        simulated_alpaca.quote("AAPL", bid=10.01, ask=10.02)
        [told] = each.hear()
        assert (told["T"], told["S"], told["bp"], told["ap"]) == ("q", "AAPL", 10.01, 10.02)
        assert isinstance(told["t"], str) is not packed
    assert simulated_alpaca.heard == [
        {"action": "auth", **KEYS},
        {"action": "subscribe", "quotes": ["AAPL"]},
    ]


@pytest.mark.parametrize(
    "headers",
    [
        HEADERS,
        {"Authorization": "Basic " + base64.b64encode(b"PK1:hush").decode()},
        {"Authorization": base64.b64encode(b"PK1:hush").decode()},
    ],
)
@pytest.mark.parametrize(
    ("greeting", "frames"),
    [
        ("apart", [[CONNECTED], [AUTHENTICATED]]),
        ("together", [[CONNECTED, AUTHENTICATED]]),
        ("short", [[AUTHENTICATED]]),
        ("connected", [[CONNECTED]]),
    ],
)
def test_who_logs_in_by_headers_need_not_say_it(headers: dict[str, str], greeting: Any, frames: Any) -> None:
    alpaca = SimulatedAlpaca(rate=0, greeting=greeting, keys={"PK1": "hush"})
    with alpaca, desk(alpaca, headers=headers) as each:
        assert [each.hear() for _ in frames] == frames
        assert each.hears_nothing_else()  # but 403: it is logged in


@pytest.mark.parametrize("keys", [{"key": "PK1", "secret": "no"}, {"key": "", "secret": ""}])
def test_wrong_keys_are_told_and_closed(keys: dict[str, str]) -> None:
    with SimulatedAlpaca(rate=0, keys={"PK1": "hush"}) as alpaca, desk(alpaca) as each:
        each.hear()
        each.say("auth", **keys)
        assert each.hear_until_closed() == [[{"T": "error", "code": 402, "msg": "auth failed"}]]


def test_wrong_keys_in_headers(simulated_alpaca: SimulatedAlpaca) -> None:
    simulated_alpaca.refuse_keys()
    with desk(simulated_alpaca, headers=HEADERS) as each:
        assert [told[0].get("code") for told in each.hear_until_closed()] == [None, 402]


def test_a_login_that_comes_too_late() -> None:
    with SimulatedAlpaca(rate=0, auth_timeout=0.05) as alpaca, desk(alpaca) as each:
        assert each.hear() == [CONNECTED]
        assert [told[0]["code"] for told in each.hear_until_closed()] == [404]


def test_a_subscription_before_the_login(simulated_alpaca: SimulatedAlpaca) -> None:
    with desk(simulated_alpaca) as each:
        each.hear()
        each.say("subscribe", trades=["AAPL"])
        assert each.error() == 401
        each.say("auth", **KEYS)
        assert each.hear() == [AUTHENTICATED]


def test_a_lost_welcome(simulated_alpaca: SimulatedAlpaca) -> None:
    simulated_alpaca.welcome_lost()
    with desk(simulated_alpaca) as each:
        each.say("auth", **KEYS)
        assert each.hear() == [AUTHENTICATED]


def test_a_plan_without_the_feed() -> None:
    with SimulatedAlpaca(rate=0, plan="basic") as alpaca, desk(alpaca, "sip") as each:
        each.hear()
        each.say("auth", **KEYS)
        assert [told[0]["code"] for told in each.hear_until_closed()] == [409]


def test_options_speak_msgpack_only(simulated_alpaca: SimulatedAlpaca) -> None:
    with desk(simulated_alpaca, "indicative") as each:
        each.hear()
        each.say("auth", **KEYS)
        assert [told[0]["code"] for told in each.hear_until_closed()] == [412]
    with desk(simulated_alpaca, "indicative", packed=True) as each:
        each.hear()
        each.socket.send('{"action":"auth","key":"PK1","secret":"hush"}')  # text where bytes are due
        assert each.error() == 400


@pytest.mark.parametrize("path", ["/v1beta1/crypto", "/v1beta2/crypto", "/v2/other"])
def test_paths_that_are_gone(simulated_alpaca: SimulatedAlpaca, path: str) -> None:
    with pytest.raises(InvalidStatus) as raised:
        connect(f"ws://127.0.0.1:{simulated_alpaca.port}{path}", proxy=None)
    assert raised.value.response.status_code == 404


@pytest.mark.parametrize("status", [401, 404, 429, 503])
def test_an_upgrade_that_is_refused(simulated_alpaca: SimulatedAlpaca, status: int) -> None:
    simulated_alpaca.refuse(status)
    with pytest.raises(InvalidStatus) as raised:
        connect(simulated_alpaca.url_of("news"), proxy=None)
    assert raised.value.response.status_code == status


# one connection an endpoint and key


def test_a_second_connection_to_the_same_endpoint(simulated_alpaca: SimulatedAlpaca) -> None:
    with (
        trader(simulated_alpaca) as first,
        trader(simulated_alpaca, "crypto"),  # endpoints count apart
        trader(simulated_alpaca, "news"),
        desk(simulated_alpaca) as second,
    ):
        second.hear()
        second.say("auth", **KEYS)
        assert second.error() == 406
        second.say("auth", key="PK2", secret="hush")  # another's key, on the socket that was kept
        assert second.hear() == [AUTHENTICATED]
        assert first.hears_nothing_else()


def test_the_socket_that_is_told_406_may_be_closed() -> None:
    with SimulatedAlpaca(rate=0, keep_refused=False) as alpaca, trader(alpaca), desk(alpaca) as second:
        second.hear()
        second.say("auth", **KEYS)
        assert [told[0]["code"] for told in second.hear_until_closed()] == [406]


def test_a_connection_that_broke_off_holds_its_slot_for_a_while() -> None:
    with SimulatedAlpaca(rate=0, dead_session=0.3) as alpaca:
        with trader(alpaca) as first:
            alpaca.drop()
            first.hear_until_closed()
        with desk(alpaca) as second:
            second.hear()
            refused = 0
            for _ in range(10_000):
                second.say("auth", **KEYS)
                if second.hear() == [AUTHENTICATED]:
                    break
                refused += 1
            assert refused


def test_who_says_goodbye_leaves_no_dead_session() -> None:
    with SimulatedAlpaca(rate=0, dead_session=90) as alpaca:
        for _ in range(2):
            with trader(alpaca):
                pass
        with trader(alpaca):
            alpaca.close(1001)  # nor does whom the venue sends away
        with trader(alpaca):
            assert alpaca.authorized == 1


# subscriptions


def test_an_acknowledgement_tells_the_whole_state(simulated_alpaca: SimulatedAlpaca) -> None:
    others = ("quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds")
    empty: dict[str, list[str]] = {channel: [] for channel in others}
    following = {"corrections": ["XYZ"], "cancelErrors": ["XYZ"]}
    with trader(simulated_alpaca) as each:
        assert each.subscribe(trades=["XYZ"]) == {"trades": ["XYZ"], **empty, **following}
        told = each.subscribe(quotes=["XYZ", "ABC"])
        assert (told["trades"], told["quotes"]) == (["XYZ"], ["XYZ", "ABC"])
        each.say("unsubscribe", quotes=["XYZ", "UNKNOWN"], trades=["XYZ"])
        assert each.acknowledgement() == {
            "trades": [],
            **empty,
            "quotes": ["ABC"],
            "corrections": [],
            "cancelErrors": [],
        }
        assert each.subscribe(imbalances=["XYZ"])["imbalances"] == ["XYZ"]


@pytest.mark.parametrize(
    ("stream", "channels"),
    [
        ("test", {"trades", "quotes", "bars"}),
        ("crypto", {"trades", "quotes", "bars", "updatedBars", "dailyBars", "orderbooks"}),
        ("crypto/us-1", {"trades", "quotes", "bars", "updatedBars", "dailyBars", "orderbooks"}),
        ("opra", {"trades", "quotes"}),
        ("news", {"news"}),
    ],
)
def test_channels_that_an_endpoint_lacks_are_not_named(
    simulated_alpaca: SimulatedAlpaca, stream: str, channels: set[str]
) -> None:
    with trader(simulated_alpaca, stream, packed=True) as each:
        assert each.subscribe().keys() == channels
        each.say("subscribe", lulds=["AAPL"])
        assert each.error() == 410
        assert each.subscribe().keys() == channels


@pytest.mark.parametrize(
    ("stream", "asked", "code"),
    [
        ("iex", {"trades": ["AAPL", "aapl"]}, 400),
        ("iex", {"trades": ["BTC/USD"]}, 400),
        ("iex", {"trades": ["A B"]}, 400),
        ("iex", {"trades": [""]}, 400),
        ("iex", {"trades": "AAPL"}, 400),
        ("iex", {"trades": [7]}, 400),
        ("iex", {"orderbooks": ["AAPL"]}, 410),
        ("crypto", {"quotes": ["BTCUSD"]}, 400),
        ("opra", {"quotes": ["*"]}, 413),
        ("opra", {"quotes": ["AAPL"]}, 400),
        ("news", {"trades": ["AAPL"]}, 410),
    ],
)
def test_what_is_refused_changes_nothing(
    simulated_alpaca: SimulatedAlpaca, stream: str, asked: Any, code: int
) -> None:
    with trader(simulated_alpaca, stream, packed=True) as each:
        before = each.subscribe()
        each.say("subscribe", **asked)
        assert each.error() == code
        assert each.subscribe() == before


@pytest.mark.parametrize("text", ['{"action":', "[]", "7", '{"action":"shout"}', '{"key":"PK1"}', "PING"])
def test_what_is_not_understood(simulated_alpaca: SimulatedAlpaca, text: str) -> None:
    with trader(simulated_alpaca) as each:
        each.socket.send(text)
        assert each.error() == 400
        assert each.hears_nothing_else()


@pytest.mark.parametrize(
    ("stream", "options", "most", "channel", "symbols"),
    [
        ("iex", {"plan": "basic"}, 30, "quotes", [f"A{n}" for n in range(31)]),
        ("iex", {"symbols": 2}, 2, "trades", ["A", "B", "C"]),
        ("crypto", {"plan": "basic"}, 10, "orderbooks", [f"A{n}/USD" for n in range(11)]),
        ("indicative", {"plan": "basic"}, 200, "quotes", [f"AAPL281215C{n:08}" for n in range(201)]),
        ("opra", {}, 1000, "quotes", [f"AAPL281215C{n:08}" for n in range(1001)]),
    ],
)
def test_more_symbols_than_the_plan_has(
    stream: str, options: Any, most: int, channel: str, symbols: Any
) -> None:
    with SimulatedAlpaca(rate=0, **options) as alpaca, trader(alpaca, stream, packed=True) as each:
        assert len(each.subscribe(**{channel: symbols[:most]})[channel]) == most
        for _ in range(most if channel == "orderbooks" else 0):
            assert each.hear()[0]["r"]
        each.say("subscribe", **{channel: symbols[most:]})
        assert each.error() == 405
        assert each.subscribe()[channel] == symbols[:most]


def test_bars_do_not_count() -> None:
    with SimulatedAlpaca(rate=0, plan="basic") as alpaca, trader(alpaca) as each:
        symbols = [f"A{n}" for n in range(100)]
        assert each.subscribe(bars=symbols)["bars"] == symbols


def test_an_acknowledgement_that_differs(simulated_alpaca: SimulatedAlpaca) -> None:
    simulated_alpaca.ack_differs()
    with trader(simulated_alpaca) as each:
        assert each.subscribe(quotes=["AAPL", "MSFT"])["quotes"] == ["AAPL"]
        simulated_alpaca.quote("MSFT")
        assert each.subscribe(quotes=["MSFT"])["quotes"] == ["AAPL", "MSFT"]


def test_a_lost_acknowledgement_and_a_rejected_symbol(simulated_alpaca: SimulatedAlpaca) -> None:
    simulated_alpaca.lose_ack()
    simulated_alpaca.reject("MSFT")
    with trader(simulated_alpaca) as each:
        each.say("subscribe", quotes=["AAPL"])
        each.say("subscribe", quotes=["MSFT"])
        assert each.error() == 400
        assert each.subscribe()["quotes"] == ["AAPL"]


def test_the_test_stream_tells_of_one_symbol_only(simulated_alpaca: SimulatedAlpaca) -> None:
    with trader(simulated_alpaca, "test") as each:
        assert each.subscribe(quotes=["AAPL", "FAKEPACA"])["quotes"] == ["AAPL", "FAKEPACA"]
        simulated_alpaca.quote("AAPL")
        simulated_alpaca.quote("FAKEPACA")
        assert each.hear()[0]["S"] == "FAKEPACA"


def test_a_star_is_everything_once(simulated_alpaca: SimulatedAlpaca) -> None:
    with trader(simulated_alpaca) as each:
        assert each.subscribe(trades=["*", "AAPL"])["trades"] == ["*", "AAPL"]
        simulated_alpaca.trade("AAPL")
        simulated_alpaca.trade("NEW")
        simulated_alpaca.trade("BTC/USD")  # of another endpoint
        assert [each.hear()[0]["S"] for _ in range(2)] == ["AAPL", "NEW"]
        assert each.hears_nothing_else()


def test_what_was_unsubscribed_is_quiet_but_may_trail_in(simulated_alpaca: SimulatedAlpaca) -> None:
    with trader(simulated_alpaca) as each:
        for late in (False, True):
            if late:
                simulated_alpaca.late_data()
            each.subscribe(quotes=["AAPL"])
            each.say("unsubscribe", quotes=["AAPL"])
            assert each.acknowledgement()["quotes"] == []
            assert not late or each.hear()[0]["S"] == "AAPL"
            simulated_alpaca.quote("AAPL")
            assert each.hears_nothing_else()


# data


def test_every_message_of_stocks(simulated_alpaca: SimulatedAlpaca) -> None:
    with trader(simulated_alpaca) as each:
        channels = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds", "imbalances")
        each.subscribe(**{channel: ["XYZ"] for channel in channels})
        told = [
            simulated_alpaca.trade("XYZ", 10.02, 100, i=77),
            simulated_alpaca.quote("XYZ", 10.01, 10.02),
            simulated_alpaca.bar("XYZ"),
            simulated_alpaca.bar("XYZ", "updatedBars"),
            simulated_alpaca.bar("XYZ", "dailyBars"),
            simulated_alpaca.status("XYZ", "H", "Trading Halt"),
            simulated_alpaca.luld("XYZ"),
            simulated_alpaca.imbalance("XYZ"),
            simulated_alpaca.correction("XYZ", cp=10.0),
            simulated_alpaca.cancel_error("XYZ"),
        ]
        assert [each.hear() for _ in told] == [[one] for one in told]
    assert "".join(one["T"] for one in told) == "tqbudslicx"
    assert (told[2]["o"], told[2]["v"], told[2]["n"]) == (10.02, 100, 1)
    assert (told[8]["oi"], told[8]["op"], told[8]["cp"], told[9]["i"]) == (77, 10.02, 10.0, 77)
    assert told[0] == {
        **{"T": "t", "S": "XYZ", "i": 77, "x": "V", "p": 10.02, "s": 100, "c": ["@"], "z": "C"},
        "t": told[0]["t"],
    }


def test_a_missing_side_is_a_price_of_0(simulated_alpaca: SimulatedAlpaca) -> None:
    told = simulated_alpaca.quote("XYZ", ask=0)
    assert (told["ap"], told["as"], told["ax"]) == (0, 0, "")
    assert told["bp"] > 0


def test_options_and_crypto_use_the_same_letters_for_other_types(simulated_alpaca: SimulatedAlpaca) -> None:
    with (
        trader(simulated_alpaca, "opra", packed=True) as options,
        trader(simulated_alpaca, "crypto") as crypto,
    ):
        options.subscribe(trades=[OPTION], quotes=[OPTION])
        crypto.subscribe(trades=["BTC/USD"], quotes=["BTC/USD"])
        for symbol in (OPTION, "BTC/USD"):
            simulated_alpaca.trade(symbol)
            simulated_alpaca.quote(symbol)
        [trade], [quote] = options.hear(), options.hear()
        assert trade.keys() == {"T", "S", "t", "p", "s", "x", "c"}
        assert isinstance(trade["c"], str)
        assert isinstance(quote["c"], str)
        [trade], [quote] = crypto.hear(), crypto.hear()
        assert trade["tks"] in "BS"
        assert trade.keys() == {"T", "S", "p", "s", "t", "i", "tks"}
        assert quote.keys() == {"T", "S", "bp", "bs", "ap", "as", "t"}


def test_an_order_book_begins_whole_and_may_begin_again(simulated_alpaca: SimulatedAlpaca) -> None:
    with trader(simulated_alpaca, "crypto") as each:
        each.subscribe(orderbooks=["BTC/USD"])
        assert each.hear()[0]["r"] is True
        simulated_alpaca.orderbook("BTC/USD", {70000.5: 0.4}, {70010.0: 0.2}, reset=True)
        simulated_alpaca.orderbook("BTC/USD", {70000.5: 0, 70000.0: 0.1})
        simulated_alpaca.reset_book()
        first, change, again = (each.hear()[0] for _ in range(3))
        assert (first["b"], first["a"], first["r"]) == (
            [{"p": 70000.5, "s": 0.4}],
            [{"p": 70010.0, "s": 0.2}],
            True,
        )
        assert (change["b"], change["a"]) == ([{"p": 70000.5, "s": 0}, {"p": 70000.0, "s": 0.1}], [])
        assert "r" not in change
        assert (again["b"], again["a"], again["r"]) == ([{"p": 70000.0, "s": 0.1}], first["a"], True)


@given(seed=some.integers(0, 1 << 16), steps=some.integers(0, 80))
@settings(max_examples=examples(20), deadline=None)
def test_a_reset_and_what_follows_are_the_book(seed: int, steps: int) -> None:
    with SimulatedAlpaca(rate=0, seed=seed) as alpaca, trader(alpaca, "crypto") as each:
        each.subscribe(orderbooks=["BTC/USD"])
        alpaca.wait_for(lambda: alpaca.subscribers("orderbooks", "BTC/USD"))
        alpaca.steps(steps)
        alpaca.reset_book()
        books: list[dict[str, dict[float, float]]] = []
        while len(books) < 2:
            [told] = each.hear()
            if told.get("r"):
                books.append({"b": {}, "a": {}})
                if len(books) == 2:
                    before = {side: dict(levels) for side, levels in books[0].items()}
            for side in "ba":
                for level in told[side]:
                    books[-1][side][level["p"]] = level["s"]
                    if not level["s"]:
                        del books[-1][side][level["p"]]
        assert before == books[1]
        assert max(before["b"]) < min(before["a"])


def test_news_reaches_each_symbol_and_the_star_once(simulated_alpaca: SimulatedAlpaca) -> None:
    with trader(simulated_alpaca, "news") as each:
        each.subscribe(news=["AAPL", "MSFT"])
        simulated_alpaca.news("TSLA")
        simulated_alpaca.news("MSFT", "AAPL", content="x" * 5_000_000)
        [told] = each.hear()
        assert told["symbols"] == ["MSFT", "AAPL"]
        assert len(told["content"]) == 5_000_000
        assert "S" not in told
        each.subscribe(news=["*"])
        simulated_alpaca.news()
        assert each.hear()[0]["symbols"] == []


@pytest.mark.parametrize(
    ("digits", "ending"),
    [(0, "05Z"), (3, "05.120Z"), (7, "05.1200000Z"), (9, "05.120000045Z"), (-1, "05.120000045Z")],
)
def test_timestamps_of_any_length(digits: int, ending: str) -> None:
    ns = 1_772_463_845_120_000_045
    assert Stamp.at(ns, digits).text.endswith(ending)
    with SimulatedAlpaca(rate=0, digits=digits) as alpaca, trader(alpaca) as each:
        each.subscribe(quotes=["AAPL"])
        alpaca.quote("AAPL")
        fraction = each.hear()[0]["t"].partition(".")[2].rstrip("Z")
        assert digits < 0 or len(fraction) == digits
        alpaca.quote("AAPL", t="2026-03-02T15:04:05.3355677Z")
        assert each.hear()[0]["t"] == "2026-03-02T15:04:05.3355677Z"


@given(ns=some.integers(0, 4 * 10**18), offset=some.sampled_from(["Z", "-04:00", "+05:30"]))
def test_a_timestamp_is_the_same_in_either_encoding(ns: int, offset: str) -> None:
    stamp = Stamp.at(ns, offset=offset)
    assert Stamp.parse(stamp.text).ns == ns
    packed = encode([stamp], "msgpack")
    [decoded] = msgspec.msgpack.decode(packed)
    assert decoded.timestamp() == pytest.approx(ns / 1e9, abs=1e-3)
    if packed[1:3] == b"\xd7\xff":  # timestamp 64: 30 bits of nanoseconds, 34 of seconds
        word = int.from_bytes(packed[3:], "big")
        assert (word & (1 << 34) - 1) * 10**9 + (word >> 34) == ns


def test_numbered_trades_in_a_burst(simulated_alpaca: SimulatedAlpaca) -> None:
    with trader(simulated_alpaca, packed=True) as each:
        each.subscribe(trades=["AAPL"])
        numbers = simulated_alpaca.number_trades("AAPL", 50_000, background=True, batch=100)
        heard = [told["i"] for _ in range(500) for told in each.hear()]
        assert heard == list(numbers)
        assert simulated_alpaca.number_trades("AAPL", 2) == range(50_001, 50_003)
        assert [each.hear()[0]["i"] for _ in range(2)] == [50_001, 50_002]


def test_the_market_moves_by_itself() -> None:
    with SimulatedAlpaca(rate=100) as alpaca, trader(alpaca, "crypto") as each:
        each.subscribe(orderbooks=["BTC/USD"])
        assert [each.hear()[0]["T"] for _ in range(10)] == ["o"] * 10


def test_a_market_has_news_of_every_kind() -> None:
    with (
        SimulatedAlpaca(rate=0) as alpaca,
        trader(alpaca) as stocks,
        trader(alpaca, "test") as test,
        trader(alpaca, "crypto", packed=True) as crypto,
        trader(alpaca, "indicative", packed=True) as options,
        trader(alpaca, "news") as news,
        desk(alpaca, "account") as account,
    ):
        everything = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds")
        stocks.subscribe(**{channel: ["*"] for channel in everything})
        test.subscribe(trades=["*"], quotes=["*"], bars=["*"])
        crypto.subscribe(trades=["*"], quotes=["*"], orderbooks=["*"])
        options.subscribe(trades=["*"], quotes=[OPTION])
        news.subscribe(news=["*"])
        account.listen()
        alpaca.steps(8000)
        for each, tags in (
            (stocks, "tqbudslcx"),
            (test, "tqb"),
            (crypto, "tqo"),
            (options, "tq"),
            (news, "n"),
        ):
            awaited = set(tags)
            while awaited:
                awaited -= {told["T"] for told in each.hear()}
        events = {"new", "partial_fill", "fill", "canceled"}
        while events:
            events.discard(account.hear()["data"]["event"])


# misbehaviour


@pytest.mark.parametrize("kind", ["null", "unknown", "scalar", "error"])
def test_something_odd_in_the_middle_of_an_array(simulated_alpaca: SimulatedAlpaca, kind: Any) -> None:
    with trader(simulated_alpaca) as each:
        each.subscribe(trades=["AAPL"])
        simulated_alpaca.poison(kind)
        before, odd, after = each.hear()
        assert before["S"] == after["S"] == "AAPL"
        assert odd == 17 if kind == "scalar" else odd.get("p") is None


def test_one_symbol_is_mute(simulated_alpaca: SimulatedAlpaca) -> None:
    with trader(simulated_alpaca) as each:
        each.subscribe(quotes=["AAPL", "MSFT"])
        simulated_alpaca.mute_symbol("AAPL")
        simulated_alpaca.quote("AAPL")
        simulated_alpaca.quote("MSFT")
        assert each.hear()[0]["S"] == "MSFT"
        simulated_alpaca.heal()
        simulated_alpaca.quote("AAPL")
        assert each.hear()[0]["S"] == "AAPL"


def test_connected_but_mute(simulated_alpaca: SimulatedAlpaca) -> None:
    with trader(simulated_alpaca) as each:
        each.subscribe(quotes=["AAPL"])
        simulated_alpaca.mute()
        simulated_alpaca.quote("AAPL")
        assert each.socket.ping().wait(5)
        simulated_alpaca.heal()
        assert each.hears_nothing_else()


@pytest.mark.parametrize("told", [True, False])
def test_a_slow_client_is_cut_off(simulated_alpaca: SimulatedAlpaca, told: bool) -> None:
    with trader(simulated_alpaca) as each:
        simulated_alpaca.slow_client(told)
        assert each.hear_until_closed() == [[{"T": "error", "code": 407, "msg": "slow client"}]] * told
        assert each.socket.close_code == 1006


def test_who_does_not_read_is_cut_off() -> None:
    alpaca = SimulatedAlpaca(rate=0, backlog=100_000, send_buffer=4096)
    with alpaca, connect(alpaca.url_of("news"), ping_interval=None, proxy=None, max_queue=1) as socket:
        each = Desk(socket)
        each.log_in()
        each.subscribe(news=["*"])
        for _ in range(100):
            alpaca.news(content="x" * 100_000)
        assert alpaca.connections == 0


def test_a_drop_in_the_middle_of_telling_all_clients() -> None:
    with SimulatedAlpaca(rate=0, connections=2) as alpaca:
        with trader(alpaca) as first, trader(alpaca) as second:
            for each in (first, second):
                each.subscribe(quotes=["*"])
            alpaca.arm("drop after=1")
            alpaca.quote("AAPL")  # which reaches the first alone
            assert alpaca.connections == alpaca.authorized == 0
            assert second.hear_until_closed() == []
        with trader(alpaca), trader(alpaca):
            assert alpaca.authorized == 2


def test_errors_at_any_time(simulated_alpaca: SimulatedAlpaca) -> None:
    with trader(simulated_alpaca) as each:
        simulated_alpaca.arm("error code=500")
        simulated_alpaca.arm("error code=411 message='what scope'")
        assert each.error() == 500
        assert each.hear() == [{"T": "error", "code": 411, "msg": "what scope"}]


def test_a_message_in_fragments(simulated_alpaca: SimulatedAlpaca) -> None:
    with trader(simulated_alpaca) as each:
        each.subscribe(news=[], quotes=["AAPL"])
        simulated_alpaca.fragment(size=7)
        told = simulated_alpaca.quote("AAPL")
        pieces = list(each.socket.recv_streaming())
        assert json.loads("".join(map(str, pieces))) == [told]
        assert len(pieces) > 10


# the account stream


@pytest.mark.parametrize(
    "login",
    [{"action": "auth", **KEYS}, {"action": "authenticate", "data": {"key_id": "PK1", "secret_key": "hush"}}],
)
@pytest.mark.parametrize("binary", [True, False])
def test_both_logins_and_both_kinds_of_frames(login: dict[str, Any], binary: bool) -> None:
    with (
        SimulatedAlpaca(rate=0, binary=binary, keys={"PK1": "hush"}) as alpaca,
        desk(alpaca, "account") as each,
    ):
        each.socket.send(json.dumps(login))  # the client speaks first
        message = each.socket.recv(timeout=5)
        assert isinstance(message, bytes) is binary
        expected = {"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}}
        assert json.loads(message) == expected


def test_the_account_stream_in_msgpack(simulated_alpaca: SimulatedAlpaca) -> None:
    with desk(simulated_alpaca, "account", packed=True) as each:
        each.listen()
        told = simulated_alpaca.trade_update("new")
        assert each.hear() == {"stream": "trade_updates", "data": told}


@pytest.mark.parametrize(
    ("login", "message"),
    [
        ({"action": "auth", "key": "PK1", "secret": "no"}, "access key verification failed"),
        ({"action": "authenticate"}, "must provide key_id and secret_key or oauth_token"),
    ],
)
def test_unauthorized(login: dict[str, Any], message: str) -> None:
    with SimulatedAlpaca(rate=0, keys={"PK1": "hush"}) as alpaca, desk(alpaca, "account") as each:
        each.say(**login)
        [told] = each.hear_until_closed()
        data = {"status": "unauthorized", "action": "authenticate", "message": message}
        assert told == {"stream": "authorization", "data": data}


def test_to_listen_before_the_login(simulated_alpaca: SimulatedAlpaca) -> None:
    with desk(simulated_alpaca, "account") as each:
        each.say("listen", data={"streams": ["trade_updates"]})
        assert each.hear()["data"] == {"status": "unauthorized", "action": "listen"}


def test_to_listen_replaces_the_list(simulated_alpaca: SimulatedAlpaca) -> None:
    simulated_alpaca.lose_stream()
    with desk(simulated_alpaca, "account") as each:
        each.say("auth", **KEYS)
        each.hear()
        for wanted, granted in (
            (["trade_updates"], []),  # an acknowledgement without the stream
            (["trade_updates", "account_updates"], ["trade_updates"]),
            ([], []),
        ):
            each.say("listen", data={"streams": wanted})
            assert each.hear()["data"] == {"streams": granted}
        simulated_alpaca.trade_update("new")
        each.say("dance")
        assert each.hear()["action"] == "error"


def test_an_order_lives(simulated_alpaca: SimulatedAlpaca) -> None:
    with desk(simulated_alpaca, "account") as each:
        each.listen()
        new = simulated_alpaca.trade_update("new", {"symbol": "XYZ", "qty": "100", "side": "buy"})
        order = {"id": new["order"]["id"]}
        part = simulated_alpaca.trade_update("partial_fill", order, qty="40", price="10.00")
        rest = simulated_alpaca.trade_update("fill", order, price="10.05")
        assert [each.hear()["data"] for _ in range(3)] == [new, part, rest]
    assert "execution_id" not in new
    assert part["execution_id"] != rest["execution_id"]
    assert (part["position_qty"], part["order"]["status"]) == ("40", "partially_filled")
    assert (rest["qty"], rest["position_qty"]) == ("60", "100")
    assert (rest["order"]["status"], rest["order"]["filled_qty"]) == ("filled", "100")
    assert float(rest["order"]["filled_avg_price"]) == pytest.approx(10.03)
    assert {type(rest["order"][name]) for name in ("qty", "limit_price", "filled_avg_price")} == {str}
    assert rest["order"]["stop_price"] is None


def test_a_fill_that_is_told_again_after_a_reconnect(simulated_alpaca: SimulatedAlpaca) -> None:
    simulated_alpaca.duplicate_fill(on_listen=True)
    with desk(simulated_alpaca, "account") as each:
        each.listen()
        fill = simulated_alpaca.trade_update("fill")
        assert each.hear()["data"] == fill
        simulated_alpaca.drop()
    with desk(simulated_alpaca, "account") as each:
        each.listen()
        assert each.hear()["data"] == fill
        simulated_alpaca.duplicate_fill()
        assert each.hear()["data"]["execution_id"] == fill["execution_id"]


def test_several_legs_have_no_execution_id_together(simulated_alpaca: SimulatedAlpaca) -> None:
    with desk(simulated_alpaca, "account") as each:
        each.listen()
        simulated_alpaca.multi_leg(OPTION, "AAPL281215P00200000")
        told = each.hear()["data"]
    assert told.keys() >= {"at", "event_id", "legs", "position_qtys", "order"}
    assert not told.keys() & {"execution_id", "position_qty"}
    assert [leg["symbol"] for leg in told["legs"]] == list(told["position_qtys"])
    assert told["order"]["symbol"] == ""
    assert [leg["id"] for leg in told["order"]["legs"]] == [leg["order_id"] for leg in told["legs"]]
    assert len({leg["execution_id"] for leg in told["legs"]}) == 2


def test_times_with_an_offset() -> None:
    with SimulatedAlpaca(rate=0, offset="-04:00") as alpaca:
        told = alpaca.trade_update("new")
        assert told["timestamp"].endswith("-04:00")
        assert told["order"]["created_at"].endswith("-04:00")
        assert abs(Stamp.parse(told["timestamp"]).ns - time.time_ns()) < 60 * 10**9


def test_an_error_and_then_the_end(simulated_alpaca: SimulatedAlpaca) -> None:
    with desk(simulated_alpaca, "account") as each:
        each.listen()
        simulated_alpaca.account_error()
        told = {"action": "error", "data": {"error_message": "internal server error"}}
        assert each.hear_until_closed() == [told]


# pages


def get(alpaca: SimulatedAlpaca, path: str, headers: dict[str, str] = HEADERS, **wish: Any) -> Any:
    with urlopen(Request(alpaca.http_url + path, headers=headers, **wish), timeout=5) as answer:
        return json.loads(answer.read() or b"null")


def test_the_latest(simulated_alpaca: SimulatedAlpaca) -> None:
    told = simulated_alpaca.quote("AAPL", 10.01, 10.02, t="2026-03-02T15:04:05.120000045Z")
    traded = simulated_alpaca.trade("AAPL", 10.015, 7)
    bare = {name: value for name, value in told.items() if name not in "TS"}
    found = get(simulated_alpaca, "/v2/stocks/quotes/latest?symbols=AAPL,XYZ&feed=iex")["quotes"]
    assert found["AAPL"] == bare
    assert found["XYZ"]["bp"] < found["XYZ"]["ap"]
    assert get(simulated_alpaca, "/v2/stocks/AAPL/quotes/latest") == {"symbol": "AAPL", "quote": bare}
    [trade] = get(simulated_alpaca, "/v2/stocks/trades/latest?symbols=AAPL")["trades"].values()
    assert (trade["i"], trade["p"]) == (traded["i"], 10.015)
    [bar] = get(simulated_alpaca, "/v2/stocks/bars/latest?symbols=AAPL")["bars"].values()
    assert bar["c"] == 10.015
    snapshot = get(simulated_alpaca, "/v2/stocks/snapshots?symbols=AAPL")["AAPL"]
    assert snapshot.keys() == {"latestTrade", "latestQuote", "minuteBar", "dailyBar", "prevDailyBar"}
    assert snapshot["latestQuote"] == bare
    [kept] = get(simulated_alpaca, "/v2/stocks/trades?symbols=AAPL&start=2026-01-01T00:00:00Z")["trades"][
        "AAPL"
    ]
    assert kept == trade


@pytest.mark.parametrize("what", ["trades", "quotes", "bars", "orderbooks"])
def test_crypto_is_there_for_every_client(simulated_alpaca: SimulatedAlpaca, what: str) -> None:
    symbol = quote("BTC/USD", safe="")
    found = get(simulated_alpaca, f"/v1beta3/crypto/us/latest/{what}?symbols={symbol}", {})
    assert found[what].keys() == {"BTC/USD"}


def test_options_and_news(simulated_alpaca: SimulatedAlpaca) -> None:
    path = f"/v1beta1/options/quotes/latest?symbols={OPTION}&feed=indicative"
    assert get(simulated_alpaca, path)["quotes"].keys() == {OPTION}
    assert get(simulated_alpaca, f"/v1beta1/options/snapshots?symbols={OPTION}")["snapshots"].keys() == {
        OPTION
    }
    simulated_alpaca.news("MSFT")
    told = simulated_alpaca.news("AAPL")
    assert [each["id"] for each in get(simulated_alpaca, "/v1beta1/news")["news"]] == [2, 1]
    [found] = get(simulated_alpaca, "/v1beta1/news?symbols=AAPL&limit=5")["news"]
    assert found["headline"] == told["headline"]


def test_an_account_and_what_it_has(simulated_alpaca: SimulatedAlpaca) -> None:
    filled = simulated_alpaca.trade_update("fill")["order"]
    placed = get(
        simulated_alpaca,
        "/v2/orders",
        data=json.dumps({"symbol": "XYZ", "qty": "5", "side": "sell", "type": "market"}).encode(),
    )
    assert [order["id"] for order in get(simulated_alpaca, "/v2/orders")] == [placed["id"]]
    assert [order["id"] for order in get(simulated_alpaca, "/v2/orders?status=closed")] == [filled["id"]]
    everything = get(simulated_alpaca, "/v2/orders?status=all&direction=asc&limit=500")
    assert [order["id"] for order in everything] == [filled["id"], placed["id"]]
    get(simulated_alpaca, f"/v2/orders/{placed['id']}", method="DELETE")
    assert get(simulated_alpaca, f"/v2/orders/{placed['id']}")["status"] == "canceled"
    [position] = get(simulated_alpaca, "/v2/positions")
    assert (position["symbol"], position["qty"], position["side"]) == ("AAPL", "100", "long")
    assert get(simulated_alpaca, "/v2/account")["status"] == "ACTIVE"
    assert get(simulated_alpaca, "/v2/clock")["is_open"] is True


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v2/clock", {}, 401),
        ("/v2/clock", HEADERS | {"APCA-API-SECRET-KEY": "no"}, 403),
        ("/v2/orders/unknown", HEADERS, 404),
        ("/v3/anything", HEADERS, 404),
        ("/v2/stocks/quotes/latest?symbols=aapl", HEADERS, 400),
        ("/v2/stocks/trades?symbols=AAPL&start=yesterday", HEADERS, 400),
    ],
)
def test_pages_that_are_refused(path: str, headers: dict[str, str], status: int) -> None:
    with SimulatedAlpaca(rate=0, keys={"PK1": "hush"}) as alpaca:
        with pytest.raises(HTTPError) as raised:
            get(alpaca, path, headers)
        with raised.value as answer:
            assert (answer.code, list(json.load(answer))) == (status, ["message"])


@pytest.mark.parametrize("body", [b"", b"[1]", b"{}", b'{"symbol":"x y"}'])
def test_orders_that_cannot_be_meant(simulated_alpaca: SimulatedAlpaca, body: bytes) -> None:
    with pytest.raises(HTTPError, match="400") as raised:
        get(simulated_alpaca, "/v2/orders", data=body, method="POST")
    raised.value.close()
    assert not get(simulated_alpaca, "/v2/orders?status=all")


def test_too_many_requests() -> None:
    with SimulatedAlpaca(rate=0, requests_per_minute=2) as alpaca:
        for _ in range(2):
            get(alpaca, "/v2/clock")
        with pytest.raises(HTTPError, match="429") as raised:
            get(alpaca, "/v2/clock")
        raised.value.close()
        assert [request.path for request in alpaca.requests] == ["/v2/clock"] * 3


def test_a_page_that_asks_for_patience(simulated_alpaca: SimulatedAlpaca) -> None:
    simulated_alpaca.arm("refuse_pages status=429 retry_after=2")
    with pytest.raises(HTTPError) as raised:
        get(simulated_alpaca, "/v2/clock")
    assert raised.value.headers["Retry-After"] == "2"
    raised.value.close()
    assert get(simulated_alpaca, "/v2/clock")


# as text


def test_it_is_embedded_by_a_url() -> None:
    fault = quote("mute_symbol symbol=AAPL")
    alpaca = embed(f"sim://alpaca?rate=0&plan=basic&binary=false&digits=3&fault={fault}")
    assert isinstance(alpaca, SimulatedAlpaca)
    with alpaca:
        settings = alpaca.settings
        assert (settings.plan, settings.binary, settings.digits) == ("basic", False, 3)
        assert alpaca.url == f"ws://127.0.0.1:{alpaca.port}/"
        assert alpaca.url_of("crypto/eu-1") == alpaca.url + "v1beta3/crypto/eu-1"
    with pytest.raises(ConfigError, match="basic or plus"):
        embed("sim://alpaca?plan=rich")
    with pytest.raises(ValueError, match="no stream 'bonds'"):
        alpaca.url_of("bonds")
