"""The events of a loss by a table: pages of rows with consecutive ids, each row as the stream would send it.

Ids without a hole prove that nothing is missing: each row must have the id after the one before it.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from actors.protocol import (
    Backfilled,
    Call,
    CallRefused,
    FrameLimit,
    HttpAnswer,
    HttpRequest,
    Loss,
    NoResultError,
    Reason,
    RestApi,
    Retryable,
    Steps,
    Topic,
    joining,
    status_reason,
    until_failure,
)
from actors.venues.declarative.messages import Message, decode
from actors.venues.declarative.path import MISSING, Path
from actors.venues.declarative.protocol import Vocabulary
from actors.venues.declarative.table import BackfillTable
from actors.venues.declarative.template import Template

MOST_PAGES: Final = 20
DIGITS: Final = 20  # of an id that stands as text
WORDS: Final = 200  # characters of the venue's that are told
ROW: Final = "row"
REFUSALS: Final = (400, 404, 422)  # the request is at fault: asked again, it is refused again

HOLE: Final = "the venue's ids are not consecutive"
TOO_MANY: Final = f"the loss has more than {MOST_PAGES} pages, which are not asked for"


class TableRest(RestApi):
    """The REST of a table's venue. `base`: a URL without a slash at its end."""

    def __init__(self, base: str, limit: FrameLimit) -> None:
        self.base = base
        self.host = base.partition("://")[2].partition("/")[0].rpartition("@")[2].lower()
        self.meters = {"rest": limit}


class Backfill:
    """Asks for the events of one channel."""

    def __init__(self, table: BackfillTable, protocol: Vocabulary) -> None:
        self._table, self._protocol = table, protocol

    def id_of(self, event: Any) -> int | None:
        """Returns the id of an event; None: it has none, or one that is no whole number."""
        return whole(self._table.id.get(event.data)) if isinstance(event, Message) else None

    def call(self, base: str, topic: Topic, loss: Loss) -> Call[Backfilled]:
        """Returns the read of the events of a loss."""
        name = f"backfill({topic.channel}/{topic.key})"
        return Call(name, lambda _: until_failure(self._events(base, topic, loss)))

    def _events(self, base: str, topic: Topic, loss: Loss) -> Steps[Backfilled]:
        last, first = self.id_of(loss.last), self.id_of(loss.first)
        if last is None:
            return Backfilled((), complete=False, why=joining.NO_LAST)
        if first is not None and first <= last:
            return Backfilled((), complete=False, why=joining.CROSSED)
        events: list[Message] = []
        for page in range(MOST_PAGES):
            if last + len(events) + 1 == first:
                break
            try:
                rows = yield from self._page(base, topic, last + len(events) + 1)
            except NoResultError as failed:
                if page == 0:
                    raise
                return _open(events, failed.words)
            before, is_whole = len(events), self._take(events, topic, rows, last, first)
            if not is_whole:
                return _open(events, HOLE)
            is_end = len(events) == before or (first is None and len(rows) < self._table.count)
            if is_end and last + len(events) + 1 != first:
                why = joining.NO_FIRST if first is None else joining.FIRST_MISSING
                return _open(events, why, reach=True, lags=first is not None)
        if last + len(events) + 1 == first:
            return Backfilled(tuple(events), complete=True)
        return _open(events, TOO_MANY, reach=True)

    def _take(
        self, events: list[Message], topic: Topic, rows: list[Any], last: int, first: int | None
    ) -> bool:
        """Adds the rows up to the first event after the loss. Returns whether their ids have no hole."""
        for row in rows:
            wanted = last + len(events) + 1
            if wanted == first:
                return True
            event = self._event(topic, row)
            id = None if event is None else self.id_of(event)
            if event is None or id is None or id > wanted:
                return False
            if id == wanted:
                events.append(event)
        return True

    def _event(self, topic: Topic, row: Any) -> Message | None:
        """The row as the stream would have sent it, by the table's own `[[events]]`."""
        values = {
            **self._protocol.own,
            **self._protocol.values(topic),
            **row_values(self._table.message, row),
        }
        message = self._table.message.value(values)
        for rule in self._protocol.events:
            if topic.channel in rule.places.names and (told := rule.read(message)):
                nodes, _, data = told[0]
                return rule.event(topic, nodes, data)
        return None

    def _page(self, base: str, topic: Topic, start: int) -> Steps[list[Any]]:
        table = self._table
        values = {**self._protocol.own, **self._protocol.values(topic), "from": start, "count": table.count}
        path = str(table.path.render({name: quote(str(value), safe="") for name, value in values.items()}))
        answer = yield HttpRequest("GET", base + path)
        if answer.status != 200:
            raise NoResultError(self._refusal(answer, path.partition("?")[0]))
        try:
            body = decode(answer.body)
        except Exception:
            raise _unreadable() from None
        rows = body if table.rows is None else table.rows.get(body)
        if type(rows) is not list:
            raise _unreadable()
        return rows

    def _refusal(self, answer: HttpAnswer, path: str) -> CallRefused | Reason:
        if answer.status in REFUSALS:
            words = answer.body[:WORDS].decode("utf-8", "replace")
            return CallRefused(path, None, f"HTTP {answer.status}", self._protocol.hide(words))
        return status_reason(
            answer, f"the venue answers {answer.status} to {path}", "Check [rest] of the table."
        )


def row_values(template: Template, row: Any) -> dict[str, Any]:
    """The values of the places `{row}` and `{row.path}` of a template."""
    found = {name: _inside(name, row) for name in template.slots if name.partition(".")[0] == ROW}
    return {name: value for name, value in found.items() if value is not MISSING}


def _inside(name: str, row: Any) -> Any:
    inner = name.partition(".")[2]
    return Path.parse(inner).get(row) if inner else row


def whole(value: Any) -> int | None:
    """A whole number, which may stand as text."""
    if type(value) is int:
        return value
    return (
        int(value) if type(value) is str and value.isascii() and value.isdigit() and len(value) < 20 else None
    )


def _open(events: list[Message], why: str, *, reach: bool = False, lags: bool = False) -> Backfilled:
    reaches = events[-1].at_ns if reach and events else None
    return Backfilled(tuple(events), complete=False, why=why, reaches_ns=reaches, lags=lags)


def _unreadable() -> NoResultError:
    return NoResultError(Retryable("the venue's history cannot be read", "history"))
