"""Bounds of numbers that a venue sends: what lies beyond costs time and memory wherever it is used.

JSON sets no bound to a number. `1e999999999` is a `Decimal` of a few bytes, and an `int` of 400 MB.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, Underflow
from typing import Any

MOST_DIGITS = 400  # of a `Decimal`, and the largest exponent of ten
LAST_NS = 2**63  # nanoseconds since 1970: the year 2262

_traps: Any = [Inexact, InvalidOperation, Overflow, Underflow]
_context = Context(prec=MOST_DIGITS, Emax=MOST_DIGITS, Emin=-MOST_DIGITS, traps=_traps)

# The text as a `Decimal`. An ArithmeticError is raised if it has too many digits or too large an exponent.
exact_decimal: Callable[[str], Decimal] = _context.create_decimal


def is_bounded(number: Decimal) -> bool:
    """Whether it is finite, with as many digits and such an exponent as `exact_decimal` allows."""
    if not number.is_finite():
        return False
    return len(number.as_tuple().digits) <= MOST_DIGITS and abs(number.adjusted()) <= MOST_DIGITS


def known_time(at_ns: int | None) -> int | None:
    """The same; None if it is no time of this or the last centuries."""
    return at_ns if at_ns is not None and -LAST_NS < at_ns < LAST_NS else None
