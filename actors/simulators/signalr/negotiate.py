"""How clients come to a hub: ids that negotiation gives out, and what it may answer instead."""

from __future__ import annotations

import secrets
import time
from typing import Any

from msgspec import Struct

from actors.simulators.base.client import HttpReply, Request
from actors.simulators.signalr.framing import encode

_NEWEST = 1  # of the versions of negotiation
_UNKNOWN = b"No Connection with that ID"
_FORMATS: dict[str, list[str]] = {
    "WebSockets": ["Text", "Binary"],
    "ServerSentEvents": ["Text"],
    "LongPolling": ["Text", "Binary"],
}


class Ticket(Struct):
    """A connection that was negotiated."""

    id: str
    token: str  # what the upgrade has to show
    hub: str
    until: float  # monotonic: unused, it is forgotten then
    used: bool = False
    over: bool = False


class Doorway:
    """The ids that are known. No clock but the monotonic, no socket."""

    def __init__(self, life: float, transports: str) -> None:
        self.life = life  # seconds
        self._transports = [each.strip() for each in transports.split(",")]
        if unknown := set(self._transports) - _FORMATS.keys():
            raise ValueError(f"transports are of {', '.join(_FORMATS)}, not {', '.join(sorted(unknown))}")
        self._tickets: dict[str, Ticket] = {}  # by token

    def negotiate(self, hub: str, request: Request, over: bool) -> HttpReply:
        """The answer to a negotiation; `over`: its id is dead already."""
        asked = queried(request, "negotiateVersion") or "0"
        try:
            version = min(int(asked), _NEWEST)
        except ValueError:
            return _failed("The client requested a non-integer protocol version.")
        if version < 0:
            return _failed(
                f"The client requested version '{asked}', but the server does not support this version."
            )
        ticket = self.issue(hub, version)
        ticket.over = over
        shown: dict[str, Any] = {"negotiateVersion": version, "connectionId": ticket.id}
        if version:
            shown["connectionToken"] = ticket.token
        offered = [{"transport": each, "transferFormats": _FORMATS[each]} for each in self._transports]
        return json({**shown, "availableTransports": offered})

    def issue(self, hub: str, version: int = 1) -> Ticket:
        """A new id. In version 0 it is its own token."""
        self._forget()
        id = secrets.token_urlsafe(16)
        token = secrets.token_urlsafe(16) if version else id
        ticket = Ticket(id, token, hub, time.monotonic() + self.life)
        self._tickets[token] = ticket
        return ticket

    def objection(self, hub: str, request: Request) -> HttpReply | None:
        """What is against an upgrade that shows an id, or none."""
        token = queried(request, "id")
        if not token:
            return None
        ticket = self._tickets.get(token)
        if ticket is None or ticket.hub != hub or ticket.over or self._stale(ticket):
            return text(404, _UNKNOWN)
        return text(409, b"The connection is already in use") if ticket.used else None

    def admit(self, hub: str, request: Request) -> Ticket:
        """The ticket of a connection that was upgraded: the negotiated one, or a new one."""
        ticket = self._tickets.get(queried(request, "id")) or self.issue(hub)
        ticket.used = True
        return ticket

    def _stale(self, ticket: Ticket) -> bool:
        return not ticket.used and time.monotonic() > ticket.until

    def _forget(self) -> None:
        gone = [token for token, each in self._tickets.items() if each.over or self._stale(each)]
        for token in gone:
            del self._tickets[token]


def _failed(error: str) -> HttpReply:
    return json({"negotiateVersion": 0, "error": error})


def queried(request: Request, name: str) -> str:
    """A value of the query; ASP.NET Core does not mind the case of its keys."""
    return next((value for key, value in request.query.items() if key.lower() == name.lower()), "")


def bearer(request: Request) -> str:
    """The token that a request shows: in the query or, where it is not there, in the header."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return queried(request, "access_token") or (token.strip() if scheme.lower() == "bearer" else "")


def json(body: object) -> HttpReply:
    return HttpReply(200, encode(body))


def text(status: int, body: bytes = b"") -> HttpReply:
    return HttpReply(status, body, {"Content-Type": "text/plain"})
