"""Events as rows for a data frame of pandas or polars: one value and one type per column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any, Final, get_args

from msgspec import UNSET, Struct, structs

from actors.errors import LinewardenError
from actors.events import Marker, Received, Topic
from actors.protocol.bars import Bar
from actors.protocol.numbers import known_time
from actors.protocol.timestamps import iso_nanoseconds
from actors.rules.account.view import AccountView
from actors.rules.bars.view import BarsView, FrameView
from actors.rules.calendar import EPOCH
from actors.rules.order_book import BookView
from actors.secret import REDACTED, Secret
from actors.stream import Marked, Stream

MOST_COLUMNS: Final = 1_000
DEEPEST: Final = 3  # structs in structs that become columns; what lies deeper stays in one cell
NESTED: Final = 20  # lists in lists of a venue that are followed
LARGEST: Final = 2**63  # integers from here on do not fit into a column of integers
EVENT_TYPE: Final = "event_type"
ABOUT: Final = (EVENT_TYPE, "feed", "channel", "key", "options", "received", "received_ns", "epoch", "source")
# Fields with times, by the ends of their names: nanoseconds of one unit, since 1970. O2 names two others.
UNITS: Final = {"_ns": 1, "timestamp_ms": 10**6, "onchain_s": 10**9}
# Fields in which venues write times as text (ISO 8601).
WRITTEN: Final = ("timestamp", "_at", "last_updated")

_PLAIN: Final = frozenset({str, int, bool, float, datetime, bytes})

Row = dict[str, Any]
Given = Iterable[Any] | FrameView | BookView


def records(events: Given, exact: bool = False) -> list[Row]:
    """Returns one dict per event, for `pandas.DataFrame` or `polars.DataFrame`.

    `events`: bars, events of any streams, `Received`, markers, fills, orders or prices, also mixed; of the
    view of a timeframe its finished bars; of an order book one row per level. All rows have the same
    columns; None where an event has no such field.

    - `event_type` is the name of the event's type; it is left out where all are bars.
    - Of `Received`, `feed`, `channel`, `key`, `received`, `epoch` and `source` come first. A field of
      the event that has one of these names is called `event.NAME`. Markers have them as far as they know.
    - Times are aware datetimes in UTC, to the microsecond: of `timestamp_ns`, in the column `timestamp`.
    - Decimals are floats, which may round. Enums are their names.
    - Fields of a struct in a struct are columns such as `best_bid.price`. Lists stay in one cell.

    `exact`: decimals stay `Decimal`, and each time is also there as integer nanoseconds (`timestamp_ns`).

    Raises:
        LinewardenError: this is one event, a stream (which has no end), or a view of several lists; or the
            events have more than 1,000 different fields.
    """
    reader = _Reader(exact)
    rows = [row for event in _given(events) for row in reader.rows(event)]
    if all(row[EVENT_TYPE] == Bar.__name__ for row in rows):
        for row in rows:
            del row[EVENT_TYPE]
    return _in_columns(rows, exact)


def _given(events: Given) -> list[Any]:
    if isinstance(events, FrameView):
        return list(events.finished)
    if isinstance(events, BookView):
        return [events]
    if isinstance(events, BarsView):
        raise LinewardenError('records takes bars of one timeframe, such as view["5min"].finished')
    if isinstance(events, AccountView):
        raise LinewardenError("records takes one list of an account, such as view.fills or view.positions")
    if isinstance(events, Stream):
        raise LinewardenError(
            "records takes events that were read, and a stream goes on: give it stream.get_many(1000, "
            "timeout=5), or stream.take(5)"
        )
    if isinstance(events, str | bytes | Mapping | Struct) or not isinstance(events, Iterable):
        name = type(events).__name__
        how = ": put it into a list, as in records([event])" if isinstance(events, Struct | Mapping) else ""
        raise LinewardenError(f"records takes a list of events, and this is {name}{how}")
    return list(events)


# ── one event ───────────────────────────────────────────────────────────────────────────────────


class Column(Struct, frozen=True):
    """What becomes of a field. `unit`: nanoseconds of one unit of a time; 0: it is none.

    `is_written`: a time as text, or as nanoseconds. `is_number`: decimals may stand beside integers.
    `inside`: the one type of struct in it, if it is one.
    """

    field: str
    name: str
    unit: int = 0
    is_written: bool = False
    is_number: bool = False
    as_it_is: frozenset[type] = frozenset()  # types of values that stay so
    inside: type[Struct] | None = None


@lru_cache(maxsize=1024)
def _columns(kind: type[Struct]) -> tuple[Column, ...]:
    try:
        types = {field.name: field.type for field in structs.fields(kind)}
    except (NameError, TypeError):  # annotations that cannot be read
        types = dict.fromkeys(kind.__struct_fields__)
    return tuple(_column(field, _alternatives(types[field]), types) for field in kind.__struct_fields__)


def _alternatives(kind: Any) -> set[Any]:
    """The types in a union, without `None` and annotations."""
    inner = get_args(kind)
    if inner and not isinstance(kind, type) and not hasattr(kind, "__metadata__"):
        return {each for part in inner for each in _alternatives(part)} - {type(None)}
    return {inner[0] if hasattr(kind, "__metadata__") else kind}


def _column(field: str, kinds: set[Any], names: Mapping[str, Any]) -> Column:
    for end, unit in UNITS.items():
        if field.endswith(end):
            short = field.removesuffix("_" + end.rpartition("_")[2])
            return Column(field, field if short in names or not short else short, unit)
    if str in kinds and field.endswith(WRITTEN):
        return Column(field, field, is_written=True)
    inside = [each for each in kinds if isinstance(each, type) and issubclass(each, Struct)]
    only = inside[0] if len(inside) == 1 and inside[0] is not Topic else None
    is_number = Decimal in kinds or float in kinds
    as_it_is = _PLAIN - {int} if is_number else _PLAIN
    as_it_is |= {type(None)} if only is None else set()
    return Column(field, field, is_number=is_number, as_it_is=as_it_is, inside=only)


class _Reader:
    """Reads events into rows, all in one way."""

    def __init__(self, exact: bool) -> None:
        self._exact = exact

    def rows(self, event: Any) -> Iterator[Row]:
        """One row; of a book one per level."""
        about: Row = {EVENT_TYPE: ""}
        if isinstance(event, Marked):
            about |= {"feed": event.stream.feed, "channel": event.stream.channel}
            event = event.marker
        reserved: tuple[str, ...] = ()
        if isinstance(event, Received):
            self._put_topic(about, event.topic)
            self._put_time(about, "received", event.received_ns)
            about |= {"epoch": event.epoch, "source": event.source}
            event, reserved = event.event, ABOUT
        about[EVENT_TYPE] = type(event).__name__
        if isinstance(event, BookView):
            yield from self._levels(about, event)
            return
        topic = getattr(event, "topic", None) if isinstance(event, Marker) else None
        if isinstance(topic, Topic):
            self._put_topic(about, topic)
        self._put_event(about, event, reserved)
        yield about

    def _levels(self, about: Row, book: BookView) -> Iterator[Row]:
        self._put_topic(about, book.topic)
        self._put_time(about, "received", book.received_ns)
        for side, levels in (("bid", book.bids), ("ask", book.asks)):
            for number, (price, quantity) in enumerate(levels, 1):
                own = {"price": self._cell(price), "quantity": self._cell(quantity)}
                yield about | {"side": side, "level": number} | own

    def _put_event(self, row: Row, event: Any, reserved: tuple[str, ...]) -> None:
        own: Row = {} if reserved else row
        if isinstance(event, Struct):
            self._put_fields(own, "", event, 0)
        elif isinstance(event, Mapping):
            own |= {str(key): self._cell(value) for key, value in event.items()}
        else:
            own["value"] = self._cell(event)
        if reserved:
            for name, value in own.items():
                row[f"event.{name}" if name in reserved else name] = value

    def _put_fields(self, row: Row, prefix: str, event: Struct, depth: int) -> None:
        for column in _columns(type(event)):
            value, name = getattr(event, column.field), prefix + column.name
            if type(value) in column.as_it_is:  # most of them
                row[name] = value
            elif column.unit:
                at_ns = value * column.unit if isinstance(value, int) else None
                self._put_time(row, name, at_ns)
            elif column.is_written:
                self._put_time(row, name, iso_nanoseconds(value) if isinstance(value, str) else value)
            elif isinstance(value, Topic):
                if depth:
                    row[name] = str(value)
                elif not isinstance(event, Marker):
                    self._put_topic(row, value)
            elif isinstance(value, Struct) and depth < DEEPEST:
                config = type(value).__struct_config__
                if config.tag is not None:
                    row[f"{name}.{config.tag_field}"] = config.tag
                self._put_fields(row, f"{name}.", value, depth + 1)
            elif isinstance(value, dict) and depth < DEEPEST:  # JSON that nothing is known of
                row |= {f"{name}.{key}": self._cell(inner) for key, inner in value.items()}
            elif value is None and column.inside is not None:
                self._put_nothing(row, f"{name}.", column.inside, depth + 1)
            else:
                row[name] = self._number(value) if column.is_number else self._cell(value)

    def _put_nothing(self, row: Row, prefix: str, kind: type[Struct], depth: int) -> None:
        """The columns of a struct that is not there."""
        for column in _columns(kind):
            if column.inside is None:
                row[prefix + column.name] = None
            elif depth < DEEPEST:
                self._put_nothing(row, f"{prefix}{column.name}.", column.inside, depth + 1)

    def _put_topic(self, row: Row, topic: Topic) -> None:
        row |= {"feed": topic.feed, "channel": topic.channel, "key": topic.key}
        if topic.options:
            row["options"] = "&".join(f"{name}={value}" for name, value in topic.options)

    def _put_time(self, row: Row, name: str, at_ns: Any) -> None:
        known = known_time(at_ns) if isinstance(at_ns, int) else None
        row[name] = None if known is None else EPOCH + timedelta(0, 0, known // 1000)
        if self._exact:
            row[name if name.endswith("_ns") else f"{name}_ns"] = known

    def _number(self, value: Any) -> Any:
        """Of a field that may be a decimal: so are its integers."""
        if type(value) is int:
            return Decimal(value) if self._exact else _float(value)
        return self._cell(value)

    def _cell(self, value: Any, depth: int = 0) -> Any:
        kind = type(value)
        if value is None or kind in _PLAIN:
            return value
        if kind is Decimal:
            return value if self._exact else float(value)
        if isinstance(value, Enum):
            return value.name
        if value is UNSET:
            return None
        if isinstance(value, Secret) or depth > NESTED:
            return REDACTED
        if isinstance(value, Struct):
            row: Row = {}
            self._put_fields(row, "", value, DEEPEST)
            return row
        if isinstance(value, Mapping):
            return {str(key): self._cell(inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._cell(each, depth + 1) for each in value]
        return str(value)


def _float(value: int) -> float:
    """Infinity, if it is too large for one."""
    return float(Decimal(value))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# ── all events ──────────────────────────────────────────────────────────────────────────────────


def _in_columns(rows: list[Row], exact: bool) -> list[Row]:
    """The same rows, with the same columns in each, and with one type per column."""
    shapes = {tuple(row) for row in rows}
    names = {name: None for shape in sorted(shapes, key=len, reverse=True) for name in shape}
    if len(names) > MOST_COLUMNS:
        raise LinewardenError(
            f"these events have {len(names):,} different fields, and a frame takes {MOST_COLUMNS:,} columns: "
            "give records fewer, or make rows of the fields that you need"
        )
    if len(shapes) > 1:
        rows = [names | row for row in rows]
    for name in names:
        kinds = {type(row[name]) for row in rows} - {type(None)}
        if len(kinds) > 1 or int in kinds:
            _unify(rows, name, kinds, exact)
    return rows


def _unify(rows: list[Row], name: str, kinds: set[type], exact: bool) -> None:
    if kinds == {int}:
        if all(row[name] is None or -LARGEST <= row[name] < LARGEST for row in rows):
            return
        become: Any = Decimal if exact else _float
    elif kinds <= {bool, int}:
        become = int
    elif kinds <= {int, float, Decimal}:
        become = Decimal if exact and float not in kinds else float
    elif list in kinds:
        become = _list
    else:
        become = str
    for row in rows:
        if row[name] is not None:
            row[name] = become(row[name])
