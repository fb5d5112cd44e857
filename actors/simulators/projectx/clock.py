"""The venue's clock, which may differ from ours."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime


class VenueClock:
    """`ahead`: seconds by which it differs from ours."""

    def __init__(self, ahead: float = 0.0) -> None:
        self._ahead_ns = int(ahead * 1e9)
        self._ahead = timedelta(seconds=ahead)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def stamp(self) -> str:
        """Now, as rows have it: seven fractional digits, as .NET writes it."""
        ns = time.time_ns() + self._ahead_ns
        second = datetime.fromtimestamp(ns // 10**9, UTC)
        return f"{second:%Y-%m-%dT%H:%M:%S}.{ns % 10**9 // 100:07d}+00:00"

    def date(self) -> str:
        """Now, as the Date header of an answer has it."""
        return format_datetime(self.now(), usegmt=True)
