"""Faults by name: one spelling in Python and as text, `"drop every=5"`.

A fault is a method of a simulator that `@fault` or `@waiting` marks. Its signature says which parameters a
text may give, its docstring what it does: the table of faults that people read is made of both. What a
fault leaves behind is in one table, `PendingFaults`, until it has happened or is healed.
"""

from __future__ import annotations

import inspect
import shlex
from collections import deque
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeVar

from msgspec import Struct

from actors.errors import ConfigError
from actors.simulators.base.parameters import Parameter, nearest, parameters_of, read, takes

P = ParamSpec("P")
R = TypeVar("R")

FOREVER = 1 << 62  # times: until heal()

# Parameters that many faults have.
Times = Annotated[int, "how many of them"]
TimesOrAll = Annotated[int, "how many of them; 0: all, until heal()"]
Status = Annotated[int, "HTTP status"]
RetryAfter = Annotated[float, "seconds, sent as Retry-After; 0: no such header"]
Code = Annotated[int, "the venue's code of the error"]
Text = Annotated[str, "of the error"]
New = Annotated[bool, "also connections that are made later, until heal()"]

_MARK = "__fault__"
_TRIGGERS: Mapping[str, Any] = {"after": int, "every": float}


class Fault(Struct, frozen=True):
    """A fault to come: which, with what, and when.

    At once, or once `after` so many more messages were sent, or `every` so many seconds.
    """

    name: str
    arguments: Mapping[str, Any] = {}
    after: int = 0  # messages
    every: float = 0.0  # seconds

    def __str__(self) -> str:
        words = {**self.arguments, **{key: getattr(self, key) for key in _TRIGGERS if getattr(self, key)}}
        return " ".join([self.name, *(f"{key}={shlex.quote(str(value))}" for key, value in words.items())])


class FaultKind(Struct, frozen=True):
    """One row of the table of faults."""

    name: str
    parameters: tuple[Parameter, ...]
    meaning: str

    def __str__(self) -> str:
        """As `--fault` takes it; a parameter without a default must be given."""
        return " ".join([self.name, *map(str, self.parameters)])


class PendingFaults:
    """What faults have left behind, by name and by what it is about. Under the simulator's lock.

    Each entry holds for so many times; the oldest is first.
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[str, ...], deque[tuple[int, Any]]] = {}

    def __bool__(self) -> bool:
        """Whether there may be any."""
        return bool(self._entries)

    def add(self, *about: str, times: int = FOREVER, what: Any = True) -> None:
        if times > 0:
            self._entries.setdefault(about, deque()).append((times, what))

    def set(self, *about: str, times: int = FOREVER, what: Any = True) -> None:
        """The only entry of its name from now on."""
        self._entries.pop(about, None)
        self.add(*about, times=times, what=what)

    def get(self, *about: str) -> Any:
        """What holds now; None: nothing does."""
        entries = self._entries.get(about)
        return entries[0][1] if entries else None

    def take(self, *about: str) -> Any:
        """The same, and one of its times is over."""
        entries = self._entries.get(about)
        if not entries:
            return None
        times, what = entries.popleft()
        if times > 1:
            entries.appendleft((times - 1, what))
        return what

    def clear(self) -> None:
        self._entries.clear()


def fault(method: Callable[P, R]) -> Callable[P, R]:
    """Marks a simulator's method as a fault, so that `--fault "NAME key=value"` finds it.

    It runs under the simulator's lock. Its docstring and its annotations are what `--list-faults` shows:
    `n: Annotated[int, "how many of them"] = 1`.

    Raises:
        TypeError: a parameter has no annotation, so nothing says how a text of it is read.
    """
    untyped = [
        name
        for name, each in inspect.signature(method).parameters.items()
        if name != "self" and each.annotation is inspect.Parameter.empty
    ]
    if untyped:
        name = untyped[0]
        raise TypeError(f"fault {method.__name__}: {name} needs an annotation, such as {name}: int")

    @wraps(method)
    def play(*args: P.args, **named: P.kwargs) -> R:
        simulator: Any = args[0]
        with simulator._lock:
            return method(*args, **named)

    setattr(play, _MARK, True)
    return play


def waiting(method: Callable[P, object]) -> Callable[P, None]:
    """Marks a fault that happens the next `n` times: its method returns what is taken then; None: True.

    Raises:
        TypeError: it has no parameter `n`, or one without an annotation.
    """
    signature = inspect.signature(method)
    if "n" not in signature.parameters:
        raise TypeError(f"fault {method.__name__}: needs a parameter n, such as n: int = 1")

    @fault
    @wraps(method)
    def add(*args: P.args, **named: P.kwargs) -> None:
        bound = signature.bind(*args, **named)
        bound.apply_defaults()
        what = method(*args, **named)
        pending: PendingFaults = bound.arguments["self"].pending
        pending.add(method.__name__, times=bound.arguments["n"], what=True if what is None else what)

    return add


def faults_of(simulator: type) -> dict[str, Callable[..., Any]]:
    """The faults that this simulator can play, by name."""
    members = inspect.getmembers(simulator, callable)
    return {name: method for name, method in members if getattr(method, _MARK, False)}


def table_of(simulator: type) -> list[FaultKind]:
    """The faults that this simulator can play, as people read them, sorted by name."""
    return [
        FaultKind(name, tuple(parameters_of(method)), _meaning(method))
        for name, method in sorted(faults_of(simulator).items())
    ]


def _meaning(method: Callable[..., Any]) -> str:
    """Its docstring in one line, without what it raises."""
    return " ".join((method.__doc__ or "").partition("Raises:")[0].split())


def parse(text: str, simulator: type) -> Fault:
    """The fault that a text like `"refuse status=429 retry_after=2 n=3"` asks for.

    Raises:
        ConfigError: it asks for something that `simulator` cannot do; the nearest name is given.
    """
    where = f"fault {text!r}"
    try:
        name, *words = shlex.split(text) or [""]
    except ValueError as error:
        raise ConfigError([f"{where}: {str(error).lower()}."]) from None
    known = faults_of(simulator)
    if name not in known:
        raise ConfigError([f"{where}: there is no fault {name!r}{nearest(name, known)}"])
    pairs = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            names = [each.name for each in parameters_of(known[name])]
            raise ConfigError([f"{where}: {word!r} is not key=value; it {takes([*names, *_TRIGGERS])}."])
        pairs.append((key, value))
    arguments = read(where, known[name], pairs, _TRIGGERS)
    after, every = arguments.pop("after", 0), arguments.pop("every", 0.0)
    for key, wrong in (("after", after < 0), ("every", not 0 <= every < float("inf"))):
        if wrong:
            raise ConfigError([f"{where}: {key} is above 0."])
    if after and every:
        raise ConfigError([f"{where}: either after (messages) or every (seconds), not both."])
    return Fault(name, arguments, after, every)
