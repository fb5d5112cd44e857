"""What `linewarden run --show-events` shows: the newest event of each stream in words, and what befell it."""

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

from actors.cli.logs import printable
from actors.cli.run_view import WIDE, seconds_of, topic_words
from actors.events import Closed, Gap, Lifecycle, Marker, Received
from actors.protocol.formatting import at, price_words, short
from actors.protocol.prices import Number, Price
from actors.protocol.venue import Venue
from actors.rules.order_book import Book, BookView
from actors.settings import Settings
from actors.stream import Stream

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
            venue = feed.build_venue()
            whose = feed.name if len(settings.feeds) > 1 else ""
            for entry in feed.subscribe:
                stream = subscribe(feed.name, entry.channel, *entry.keys, **entry.options)
                words = (whose, entry.channel, keys_words(entry.keys))
                row = Row(" ".join(filter(None, words)), venue, entry.channel)
                self._rows.append(row)
                name = f"tape/{feed.name}/{entry.channel}"
                threading.Thread(target=self._read, args=(stream, row), name=name, daemon=True).start()
        self._turns = deque(self._rows)

    def _read(self, stream: Stream[Any], row: Row) -> None:
        for item in stream.items():
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

    def __init__(self, label: str, venue: Venue, channel: str) -> None:
        self.label = label
        self.events = 0
        self.down = False
        self.fresh = False
        self._venue = venue
        self._is_book = channel == venue.book_channel
        self._newest: Received[Any] | None = None
        self._books: dict[str, Book] = {}
        self._keys: set[str] = set()
        self._prices: deque[Number] = deque(maxlen=TREND)

    def take(self, item: Received[Any] | Marker) -> None:
        match item:
            case Lifecycle(state=state):
                self.down = state not in {"connected", "restored"}
            case Gap(topic=topic):  # the next of it is a whole book again
                self._books.pop(topic.key, None)
            case Closed():
                self.down = True
            case Received():
                self._hear(item)

    def _hear(self, heard: Received[Any]) -> None:
        self.events += 1
        self.fresh = True
        self._newest = heard
        self._keys.add(heard.topic.key)
        update = self._venue.book_update(heard.event) if self._is_book else None
        if update is not None:
            book = self._books.setdefault(heard.topic.key, Book(heard.topic))
            book.apply(update, heard.received_ns, heard.epoch)

    def words(self) -> str:
        if self._newest is None:
            return "nothing yet"
        key = self._newest.topic.key
        prefix = f"{short(key)} " if len(self._keys) > 1 else ""
        return printable(prefix + self._event_words(self._newest))

    def _event_words(self, newest: Received[Any]) -> str:
        if self._is_book:
            return book_words(self._view(newest))
        words = self._venue.words(newest.event)
        if not words and (price := self._price(newest)) is not None:
            words = price_words(price)
        return words or field_words(newest.event)

    def _price(self, heard: Received[Any]) -> Price | None:
        known = heard.topic.channel in self._venue.price_channels
        return self._venue.price(heard.event) if known else None

    def _view(self, heard: Received[Any]) -> BookView | None:
        book = self._books.get(heard.topic.key)
        return book.view(1) if book is not None and book.synced else None

    def trend(self) -> str:
        """The way its price has gone, a character each time that it was looked at and another one."""
        price = self._one_price()
        if price is not None and (not self._prices or price != self._prices[-1]):
            self._prices.append(price)
        if len(self._prices) < 2:
            return ""
        low, high = min(map(float, self._prices)), max(map(float, self._prices))
        steps = (len(SPARKS) - 1) / (high - low or 1.0)
        return "".join(SPARKS[int((float(price) - low) * steps)] for price in self._prices)

    def _one_price(self) -> Number | None:
        """The last trade's, or else between bid and ask."""
        if self._newest is None:
            return None
        view = self._view(self._newest) if self._is_book else None
        if view is not None:
            return _middle(view.bids[0][0], view.asks[0][0]) if view.bids and view.asks else None
        price = self._price(self._newest) or Price("")
        if price.last is not None:
            return price.last
        return None if price.bid is None or price.ask is None else _middle(price.bid, price.ask)


def _middle(bid: Number, ask: Number) -> Number:
    return (float(bid) + float(ask)) / 2


def book_words(view: BookView | None) -> str:
    if view is None:
        return "waiting for the whole book"
    sides = (("bid", view.best_bid), ("ask", view.best_ask))
    return " · ".join(at(*level, f"{side} ") for side, level in sides if level) or "the book is empty"


def field_words(event: Any) -> str:
    """Of an event for which nobody has words: as it is."""
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


def clock(at_ns: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at_ns / 1e9))
