"""All that the silence hunter needs to know of the package's inside."""

from __future__ import annotations

import contextlib
import functools
import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pykka
from pykka.messages import ProxyCall

from actors.actor import Actor
from actors.rules.restarts import Intensity
from actors.status import Status

WORKERS = ("registry", "dispatcher", "heartbeat", "requester")
ON_PURPOSE = "killed on purpose"


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

    def __init__(self) -> None:
        self._turn = 0  # counts the calls of `disarm`

    @staticmethod
    @contextlib.contextmanager
    def at_work() -> Iterator[None]:
        """Actors do what they are told here; more than five deaths of one in a minute end no runtime."""
        without_end = mock.patch("actors.supervisor.Intensity", functools.partial(Intensity, 1_000_000))
        with without_end, mock.patch.object(Actor, "do", _do, create=True):
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

    def disarm(self) -> None:
        """What has not happened yet does not happen any more."""
        self._turn += 1

    def _do_within(self, actor: Any, calls: int, act: Callable[[], None]) -> bool:
        """Counted by the interpreter's trace function, in that thread only; it needs no name of a method."""
        left, turn = itertools.count(calls, -1), self._turn

        def trace(frame: Any, event: str, _: object) -> None:
            if turn != self._turn or actor.actor_stopped.is_set():  # an actor that has ended cannot die
                sys.settrace(None)
            elif frame.f_locals.get("self") is actor and next(left) <= 1:
                sys.settrace(None)
                act()

        what = act if calls == 0 else functools.partial(sys.settrace, trace)
        actor.actor_ref.tell(ProxyCall(attr_path=("do",), args=(actor, what), kwargs={}))
        return True


def _do(actor: Actor, meant: Actor, what: Callable[[], None]) -> None:
    """A role's mailbox outlives its actor: what one did not come to read is not for its successor."""
    if actor is meant:
        what()


def _fail() -> None:
    raise ZeroDivisionError(ON_PURPOSE)


def line_record(name: str) -> Any:
    """The supervisor's record of this line, in the one runtime of this process that has it."""
    return next(found[name] for each in _all("supervisor") if name in (found := each._lines.records))


def watch_of(name: str) -> Any:
    """The heartbeat's watch over the life of this line; None: it has none."""
    return next((found[name] for each in _all("heartbeat") if name in (found := each._watches)), None)


def is_busy(*roles: str) -> bool:
    """Whether one of these has mail, or a letter in hand."""
    return any(each.actor_inbox.busy for role in roles for each in _all(role))


def _all(role: str) -> list[Any]:
    every: list[Any] = [reference._actor_weakref() for reference in pykka.ActorRegistry.get_all()]
    return [each for each in every if each is not None and each.id == role]
