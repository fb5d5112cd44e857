"""What the hubs push, and how they are asked for it: the gateway's tables of methods and events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from actors.protocol import Topic
from actors.protocol.signalr import Call, HubSubscription
from actors.venues.projectx import messages as m
from actors.venues.projectx.normalise import EventReader, FoundEvent
from actors.venues.projectx.platforms import Hub

LOGOUT: Final = "gatewaylogout"  # on both hubs; the gateway does not document it


class Cleared(Struct, frozen=True, rename="camel"):
    """A reset, which has no use for a price."""

    type: m.DomType
    symbol_id: str | None = None
    timestamp: str | None = None


class DepthReader(EventReader[m.Depth]):
    """Reads changes of a book, and its resets."""

    def __init__(self) -> None:
        super().__init__(m.Depth, m.check_depth)
        self._cleared = EventReader(Cleared)

    def read(self, found: FoundEvent) -> Any:
        try:
            entry: m.Depth | Cleared = super().read(found)
        except ValueError:
            entry = self._cleared.read(found)
            if entry.type is not m.DomType.RESET:
                raise
        return entry


class HubMethods(Struct, frozen=True):
    """One kind of push. `method` is what follows on Subscribe and Unsubscribe."""

    channel: str
    hub: Hub
    target: str
    method: str
    reader: EventReader[Any]
    keyed: bool = True

    def subscription(self, topic: Topic) -> HubSubscription:
        """Blocking calls: a hub that is not asked for an answer refuses in silence."""
        arguments = self._arguments(topic)
        return HubSubscription(
            Call(f"Subscribe{self.method}", arguments), Call(f"Unsubscribe{self.method}", arguments)
        )

    def _arguments(self, topic: Topic) -> tuple[Any, ...]:
        """An account's id is an integer: a text fails to bind at the hub."""
        if not self.keyed:
            return ()
        return (topic.key,) if self.hub == "market" else (int(topic.key),)


_EVERY: Final = (
    HubMethods("accounts", "user", "GatewayUserAccount", "Accounts", EventReader(m.Account), keyed=False),
    HubMethods("positions", "user", "GatewayUserPosition", "Positions", EventReader(m.Position)),
    HubMethods("orders", "user", "GatewayUserOrder", "Orders", EventReader(m.Order)),
    HubMethods("account_trades", "user", "GatewayUserTrade", "Trades", EventReader(m.AccountTrade)),
    HubMethods("quotes", "market", "GatewayQuote", "ContractQuotes", EventReader(m.SparseQuote)),
    HubMethods("trades", "market", "GatewayTrade", "ContractTrades", EventReader(m.Trade)),
    HubMethods("depth", "market", "GatewayDepth", "ContractMarketDepth", DepthReader()),
)
STREAMS: Final[Mapping[str, HubMethods]] = {stream.channel: stream for stream in _EVERY}
# In lower case: the JavaScript client of SignalR takes targets in any, and so do we.
BY_TARGET: Final[Mapping[str, HubMethods]] = {stream.target.lower(): stream for stream in _EVERY}
