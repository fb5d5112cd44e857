"""Where a venue is reached, and requests to it over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from actors.reasons import Fatal, Reason, Retryable, Slow
from actors.secret import RedactedStruct, Shown, origin

if TYPE_CHECKING:
    pass

DAY = 86_400.0  # seconds


class Endpoint(RedactedStruct, frozen=True):
    """Where to connect to, and what to say in the handshake. Its repr shows no secret."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()
    passing: tuple[int, ...] = ()  # HTTP statuses that the next attempt may not meet, though they are 4xx

    def shown(self) -> Shown:
        yield "url", origin(self.url)


class HttpRequest(RedactedStruct, frozen=True):
    """One HTTP exchange that a venue wants, on the feed's own terms of TLS and proxy.

    `timeout` is in seconds, for all of it. Redirects are not followed. Its repr shows no secret.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    timeout: float = 10.0

    def shown(self) -> Shown:
        yield "method", self.method
        yield "url", origin(self.url)
        yield "timeout", self.timeout


class HttpAnswer(RedactedStruct, frozen=True):
    """What came back, whatever its status. Names of headers are in lower case. Its repr shows no secret."""

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
        yield "status", self.status
        yield "size", len(self.body)


class HttpFailed(Struct, frozen=True):
    """Nobody answered, or not in time; `code` is short and stable, as a reason's."""

    text: str
    code: str
    lasting: Slow | Fatal | None = None  # what it means, where it does not soon pass by itself

    def reason(self, before: str = "") -> Reason:
        """What it means for a line that cannot do without the answer; its text begins with `before`."""
        text = before + self.text
        if self.lasting is None:
            return Retryable(text, self.code)
        return structs.replace(self.lasting, text=text)
