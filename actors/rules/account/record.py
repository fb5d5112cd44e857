"""What an account has: its rows and the sums of its fills, changed by the stream and by REST."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from actors.protocol.accounts import AccountBalance, AccountOrder, AccountPosition, AccountRow, Fill
from actors.rules.account.differences import is_excused
from actors.rules.account.kept import NEVER, KeptRows
from actors.rules.account.rows import Key, is_older, is_same, key_of, merged
from actors.rules.account.sums import FillSums
from actors.rules.account.view import AccountEvent, AccountSource

OVERLAP_NS: Final = 60 * 1_000_000_000  # a fill may bear a time of before the session
STREAM: Final[AccountSource] = "stream"


class AccountRecord:
    """One thread at a time. `since_ns`: when the session began, wall clock, nanoseconds."""

    def __init__(self, since_ns: int) -> None:
        self.rows = KeptRows()
        self.sums = FillSums(since_ns)
        self.changed = NEVER  # when the stream last changed an order, a position or a fill; monotonic seconds
        self._moved: dict[str, float] = {}  # by contract: when the stream last told of its position or a fill
        self._fills: tuple[Fill, ...] | None = None
        self._withdrawn: set[Key] = set()  # fills that REST did not list, and that were told as voided

    # ── the stream ──

    def tell(self, row: AccountRow, now: float, now_ns: int) -> AccountEvent | None:
        """Takes a row of the stream, and returns what changed; None: nothing that a program could see.

        A row of an earlier time at the venue changes nothing, nor does one that was told before.
        """
        key = key_of(row)
        known = self.rows.get(key)
        if known is None and self.rows.is_forgotten(key) and not _is_voided(row):
            return None
        if known is not None and is_older(row, known):
            return None
        if isinstance(row, AccountPosition | Fill):
            self._moved[row.contract] = now
        before = self._put(merged(known, row), now)
        after = self.rows.get(key)
        if after is None or (before is not None and is_same(after, before)) or _is_nothing(after, before):
            return None
        if not isinstance(row, AccountBalance):
            self.changed = now
        if key in self._withdrawn:
            self._withdrawn.remove(key)
            if _is_voided(row):
                return None
        return AccountEvent(after, STREAM, now_ns, before)

    def heard(self, key: Key) -> float:
        """Returns when the stream last told of a key; of a sum: of the position or a fill of its contract."""
        kind, name = key
        return self._moved.get(str(name), NEVER) if kind == "sum" else self.rows.heard(key)

    def is_quiet(self, contract: str, asked: float, since: float) -> bool:
        """Whether a snapshot that was asked for then shows position and fills of a contract together.

        `since`: when the subscription was confirmed.
        """
        return not is_excused(self._moved.get(contract, NEVER), asked, since)

    # ── REST ──

    def adopt(self, row: AccountRow, source: AccountSource, now_ns: int) -> AccountEvent:
        """Takes a row over from REST, as it is."""
        before = self._put(row)
        self._withdrawn.discard(key_of(row))
        return AccountEvent(row, source, now_ns, before)

    def refine(self, row: AccountRow) -> None:
        """Takes over what REST tells in more detail of a row that it does not contradict."""
        known = self.rows.get(key_of(row))
        if known is not None:
            self._put(merged(known, row))

    def withdraw(self, fill: Fill, source: AccountSource, now_ns: int) -> AccountEvent:
        """REST counts, and does not list this fill: it is voided, and is new if it is listed again."""
        voided = structs.replace(fill, voided=True)
        self.sums.count(voided, fill)
        self.rows.remove(key_of(fill))
        self._withdrawn.add(key_of(fill))
        self._fills = None
        return AccountEvent(voided, source, now_ns, fill)

    # ── what it is ──

    def nets(self) -> dict[str, int | None]:
        """Returns the signed positions, by contract."""
        return {row.contract: row.net for row in self.rows.positions()}

    def contradictions(self) -> dict[str, str]:
        """Returns a sentence for each contract whose fills do not add up to its position."""
        return self.sums.contradictions(self.nets())

    def open_positions(self) -> tuple[AccountPosition, ...]:
        """Returns those that are not flat, or of which that is not known."""
        return tuple(
            sorted((row for row in self.rows.positions() if row.net != 0), key=lambda row: row.contract)
        )

    def working(self) -> tuple[AccountOrder, ...]:
        """Returns orders that have not ended, or of which that is not known."""
        return tuple(self.rows.working())

    def fills(self) -> tuple[Fill, ...]:
        """Returns the fills of the session that count, oldest first."""
        if self._fills is None:
            since = self.sums.since_ns
            rows = (row for row in self.rows.fills() if not row.voided and (row.at_ns or since) >= since)
            self._fills = tuple(sorted(rows, key=lambda row: (row.at_ns or 0, row.id)))
        return self._fills

    def is_busy(self) -> bool:
        """Whether there is a working order or an open position, or fills that a position lacks."""
        is_open = any(row.net != 0 for row in self.rows.positions())
        return is_open or any(True for _ in self.rows.working()) or bool(self.contradictions())

    def begin_session(self, since_ns: int) -> None:
        """Fills and orders that ended before count no longer."""
        self.sums.forget(self.rows.forget_before(since_ns))
        self.sums.begin_session(since_ns, tuple(self.rows.fills()))
        self._fills = None

    def _put(self, row: AccountRow, heard: float = NEVER) -> AccountRow | None:
        was_forgotten = self.rows.is_forgotten(key_of(row))
        before = self.rows.put(row, heard)
        if isinstance(row, Fill):
            self._fills = None
            if before is None and (was_forgotten or self._is_undone_later(row)):
                self.sums.void_forgotten(row)
            self.sums.count(row, before if isinstance(before, Fill) else None)
        self.sums.forget(self.rows.make_room())
        return before

    def _is_undone_later(self, fill: Fill) -> bool:
        """A fill of an earlier session: no list shows it, and the position had it from the beginning."""
        at_ns = fill.at_ns
        return fill.voided and at_ns is not None and at_ns < self.sums.since_ns - OVERLAP_NS


def _is_voided(row: AccountRow) -> bool:
    return isinstance(row, Fill) and row.voided


def _is_nothing(row: AccountRow, before: AccountRow | None) -> bool:
    """A position of 0 where none was."""
    return isinstance(row, AccountPosition) and row.net == 0 and before is None
