"""May I act now? `Runtime.require` answers with a permit, which ends when something is amiss."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from actors.delivery.cells import Cell
from actors.delivery.holder import Holder
from actors.errors import Blind, LinewardenError
from actors.events import Cause, Freshness, Topic
from actors.feed_spec import FeedSpec
from actors.rules.freshness import Policies, blind
from actors.rules.venue_states import RECENT
from actors.stream import Stream
from actors.supervision.freshness import FreshnessLooks, LineLook


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
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (is_number and value >= 0):
            unit = "events" if name == "max_queue" else "seconds"
            raise LinewardenError(f"{name} is a number of {unit} from 0 up, and {value!r} is none")
    return Limits(max_age, live_for, max_queue, max_lag)


class TopicSource(Struct, frozen=True):
    """One topic, as it was when the permit was given. `policies` None: those of all who follow it."""

    topic: Topic
    cell: Cell
    policies: Policies | None
    breaks: int  # of the topic in the life of its line


class LineSource:
    """The topics of one line that a permit is about."""

    def __init__(self, name: str, spec: FeedSpec, holder: Holder) -> None:
        self.name, self.spec = name, spec
        self.topics: list[TopicSource] = []
        self._life, self._states = holder.life, holder.states.number

    def add(self, topic: Topic, cell: Cell, policies: Policies | None, holder: Holder) -> None:
        self.topics.append(TopicSource(topic, cell, policies, holder.breaks.get(topic, 0)))

    def ended(self, look: LineLook, holder: Holder, max_age: float | None) -> Iterator[Freshness]:
        """What ends a permit for good: it has happened since it was given, though it may be over."""
        if holder.life != self._life:
            yield blind("not_live", "the line was lost since the permit was given", self.name)
            return
        told = holder.states.number - self._states
        for source in self.topics:
            topic = source.topic
            if source.cell.line != self.name:
                yield blind("not_subscribed", "it was given up since the permit was given", topic)
            elif holder.breaks.get(topic, 0) != source.breaks:
                yield blind("gap", "something is missing, or it was stale, since the permit was given", topic)
            elif told and (cause := _closing(holder, topic, told)):
                yield blind(cause, "the venue has said so since the permit was given", topic)
            elif look.trouble is None:
                found = look.fresh(topic, source.cell, source.policies, max_age)
                if not found:
                    yield found.about(topic)


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

    def __init__(self, stream: Stream[Any]) -> None:
        self._stream, self._dropped = stream, stream.dropped

    def ended(self) -> Iterator[Freshness]:
        stream = self._stream
        if stream.closed:
            yield blind("closed_stream", f"it is closed: {stream.end_reason}", stream.name)
        elif lost := stream.dropped - self._dropped:
            yield blind("gap", f"it has given up {lost:,} events since the permit was given", stream.name)

    def waiting(self, limits: Limits) -> Iterator[Freshness]:
        """What its reader has not come to yet."""
        stream = self._stream
        if stream.has_unread_gap:
            yield blind("gap_unread", "a gap waits in it, which its reader has not come to", stream.name)
        if limits.max_queue is not None and stream.queued > limits.max_queue:
            text = f"{stream.queued:,} events wait in it; max_queue is {limits.max_queue:,}"
            yield blind("queue", text, stream.name)
        if limits.max_lag is not None and stream.lag_s > limits.max_lag:
            text = f"its oldest event has waited {stream.lag_s:.1f} s; max_lag is {limits.max_lag:g} s"
            yield blind("lag", text, stream.name)


def _waiting(line: str, look: LineLook, holder: Holder, limits: Limits) -> Iterator[Freshness]:
    """What a line that is up has yet to do."""
    live_for = look.now - holder.life_since
    if live_for < limits.live_for:
        text = f"its line has been live for {live_for:.1f} s; live_for is {limits.live_for:g} s"
        yield blind("live_for", text, line)
    lag = holder.counters.receive_lag(look.now)
    if limits.max_lag is not None and lag > limits.max_lag:
        text = f"what its line has received waits to be read for {lag:.1f} s; max_lag is {limits.max_lag:g} s"
        yield blind("lag", text, line)


class Permit:
    """Says whether all that it is about is fresh. Any thread may look; a look waits for no lock and no actor.

    It ends for good at the first loss, `Gap`, stale topic or closed market that is known, even if all is
    well again when it is looked at. While a line is not read, a limit is passed, or the process has just
    been paused, it does not hold, and it holds again after that.
    """

    def __init__(
        self,
        looks: FreshnessLooks,
        lines: Sequence[LineSource],
        streams: Sequence[StreamSource],
        limits: Limits,
    ) -> None:
        self._looks, self._lines, self._streams, self._limits = looks, lines, streams, limits
        self._ended: tuple[Freshness, ...] = ()

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
        """Why it does not hold now; empty: it does."""
        if self._ended:
            return self._ended
        ended: list[Freshness] = []
        passing: list[Freshness] = []
        for line in self._lines:
            look = self._looks.line(line.name, line.spec)
            trouble, holder = look.trouble, look.holder
            if holder is not None:
                ended += line.ended(look, holder, self._limits.max_age)
            if trouble is not None:
                which = passing if trouble.passes else ended
                which.append(blind(trouble.cause, trouble.text, line.name))
            elif holder is not None:
                passing += _waiting(line.name, look, holder, self._limits)
        for stream in self._streams:
            ended += stream.ended()
            passing += stream.waiting(self._limits)
        self._ended = tuple(ended)
        return (*ended, *passing)

    def __repr__(self) -> str:
        state = "; ".join(map(str, self.reasons)) or "valid"
        count = len(self.topics)
        return f"<Permit for {count} topic{'' if count == 1 else 's'}: {state}>"


def give(
    looks: FreshnessLooks,
    wanted: Iterable[tuple[Topic, Policies | None]],
    streams: Iterable[Stream[Any]],
    limits: Limits,
) -> Permit:
    """A permit for these topics, each by these policies, and for what these streams hold.

    Raises:
        Blind: some of it is not fresh; with all reasons.
    """
    lines: dict[str, LineSource] = {}
    reasons: list[Freshness] = []
    for topic, policies in dict.fromkeys(wanted):
        placed = looks.placed(topic)
        if isinstance(placed, Freshness):
            reasons.append(placed.about(topic))
            continue
        name, cell, spec, holder = placed
        if name not in lines:
            lines[name] = LineSource(name, spec, holder)
        lines[name].add(topic, cell, policies, holder)
    permit = Permit(looks, tuple(lines.values()), tuple(map(StreamSource, streams)), limits)
    if reasons := [*reasons, *permit.reasons]:
        raise Blind(reasons)
    return permit
