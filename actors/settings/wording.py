"""Words for what a config holds and should hold: types, values, names."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct, structs

from actors.secret import Secret

BARE = re.compile(r"[A-Za-z0-9_-]+\Z")  # a key that TOML takes without quotes

LISTS = (list, tuple, set, frozenset)
WORDS: Mapping[Any, str] = {
    str: "text",
    Secret: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


def expected(kind: Any) -> str:
    """What a value of this type is, in words for people."""
    origin, arguments = get_origin(kind), get_args(kind)
    words = WORDS.get(kind) or str(getattr(kind, "__name__", kind))
    if isinstance(said := getattr(kind, "expected", None), str):  # a type that says it itself
        return said
    if origin is Annotated:
        described = [meta.description for meta in arguments[1:] if isinstance(meta, Meta)]
        words = next(filter(None, described), "") or expected(arguments[0])
    elif origin in (Union, UnionType):
        words = " or ".join(expected(each) for each in arguments if each is not NoneType)
    elif origin is Literal:
        words = "one of: " + ", ".join(json.dumps(each) for each in arguments)
    elif kind in LISTS or origin in LISTS:
        words = f"a list, each of it {expected(arguments[0])}" if arguments else "a list"
    elif (origin or kind) is dict or (isinstance(kind, type) and issubclass(kind, Struct)):
        words = "a table"
    return words


def found(value: object, kind: Any = None) -> str:
    """What a value is. Texts are never repeated: they may be secret."""
    match value:
        case bool():
            words = "true" if value else "false"
        case int() | float() if holds_secret(kind):
            words = "a number"
        case int() if abs(value) >= 10**20:
            words = "a very large number"
        case int() | float():
            words = repr(value)
        case str() if plain(kind) in (int, float, bool):
            words = "text (numbers, true and false stand without quotes)"
        case str():
            words = "text"
        case None:
            words = "None"
        case Mapping():
            words = "a table"
        case list() | tuple():
            odd = [each for each in value if not _fits(each, kind)]
            words = f"a list that contains {found(odd[0])}" if odd else "a list"
        case _:
            words = f"a {type(value).__name__}"
    return words


def _fits(item: object, kind: Any) -> bool:
    """Whether this is an item of such a list; also of what is no list."""
    whole = plain(kind)
    if get_origin(whole) not in LISTS:
        return True
    try:
        msgspec.convert(item, get_args(whole)[0])
    except msgspec.ValidationError:
        return False
    return True


def plain(kind: Any) -> Any:
    """The type itself, without its bounds and without None."""
    if get_origin(kind) is Annotated:
        return plain(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        rest = [each for each in get_args(kind) if each is not NoneType]
        return plain(rest[0]) if len(rest) == 1 else kind
    return kind


def holds_secret(kind: Any) -> bool:
    return kind is Secret or any(holds_secret(each) for each in get_args(kind))


def nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name.lower(), list(known), 1)
    return near[0] if near else ""


def suggested(name: str, known: Collection[str]) -> str:
    if near := nearest(name, known):
        return f"; did you mean {near!r}?"
    return f"; expected one of: {', '.join(sorted(known))}"


def longer(name: str, known: Collection[str]) -> str:
    """Keys of this table that end with the word, such as `ping_interval` for `interval`; empty: none does."""
    found = sorted(key for key in known if key.endswith(f"_{name}"))
    return f"; did you mean {' or '.join(map(repr, found))}?" if found else ""


def keys_of(kind: type) -> set[str]:
    return {field.encode_name for field in structs.fields(kind)}


def has_key(raw: object, key: str) -> bool:
    return isinstance(raw, Mapping) and key in raw


def key_name(name: str) -> str:
    """As TOML would write it."""
    return name if BARE.match(name) else json.dumps(name)


def sentence(file: str, where: str, key: str, text: str) -> str:
    """`desk.toml: [feeds.a] keys: expected text.`"""
    key = key_name(key) if key else ""
    place = f"{where} {key}".strip() if where else f"[{key}]" if key else ""
    end = "" if text.endswith(("?", ".")) else "."
    return ": ".join(part for part in (file, place, text) if part) + end
