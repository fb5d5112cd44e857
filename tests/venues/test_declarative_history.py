"""What a table says of trades, and of what is asked for after a loss: Binance's by its own table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import ConfigError
from actors.http_types import HttpFailed
from actors.protocol import (
    Backfilled,
    Call,
    CallRefused,
    FrameLimit,
    HttpAnswer,
    Loss,
    Print,
    Retryable,
    Secret,
    Slow,
    joining,
)
from actors.settings import known_venues
from actors.settings.venue_tables import read_venue
from actors.simulators import SimulatedTable
from actors.venues.declarative import Declared, Message
from actors.venues.declarative.history import HOLE, TOO_MANY
from actors.wire.connect import Dial
from actors.wire.http_client import converse

FIRST_MS = 1_767_607_200_000
MILLISECOND = 1_000_000

Row = dict[str, Any]
Serve = Callable[[Mapping[str, str]], HttpAnswer]


def venue(name: str = "binance", **keys: Any) -> Declared:
    kind = known_venues()[name]
    made = kind(name, msgspec.convert(keys, kind.Settings))
    assert isinstance(made, Declared)
    return made


def message(venue: Declared, channel: str, data: object, at_ns: int | None = 7) -> Message:
    return Message(channel, "BTCUSDT", data, "", at_ns)


# ── [trades] ──


@pytest.mark.parametrize(
    ("name", "data", "wanted"),
    [
        (
            "binance",
            {"e": "trade", "t": 44, "p": "91234.56000000", "q": "0.01000000", "T": FIRST_MS},
            Print(Decimal("91234.56"), Decimal("0.01"), FIRST_MS * MILLISECOND, 44),
        ),
        (
            "bybit",
            {"i": "229", "T": FIRST_MS, "p": "91234.5", "v": "0.01", "S": "Buy"},
            Print(Decimal("91234.5"), Decimal("0.01"), FIRST_MS * MILLISECOND, "229"),
        ),
        (
            "coinbase",
            {"type": "match", "trade_id": 712, "size": "0.01", "price": "91234.5"},
            Print(Decimal("91234.5"), Decimal("0.01"), 7, 712),
        ),
        (
            "kraken",
            {"symbol": "BTC/USD", "price": Decimal("91230.1"), "qty": Decimal("0.02"), "trade_id": 812},
            Print(Decimal("91230.1"), Decimal("0.02"), 7, 812),
        ),
        (
            "okx",
            {"tradeId": "130", "px": "91234.5", "sz": "0.12", "ts": str(FIRST_MS)},
            Print(Decimal("91234.5"), Decimal("0.12"), 7, "130"),
        ),
        (
            "okx_business",
            {"tradeId": "130", "px": "91234.5", "sz": "0.12"},
            Print(Decimal("91234.5"), Decimal("0.12"), 7, "130"),
        ),
    ],
)
def test_the_trades_of_a_table_make_bars(name: str, data: Row, wanted: Print) -> None:
    table = venue(name)
    assert table.tape_channel == "trades"
    assert table.trade(message(table, "trades", data)) == wanted
    assert table.trade(message(table, "ticker", data)) is None


@pytest.mark.parametrize(
    "data",
    [
        {"p": "1", "T": 1},
        {"p": "NaN", "q": "1", "T": 1},
        {"p": "1e999999999", "q": "1", "T": 1},
        {"p": True, "q": "1", "T": 1},
        {"p": "1", "q": "1", "T": "soon"},
        ["p"],
        None,
    ],
    ids=["no size", "no number", "too large", "a truth value", "no time", "a list", "nothing"],
)
def test_an_event_that_lacks_a_part_is_no_trade(data: object) -> None:
    table = venue()
    assert table.trade(message(table, "trades", data)) is None
    assert table.trade("no message") is None


def test_a_table_without_trades_has_no_tape() -> None:
    table = venue("kraken_v1")
    assert table.tape_channel == ""
    assert table.trade(message(table, "trades", [])) is None
    assert table.rest() is None


# ── back-fill ──


def row(number: int) -> Row:
    """As the page has it."""
    return {
        "a": number,
        "p": "91234.56",
        "q": "0.03",
        "f": 10 * number,
        "l": 10 * number + 2,
        "T": FIRST_MS + number,
        "m": True,
        "M": True,
    }


def event(number: int) -> Message:
    """As the stream brings it; what it tells of when it was sent is later."""
    data = {"e": "aggTrade", "E": FIRST_MS + number + 1, "s": "BTCUSDT", **row(number)}
    return Message("agg_trades", "BTCUSDT", data, "aggTrade", (FIRST_MS + number + 1) * MILLISECOND)


def loss(last: int | None, first: int | None) -> Loss:
    return Loss(0, 1, None if last is None else event(last), None if first is None else event(first))


def talk(call: Call[Any] | None, serve: Serve) -> tuple[list[str], Any]:
    assert call is not None
    conversation, asked = call.converse(Secret("")), []
    try:
        request = next(conversation)
        while True:
            asked.append(request.url)
            request = conversation.send(serve(dict(parse_qsl(urlsplit(request.url).query))))
    except StopIteration as stop:
        return asked, stop.value


def backfill(last: int | None, first: int | None, serve: Serve) -> Any:
    table = venue()
    return talk(table.backfill(table.topic("agg_trades", "btcusdt", {}), loss(last, first)), serve)[1]


def answer(body: object, status: int = 200, **headers: str) -> HttpAnswer:
    return HttpAnswer(status, body if isinstance(body, bytes) else msgspec.json.encode(body), headers)


class History:
    def __init__(self, count: int, most: int = 1_000) -> None:
        self.rows, self.most = [row(each) for each in range(count)], most

    def of(self, query: Mapping[str, str]) -> list[Row]:
        assert query["symbol"] == "BTCUSDT"
        found = [each for each in self.rows if each["a"] >= int(query["fromId"])]
        return found[: min(self.most, int(query["limit"]))]

    def __call__(self, query: Mapping[str, str]) -> HttpAnswer:
        return answer(self.of(query))


def numbers(found: Backfilled) -> list[int]:
    return [each.data["a"] for each in found.events]


def test_a_row_becomes_the_event_that_the_stream_would_have_brought() -> None:
    found = backfill(3, 6, History(10))
    assert found.complete
    assert numbers(found) == [4, 5]
    [first, _] = found.events
    told = event(4)
    assert (first.channel, first.key, first.kind) == (told.channel, told.key, told.kind)
    assert first.data == told.data | {"E": FIRST_MS + 4}
    assert first.at_ns == (FIRST_MS + 4) * MILLISECOND


def test_pages_begin_behind_the_last_id() -> None:
    table = venue()
    call = table.backfill(table.topic("agg_trades", "BTCUSDT", {}), loss(3, 9))
    asked, found = talk(call, History(20, 3))
    base = "https://api.binance.com/api/v3/aggTrades?symbol=BTCUSDT"
    assert asked == [f"{base}&fromId=4&limit=1000", f"{base}&fromId=7&limit=1000"]
    assert (numbers(found), found.complete) == ([4, 5, 6, 7, 8], True)


def test_ids_that_follow_each_other_need_no_request() -> None:
    table = venue()
    call = table.backfill(table.topic("agg_trades", "BTCUSDT", {}), loss(3, 4))
    assert talk(call, History(0)) == ([], Backfilled((), complete=True))


@pytest.mark.parametrize(
    ("last", "first", "events", "why", "reach"),
    [
        pytest.param(3, None, [4, 5, 6], joining.NO_FIRST, 6, id="nothing after it"),
        pytest.param(3, 20, [4, 5, 6], joining.FIRST_MISSING, 6, id="the list lags"),
        pytest.param(None, 5, [], joining.NO_LAST, None, id="nothing before it"),
        pytest.param(8, 3, [], joining.CROSSED, None, id="ids start over"),
    ],
)
def test_an_open_seam_is_told(
    last: int | None, first: int | None, events: list[int], why: str, reach: int | None
) -> None:
    found = backfill(last, first, History(7))
    reaches = None if reach is None else (FIRST_MS + reach) * MILLISECOND
    assert numbers(found) == events
    assert (found.complete, found.why, found.reaches_ns) == (False, why, reaches)


def test_a_loss_of_too_many_pages_is_told() -> None:
    found = backfill(0, 99, History(100, 2))
    assert (len(found.events), found.why) == (40, TOO_MANY)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(answer(b'[{"a":4'), Retryable, id="a cut body"),
        pytest.param(answer({"code": 0}), Retryable, id="no list"),
        pytest.param(answer(b"", 503), Retryable, id="503"),
        pytest.param(answer(b"", 418, **{"retry-after": "9"}), Slow, id="418"),
        pytest.param(answer(b"", 429), Slow, id="429"),
        pytest.param(answer({"code": -1121, "msg": "Invalid symbol."}, 400), CallRefused, id="400"),
    ],
)
def test_a_first_page_that_fails_is_no_result(reply: HttpAnswer, kind: type[Any]) -> None:
    assert isinstance(backfill(3, 9, lambda _: reply), kind)


def always(reply: HttpAnswer) -> Serve:
    return lambda _: reply


def test_a_body_that_is_cut_at_any_byte_is_never_taken_for_a_list() -> None:
    whole = msgspec.json.encode([row(each) for each in range(4, 10)])
    for size in range(len(whole)):
        assert isinstance(backfill(3, 9, always(answer(whole[:size]))), Retryable)


def test_an_error_after_the_first_page_keeps_what_has_come() -> None:
    history, answers = History(20, 2), iter([True, False])
    found = backfill(3, 9, lambda query: history(query) if next(answers) else answer(b"", 503))
    assert (numbers(found), found.complete) == ([4, 5], False)
    assert found.why == "the venue answers 503 to /api/v3/aggTrades"


Spoil = Callable[[list[Any], History], list[Any]]
SPOILS: Mapping[str, Spoil] = {
    "as it is": lambda rows, _: rows,
    "short": lambda rows, _: rows[: len(rows) // 2],
    "empty": lambda _, __: [],
    "every row twice": lambda rows, _: [each for each in rows for _ in (0, 1)],
    "in the other order": lambda rows, _: rows[::-1],
    "with a row left out": lambda rows, _: rows[:1] + rows[2:],
    "with rows from before": lambda rows, history: history.rows[:3] + rows,
    "without its first rows": lambda rows, _: rows[2:],
    "without ids": lambda rows, _: [each | {"a": None} for each in rows],
    "of odd things": lambda rows, _: [*rows[:1], 7, None],
}


@given(
    st.integers(4, 30), st.integers(1, 8), st.lists(st.sampled_from(sorted(SPOILS)), max_size=30), st.data()
)
def test_whatever_pages_come_the_events_are_the_next_ones_without_a_hole(
    count: int, most: int, spoils: list[str], data: st.DataObject
) -> None:
    history = History(count, most)
    last = data.draw(st.integers(0, count - 2))
    first = data.draw(st.integers(last + 1, count - 1))
    played = iter(spoils)

    def serve(query: Mapping[str, str]) -> HttpAnswer:
        return answer(SPOILS[next(played, "as it is")](history.of(query), history))

    found = backfill(last, first, serve)
    assert numbers(found) == list(range(last + 1, last + 1 + len(found.events)))
    assert found.complete == (last + 1 + len(found.events) == first)
    assert found.complete or found.why


def test_what_follows_the_last_row_that_is_wanted_does_not_matter() -> None:
    found = backfill(3, 5, lambda _: answer([row(4), 7, None]))
    assert (numbers(found), found.complete) == ([4], True)
    found = backfill(3, 24, History(30, 1))  # as many pages as may be asked for
    assert (len(found.events), found.complete) == (20, True)


def test_a_hole_in_the_ids_is_told() -> None:
    history = History(20)
    del history.rows[6]
    found = backfill(3, 9, history)
    assert (numbers(found), found.why, found.reaches_ns) == ([4, 5], HOLE, None)


def test_a_channel_with_back_fill_has_identities() -> None:
    table = venue()
    topic = table.topic("agg_trades", "BTCUSDT", {})
    assert table.duplicate_key(topic, event(4)) == 4
    assert table.duplicate_key(table.topic("trades", "BTCUSDT", {}), event(4)) is None
    assert {name for name, each in table.channels.items() if each.backfill and each.unique} == {"agg_trades"}
    assert table.backfill(table.topic("trades", "BTCUSDT", {}), loss(3, 9)) is None
    rest = table.rest()
    assert rest is not None
    assert (rest.host, rest.meters) == ("api.binance.com", {"rest": FrameLimit(600, 60.0)})


# ── mistakes ──

TABLE = """
name = "pier"
about = "Pier: trades"
url = "wss://pier.example/ws"

[rest]
url = "https://pier.example"

[trades]
channel = "trades"
price = "p"
size = "q"

[channels.trades]
about = "each trade"
key = "symbol"

[channels.trades.backfill]
path = "/trades?symbol={key}&from={from}&count={count}"
count = 100
rows = "result.list"
id = "n"
message = { c = "trades", k = "{key}", d = "{row}" }

[[events]]
when = { c = "{any}" }
wire = "c"
key = "k"
data = "d"
"""


def test_rows_may_lie_deeper_and_go_as_they_are() -> None:
    kind = read_venue(TABLE, "pier.toml")
    pier = kind("pier", kind.Settings())
    topic = pier.topic("trades", "ABC", {})
    told = [Message("trades", "ABC", {"n": each, "p": "1"}) for each in range(5)]
    body = {"result": {"list": [each.data for each in told[2:4]]}}
    asked, found = talk(pier.backfill(topic, Loss(0, 1, told[1], told[4])), lambda _: answer(body))
    assert asked == ["https://pier.example/trades?symbol=ABC&from=2&count=100"]
    assert found == Backfilled((told[2], told[3]), complete=True)


@pytest.mark.parametrize(
    ("line", "other", "mistake"),
    [
        (
            'channel = "trades"\nprice',
            'channel = "trade"\nprice',
            "[trades] channel: there is no channel 'trade'",
        ),
        ('price = "p"', 'price = "[*].p"', "[trades] price: it is of one event, and takes no [*]"),
        ('size = "q"', "", "[trades] size: missing"),
        ('url = "https://pier.example"', 'url = "wss://pier.example"', "[rest] url: expected a URL"),
        ("&from={from}", "", "[channels.trades.backfill] path: expected {from}"),
        ("{count}", "{number}", "[channels.trades.backfill] path: nothing is known of {number}"),
        ('d = "{row}"', 'd = "{rwo}"', "[channels.trades.backfill] message.d: nothing is known of {rwo}"),
        ('id = "n"', "", "[channels.trades.backfill] id: missing"),
        (
            '[rest]\nurl = "https://pier.example"',
            "",
            "nothing says where requests go",
        ),
        ("count = 100", "count = 0", "[channels.trades.backfill] count"),
    ],
)
def test_a_mistake_in_a_table_is_told(line: str, other: str, mistake: str) -> None:
    assert line in TABLE
    with pytest.raises(ConfigError) as raised:
        read_venue(TABLE.replace(line, other), "pier.toml")
    assert mistake in str(raised.value)


# ── against the simulator, over sockets ──


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "rows.json"
    file.write_text(json.dumps([row(each) for each in range(30)]), encoding="utf-8")
    (tmp_path / "talk.txt").write_text('< {"hello":1}\n', encoding="utf-8")
    return file


def simulated(page: Path) -> SimulatedTable:
    return SimulatedTable(talk=str(page.parent / "talk.txt"), page=str(page), page_id="a")


def ask(table: SimulatedTable, last: int, first: int | None) -> Any:
    binance = venue(url=table.url)
    call = binance.backfill(binance.topic("agg_trades", "BTCUSDT", {}), loss(last, first))
    assert call is not None
    return converse(call.converse(Secret("")), Dial(), seconds=5.0)


def test_what_happened_during_a_cut_is_in_the_history(page: Path) -> None:
    with simulated(page) as table:
        table.add_row(row(30))
        found = ask(table, 25, 31)
        assert (numbers(found), found.complete) == ([26, 27, 28, 29, 30], True)


@pytest.mark.parametrize(
    ("fault", "events", "why"),
    [
        ("page_short rows=3", [4, 5, 6, 7, 8], ""),  # the next page has what it lacks
        ("page_twice", [4, 5, 6, 7, 8], ""),
        ("page_overlaps", [4, 5, 6, 7, 8], ""),
        ("page_reversed", [], HOLE),
        ("history_lags seconds=60", [], joining.FIRST_MISSING),
    ],
)
def test_a_page_that_fails_is_made_good_or_told(page: Path, fault: str, events: list[int], why: str) -> None:
    with simulated(page) as table:
        table.arm(fault)
        found = ask(table, 3, 9)
        assert (numbers(found), found.complete, found.why) == (events, not why, why)


@pytest.mark.parametrize(
    ("fault", "kind"), [("page_cut size=-1", HttpFailed), ("page_refused status=503", Retryable)]
)
def test_a_page_that_does_not_come_is_no_result(page: Path, fault: str, kind: type[Any]) -> None:
    with simulated(page) as table:
        table.arm(fault)
        assert isinstance(ask(table, 3, 9), kind)
        assert ask(table, 3, 9).complete


@pytest.mark.parametrize("body", ["{}", '[{"b":1}]', "[", None], ids=["no list", "no id", "cut", "no file"])
def test_a_file_without_rows_is_a_mistake(page: Path, body: str | None) -> None:
    if body is None:
        page.unlink()
    else:
        page.write_text(body, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"rows\.json"):
        simulated(page)
