"""The messages of a round trip, and how one is read that came back."""

from __future__ import annotations

import msgspec
from msgspec import Struct


class Echoed(Struct, frozen=True, gc=False):
    n: int


_decode = msgspec.json.Decoder(Echoed).decode


def message(number: int, size: int) -> str:
    """JSON of so many bytes that bears this number."""
    head = f'{{"to":"all","n":{number},"pad":"'
    return f'{head}{"x" * (size - len(head) - 2)}"}}'


def number_of(payload: bytes | memoryview) -> int:
    return _decode(payload).n
