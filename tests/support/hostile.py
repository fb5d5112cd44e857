"""Values that a venue, a client or a program may bring, and that no view may obey or fail at."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from msgspec import Struct, structs

TEXTS = (
    "\x1b]0;title\x07\x1b[2J\x1b[31mFORGED\x1b[0m\r\n2026-01-01T00:00:00.000Z ERROR   a row",
    "\x00\x07\x08\x7f\x85\x9b31m\x9d0;t\x9c",
    "gnp.\u202eexe\u2066\u2069\u200b\u200d\u2060\ufeff\u00ad\u061c\u2028\u2029",
    "\U000e0041\U000e007f\ud800\udfff",
    "<script>alert(1)</script>&amp;\"'$x$ [bold]{}%s%n",
    "long " * 1_000,
    "",
)
NUMBERS = (
    10**400,
    -(10**400),
    Decimal("9" * 400),
    Decimal("1E+999999"),
    Decimal("-1E-999999"),
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("-Infinity"),
    Decimal(0),
    float("nan"),
    float("inf"),
)
# Of Unicode's controls, format characters, surrogates and separators of rows. \n alone makes a row.
CONTROL = frozenset(
    char
    for char in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and char not in "\n"
)


class NoText:
    """An object of a program or a venue whose text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("\x1b[31mno text")

    __repr__ = __str__


def nested(depth: int = 100_000) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


ODD = (NoText(), {"a": NoText()}, nested(), {"\x1b": "\ud800"}, b"\x1b\x9b")

S = TypeVar("S", bound=Struct)


def poisoned(value: S, text: str, number: Any = None) -> S:
    """The same with this text in each field for a text and this number in each for a `Number`, however deep.

    Names of states stay: they are Linewarden's own. A mapping with texts as its keys gets them in its keys.
    """
    hints = get_type_hints(type(value))
    fields = {
        name: _poisoned(getattr(value, name), hints[name], text, number) for name in value.__struct_fields__
    }
    return structs.replace(value, **fields)


def _poisoned(value: Any, hint: Any, text: str, number: Any) -> Any:
    kinds = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
    if isinstance(value, Struct):
        return poisoned(value, text, number)
    if isinstance(value, str):
        is_name = any(get_origin(kind) is Literal for kind in kinds)
        return value if is_name or str not in kinds else text
    if Decimal in kinds and number is not None and not isinstance(value, NoneType):
        return number
    if isinstance(value, tuple):
        of = get_args(next((kind for kind in kinds if get_origin(kind) is tuple), tuple[Any, ...]))
        return tuple(_poisoned(each, of[0], text, number) for each in value)
    if isinstance(value, Mapping):
        _, of_values = get_args(next(kind for kind in kinds if get_origin(kind) is not None))
        return {
            f"{name}{text[:100]}": _poisoned(each, of_values, text, number) for name, each in value.items()
        }
    return value


def controls(shown: str) -> set[str]:
    """The characters of a shown text that a terminal may obey or that are not seen."""
    return {ascii(char) for char in CONTROL.intersection(shown)}
