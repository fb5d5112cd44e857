"""Why a service cannot be reached, before a client words it with its address."""

from __future__ import annotations


class UnreachableError(Exception):
    """`why`: a clause. `advice`: sentences; empty: those for a service that is not there."""

    def __init__(self, why: str, advice: str = "") -> None:
        self.why, self.advice = why, advice
        super().__init__(why)
