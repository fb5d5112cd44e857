"""The silence hunter: a runtime under faults from a seed, and at every rest a question to each stream.

At a rest every venue sends one more numbered event for each topic. Each open stream has to bring it, or a
`Gap` and then a later one, within `BOUND`; or `Runtime.status()` has to name a reason that the hunter itself
has made: the line is paused, a full stream whose reader stands holds it, the venue rejected the topic.
Anything else is silence. The counters have to reconcile, too.

What a round does is decided by the seed alone. How the threads interleave is not, so a seed that failed is
repeated more than once. `python -m tests.support.hunter SEED ROUNDS` hunts with venues in processes of their
own, and stops these and itself with SIGSTOP.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import random
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from enum import StrEnum
from typing import Any, TypeVar
from unittest import mock

import pykka
from pykka.messages import ProxyCall

from actors import LinewardenError, RotationFailed, Runtime, Timeout
from actors.rules.mailbox import Policy
from actors.rules.restarts import Intensity
from actors.settings import load
from actors.status import LineStatus, Status
from tests.desk import feed_at
from tests.stories.books import balanced, stream_balances
from tests.support.listeners import DEPTH, ORDERS, STEP, TRADES, VIEW, Channel, Listener
from tests.support.venue_process import OrderlyO2, VenueProcess

FIRST = 4  # rounds of a seed in which each scenario has its turn
BOUND = 15.0  # seconds: five times what the config below allows for a loss, a way back and two answers
MOMENT = 1.0  # seconds at most for a situation to come about; where it does not, the hunt goes on
WATCHDOG = 0.4  # seconds
EXTRA = 5_000  # the capacity of streams that come and go
BURST = 150  # trades of each market at once, at most
LEFT, RIGHT, GUEST = FEEDS = ("left", "right", "guest")
PATIENCE = {LEFT: 60.0, RIGHT: 0.1, GUEST: 60.0}  # seconds for which a full stream may hold a line
ACCOUNTS = [f"0x{number:064x}" for number in range(1, 12)]  # one more than a connection of the venue takes
LOGGERS = ("actors", "pykka")
ON_PURPOSE = "killed on purpose"
WORKERS = ("registry", "dispatcher", "heartbeat", "fetcher")


Result = TypeVar("Result")


class Rare(StrEnum):
    """Situations that a hunt has to come through. Each is noted from what can be observed."""

    HELD = "a full stream held its line at a rest"
    HELD_OVER_ROTATION = "a hold lasted across a rotation"
    LATE_CANDIDATE = "a candidate died after its subscriptions were confirmed"
    LATE_PREDECESSOR = "a connection died while its successor was ready"
    REFUSED_CANDIDATE = "the venue refused a candidate"
    CUT = "a stream was cut and its topic began again"
    JOINED_BESIDE_CUT = "a stream joined a topic on which another one was cut"
    REMOVED_IN_RESYNC = "a topic was removed while its resync was pending"
    WOKE_DISPATCHER = "a wedged dispatcher was replaced and woke"
    WOKE_REGISTRY = "a wedged registry was replaced and woke"
    WOKE_CONNECTION = "a wedged connection was replaced and woke"
    WOKE_IN_BURST = "a replaced thread woke while the venue was sending"
    LOST_WHILE_FULL = "a connection ended while a full stream held it"
    CLOSED_WHILE_FULL = "a stream was closed while it held its line"
    FEED_REMOVED_WHILE_FULL = "a feed was removed while a stream held its line"
    FEED_BACK = "a feed was removed and added again"
    ADDED_WHILE_HELD = "a topic was added while its line was held"
    ADDED_WHILE_DOWN = "a topic was added while its line was down"
    OVERFLOWED = "a block stream overflowed after its time"
    DISPATCHER_IN_OUTAGE = "the dispatcher was killed during an outage"
    REGISTRY_IN_OUTAGE = "the registry was killed during an outage"
    PAUSED = "a line was paused at a rest"
    REJECTED = "a topic was rejected at a rest"
    DIED_TOGETHER = "registry, dispatcher, heartbeat and a connection died at once"
    DEAD_READER = "a reader stood still over a whole outage"
    VENUE_STOPPED = "SIGSTOP made a line lose its venue"
    PROGRAM_STOPPED = "SIGSTOP held the whole program while its venues were sending"


STOPPED = {Rare.VENUE_STOPPED, Rare.PROGRAM_STOPPED}  # only where the venues are other processes


class Silence(AssertionError):  # noqa: N818  (what is hunted)
    """A stream that says nothing and a status that does not say why; or another broken promise."""


class Wedge:
    """A thread that hangs, or will at one of its next steps."""

    def __init__(self, role: str, incarnation: int) -> None:
        self.role, self.incarnation = role, incarnation
        self.caught, self.released = threading.Event(), threading.Event()

    def hang(self) -> None:
        self.caught.set()
        self.released.wait(30)

    def is_in(self, status: Status) -> bool:
        """Whether that status shows it."""
        return any(
            (actor.id, actor.incarnation, actor.state) == (self.role, self.incarnation, "wedged")
            for actor in status.actors
        )


class Internals:
    """All that the hunter does to a runtime, and no public name offers: actors die, hang and wake.

    A role is an actor's id as status shows it: `registry`, `connection/left`. Where two actors have one
    id, `newest` picks a candidate, and not `newest` the connection that it is to replace. `calls` says where
    it happens: at the so-manieth call from now on of a method of the actor's own, in its thread, so between
    any two steps of a letter. 0: when it takes the letter that asks for it.
    """

    @staticmethod
    @contextlib.contextmanager
    def deaths_without_end() -> Iterator[None]:
        """More than five deaths of one worker in a minute do not end the runtime."""
        with mock.patch("actors.supervisor.Intensity", functools.partial(Intensity, 1_000_000)):
            yield

    def kill(self, role: str, *, newest: bool = True, calls: int = 0) -> bool:
        """Whether there is such an actor."""
        actor = self._actor(role, newest)
        return actor is not None and self._do_within(actor, calls, _fail)

    def wedge(self, role: str, *, newest: bool = True, calls: int = 1) -> Wedge | None:
        actor = self._actor(role, newest)
        if actor is None:
            return None
        wedge = Wedge(role, actor.incarnation)
        self._do_within(actor, calls, wedge.hang)
        return wedge

    @staticmethod
    def _actor(role: str, newest: bool) -> Any:
        every: list[Any] = [reference._actor_weakref() for reference in pykka.ActorRegistry.get_all()]
        mine = [actor for actor in every if actor is not None and actor.id == role]
        mine.sort(key=lambda actor: actor.incarnation, reverse=newest)
        return mine[0] if mine else None

    @staticmethod
    def _do_within(actor: Any, calls: int, act: Callable[[], None]) -> bool:
        """Counted by the interpreter's trace function, in that thread only; it needs no name of a method."""
        left = itertools.count(calls, -1)

        def trace(frame: Any, event: str, _: object) -> None:
            if frame.f_locals.get("self") is actor and next(left) <= 1:
                sys.settrace(None)
                act()

        actor.hunted = act if calls == 0 else lambda: sys.settrace(trace)
        actor.actor_ref.tell(ProxyCall(attr_path=("hunted",), args=(), kwargs={}))
        return True


def _fail() -> None:
    raise ZeroDivisionError(ON_PURPOSE)


class Tracebacks(logging.Handler):
    """Errors that the log shows with a traceback, but for the deaths that were caused here."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and ON_PURPOSE not in str(error):
            self.seen.append(self.format(record))


class Mark:
    """How far a stream was when the venue was asked for one more event."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._gaps = listener.gaps.copy()
        self._received, self._gap_count = listener.stream.received, listener.stream.gap_count

    def verdict(self, key: str, number: int) -> str:
        """`here`, `gap`, or nothing yet. A stream whose reader stands has to count what comes."""
        listener, stream = self._listener, self._listener.stream
        stands = not listener.gate.is_set()
        if listener.last.get(key, 0) >= number or (stands and stream.received > self._received):
            return "here"
        if listener.gaps[key] > self._gaps[key] or (stands and stream.gap_count > self._gap_count):
            return "gap"
        return ""


class Hunt:
    """One runtime, its venues, its readers, and what has been done to them."""

    def __init__(self, seed: int, venues: Mapping[str, Any]) -> None:
        self.seed, self.venues = seed, venues
        self.reached: set[Rare] = set()
        self._random = random.Random(seed)  # one for each play: how long another waited changes nothing
        self._quiet = False
        self._internals = Internals()
        self._tracebacks = Tracebacks()
        for name in LOGGERS:
            logging.getLogger(name).addHandler(self._tracebacks)
        self._began = time.monotonic()
        self._steps: list[str] = []
        self._news = threading.Condition()
        self._talkers = {feed: ThreadPoolExecutor(1) for feed in FEEDS}  # one each: numbers in their order
        self._talks: dict[str, list[Future[None]]] = {feed: [] for feed in FEEDS}
        self._numbers: Counter[tuple[str, str, str]] = Counter()  # the last of a feed, a channel and a key
        self._callers = ThreadPoolExecutor(8)
        self._rotations: list[Future[None]] = []
        self._wedges: list[Wedge] = []
        self._out: set[str] = set()  # feeds that are paused
        self._has_guest = True
        self._more = False  # whether the config wants a topic of its own, and a quick heartbeat
        self._listeners: list[Listener] = []
        self._leaving: list[Listener] = []
        self._holders: dict[str, Listener] = {}  # of each feed: a block stream of few events
        bad = venues[LEFT].markets[2][:-4] + "0bad"
        self._bad = bad  # a market that the left venue rejects
        for venue in venues.values():
            self._calm(venue)
        self.runtime = Runtime(load(self._config()))

    # ── the whole of it ──

    def run(self, rounds: int) -> None:
        """Raises:
        Silence: with the steps that led to it.
        """
        try:
            self._begin()
            for number in range(rounds):
                self._step(f"─ round {number}")
                stops = STOPS if isinstance(self.venues[LEFT], VenueProcess) else ()
                for place, scenario in enumerate((*scenarios(self.seed, number), *stops)):
                    self._play(scenario, f"{self.seed}/{number}/{place}")
                self._rest(deep=True)
            self._end()
        except Silence:
            raise
        except Exception as error:
            text = "".join(traceback.format_exception(error))
            raise self._failure(f"{type(error).__name__}: {error}\n{text}") from error

    def close(self) -> None:
        """Whatever came of it: no thread is left waiting."""
        for wedge in self._wedges:
            wedge.released.set()
        for listener in (*self._listeners, *self._leaving):
            listener.gate.set()
            listener.hurry.set()
        self.runtime.stop()
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(self._tracebacks)
        for pool in (*self._talkers.values(), self._callers):
            pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self) -> None:
        self.runtime.wait_live(timeout=BOUND)
        one, two, three = self.venues[LEFT].markets
        self._open(LEFT, TRADES, [one, two], policy="block", capacity=10_000_000)
        self._open(LEFT, TRADES, [two, three], policy="drop_oldest", capacity=50, slow=True)
        self._open(LEFT, DEPTH, [one, three, self._bad], capacity=10_000)
        self._open(LEFT, DEPTH, [one, two], capacity=30)
        self._open(LEFT, VIEW, [one], policy="conflate")
        self._open(LEFT, ORDERS, ACCOUNTS)  # one account more than fits: a second line
        self._open(RIGHT, TRADES, [one, two, three], policy="block", capacity=10_000_000)
        self._open(RIGHT, TRADES, [one, three], policy="conflate")
        self._open(RIGHT, TRADES, [two], policy="drop_newest", capacity=50, slow=True)
        self._open(RIGHT, DEPTH, [one, two], policy="block", capacity=20)
        self._open_guest()
        for feed in FEEDS:
            self._open_holder(feed)
        self._rest(deep=True)

    def _end(self) -> None:
        self._step("the end")
        for listener in [*self._listeners]:
            self._close(listener)
        self._demand_ends()
        left = self.runtime.stop()
        if left:
            raise self._failure(f"stop() left behind: {left}")

    def _play(self, scenario: Scenario, dice: str) -> None:
        """Once more, and without noise, where what it is about did not come about."""
        for self._quiet in (False, True):
            self._random = random.Random(f"{dice}/{self._quiet}")
            self._step(f"{scenario.__name__.strip('_')}{', quietly' if self._quiet else ''}")
            self._noise()
            scenario(self)
            self._noise()
            self._rest(deep=False)
            if (SCENARIOS.get(scenario) or STOPS[scenario]) in self.reached:
                return
            self._rest(deep=True)

    # ── the trace ──

    def _step(self, text: str) -> None:
        self._steps.append(f"{time.monotonic() - self._began:7.2f}  {text}")

    def _note(self, state: Rare) -> None:
        if state not in self.reached:
            self._step(f"reached: {state}")
            self.reached.add(state)

    def _failure(self, why: str) -> Silence:
        with contextlib.suppress(Exception):
            why = f"{why}\nlast status:\n{_outline(self.runtime.status())}"
        steps = "\n".join(self._steps)
        return Silence(f"seed {self.seed}, after {len(self._steps)} steps: {why}\nsteps:\n{steps}")

    # ── what the venues send ──

    def _talk(self, feed: str, most: int = BURST) -> None:
        """Numbered trades of each market, and changes of its book, while the hunt goes on."""
        counts = [(market, self._random.randint(most // 2, most)) for market in self.venues[feed].markets]
        self._step(f"talk {feed} {' '.join(str(count) for _, count in counts)}")
        self._talks[feed].append(self._talkers[feed].submit(self._send, feed, counts))

    def _send(self, feed: str, counts: Sequence[tuple[str, int]]) -> None:
        for market, count in counts:
            self.venues[feed].number_trades(market, count)
            for _ in range(count // 2):
                self._change_book(feed, market)

    def _change_book(self, feed: str, market: str) -> int:
        number = self._next_number(feed, DEPTH, market)
        former = [(STEP * (number - 1), -1)] if number > 1 else []
        self.venues[feed].depth_change(market, buys=[(STEP * number, 1), *former])
        return number

    def _send_order(self, feed: str, account: str) -> int:
        number = self._next_number(feed, ORDERS, account)
        self.venues[feed].order(account, order_id=f"0x{number:064x}")
        return number

    def _send_trade(self, feed: str, market: str) -> int:
        (number,) = self.venues[feed].number_trades(market, 1)
        return int(number)

    def _next_number(self, feed: str, channel: Channel, key: str) -> int:
        self._numbers[feed, channel.name, key] += 1
        return self._numbers[feed, channel.name, key]

    def _probe(self, listener: Listener, key: str) -> int:
        """One more event of that topic; its number."""
        feed = listener.stream.feed
        match listener.channel.name:
            case "trades":
                number = self._talkers[feed].submit(self._send_trade, feed, key)
            case "orders":
                number = self._talkers[feed].submit(self._send_order, feed, key)
            case _:
                number = self._talkers[feed].submit(self._change_book, feed, key)
        return number.result(BOUND)

    def _calm(self, venue: Any) -> None:
        venue.heal()
        venue.reject(self._bad)

    # ── streams ──

    def _open(
        self,
        feed: str,
        channel: Channel,
        keys: Sequence[str],
        *,
        policy: Policy | None = None,
        capacity: int | None = None,
        slow: bool = False,
    ) -> Listener:
        options: dict[str, Any] = {"policy": policy, "capacity": capacity, **channel.options}
        stream = self._surely(lambda: self.runtime.subscribe(feed, channel.name, *keys, **options))
        listener = Listener(stream, channel, keys, self._news, slow=slow)
        self._step(f"open {listener}")
        self._listeners.append(listener)
        return listener

    def _open_holder(self, feed: str) -> None:
        market = self.venues[feed].markets[0]
        self._holders[feed] = self._open(feed, TRADES, [market], policy="block", capacity=20)

    def _open_guest(self) -> None:
        one, two, _ = self.venues[GUEST].markets
        self._open(GUEST, TRADES, [one, two], policy="drop_oldest", capacity=1_000)
        self._open(GUEST, DEPTH, [one])

    def _close(self, listener: Listener) -> None:
        self._step(f"close {listener}")
        self._listeners.remove(listener)
        self._leaving.append(listener)
        self._surely(listener.stream.close)

    def _add(self, listener: Listener, key: str) -> None:
        self._step(f"add {key[-4:]} to {listener}")
        listener.join(key)
        self._surely(lambda: listener.stream.add(key))

    def _remove(self, listener: Listener, key: str) -> None:
        self._step(f"remove {key[-4:]} from {listener}")
        listener.keys.remove(key)
        self._surely(lambda: listener.stream.remove(key))

    def _surely(self, call: Callable[[], Result]) -> Result:
        """Asked again where the actor that was to answer has been killed over that very question."""
        while True:
            try:
                return call()
            except Exception as error:
                if ON_PURPOSE not in str(error):
                    raise
                self._step(f"asked again: {error}")

    def _toggle(self, listener: Listener) -> None:
        """The second market of a stream goes, or comes back."""
        key = self.venues[listener.stream.feed].markets[1]
        if key in listener.keys:
            self._remove(listener, key)
        else:
            self._add(listener, key)

    def _shut(self, listener: Listener) -> None:
        self._step(f"the reader of {listener} stands")
        listener.gate.clear()

    def _books(self, feed: str) -> Listener:
        """The depth stream of little room."""
        return next(
            each
            for each in self._listeners
            if (each.stream.feed, each.channel) == (feed, DEPTH) and each.stream.capacity < 100
        )

    # ── what may happen at any time ──

    def _noise(self) -> None:
        for _ in range(0 if self._quiet else self._random.randint(0, 3)):
            self._random.choices(list(NOISE), list(NOISE.values()))[0](self)

    def _burst(self) -> None:
        self._talk(self._random.choice(FEEDS))

    def _look(self) -> None:
        for _ in range(self._random.randint(1, 20)):
            self.runtime.status()

    def _change_keys(self) -> None:
        self._toggle(self._random.choice([each for each in self._listeners if each.channel is not ORDERS]))

    def _change_a_gate(self) -> None:
        listener = self._random.choice(self._listeners)
        if listener.stream.policy == "block" and listener.stream.capacity < 100:
            return  # it would hold its line, which a scenario does on purpose
        if listener.gate.is_set():
            self._shut(listener)
        else:
            listener.gate.set()

    def _open_or_close(self) -> None:
        """Streams come and go at any moment."""
        extra = [each for each in self._listeners if each.stream.capacity == EXTRA]
        feed, channel = self._random.choice((LEFT, RIGHT)), self._random.choice((TRADES, DEPTH, VIEW))
        policy: Policy = self._random.choice(("drop_oldest", "drop_newest", "block"))
        if len(extra) > 2:
            self._close(self._random.choice(extra))
        else:
            self._open(feed, channel, self.venues[feed].markets[:1], policy=policy, capacity=EXTRA)

    def _kill_any(self) -> None:
        role = self._random.choice((*WORKERS, "connection/left", "connection/left/2", "connection/right"))
        self._kill(role, newest=self._random.random() < 0.5, calls=self._random.randint(0, 12))

    def _wedge_any(self) -> None:
        self._wedge(self._random.choice((*WORKERS, "connection/right")))

    def _rotate_any(self) -> None:
        self._rotate(self._random.choice((LEFT, RIGHT)))

    def _drop_any(self) -> None:
        feed = self._random.choice(FEEDS)
        self._step(f"drop {feed}")
        self.venues[feed].drop()

    def _trouble(self) -> None:
        feed = self._random.choice(FEEDS)
        venue, market = self.venues[feed], self._random.choice(self.venues[feed].markets)
        what, do = self._random.choice(
            [
                ("garbage", lambda: venue.garbage("json")),
                ("an error", venue.error),
                ("resync_required", lambda: venue.resync_required(market)),
                ("a lost acknowledgement", venue.lose_ack),
                ("delayed acknowledgements", lambda: venue.delay_ack(0.1)),
                ("a refusal", venue.refuse),
            ]
        )
        self._step(f"{what} at {feed}")
        do()

    def _reload(self) -> None:
        self._more = not self._more
        self._step(f"reload: more {self._more}, guest {self._has_guest}")
        self.runtime.reload(self._config())

    def _restart(self) -> None:
        feed = self._random.choice((LEFT, RIGHT))
        self._step(f"restart {feed}")
        self.runtime.supervisor.restart(feed).get(timeout=BOUND)

    # ── the means of the scenarios ──

    def _config(self) -> dict[str, Any]:
        feeds = {feed: feed_at(self.venues[feed].url, block_limit=PATIENCE[feed]) for feed in FEEDS}
        if self._more:
            feeds[LEFT]["subscribe"] = [{"channel": "trades", "keys": list(self.venues[LEFT].markets)}]
            feeds[RIGHT]["heartbeat"] = {"ping_interval": 0.2, "pong_timeout": 1.0}
        if not self._has_guest:
            del feeds[GUEST]
        return {"runtime": {"watchdog": WATCHDOG}, "feeds": feeds}

    def _line(self, name: str) -> LineStatus:
        return self.runtime.status().lines()[name]

    def _until(self, wanted: Callable[[], object], seconds: float = MOMENT) -> bool:
        """Whether it came about in time."""
        deadline = time.monotonic() + seconds
        while not wanted():
            if time.monotonic() > deadline:
                return False
            with self._news:
                self._news.wait(0.01)
        return True

    def _incarnation(self, role: str) -> int:
        mine = [actor for actor in self.runtime.status().actors if actor.id == role]
        return max((actor.incarnation for actor in mine if actor.state == "running"), default=0)

    def _kill(self, role: str, *, newest: bool = True, calls: int = 0) -> None:
        found = self._internals.kill(role, newest=newest, calls=calls)
        self._step(
            f"kill {role}{'' if newest else ' (the older)'} at call {calls}{'' if found else ': none'}"
        )

    def _wedge(self, role: str) -> Wedge | None:
        calls = self._random.randint(1, 10)
        wedge = self._internals.wedge(role, calls=calls)
        self._step(f"wedge {role} at call {calls}{'' if wedge else ': none'}")
        if wedge is not None:
            self._wedges.append(wedge)
        return wedge

    def _wake(self) -> None:
        for wedge in self._wedges:
            if not wedge.released.is_set():
                self._step(
                    f"wake {wedge.role} {wedge.incarnation}{'' if wedge.caught.is_set() else ' (free)'}"
                )
                wedge.released.set()

    def _rotate(self, feed: str) -> Future[None]:
        self._step(f"rotate {feed}")
        rotation = self._callers.submit(self.runtime.rotate, feed, BOUND)
        self._rotations.append(rotation)
        return rotation

    def _is_held(self, feed: str) -> bool:
        return self._holders[feed].stream.id in self._line(feed).held_by

    def _free(self, feed: str) -> None:
        """The line is live, and no stream holds it."""
        self._holders[feed].gate.set()
        self._until(lambda: self._line(feed).state == "live" and not self._is_held(feed))

    def _hold(self, feed: str) -> bool:
        """A reader stands, and its stream is filled until the line is not read any more."""
        self._until(lambda: self._line(feed).state == "live")
        self._shut(self._holders[feed])
        self._talk(feed, 2 * self._holders[feed].stream.capacity)
        return self._until(lambda: self._is_held(feed))

    # ── scenarios ──

    def _hold_over_a_rotation(self) -> None:
        holder = self._holders[LEFT]
        if self._be_held_over_a_rotation():
            self._note(Rare.HELD_OVER_ROTATION)
        then = self._random.choice(("stands", "stands", "goes on", "is closed"))
        self._step(f"the reader of {holder} {then}")
        if then == "goes on":
            holder.gate.set()
        elif then == "is closed":
            self._reopen_holder(LEFT)

    def _late_candidate(self) -> None:
        if self._be_held_over_a_rotation():
            self._note(Rare.LATE_CANDIDATE)
        self._kill("connection/left")

    def _late_predecessor(self) -> None:
        if self._be_held_over_a_rotation():
            self._note(Rare.LATE_PREDECESSOR)
        self._kill("connection/left", newest=False)

    def _be_held_over_a_rotation(self) -> bool:
        """Whether a stream holds the connection while that which takes over has all its subscriptions."""
        venue, holder = self.venues[LEFT], self._holders[LEFT]
        self._free(LEFT)
        venue.delay_ack(0.3)
        lives = venue.lives
        self._rotate(LEFT)
        self._until(lambda: venue.lives > lives)
        held = self._hold(LEFT)
        self._noise()
        both = self._until(lambda: venue.subscribers("trades", holder.keys[0]) == 2)
        self._step(f"held: {held}, both are subscribed: {both}")
        return held and both and holder.is_full

    def _reopen_holder(self, feed: str) -> None:
        """Its reader stands on: what the stream has is left in it."""
        self._close(self._holders[feed])
        self._open_holder(feed)

    def _refused_candidate(self) -> None:
        feed = self._random.choice((LEFT, RIGHT))
        self.venues[feed].refuse(n=2)
        rotation = self._rotate(feed)
        self._talk(feed)
        if isinstance(rotation.exception(timeout=BOUND), RotationFailed):
            self._note(Rare.REFUSED_CANDIDATE)

    def _dispatcher_dies_in_an_outage(self) -> None:
        self._die_in_an_outage("dispatcher")

    def _registry_dies_in_an_outage(self) -> None:
        self._die_in_an_outage("registry")

    def _die_in_an_outage(self, role: str) -> None:
        feed = self._random.choice((LEFT, RIGHT))
        venue, paused = self.venues[feed], self._random.random() < 0.4
        listener = next(each for each in self._listeners if each.stream.feed == feed)
        if paused:
            self._pause(feed)
        else:
            self._step(f"drop {feed} and refuse it")
            venue.refuse(n=1_000)
            venue.drop()
        down = self._until(lambda: self._line(feed).state != "live")
        before = self._incarnation(role)
        self._kill(role, calls=self._random.randint(0, 2))
        self._toggle(listener)
        again = self._until(lambda: self._incarnation(role) > before)
        if down and self._line(feed).state != "live":
            self._note(Rare.ADDED_WHILE_DOWN)
            if again:
                self._note(Rare.DISPATCHER_IN_OUTAGE if role == "dispatcher" else Rare.REGISTRY_IN_OUTAGE)

    def _paused(self) -> None:
        self._pause(self._random.choice((LEFT, RIGHT)))

    def _pause(self, feed: str) -> None:
        """Until the next deep rest."""
        self._step(f"pause {feed}")
        self._out.add(feed)
        self.runtime.supervisor.pause(feed).get(timeout=BOUND)

    def _cut_and_joined(self) -> None:
        feed = self._random.choice((LEFT, RIGHT))
        cut, market = self._books(feed), self.venues[feed].markets[0]
        dropped, renewed = cut.stream.dropped, cut.renewed
        self._shut(cut)
        self._talk(feed)
        was_cut = self._until(lambda: cut.stream.dropped > dropped)
        newcomer = self._open(feed, DEPTH, [market])
        if was_cut and not cut.gate.is_set():
            self._note(Rare.JOINED_BESIDE_CUT)
        if self._random.random() < 0.3:
            self._toggle(cut)
        self._noise()
        cut.gate.set()
        if self._until(lambda: cut.renewed > renewed):
            self._note(Rare.CUT)
        self._close(newcomer)

    def _removed_in_a_resync(self) -> None:
        venue = self.venues[LEFT]
        market = venue.markets[2]
        (listener,) = [each for each in self._listeners if each.channel is DEPTH and self._bad in each.keys]
        self._free(LEFT)
        venue.delay_ack(0.3)
        asked = _subscriptions(venue, market)
        wholes = listener.wholes[market]
        venue.resync_required(market)
        pending = self._until(lambda: _subscriptions(venue, market) > asked)
        self._remove(listener, market)
        if pending and listener.wholes[market] == wholes:
            self._note(Rare.REMOVED_IN_RESYNC)
        self._noise()
        self._add(listener, market)

    def _wedged_dispatcher(self) -> None:
        self._hang_and_wake("dispatcher", Rare.WOKE_DISPATCHER)

    def _wedged_registry(self) -> None:
        self._hang_and_wake("registry", Rare.WOKE_REGISTRY)

    def _wedged_connection(self) -> None:
        self._hang_and_wake("connection/guest", Rare.WOKE_CONNECTION)

    def _hang_and_wake(self, role: str, state: Rare) -> None:
        """A thread hangs in the middle of something, is replaced, and goes on while the venue is sending.

        The guest's streams have room, and trades are not acknowledged: nothing is asked for on that line
        that would end it for the want of an answer.
        """
        listener = next(
            each for each in self._listeners if (each.stream.feed, each.channel) == (GUEST, TRADES)
        )
        self._talk(GUEST)
        wedge = self._wedge(role)
        if wedge is None:
            return
        for _ in range(4):
            self._talk(GUEST)
            self._toggle(listener)
        replaced = self._until(lambda: wedge.is_in(self.runtime.status()))
        for _ in range(4):
            self._talk(GUEST)
        self._noise()
        until = listener.stream.received + self._random.randint(0, 2 * BURST)
        self._until(lambda: listener.stream.received >= until, 0.2)
        sending = not self._talks[GUEST][-1].done()
        self._wake()
        if replaced and self._until(lambda: not wedge.is_in(self.runtime.status())):
            self._note(state)
            if sending:
                self._note(Rare.WOKE_IN_BURST)

    def _lost_while_full(self) -> None:
        feed = self._random.choice((LEFT, RIGHT))
        how = self._random.choice(("drop", "kill", "restart", "pause"))
        held, epoch = self._hold(feed), self._line(feed).epoch
        self._step(f"held {held}; {how}")
        match how:
            case "drop":
                self.venues[feed].drop()
            case "kill":
                self._kill(f"connection/{feed}", calls=self._random.randint(0, 2))
            case "restart":
                self.runtime.supervisor.restart(feed).get(timeout=BOUND)
            case "pause":
                self.runtime.supervisor.pause(feed).get(timeout=BOUND)
                self._noise()
                self.runtime.supervisor.resume(feed).get(timeout=BOUND)
        if held and self._until(lambda: self._line(feed).epoch > epoch):
            self._note(Rare.LOST_WHILE_FULL)

    def _closed_while_full(self) -> None:
        held = self._hold(LEFT)
        self._reopen_holder(LEFT)
        if held:
            self._note(Rare.CLOSED_WHILE_FULL)

    def _added_while_held(self) -> None:
        listener = next(each for each in self._listeners if each.stream.feed == LEFT)
        held = self._hold(LEFT)
        self._toggle(listener)
        self._toggle(listener)
        if held and self._is_held(LEFT):
            self._note(Rare.ADDED_WHILE_HELD)

    def _feed_goes_and_comes(self) -> None:
        held = self._hold(GUEST)
        if self._random.random() < 0.5:
            self._rotate(GUEST)
        self._has_guest = False
        self._reload()
        if held:
            self._note(Rare.FEED_REMOVED_WHILE_FULL)
        gone = [each for each in self._listeners if each.stream.feed == GUEST]
        self._leaving += gone
        self._listeners = [each for each in self._listeners if each not in gone]
        self._noise_without_guest()
        self._has_guest = True
        self._reload()
        self._open_guest()
        self._open_holder(GUEST)
        self._note(Rare.FEED_BACK)

    def _noise_without_guest(self) -> None:
        self._talk(LEFT)
        self._kill(self._random.choice(WORKERS))

    def _overflow(self) -> None:
        holder = self._holders[RIGHT]
        self._shut(holder)
        self._talk(RIGHT)
        self._until(lambda: holder.stream.dropped)
        holder.gate.set()
        self._talk(RIGHT)
        if self._until(lambda: holder.reasons["overflow"]):
            self._note(Rare.OVERFLOWED)

    def _die_together(self) -> None:
        roles = ("registry", "dispatcher", "heartbeat", "connection/right")
        before = [self._incarnation(role) for role in roles]
        self._talk(RIGHT)
        for role in roles:
            self._kill(role)
        if self._until(
            lambda: all(self._incarnation(role) > was for role, was in zip(roles, before, strict=True))
        ):
            self._note(Rare.DIED_TOGETHER)

    def _dead_reader(self) -> None:
        listener = next(each for each in self._listeners if each.stream.policy == "drop_oldest")
        feed = listener.stream.feed
        self._shut(listener)
        self._talk(feed)
        gaps, epoch = listener.reasons["disconnect"], self._line(feed).epoch
        self.venues[feed].drop()
        self._until(lambda: self._line(feed).epoch > epoch and self._line(feed).state == "live")
        self._talk(feed)
        if listener.reasons["disconnect"] == gaps and not listener.gate.is_set():
            listener.gate.set()
            if self._until(lambda: listener.reasons["disconnect"] > gaps):
                self._note(Rare.DEAD_READER)

    # ── scenarios with processes ──

    def _stop_a_venue(self) -> None:
        feed = self._random.choice((LEFT, RIGHT))
        self._finish_talks()
        venue, epoch = self.venues[feed], self._line(feed).epoch
        self._step(f"SIGSTOP {feed}")
        venue.suspend()
        try:
            self._kill(self._random.choice(WORKERS))
            lost = self._until(lambda: self._line(feed).epoch > epoch, BOUND)
        finally:
            venue.proceed()
        self._step(f"SIGCONT {feed}")
        if lost:
            self._note(Rare.VENUE_STOPPED)

    def _stop_the_program(self) -> None:
        self._finish_talks()
        seconds = self._random.choice((0.1, 0.3, 1.0))
        self._talk(LEFT, 4 * BURST)
        self._talk(RIGHT, 4 * BURST)
        self._step(f"SIGSTOP of this program for {seconds:g} s")
        self.venues[RIGHT].freeze(seconds)
        self._note(Rare.PROGRAM_STOPPED)

    # ── rests ──

    def _rest(self, *, deep: bool) -> None:
        """What lasts by itself is over. A deep rest ends what the hunter has made to last, too."""
        self._step("deep rest" if deep else "rest")
        self._wake()
        self._finish_talks()
        for venue in self.venues.values():
            self._calm(venue)
        for listener in (*self._listeners, *self._leaving):
            listener.hurry.set()
            if deep:
                listener.gate.set()
        if deep:
            for feed in self._out:
                self.runtime.supervisor.resume(feed).get(timeout=BOUND)
            self._out.clear()
            self._finish_rotations()
        self._demand_lines()
        self._demand_events()
        if deep:
            self._demand_ends()
        for listener in self._listeners:
            listener.hurry.clear()
        self._demand_counters(deep)
        wrong = [each for listener in self._listeners for each in listener.wrong]
        if wrong or self._tracebacks.seen:
            raise self._failure("\n".join([*wrong, *self._tracebacks.seen]))

    def _finish_talks(self) -> None:
        for talks in self._talks.values():
            for talk in talks:
                talk.result(timeout=2 * BOUND)
            talks.clear()

    def _finish_rotations(self) -> None:
        for rotation in self._rotations:
            with contextlib.suppress(LinewardenError):  # refused, or its feed was removed
                try:
                    rotation.result(timeout=BOUND)
                except Timeout:
                    raise self._failure(f"a rotation was not answered within {BOUND:g} s") from None
        self._rotations.clear()

    def _demand_lines(self) -> None:
        def late() -> list[str]:
            lines = self.runtime.status().lines()
            wanted = {LEFT, RIGHT, "left/2", GUEST}
            missing = [f"{name} is not there" for name in wanted - lines.keys()]
            return missing + [
                f"{name} is {line.state}: {line.reason}"
                for name, line in lines.items()
                if line.state != ("paused" if name.partition("/")[0] in self._out else "live")
            ]

        if not self._until(lambda: not late(), BOUND):
            raise self._failure(f"after {BOUND:g} s with venues that are well: {'; '.join(late())}")

    def _demand_events(self) -> None:
        """Each open stream brings what its venue sends now, or the status says why not."""
        topics = [(listener, key) for listener in self._listeners for key in listener.keys]
        marks = {listener: Mark(listener) for listener in self._listeners}
        sent: dict[tuple[str, str, str], int] = {}
        for listener, key in topics:
            if (topic := (listener.stream.feed, listener.channel.name, key)) not in sent:
                sent[topic] = self._probe(listener, key)
        for listener, key in topics:
            number = sent[listener.stream.feed, listener.channel.name, key]
            self._demand_event(listener, key, number, marks[listener])

    def _demand_event(self, listener: Listener, key: str, number: int, mark: Mark) -> None:
        deadline = time.monotonic() + BOUND
        verdict = ""

        def judge() -> bool:
            nonlocal verdict
            verdict = mark.verdict(key, number) or self._explanation(listener, key)
            return bool(verdict)

        while self._until(judge, deadline - time.monotonic()):
            if verdict == "here":
                return
            if verdict != "gap":
                self._step(f"explained: {listener}, {key[-4:]}: {verdict}")
                return
            mark, number = Mark(listener), self._probe(listener, key)
        text = f"{number} of {key} has not come, and nothing says why; {BOUND:g} s have gone by"
        raise self._failure(f"{listener}: {text}")

    def _explanation(self, listener: Listener, key: str) -> str:
        """The reason in the status, if it is one of the hunter's own making."""
        feed = listener.stream.feed
        prefix = f"{feed}/{listener.channel.name}/{key}"
        for name, line in self.runtime.status().lines().items():
            states = [each.state.state for each in line.topics if each.topic.partition("?")[0] == prefix]
            if not states:
                continue
            if feed in self._out and line.state == "paused":
                self._note(Rare.PAUSED)
                return f"{name} is paused"
            if line.held_by and self._standing().issuperset(line.held_by):
                self._note(Rare.HELD)
                return f"{name} is held by {line.held_by}"
            if key == self._bad and states == ["rejected"]:
                self._note(Rare.REJECTED)
                return "rejected"
        return ""

    def _standing(self) -> set[int]:
        """The streams that may hold a line, as their readers stand."""
        blocking = [each.stream for each in self._listeners if not each.gate.is_set()]
        return {stream.id for stream in blocking if stream.policy == "block"}

    def _demand_counters(self, deep: bool) -> None:
        """Streams at every rest; lines where none is held and nothing is being handed over."""

        def reconciled() -> bool:
            status = self.runtime.status()
            return balanced(status) if deep else all(map(stream_balances, status.streams))

        if not self._until(reconciled, BOUND):
            status = self.runtime.status()
            lines = {name: line.counters for name, line in status.lines().items()}
            raise self._failure(f"the counters do not reconcile: {lines}, {status.streams}")

    def _demand_ends(self) -> None:
        """`Closed` is the last thing in a stream that was closed, and it comes."""
        for listener in self._leaving:
            if not self._until(lambda listener=listener: not listener.thread.is_alive(), BOUND):  # type: ignore[misc]
                raise self._failure(f"{listener} was closed, and its reader waits after {BOUND:g} s")
            if not listener.ended:
                raise self._failure(f"{listener} ended without Closed")
        self._leaving.clear()


def _subscriptions(venue: Any, market: str) -> int:
    """How often the venue was asked for that book."""
    asked = {"action": "subscribe_depth", "market_id": market}
    return sum(isinstance(each, dict) and asked.items() <= each.items() for each in venue.heard)


def _outline(status: Status) -> str:
    lines = [
        f"{name}: {line.state}, epoch {line.epoch}, held by {line.held_by}, {line.reason}, {line.counters}"
        for name, line in status.lines().items()
    ]
    actors = [f"{each.id} {each.incarnation} {each.state}\n{each.stack}" for each in status.actors]
    return "\n".join([*lines, *map(str, status.streams), *actors])


Scenario = Callable[[Hunt], None]

NOISE: Mapping[Scenario, int] = {
    Hunt._burst: 8,
    Hunt._look: 2,
    Hunt._change_keys: 3,
    Hunt._change_a_gate: 2,
    Hunt._open_or_close: 2,
    Hunt._kill_any: 4,
    Hunt._wedge_any: 1,
    Hunt._wake: 1,
    Hunt._rotate_any: 1,
    Hunt._drop_any: 1,
    Hunt._trouble: 3,
    Hunt._reload: 1,
    Hunt._restart: 1,
}
# What each of them is about.
SCENARIOS: Mapping[Scenario, Rare] = {
    Hunt._hold_over_a_rotation: Rare.HELD_OVER_ROTATION,
    Hunt._dispatcher_dies_in_an_outage: Rare.DISPATCHER_IN_OUTAGE,
    Hunt._cut_and_joined: Rare.CUT,
    Hunt._wedged_dispatcher: Rare.WOKE_DISPATCHER,
    Hunt._lost_while_full: Rare.LOST_WHILE_FULL,
    Hunt._removed_in_a_resync: Rare.REMOVED_IN_RESYNC,
    Hunt._wedged_registry: Rare.WOKE_REGISTRY,
    Hunt._feed_goes_and_comes: Rare.FEED_REMOVED_WHILE_FULL,
    Hunt._overflow: Rare.OVERFLOWED,
    Hunt._registry_dies_in_an_outage: Rare.REGISTRY_IN_OUTAGE,
    Hunt._closed_while_full: Rare.CLOSED_WHILE_FULL,
    Hunt._wedged_connection: Rare.WOKE_CONNECTION,
    Hunt._refused_candidate: Rare.REFUSED_CANDIDATE,
    Hunt._added_while_held: Rare.ADDED_WHILE_HELD,
    Hunt._die_together: Rare.DIED_TOGETHER,
    Hunt._dead_reader: Rare.DEAD_READER,
    Hunt._late_candidate: Rare.LATE_CANDIDATE,
    Hunt._late_predecessor: Rare.LATE_PREDECESSOR,
    Hunt._paused: Rare.PAUSED,
}
STOPS: Mapping[Scenario, Rare] = {
    Hunt._stop_a_venue: Rare.VENUE_STOPPED,
    Hunt._stop_the_program: Rare.PROGRAM_STOPPED,
}


def scenarios(seed: int, number: int) -> Sequence[Scenario]:
    """Of a round: in the first ones each has its turn, so that a few seeds come through them all."""
    every = [*SCENARIOS]
    if number < FIRST:
        turn = 2 * (FIRST * seed + number)
        return [every[each % len(every)] for each in (turn, turn + 1)]
    return random.Random(f"{seed}/{number}").choices(every, k=2)


def comes_through(seeds: Sequence[int], rounds: int) -> bool:
    """Whether each scenario has a turn."""
    played = {each for seed in seeds for number in range(rounds) for each in scenarios(seed, number)}
    return played == SCENARIOS.keys()


def hunt(seed: int, rounds: int) -> set[Rare]:
    """In this process, on venues of its own; the rare states that it came through.

    Raises:
        Silence: with the steps that led to it.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(Internals.deaths_without_end())
        venues = {feed: stack.enter_context(OrderlyO2(seed)) for feed in FEEDS}
        return _hunt(seed, rounds, venues)


def _hunt(seed: int, rounds: int, venues: Mapping[str, Any]) -> set[Rare]:
    hunt = Hunt(seed, venues)
    try:
        hunt.run(rounds)
    finally:
        hunt.close()
    return hunt.reached


def main(seed: int, rounds: int) -> int:
    """Two venues in processes of their own. Prints what was reached, or the failure."""
    processes = {feed: VenueProcess(seed) for feed in (LEFT, RIGHT)}
    try:
        with Internals.deaths_without_end(), OrderlyO2(seed) as guest:
            reached = _hunt(seed, rounds, {**processes, GUEST: guest})
    except Silence as failure:
        sys.stdout.write(f"{failure}\n")
        return 1
    finally:
        for process in processes.values():
            process.end()
    sys.stdout.write("".join(f"{state.name}\n" for state in sorted(reached)))
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
