"""From the arguments of a push to one thing after the other, whatever shape they came in.

Documented are `[thing]` on the user hub and `[contract, thing]` on the market hub. Clients have met,
and here are read: `{"action": 1, "data": thing}`, lists of either, several arguments, `data` that is a
list, and nulls in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from actors.venues.projectx.messages import check

T = TypeVar("T", bound=Struct)

DEEPEST = 8  # lists and envelopes within each other

elements_of = msgspec.json.Decoder(list[Raw]).decode
_keys = msgspec.json.Decoder(dict[str, Raw]).decode
_text = msgspec.json.Decoder(str).decode


class PushEnvelope(Struct, frozen=True, gc=False):
    data: Raw | UnsetType = UNSET
    action: Any = None


_envelope = msgspec.json.Decoder(PushEnvelope).decode


class FoundEvent(Struct, frozen=True):
    """One thing, and the number that its envelope bore."""

    raw: Raw
    action: int | None = None


class EventReader(Generic[T]):
    """Reads things of one type. Where it must, not strictly: `"123"` is read as the integer 123."""

    def __init__(self, kind: type[T], check: Callable[[T], None] = check) -> None:
        self._check = check
        self._decode: Callable[[Raw], T] = msgspec.json.Decoder(kind).decode
        self._decode_loosely: Callable[[Raw], T] = msgspec.json.Decoder(kind, strict=False).decode
        names = [field.encode_name for field in msgspec.structs.fields(kind)]
        self._own = frozenset(names) - {"data", "action"}

    def read(self, found: FoundEvent) -> T:
        """Raises: ValueError: it is no such thing, or a number in it is out of all bounds."""
        try:
            thing = self._decode(found.raw)
        except msgspec.ValidationError:
            thing = self._decode_loosely(found.raw)
        self._check(thing)
        return thing

    def find(self, arguments: Iterable[Raw]) -> list[FoundEvent]:
        """All things in these arguments, in order; nulls are nothing.

        Raises: ValueError: they are nested beyond all sense.
        """
        return list(self._find(arguments, None, DEEPEST))

    def _find(self, pieces: Iterable[Raw], action: int | None, deeper: int) -> Iterator[FoundEvent]:
        if not deeper:
            raise ValueError("lists within lists, and no end")
        for raw in pieces:
            first = bytes(memoryview(raw)[:1])
            if first == b"[":
                yield from self._find(elements_of(raw), action, deeper - 1)
            elif first == b"{" and (inner := self._opened(raw)) is not None:
                told = inner.action if type(inner.action) is int else action
                yield from self._find([inner.data], told, deeper - 1)  # type: ignore[list-item]
            elif first != b"n":
                yield FoundEvent(raw, action)

    def _opened(self, raw: Raw) -> PushEnvelope | None:
        """None: it is a thing itself."""
        envelope = _envelope(raw)
        if envelope.data is UNSET or bytes(memoryview(envelope.data)[:1]) not in (b"[", b"{"):
            return None
        return None if self._own & _keys(raw).keys() else envelope


def contract_of(arguments: list[Raw]) -> str:
    """Raises: ValueError: the first argument names no contract."""
    if not arguments:
        raise ValueError("a push of the market hub without arguments")
    return _text(arguments[0])
