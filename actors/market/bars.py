"""Bars that are followed: for each key one stream and one thread for all of its timeframes."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from msgspec import Struct

from actors import log_queue
from actors.delivery.handlers import check_handler
from actors.delivery.waits import SLICE, is_reader
from actors.errors import LinewardenError, StreamClosed, SubscribeError, Timeout
from actors.events import Closed, Gap, Key, Lifecycle, Marker, Option, Received, Repaired, Topic
from actors.market.bar_handlers import BarHandler
from actors.protocol.bars import SECOND_NS, Bar, BarQuery, Print, Timeframe, timeframe_of
from actors.protocol.formatting import suggestion
from actors.protocol.rest import Call
from actors.protocol.venue import Channel, Venue
from actors.rules.bars.frame import BarEvent, Name
from actors.rules.bars.keeper import Keeper, Wanted
from actors.rules.bars.periods import periods_of
from actors.rules.bars.view import BarsView
from actors.rules.calendar import Calendar
from actors.rules.freshness import NO_POLICY
from actors.rules.topics import key_of, topics_of
from actors.stream import Stream
from actors.streams import Streams, end_unused
from actors.timers import Clock

log = log_queue.logger("actors.market.bars")

CALL_OPTIONS: Final = ("calendar", "history", "keep", "wait")
CAPACITY: Final = 100_000  # trades that may wait for the thread: about a second of its work
IDLE, BUSY = 0.25, 0.05  # seconds between two looks at the time; the latter while REST is asked
SUBSCRIBED: Final = 3 * SECOND_NS  # REST is asked before the subscription is confirmed only after this
LOOK_AGAIN: Final = 1.0  # seconds: how often a caller that waits looks itself
RESOLVE: Final = 10.0  # seconds in which a name is resolved
READ: Final = 120.0  # seconds for a read, and more for one of many bars
BARS_A_SECOND: Final = 100
KEEP: Final = 1_000
MOST_BARS: Final = 100_000


class Answer(Protocol):
    """The future of one read."""

    @property
    def done(self) -> bool: ...
    def get(self, timeout: float | None = None) -> Any: ...


class Reads(Protocol):
    """The reads of one feed."""

    @property
    def api(self) -> Any: ...
    def read(self, call: Call[Any], timeout: float | None = None) -> Answer: ...


class Requests(Protocol):
    """The requests of a runtime, and its config."""

    @property
    def settings(self) -> Any: ...
    def core(self, feed: str, holder: object, check: Callable[[], None]) -> Reads: ...


class Asking(Struct):
    """A read on its way."""

    wanted: Wanted
    answer: Answer
    asked_ns: int


class FollowedBars:
    """Keeps the bars of a key in line with its stream and with REST, on a thread of its own.

    Any thread may look. It ends with its stream.
    """

    def __init__(
        self,
        topic: Topic,
        stream: Stream[Any],
        venue: Callable[[], Venue | None],
        reads: Callable[[], Reads],
        is_confirmed: Callable[[], bool | str],
        clock: Clock,
    ) -> None:
        self.topic, self.stream = topic, stream
        self._venue, self._reads, self._is_confirmed, self._clock = venue, reads, is_confirmed, clock
        self._keeper = Keeper(topic.feed, topic.key, self._has_bars)
        self._names: list[Name] = []
        self._handlers: list[BarHandler] = []
        self._asking: list[Asking] = []
        self._changed = threading.Condition()  # notified where something may be synced, and at the end
        self._is_up = True  # by the last word about its line
        self._began_ns = clock.wall_ns()
        self._next_tick = 0

    # ── any thread ──

    def add(self, names: Iterable[Name], history: int | None, keep: int) -> None:
        """Keeps these timeframes, too. Raises LinewardenError: one of them makes no sense."""
        now_ns = self._clock.wall_ns()
        with self._changed:
            for timeframe, calendar in names:
                self._keeper.add(timeframe, calendar, history=history, keep=keep, now_ns=now_ns)
                if (name := _kept_as((timeframe, calendar))) not in self._names:
                    self._names.append(name)

    @property
    def names(self) -> list[Name]:
        """The timeframes that are kept."""
        return list(self._names)

    def listen(self, handler: BarHandler) -> None:
        """Tells this handler from now on."""
        with self._changed:
            self._handlers.append(handler)
            if self.ended is not None:
                handler.finish()

    def view(self, names: Iterable[Name]) -> BarsView:
        """These timeframes as they are now."""
        with self._changed:
            self._keeper.tick(self._clock.wall_ns())
            self._hand_out()
            return self._keeper.view(map(_kept_as, names), self._clock.wall_ns())

    def wait(self, seconds: float) -> None:
        """Until something may be synced, or it has ended; for at most so many seconds."""
        with self._changed:
            self._changed.wait(seconds)

    @property
    def ended(self) -> str | None:
        """Why its stream has ended; None: it has not."""
        return self.stream.end_reason

    # ── its own thread ──

    def follow(self) -> None:
        """Until the stream ends."""
        try:
            while self.ended is None or self.stream.queued:
                try:
                    for item in self.stream.items(timeout=BUSY if self._asking else IDLE):
                        self._take(item)
                except Timeout:
                    self._tick()
                else:
                    return
        finally:
            with self._changed:
                for handler in self._handlers:
                    handler.finish()
                self._changed.notify_all()

    def _take(self, item: Received[Any] | Marker) -> None:
        if not isinstance(item, Received):
            with self._changed:
                self._mark(item)
                self._hand_out()
            self._tick()
            return
        print = self._read(item.event)
        if print is not None:
            with self._changed:
                self._keeper.print(print, item.received_ns, item.epoch)
                self._hand_out()
        if item.received_ns >= self._next_tick:
            self._tick()

    def _read(self, event: Any) -> Print | None:
        try:
            venue = self._venue()
            return None if venue is None else venue.trade(event)
        except Exception as error:  # of a venue of yours
            self.stream._inlet.handler_errors += 1
            now_ns = self._clock.wall_ns()
            with self._changed:
                self._keeper.gap(now_ns, now_ns)
            log.exception(
                "bars.unreadable",
                "A trade of %s could not be read (%s).",
                self.topic,
                type(error).__name__,
                feed=self.topic.feed,
            )
            return None

    def _mark(self, marker: Marker) -> None:
        match marker:
            case Lifecycle(state="connected" | "restored", at_ns=at_ns):
                was_up, self._is_up = self._is_up, True
                if not was_up:
                    self._keeper.live(at_ns)
                    self._changed.notify_all()
            case Lifecycle(line=line, state=state, reason=reason, at_ns=at_ns):
                self._is_up = False
                self._keeper.down(at_ns, f"{line} is {state}" + (f": {reason}" if reason else ""))
            case Gap(since_ns=since, until_ns=until):
                self._keeper.gap(since, until)
            case Repaired(gap=gap, complete=True):
                self._keeper.mended(gap.since_ns, gap.until_ns)
            case Closed(reason=reason):
                self._keeper.down(self._clock.wall_ns(), reason)

    def _tick(self) -> None:
        now_ns = self._clock.wall_ns()
        self._next_tick = now_ns + int(IDLE * SECOND_NS)
        with self._changed:
            self._look_at_subscription(now_ns)
            self._keeper.tick(now_ns)
            self._take_answers(now_ns)
            self._hand_out()
            has_stream = self._keeper.is_live() or now_ns > self._began_ns + SUBSCRIBED
            wanted = self._keeper.wanted(now_ns) if has_stream else []
        for each in wanted:
            self._ask(each)

    def _look_at_subscription(self, now_ns: int) -> None:
        if not self._is_up or self._keeper.is_live():
            return
        found = self._is_confirmed()
        if found is True:
            self._keeper.live(now_ns)
            self._changed.notify_all()
        elif found:
            self._keeper.down(now_ns, str(found))

    def _ask(self, wanted: Wanted) -> None:
        venue, now_ns = self._venue(), self._clock.wall_ns()
        query = BarQuery(
            key=self.topic.key,
            every=wanted.every,
            start_ns=wanted.since_ns,
            end_ns=wanted.until_ns,
            limit=wanted.limit,
        )
        try:
            call = None if venue is None else venue.bars(query)
        except Exception as error:  # of a venue of yours
            log.exception(
                "bars.failed",
                "%s: unexpected error in Venue.bars; it is asked again.",
                self.topic,
                feed=self.topic.feed,
            )
            self._fail(wanted, f"{self.topic.feed}: unexpected error in Venue.bars ({type(error).__name__})")
            return
        if call is None:  # a reload has given the feed another venue
            self._fail(wanted, f"{self.topic.feed}: the venue has no bars of {wanted.every}")
            return
        seconds = READ + (wanted.limit or 0) / BARS_A_SECOND
        try:
            self._asking.append(Asking(wanted, self._reads().read(call, seconds), now_ns))
        except LinewardenError as error:
            self._fail(wanted, str(error))

    def _fail(self, wanted: Wanted, trouble: str) -> None:
        with self._changed:
            self._keeper.failed(wanted, trouble, self._clock.wall_ns())

    def _take_answers(self, now_ns: int) -> None:
        done = [each for each in self._asking if each.answer.done]
        for each in done:
            self._asking.remove(each)
            try:
                bars: tuple[Bar, ...] = each.answer.get(0.0)
            except LinewardenError as error:
                self._keeper.failed(each.wanted, str(error), now_ns)
            else:
                self._keeper.answered(each.wanted, bars, each.asked_ns, now_ns)
        if done:
            self._changed.notify_all()

    def _hand_out(self) -> None:
        for name, event in self._keeper.take_told():
            for handler in self._handlers:
                handler.put(name, event)

    def _has_bars(self, every: Timeframe) -> bool:
        venue = self._venue()
        if venue is None or venue.rest() is None:
            return False
        query = BarQuery(key=self.topic.key, every=every, start_ns=0, end_ns=every.length_ns or 0)
        return venue.bars(query) is not None


class Bars:
    """The bars that a runtime follows: each key from the first look at it. Any thread."""

    def __init__(self, streams: Streams, requests: Requests, check: Callable[[], None], clock: Clock) -> None:
        self._streams, self._requests, self._check, self._clock = streams, requests, check, clock
        self._followed_by: dict[Topic, FollowedBars] = {}
        self._named: dict[tuple[str, str], str] = {}  # contracts by feed and name
        self._handlers: list[BarHandler] = []
        weakref.finalize(self, end_unused, self._followed_by.values(), "bars/end").atexit = False
        self._opening = threading.RLock()

    def view(
        self,
        feed: str,
        key: Key,
        timeframes: Sequence[str],
        options: Mapping[str, Option],
        *,
        calendar: str | None,
        history: int | None,
        keep: int | None,
        wait: float | None,
    ) -> BarsView:
        """What `Runtime.bars` answers."""
        followed, names = self._asked(feed, key, timeframes, options, calendar, history, keep)
        if wait is None:
            return followed.view(names)
        return self._await(followed, names, wait)

    def listen(
        self,
        feed: str,
        key: Key,
        timeframes: Sequence[str],
        options: Mapping[str, Option],
        handler: Callable[[BarEvent], object],
        holder: object,
        *,
        calendar: str | None,
        history: int | None,
        keep: int | None,
    ) -> BarHandler:
        """What `Runtime.on_bar` answers."""
        check_handler(handler)
        followed, names = self._asked(feed, key, timeframes, options, calendar, history, keep)
        name = f"on_bar/{followed.topic}"
        listening = BarHandler(name, frozenset(map(_kept_as, names)), handler, holder)
        listening.thread.start()
        self._handlers = [each for each in self._handlers if each.thread.is_alive()]
        self._handlers.append(listening)
        followed.listen(listening)
        return listening

    def forget(self, feed: str, key: Key, options: Mapping[str, Option]) -> None:
        """What `Runtime.forget_bars` does."""
        topic = self._topic(feed, key, options)
        with self._opening:
            followed = self._followed_by.pop(topic, None)
            self._named.pop((feed, key_of(self._streams.spec_of(feed).venue, key)), None)
        if followed is not None:
            followed.stream.close()

    def threads(self) -> list[threading.Thread]:
        """Of handlers."""
        return [each.thread for each in self._handlers if each.thread.is_alive()]

    # ── what is asked for ──

    def _asked(
        self,
        feed: str,
        key: Key,
        timeframes: Sequence[str],
        options: Mapping[str, Option],
        calendar: str | None,
        history: int | None,
        keep: int | None,
    ) -> tuple[FollowedBars, list[Name]]:
        given = self._calendar(feed, calendar)
        names = [
            (each, given or self._only_calendar(each))
            for each in dict.fromkeys(map(timeframe_of, timeframes))
        ]
        wanted = None if history is None else _bars("history", history, 0)
        kept = _bars("keep", max(KEEP, wanted or 0) if keep is None else keep, 1)
        followed = self._followed(self._topic(feed, key, options), names, wanted, kept, options)
        return followed, names or followed.names

    def _calendar(self, feed: str, name: str | None) -> Calendar | None:
        if name is None:
            return None
        calendars: Mapping[str, Calendar] = self._requests.settings.calendars
        if name not in calendars:
            hint = suggestion(str(name), calendars)
            known = ", ".join(calendars) or "none"
            raise LinewardenError(
                f"{feed}: there is no calendar {name!r} in the config{hint} There are: {known}."
            )
        return calendars[name]

    def _only_calendar(self, timeframe: Timeframe) -> Calendar | None:
        """That of sessions, where the config has one alone."""
        calendars: Mapping[str, Calendar] = self._requests.settings.calendars
        return next(iter(calendars.values())) if timeframe.unit == "session" and len(calendars) == 1 else None

    def _followed(
        self, topic: Topic, names: list[Name], history: int | None, keep: int, options: Mapping[str, Option]
    ) -> FollowedBars:
        with self._opening:
            followed = self._followed_by.get(topic)
            if followed is None or followed.ended is not None:  # it may have left with its feed
                if not names:
                    raise LinewardenError(f'{topic}: name the timeframes of its bars, such as "1min"')
                for timeframe, calendar in names:
                    periods_of(timeframe, calendar)  # raises before anything is subscribed to
                followed = self._followed_by[topic] = self._follow(topic, options, names, history, keep)
            else:
                followed.add(names, history, keep)
            return followed

    def _topic(self, feed: str, key: Key, options: Mapping[str, Option]) -> Topic:
        venue = self._streams.spec_of(feed).venue
        if not venue.tape_channel:
            known = ", ".join(sorted(venue.channels))
            raise LinewardenError(
                f"{feed}: venue {venue.name!r} has no channel of trades that make bars; it has: {known}"
            )
        text = key_of(venue, key)
        if not text.strip():
            raise LinewardenError(f"{feed}: bars are of one key, and an empty text is none")
        if text.strip() == "*":
            raise LinewardenError(f"{feed}: bars are of one key, and '*' means many")
        channel = venue.channel(venue.tape_channel)
        _check_options(venue, channel, options)
        text = self._named.get((feed, text), text)
        try:
            return topics_of(venue, channel, (text,), options)[0]
        except LinewardenError:
            api = venue.trading()
            if api is None:
                raise
        found = self._requests.core(feed, None, self._check).read(api.contract(text), RESOLVE).get()
        self._named[feed, text] = found.id
        return topics_of(venue, channel, (found.id,), options)[0]

    def _follow(
        self, topic: Topic, options: Mapping[str, Option], names: list[Name], history: int | None, keep: int
    ) -> FollowedBars:
        key: Key = topic.key
        stream = self._streams.open(
            topic.feed, topic.channel, (key,), options, NO_POLICY, "drop_oldest", CAPACITY, stays=True
        )
        requests, check = self._requests, self._check
        streams = weakref.ref(self._streams)
        followed = FollowedBars(
            topic,
            stream,
            lambda: _venue_of(streams(), topic.feed),
            lambda: requests.core(topic.feed, None, check),
            lambda: _confirmed(streams(), topic),
            self._clock,
        )
        followed.add(names, history, keep)
        self._streams.start_handler(stream, followed.follow, f"bars/{topic}")
        return followed

    # ── waiting ──

    def _await(self, followed: FollowedBars, names: list[Name], wait: float) -> BarsView:
        deadline = time.monotonic() + wait
        topic = followed.topic
        while not (view := followed.view(names)).synced:
            if (left := deadline - time.monotonic()) <= 0:
                raise Timeout(f"the bars of {topic} are not synced within {wait:g} s: {view.reason}")
            self._streams.refuse_wait(wait, topic.feed)
            if (ended := followed.ended) is not None:
                self._streams.check()  # raises where the runtime has ended
                raise StreamClosed(ended, f"the bars of {topic}")
            states = self._streams.states((topic,))
            if any(state.state == "rejected" for state in states.values()):
                raise SubscribeError(followed.stream, states)
            followed.wait(min(left, SLICE if is_reader() else LOOK_AGAIN))
        return view


def _kept_as(name: Name) -> Name:
    """A timeframe of a clock's length is the same in each calendar."""
    timeframe, calendar = name
    return timeframe, calendar if timeframe.length_ns is None else None


def _bars(name: str, count: int, least: int) -> int:
    if not isinstance(count, int) or isinstance(count, bool) or not least <= count <= MOST_BARS:
        raise LinewardenError(f"{name} is a number of bars from {least} to {MOST_BARS:,}, not {count!r}")
    return count


def _venue_of(streams: Streams | None, feed: str) -> Venue | None:
    """The venue of a feed, as the config has it now; None: there is none any more."""
    if streams is None:
        return None
    try:
        return streams.spec_of(feed).venue
    except LinewardenError:  # a reload has removed the feed; its streams end
        return None


def _confirmed(streams: Streams | None, topic: Topic) -> bool | str:
    """Whether the venue has confirmed a subscription; a text: it has rejected it, and why."""
    state = None if streams is None else streams.states((topic,)).get(topic)
    if state is None:
        return False
    return f"rejected: {state.reason}" if state.state == "rejected" else state.state == "confirmed"


def _check_options(venue: Venue, channel: Channel, options: Mapping[str, Option]) -> None:
    """In words about bars: their callers know nothing of the channel."""
    for name in options:
        if name not in channel.options:
            own = (*CALL_OPTIONS, *channel.options)
            hint = venue.hint(name, "options", own)
            raise LinewardenError(
                f"{venue.feed}: bars take {', '.join(own)}, and no option {name!r}{hint} "
                'Timeframes such as "1min" are not named: they follow the key.'
            )
