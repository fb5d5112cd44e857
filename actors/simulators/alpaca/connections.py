"""What Alpaca knows of its connections: endpoint, key and subscriptions of each."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct, field

from actors.simulators.alpaca import endpoints
from actors.simulators.alpaca.endpoints import Kind, Plan, StreamEndpoint
from actors.simulators.alpaca.payloads import Codec
from actors.simulators.base.client import Peer, RequestRefused
from actors.simulators.base.connections import Groups

Subscriptions = dict[str, dict[str, None]]  # symbols, in the order in which they came, by channel
Keys = tuple[str, str]  # key and secret

# Alpaca, "Errors": what each code says.
ERRORS: Mapping[int, str] = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    408: "v2 not enabled",
    409: "insufficient subscription",
    410: "invalid subscribe action for this feed",
    411: "insufficient scope",
    412: "option messages are only available in MsgPack format",
    413: "star subscription is not allowed for option quotes",
    500: "internal error",
}


class Client(Struct, eq=False):
    """One connection."""

    peer: Peer
    endpoint: StreamEndpoint
    codec: Codec
    key: str = ""  # whose it is, once it is logged in
    tried: bool = False  # to log in
    subscriptions: Subscriptions = field(default_factory=dict)

    @property
    def acknowledged(self) -> dict[str, Any]:
        """The whole state, as each acknowledgement has it; the channels that it lacks are not named."""
        has = {channel: list(self.subscriptions.get(channel, ())) for channel in self.endpoint.channels}
        if not has.get(endpoints.UNNAMED):
            has.pop(endpoints.UNNAMED, None)
        if self.endpoint.kind == "stocks":
            has |= dict.fromkeys(endpoints.FOLLOWING_TRADES, has["trades"])
        return {"T": "subscription", **has}

    def after(
        self, asked: Mapping[str, Any], plan: Plan, symbols: int, rejects: Callable[[str], bool]
    ) -> Subscriptions:
        """The subscriptions as they would be. Raises RequestRefused; then nothing has changed."""
        wanted = {channel: dict(symbols) for channel, symbols in self.subscriptions.items()}
        adding, stocks = asked["action"] == "subscribe", self.endpoint.kind == "stocks"
        for channel, named in asked.items():
            if channel == "action" or (stocks and channel in endpoints.FOLLOWING_TRADES):
                continue
            self._check(channel, named, rejects)
            listed = wanted.setdefault(channel, {})
            for symbol in named:
                if adding:
                    listed[symbol] = None
                else:
                    listed.pop(symbol, None)
        if adding and endpoints.too_many(self.endpoint.kind, plan, symbols, wanted):
            raise RequestRefused(405)
        return wanted

    def _check(self, channel: str, named: Any, rejects: Callable[[str], bool]) -> None:
        kind = self.endpoint.kind
        if not isinstance(named, list):
            raise RequestRefused(400)
        if named and (channel not in self.endpoint.channels or rejects(channel)):
            raise RequestRefused(410)
        if kind == "options" and channel == "quotes" and "*" in named:
            raise RequestRefused(413)
        for symbol in named:
            if not isinstance(symbol, str) or not endpoints.well_formed(kind, symbol) or rejects(symbol):
                raise RequestRefused(400)


class Connections:
    """All connections, and their subscriptions the other way round."""

    def __init__(self) -> None:
        self.lines: dict[Peer, Client] = {}
        self._watching: Groups[tuple[Kind, str, str], Client] = Groups()

    def subscribe(self, line: Client, wanted: Subscriptions) -> None:
        """These are the subscriptions of a connection from now on."""
        for channel in dict.fromkeys((*line.subscriptions, *wanted)):
            old, new = line.subscriptions.get(channel, {}), wanted.get(channel, {})
            for symbol in old.keys() - new.keys():
                self._watching.leave((line.endpoint.kind, channel, symbol), line)
            for symbol in new.keys() - old.keys():
                self._watching.join((line.endpoint.kind, channel, symbol), line)
        line.subscriptions = wanted

    def of(self, kind: Kind, channel: str, symbols: Iterable[str]) -> list[Client]:
        """The connections that watch any of these symbols or all, each of them once."""
        followed = "trades" if channel in endpoints.FOLLOWING_TRADES else channel
        groups = [(kind, followed, symbol) for symbol in (*symbols, "*")]
        return list(dict.fromkeys(line for group in groups for line in self._watching.of(group)))

    def count(self, channel: str, symbol: str) -> int:
        """How many watch this very symbol."""
        followed = "trades" if channel in endpoints.FOLLOWING_TRADES else channel
        return sum(self._watching.count(key) for key in self._watching if key[1:] == (followed, symbol))

    def watched(self) -> list[tuple[Kind, str]]:
        """The kinds and symbols that have subscribers."""
        return [(kind, symbol) for kind, _, symbol in self._watching]

    def on_data(self) -> list[Client]:
        return [line for line in self.lines.values() if line.endpoint.kind != "account"]

    def on_account(self) -> list[Client]:
        return [line for line in self.lines.values() if line.endpoint.kind == "account"]


def error(code: int, message: str = "") -> dict[str, Any]:
    return {"T": "error", "code": code, "msg": message or ERRORS.get(code, "unknown error")}


def keys_of(headers: Mapping[str, str]) -> Keys | None:
    """The keys that a request has; None: it has none."""
    if "apca-api-key-id" in headers:
        return headers["apca-api-key-id"], headers.get("apca-api-secret-key", "")
    if "authorization" not in headers:
        return None
    # Alpaca's page of the Broker API leaves the word Basic out; whether it may be there is not known.
    encoded = headers["authorization"].removeprefix("Basic ")
    try:
        key, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return key, secret
