"""What the hubs push, and how they are asked for it: the gateway's tables of methods and events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct, ValidationError

from actors.protocol import Topic
from actors.protocol.signalr import Call, Subscription
from actors.venues.projectx import messages as m
from actors.venues.projectx.normalise import Found, Reader
from actors.venues.projectx.platforms import Hub

LOGOUT: Final = "gatewaylogout"  # on both hubs; the gateway does not document it


class Cleared(Struct, frozen=True, rename="camel"):
    """A reset, which has no use for a price."""

    type: m.DomType
    symbol_id: str | None = None
    timestamp: str | None = None


class DepthReader(Reader[m.Depth]):
    """Reads changes of a book, and its resets."""

    def __init__(self) -> None:
        super().__init__(m.Depth)
        self._cleared = Reader(Cleared)

    def read(self, found: Found) -> Any:
        try:
            entry: m.Depth | Cleared = super().read(found)
        except ValidationError:
            entry = self._cleared.read(found)
            if entry.type is not m.DomType.RESET:
                raise
        return entry


class Stream(Struct, frozen=True):
    """One kind of push. `method` is what follows on Subscribe and Unsubscribe."""

    channel: str
    hub: Hub
    target: str
    method: str
    reader: Reader[Any]
    keyed: bool = True

    def read(self, found: Found) -> Any:
        """Raises: an exception of any kind: it is no such thing."""
        return self.reader.read(found)

    def subscription(self, topic: Topic) -> Subscription:
        """Blocking calls: a hub that is not asked for an answer refuses in silence."""
        arguments = self._arguments(topic)
        return Subscription(
            Call(f"Subscribe{self.method}", arguments), Call(f"Unsubscribe{self.method}", arguments)
        )

    def _arguments(self, topic: Topic) -> tuple[Any, ...]:
        """An account's id is an integer: a text fails to bind at the hub."""
        if not self.keyed:
            return ()
        return (topic.key,) if self.hub == "market" else (int(topic.key),)


_EVERY: Final = (
    Stream("accounts", "user", "GatewayUserAccount", "Accounts", Reader(m.Account), keyed=False),
    Stream("positions", "user", "GatewayUserPosition", "Positions", Reader(m.Position)),
    Stream("orders", "user", "GatewayUserOrder", "Orders", Reader(m.Order)),
    Stream("account_trades", "user", "GatewayUserTrade", "Trades", Reader(m.AccountTrade)),
    Stream("quotes", "market", "GatewayQuote", "ContractQuotes", Reader(m.SparseQuote)),
    Stream("trades", "market", "GatewayTrade", "ContractTrades", Reader(m.Trade)),
    Stream("depth", "market", "GatewayDepth", "ContractMarketDepth", DepthReader()),
)
STREAMS: Final[Mapping[str, Stream]] = {stream.channel: stream for stream in _EVERY}
# In lower case: the JavaScript client of SignalR takes targets in any, and so do we.
BY_TARGET: Final[Mapping[str, Stream]] = {stream.target.lower(): stream for stream in _EVERY}
