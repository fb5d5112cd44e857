"""Faults drawn from a seed, and readers that remember what they were told."""

from __future__ import annotations

import contextlib
import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pykka

from actors import Gap, Received, Repaired, RotationFailed, Runtime, Stream, Topic
from actors.connection import Connection
from actors.delivery.epoch_delivery import EpochDelivery
from actors.dispatcher import Dispatcher
from actors.heartbeat import Heartbeat
from actors.registry import Registry
from actors.requester import Requester
from actors.simulators import SimulatedO2
from actors.status import Status
from tests.stories.test_killed_actors import after, incarnation, kill
from tests.support.counters import settle
from tests.support.runtimes import at_epoch, line_of, until

TURNS = 12  # faults and bursts a round
BURST = 400  # trades at once, at most


class Reader:
    """Reads a numbered stream to its end; whoever closes its gate makes it a slow one."""

    def __init__(self, stream: Stream[Any]) -> None:
        self.stream = stream
        self.gate = threading.Event()
        self.gate.set()
        self.last: Counter[Topic] = Counter()  # the number that was heard last
        self.outages: Counter[Topic] = Counter()  # gaps from a disconnection
        self.marked = 0  # events that markers told of as given up
        self.wrong: list[str] = []
        self._missed: defaultdict[Topic, int] = defaultdict(int)  # marked since then
        self._holes: defaultdict[Topic, set[Gap]] = defaultdict(set)  # of unknown size, since then
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def heard(self) -> dict[str, int]:
        """The last number of each market."""
        return {topic.key: number for topic, number in self.last.copy().items()}

    def _read(self) -> None:
        for item in self.stream.items():
            if isinstance(item, Gap):
                self._mark(item)
            elif isinstance(item, Repaired):
                self._repair(item)
            elif isinstance(item, Received):
                self._hear(item.topic, int(item.event.trade_id))
            self.gate.wait()

    def _mark(self, gap: Gap) -> None:
        self.outages[gap.topic] += gap.reason == "disconnect"
        self._missed[gap.topic] += gap.missed or 0
        self.marked += gap.missed or 0
        if gap.missed is None:
            self._holes[gap.topic].add(gap)

    def _repair(self, repaired: Repaired) -> None:
        """That hole is over, or still there behind what was brought."""
        holes = self._holes[repaired.topic]
        (holes.discard if repaired.complete else holes.add)(repaired.gap)

    def _hear(self, topic: Topic, number: int) -> None:
        due = self.last[topic] + 1 + self._missed.pop(topic, 0)
        if number < due or (number > due and not self._may_leap(topic)):
            self.wrong.append(f"{topic}: {number} where {due} was due")
        self.last[topic] = number
        self._holes[topic].clear()

    def _may_leap(self, topic: Topic) -> bool:
        return bool(self._holes[topic]) or self.stream.policy == "conflate"


class Chaos:
    """One runtime on one simulated venue, and what has been done to them."""

    def __init__(self, seed: int, runtime: Runtime, venue: SimulatedO2) -> None:
        self.runtime, self.venue = runtime, venue
        self.outages = 0
        self.rotations = 0
        self.done: list[str] = []  # for whoever wants to know how it came to this
        self._random = random.Random(seed)
        self._readers: list[Reader] = []
        self._talker = ThreadPoolExecutor(1)  # one, so that the numbers of a market come in their order
        self._talking: Future[None] | None = None

    def read(self, *streams: Stream[Any]) -> list[Reader]:
        self._readers = [Reader(stream) for stream in streams]
        return self._readers

    def round(self) -> None:
        """Bursts and faults in an order that the seed decides; at the end everything is live again."""
        turns: list[Callable[[], None]] = [
            self.talk,
            self.drop,
            self.kill_connection,
            self.kill_registry,
            self.kill_dispatcher,
            self.fail_in_delivery,
            self.kill_heartbeat,
            self.kill_requester,
            self.resync,
            self.rotate,
            self.change_a_gate,
        ]
        weights = [8, 2, 1, 1, 1, 1, 1, 1, 1, 1, 3]
        for turn in self._random.choices(turns, weights, k=TURNS):
            self.done.append(turn.__name__)
            turn()
        self.rest()

    def rest(self) -> Status:
        """The venue has said all that it wanted to, every line is live, and nothing is on its way."""
        if self._talking is not None:
            self._talking.result(timeout=30)
        self.runtime.wait_live(timeout=10)
        return settle(self.runtime)

    def read_up(self) -> dict[str, int]:
        """Nobody is slow any more; the last number of each market has come to all who have room for it."""
        for reader in self._readers:
            reader.gate.set()
        self.rest()
        until(self.runtime, lambda _: not any(reader.stream.queued for reader in self._readers))
        last = {market: self.venue.number_trades(market, 1)[0] for market in self.venue.markets}
        until(self.runtime, lambda _: self._readers[0].heard() == last)
        self.rest()
        return last

    def close(self) -> None:
        for reader in self._readers:
            reader.gate.set()
        self._talker.shutdown()

    # ── what may happen ──

    def talk(self) -> None:
        counts = [(market, self._random.randint(1, BURST)) for market in self.venue.markets]
        self._talking = self._talker.submit(self._say, counts)

    def _say(self, counts: list[tuple[str, int]]) -> None:
        for market, count in counts:
            self.venue.number_trades(market, count)

    def change_a_gate(self) -> None:
        gate = self._random.choice(self._readers).gate
        if gate.is_set():
            gate.clear()
        else:
            gate.set()

    def drop(self) -> None:
        self._lose_the_line(self.venue.drop)

    def kill_connection(self) -> None:
        self._lose_the_line(lambda: kill(Connection))

    def kill_registry(self) -> None:
        self._replace(Registry)

    def kill_dispatcher(self) -> None:
        self._replace(Dispatcher)

    def fail_in_delivery(self) -> None:
        """A defect in the middle of a batch: some streams have it, others have not."""
        put = EpochDelivery._put

        def fail_once(delivery: EpochDelivery, *args: Any) -> Any:
            EpochDelivery._put = put  # type: ignore[method-assign]
            raise ZeroDivisionError("on purpose")

        def fail() -> None:
            EpochDelivery._put = fail_once  # type: ignore[method-assign,assignment]
            self.talk()

        self._lose_the_line(fail)

    def kill_heartbeat(self) -> None:
        self._replace(Heartbeat)

    def kill_requester(self) -> None:
        self._replace(Requester)

    def resync(self) -> None:
        self.venue.resync_required(self._random.choice(self.venue.markets))

    def rotate(self) -> None:
        with contextlib.suppress(RotationFailed):  # a full stream may hold the line
            self.runtime.rotate("o2", timeout=20.0)
            self.rotations += 1

    def _lose_the_line(self, how: Callable[[], None]) -> None:
        self.runtime.wait_live(timeout=10)
        before = line_of(self.runtime).epoch
        how()
        until(self.runtime, at_epoch(before + 1))
        self.runtime.wait_live(timeout=10)
        self.outages += 1

    def _replace(self, kind: type[pykka.Actor]) -> None:
        id = kind.__name__.lower()
        before = incarnation(self.runtime.status(), id)
        kill(kind)
        until(self.runtime, after(id, before))
