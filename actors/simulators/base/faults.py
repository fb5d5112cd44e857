"""Misbehaviour by name: one spelling in Python and as text, `"drop every=5"`.

A simulator marks the methods that are faults with `@fault`. What a text may say is read off their
signatures, so the two cannot part.
"""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from actors.errors import ConfigError

Method = TypeVar("Method", bound=Callable[..., Any])

_MARK = "__fault__"
_TRIGGERS: Mapping[str, Any] = {"after": int, "every": float}
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


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


def fault(method: Method) -> Method:
    """Marks a simulator's method as a fault, so that `--fault "NAME key=value"` finds it."""
    setattr(method, _MARK, True)
    return method


def faults_of(simulator: type) -> dict[str, Callable[..., Any]]:
    """The faults that this simulator can play, by name."""
    members = inspect.getmembers(simulator, callable)
    return {name: method for name, method in members if getattr(method, _MARK, False)}


def described(simulator: type) -> list[tuple[str, str]]:
    """Each fault of this simulator as `--fault` takes it, and what it does."""
    return [
        (f"{name} {_written(method)}".rstrip(), inspect.cleandoc(method.__doc__ or "").partition("\n")[0])
        for name, method in sorted(faults_of(simulator).items())
    ]


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
            raise ConfigError([f"{where}: {word!r} is not key=value; it {_takes(known[name])}."])
        pairs.append((key, value))
    arguments = read(where, known[name], pairs, _TRIGGERS)
    after, every = arguments.pop("after", 0), arguments.pop("every", 0.0)
    for key, wrong in (("after", after < 0), ("every", not 0 <= every < float("inf"))):
        if wrong:
            raise ConfigError([f"{where}: {key} is above 0."])
    if after and every:
        raise ConfigError([f"{where}: either after (messages) or every (seconds), not both."])
    return Fault(name, arguments, after, every)


def read(
    where: str,
    function: Callable[..., Any],
    pairs: Iterable[tuple[str, str]],
    extra: Mapping[str, Any] = {},
) -> dict[str, Any]:
    """The arguments of `function`, out of text; `extra` are more names with their types.

    Raises:
        ConfigError: each pair that does not fit, and each argument that is missing.
    """
    hints = get_type_hints(function)
    parameters = _parameters(function)
    types = {name: hints[name] for name in parameters if _kind(hints[name])} | dict(extra)
    arguments: dict[str, Any] = {}
    problems = []
    for key, value in pairs:
        if key not in types:
            near = get_close_matches(key, types, 1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            problems.append(f"{where}: no {key!r} here{hint} It {_takes(function, extra)}.")
        elif key in arguments:
            problems.append(f"{where}: {key} is given twice.")
        else:
            try:
                arguments[key] = msgspec.convert(value, types[key], strict=False)
            except msgspec.ValidationError:
                problems.append(f"{where}: {key} takes {_kind(types[key])}, not {value!r}.")
    given = {key for key, _ in pairs}
    problems += [
        f"{where}: {name} is missing; it takes {_kind(types[name])}."
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty and name not in given
    ]
    if problems:
        raise ConfigError(problems)
    return arguments


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence: `; did you mean 'mute'?` or, where nothing is near, what there is."""
    names = sorted(known)
    near = get_close_matches(name, names, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there is {', '.join(names)}."


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    simple = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = inspect.signature(function).parameters
    return {name: each for name, each in found.items() if each.kind in simple and name != "self"}


def _written(function: Callable[..., Any]) -> str:
    """`status n=1`: a parameter without a default has to be given."""
    return " ".join(
        name if each.default is each.empty else f"{name}={shlex.quote(str(each.default))}"
        for name, each in _parameters(function).items()
    )


def _takes(function: Callable[..., Any], extra: Mapping[str, Any] = _TRIGGERS) -> str:
    return f"takes {', '.join([*_parameters(function), *extra]) or 'nothing'}"


def _kind(type_: Any) -> str:
    """What a value of this type looks like in a text; nothing where it cannot be one."""
    if get_origin(type_) is Literal:
        return " or ".join(map(str, get_args(type_)))
    return _WORDS.get(type_, "")
