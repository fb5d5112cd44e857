"""The upgrade to WebSocket: an HTTP exchange by websocket-client, and what a refusal means.

websocket-client writes the request and judges the accept key. What it is not trusted with is done
here: it reads heads and bodies of any length, sends less than all of a long request, and keeps one
cookie jar for the whole process.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import re
import socket
import time
from typing import Final
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from websocket import WebSocket, WebSocketException

from actors.http_types import asked_pause, status_reason
from actors.reasons import Reason, Retryable, Weather
from actors.wire.attempt import Attempt, ConnectFailed, Talk
from actors.wire.deflate import beyond_deflate
from actors.wire.request import RequestHead

MAX_BODY: Final = 2 * 1024  # bytes of a refusal's body that are read at all
BODY_PATIENCE: Final = 1.0  # seconds that a refusal's body may take: the status is known already
MAX_QUOTED: Final = 200  # characters of a refusal's body that people see
# The headers of the answer that websocket-client judges; it gets no others.
JUDGED: Final = ("Upgrade", "Connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol")
ELSEWHERE: Final = "If you trust that address, put it into url."
ADVICE: Final = {
    401: "Check the credentials of this line.",
    403: "Check the credentials of this line and what its account may do.",
    404: "Check the path in url.",
    407: "Check the proxy.",
}
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)(?: [^\r\n]*)?\r?\n")


def upgrade(attempt: Attempt, sock: socket.socket, request: RequestHead, compression: str) -> bool:
    """The HTTP exchange; whether the server took the offer of `compression`, "" if there is none.

    Raises ConnectFailed.
    """
    attempt.phase = "the WebSocket upgrade"
    talk = UpgradeTalk(attempt, sock, request, compression)
    extensions = [f"Sec-WebSocket-Extensions: {compression}"] if compression else []
    try:
        WebSocket(enable_multithread=False).connect(  # type: ignore[no-untyped-call]
            # Not the real host: its jar could hold cookies of that one, from another user of the
            # library in this process. The socket is connected, and Host is given below.
            f"ws://linewarden{request.resource}",
            socket=talk,
            host=request.authority,
            header=[*extensions, *(f"{name}: {value}" for name, value in request.headers)],
            subprotocols=list(request.subprotocols),
            suppress_origin=True,
            redirect_limit=0,
        )
    except WebSocketException:
        text = f"{attempt.peer} answered the upgrade with headers that are no WebSocket's"
        raise ConnectFailed(Retryable(text, "handshake")) from None
    return talk.compressed


class UpgradeTalk(Talk):
    """The socket as websocket-client sees it; it gets only an answer that may be accepted."""

    def __init__(self, attempt: Attempt, sock: socket.socket, request: RequestHead, compression: str) -> None:
        super().__init__(attempt, sock)
        self.compressed = False  # the server took the offer
        self._request, self._compression = request, compression
        self._accepted: io.BytesIO | None = None

    def recv(self, size: int) -> bytes:
        if self._accepted is None:
            self._accepted = io.BytesIO(self._read_answer())
        return self._accepted.read(size)

    def _read_answer(self) -> bytes:
        peer = self.attempt.peer
        answer = parse_answer(peer, self.read_head())
        if answer.status != 101:
            quoted = quotable(self._read_body(answer), answer, self._request)
            raise ConnectFailed(judge_status(peer, answer, quoted, self._request.passing))
        if flaw := beyond_offer(answer, self._request, self._compression):
            raise ConnectFailed(
                Weather(f"{peer} {flaw}", "offer", "Check url and the venue's documentation.")
            )
        self.compressed = bool(answer.extensions)
        return judged_head(answer)

    def _read_body(self, answer: UpgradeResponse) -> bytes:
        """What there is of it, within bounds: it is only for people to read."""
        body, wanted = bytearray(), min(answer.length, MAX_BODY)
        self.attempt.hurry(BODY_PATIENCE)
        with contextlib.suppress(ConnectFailed):
            while len(body) < wanted:
                body += self.read(wanted - len(body))
        return bytes(body)


# ── the answer ──────────────────────────────────────────────────────────────────────────────────


class UpgradeResponse(Struct, frozen=True):
    """An HTTP answer's head."""

    status: int
    headers: http.client.HTTPMessage

    @property
    def length(self) -> int:
        """Bytes of its body; 0 where it is not given, because its end might never come."""
        length = self.headers.get("Content-Length", "").strip()
        return int(length) if length.isdecimal() and len(length) < 20 else 0

    @property
    def extensions(self) -> str:
        """Those that were switched on, on one line."""
        return one_line(self.headers.get_all("Sec-WebSocket-Extensions", []))


def parse_answer(peer: str, head: bytes) -> UpgradeResponse:
    """Raises ConnectFailed for what is not HTTP."""
    if line := _STATUS_LINE.match(head):
        with contextlib.suppress(http.client.HTTPException):
            return UpgradeResponse(int(line[1]), http.client.parse_headers(io.BytesIO(head[line.end() :])))
    raise ConnectFailed(Retryable(f"{peer} did not answer in HTTP/1.1", "handshake"))


def beyond_offer(answer: UpgradeResponse, request: RequestHead, compression: str) -> str:
    """In which way it is an upgrade to something that was not asked for; "" if it is not.

    An offer of subprotocols to which the server chooses none is refused as well, as browsers do
    (WHATWG WebSockets, 2.2), although RFC 6455 allows it: what the bytes mean would be unknown.
    """
    if answer.extensions and not compression:
        return "switched on a WebSocket extension that was not offered"
    if answer.extensions and (flaw := beyond_deflate(answer.extensions)):
        return flaw
    chosen = [value.strip() for value in answer.headers.get_all("Sec-WebSocket-Protocol", [])]
    if chosen in ([[name] for name in request.subprotocols] or [[]]):
        return ""
    return "chose a subprotocol that was not offered" if chosen else "chose none of the subprotocols offered"


def judged_head(answer: UpgradeResponse) -> bytes:
    """The head without what websocket-client would keep: no cookie reaches its process-wide jar."""
    lines = [f"HTTP/1.1 {answer.status} Switching Protocols"]
    for name in JUDGED:
        if values := answer.headers.get_all(name):
            lines.append(f"{name}: {one_line(values)}")
    return "\r\n".join((*lines, "", "")).encode()


def one_line(values: list[str]) -> str:
    """A header that may stand on several lines, and each of them be folded."""
    return " ".join(", ".join(values).split())


# ── a refusal ───────────────────────────────────────────────────────────────────────────────────


def judge_status(peer: str, answer: UpgradeResponse, quoted: str, passing: tuple[int, ...] = ()) -> Reason:
    """What a status other than 101 means for the next attempt; `passing`: the endpoint's own."""
    status = answer.status
    in_words = http.client.responses.get(status, "")  # HTTP's own, not the server's
    hint = "; url may not lead to a WebSocket" if 200 <= status < 300 else ""
    text = f"{peer} answered {f'{status} {in_words}'.strip()}{quoted}{hint}"
    advice = ADVICE.get(status, "Check url and the venue's documentation.")
    if 300 <= status < 400:
        text, advice = f"{text} and points to {location(answer)}", ELSEWHERE
    return status_reason(status, text, advice, retry_after(answer.headers), passing)


def retry_after(headers: http.client.HTTPMessage) -> float | None:
    """The pause that an answer asks for, in seconds; None: it asks for none."""
    return asked_pause(headers.get("Retry-After", ""), headers.get("Date", ""), time.time())


def location(answer: UpgradeResponse) -> str:
    """The host that a redirect names; its path and query may hold secrets."""
    try:
        host = urlsplit(answer.headers.get("Location", "")).hostname or ""
    except ValueError:
        return "an address that is none"
    return "".join(filter(str.isprintable, host))[:MAX_QUOTED] or "another path of the same host"


def quotable(body: bytes, answer: UpgradeResponse, request: RequestHead) -> str:
    """As much of a refusal's body as people can use: no page, nothing that we sent."""
    kind = answer.headers.get_content_type()
    if kind == "text/html" or not (kind.startswith("text/") or kind.endswith("json")):
        return ""
    text = body.decode("utf-8", "replace")
    for secret in sorted({s for s in request.secrets() if len(s) >= 4}, key=len, reverse=True):
        text = text.replace(secret, "…").replace(unquote(secret), "…")
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f" ({text[:MAX_QUOTED]})" if text else ""
