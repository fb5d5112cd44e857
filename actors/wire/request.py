"""What to ask for: an endpoint's URL and headers, checked before a byte is sent."""

from __future__ import annotations

import base64
import re
import string
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

from actors.http_types import Endpoint, HostPort, bracketed
from actors.reasons import Fatal
from actors.secret import RedactedStruct, Shown
from actors.wire.attempt import ConnectFailed

UNSAFE_URL: Final = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")
_UNSAFE_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_OURS = re.compile(r"sec-websocket-.*|upgrade|connection|content-length|transfer-encoding", re.I)

WEBSOCKET: Final = {"ws": 80, "wss": 443}  # a scheme and its usual port; at 443 it is TLS
HTTP: Final = {"http": 80, "https": 443}

Headers = tuple[tuple[str, str], ...]


class RequestHead(RedactedStruct, frozen=True):
    """What the endpoint comes to: nothing in it can break out of its header line."""

    target: HostPort
    secure: bool
    authority: str  # the Host header
    resource: str  # path and query
    headers: Headers
    subprotocols: tuple[str, ...]
    passing: tuple[int, ...]

    def shown(self) -> Shown:
        yield "target", str(self.target)
        yield "secure", self.secure

    def secrets(self) -> Iterable[str]:
        """What a careless server might echo, and people should not see."""
        path, _, query = self.resource.partition("?")
        yield from (part for part in path.split("/") if len(part) >= 16)  # such as a listen key
        yield query
        yield from (part.partition("=")[2] for part in query.split("&"))
        for _, value in self.headers:
            yield value
            yield from value.split()


def parse_endpoint(endpoint: Endpoint, schemes: Mapping[str, int] = WEBSOCKET) -> RequestHead:
    """Raises ConnectFailed with Fatal for what cannot be asked for, or must not be."""
    if UNSAFE_URL.search(endpoint.url):
        raise ConnectFailed(Fatal("the URL contains a line break or another blank", "header", "Correct url."))
    if flaw := flaw_in_headers(endpoint):
        raise ConnectFailed(Fatal(flaw, "header", "Correct the headers of this line."))
    try:
        return parse_url(endpoint, schemes)
    except ValueError:  # UnicodeError too, for host names
        text = f"the URL of this line is not a {' or '.join(f'{scheme}://' for scheme in schemes)} URL"
        raise ConnectFailed(Fatal(text, "url", "Correct url.")) from None


def flaw_in_headers(endpoint: Endpoint) -> str:
    if not all(map(TOKEN.fullmatch, (*dict(endpoint.headers), *endpoint.subprotocols))):
        return "a header or subprotocol has a name that HTTP does not allow"
    for name, value in endpoint.headers:
        if _UNSAFE_VALUE.search(value):
            return f"the value of header {name} contains a control character"
        if _OURS.fullmatch(name):
            return f"the header {name} belongs to the handshake itself"
    return ""


def parse_url(endpoint: Endpoint, schemes: Mapping[str, int]) -> RequestHead:
    """Raises ValueError."""
    url = urlsplit(endpoint.url)
    if url.scheme not in schemes or not url.hostname:
        raise ValueError("scheme or host")
    usual = schemes[url.scheme]
    secure = usual == 443
    target = HostPort(ascii_host(url.hostname), url.port or usual)
    named = {name.lower(): value for name, value in endpoint.headers}
    authority = bracketed(target.host) if target.port == usual else str(target)
    others = tuple((name, value) for name, value in endpoint.headers if name.lower() != "host")
    return RequestHead(
        target=target,
        secure=secure,
        authority=named.get("host", authority),
        resource=resource_of(url),
        headers=others if "authorization" in named else (*others, *login(url)),
        subprotocols=endpoint.subprotocols,
        passing=endpoint.passing,
    )


def ascii_host(host: str) -> str:
    """Raises UnicodeError for a name that no DNS could hold."""
    return host if ":" in host else host.encode("idna").decode("ascii")


def resource_of(url: SplitResult) -> str:
    # websocket-client drops what urlparse takes for the "parameters" of a path, hence %3B.
    path = (url.path or "/").replace(";", "%3B")
    return quote(path + (f"?{url.query}" if url.query else ""), safe=string.punctuation)


def login(url: SplitResult) -> Headers:
    """The header for a URL's userinfo (RFC 7617), if it has any."""
    if url.username is None:
        return ()
    login = f"{unquote(url.username)}:{unquote(url.password or '')}".encode()
    return (("Authorization", f"Basic {base64.b64encode(login).decode()}"),)
