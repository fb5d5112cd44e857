"""For how long a program has been blind to an account, and when that has lasted too long."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

Account = int | None  # None: of all accounts of the feed


class LongBlind(Struct, frozen=True):
    """An account that has been blind for too long; `text` says what is missing."""

    account: Account
    seconds: float
    text: str


class BlindTimes:
    """Since when each account of one feed is blind. One thread at a time. Times are monotonic seconds."""

    def __init__(self, after: float) -> None:
        self._after = after
        self._since: dict[Account, float] = {}
        self._told: set[Account] = set()

    def look(self, blind: Mapping[Account, str], now: float) -> tuple[LongBlind, ...]:
        """Takes the accounts that are blind now, and why. Returns those that have been so for too long.

        Each is returned once for as long as it stays blind.
        """
        self._since = {account: self._since.get(account, now) for account in blind}
        self._told &= blind.keys()
        found = tuple(
            LongBlind(account, now - since, blind[account])
            for account, since in self._since.items()
            if now - since >= self._after and account not in self._told
        )
        self._told |= {each.account for each in found}
        return found
