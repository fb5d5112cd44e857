"""A book's socket: changes first, then the snapshot that they follow on.

The stream sends changes only. So they are kept, the snapshot is fetched over HTTP, what it has in it
already is dropped, and the rest follows. A hole that shows later is marked, and closed the same way.

How a hole shows is a setting. `strict`: each number is its predecessor's plus one. `monotonic`: numbers
only grow; a change that never came cannot be seen, nor that a snapshot is older than the socket.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Literal

from actors.protocol import (
    Complain,
    Confirm,
    Effect,
    EffectBatch,
    Fatal,
    Fetch,
    GapReason,
    HttpAnswer,
    HttpFailed,
    HttpRequest,
    Missed,
    Reason,
    Resent,
    Retryable,
    SessionState,
    Slow,
    Topic,
    Weather,
)
from actors.venues.tplus import messages as m
from actors.venues.tplus.decoding import decode_level, decode_snapshot
from actors.venues.tplus.errors import refusal
from actors.venues.tplus.paths import TplusStream
from actors.venues.tplus.session import TplusSession

Sequencing = Literal["strict", "monotonic"]

BUFFER = 10_000  # changes kept while a snapshot is on its way
ATTEMPTS = 6  # to get a snapshot, before the connection is given up
FIRST_DELAY, LAST_DELAY = 0.25, 4.0  # seconds between two of them, doubling
STALE = 5.0  # seconds in which changes may come that the snapshot has in it already
CALM = 30.0  # seconds after which a hole is not one of a series
LAST_REST = 8.0  # seconds before the next snapshot, in a long series of holes
MANY = 5  # holes in a series: they may be none


class Phase(Enum):
    IDLE = "idle"  # not subscribed to yet, or any more
    WAITING = "waiting"  # for a sign that the stream runs
    FETCHING = "fetching"
    LIVE = "live"
    REFUSED = "refused"


LIVE = Phase.LIVE


class DepthSession(TplusSession):
    """Puts a book together out of one stream of changes and snapshots by HTTP."""

    def __init__(
        self, topic: Topic, stream: TplusStream, request: HttpRequest, sequencing: Sequencing
    ) -> None:
        super().__init__(topic, stream, with_token=False)
        self._request = request
        self._strict = sequencing == "strict"
        self._phase = Phase.IDLE
        self._signed = False  # the stream runs: a welcome came, or a change
        self._asked = False
        self._buffer: list[m.BookFrame] = []
        self._heard: int | None = None  # the newest number on the stream
        self._unread = 0  # messages since then that may have been changes
        self._sequence = 0  # the book's, as it last stood
        self._stood_at = 0.0  # when its snapshot came
        self._ticket = 0
        self._void = False  # what is on its way may be older than what has been heard since
        self._attempts = 0
        self._holes = 0  # in this series

    # ── what the registry wants ──

    @property
    def _is_live(self) -> bool:
        """Nothing it reads is an event as it is."""
        return False

    def subscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        """Asked a second time, it waits no longer for a sign: there may be no welcome, and no trading."""
        self._now = now
        out = EffectBatch()
        out.add(*super().subscribe(topics, now))
        if self._wanted and self._phase is Phase.IDLE:
            if self._signed or self._asked:
                self._fetch(out, 0.0)
            else:
                self._phase = Phase.WAITING
            self._asked = True
        return out.effects()

    def unsubscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        super().unsubscribe(topics, now)
        if not self._wanted and self._phase is not Phase.REFUSED:
            self._phase, self._answer, self._buffer = Phase.IDLE, None, []
        return []

    def resync(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        self._now = now
        out = EffectBatch()
        if self._topic in topics and self._phase is Phase.LIVE:
            self._begin_anew("unknown", None, [], out)
            self._fetch(out, 0.0)
        elif self._topic in topics and self._phase in (Phase.WAITING, Phase.FETCHING):
            out.add(Missed((self._topic,), "unknown"), Resent((self._topic,)))
        return out.effects()

    # ── the stream ──

    def _confirm(self, out: EffectBatch) -> None:
        """The stream runs; what confirms a book is its snapshot."""
        self._signed = True
        if self._phase is Phase.WAITING:
            self._fetch(out, 0.0)

    def _handle(self, event: m.BookFrame, out: EffectBatch) -> None:
        heard, self._heard, self._unread = self._heard, event.sequence, 0
        if self._phase is LIVE:
            if heard == self._sequence == event.sequence - 1:  # as nearly always
                self._apply(event, out)
            else:
                self._follow(event, heard, out)
        elif self._phase is Phase.REFUSED or (self._early is None and not self._wanted):
            out.unrouted += 1
        else:
            self._keep(event, heard)

    def _keep(self, change: m.BookFrame, heard: int | None) -> None:
        """In the buffer are only changes that follow on each other."""
        if heard is not None and change.sequence <= heard:  # the venue began to count again
            self._buffer.clear()
            self._void = True
        elif self._buffer:
            hole = self._strict and change.sequence != self._buffer[-1].sequence + 1
            if hole or len(self._buffer) >= BUFFER:
                self._buffer.clear()
        self._buffer.append(change)

    def _follow(self, change: m.BookFrame, heard: int | None, out: EffectBatch) -> None:
        number = change.sequence
        if heard is not None and number <= heard:
            self._heal("sequence", None, [change], out)
        elif number <= self._sequence:
            # A snapshot is ahead of the stream for a moment; later it means that the venue counts again.
            if self._now - self._stood_at > STALE:
                self._heal("sequence", None, [change], out)
            else:
                out.duplicates += 1
        elif self._strict and number != self._sequence + 1:
            self._heal("sequence", number - self._sequence - 1, [change], out)
        else:
            self._apply(change, out)

    def _apply(self, change: m.BookFrame, out: EffectBatch) -> None:
        self._sequence = change.sequence
        event = m.DepthChange(self._topic.key, change.bids, change.asks, change.sequence)
        out.deliver(self._topic, event)

    def _lost(self, out: EffectBatch) -> None:
        self._unread += 1
        if self._phase is Phase.LIVE:
            self._heal("quarantine", None, [], out)
        else:
            self._buffer.clear()
            self._void = True

    def _heal(self, why: GapReason, missed: int | None, kept: list[m.BookFrame], out: EffectBatch) -> None:
        """A hole: in a long series of them the venue is asked for snapshots ever less often."""
        self._begin_anew(why, missed, kept, out)
        if self._now - self._stood_at > CALM:
            self._holes = 0
        self._holes += 1
        if self._holes == MANY and self._strict and why == "sequence":
            text = (
                f"{self._topic}: {MANY} holes in a row; if the venue's numbers do not grow by one, set "
                'sequence = "monotonic" for this feed'
            )
            out.add(Complain("tplus_sequence", text))
        rest = FIRST_DELAY * 2.0 ** (self._holes - 1) if self._holes > 1 else 0.0
        self._fetch(out, min(rest, LAST_REST))

    def _begin_anew(
        self, why: GapReason, missed: int | None, kept: list[m.BookFrame], out: EffectBatch
    ) -> None:
        """From here on the book is not the venue's: mark it, and put it together from a new snapshot."""
        mine = (self._topic,)
        out.add(Missed(mine, why, missed), Resent(mine))
        self._answer = None
        self._buffer = kept

    def _puzzle(self, piece: bytes, out: EffectBatch) -> None:
        try:
            decode_level(piece)
        except Exception:
            super()._puzzle(piece, out)
        else:
            out.quarantine(piece, "one level without a sequence number")
            self._refuse("this server sends single levels without sequence numbers: no book can follow", out)

    # ── the snapshot ──

    def _fetch(self, out: EffectBatch, after: float) -> None:
        self._phase, self._void = Phase.FETCHING, False
        self._ticket += 1
        out.add(Fetch(f"snapshot/{self._ticket}", self._request, after))

    def fetched(self, ticket: str, outcome: HttpAnswer | HttpFailed, now: float) -> list[Effect]:
        self._now = now
        out = EffectBatch()
        current = ticket == f"snapshot/{self._ticket}" and self._phase is Phase.FETCHING
        if not current or self.state is SessionState.ENDED:
            return []
        if isinstance(outcome, HttpFailed):
            self._again(outcome.text, out)
        elif outcome.status == 200:
            self._snapshot(outcome.body, out)
        else:
            self._refused(outcome, out)
        return out.effects()

    def _refused(self, answer: HttpAnswer, out: EffectBatch) -> None:
        match refusal(answer, "the snapshot"):
            case Weather(text=text) as weather:
                self._again(text, out, otherwise=weather)
            case Fatal(text=text):
                self._refuse(text, out)
            case Slow(text=text, retry_after=wait) as slow:
                if wait is not None and wait > LAST_DELAY:
                    out.add(self._end(slow))
                else:
                    self._again(text, out, wait or 0.0)
            case reason:
                self._again(reason.text, out)

    def _refuse(self, why: str, out: EffectBatch) -> None:
        if self._phase is Phase.LIVE:
            out.add(Missed((self._topic,), "unknown"))
        self._buffer = []
        self._reject(why, out)

    def _reject(self, why: str, out: EffectBatch) -> None:
        self._phase = Phase.REFUSED
        super()._reject(why, out)

    def _again(self, why: str, out: EffectBatch, wait: float = 0.0, otherwise: Reason | None = None) -> None:
        """Ask for another snapshot, a little later each time; `otherwise`: how the connection ends."""
        self._attempts += 1
        if self._attempts >= ATTEMPTS:
            text = f"no snapshot that the book could begin with, asked {ATTEMPTS} times: {why}"
            out.add(self._end(otherwise or Retryable(text, "snapshot")))
        else:
            delay = FIRST_DELAY * 2.0 ** (self._attempts - 1)
            self._fetch(out, max(wait, min(delay, LAST_DELAY)))

    def _snapshot(self, body: bytes, out: EffectBatch) -> None:
        try:
            snapshot = decode_snapshot(body)
        except Exception as error:
            out.quarantine(body, f"a snapshot: {error}")
            self._again("it could not be read", out)
            return
        oldest = self._oldest()
        if self._void:
            self._again("the stream was interrupted or restarted before it came", out)
        elif oldest is None:
            self._again("changes could not be decoded, and it may lack them", out)
        elif snapshot.sequence < oldest:
            self._again(f"it stands at {snapshot.sequence}, and {oldest} is needed", out)
        else:
            self._stand(snapshot, out)

    def _oldest(self) -> int | None:
        """The least number that a snapshot may have, so that nothing is missing behind it; None: unknown.

        Whether or not numbers leave some out: there is none between a number and its predecessor, and
        a change that could not be read has the number after the newest. Of several the last one's is
        known only where numbers are strict. The next change makes up for all of it; where none comes,
        or it was no change that could not be read, the connection is given up after a few attempts.
        """
        if self._buffer:  # what could not be read came before
            return self._buffer[0].sequence - 1
        if self._unread > 1 and not self._strict:
            return None
        newest = self._sequence if self._heard is None else self._heard
        return newest + self._unread

    def _stand(self, snapshot: m.BookFrame, out: EffectBatch) -> None:
        self._phase, self._attempts = Phase.LIVE, 0
        self._sequence, self._stood_at = snapshot.sequence, self._now
        self._answer = Confirm((self._topic,))
        out.add(self._answer)
        book = m.DepthSnapshot(self._topic.key, snapshot.bids, snapshot.asks, snapshot.sequence)
        out.deliver(self._topic, book)
        kept, self._buffer = self._buffer, []
        for change in kept:
            if change.sequence > snapshot.sequence:
                self._apply(change, out)
        out.duplicates += sum(change.sequence <= snapshot.sequence for change in kept)
