"""A controlled scheduler: it runs the threads of a scenario in every order, up to a bound of preemptions.

    def scenario() -> Built:
        made, inlet = make()  # new objects for each run
        got: list[int] = []

        def reader() -> None:
            got.append(made.get())

        def writer() -> None:
            put(inlet, 1)

        def check() -> None:  # after both have ended
            assert got == [1]

        return [reader, writer], check

    explore(scenario, actors.stream, actors.rules.stream_buffer)

One thread runs at a time. It can lose its turn before each access to what the threads share: a lock, a
condition, an event, a queue, a container, an attribute of an object of the watched modules. A preemption
takes the turn from a thread that could go on. The schedules without one run first, then those with one,
and so on; each runs once. Threads that wait for each other are a failure. A bounded wait ends when no thread
can go on; the clock of the watched modules then shows its end.

What one thread uses alone, what all threads only read, and what all use under one common lock is no such
place: another order there changes nothing. The scheduler learns the places: where a run meets an attribute
that two threads use without a common lock, the exploration begins again with that place added. Without this
reduction, the same outcomes took some 30 times as many runs.

It does not see other things that threads share: globals, closures, `msgspec` structs. A container that
another object has, too, is not replaced: each look at its attribute counts as a change of it.

Libraries that were tried on two merged streams, whose misorder needs one preemption:
`frontrun` 0.7.0 did not find it in 1,242 runs of its partial-order search (120 s), nor in 1,046 random ones
(60 s). It does not control `queue.SimpleQueue`, and pytest skips its tests unless its own command starts it.
`interleave-test` 0.1.0 found it in 84 runs (0.7 s), but needs Python 3.12, and these tests run on 3.11, too.
Two preemptions of a stream's reader and writer, which take 74 runs here, it did not exhaust in 200 s.
`ploom` 0.1.1 needs Python 3.13, and cells of its own in the code under test.
"""

from __future__ import annotations

import gc
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import NamedTuple

from tests.support import stand_ins
from tests.support.stand_ins import Alone, here

log = logging.getLogger("tests.interleave")

Built = tuple[Sequence[Callable[[], object]], Callable[[], object]]  # threads, and a check for afterwards
Scenario = Callable[[], Built]
ENDLESS = 50_000  # places that one run may pass
STUCK = 30.0  # seconds without the end of a run
FILES = (__file__, stand_ins.__file__)


class Schedule(NamedTuple):
    places: frozenset[str]  # where threads may lose their turn
    turns: dict[int, int]  # number of the choice: thread that goes on there instead of the default one


class InterleavingError(AssertionError):
    """A schedule under which the scenario fails. `replay` runs it again."""

    def __init__(self, run: Run, tried: int) -> None:
        self.schedule = run.schedule
        switches = "".join(f"\n  {switch}" for switch in run.switches)
        super().__init__(f"{run.failure!r}\nschedule {tried}: {run.schedule}{switches}")


class Abandoned(BaseException):
    """Unwinds the threads of a run that has failed."""


def explore(
    scenario: Scenario, *watched: ModuleType, preemptions: int = 2, at_most: int = sys.maxsize
) -> int:
    """Run the scenario under every schedule within the bound; returns how many there were.

    The scenario builds new objects and returns its threads, and a check for after they have ended.
    Stops after `at_most` schedules.

    Raises:
        InterleavingError: a thread raised, the check failed, or the threads wait for each other.
    """
    began, tried, places = time.monotonic(), 0, frozenset[str]()
    todo = [[Schedule(places, {})], *([] for _ in range(preemptions))]
    with _controlled(watched) as workers:
        while tried < at_most and any(todo):
            spent = next(n for n, schedules in enumerate(todo) if schedules)
            run = Run(scenario, todo[spent].pop(), workers)
            tried += 1
            if tried % 500 == 0:
                gc.collect()
            if run.failure is not None:
                raise InterleavingError(run, tried) from run.failure
            if run.places:
                places, tried = places | run.places, 0
                todo = [[Schedule(places, {})], *([] for _ in range(preemptions))]
                continue
            for choice, number, cost in run.alternatives:
                if spent + cost <= preemptions:
                    todo[spent + cost].append(Schedule(places, {**run.schedule.turns, choice: number}))
    log.info(
        "%s: %d schedules with up to %d preemptions at %d places, %d left, %.1f s",
        *(
            scenario.__qualname__,
            tried,
            preemptions,
            len(places),
            sum(map(len, todo)),
            time.monotonic() - began,
        ),
    )
    return tried


def replay(scenario: Scenario, *watched: ModuleType, schedule: Schedule) -> None:
    """Run it once, under a schedule that `explore` found.

    Raises:
        InterleavingError: it fails, as it did.
    """
    with _controlled(watched) as workers:
        run = Run(scenario, schedule, workers)
    if run.failure is not None:
        raise InterleavingError(run, 1) from run.failure


@contextmanager
def _controlled(watched: Sequence[ModuleType]) -> Iterator[list[Worker]]:
    workers: list[Worker] = []
    collecting = gc.isenabled()
    gc.disable()  # it may run finalisers in any thread
    try:
        with stand_ins.stand_ins(watched):
            yield workers
    finally:
        for worker in workers:
            worker.dismiss()
        if collecting:
            gc.enable()


class Run:
    """One execution of a scenario under one schedule."""

    def __init__(self, scenario: Scenario, schedule: Schedule, workers: list[Worker]) -> None:
        self.schedule = schedule
        self.places: set[str] = set()  # that it found
        self.failure: BaseException | None = None
        self.over = False
        self.alternatives: list[tuple[int, int, int]] = []  # choice, thread, preemptions that it costs
        self.switches: list[str] = []
        self.variables: dict[tuple[int, str], Variable] = {}
        self._choices = self._passed = 0
        self._last = max(schedule.turns, default=-1)
        functions, check = scenario()
        workers += [Worker() for _ in functions[len(workers) :]]
        self._tasks = [Task(self, n, *each) for n, each in enumerate(zip(functions, workers, strict=True))]
        self._next(None).worker.baton.release()
        for task in self._tasks:
            if not task.worker.idle.acquire(timeout=STUCK):
                raise RuntimeError(f"{task.name} waits for what the scheduler does not control")
        self.failure = next((task.error for task in self._tasks if task.error), self.failure)
        if self.failure is None:
            try:
                check()
            except AssertionError as error:
                self.failure = error

    def stop(self, task: Task) -> None:
        """The task stops here until its next turn."""
        self._passed += 1
        if self._passed > ENDLESS:
            self._fail("no end")
        following = self._next(task)
        if following is not task:
            task.place = _place()
            self.switches.append(f"{task.name} stops {task.place}, {following.name} goes on")
            following.worker.baton.release()
            task.worker.baton.acquire()
            if self.over:
                raise Abandoned

    def leave(self) -> None:
        """A task has ended."""
        if not self.over and not all(task.done for task in self._tasks):
            with suppress(Abandoned):
                self._next(None).worker.baton.release()

    def _next(self, current: Task | None) -> Task:
        waiting = [task for task in self._tasks if not task.done]
        able = [task for task in waiting if task.ready is None or task.ready()]
        if not able:
            return self._let_time_pass(waiting)
        default = current if current is not None and current in able else able[0]
        if len(able) == 1:
            return default
        choice, self._choices = self._choices, self._choices + 1
        if choice > self._last:
            cost = int(default is current)
            self.alternatives += [(choice, task.number, cost) for task in able if task is not default]
        chosen = self._tasks[self.schedule.turns.get(choice, default.number)]
        if chosen not in able:
            self._fail(f"the schedule does not fit: {chosen.name} cannot run at choice {choice}")
        return chosen

    def _let_time_pass(self, waiting: list[Task]) -> Task:
        """No task can go on: the first of the bounded waits is over."""
        bounded = [task for task in waiting if task.deadline is not None]
        if not bounded:
            self._fail("deadlock: " + "; ".join(f"{task.name} {task.place}" for task in waiting))
        first = min(bounded, key=lambda task: task.deadline or 0.0)
        first.late = True
        for task in self._tasks:
            task.now = max(task.now, first.deadline or 0.0)
        return first

    def _fail(self, why: str) -> None:
        self.failure, self.over = AssertionError(why), True
        for task in self._tasks:
            if not task.done and task is not here.turn:
                task.worker.baton.release()
        raise Abandoned


class Variable:
    """What is known of an attribute, or of a container."""

    def __init__(self, thing: object, task: Task) -> None:
        self._thing = thing  # kept: its id is not given to another
        self.users = {task}
        self.written = False
        self.locks = set(task.held)  # that all held who used it

    def is_place(self) -> bool:
        """Whether two threads use it without a common lock, and one of them writes."""
        return self.written and len(self.users) > 1 and not self.locks


class Worker:
    """A thread that carries out one task of each run. It goes on when its baton is released."""

    def __init__(self) -> None:
        self.baton, self.idle = threading.Lock(), threading.Lock()
        self.baton.acquire()
        self.idle.acquire()
        self.task: Task | None = None
        threading.Thread(target=self._live, daemon=True).start()

    def dismiss(self) -> None:
        self.task = None
        self.baton.release()

    def _live(self) -> None:
        while self.baton.acquire() and self.task is not None:
            here.turn = self.task
            self.task.live()
            self.idle.release()


class Task(Alone):
    """One thread's part in a run."""

    def __init__(self, run: Run, number: int, function: Callable[[], object], worker: Worker) -> None:
        super().__init__()
        self.name, self.number, self.worker = f"{number} {function.__name__}", number, worker
        self.ready: Callable[[], bool] | None = None  # what it waits for
        self.deadline: float | None = None
        self.late = self.done = False
        self.error: BaseException | None = None
        self.place = "at its beginning"
        self._run, self._function = run, function
        worker.task = self

    def touch(self, thing: object, name: str, label: str, write: bool) -> None:
        run = self._run
        if label in run.schedule.places:
            if not run.over:
                run.stop(self)
            return
        variable = run.variables.get((id(thing), name))
        if variable is None:
            variable = run.variables[id(thing), name] = Variable(thing, self)
        elif self in variable.users and variable.locks <= self.held and variable.written >= write:
            return  # nothing new
        variable.users.add(self)
        variable.locks &= self.held
        variable.written |= write
        if variable.is_place():
            run.places.add(label)

    def wait(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        if self._run.over:
            raise Abandoned
        if ready():
            return True
        self.ready, self.deadline = ready, None if timeout is None else self.now + timeout
        self.late = False
        self._run.stop(self)
        self.ready = self.deadline = None
        return not self.late

    def live(self) -> None:
        try:
            if not self._run.over:
                self._function()
        except Abandoned:
            pass
        except BaseException as error:  # the run reports it
            self.error = error
        self.done = True
        self._run.leave()


def _place() -> str:
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename in FILES:
        frame = frame.f_back
    return f"in {frame.f_code.co_qualname}, line {frame.f_lineno}"
