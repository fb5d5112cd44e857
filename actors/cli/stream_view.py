"""What `linewarden run --show-events` shows: the newest event of each stream in words, and its markers."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from actors import log_queue
from actors.cli.formatting import one_row
from actors.display.escaping import printable
from actors.display.status_words import gap_length, topic_words
from actors.display.text import clock, cut
from actors.events import Closed, Fresh, Gap, Lifecycle, Marker, Received, Repaired, Stale, VenueState
from actors.protocol.formatting import DIGITS, at, counted, exact, price_words, short
from actors.protocol.prices import Number, Price
from actors.protocol.venue import Venue
from actors.rules.order_book import Book, BookView
from actors.settings import Settings
from actors.settings.schema import WantedTopics
from actors.stream import Stream

log = log_queue.logger("actors.cli.run")

SPLIT = 4  # keys or symbols of a stream with a row of their own
MARKERS, FEW_MARKERS = 6, 2  # shown on a terminal that has room for them, and on any other
PAGE = 4.0  # seconds that one page of rows is shown where not all fit
KEPT = 1_000  # markers
TREND, SHORT_TREND = 24, 12  # prices
WIDE, WIDER = 100, 120  # columns of a terminal with room for a short and for a full trend
LONGEST = 500  # characters of the words of an event
LARGE = 10**DIGITS  # an integer from here on is shown by its first digits
WORDS = 120  # characters of an event that has no words of its venue's
EVERY = 0.5  # seconds between two events where stdout is no terminal
SPARKS = "▁▂▃▄▅▆▇█"
COLOURS = {"disconnected": "red", "reconnecting": "yellow", "restored": "green", "failed": "bold red"}

Shown = Gap | Repaired | Lifecycle | VenueState | Stale | Fresh
Opener = Callable[..., Stream[Any]]


class StreamView:
    """Reads one stream for each wanted entry of the config, on a thread each, until they end."""

    def __init__(self, subscribe: Opener, settings: Settings) -> None:
        self._lock = threading.Lock()
        self._markers: deque[Shown] = deque(maxlen=KEPT)
        self._known: deque[tuple[object, ...]] = deque(maxlen=KEPT)
        self._unprinted: list[Shown] = []
        self._printed_at = -EVERY
        self._entries: list[Entry] = []
        for feed in settings.feeds.values():
            venue = feed.build_venue()
            prefix = feed.name if len(settings.feeds) > 1 else ""
            for wanted in feed.subscribe:
                entry = Entry(prefix, venue, wanted)
                self._entries.append(entry)
                stream = subscribe(feed.name, wanted.channel, *wanted.keys, **wanted.options)
                name = f"show/{feed.name}/{wanted.channel}"
                threading.Thread(target=self._read, args=(stream, entry), name=name, daemon=True).start()

    def _read(self, stream: Stream[Any], entry: Entry) -> None:
        for item in stream.items():
            with self._lock:
                try:
                    entry.take(item)
                except Exception:  # an event that the venue's own words for it do not foresee
                    log.exception("view.failed", "An event could not be shown. The stream goes on.")
                if isinstance(item, Gap | Repaired | Stale | Fresh):
                    self._keep(item)
                elif isinstance(item, Lifecycle | VenueState) and _identity(item) not in self._known:
                    self._known.append(
                        _identity(item)
                    )  # every stream of a line has this marker; one is shown
                    self._keep(item)

    def _keep(self, marker: Shown) -> None:
        self._markers.append(marker)
        self._unprinted.append(marker)

    def _rows(self) -> list[Row]:
        return [row for entry in self._entries for row in entry.rows()]

    def render(self, width: int, height: int, now: float) -> RenderableType:
        """For a terminal: one row per stream, key or symbol, and the newest markers.

        Where `height` rows are too few, the streams are shown page by page. `now` is monotonic seconds.
        """
        trend = TREND if width >= WIDER else SHORT_TREND if width >= WIDE else 0
        with self._lock:
            self._unprinted.clear()
            rows = self._rows()
            room = max(1, height - FEW_MARKERS - 4)  # an empty row above, a heading, and one empty row below
            pages = max(1, math.ceil(len(rows) / room))
            page = int(now / PAGE) % pages + 1
            shown = rows[(page - 1) * room : page * room]
            grid = _grid(rows, f"stream ({page} of {pages})" if pages > 1 else "stream", trend)
            for row in shown:
                grid.add_row(*row.cells(trend), style="dim" if row.entry.down else "")
            newest = list(marker_lines(self._markers))
        for _ in range(min(len(rows), room) - len(shown)):
            grid.add_row()
        markers = max(FEW_MARKERS, min(MARKERS, height - min(len(rows), room) - 4))
        lines = [one_row(f"{when}  {words}", style) for when, words, style in newest[-markers:]]
        # The height stays the same, for a picture that grows moves everything above it.
        lines += [Text()] * (markers - len(lines))
        return Group(Text(), grid, Text(), *lines)

    def lines(self, now: float) -> list[str]:
        """For a pipe: all markers since the last call, and one event every half second."""
        with self._lock:
            markers, self._unprinted = self._unprinted, []
            lines = [f"{when}  {words}" for when, words, _ in marker_lines(markers)]
            fresh = [row for row in self._rows() if row.fresh and not row.entry.down]
            if fresh and now >= self._printed_at + EVERY:
                row = min(fresh, key=lambda row: row.printed_at)
                row.printed_at, row.fresh = now, False
                self._printed_at = now
                lines.append(f"{clock(time.time_ns())}  {row.label}: {row.words()}")
        return lines


def _grid(rows: list[Row], heading: str, trend: int) -> Table:
    grid = Table.grid(padding=(0, 2), expand=True)
    widest = max(map(len, (heading, *(row.label for row in rows))))
    grid.add_column(no_wrap=True, min_width=widest)
    grid.add_column(no_wrap=True, justify="right", min_width=6)
    grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    if trend:
        grid.add_column(no_wrap=True, min_width=trend)
    grid.add_row(heading, "events", "newest", *["price"] * bool(trend), style="bold")
    return grid


class Entry:
    """One stream: a row for each of its first keys, or symbols where it has no keys, and one for the rest."""

    def __init__(self, prefix: str, venue: Venue, wanted: WantedTopics) -> None:
        self.down = False
        self._venue, self._channel = venue, wanted.channel
        self._label = f"{prefix} {wanted.channel}".strip()
        keys = [venue.topic(wanted.channel, key, wanted.options).key for key in wanted.keys]
        self._own = {key: self._row(short(key)) for key in keys[:SPLIT]}
        self._more = max(0, len(keys) - SPLIT)
        self._rest = self._row(f"({counted(self._more, 'more key')})" if self._more else "")

    def _row(self, part: str) -> Row:
        return Row(printable(f"{self._label} {part}".strip()), self, self._venue, self._channel)

    def take(self, item: Received[Any] | Marker) -> None:
        match item:
            case Lifecycle(state=state):
                self.down = state not in {"connected", "restored"}
            case Gap(topic=topic):  # the next event of this topic is a whole book
                for row in (*self._own.values(), self._rest):
                    row.lose(topic.key)
            case Closed():
                self.down = True
            case Received():
                part = self._part(item)
                self._row_of(part).take(part, item)

    def _part(self, received: Received[Any]) -> str:
        if received.topic.key or self._channel not in self._venue.price_channels:
            return received.topic.key
        return self._venue.symbol(received.event) or ""

    def _row_of(self, part: str) -> Row:
        if part and part not in self._own and len(self._own) < SPLIT:
            self._own[part] = self._row(short(part))
        return self._own.get(part, self._rest)

    def rows(self) -> list[Row]:
        own = [*self._own.values()]
        return [*own, self._rest] if self._more or self._rest.events or not own else own


class Row:
    """The newest event of one key or symbol, or of several."""

    def __init__(self, label: str, entry: Entry, venue: Venue, channel: str) -> None:
        self.label, self.entry = label, entry
        self.events = 0
        self.fresh = False
        self.printed_at = 0.0  # monotonic seconds
        self._venue = venue
        self._is_book = channel == venue.book_channel
        self._newest: Received[Any] | None = None
        self._part = ""
        self._books: dict[str, Book] = {}
        self._parts: set[str] = set()
        self._prices: deque[Number] = deque(maxlen=TREND)

    def cells(self, trend: int) -> list[Text]:
        """`trend`: the characters that a trend may have; 0: none is wanted."""
        cells = [Text(self.label), Text(f"{self.events:,}"), Text(self.words())]
        return [*cells, Text(self.trend()[-trend:], style="cyan")] if trend else cells

    def take(self, part: str, received: Received[Any]) -> None:
        """`part`: the key or symbol that the event belongs to."""
        self.events += 1
        self.fresh = True
        self._newest, self._part = received, part
        self._parts.add(part)
        update = self._venue.book_update(received.event) if self._is_book else None
        if update is not None:
            book = self._books.setdefault(part, Book(received.topic))
            try:
                book.apply(update, received.received_ns, received.epoch)
            except Exception:  # levels that have no order: there is no book until a whole one arrives
                self.lose(part)

    def lose(self, key: str) -> None:
        """The book of this key is not known until a whole one arrives."""
        self._books.pop(key, None)

    def words(self) -> str:
        if self._newest is None:
            return "nothing yet"
        prefix = f"{short(self._part)} " if len(self._parts) > 1 else ""
        try:
            words = self._event_words(self._newest)
        except Exception as error:  # such as a value whose text cannot be made
            words = f"an event that cannot be shown ({type(error).__name__})"
        return printable(cut(prefix + words, LONGEST))

    def _event_words(self, newest: Received[Any]) -> str:
        if self._is_book:
            return book_words(self._view())
        words = self._venue.words(newest.event)
        if not words and (price := self._price(newest)) is not None:
            words = price_words(price)
        return words or field_words(newest.event)

    def _price(self, received: Received[Any]) -> Price | None:
        known = received.topic.channel in self._venue.price_channels
        return self._venue.price(received.event) if known else None

    def _view(self) -> BookView | None:
        book = self._books.get(self._part)
        return book.view(1) if book is not None and book.synced else None

    def trend(self) -> str:
        """The prices that were drawn last, one character each; empty where several symbols share the row."""
        try:
            price = self._one_price() if len(self._parts) == 1 else None
        except Exception:
            return ""
        if price is not None and (not self._prices or price != self._prices[-1]):
            self._prices.append(price)
        if len(self._prices) < 2 or len(self._parts) > 1:
            return ""
        prices = list(map(as_float, self._prices))
        low, high = min(prices), max(prices)
        if not math.isfinite(high - low):
            return ""
        steps = (len(SPARKS) - 1) / (high - low or 1.0)
        return "".join(SPARKS[int((price - low) * steps)] for price in prices)

    def _one_price(self) -> Number | None:
        """The last trade's; otherwise the middle of bid and ask."""
        if self._newest is None:
            return None
        view = self._view() if self._is_book else None
        if view is not None:
            return _middle(view.bids[0][0], view.asks[0][0]) if view.bids and view.asks else None
        price = self._price(self._newest) or Price("")
        if price.last is not None:
            return price.last
        return None if price.bid is None or price.ask is None else _middle(price.bid, price.ask)


def _middle(bid: Number, ask: Number) -> Number:
    return (as_float(bid) + as_float(ask)) / 2


def as_float(number: Number) -> float:
    """Infinity, if it is too large for one."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def book_words(view: BookView | None) -> str:
    if view is None:
        return "waiting for the whole book"
    sides = (("bid", view.best_bid), ("ask", view.best_ask))
    return " · ".join(at(*level, f"{side} ") for side, level in sides if level) or "the book is empty"


def field_words(event: Any) -> str:
    """`price 12, size 3`: the fields of an event that has no words of its venue's."""
    fields = {name: getattr(event, name) for name in getattr(event, "__struct_fields__", ())}
    told = ((name, value_words(value)) for name, value in fields.items() if value is not None)
    return cut(", ".join(f"{name} {words}" for name, words in told if words) or repr(event), WORDS)


def value_words(value: Any) -> str:
    """Of one field; a value that has no text is named by its type."""
    try:
        return exact(value) if isinstance(value, int) and abs(value) >= LARGE else str(value)
    except Exception:
        return f"<{type(value).__name__}>"


# ── markers ─────────────────────────────────────────────────────────────────────────────────────


def marker_lines(markers: Iterable[Shown]) -> Iterator[tuple[str, str, str]]:
    """Time, words and style of each; the gaps of one cause share a line that names their topics."""
    for _, group in groupby(markers, _cause):
        first, *others = group
        if isinstance(first, Lifecycle):
            yield clock(first.at_ns), lifecycle_words(first), COLOURS.get(first.state, "")
        elif isinstance(first, Stale | Fresh):
            state, style = (
                (f"stale: {first.text}", "yellow") if isinstance(first, Stale) else ("fresh", "green")
            )
            words = printable(f"{first.topic.feed}: {topic_words(first.topic)} is {state}")
            yield clock(first.at_ns), words, style
        elif isinstance(first, VenueState):
            words = printable(f"{first.line}: the venue says: {first}")
            yield clock(first.at_ns), words, "green" if first.state == "open" else "yellow"
        elif isinstance(first, Repaired):
            words, style = repaired_words(first), "green" if first.complete else "yellow"
            yield clock(first.gap.until_ns), words, style
        else:
            gaps = [first, *(gap for gap in others if isinstance(gap, Gap))]
            yield clock(first.until_ns), gap_words(gaps), "magenta"


def _identity(marker: Lifecycle | VenueState) -> tuple[object, ...]:
    if isinstance(marker, VenueState):
        return marker.line, marker.scope, marker.state, marker.epoch, marker.at_ns
    return marker.line, marker.state, marker.epoch, marker.attempt


def _cause(marker: Shown) -> object:
    if isinstance(marker, Gap):
        return marker.topic.feed, marker.reason, marker.epoch
    return id(marker)


def gap_words(gaps: list[Gap]) -> str:
    longest = max(gaps, key=lambda gap: gap.until_ns - gap.since_ns)
    length = f" of {gap_length(longest)}" if gap_length(longest) else ""
    counts = [gap.missed for gap in gaps if gap.missed is not None]
    missed = f", {sum(counts):,} missed" if counts else ""
    why = "cause unknown" if gaps[0].reason == "unknown" else gaps[0].reason
    names = ", ".join(sorted({topic_words(gap.topic) for gap in gaps}))
    return printable(f"{gaps[0].topic.feed}: gap{length} ({why}{missed}): {names}")


def repaired_words(marker: Repaired) -> str:
    lacks = "" if marker.complete else f"; some may be missing still ({marker.text or 'cause unknown'})"
    events = counted(marker.count, "event")
    return printable(f"{marker.topic.feed}: gap of {topic_words(marker.topic)} filled with {events}{lacks}")


def lifecycle_words(marker: Lifecycle) -> str:
    words = {"disconnected": "line lost", "reconnecting": f"connecting again, try {marker.attempt}"}
    reason = f": {marker.reason}" if marker.reason and marker.state != "reconnecting" else ""
    return printable(f"{marker.line}: {words.get(marker.state, marker.state)}{reason}")
