"""ProjectX: one `GatewayQuote` a message, its number in `volume`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

from actors.simulators import SimulatedProjectX
from actors.simulators.signalr import records
from benchmarks.shapes.shape import Shape

CONTRACT = "CON.F.US.EP.Z26"
TICK = Decimal("0.25")


class Gateway(SimulatedProjectX):
    """Frames that are made elsewhere are the market hub's: nobody else is to hear them."""

    def send_frame(self, frame: bytes) -> None:
        with self._lock:
            for caller in self._in("market"):
                caller.peer.tell(frame)


class ProjectXQuotes(Shape[Gateway]):
    name: ClassVar[str] = "projectx"

    def __init__(self) -> None:
        super().__init__(Gateway(rate=0, snapshots=False))

    def address(self) -> Mapping[str, str]:
        hubs = {hub: self.venue.hub_url(hub) for hub in self.venue.hubs}
        return {"url": self.venue.url, "key": CONTRACT, "token": self.venue.token(), **hubs}

    def listeners(self) -> int:
        return self.venue.subscribers("quotes", CONTRACT)

    def payload(self, number: int) -> bytes:
        last = Decimal("6800.00") + number * 7_919 % 400 * TICK
        at = f"2026-09-21T14:{number // 60_000 % 60:02}:{number // 1_000 % 60:02}.{number % 1_000:03}0000+00:00"
        quote = {
            "symbol": "F.US.EP",
            "symbolName": "/ES",
            "lastPrice": last,
            "bestBid": last - TICK,
            "bestAsk": last + TICK,
            "change": last - Decimal("6750.00"),
            "changePercent": Decimal("0.0074"),
            "open": Decimal("6755.25"),
            "high": Decimal("6899.75"),
            "low": Decimal("6790.50"),
            "volume": number,
            "lastUpdated": at,
            "timestamp": at,
        }
        return records.invocation("GatewayQuote", [CONTRACT, quote])
