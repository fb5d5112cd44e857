"""Templates: text and JSON with places to fill, and the way back from a filled one.

`{key}` takes a value, `{key|lower}` a changed one, `${api_key}` one of the feed's own keys in the config;
`{{` and `}}` are the braces themselves. A text that is nothing but one place takes the value as it is: a
number stays a number, a list a list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from actors.venues.declarative.path import MISSING

FILTERS: Mapping[str, Callable[[Any], Any]] = {
    "lower": lambda value: str(value).lower(),
    "upper": lambda value: str(value).upper(),
    "text": str,
    "number": int,
}

_PIECE = re.compile(r"\{\{|\}\}|(?:\$(?!\{\{))?\{[^{}]*\}?|\}")
_NAME = r'[A-Za-z_][A-Za-z0-9_.\[\]*"-]*'
_SLOT = re.compile(rf"(\$?)\{{({_NAME})((?:\|[a-z]+)*)\}}")


class MistakeError(ValueError):
    """Something in a template is wrong; `inside` is the path to it."""

    def __init__(self, text: str, inside: str = "") -> None:
        super().__init__(text)
        self.inside = inside


class Slot(Struct, frozen=True):
    """A place to fill. The names of a feed's own keys begin with `$`."""

    name: str
    filters: tuple[str, ...] = ()

    def filled(self, values: Mapping[str, Any]) -> Any:
        value = values.get(self.name, MISSING)
        if value is not MISSING:
            for name in self.filters:
                value = FILTERS[name](value)
        return value


class Text(Struct, frozen=True):
    """A text with places to fill."""

    expected: ClassVar[str] = "text, such as {key}@trade"

    source: str
    parts: tuple[str | Slot, ...]

    @classmethod
    def parse(cls, source: object) -> Text:
        """Raises: ValueError: it is none; in words."""
        if not isinstance(source, str):
            raise MistakeError(f"expected {cls.expected}")
        parts: list[str | Slot] = []
        at = 0
        for found in _PIECE.finditer(source):
            parts.append(source[at : found.start()])
            piece = found.group()
            parts.append(piece[0] if piece in {"{{", "}}"} else _slot(piece))
            at = found.end()
        parts.append(source[at:])
        return cls(source, tuple(_joined(parts)))

    @property
    def slots(self) -> set[str]:
        return {part.name for part in self.parts if isinstance(part, Slot)}

    def render(self, values: Mapping[str, Any]) -> Any:
        """The text; MISSING if there is no value for a place."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Slot):
            return self.parts[0].filled(values)
        texts = [part if isinstance(part, str) else part.filled(values) for part in self.parts]
        if MISSING in texts:
            return MISSING
        return "".join(map(str, texts))

    def pattern(self, allowed: Mapping[str, Collection[str] | None]) -> re.Pattern[str]:
        """What matches the rendered text, with a group `_name` for each place; None: any text."""
        seen: set[str] = set()
        pieces = []
        for part in self.parts:
            if isinstance(part, str):
                pieces.append(re.escape(part))
            elif part.name in seen:
                pieces.append(f"(?i:(?P=_{part.name}))")
            else:
                seen.add(part.name)
                values = allowed.get(part.name)
                body = (
                    "|".join(re.escape(v) for v in sorted(values, key=len, reverse=True)) if values else ".+?"
                )
                flag = "i" if set(part.filters) & {"lower", "upper"} else ""
                pieces.append(f"(?P<_{part.name}>(?{flag}:{body}))")
        return re.compile("".join(pieces), re.DOTALL)


def _slot(piece: str) -> Slot:
    found = _SLOT.fullmatch(piece)
    if found is None:
        raise MistakeError("expected places such as {key} or {key|lower}, and {{ or }} for a brace")
    filters = tuple(found[3].split("|")[1:])
    for name in filters:
        if name not in FILTERS:
            raise MistakeError(f"there is no {name!r} after |; expected one of: {', '.join(FILTERS)}")
    return Slot(found[1] + found[2], filters)


def _joined(parts: list[str | Slot]) -> list[str | Slot]:
    """Texts side by side become one; empty ones are left out."""
    joined: list[str | Slot] = []
    for part in parts:
        if joined and isinstance(part, str) and isinstance(joined[-1], str):
            joined[-1] += part
        elif part:
            joined.append(part)
    return joined


# ── JSON ────────────────────────────────────────────────────────────────────────────────────────

Node = Any  # Text, dict, list, int, float, bool
DEPTH = 32


class Template(Struct, frozen=True):
    """A frame with places to fill: a text, sent as it is, or JSON.

    A member of JSON that has no value (an option that the channel does not have) is left out.
    """

    expected: ClassVar[str] = 'a table such as { op = "subscribe", args = "{topics}" }, or text'

    node: Node

    @classmethod
    def parse(cls, raw: object) -> Template:
        """Raises: MistakeError: in words, with the path inside."""
        if not isinstance(raw, str | Mapping | list):
            raise MistakeError(f"expected {cls.expected}")
        return cls(_node(raw, ""))

    @property
    def slots(self) -> set[str]:
        return {name for name, _ in self.places()}

    def places(self) -> Iterator[tuple[str, str]]:
        """Each place to fill, and the path inside to where it stands."""
        yield from _slots(self.node, "")

    def value(self, values: Mapping[str, Any]) -> Any:
        """What it comes to, not yet as a frame; MISSING if it has no value."""
        return _rendered(self.node, values)

    def render(self, values: Mapping[str, Any]) -> str:
        """The frame."""
        rendered = _rendered(self.node, values)
        if isinstance(self.node, Text):
            return "" if rendered is MISSING else str(rendered)
        return msgspec.json.encode(rendered).decode()


def _node(raw: object, inside: str, depth: int = 0) -> Node:
    if depth > DEPTH:
        raise MistakeError("it is nested too deeply", inside)
    if isinstance(raw, str):
        try:
            return Text.parse(raw)
        except MistakeError as error:
            raise MistakeError(str(error), inside) from None
    if isinstance(raw, Mapping):
        return {name: _node(value, f"{inside}.{name}", depth + 1) for name, value in raw.items()}
    if isinstance(raw, list):
        return [_node(value, f"{inside}[{number}]", depth + 1) for number, value in enumerate(raw)]
    if isinstance(raw, int | float):
        return raw
    raise MistakeError("expected text, numbers, true, false, lists and tables", inside)


def _slots(node: Node, inside: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, Text):
        yield from ((name, inside) for name in sorted(node.slots))
    elif isinstance(node, dict):
        for name, inner in node.items():
            yield from _slots(inner, f"{inside}.{name}")
    elif isinstance(node, list):
        for number, inner in enumerate(node):
            yield from _slots(inner, f"{inside}[{number}]")


def _rendered(node: Node, values: Mapping[str, Any]) -> Any:
    if isinstance(node, Text):
        return node.render(values)
    if isinstance(node, dict):
        members = {name: _rendered(inner, values) for name, inner in node.items()}
        return {name: value for name, value in members.items() if value is not MISSING}
    if isinstance(node, list):
        return [value for inner in node if (value := _rendered(inner, values)) is not MISSING]
    return node
