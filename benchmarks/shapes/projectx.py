"""ProjectX: one print or one quote a message, its number in `volume`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from actors.simulators import SimulatedProjectX
from actors.simulators.signalr import framing
from benchmarks.clients.feeds import Subscription
from benchmarks.shapes.shape import Shape

TICK = Decimal("0.25")


class Gateway(SimulatedProjectX):
    """Frames that are made elsewhere are the market hub's: nobody else is to hear them."""

    def send_frame(self, frame: bytes) -> None:
        with self._lock:
            for caller in self._in("market"):
                caller.peer.tell(frame)


class OfMarket(Shape[Gateway]):
    channel: ClassVar[str]

    def __init__(self, topics: int) -> None:
        keys = [f"CON.F.US.EP{number or ''}.Z26" for number in range(topics)]
        super().__init__(Gateway(rate=0, market=False, snapshots=False, contracts=keys), keys)

    def place(self) -> Mapping[str, Any]:
        hubs = {hub: self.venue.hub_url(hub) for hub in self.venue.hubs}
        return {"url": self.venue.url, "keys": self.keys, "token": self.venue.token(), **hubs}

    def wants(self, url: str) -> Subscription:
        feed = {"venue": "projectx", "url": url, "token": self.venue.token()}
        return Subscription(feed, self.channel, "volume")

    def subscribers(self, key: str) -> int:
        return self.venue.subscribers(self.channel, key)


class ProjectXTrades(OfMarket):
    name: ClassVar[str] = "projectx"
    channel: ClassVar[str] = "trades"

    def payload(self, number: int) -> bytes:
        trade = {
            "symbolId": "F.US.EP",
            "price": _price(number),
            "timestamp": _time(number),
            "type": number % 2,
            "volume": number,
        }
        return framing.invocation("GatewayTrade", [self.key(number), [trade]])


class ProjectXQuotes(OfMarket):
    name: ClassVar[str] = "projectx-quotes"
    channel: ClassVar[str] = "quotes"

    def payload(self, number: int) -> bytes:
        last, at = _price(number), _time(number)
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
        return framing.invocation("GatewayQuote", [self.key(number), quote])


SHAPES = (ProjectXTrades, ProjectXQuotes)


def _price(number: int) -> Decimal:
    return Decimal("6800.00") + number * 7_919 % 400 * TICK


def _time(number: int) -> str:
    minute, second = divmod(number // 1_000, 60)
    return f"2026-09-21T14:{minute % 60:02}:{second:02}.{number % 1_000:03}0000+00:00"
