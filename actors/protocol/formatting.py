"""Events in words: numbers and ids in a form that people read quickly."""

from __future__ import annotations

import math
from collections.abc import Collection
from decimal import Decimal
from difflib import get_close_matches

from actors.protocol.prices import Number, Price

DIGITS = 40  # of a number that are shown in full
KEY = 16  # characters of a key that are shown in full


def amount(number: Number) -> str:
    """Returns the number with about three digits: 80M, 5.54T, 0.25."""
    try:
        value, units = float(number), ["", "k", "M", "B", "T"]
    except (OverflowError, ValueError):  # too large for one, or a signalling NaN
        value = math.inf
    if not math.isfinite(value):
        return _scientific(number)
    while abs(value) >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return (f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}") + units[0]


def exact(number: Number) -> str:
    """Returns all digits of the number, or its first ones and its size if it has very many."""
    if isinstance(number, int) and abs(number) >= 10**DIGITS:
        return _scientific(number)
    text = f"{number:,}"
    return text if len(text) <= 2 * DIGITS else _scientific(number)


def _scientific(number: Number) -> str:
    return f"{Decimal(number):.3g}"


def suggestion(word: str, known: Collection[str]) -> str:
    """Returns the end of a sentence about an unknown word: `; did you mean 'depth'?`, or a full stop."""
    near = get_close_matches(word, known, 1)
    return f"; did you mean {near[0]!r}?" if near else "."


def short(key: str) -> str:
    """Returns a long id as its two ends: `0x1234…cdef`."""
    return key if len(key) <= KEY else f"{key[:6]}…{key[-4:]}"


def counted(number: int, noun: str) -> str:
    """Returns `1 gap`, `1,200 gaps`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def price_words(price: Price) -> str:
    """Returns a price in words: `bid 99 × 5M · ask 101 × 70`, `40 at 12,000`."""
    sides = (("bid", price.bid, price.bid_size), ("ask", price.ask, price.ask_size))
    parts = [at(level, size, f"{side} ") for side, level, size in sides if level is not None]
    if price.last is not None:
        size = f"{amount(price.last_size)} at " if price.last_size is not None else "last "
        parts.append(f"{size}{exact(price.last)}")
    return " · ".join(parts)


def at(price: Number, size: Number | None, before: str = "") -> str:
    return f"{before}{exact(price)}" + (f" × {amount(size)}" if size is not None else "")
