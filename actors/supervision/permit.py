"""May I act now? `Runtime.require` answers with a permit, which ends when something is amiss."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, cast

from msgspec import Struct

from actors.delivery.cells import Cell, Cells
from actors.delivery.holder import Holder
from actors.delivery.inlet import Inlet
from actors.errors import Blind, LinewardenError
from actors.events import Cause, Freshness, Key, Keys, Option, Topic
from actors.feed_spec import FeedSpec
from actors.protocol.channel import TypedChannel
from actors.protocol.formatting import counted
from actors.rules.freshness import FreshnessPolicy, blind, worst_of
from actors.rules.order_book import BookView
from actors.rules.topics import options_of, topics_of
from actors.rules.venue_states import RECENT
from actors.stream import Stream
from actors.supervision.forks import Home
from actors.supervision.freshness import BEHIND, NOT_SUBSCRIBED, FreshnessLooks, LineLook, policies_of

Source = (
    Stream[Any] | BookView | Topic | str | tuple[str | TypedChannel[Any] | Key, ...]
)  # that may be required


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
    """One topic, as it was when the permit was given.

    `own`: the policy of the stream by which it is judged; None: by those of all who follow it.
    """

    topic: Topic
    cell: Cell
    own: FreshnessPolicy | None
    moves: int  # of the topic from line to line
    breaks: int  # of the topic, by its policies, in the life of its line


class LineSource:
    """The topics of one line that a permit is about."""

    def __init__(self, name: str, spec: FeedSpec, holder: Holder) -> None:
        self.name, self.spec = name, spec
        self.topics: list[TopicSource] = []
        self._life, self._states = holder.life, holder.states.number

    def add(self, topic: Topic, cell: Cell, own: FreshnessPolicy | None, holder: Holder) -> None:
        breaks = holder.breaks_of(topic, policies_of(self.spec, topic, cell, own))
        self.topics.append(TopicSource(topic, cell, own, cell.moves, breaks))

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
            policies = policies_of(look.spec, topic, source.cell, source.own)
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
            state = "; ".join(map(str, self.reasons)) or "valid"
        return f"<Permit for {count} topic{'' if count == 1 else 's'}: {state}>"


class Permits:
    """Answers what is fresh, and gives permits, for one runtime. Any thread; no actor is asked."""

    def __init__(
        self,
        looks: FreshnessLooks,
        cells: Cells,
        spec_of: Callable[[str], FeedSpec],
        topics_of: Callable[[Stream[Any]], Collection[Topic]],
        book_of: Callable[[Topic], tuple[Stream[Any], str] | None],
    ) -> None:
        self._looks, self._cells = looks, cells
        self._spec_of, self._topics_of, self._book_of = spec_of, topics_of, book_of

    def fresh(
        self,
        feed: str,
        channel: str | TypedChannel[Any] | None,
        keys: Sequence[Keys],
        options: Mapping[str, Option],
        max_age: float | None,
    ) -> Freshness:
        """The topic that is worst off."""
        max_age = checked_limits(max_age).max_age
        topics = self._topics(feed, channel, keys, options)
        return worst_of((topic, self._looks.topic(topic, None, max_age)) for topic in topics)

    def require(self, sources: Sequence[Source], limits: Limits) -> Permit:
        """A permit for all of these.

        Raises:
            Blind: some of it is not fresh; with all reasons.
            LinewardenError: a source is not known here, or there is none.
        """
        if not sources:
            raise LinewardenError("require() needs at least one stream, topic or feed")
        wanted = [self._wanted(source) for source in sources]
        nothing = [source for source, topics in zip(sources, wanted, strict=True) if not topics]
        reasons = [NOT_SUBSCRIBED.about(source) for source in nothing]
        streams = [source for source in sources if isinstance(source, Stream)]
        for view in (source for source in sources if isinstance(source, BookView)):
            found = self._book(view, limits.max_age)
            if isinstance(found, Stream):
                streams.append(found)
            else:
                reasons.append(found)
        lines: dict[str, LineSource] = {}
        for topic, own in dict.fromkeys(itertools.chain.from_iterable(wanted)):
            placed = self._looks.placed(topic)
            if isinstance(placed, Freshness):
                reasons.append(placed.about(topic))
                continue
            name, cell, spec, holder = placed
            line = lines.get(name) or lines.setdefault(name, LineSource(name, spec, holder))
            line.add(topic, cell, own, holder)
        read = tuple(StreamSource(stream._inlet, self._cells) for stream in streams)
        permit = Permit(self._looks, tuple(lines.values()), read, limits)
        if reasons := [*reasons, *permit.reasons]:
            raise Blind(reasons)
        return permit

    def _book(self, view: BookView, max_age: float | None) -> Stream[Any] | Freshness:
        """The stream by which a book is followed; or why its view is not to be trusted: it never changes."""
        followed, topic = self._book_of(view.topic), view.topic
        if not view.synced:
            return blind("unconfirmed", f"its book is syncing: {view.reason}", topic)
        if followed is None:
            return blind("closed_stream", "its book is followed no longer", topic)
        stream, trouble = followed
        if trouble:
            return blind("unconfirmed", f"its book is syncing: {trouble}", topic)
        behind = self._looks.behind(topic, view.received_ns or 0)
        if max_age is not None and behind > max_age:
            text = f"this view is {behind:.1f} s older than the book's newest event: ask for the book again"
            return Freshness("stale", "max_age", age_s=behind, text=text, topic=str(topic))
        return stream

    def _wanted(self, source: object) -> Collection[tuple[Topic, FreshnessPolicy | None]]:
        match source:
            case Stream():
                return [(topic, source._inlet.freshness) for topic in self._topics_of(source)]
            case Topic():
                return [(source, None)]
            case BookView():
                return [(source.topic, None)]
            case str():
                return [(topic, None) for topic in self._topics(source, None, (), {})]
            case (str(feed), str() | TypedChannel() as channel, *keys):
                return [(topic, None) for topic in self._topics(feed, channel, cast("list[Keys]", keys), {})]
        raise LinewardenError(
            f"{source!r} cannot be required: give a stream, the view of a book, a Topic, a feed's name or "
            "(feed, channel, *keys)"
        )

    def _topics(
        self,
        feed: str,
        channel: str | TypedChannel[Any] | None,
        keys: Sequence[Keys],
        options: Mapping[str, Option],
    ) -> Collection[Topic]:
        """Of these keys; without keys, all of the channel or feed that are subscribed to."""
        venue = self._spec_of(feed).venue
        if channel is None:
            return self._cells.topics_of_feed(feed)
        declared, options = venue.channel(channel), options_of(channel, options)
        if declared.key and not keys:
            every = self._cells.topics_of_feed(feed)
            return [topic for topic in every if topic.channel == declared.name]
        return topics_of(venue, declared, keys, options)
