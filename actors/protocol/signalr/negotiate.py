"""The negotiation with a hub over HTTP, before each connect.

SignalR's TransportProtocols, "POST endpoint-base/negotiate", versions 0 and 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal
from urllib.parse import quote, urljoin, urlsplit

import msgspec
from msgspec import UNSET, Struct

from actors.http_types import Endpoint, HttpAnswer, HttpRequest
from actors.protocol.conversation import Conversation, decoded, status_reason
from actors.protocol.signalr.formatting import said
from actors.reasons import Reason, Retryable, Slow, Weather
from actors.secret import REDACTED, Secret

Headers = tuple[tuple[str, str], ...]
Place = Literal["query", "header"]

VERSION: Final = 1
MAX_REDIRECTS: Final = 100  # as the official clients have it
TOKEN_KEY: Final = "access_token"
WEBSOCKET: Final = {"http": "ws", "https": "wss"}
HTTP: Final = {"ws": "http", "wss": "https"}
SECURE: Final = {"https", "wss"}
# HTTP connections, "connection id": one that is over, or that another WebSocket is on. The next is a new one.
STALE_ID: Final = (404, 409)
ADVICE: Final = {
    401: "Check the credentials of this line.",
    403: "Check the credentials of this line and what its account may do.",
    404: "Check the path of the hub in url, and that no proxy stands in the way.",
    405: "The URL takes no POST: check that it is a hub's, or skip the negotiation.",
}
CHECK: Final = "Check url and the venue's documentation."
REDIRECTED: Final = "the negotiation was redirected"
ELSEWHERE: Final = "Put the address that it points to into url, if you trust it."
_COOKIE = re.compile(r"\s*([^\x00-\x20;,=\x7f]+)=([^\x00-\x1f;,\x7f]*)")
_NEXT_COOKIE = re.compile(r",\s*(?=[^\s;,=]+=)")  # the comma in a date is followed by no `name=`


class Transport(Struct, frozen=True):
    transport: str = ""
    formats: tuple[str, ...] | None = msgspec.field(default=(), name="transferFormats")


class Offer(Struct, frozen=True, rename="camel"):
    """A hub's answer; any part may be missing."""

    negotiate_version: int | None = 0
    connection_id: str | None = None
    connection_token: str | None = None
    available_transports: tuple[Transport, ...] | None = ()
    use_stateful_reconnect: bool | None = False
    url: str | None = None
    access_token: str | None = None
    error: Any = None
    protocol_version: Any = msgspec.field(default=UNSET, name="ProtocolVersion")

    def __repr__(self) -> str:
        return "Offer(…)"

    @property
    def id(self) -> str:
        """What the upgrade shows: a secret of its own from version 1 on."""
        if (self.negotiate_version or 0) < 1:
            return self.connection_id or ""
        return self.connection_token or self.connection_id or ""


_decode = msgspec.json.Decoder(Offer).decode


def hub_endpoint(
    url: str, token: Secret | None = None, *, place: Place = "query", headers: Headers = ()
) -> Endpoint:
    """Where to open the WebSocket without a negotiation: the hub makes a connection of the upgrade itself."""
    return Way(url, token, place, headers).endpoint("")


def negotiate(
    url: str,
    token: Secret | None = None,
    *,
    place: Place = "query",
    headers: Headers = (),
    skip: bool = False,
    transfer_format: str = "Text",
    timeout: float = 10.0,
) -> Conversation[Endpoint]:
    """Where to open the WebSocket of the hub at `url` (http, https, ws or wss).

    `place` is where the upgrade shows the token; a negotiation shows it in a header always. `skip`
    asks for nothing, see `hub_endpoint`. `timeout` is in seconds, of
    each request. A token that is turned away has the code `http_401` or `http_403`.
    """
    if skip:
        return hub_endpoint(url, token, place=place, headers=headers)
    way = Way(url, token, place, headers)
    for _ in range(MAX_REDIRECTS + 1):
        answer = yield HttpRequest("POST", way.negotiation, way.headers_of_negotiation(), timeout=timeout)
        way.keep_cookies(answer.headers)
        offer = way.read(answer)
        if not isinstance(offer, Offer):
            return offer
        if offer.url:
            if reason := way.turn(offer.url, offer.access_token):
                return reason
            continue
        return flaw_in(offer, transfer_format) or way.endpoint(offer.id)
    return Slow(f"{REDIRECTED} more than {MAX_REDIRECTS} times", "negotiate_redirects")


def flaw_in(offer: Offer, transfer_format: str) -> Reason | None:
    """Why this offer cannot be taken."""
    if offer.use_stateful_reconnect:
        text = "the hub insists on a stateful reconnect, which was not asked for"
        return Weather(text, "negotiate_stateful", "Turn it off at the hub, or skip the negotiation.")
    websockets = [each for each in offer.available_transports or () if each.transport == "WebSockets"]
    if not websockets:
        advice = "Allow WebSockets at the hub and the proxies before it."
        return Weather("the hub offers no WebSockets", "negotiate_transport", advice)
    if not any(transfer_format in (each.formats or ()) for each in websockets):
        text = f"the hub offers WebSockets, but not for the format {transfer_format}"
        return Weather(text, "negotiate_format", "Check which hub protocols the hub allows.")
    if not offer.id:
        return Retryable("the hub's answer to the negotiation names no connection", "negotiate")
    return None


class Way:
    """One attempt's way to the hub: redirects change where it leads, and the token it takes."""

    def __init__(self, url: str, token: Secret | None, place: Place, headers: Headers) -> None:
        self._url = url.partition("#")[0]
        self._token, self._place, self._headers = token, place, headers
        self._cookies: dict[str, str] = {}  # of the host that the way leads to now

    @property
    def negotiation(self) -> str:
        """Exactly one slash before the last word, and the query as it was."""
        path, _, query = self._url.partition("?")
        names = {part.partition("=")[0].lower() for part in query.split("&")}
        if "negotiateversion" not in names:
            query = joined(query, f"negotiateVersion={VERSION}")
        return f"{with_scheme(path, HTTP).rstrip('/')}/negotiate?{query}"

    def headers_of_negotiation(self) -> Headers:
        return self._with_cookies(self._with_bearer(self._headers))

    def endpoint(self, id: str) -> Endpoint:
        """Where the upgrade goes; `id` is empty without a negotiation."""
        path, _, query = self._url.partition("?")
        headers = self._headers
        if id:
            query = joined(without(query, "id"), f"id={quote(id, safe='')}")
        if self._token and self._place == "query":
            shown = quote(self._token.reveal(), safe="")
            query = joined(without(query, TOKEN_KEY), f"{TOKEN_KEY}={shown}")
        else:
            headers = self._with_bearer(headers)
        url = with_scheme(path, WEBSOCKET) + (f"?{query}" if query else "")
        return Endpoint(url, self._with_cookies(headers), passing=STALE_ID if id else ())

    def turn(self, url: str, token: str | None) -> Reason | None:
        """Follow a redirect; why not, where it must not be followed."""
        if not (url + (token or "")).isprintable() or not (token or "").isascii() or " " in url:
            return Retryable(f"{REDIRECTED} by what HTTP cannot say", "negotiate_redirect")
        try:
            target = urljoin(with_scheme(self._url, HTTP), url).partition("#")[0]
            old, new = urlsplit(self._url), urlsplit(target)
            old_host, new_host = old.hostname, new.hostname
        except ValueError:
            return Retryable(f"{REDIRECTED} to an address that is none", "negotiate_redirect")
        if new.scheme not in WEBSOCKET or not new_host:
            return Retryable(f"{REDIRECTED} to no HTTP address", "negotiate_redirect")
        if old.scheme in SECURE and new.scheme not in SECURE:
            text = f"{REDIRECTED} from https to http, which would show the token on the network"
            return Weather(text, "negotiate_redirect", "Ask the hub's operator for an https address.")
        if new_host != old_host:
            self._cookies = {}
        self._url = target
        if token:
            self._token = Secret(token)
        return None

    def keep_cookies(self, headers: Mapping[str, str]) -> None:
        """A balancer finds its way by them: the upgrade must reach the server that negotiated."""
        for line in _NEXT_COOKIE.split(headers.get("set-cookie", "")):
            if cookie := _COOKIE.match(line):
                self._cookies[cookie[1]] = cookie[2].strip()

    def read(self, answer: HttpAnswer) -> Offer | Reason:
        """The offer; or why there is none."""
        if answer.status != 200:
            text = f"the hub answered {answer.status} to the negotiation{self._quotable(answer)}"
            advice = ELSEWHERE if answer.status < 400 else ADVICE.get(answer.status, CHECK)
            return status_reason(answer, text, advice)
        offer = decoded(_decode, answer.body)
        if offer is None:
            return Retryable("the hub's answer to the negotiation could not be read", "negotiate")
        if offer.error:
            words = said(self._redacted(str(offer.error)))
            return Slow(f"the hub refused the negotiation: {words}", "negotiate_refused")
        if offer.protocol_version is not UNSET:
            text = "the server speaks the SignalR of ASP.NET, which is another protocol than ASP.NET Core's"
            return Weather(text, "negotiate_legacy", "Check url: only hubs of ASP.NET Core are understood.")
        return offer

    def _with_bearer(self, headers: Headers) -> Headers:
        if not self._token:
            return headers
        others = tuple(pair for pair in headers if pair[0].lower() != "authorization")
        return (*others, ("Authorization", f"Bearer {self._token.reveal()}"))

    def _with_cookies(self, headers: Headers) -> Headers:
        """One header for all (RFC 6265, 5.4), with those that the user gave."""
        if not self._cookies:
            return headers
        given = [value for name, value in headers if name.lower() == "cookie"]
        cookies = "; ".join([*given, *(f"{name}={value}" for name, value in self._cookies.items())])
        others = tuple(pair for pair in headers if pair[0].lower() != "cookie")
        return (*others, ("Cookie", cookies))

    def _quotable(self, answer: HttpAnswer) -> str:
        """As much of a refusal's body as people can use: no page, nothing that we sent."""
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not answer.body or not (kind == "text/plain" or kind.endswith("json")):
            return ""
        return f" ({said(self._redacted(answer.body.decode('utf-8', 'replace')))})"

    def _redacted(self, words: str) -> str:
        if not self._token:
            return words
        secret = self._token.reveal()
        return words.replace(secret, REDACTED).replace(quote(secret, safe=""), REDACTED)


# ── URLs: what is not ours in them stays as it was written ──────────────────────────────────────


def with_scheme(url: str, schemes: Mapping[str, str]) -> str:
    """The same place in the other protocol; a scheme that is in neither is left as it is."""
    scheme, separator, rest = url.partition("://")
    return f"{schemes.get(scheme.lower(), scheme.lower())}{separator}{rest}"


def joined(query: str, part: str) -> str:
    return f"{query}&{part}" if query else part


def without(query: str, name: str) -> str:
    """Names in a query are the same to ASP.NET Core in upper and lower case."""
    return "&".join(part for part in query.split("&") if part.partition("=")[0].lower() != name)
