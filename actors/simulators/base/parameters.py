"""Parameters that a text can give: in a `sim://` URL, in a `--fault`, as an option of `linewarden sim`.

They are read off a signature: of a settings Struct, or of a method that is a fault. `Annotated` says in
words what a parameter means, and in which unit.
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

Key = TypeVar("Key")
Value = TypeVar("Value")

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


class Parameter(Struct, frozen=True):
    """One parameter, as people read it."""

    name: str
    kind: str  # how its text looks, such as "a number"; empty: Python alone can give it
    default: str | None  # as a text; None: it must be given
    meaning: str  # with its unit

    @property
    def described(self) -> str:
        """Its meaning, and how a text of it looks."""
        return f"{self.meaning} ({self.kind})" if self.meaning else self.kind

    def __str__(self) -> str:
        return self.name if self.default is None else f"{self.name}={shlex.quote(self.default)}"


def parameters_of(function: Callable[..., Any]) -> list[Parameter]:
    """The parameters of a function or of a Struct, in their order."""
    types, described = get_type_hints(function), get_type_hints(function, include_extras=True)
    return [
        Parameter(
            name,
            _kind(types[name]),
            _text(each.default),
            " ".join(getattr(described[name], "__metadata__", ())),
        )
        for name, each in _signature(function).items()
    ]


def read(
    where: str,
    function: Callable[..., Any],
    pairs: Iterable[tuple[str, Any]],
    extra: Mapping[str, Any] = {},
    *,
    texts: bool = True,
) -> dict[str, Any]:
    """The arguments of `function` out of pairs of name and value; `extra` are more names with their types.

    Values are texts or, without `texts`, Python's own.

    Raises:
        ConfigError: each pair that does not fit, and each argument that is missing.
    """
    hints = get_type_hints(function)
    parameters = _signature(function)
    types = {name: hints[name] for name in parameters if _kind(hints[name]) or not texts} | dict(extra)
    arguments: dict[str, Any] = {}
    problems, given = [], set()
    for key, value in pairs:
        given.add(key)
        if key not in types:
            near = get_close_matches(key, types, 1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            problems.append(f"{where}: no {key!r} here{hint} It {takes(types)}.")
        elif key in arguments:
            problems.append(f"{where}: {key} is given twice.")
        else:
            try:
                arguments[key] = msgspec.convert(value, types[key], strict=not texts)
            except msgspec.ValidationError:
                kind = _kind(types[key]) or types[key]
                problems.append(f"{where}: {key} takes {kind}, not {value!r}.")
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


def one_of(known: Mapping[Key, Value], key: Key, noun: str) -> Value:
    """What is known by this key. Raises ValueError where nothing is."""
    if key not in known:
        raise ValueError(f"there is no {noun} {key!r}; there is {', '.join(map(str, known))}")
    return known[key]


def takes(names: Iterable[str]) -> str:
    return f"takes {', '.join(names) or 'nothing'}"


def _signature(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    simple = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = inspect.signature(function).parameters
    return {name: each for name, each in found.items() if each.kind in simple and name != "self"}


def _text(default: Any) -> str | None:
    if default is inspect.Parameter.empty:
        return None
    return str(default).lower() if isinstance(default, bool) else str(default)


def _kind(type_: Any) -> str:
    """How a text of this type looks; empty where no text can be one."""
    if get_origin(type_) is Literal:
        return " or ".join(str(each) or "''" for each in get_args(type_))
    return _WORDS.get(type_, "")
