"""May I act now? `Runtime.require` answers with a permit, which ends when something is amiss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from msgspec import Struct

from actors.delivery.cells import Cell, Cells
from actors.delivery.holder import Holder
from actors.delivery.inlet import Inlet
from actors.display.escaping import printable
from actors.display.shown import html_of
from actors.errors import Blind, LinewardenError
from actors.events import Cause, Freshness, Topic
from actors.feed_spec import FeedSpec
from actors.protocol.formatting import counted
from actors.rules.account.keeper import MAX_AGE
from actors.rules.freshness import FreshnessPolicy, Policies, blind
from actors.rules.venue_states import RECENT
from actors.stream import Stream
from actors.supervision.forks import Home
from actors.supervision.freshness import BEHIND, FreshnessLooks, LineLook, policies_of


class Limits(Struct, frozen=True):
    """What a permit demands beside the freshness policies; seconds and events."""

    max_age: float | None = None
    live_for: float = 0.0
    max_queue: int | None = None
    max_lag: float | None = None


def checked_limits(
    max_age: float | None, live_for: float = 0.0, max_queue: int | None = None, max_lag: float | None = None
) -> Limits:
    """Raises LinewardenError: one of them is no number of seconds, or of events, from 0 up."""
    given = {"max_age": max_age, "live_for": live_for, "max_queue": max_queue, "max_lag": max_lag}
    for name, value in given.items():
        if value is None:
            continue
        counts = name == "max_queue"
        is_number = isinstance(value, int if counts else int | float) and not isinstance(value, bool)
        if not (is_number and value >= 0):
            unit = "events" if counts else "seconds"
            raise LinewardenError(f"{name} is a number of {unit} from 0 up, and {value!r} is none")
    return Limits(max_age, live_for, max_queue, max_lag)


class TopicSource(Struct, frozen=True):
    """One topic, as it was when the permit was given.

    `own`: the policy of the stream by which it is judged; None: by those of all who follow it.
    """

    topic: Topic
    cell: Cell
    own: FreshnessPolicy | None
    policies: Policies  # by which it was judged
    of_streams: Policies  # of its cell, of which these were made
    moves: int  # of the topic from line to line
    breaks: int  # of the topic, by its policies, in the life of its line


class LineSource:
    """The topics of one line that a permit is about."""

    def __init__(self, name: str, spec: FeedSpec, holder: Holder) -> None:
        self.name, self.spec = name, spec
        self.topics: list[TopicSource] = []
        self._life, self._states = holder.life, holder.states.number

    def add(self, topic: Topic, cell: Cell, own: FreshnessPolicy | None, holder: Holder) -> None:
        of_streams = cell.policies
        policies = policies_of(self.spec, topic, cell, own)
        breaks = holder.breaks_of(topic, policies)
        self.topics.append(TopicSource(topic, cell, own, policies, of_streams, cell.moves, breaks))

    def _policies(self, source: TopicSource, spec: FeedSpec) -> Policies:
        """As they are now: a reload changes those of the config, and a stream those of the cell."""
        if spec is self.spec and source.cell.policies is source.of_streams:
            return source.policies
        return policies_of(spec, source.topic, source.cell, source.own)

    def found(
        self, look: LineLook, holder: Holder, max_age: float | None
    ) -> Iterator[tuple[bool, Freshness]]:
        """What is amiss, and whether that passes. If not, it ends the permit for good, though it be over."""
        if holder.life != self._life:
            yield False, blind("not_live", "the line was lost since the permit was given", self.name)
            return
        told = holder.states.number - self._states
        for source in self.topics:
            topic = source.topic
            policies = self._policies(source, look.spec)
            if source.cell.line != self.name or source.cell.moves != source.moves:
                yield False, blind("not_subscribed", "it was given up since the permit was given", topic)
            elif source.breaks != holder.breaks_of(topic, policies):
                text = "something is missing, or it was stale, since the permit was given"
                yield False, blind("gap", text, topic)
            elif told and (cause := _closing(holder, topic, told)):
                yield False, blind(cause, "the venue has said so since the permit was given", topic)
            elif look.trouble is None:
                found = look.fresh(topic, source.cell, policies, max_age)
                if not found:
                    yield look.is_silence_of_line(topic, policies, found), found.about(topic)


def _closing(holder: Holder, topic: Topic, told: int) -> Cause | None:
    """Among the last words of the venue of itself, one that closes the market of this topic."""
    if told > RECENT:
        return "halted"  # too many to know
    for state in holder.states.recent[-told:]:
        if state.explains_silence and state.scope.reaches(topic):
            return "maintenance" if state.state == "maintenance" else "halted"
    return None


class StreamSource:
    """A stream that a permit is about: what it holds has to be read, and none of it given up."""

    def __init__(self, inlet: Inlet, cells: Cells) -> None:
        self._inlet, self._cells = inlet, cells
        self._dropped, self._removals = inlet.buffer.dropped, inlet.removals

    def ended(self) -> Iterator[Freshness]:
        """What ends a permit for good."""
        inlet = self._inlet
        if inlet.end is not None:
            yield blind("closed_stream", f"it is closed: {inlet.end.reason}", inlet)
        elif inlet.removals != self._removals:
            yield blind("not_subscribed", "keys of it were removed since the permit was given", inlet)
        elif lost := inlet.buffer.dropped - self._dropped:
            text = f"it has given up {counted(lost, 'event')} since the permit was given"
            yield blind("gap", text, inlet)

    def _is_behind(self) -> bool:
        """Whether a line is just about to put an event into it, by which its topic looks fresh already."""
        received = map(self._cells.last_event_at, self._inlet.wanted.copy())
        return any(at is not None and self._inlet.lacks(at, within=BEHIND) for at in received)

    def waiting(self, limits: Limits) -> Iterator[Freshness]:
        """What its reader has not come to yet."""
        inlet, is_behind = self._inlet, limits.max_queue == 0 and self._is_behind()
        unread = inlet.unread  # looked at behind that: it may have been put meanwhile
        if inlet.has_unread_gap:
            yield blind("gap_unread", "a gap waits in it, which its reader has not come to", inlet)
        if limits.max_queue is not None and unread > limits.max_queue:
            text = f"not yet read: {counted(unread, 'event')}; max_queue is {limits.max_queue:,}"
            yield blind("queue", text, inlet)
        elif is_behind:
            yield blind("queue", "it is about to get an event that has come; max_queue is 0", inlet)
        if limits.max_lag is not None and (lag := inlet.lag()) > limits.max_lag:
            text = f"its oldest event has waited {lag:.1f} s; max_lag is {limits.max_lag:g} s"
            yield blind("lag", text, inlet)


class Account(Protocol):
    """An account that is followed."""

    stream: Stream[Any]
    topics: tuple[Topic, ...]
    doubts: int  # how often its view was in doubt

    def unproved(self, max_age: float) -> tuple[str, ...]:
        """Why no permit may be built on it; empty: the evidence is enough."""


class AccountSource:
    """An account that a permit is about: its evidence has to be complete, and no doubt may have come."""

    def __init__(self, account: Account, cells: Cells) -> None:
        self._account, self._doubts = account, account.doubts
        self._stream = StreamSource(account.stream._inlet, cells)

    def ended(self) -> Iterator[Freshness]:
        """What ends a permit for good."""
        yield from self._stream.ended()
        if self._account.doubts != self._doubts:
            text = "its view was in doubt since the permit was given"
            yield blind("unproved", text, self._account)

    def waiting(self, limits: Limits) -> Iterator[Freshness]:
        """What is missing for now."""
        yield from self._stream.waiting(Limits(max_queue=0))
        max_age = MAX_AGE if limits.max_age is None else limits.max_age
        for text in self._account.unproved(max_age):
            yield blind("unproved", text, self._account)


def _waiting(line: str, look: LineLook, holder: Holder, limits: Limits) -> Iterator[Freshness]:
    """What a line that is up has yet to do."""
    live_for = look.now - holder.life_since
    if live_for < limits.live_for:
        text = f"its line has been live for {live_for:.1f} s; live_for is {limits.live_for:g} s"
        yield blind("live_for", text, line)
    if limits.max_lag is not None and (lag := holder.counters.receive_lag(look.now)) > limits.max_lag:
        text = f"what its line has received waits to be read for {lag:.1f} s; max_lag is {limits.max_lag:g} s"
        yield blind("lag", text, line)


class Permit:
    """Says whether all that it is about is fresh. Any thread may look; a look waits for no actor.

    It ends for good at the first loss, `Gap`, stale topic or closed market that is known, even if all is
    well again when it is looked at. While a line is not read, a limit is passed, or the process has just
    been paused, it does not hold, and it holds again after that. With the view of an account, a look reads
    the order store; a doubt about the account ends the permit, and an order under way suspends it.
    """

    def __init__(
        self,
        looks: FreshnessLooks,
        lines: Sequence[LineSource],
        streams: Sequence[StreamSource],
        limits: Limits,
        accounts: Sequence[AccountSource] = (),
    ) -> None:
        self._looks, self._lines, self._limits = looks, lines, limits
        self._streams: tuple[StreamSource | AccountSource, ...] = (*streams, *accounts)
        self._ended: tuple[Freshness, ...] = ()
        self._home = Home()

    @property
    def valid(self) -> bool:
        """Whether it holds now."""
        return not self.reasons

    def __bool__(self) -> bool:
        return self.valid

    def check(self) -> None:
        """Return if it holds now.

        Raises:
            Blind: it does not; with the reasons.
        """
        if reasons := self.reasons:
            raise Blind(reasons)

    @property
    def topics(self) -> tuple[Topic, ...]:
        """What it is about."""
        return tuple(source.topic for line in self._lines for source in line.topics)

    @property
    def reasons(self) -> tuple[Freshness, ...]:
        """Why it does not hold now; empty: it does.

        Raises:
            ForkError: it was given to the parent of this process.
        """
        self._home.check()
        if self._ended:
            return self._ended
        ended: list[Freshness] = []
        passing: list[Freshness] = []
        for line in self._lines:
            look = self._looks.line(line.name, self._looks.present_spec(line.spec))
            trouble, holder = look.trouble, look.holder
            if holder is not None:
                for passes, found in line.found(look, holder, self._limits.max_age):
                    (passing if passes else ended).append(found)
            if trouble is not None:
                which = passing if trouble.passes else ended
                which.append(blind(trouble.cause, trouble.text, line.name))
            elif holder is not None:
                passing += _waiting(line.name, look, holder, self._limits)
        for stream in self._streams:
            ended += stream.ended()
            passing += stream.waiting(self._limits)
        if ended:  # another thread may have found more, a moment ago
            self._ended = tuple(ended)
        return (*ended, *passing)

    def __repr__(self) -> str:
        count, state = len(self.topics), "of another process"
        if not self._home.is_left:
            state = printable("; ".join(map(str, self.reasons))) or "valid"
        return f"<Permit for {count} topic{'' if count == 1 else 's'}: {state}>"

    def _repr_html_(self) -> str | None:
        return html_of(self, "view_pages:of_permit")
