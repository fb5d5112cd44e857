"""What the silence hunter hunts on: one runtime, its venues and its readers, and what can be done to them."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from actors import Runtime
from actors.rules.stream_buffer import Policy
from actors.settings import load
from actors.status import LineStatus, Status
from tests.support.internals import ON_PURPOSE, Internals, Wedge
from tests.support.listeners import DEPTH, ORDERS, STEP, TRADES, Channel, Listener
from tests.support.rare import Rare
from tests.support.runtimes import feed_at, fresh

BOUND = 15.0  # seconds: five times what the config below allows for a loss, a way back and two answers
MOMENT = 1.0  # seconds at most for a situation to come about; where it does not, the hunt goes on
WATCHDOG = 0.4  # seconds
BURST = 150  # trades of each market at once, at most
LEFT, RIGHT, GUEST = FEEDS = ("left", "right", "guest")
PATIENCE = {LEFT: 60.0, RIGHT: 0.1, GUEST: 60.0}  # seconds for which a full stream may hold a line
ACCOUNTS = [f"0x{number:064x}" for number in range(1, 12)]  # one more than a connection of the venue takes
LOGGERS = ("actors", "pykka")

Result = TypeVar("Result")


class Silence(AssertionError):  # noqa: N818  (what is hunted)
    """A stream that says nothing and a status that does not say why; or another broken promise."""


class Tracebacks(logging.Handler):
    """Errors that the log shows with a traceback, but for the deaths that were caused here."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and ON_PURPOSE not in str(error):
            self.seen.append(self.format(record))


class Field:
    """Each method that does something leaves a step in the trace."""

    def __init__(self, seed: int, venues: Mapping[str, Any]) -> None:
        self.seed, self.venues = seed, venues
        self.reached: set[Rare] = set()
        self.dice = random.Random(seed)  # one for each play: how long another waited changes nothing
        self.quiet = False
        self.internals = Internals()
        self._tracebacks = Tracebacks()
        for name in LOGGERS:
            logging.getLogger(name).addHandler(self._tracebacks)
        self._began = time.monotonic()
        self._steps: list[str] = []
        self.news = threading.Condition()
        self._talkers = {feed: ThreadPoolExecutor(1) for feed in FEEDS}  # one each: numbers in their order
        self.talks: dict[str, list[Future[None]]] = {feed: [] for feed in FEEDS}
        self._numbers: Counter[tuple[str, str, str]] = Counter()  # the last of a feed, a channel and a key
        self._callers = ThreadPoolExecutor(8)
        self.rotations: list[Future[None]] = []
        self._wedges: list[Wedge] = []
        self.paused: set[str] = set()  # feeds that are paused
        self._more = False  # whether the config wants a topic of its own, and a quick heartbeat
        self.listeners: list[Listener] = []
        self.leaving: list[Listener] = []
        self.holders: dict[str, Listener] = {}  # of each feed: a block stream of few events
        self.bad = venues[LEFT].markets[2][:-4] + "0bad"  # a market that venues reject
        for venue in venues.values():
            self.calm(venue)
        self.runtime = Runtime(load(self._config(has_guest=True)))

    # ── the trace ──

    def step(self, text: str) -> None:
        self._steps.append(f"{time.monotonic() - self._began:7.2f}  {text}")

    def note(self, state: Rare) -> None:
        if state not in self.reached:
            self.step(f"reached: {state}")
            self.reached.add(state)

    def failure(self, why: str) -> Silence:
        with contextlib.suppress(Exception):
            why = f"{why}\nlast status:\n{outline(self.runtime.status())}"
        steps = "\n".join(self._steps)
        return Silence(f"seed {self.seed}, after {len(self._steps)} steps: {why}\nsteps:\n{steps}")

    # ── what the venues send ──

    def talk(self, feed: str, most: int = BURST) -> None:
        """Numbered trades of each market, and changes of its book, while the hunt goes on."""
        counts = [(market, self.dice.randint(most // 2, most)) for market in self.venues[feed].markets]
        self.step(f"talk {feed} {' '.join(str(count) for _, count in counts)}")
        self.talks[feed].append(self._talkers[feed].submit(self._send, feed, counts))

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

    def probe(self, listener: Listener, key: str) -> int:
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

    def calm(self, venue: Any) -> None:
        venue.heal()
        venue.reject(self.bad)

    # ── streams ──

    def open_stream(
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
        stream = self.surely(lambda: self.runtime.subscribe(feed, channel.name, *keys, **options))
        listener = Listener(stream, channel, keys, self.news, slow=slow)
        self.step(f"open {listener}")
        self.listeners.append(listener)
        return listener

    def open_holder(self, feed: str) -> None:
        market = self.venues[feed].markets[0]
        self.holders[feed] = self.open_stream(feed, TRADES, [market], policy="block", capacity=20)

    def open_guest(self) -> None:
        one, two, _ = self.venues[GUEST].markets
        self.open_stream(GUEST, TRADES, [one, two], policy="drop_oldest", capacity=1_000)
        self.open_stream(GUEST, DEPTH, [one])

    def close_stream(self, listener: Listener) -> None:
        self.step(f"close {listener}")
        self.listeners.remove(listener)
        self.leaving.append(listener)
        self.surely(listener.stream.close)

    def add_key(self, listener: Listener, key: str) -> None:
        self.step(f"add {key[-4:]} to {listener}")
        listener.join(key)
        self.surely(lambda: listener.stream.add(key))

    def remove_key(self, listener: Listener, key: str) -> None:
        self.step(f"remove {key[-4:]} from {listener}")
        listener.keys.remove(key)
        self.surely(lambda: listener.stream.remove(key))

    def surely(self, call: Callable[[], Result]) -> Result:
        """Asks again where the actor that was to answer has been killed over that very question."""
        while True:
            try:
                return call()
            except Exception as error:
                if ON_PURPOSE not in str(error):
                    raise
                self.step(f"asked again: {error}")

    def toggle(self, listener: Listener) -> None:
        """The second market of a stream goes, or comes back."""
        key = self.venues[listener.stream.feed].markets[1]
        if key in listener.keys:
            self.remove_key(listener, key)
        else:
            self.add_key(listener, key)

    def shut(self, listener: Listener) -> None:
        self.step(f"the reader of {listener} stands")
        listener.gate.clear()

    def books(self, feed: str) -> Listener:
        """The depth stream of little room."""
        return next(
            each
            for each in self.listeners
            if (each.stream.feed, each.channel) == (feed, DEPTH) and each.stream.capacity < 100
        )

    # ── the means of the scenarios ──

    def status(self) -> Status:
        """Of this moment. One that is shared would tell of a hold that is over."""
        return fresh(self.runtime)

    def _config(self, has_guest: bool) -> dict[str, Any]:
        feeds = {feed: feed_at(self.venues[feed].url, block_timeout=PATIENCE[feed]) for feed in FEEDS}
        if self._more:
            feeds[LEFT]["subscribe"] = [{"channel": "trades", "keys": list(self.venues[LEFT].markets)}]
            feeds[RIGHT]["heartbeat"] = {"ping_interval": 0.2, "pong_timeout": 1.0}
        if not has_guest:
            del feeds[GUEST]
        return {"runtime": {"watchdog_timeout": WATCHDOG}, "feeds": feeds}

    def line(self, name: str) -> LineStatus:
        return self.status().lines()[name]

    def until(self, wanted: Callable[[], object], seconds: float = MOMENT) -> bool:
        """Whether it came about in time."""
        deadline = time.monotonic() + seconds
        while not wanted():
            if time.monotonic() > deadline:
                return False
            with self.news:
                self.news.wait(0.01)
        return True

    def incarnation(self, role: str) -> int:
        mine = [actor for actor in self.status().actors if actor.id == role]
        return max((actor.incarnation for actor in mine if actor.state == "running"), default=0)

    def kill(self, role: str, *, newest: bool = True, calls: int = 0) -> None:
        found = self.internals.kill(role, newest=newest, calls=calls)
        self.step(f"kill {role}{'' if newest else ' (the older)'} at call {calls}{'' if found else ': none'}")

    def wedge(self, role: str) -> Wedge | None:
        calls = self.dice.randint(1, 10)
        wedge = self.internals.wedge(role, calls=calls)
        self.step(f"wedge {role} at call {calls}{'' if wedge else ': none'}")
        if wedge is not None:
            self._wedges.append(wedge)
        return wedge

    def wake(self) -> None:
        for wedge in self._wedges:
            if not wedge.released.is_set():
                free = "" if wedge.caught.is_set() else ", which has not hung yet"
                self.step(f"wake {wedge.role} {wedge.incarnation}{free}")
                wedge.released.set()

    def rotate(self, feed: str) -> Future[None]:
        self.step(f"rotate {feed}")
        rotation = self._callers.submit(self.runtime.rotate, feed, 2 * BOUND)
        self.rotations.append(rotation)
        return rotation

    def is_held(self, feed: str) -> bool:
        return self.holders[feed].stream.id in self.line(feed).paused_by_streams

    def free(self, feed: str) -> None:
        """The line is live, and no stream holds it."""
        self.holders[feed].gate.set()
        self.until(lambda: self.line(feed).state == "live" and not self.is_held(feed))

    def hold(self, feed: str) -> bool:
        """A reader stands, and its stream is filled until the line is not read any more."""
        self.until(lambda: self.line(feed).state == "live")
        self.shut(self.holders[feed])
        self.talk(feed, 2 * (self.holders[feed].stream.capacity + 1))  # one event is in the reader's hand
        return self.until(lambda: self.is_held(feed))

    def reopen_holder(self, feed: str) -> None:
        """Its reader stands on: what the stream has is left in it."""
        self.close_stream(self.holders[feed])
        self.open_holder(feed)

    def pause(self, feed: str) -> None:
        """Until the next deep rest, if nothing resumes it before."""
        self.step(f"pause {feed}")
        self.paused.add(feed)
        self.runtime.supervisor.pause(feed).get(timeout=BOUND)

    def resume(self, feed: str) -> None:
        self.step(f"resume {feed}")
        self.paused.discard(feed)
        self.runtime.supervisor.resume(feed).get(timeout=BOUND)

    def restart(self, feed: str) -> None:
        """It ends a pause, too."""
        self.step(f"restart {feed}")
        self.paused.discard(feed)
        self.runtime.supervisor.restart(feed).get(timeout=BOUND)

    def reload(self, *, has_guest: bool = True) -> None:
        """Each config is another than the one before."""
        self._more = not self._more
        self.step(f"reload: more {self._more}, guest {has_guest}")
        self.runtime.reload(self._config(has_guest))

    def finish_talks(self) -> None:
        for talks in self.talks.values():
            for talk in talks:
                talk.result(timeout=2 * BOUND)
            talks.clear()

    def close(self) -> None:
        """Whatever came of it: no thread is left waiting."""
        for wedge in self._wedges:
            wedge.released.set()
        for listener in (*self.listeners, *self.leaving):
            listener.gate.set()
            listener.hurry.set()
        self.runtime.stop()
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(self._tracebacks)
        for pool in (*self._talkers.values(), self._callers):
            pool.shutdown(wait=False, cancel_futures=True)


def outline(status: Status) -> str:
    """What a failure shows of it."""
    lines = [
        f"{name}: {line.state}, epoch {line.epoch}, {line.paused_by_streams}, {line.reason}, {line.counters}"
        for name, line in status.lines().items()
    ]
    actors = [f"{each.id} {each.incarnation} {each.state}\n{each.stack}" for each in status.actors]
    return "\n".join([*lines, *map(str, status.streams), *actors])
