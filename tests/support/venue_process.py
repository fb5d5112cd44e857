"""A simulated venue in a process of its own, which can be stopped, and can stop the program."""

from __future__ import annotations

import functools
import multiprocessing
import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from actors.simulators import SimulatedO2
from actors.simulators.base.client import Peer
from actors.simulators.base.server import Message
from actors.simulators.o2.payloads import PONG

PIPES = 3  # calls at a time
ALIVE = 1.0  # seconds between two looks whether the program is there
PROPERTIES = {"url", "markets", "lives", "connections", "heard"}


class OrderlyO2(SimulatedO2):
    """Acts on delayed subscriptions in their order, and answers a PING in its turn behind them.

    Books are empty until a test puts something into them, and errors name the topic that they are about.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(rate=0, seed=seed, market=False, name_errors=True)
        self._asked: dict[Peer, deque[Callable[[], None]]] = {}

    def subscription_asked(self, peer: Peer, act: Callable[[], None]) -> None:
        waiting = self._asked.setdefault(peer, deque())
        waiting.append(act)

        def act_first() -> None:
            waiting.popleft()()

        super().subscription_asked(peer, act_first)

    def received(self, peer: Peer, message: Message) -> None:
        if message == "PING":
            self.subscription_asked(peer, lambda: peer.answer(PONG))
        else:
            super().received(peer, message)


class VenueProcess:
    """Has the methods and properties of `SimulatedO2`; arguments and results travel through pipes."""

    def __init__(self, seed: int) -> None:
        fork = multiprocessing.get_context("fork")  # this process has no threads yet
        pairs = [fork.Pipe() for _ in range(PIPES)]
        self._pipes: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        for ours, _ in pairs:
            self._pipes.put(ours)
        theirs = [end for _, end in pairs]
        self._process = fork.Process(target=serve, args=(seed, theirs, os.getpid()), daemon=True)
        self._process.start()
        for end in theirs:
            end.close()

    def __getattr__(self, name: str) -> Any:
        if name in PROPERTIES:
            return self._call(name)
        return lambda *args, **named: self._call(name, *args, **named)

    def suspend(self) -> None:
        """SIGSTOP. Until `proceed` a call would wait."""
        self._signal(signal.SIGSTOP)

    def proceed(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def end(self) -> None:
        self._process.kill()
        self._process.join()

    def _signal(self, which: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, which)

    def _call(self, name: str, *args: Any, **named: Any) -> Any:
        pipe = self._pipes.get()
        try:
            pipe.send((name, args, named))
            answer = pipe.recv()
        finally:
            self._pipes.put(pipe)
        if isinstance(answer, Exception):
            raise answer
        return answer


def serve(seed: int, pipes: list[Connection], program: int) -> None:
    """In the venue's process, for as long as the program lives."""
    with OrderlyO2(seed) as venue:
        threads = [threading.Thread(target=_answer, args=(venue, pipe, program)) for pipe in pipes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _answer(venue: SimulatedO2, pipe: Connection, program: int) -> None:
    while True:
        while not pipe.poll(ALIVE):
            if os.getppid() != program:
                return
        name, args, named = pipe.recv()
        try:
            found = functools.partial(_freeze, program) if name == "freeze" else getattr(venue, name)
            answer = found(*args, **named) if callable(found) else found
        except Exception as error:
            answer = error
        pipe.send(answer)


def _freeze(program: int, seconds: float) -> None:
    """Stops the program for so long. Its own threads could not say when that is over."""
    os.kill(program, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(program, signal.SIGCONT)
