"""The numbers of a bar while they are made: of prints, or of several bars. Exact, whatever their size."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import MAX_EMAX, MIN_EMIN, Context
from typing import Final

from actors.protocol.bars import Bar, Print

# More digits than numbers from the wire can have; the context of a thread would round to 28.
EXACT: Final = Context(prec=2_000, Emax=MAX_EMAX, Emin=MIN_EMIN)
_plus, _minus = EXACT.add, EXACT.subtract


class Made:
    """What was traded in a stretch of time. Of prints at one time the later one to come is the later one."""

    __slots__ = ("close", "closed_at", "high", "low", "open", "opened_at", "trades", "volume")

    def __init__(self, first: Print) -> None:
        self.open = self.high = self.low = self.close = first.price
        self.opened_at = self.closed_at = first.at_ns
        self.volume = first.size
        self.trades: int | None = 1

    def add(self, print: Print) -> None:
        """One more print, late or not."""
        at_ns, price = print.at_ns, print.price
        if at_ns >= self.closed_at:
            self.closed_at, self.close = at_ns, price
        elif at_ns < self.opened_at:
            self.opened_at, self.open = at_ns, price
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.volume = _plus(self.volume, print.size)
        if self.trades is not None:
            self.trades += 1

    def take_out(self, print: Print) -> bool:
        """One print less; returns whether the rest is known: it was neither an end nor an extreme."""
        self.volume = _minus(self.volume, print.size)
        if self.trades is not None:
            self.trades -= 1
        return self.low < print.price < self.high and self.opened_at < print.at_ns < self.closed_at

    def join(self, other: Made) -> None:
        """The numbers of another stretch as well. Its prints are not among these."""
        if other.closed_at >= self.closed_at:
            self.closed_at, self.close = other.closed_at, other.close
        if other.opened_at < self.opened_at:
            self.opened_at, self.open = other.opened_at, other.open
        self.high, self.low = max(self.high, other.high), min(self.low, other.low)
        self.volume = _plus(self.volume, other.volume)
        both_told = self.trades is not None and other.trades is not None
        self.trades = (self.trades or 0) + (other.trades or 0) if both_told else None

    def is_as(self, bar: Bar) -> bool:
        """Whether it has the numbers of this bar."""
        mine = self.open, self.high, self.low, self.close, self.volume
        return mine == (bar.open, bar.high, bar.low, bar.close, bar.volume)

    def bar(self, start_ns: int, end_ns: int, *, exact: bool, complete: bool) -> Bar:
        """The bar of this stretch."""
        prices = self.open, self.high, self.low, self.close
        return Bar(start_ns, end_ns, *prices, self.volume, self.trades, exact, complete)


def made_of_bar(bar: Bar, end_ns: int) -> Made:
    """Returns the numbers of a bar of the venue's."""
    made = Made(Print(bar.open, bar.volume, bar.start_ns))
    made.high, made.low, made.close = bar.high, bar.low, bar.close
    made.closed_at, made.trades = end_ns - 1, bar.trades
    return made


def made_of(prints: Iterable[Print]) -> Made | None:
    """Returns the numbers of prints in the order in which they came; None: there are none."""
    made: Made | None = None
    for each in prints:
        if made is None:
            made = Made(each)
        else:
            made.add(each)
    return made


def joined(parts: Iterable[Made]) -> Made | None:
    """Returns the numbers of all these, which are not changed; None: there are none."""
    made: Made | None = None
    for each in parts:
        if made is None:
            made = _copy(each)
        else:
            made.join(each)
    return made


def _copy(other: Made) -> Made:
    made = Made.__new__(Made)
    for name in Made.__slots__:
        setattr(made, name, getattr(other, name))
    return made
