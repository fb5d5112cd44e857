"""Who is connected to Alpaca, and who of them watches what."""

from __future__ import annotations

from collections.abc import Iterable

from actors.simulators.alpaca.connections import ClientConnection, Subscriptions
from actors.simulators.alpaca.endpoints import FOLLOWING_TRADES, Kind
from actors.simulators.base.client import Peer

Listeners = list[tuple[Peer, ClientConnection]]


class Audience:
    """The connections, and their subscriptions the other way round."""

    def __init__(self) -> None:
        self.lines: dict[Peer, ClientConnection] = {}
        self._watching: dict[tuple[Kind, str, str], dict[Peer, None]] = {}  # by kind, channel, symbol

    def subscribe(self, peer: Peer, line: ClientConnection, wanted: Subscriptions) -> None:
        """These are the subscriptions of a connection from now on."""
        for channel in {*line.subscriptions, *wanted}:
            old, new = line.subscriptions.get(channel, {}), wanted.get(channel, {})
            for symbol in old.keys() - new.keys():
                key = (line.endpoint.kind, channel, symbol)
                self._watching[key].pop(peer, None)
                if not self._watching[key]:
                    del self._watching[key]
            for symbol in new.keys() - old.keys():
                self._watching.setdefault((line.endpoint.kind, channel, symbol), {})[peer] = None
        line.subscriptions = wanted

    def of(self, kind: Kind, channel: str, symbols: Iterable[str]) -> Listeners:
        """Who watches any of these symbols or all, each of them once."""
        followed = "trades" if channel in FOLLOWING_TRADES else channel
        peers: dict[Peer, None] = {}
        for symbol in (*symbols, "*"):
            peers |= self._watching.get((kind, followed, symbol), {})
        return [(peer, self.lines[peer]) for peer in peers]

    def count(self, channel: str, symbol: str) -> int:
        """How many watch this very symbol."""
        followed = "trades" if channel in FOLLOWING_TRADES else channel
        return sum(len(peers) for key, peers in self._watching.items() if key[1:] == (followed, symbol))

    def watched(self) -> list[tuple[Kind, str]]:
        """The kinds and symbols that somebody watches."""
        return [(kind, symbol) for kind, _, symbol in self._watching]

    def on_data(self) -> Listeners:
        return [(peer, line) for peer, line in self.lines.items() if line.endpoint.kind != "account"]

    def on_account(self) -> Listeners:
        return [(peer, line) for peer, line in self.lines.items() if line.endpoint.kind == "account"]
