"""What `linewarden run --tape` shows: the newest event of each stream in words, and what befell it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from actors.events import Closed, Gap, Lifecycle
from actors.logs import printable
from actors.settings import Settings
from actors.stream import Stream
from actors.table import WIDE, seconds_of, short, topic_words
from actors.venues import o2
from actors.venues.o2.messages import Levels

ROWS, MARKERS = 12, 6  # shown on a terminal...
ABOVE = 8  # ...with so many other lines
KEPT = 1_000  # markers
TREND = 24  # prices
WORDS = 120  # characters of an event that nobody here has words for
EVERY = 0.5  # seconds between two events where there is no terminal
SPARKS = "▁▂▃▄▅▆▇█"
COLOURS = {"disconnected": "red", "reconnecting": "yellow", "restored": "green", "failed": "bold red"}

Opener = Callable[..., Stream[Any]]


class Tape:
    """Reads one stream for each wanted entry of the config, on a thread each, until they end."""

    def __init__(self, subscribe: Opener, settings: Settings) -> None:
        self._lock = threading.Lock()
        self._markers: deque[Gap | Lifecycle] = deque(maxlen=KEPT)
        self._told: deque[tuple[object, ...]] = deque(maxlen=KEPT)
        self._unprinted: list[Gap | Lifecycle] = []
        self._due = 0.0
        self._rows: list[Row] = []
        for feed in settings.feeds.values():
            for entry in feed.subscribe:
                stream = subscribe(feed.name, entry.channel, *entry.keys, **entry.options)
                row = Row(f"{entry.channel} {keys_words(entry.keys)}".strip(), len(entry.keys) > 1)
                self._rows.append(row)
                name = f"tape/{feed.name}/{entry.channel}"
                threading.Thread(target=self._read, args=(stream, row), name=name, daemon=True).start()
        self._turns = deque(self._rows)

    def _read(self, stream: Stream[Any], row: Row) -> None:
        for item in stream.with_markers():
            with self._lock:
                row.take(item)
                if isinstance(item, Gap):
                    self._keep(item)
                elif isinstance(item, Lifecycle):
                    # Every stream of a line is told; here it is told once.
                    known = (item.line, item.state, item.epoch, item.attempt)
                    if known not in self._told:
                        self._told.append(known)
                        self._keep(item)

    def _keep(self, marker: Gap | Lifecycle) -> None:
        self._markers.append(marker)
        self._unprinted.append(marker)

    def render(self, width: int, height: int) -> RenderableType:
        """For a terminal: a row a stream, and the newest markers."""
        room = max(2, min(MARKERS, height - min(len(self._rows), ROWS) - ABOVE))
        grid = Table.grid(padding=(0, 2), expand=True)
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, justify="right", min_width=6)
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        if wide := width >= WIDE:
            grid.add_column(no_wrap=True, min_width=TREND)
        with self._lock:
            self._unprinted.clear()
            for row in self._rows[:ROWS]:
                cells = [Text(row.label), Text(f"{row.events:,}"), Text(row.words())]
                trend = [Text(row.trend(), style="cyan")] if wide else []
                grid.add_row(*cells, *trend, style="dim" if row.down else "")
            newest = list(told(self._markers))[-room:]
        lines = [
            Text(f"{at}  {words}", style, no_wrap=True, overflow="ellipsis") for at, words, style in newest
        ]
        # As high as it will be later: what grows pushes everything above it about.
        lines += [Text()] * (room - len(lines))
        return Group(Text(), grid, Text(), *lines)

    def lines(self, now: float) -> list[str]:
        """For a pipe: all markers since the last call, and now and then an event."""
        with self._lock:
            markers, self._unprinted = self._unprinted, []
            lines = [f"{at}  {words}" for at, words, _ in told(markers)]
            if now >= self._due and (row := self._next_row()) is not None:
                self._due = now + EVERY
                lines.append(f"{clock(time.time_ns())}  {row.label}: {row.words()}")
        return lines

    def _next_row(self) -> Row | None:
        """In turn, one that has something new."""
        for row in self._turns:
            if row.fresh and not row.down:
                row.fresh = False
                self._turns.remove(row)
                self._turns.append(row)
                return row
        return None


class Row:
    """What one stream told last."""

    def __init__(self, label: str, several: bool) -> None:
        self.label = label
        self.events = 0
        self.down = False
        self.fresh = False
        self._several = several  # keys: each event is told with its own
        self._newest: Any = None
        self._books: dict[str, Book] = {}
        self._prices: deque[int] = deque(maxlen=TREND)

    def take(self, item: Any) -> None:
        match item:
            case Lifecycle(state=state):
                self.down = state not in {"connected", "restored"}
            case Gap(topic=topic):  # the next of it is a whole book again
                self._books.pop(topic.key, None)
            case Closed():
                self.down = True
            case o2.DepthSnapshot() | o2.DepthView():
                self._books[item.market] = Book(item.bids, item.asks)
                self._hear(item)
            case o2.DepthChange():
                if (book := self._books.get(item.market)) is not None:
                    book.change(item.bids, item.asks)
                self._hear(item)
            case _:
                self._hear(item)

    def _hear(self, event: Any) -> None:
        self.events += 1
        self.fresh = True
        self._newest = event

    def words(self) -> str:
        if self._newest is None:
            return "nothing yet"
        event = self._newest
        whose = getattr(event, "market", "") or getattr(event, "account", "")
        prefix = f"{short(whose)} " if self._several and isinstance(whose, str) and whose else ""
        match event:
            case o2.DepthSnapshot() | o2.DepthChange() | o2.DepthView():
                book = self._books.get(event.market)
                words = "waiting for the whole book" if book is None else book.words()
            case _:
                words = event_words(event)
        return printable(prefix + words)

    def trend(self) -> str:
        """The way its price has gone, a character each time that it was looked at and another one."""
        book = self._books.get(getattr(self._newest, "market", ""))
        price = book.middle() if book is not None else None
        if isinstance(self._newest, o2.Trade):
            price = self._newest.price
        if price is not None and (not self._prices or price != self._prices[-1]):
            self._prices.append(price)
        if len(self._prices) < 2:
            return ""
        low, high = min(self._prices), max(self._prices)
        return "".join(SPARKS[(price - low) * (len(SPARKS) - 1) // (high - low)] for price in self._prices)


class Book:
    """Quantities by price."""

    def __init__(self, bids: Levels, asks: Levels) -> None:
        self._bids = {level.price: level.quantity for level in bids}
        self._asks = {level.price: level.quantity for level in asks}

    def change(self, bids: Levels, asks: Levels) -> None:
        for side, levels in ((self._bids, bids), (self._asks, asks)):
            for level in levels:
                side[level.price] = side.get(level.price, 0) + level.quantity
                if side[level.price] <= 0:
                    del side[level.price]

    def middle(self) -> int | None:
        return (max(self._bids) + min(self._asks)) // 2 if self._bids and self._asks else None

    def words(self) -> str:
        bid = max(self._bids) if self._bids else None
        ask = min(self._asks) if self._asks else None
        parts = [
            f"{side} {price:,} × {amount(levels[price])}"
            for side, price, levels in (("bid", bid, self._bids), ("ask", ask, self._asks))
            if price is not None
        ]
        return " · ".join(parts) or "the book is empty"


def event_words(event: Any) -> str:
    """One event, in a few words."""
    match event:
        case o2.Trade():
            done = "bought" if event.side == "sell" else "sold"  # the event's side is the maker's
            return f"{amount(event.quantity)} {done} at {event.price:,}"
        case o2.Order():
            done = f"{amount(event.quantity_fill)} of {amount(event.quantity)}"
            return f"{event.side} {done} at {event.price:,}, {event.state}"
        case o2.Balance():
            free, locked = amount(event.total_unlocked), amount(event.total_locked)
            return f"{short(event.asset)}: {free} free, {locked} locked"
        case o2.Nonce():
            return f"{event.nonce:,}"
    words = repr(event)
    return words if len(words) <= WORDS else words[: WORDS - 1] + "…"


def told(markers: Iterable[Gap | Lifecycle]) -> Iterator[tuple[str, str, str]]:
    """Time, words and style of each; gaps of one cause are told together, each by its topic."""
    for _, group in groupby(markers, _cause):
        first, *others = group
        if isinstance(first, Lifecycle):
            yield clock(first.at_ns), lifecycle_words(first), COLOURS.get(first.state, "")
        else:
            gaps = [first, *(gap for gap in others if isinstance(gap, Gap))]
            yield clock(first.until_ns), gap_words(gaps), "magenta"


def _cause(marker: Gap | Lifecycle) -> object:
    if isinstance(marker, Gap):
        return marker.topic.feed, marker.reason, marker.epoch
    return id(marker)


def gap_words(gaps: list[Gap]) -> str:
    longest = max(gaps, key=lambda gap: gap.until_ns - gap.since_ns)
    length = f" of {seconds_of(longest)}" if seconds_of(longest) else ""
    counts = [gap.missed for gap in gaps if gap.missed is not None]
    missed = f", {sum(counts):,} missed" if counts else ""
    names = ", ".join(sorted({topic_words(gap.topic) for gap in gaps}))
    return printable(f"{gaps[0].topic.feed}: gap{length} ({gaps[0].reason}{missed}): {names}")


def lifecycle_words(marker: Lifecycle) -> str:
    words: Mapping[str, str] = {
        "disconnected": "line lost",
        "reconnecting": f"connecting again, try {marker.attempt}",
    }
    reason = f": {marker.reason}" if marker.reason and marker.state != "reconnecting" else ""
    return printable(f"{marker.line}: {words.get(marker.state, marker.state)}{reason}")


def keys_words(keys: tuple[str, ...]) -> str:
    return f"({len(keys)} keys)" if len(keys) > 1 else "".join(map(short, keys))


def amount(number: int) -> str:
    """Three digits or so: 80M, 5.54T."""
    value, units = float(number), ["", "k", "M", "B", "T"]
    while abs(value) >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return (f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}") + units[0]


def clock(at_ns: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at_ns / 1e9))
