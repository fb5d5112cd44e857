"""Where a venue is reached, and requests to it over HTTP."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address

from msgspec import Struct, structs

from actors.reasons import Fatal, Reason, Retryable, Slow, Weather
from actors.secret import RedactedStruct, Shown, origin

PASSING = (408, 425)  # 4xx about this one request: it was slow, or it came as early data
VERDICTS = (401, 407)  # on the credentials that were shown
LONGEST_PAUSE = 1e12  # seconds: what a longer Retry-After is read as
_SECONDS = re.compile(r"\d+(?:\.\d*)?", re.ASCII)


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
    at: float | None = None  # seconds since 1970, by this machine; None: unknown

    @property
    def retry_after(self) -> float | None:
        """The pause that its Retry-After asks for, in seconds; None: it asks for none."""
        return asked_pause(self.headers.get("retry-after", ""), self.headers.get("date", ""), self.at)

    @property
    def date_ns(self) -> int | None:
        """The server's time by its Date, in nanoseconds since 1970, to the second; None: it has none."""
        date = _seconds_since_1970(self.headers.get("date", ""))
        return None if date is None else int(date) * 1_000_000_000

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


def status_reason(
    status: int, text: str, advice: str, retry_after: float | None, passing: Collection[int] = ()
) -> Reason:
    """What an HTTP status that is not the wanted one means: one rule for the upgrade, logins and proxies.

    `passing`: statuses that are retried, though they are 4xx. The code of the reason is `http_STATUS`.
    """
    code = f"http_{status}"
    if status == 429 or retry_after is not None:
        return Slow(text, code, retry_after, shared=True)
    if status in VERDICTS:
        return Fatal(text, code, advice)
    if 300 <= status < 500 and status not in (*PASSING, *passing):
        return Weather(text, code, advice)
    return Retryable(text, code)


def asked_pause(retry_after: str, date: str, now: float | None) -> float | None:
    """The seconds of a Retry-After header (RFC 9110, 10.2.3); None: it is none, or cannot be read.

    A date is compared with the `date` of the same answer, so that a wrong clock of this machine does not
    matter; without one, with `now`, in seconds since 1970.
    """
    value = retry_after.strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), LONGEST_PAUSE)
    until, since = _seconds_since_1970(value), _seconds_since_1970(date)
    since = now if since is None else since
    return None if until is None or since is None else min(max(0.0, until - since), LONGEST_PAUSE)


def _seconds_since_1970(date: str) -> float | None:
    try:
        moment = email.utils.parsedate_to_datetime(date)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
