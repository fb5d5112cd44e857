"""Why a service cannot be reached, before a client words it with its address."""

from __future__ import annotations


class UnreachableError(Exception):
    """`why`: a clause. `advice`: sentences; empty: those for a service that is not there.

    `is_absent`: no process listens there.
    """

    def __init__(self, why: str, advice: str = "", *, is_absent: bool = False) -> None:
        self.why, self.advice, self.is_absent = why, advice, is_absent
        super().__init__(why)
