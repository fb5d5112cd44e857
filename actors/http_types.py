"""Where a venue is reached, and requests to it over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address

from msgspec import Struct, structs

from actors.reasons import Fatal, Reason, Retryable, Slow
from actors.secret import RedactedStruct, Shown, origin

DAY = 86_400.0  # seconds


class HostPort(Struct, frozen=True):
    """One end of a TCP connection, as people and Host headers write it."""

    host: str  # without brackets
    port: int

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


def bracketed(host: str) -> str:
    """Returns the host as it stands in a URL: an IPv6 address has brackets there."""
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Whether this is an address of this machine alone, or a name that stands for one (RFC 6761, 6.3)."""
    try:
        address = ip_address(host)
    except ValueError:
        return f".{host.lower()}".rstrip(".").endswith(".localhost")
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


class Endpoint(RedactedStruct, frozen=True):
    """Where to connect to, and what to send in the handshake. Its repr shows no secret."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()
    passing: tuple[int, ...] = ()  # HTTP statuses of the handshake that are retried, though they are 4xx

    def shown(self) -> Shown:
        """Yields the fields for the repr."""
        yield "url", origin(self.url)


class HttpRequest(RedactedStruct, frozen=True):
    """One HTTP request, sent with the feed's TLS and proxy settings.

    `timeout` is in seconds, for all of the exchange. Redirects are not followed. Its repr has no secret.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    timeout: float = 10.0

    def shown(self) -> Shown:
        """Yields the fields for the repr."""
        yield "method", self.method
        yield "url", origin(self.url)
        yield "timeout", self.timeout


class HttpAnswer(RedactedStruct, frozen=True):
    """The answer, whatever its status. Names of headers are in lower case. Its repr has no secret."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}

    @property
    def retry_after(self) -> float | None:
        """The seconds in its Retry-After (RFC 9110, 10.2.3); None: it has none, a date, or a day and more."""
        try:
            seconds = float(self.headers.get("retry-after", ""))
        except ValueError:
            return None
        return seconds if 0.0 <= seconds < DAY else None

    def shown(self) -> Shown:
        """Yields the fields for the repr."""
        yield "status", self.status
        yield "size", len(self.body)


class HttpFailed(Struct, frozen=True):
    """No answer came, or not in time; `code` is short and stable, as a reason's."""

    text: str
    code: str
    lasting: Slow | Fatal | None = None  # its meaning, where it does not soon pass by itself

    def reason(self, before: str = "") -> Reason:
        """Returns the reason for a line that needs the answer; its text begins with `before`."""
        text = before + self.text
        if self.lasting is None:
            return Retryable(text, self.code)
        return structs.replace(self.lasting, text=text)
