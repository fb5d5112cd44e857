"""Where something stands in a message, and whether a message is one of a kind.

A path is written as programs write it: `arg.channel`, `data[0].s`, `[-1]`, `channels[*].product_ids[*]`. A
name with other characters than letters, digits, `_`, `-`, `$` and `@` stands in quotes: `"a.b".c`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Final, Literal

from msgspec import Struct


class Nothing:
    """What stands where nothing stands; JSON's null is something else."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Nothing()
ALL: Final = None  # the step `[*]`
Step = str | int | None

_STEP = re.compile(r'\.?(?:([A-Za-z0-9_$@-]+)|"([^"]+)")|\[(-?[0-9]{1,6}|\*)\]')


class Path(Struct, frozen=True, dict=True):
    """Steps from the whole message to a place in it."""

    expected: ClassVar[str] = "a path such as data.symbol or data[*].symbol"

    text: str
    steps: tuple[Step, ...]

    @classmethod
    def parse(cls, text: object) -> Path:
        """Raises: ValueError: it is no path; in words."""
        if not isinstance(text, str):
            raise ValueError(f"expected {cls.expected}, as text")  # noqa: TRY004
        steps: list[Step] = []
        at = 0
        while at < len(text):
            found = _STEP.match(text, at)
            # A name follows a point, but for the first.
            if found is None or (found[3] is None and (text[at] == ".") == (at == 0)):
                raise ValueError(f"expected {cls.expected}; this is not one from character {at + 1} on")
            steps.append(found[1] or found[2] or (ALL if found[3] == "*" else int(found[3])))
            at = found.end()
        if not steps:
            raise ValueError(f"expected {cls.expected}, not an empty one")
        return cls(text, tuple(steps))

    @cached_property
    def get(self) -> Getter:
        """Takes all steps, from the whole message on."""
        return getter(self.steps)

    @property
    def wildcards(self) -> int:
        return self.steps.count(ALL)

    def through_wildcards(self) -> tuple[Step, ...]:
        """The steps up to the last `[*]`."""
        last = max((number for number, step in enumerate(self.steps, 1) if step is ALL), default=0)
        return self.steps[:last]


Getter = Callable[[Any], Any]


def getter(steps: Sequence[Step]) -> Getter:
    """A function that takes these steps, without wildcards; MISSING where they lead nowhere."""
    if all(isinstance(step, str) for step in steps):
        match steps:
            case ():
                return lambda node: node
            case (name,):

                def one(node: Any) -> Any:
                    return node.get(name, MISSING) if type(node) is dict else MISSING

                return one
            case (first, second):

                def two(node: Any) -> Any:
                    try:
                        return node[first][second]
                    except (KeyError, TypeError, IndexError):
                        return MISSING

                return two

    def walk(node: Any) -> Any:
        for step in steps:
            # A text can be indexed too, but is no list.
            if type(node) is not (list if type(step) is int else dict):
                return MISSING
            try:
                node = node[step]  # type: ignore[index]
            except (KeyError, IndexError):
                return MISSING
        return node

    return walk


class Spot(Struct, frozen=True):
    """A path as seen from the elements of a list: how many wildcards out it begins, and the rest."""

    level: int
    get: Getter
    path: Path

    def of(self, nodes: Sequence[Any]) -> Any:
        return self.get(nodes[self.level])


def spot(path: Path, each: Path | None) -> Spot:
    """Raises: ValueError: its wildcards are not those of `each`."""
    head = path.through_wildcards()
    if head and (each is None or each.steps[: len(head)] != head):
        begin = "each is not given" if each is None else f"it begins otherwise than each ({each.text})"
        raise ValueError(f"[*] means each of several, and {begin}")
    return Spot(path.wildcards, getter(path.steps[len(head) :]), path)


class Each:
    """The elements of a list, or of lists in lists."""

    def __init__(self, path: Path) -> None:
        self._ways: list[Getter] = []  # to each of the lists, from the element around it
        steps: list[Step] = []
        for step in path.steps:
            if step is ALL:
                self._ways.append(getter(steps))
                steps = []
            else:
                steps.append(step)

    def of(self, message: Any) -> list[tuple[Any, ...]] | None:
        """For each element: the nodes behind each wildcard on the way, from the whole message on.

        None: somewhere on the way there is no list.
        """
        if len(self._ways) == 1:
            inner = self._ways[0](message)
            return [(message, element) for element in inner] if type(inner) is list else None
        found: list[tuple[Any, ...]] = [(message,)]
        for way in self._ways:
            deeper: list[tuple[Any, ...]] = []
            for nodes in found:
                inner = way(nodes[-1])
                if type(inner) is not list:
                    return None
                deeper += [(*nodes, element) for element in inner]
            found = deeper
        return found


# ── conditions ──────────────────────────────────────────────────────────────────────────────────

Test = Callable[[Any], bool]
Scalar = str | int | bool
Expectation = frozenset[Scalar] | Literal["any", "none"]


class Condition(Struct, frozen=True, dict=True):
    """What a message must hold: at each path one of some values, anything, or nothing.

    A text instead of a table means a message that is nothing but this text, and no JSON.
    """

    expected: ClassVar[str] = 'a table such as { type = "trade" }, or text'

    tests: tuple[tuple[Path, Expectation], ...] = ()
    text: str | None = None

    @classmethod
    def parse(cls, raw: object) -> Condition:
        """Raises: ValueError: it is none; in words."""
        if isinstance(raw, str):
            return cls(text=raw)
        if not isinstance(raw, Mapping) or not raw:
            raise ValueError(f"expected {cls.expected}")
        return cls(tuple(_tests("", raw)))

    @cached_property
    def fits(self) -> Test:
        """Whether a message that is JSON holds all of it."""
        if self.text is not None:
            return lambda _: False  # those are looked for before anything is decoded
        tests = [_test(path, wanted) for path, wanted in self.tests]
        match tests:
            case [only]:
                return only
            case [first, second]:
                return lambda message: first(message) and second(message)
        return lambda message: all(test(message) for test in tests)


def _tests(before: str, raw: Mapping[str, object]) -> list[tuple[Path, Expectation]]:
    found: list[tuple[Path, Expectation]] = []
    for name, value in raw.items():
        glue = "." if before and not name.startswith("[") else ""
        text = f"{before}{glue}{name}"
        if isinstance(value, Mapping):
            found += _tests(text, value)
            continue
        path = Path.parse(text)
        if path.wildcards:
            raise ValueError(f"{text}: a condition is of the whole message, and takes no [*]")
        found.append((path, _expectation(text, value)))
    return found


def _expectation(text: str, value: object) -> Expectation:
    if value == "{any}":
        return "any"
    if value == "{none}":
        return "none"
    values = value if isinstance(value, list) else [value]
    kinds = {type(each) for each in values}
    if not values or not kinds <= {str, int, bool} or (bool in kinds and len(kinds) > 1):
        raise ValueError(
            f'{text}: expected text, a whole number, true, false, a list of them, "{{any}}" or "{{none}}"'
        )
    return frozenset(values)


def _test(path: Path, wanted: Expectation) -> Test:
    get = path.get
    if wanted == "any":
        return _is_there(path)
    if wanted == "none":
        return lambda message: (found := get(message)) is MISSING or found is None
    kinds = {type(each) for each in wanted}  # 1 and true are equal to Python
    if kinds != {str}:
        return lambda message: type(found := get(message)) in kinds and found in wanted
    if len(wanted) == 1:
        (only,) = wanted
        return lambda message: bool(get(message) == only)
    return lambda message: type(found := get(message)) is str and found in wanted


def _is_there(path: Path) -> Test:
    """A test that is in nearly every table, for each message: without the getter where that is short."""
    get = path.get
    match path.steps:
        case (str(name),):
            return lambda message: type(message) is dict and message.get(name) is not None
        case (str(first), str(second)):
            return lambda message: (
                type(message) is dict
                and type(inner := message.get(first)) is dict
                and inner.get(second) is not None
            )
    return lambda message: (found := get(message)) is not MISSING and found is not None
