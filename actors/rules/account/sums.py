"""Fills, each counted once: what they have made in money, and whether they add up to the positions.

The position before the first counted fill of a contract is its base. It is found from the first snapshots, as
the position less the fills, and stands from then on; a contract that they did not show has the base 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Final

from msgspec import structs

from actors.protocol.accounts import Fill

ZERO: Final = Decimal(0)


def made(fill: Fill) -> Decimal:
    """Returns what a fill made: its profit less fees and commissions. A fill that opens has costs only."""
    if fill.voided:
        return ZERO
    return (fill.profit or ZERO) - (fill.fees or ZERO) - (fill.commissions or ZERO)


class FillSums:
    """`since_ns`: fills from then on count in `realised`; wall clock, nanoseconds."""

    def __init__(self, since_ns: int) -> None:
        self.since_ns = since_ns
        self.realised = ZERO
        self._moved: Counter[str] = Counter()  # by contract: bought less sold
        self._untold: Counter[str] = Counter()  # fills without a side or a size
        self.start_over()

    def start_over(self) -> None:
        """Forgets the bases: the next snapshots show them."""
        self._bases: dict[str, int] = {}
        self._open: set[str] = set()  # contracts whose base is not known
        self._is_closed = False

    # ── fills ──

    def count(self, fill: Fill, before: Fill | None = None) -> None:
        """Counts a fill; `before` is what was counted of it, as before it was voided."""
        if before is not None:
            self._add(before, -1)
        self._add(fill, 1)

    def void_forgotten(self, fill: Fill) -> None:
        """Takes out a fill that is no longer kept, and is told again because it is voided."""
        was = structs.replace(fill, voided=False)
        self._shift(fill.contract, None if was.signed is None else -was.signed)
        if self._is_of_session(fill):
            self.realised -= made(was)

    def forget(self, fills: Collection[Fill]) -> None:
        """These are not kept any longer; they are in the base from now on, and in `realised`."""
        for fill in fills:
            signed = fill.signed
            self._shift(fill.contract, signed)
            if signed is None:
                self._untold[fill.contract] -= 1
            else:
                self._moved[fill.contract] -= signed

    def begin_session(self, since_ns: int, kept: Collection[Fill]) -> None:
        """`realised` counts from there on: of the fills that are kept."""
        self.since_ns = since_ns
        self.realised = sum((made(fill) for fill in kept if self._is_of_session(fill)), ZERO)

    # ── positions ──

    def learn(self, nets: Mapping[str, int | None], is_quiet: Callable[[str], bool]) -> bool:
        """Takes the bases from a snapshot, and returns whether that changed one.

        `is_quiet`: whether the stream told nothing of the contract while the snapshot was asked for. What is
        not quiet is left for a later one.
        """
        changed = False
        for contract in sorted({*nets, *self._moved, *self._open} if not self._is_closed else self._open):
            net = nets.get(contract, 0)
            if net is None or self._untold[contract] or not is_quiet(contract):
                self._open.add(contract)
                continue
            self._open.discard(contract)
            base = net - self._moved[contract]
            changed = changed or self._bases.get(contract, 0) != base
            self._bases[contract] = base
        return changed

    def close(self) -> None:
        """Two snapshots agree: the bases stand."""
        self._is_closed = True

    def expected(self, contract: str) -> int | None:
        """Returns the position that base and fills make; None: it cannot be told."""
        if not self._is_closed or contract in self._open or self._untold[contract]:
            return None
        return self._bases.get(contract, 0) + self._moved[contract]

    def contradictions(self, nets: Mapping[str, int | None]) -> dict[str, str]:
        """Returns a sentence for each contract whose fills do not add up to its position."""
        told = {}
        for contract in sorted({*nets, *self._moved, *self._bases}):
            net, expected = nets.get(contract, 0), self.expected(contract)
            if net is not None and expected is not None and net != expected:
                told[contract] = f"the fills of {contract} make {expected:+d}, and its position is {net:+d}"
        return told

    def open_contracts(self) -> tuple[str, ...]:
        """Returns the contracts whose fills cannot be compared with a position."""
        untold = {contract for contract, number in self._untold.items() if number}
        return tuple(sorted(self._open | untold))

    def _add(self, fill: Fill, sign: int) -> None:
        signed = fill.signed
        if signed is None:
            self._untold[fill.contract] += sign
        else:
            self._moved[fill.contract] += sign * signed
        if self._is_of_session(fill):
            self.realised += sign * made(fill)

    def _shift(self, contract: str, by: int | None) -> None:
        """The base of a contract changes; None: by how much is not known."""
        if by is None:
            self._open.add(contract)
        elif self._is_closed and contract not in self._open:
            self._bases[contract] = self._bases.get(contract, 0) + by

    def _is_of_session(self, fill: Fill) -> bool:
        return fill.at_ns is None or fill.at_ns >= self.since_ns
