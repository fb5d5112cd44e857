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
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from typing import Any

from actors import LinewardenError
from actors.status import LineStatus
from tests.support.counters import reconciled, stream_reconciles
from tests.support.field import ACCOUNTS, BOUND, FEEDS, GUEST, LEFT, RIGHT, Field, Silence
from tests.support.internals import Internals
from tests.support.listeners import DEPTH, ORDERS, TRADES, VIEW, Listener, Mark
from tests.support.rare import Rare
from tests.support.scenarios import SCENARIOS, STOPS, Scenario, noise, scenarios
from tests.support.venue_process import OrderlyO2, VenueProcess

TRIES = 5  # at one scenario: a busy machine may let its moment pass


class Hunt(Field):
    """Scenarios and rests, from a seed."""

    def run(self, rounds: int) -> None:
        """Plays the rounds.

        Raises:
            Silence: with the steps that led to it.
        """
        try:
            self._begin()
            for number in range(rounds):
                self.step(f"─ round {number}")
                stops = STOPS if isinstance(self.venues[LEFT], VenueProcess) else ()
                for place, scenario in enumerate((*scenarios(self.seed, number), *stops)):
                    self._play(scenario, f"{self.seed}/{number}/{place}")
                self._rest(deep=True)
            self._end()
        except Silence:
            raise
        except Exception as error:
            text = "".join(traceback.format_exception(error))
            raise self.failure(f"{type(error).__name__}: {error}\n{text}") from error

    def _begin(self) -> None:
        self.runtime.wait_live(timeout=BOUND)
        one, two, three = self.venues[LEFT].markets
        self.open_stream(LEFT, TRADES, [one, two], policy="block", capacity=10_000_000)
        self.open_stream(LEFT, TRADES, [two, three], policy="drop_oldest", capacity=50, slow=True)
        self.open_stream(LEFT, DEPTH, [one, three, self.bad], capacity=10_000)
        self.open_stream(LEFT, DEPTH, [one, two], capacity=30)
        self.open_stream(LEFT, VIEW, [one], policy="conflate")
        self.open_stream(LEFT, ORDERS, ACCOUNTS)  # one account more than fits: a second line
        self.open_stream(RIGHT, TRADES, [one, two, three], policy="block", capacity=10_000_000)
        self.open_stream(RIGHT, TRADES, [one, three], policy="conflate")
        self.open_stream(RIGHT, TRADES, [two], policy="drop_newest", capacity=50, slow=True)
        self.open_stream(RIGHT, DEPTH, [one, two], policy="block", capacity=20)
        self.open_guest()
        for feed in FEEDS:
            self.open_holder(feed)
        self._rest(deep=True)

    def _end(self) -> None:
        self.step("the end")
        for listener in [*self.listeners]:
            self.close_stream(listener)
        self._demand_ends()
        left = self.runtime.stop()
        if left:
            raise self.failure(f"stop() left behind: {left}")

    def _play(self, scenario: Scenario, dice: str) -> None:
        """Plays it, and again without noise while the situation that it leads to does not come about."""
        for attempt in range(TRIES):
            self.quiet = attempt > 0
            self.dice = random.Random(f"{dice}/{self.quiet if attempt < 2 else attempt}")
            self.step(f"{scenario.__name__}{', quietly' if self.quiet else ''}")
            noise(self)
            scenario(self)
            noise(self)
            self._rest(deep=False)
            if (SCENARIOS.get(scenario) or STOPS[scenario]) in self.reached:
                return
            self._rest(deep=True)

    # ── rests ──

    def _rest(self, *, deep: bool) -> None:
        """What lasts by itself is over. A deep rest ends what the hunter has made to last, too."""
        self.step("deep rest" if deep else "rest")
        self.internals.disarm()
        self.wake()
        self.finish_talks()
        for venue in self.venues.values():
            self.calm(venue)
        for listener in (*self.listeners, *self.leaving):
            listener.hurry.set()
            if deep:
                listener.gate.set()
        if deep:
            for feed in [*self.paused]:
                self.resume(feed)
            self._finish_rotations()
        self._demand_lines(deep)
        self._demand_events()
        if deep:
            self._demand_ends()
        for listener in self.listeners:
            listener.hurry.clear()
        self._demand_counters(deep)
        wrong = [each for listener in self.listeners for each in listener.wrong]
        if wrong or self._tracebacks.seen:
            raise self.failure("\n".join([*wrong, *self._tracebacks.seen]))

    def _finish_rotations(self) -> None:
        for rotation in self.rotations:
            with contextlib.suppress(LinewardenError):  # refused, or its feed was removed
                try:
                    rotation.result(timeout=BOUND)
                except TimeoutError:
                    raise self.failure(f"a rotation was not answered within {BOUND:g} s") from None
        self.rotations.clear()

    def _demand_lines(self, deep: bool) -> None:
        """Each line is live or paused; if not deep, a held one may have answers that it does not read."""

        def late() -> list[str]:
            lines = self.status().lines()
            wanted = {LEFT, RIGHT, "left/2", GUEST}
            missing = [f"{name} is not there" for name in wanted - lines.keys()]
            return missing + [
                f"{name} is {line.state}: {line.reason}"
                for name, line in lines.items()
                if line.state != ("paused" if name.partition("/")[0] in self.paused else "live")
                and (deep or line.state != "subscribing" or not self._is_held(line))
            ]

        if not self.until(lambda: not late(), BOUND):
            raise self.failure(f"after {BOUND:g} s with venues that are well: {'; '.join(late())}")

    def _demand_events(self) -> None:
        """Each open stream brings what its venue sends now, or the status says why not."""
        topics = [(listener, key) for listener in self.listeners for key in listener.keys]
        marks = {listener: Mark(listener) for listener in self.listeners}
        sent: dict[tuple[str, str, str], int] = {}
        for listener, key in topics:
            if (topic := (listener.stream.feed, listener.channel.name, key)) not in sent:
                sent[topic] = self.probe(listener, key)
        reasons: Counter[str] = Counter()
        for listener, key in topics:
            number = sent[listener.stream.feed, listener.channel.name, key]
            reasons[self._demand_event(listener, key, number, marks[listener])] += 1
        for reason, count in reasons.items():
            if reason:
                self.step(f"{count} explained: {reason}")

    def _demand_event(self, listener: Listener, key: str, number: int, mark: Mark) -> str:
        """Why it does not come; empty: it has come."""
        deadline = time.monotonic() + BOUND
        verdict = ""

        def judge() -> bool:
            nonlocal verdict
            verdict = mark.verdict(key, number) or self._explanation(listener, key)
            return bool(verdict)

        while self.until(judge, deadline - time.monotonic()):
            if verdict == "here":
                return ""
            if verdict != "gap":
                return verdict
            mark, number = Mark(listener), self.probe(listener, key)
        text = f"{number} of {key} has not come, and nothing says why; {BOUND:g} s have gone by"
        raise self.failure(f"{listener}: {text}")

    def _explanation(self, listener: Listener, key: str) -> str:
        """The reason in the status, if it is one of the hunter's own making."""
        feed = listener.stream.feed
        prefix = f"{feed}/{listener.channel.name}/{key}"
        for name, line in self.status().lines().items():
            states = [each.state.state for each in line.topics if each.topic.partition("?")[0] == prefix]
            if not states:
                continue
            if feed in self.paused and line.state == "paused":
                self.note(Rare.PAUSED)
                return f"{name} is paused"
            if self._is_held(line):
                self.note(Rare.HELD)
                return f"{name} is held by {line.paused_by_streams}"
            if key == self.bad and states == ["rejected"]:
                self.note(Rare.REJECTED)
                return f"{prefix} is rejected"
        return ""

    def _is_held(self, line: LineStatus) -> bool:
        """Whether streams hold it, all of which have readers that stand."""
        blocking = [each.stream for each in self.listeners if not each.gate.is_set()]
        standing = {stream.id for stream in blocking if stream.policy == "block"}
        return bool(line.paused_by_streams) and standing.issuperset(line.paused_by_streams)

    def _demand_counters(self, deep: bool) -> None:
        """Streams at every rest; lines where none is held and nothing is being handed over."""

        def is_reconciled() -> bool:
            status = self.status()
            return reconciled(status) if deep else all(map(stream_reconciles, status.streams))

        if not self.until(is_reconciled, BOUND):
            status = self.status()
            lines = {name: line.counters for name, line in status.lines().items()}
            raise self.failure(f"the counters do not reconcile: {lines}, {status.streams}")

    def _demand_ends(self) -> None:
        """`Closed` is the last thing in a stream that was closed, and it comes."""
        for listener in self.leaving:
            if not self.until(lambda listener=listener: not listener.thread.is_alive(), BOUND):  # type: ignore[misc]
                raise self.failure(f"{listener} was closed, and its reader waits after {BOUND:g} s")
            if not listener.ended:
                raise self.failure(f"{listener} ended without Closed")
        self.leaving.clear()


def hunt(seed: int, rounds: int) -> set[Rare]:
    """In this process, on venues of its own; the rare states that it came through.

    Raises:
        Silence: with the steps that led to it.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(Internals.at_work())
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
        with Internals.at_work(), OrderlyO2(seed) as guest:
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
