"""Stand-ins for locks, queues, clocks and containers, which tell a scheduler what a thread touches."""

from __future__ import annotations

import inspect
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import FrameType, MemberDescriptorType, ModuleType
from typing import Any

from msgspec import Struct


class Alone:
    """The turn of a thread that no scheduler controls, and what a scheduler has to offer."""

    now = 0.0
    inside = False  # a method of a container, which is one step

    def __init__(self) -> None:
        self.held: set[Lock] = set()

    def touch(self, thing: object, name: str, label: str, write: bool) -> None:
        """The thread is about to read or write this. The label is the same in each run."""

    def wait(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Return once it is ready. False: `timeout` seconds were over before."""
        assert ready() or timeout is not None, "nothing else runs that could end this wait"
        return ready()


class Here(threading.local):
    turn = Alone()


here = Here()


class Shared:
    """A stand-in. Its label names the attribute that holds it, or its kind."""

    label = ""

    def __init_subclass__(cls) -> None:
        cls.label = cls.__name__

    def touch(self, write: bool) -> None:
        if not here.turn.inside:
            here.turn.touch(self, "", self.label, write)


# ── threading, queue, time ──


class Lock(Shared):
    reentrant = False

    def __init__(self) -> None:
        self.owner: Alone | None = None
        self.depth = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        turn = here.turn
        if not (self.reentrant and self.owner is turn):
            self.touch(write=True)
            if blocking:
                turn.wait(self.is_free, None if timeout < 0 else timeout)
            if not self.is_free():
                return False
        self.take(self.depth + 1)
        return True

    def release(self) -> None:
        self.depth -= 1
        if self.depth == 0:
            self.give_up()

    def is_free(self) -> bool:
        return self.owner is None

    def take(self, depth: int) -> None:
        self.owner, self.depth = here.turn, depth
        here.turn.held.add(self)

    def give_up(self) -> int:
        here.turn.held.discard(self)
        depth, self.owner, self.depth = self.depth, None, 0
        return depth

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class RLock(Lock):
    reentrant = True


class Condition(Shared):
    def __init__(self, lock: Lock | None = None) -> None:
        self.lock = lock or RLock()
        self._asleep: list[object] = []
        self.acquire, self.release = self.lock.acquire, self.lock.release

    def __enter__(self) -> bool:
        return self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        ticket = object()
        self._asleep.append(ticket)
        depth = self.lock.give_up()
        woken = here.turn.wait(lambda: ticket not in self._asleep and self.lock.is_free(), timeout)
        if not woken:
            self._asleep.remove(ticket)
            here.turn.wait(self.lock.is_free, None)
        self.lock.take(depth)
        return woken

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        while not (result := predicate()) and self.wait(timeout):
            pass
        return result

    def notify(self, n: int = 1) -> None:
        assert self.lock.owner is here.turn, "notified without the lock"
        del self._asleep[:n]

    def notify_all(self) -> None:
        self.notify(len(self._asleep))


class Event(Shared):
    def __init__(self) -> None:
        self._is_set = False

    def is_set(self) -> bool:
        self.touch(write=False)
        return self._is_set

    def set(self) -> None:
        self.touch(write=True)
        self._is_set = True

    def clear(self) -> None:
        self.touch(write=True)
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        self.touch(write=False)
        here.turn.wait(lambda: self._is_set, timeout)
        return self._is_set


class SimpleQueue(Shared):
    def __init__(self) -> None:
        self._items: deque[Any] = deque()

    def put(self, item: object) -> None:
        self.touch(write=True)
        self._items.append(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        self.touch(write=True)
        if block:
            here.turn.wait(lambda: bool(self._items), timeout)
        if not self._items:
            raise queue.Empty
        return self._items.popleft()

    def get_nowait(self) -> Any:
        return self.get(block=False)

    def empty(self) -> bool:
        return not self.qsize()

    def qsize(self) -> int:
        self.touch(write=False)
        return len(self._items)


# ── containers and attributes ──

READS = (
    *("__len__", "__contains__", "__getitem__", "__reversed__", "get", "copy", "count", "index", "keys"),
    *("__eq__", "__add__", "__or__", "__ror__", "__and__", "__rand__", "__sub__", "__rsub__", "difference"),
)
WRITES = (
    *("__setitem__", "__delitem__", "__iadd__", "__ior__", "add", "append", "appendleft", "clear", "discard"),
    *("extend", "extendleft", "insert", "pop", "popitem", "popleft", "remove", "rotate", "setdefault"),
    *("sort", "update", "difference_update", "__isub__", "__iand__"),
)


def _stepwise(shared: Any, items: Iterator[Any]) -> Iterator[Any]:
    while True:
        shared.touch(write=False)
        try:
            item = next(items)
        except StopIteration:
            return
        yield item


def _shared(kind: Any) -> Any:
    """A container that tells of each access, and of each step of an iteration."""

    def method(name: str) -> Callable[..., Any]:
        plain, write = getattr(kind, name), name in WRITES

        def call(self: Any, *args: Any, **named: Any) -> Any:
            turn = here.turn
            if turn.inside:
                return plain(self, *args, **named)
            self.touch(write)
            turn.inside = True
            try:
                return plain(self, *args, **named)
            finally:
                turn.inside = False

        return call

    methods = {name: method(name) for name in (*READS, *WRITES) if hasattr(kind, name)}
    methods["__iter__"] = lambda self: _stepwise(self, kind.__iter__(self))
    if issubclass(kind, dict):
        methods["values"] = lambda self: _stepwise(self, iter(dict.values(self)))
        methods["items"] = lambda self: _stepwise(self, iter(dict.items(self)))
    return type(kind.__name__, (kind, Shared), methods)


KINDS = (dict, list, set, deque)
CONTAINERS = {kind: _shared(kind) for kind in KINDS}


@cache
def _label(cls: Any, name: str) -> str:
    """Empty for what is no data of an instance."""
    found = inspect.getattr_static(cls, name, None)
    is_data = isinstance(found, MemberDescriptorType) or not hasattr(type(found), "__get__")
    return f"{cls.__name__}.{name}" if is_data and not name.startswith("__") else ""


def _get(self: Any, name: str) -> Any:
    value = object.__getattribute__(self, name)
    cls: Any = type(self)
    if not (label := _label(cls, name)):
        return value
    changeable = isinstance(value, KINDS) and not isinstance(value, Shared)
    here.turn.touch(self, name, label, write=changeable)
    return object.__getattribute__(self, name)


class Probe:
    """Finds how many references there are to a container that nothing else holds."""

    references = 0

    def __setattr__(self, name: str, value: object) -> None:
        Probe.references = sys.getrefcount(value)


Probe().container = []


def _set(self: Any, name: str, value: Any) -> None:
    label = f"{type(self).__name__}.{name}"
    if type(value) in (dict, list, set) and not value and sys.getrefcount(value) <= Probe.references:
        value = CONTAINERS[type(value)]()
    if isinstance(value, Shared):
        getattr(value, "lock", value).label = f"{label}.*"  # what it refers to; the label itself is the name
    if not _is_new(self, sys._getframe(1)):
        here.turn.touch(self, name, label, write=True)
    object.__setattr__(self, name, value)


def _is_new(thing: object, frame: FrameType) -> bool:
    """Whether this is its `__init__`: no other thread has it yet."""
    code = frame.f_code
    return code.co_name == "__init__" and frame.f_locals.get(code.co_varnames[0]) is thing


class StandIn(ModuleType):
    """A module of which some names are replaced."""

    def __init__(self, module: ModuleType, **replaced: object) -> None:
        super().__init__(module.__name__)
        self.__dict__.update(module.__dict__, **replaced)


NAMES: dict[str, object] = {
    "deque": CONTAINERS[deque],
    "queue": StandIn(queue, SimpleQueue=SimpleQueue),
    "threading": StandIn(threading, Lock=Lock, RLock=RLock, Condition=Condition, Event=Event),
    "time": StandIn(
        time,
        monotonic=lambda: here.turn.now,
        sleep=lambda seconds: here.turn.wait(lambda: False, seconds),
    ),
}


@contextmanager
def stand_ins(modules: Sequence[ModuleType]) -> Iterator[None]:
    """These modules use them meanwhile, and the attributes of their classes tell of each access."""
    former: list[tuple[object, str, object]] = []
    for module in modules:
        former += [(module, name, vars(module)[name]) for name in NAMES if name in vars(module)]
    for holder, name, _ in former:
        setattr(holder, name, NAMES[name])
    classes = [cls for module in modules for cls in vars(module).values() if _is_ours(cls, module)]
    for cls in classes:
        cls.__getattribute__, cls.__setattr__ = _get, _set
    try:
        yield
    finally:
        for cls in classes:
            del cls.__getattribute__, cls.__setattr__
        for holder, name, value in former:
            setattr(holder, name, value)


def _is_ours(cls: Any, module: ModuleType) -> bool:
    if not isinstance(cls, type) or cls.__module__ != module.__name__:
        return False
    return not issubclass(cls, Struct | BaseException | tuple) and "__setattr__" not in vars(cls)
