"""How often a client of the service may do something within a minute. `now` is monotonic seconds."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

PERIOD: Final = 60.0  # seconds within which it is counted
CLIENTS: Final = 1_000  # that are remembered


class ClientRate:
    """`most`: times of each client within `PERIOD`. One thread at a time."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._clients: dict[str, deque[float]] = {}

    def count(self, client: str, now: float) -> int:
        """0: it may, and has been counted. Else the whole seconds until it may again."""
        times = self._clients.pop(client, None) or deque()
        self._clients[client] = times  # the order is that of their last time
        if len(self._clients) > CLIENTS:
            del self._clients[next(iter(self._clients))]
        while times and times[0] <= now - PERIOD:
            times.popleft()
        if len(times) < self.most:
            times.append(now)
            return 0
        return math.ceil(times[0] + PERIOD - now)
