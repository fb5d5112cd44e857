from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pytest
from msgspec import Struct, structs
from rich.console import Console

from actors.cli.stream_view import PAGE, SPLIT, Entry, StreamView, marker_lines
from actors.events import Gap, Lifecycle, Received, Repaired, Scope, Topic, VenueState
from actors.protocol.formatting import amount, short
from actors.settings import load
from actors.settings.schema import WantedTopics
from actors.venues import o2 as words
from actors.venues import tplus

MARKET, ASSET = "0x" + "ab" * 32, "0x" + "cd" * 32


CHANNELS = ("depth", "depth_view", "trades", "orders", "balances", "nonce")


class Tick(Struct):
    """Of a venue that has no words for it."""

    text: str


def level(price: int, quantity: int) -> words.Level:
    return words.Level(price, quantity)


VENUE = words.O2("o2", words.O2Settings())


def event(event: Any, channel: str = "depth", key: str = MARKET) -> Received[Any]:
    return Received(Topic("o2", channel, key), 0, 2, event)


def entry(channel: str = "depth", *keys: str) -> Entry:
    return Entry("", VENUE, WantedTopics(channel=channel, keys=keys))


def shown(*items: Any, channel: str = "depth") -> list[str]:
    """The words of each row, after these events of a stream without configured keys."""
    stream = entry(channel)
    for item in items:
        stream.take(item if isinstance(item, Gap | Received) else event(item, channel))
    return [row.words() for row in stream.rows()]


SNAPSHOT = words.DepthSnapshot(MARKET, (level(99, 5_000_000), level(98, 1)), (level(101, 70),))


GAP = Gap(Topic("o2", "depth", MARKET), "disconnect", None, 0, 210_000_000, 2)


LOST = Lifecycle("o2", "disconnected", 1, 0, "reset by\x1b peer", 10)


def test_a_book_is_kept_from_its_changes() -> None:
    assert shown() == ["nothing yet"]
    assert shown(SNAPSHOT) == ["bid 99 × 5M · ask 101 × 70"]
    change = words.DepthChange(MARKET, (level(99, -5_000_000),), (level(100, 8),))
    assert shown(SNAPSHOT, change) == ["bid 98 × 1 · ask 100 × 8"]
    assert shown(SNAPSHOT, GAP, change) == ["waiting for the whole book"]
    other = event(SNAPSHOT, key="0x" + "cd" * 32)
    assert shown(other, SNAPSHOT, GAP) == ["bid 99 × 5M · ask 101 × 70", "waiting for the whole book"]


def test_the_first_keys_have_rows_of_their_own_and_the_others_share_one() -> None:
    keys = ["0x" + f"{number:02x}" * 32 for number in range(SPLIT + 3)]
    stream = entry("trades", *keys)
    labels = [f"trades {short(key)}" for key in keys[:SPLIT]]
    assert [row.label for row in stream.rows()] == [*labels, "trades (3 more keys)"]
    for price, key in enumerate((*keys, *keys), 1_000):
        stream.take(event(words.Trade(key, str(price), "buy", price, 1), "trades", key))
        drawn = [row.trend() for row in stream.rows()]
    assert drawn == ["▁█"] * SPLIT + [""]  # prices of several markets make no trend
    assert stream.rows()[-1].words() == f"{short(keys[-1])} 1 sold at 1,013"


def test_each_symbol_of_a_stream_without_keys_has_a_row() -> None:
    venue = tplus.Tplus("tplus", tplus.TplusSettings())
    stream = Entry("tplus", venue, WantedTopics(channel="trades"))
    assert [row.label for row in stream.rows()] == ["tplus trades"]
    for asset, price in (("200", 101), ("201", 3_000), ("200", 102)):
        trade = msgspec.convert(
            {"asset_id": asset, "trade_id": price, "timestamp_ns": 1, "price": price, "quantity": 1}
            | {"buyer_is_maker": True, "status": "Confirmed"},
            tplus.Trade,
        )
        stream.take(Received(Topic("tplus", "trades", ""), 0, 1, trade))
    assert [row.label for row in stream.rows()] == ["tplus trades 200", "tplus trades 201"]
    assert [row.events for row in stream.rows()] == [2, 1]


def test_each_event_has_its_words() -> None:
    assert shown(words.Trade(MARKET, "1", "sell", 12_000, 40), channel="trades") == ["40 bought at 12,000"]
    balance = words.Balance("0x1", ASSET, 0, 1_234_000)
    assert shown(balance, channel="balances") == ["0xcdcd…cdcd: 1.23M free, 0 locked"]
    assert shown(words.Nonce("0x1", 1_234), channel="nonce") == ["1,234"]
    order = words.Order("0x9", "0x1", MARKET, "open", "buy", "Spot", 40, 10, 12_000, 12_000)
    assert shown(order, channel="orders") == ["buy 10 of 40 at 12,000, open"]
    assert shown(Tick("a\nb"), channel="trades") == [r"text a\nb"]
    assert len(shown(Tick("x" * 1_000), channel="trades")[0]) == 120


@pytest.mark.parametrize(
    ("number", "short"),
    [(0, "0"), (999, "999"), (1_000, "1k"), (999_600, "1M"), (-5_540, "-5.54k"), (10**16, "10,000T")],
)
def test_an_amount_has_three_digits_or_so(number: int, short: str) -> None:
    assert amount(number) == short


def test_a_trend_is_drawn_from_its_lowest_to_its_highest() -> None:
    stream = entry("trades", MARKET)
    drawn = ""
    for price in (10, 10, 17, 13):
        stream.take(event(words.Trade(MARKET, "1", "buy", price, 1), "trades"))
        drawn = stream.rows()[0].trend()
    assert drawn == "▁█▄"


def test_gaps_of_one_cause_are_told_together() -> None:
    other = Gap(Topic("o2", "nonce"), "disconnect", 3, 0, 100_000_000, 2)
    later = Gap(Topic("o2", "nonce"), "overflow", 1_200, 5, 5, 2)
    unknown = Gap(Topic("o2", "nonce"), "unknown", None, 5, 5, 2)
    back = Lifecycle("o2", "reconnecting", 2, 4, "reset", 10)
    assert [line for _, line, _ in marker_lines([LOST, back, GAP, other, later, unknown])] == [
        r"o2: line lost: reset by\x1b peer",
        "o2: connecting again, try 4",
        "o2: gap of 0.21 s (disconnect, 3 missed): depth 0xabab…abab, nonce",
        "o2: gap (overflow, 1,200 missed): nonce",
        "o2: gap (cause unknown): nonce",
    ]


def test_what_the_venue_says_has_a_line_of_its_own() -> None:
    halted = VenueState(Scope(key="A\x1b"), "halted", "news", None, "o2", 1, 10)
    told = list(marker_lines([halted, structs.replace(halted, state="open", at_ns=20)]))
    assert [(line, style) for _, line, style in told] == [
        (r"o2: the venue says: A\x1b is halted: news", "yellow"),
        (r"o2: the venue says: A\x1b is open: news", "green"),
    ]


def test_a_gap_that_was_filled_is_told_with_what_it_lacks() -> None:
    topic = Topic("o2", "trades", MARKET)
    gap = Gap(topic, "disconnect", None, 1, 2, 3)
    whole, part = Repaired(gap, 1, True), Repaired(gap, 0, False, "no answer", 1, 2)
    words = [line[1:] for marker in (whole, part) for line in marker_lines([marker])]
    assert words == [
        ("o2: gap of trades 0xabab…abab filled with 1 event", "green"),
        (
            "o2: gap of trades 0xabab…abab filled with 0 events; some may be missing still (no answer)",
            "yellow",
        ),
    ]


class Played:
    """A stream that holds what it is given."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = list(items)
        self.read = threading.Event()

    def items(self) -> Iterator[Any]:
        yield from self._items
        self.read.set()


def test_a_loss_is_told_once_however_many_streams_heard_of_it() -> None:
    opened: list[tuple[str, Played]] = []

    def subscribe(feed: str, channel: str, *keys: str, **options: Any) -> Any:
        snapshot = Received(Topic("o2", channel, keys[0]), 0, 2, SNAPSHOT)
        stream = Played([LOST, Lifecycle("o2", "restored", 2, 1, "", 20), GAP, snapshot])
        opened.append((channel, stream))
        return stream

    wanted = [{"channel": channel, "keys": [MARKET]} for channel in CHANNELS]
    view = StreamView(subscribe, load({"feeds": {"o2": {"venue": "o2", "subscribe": wanted}}}))
    assert [channel for channel, _ in opened] == list(CHANNELS)
    for _, stream in opened:
        assert stream.read.wait(5.0)
    lines = [line.partition("  ")[2] for line in view.lines(100.0)]
    assert lines[0] == r"o2: line lost: reset by\x1b peer"
    assert "o2: restored" in lines
    assert sum(": line lost" in line for line in lines) == 1
    assert lines[-1] == "depth 0xabab…abab: bid 99 × 5M · ask 101 × 70"
    assert view.lines(100.1) == []  # events come now and then
    assert len(view.lines(101.0)) == 1
    for width, height, rows, markers in ((60, 10, 4, 2), (80, 13, 6, 3), (120, 50, 6, 6)):
        first, second = (drawn(view, width, height, now) for now in (0.0, PAGE))
        assert max(map(len, first)) <= width
        assert len(first) == len(second) == 1 + 1 + rows + 1 + markers  # always as high
        streams = {row.split()[0] for row in (*first[2 : 2 + rows], *second[2 : 2 + rows]) if row.strip()}
        assert streams == set(CHANNELS)  # every one is shown, on one page or on two
        assert first[1].startswith("stream (1 of 2)") == (rows < len(CHANNELS))


def drawn(view: StreamView, width: int, height: int, now: float) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(view.render(width, height, now))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()
