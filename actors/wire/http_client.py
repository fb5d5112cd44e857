"""One HTTP exchange for a venue, and a whole conversation of them, on the caller's thread.

httpx writes the request and httpcore, the layer below it, reads the answer; the connection is ours,
made as for a WebSocket (`connect.py`). So one deadline covers DNS, TCP, proxy, TLS, request and all
of the body, where both libraries have one for each read: a read gets only what is left.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import time
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextvars import ContextVar
from math import inf
from typing import Final, TypeVar

import httpcore
import httpx
from msgspec import structs

from actors.http_types import Endpoint, HttpAnswer, HttpFailed, HttpRequest
from actors.reasons import Fatal, Retryable, Slow
from actors.wire.attempt import Attempt, ConnectCancel, ConnectFailed
from actors.wire.connect import Dial, reach
from actors.wire.request import HTTP, TOKEN, RequestHead, parse_endpoint
from actors.wire.send_right import SendRight

T = TypeVar("T")

MAX_BODY: Final = 4 * 1_048_576  # bytes, packed or not
OURS: Final = {"user-agent": "linewarden", "accept": "*/*", "accept-encoding": "gzip"}
# What an attempt calls its failures, where an exchange has a better word.
CODES: Final = {"connect_timeout": "timeout", "handshake": "lost"}


class RequestCount:
    """How many requests have left, or may have: the peer has counted no more."""

    def __init__(self) -> None:
        self.sent = 0


def fetch(
    request: HttpRequest,
    dial: Dial,
    connect_cancel: ConnectCancel | None = None,
    count: RequestCount | None = None,
) -> HttpAnswer | HttpFailed:
    """What the venue answers, whatever its status; or why there is no answer. Never raises.

    Blocks the calling thread for at most `request.timeout` seconds, for all of it together, or until
    `connect_cancel` is called (code `stopped`). A DNS look-up cannot be interrupted: one that never
    returns keeps a daemon thread. Redirects are not followed, cookies not kept, and the environment
    is asked for a proxy only with `dial.proxy = "env"`. A body of more than 4 MiB is a failure; one
    that was packed by gzip is unpacked. The text of a failure names host and phase, no secret.
    """
    try:
        with Attempt(request.timeout, connect_cancel or ConnectCancel(), dial.lookups) as attempt:
            answer = exchange(attempt, request, dial, count or RequestCount())
            attempt.close()
            return answer
    except ConnectFailed as failed:
        reason = failed.reason
        lasting = reason if isinstance(reason, Slow | Fatal) else None
        return HttpFailed(reason.text, CODES.get(reason.code, reason.code), lasting)


def converse(
    conversation: Generator[HttpRequest, HttpAnswer, T],
    dial: Dial,
    connect_cancel: ConnectCancel | None = None,
    *,
    seconds: float = inf,
    count: RequestCount | None = None,
) -> T | HttpFailed:
    """Carry a venue's conversation on to its end: what came of it, or why an exchange failed.

    Blocks the calling thread for at most `seconds` in all, and each request for at most its own `timeout`.
    Whatever happens the conversation is closed. What it raises is a defect, and is raised here.
    """
    return carry_on(
        conversation, lambda request: fetch(request, dial, connect_cancel, count), seconds=seconds
    )


def carry_on(
    conversation: Generator[HttpRequest, HttpAnswer, T],
    fetch: Callable[[HttpRequest], HttpAnswer | HttpFailed],
    *,
    seconds: float = inf,
) -> T | HttpFailed:
    """The same, where `fetch` makes each exchange."""
    until = time.monotonic() + seconds
    with contextlib.closing(conversation):
        try:
            request = next(conversation)
            while True:
                left = max(0.0, until - time.monotonic())
                within = structs.replace(request, timeout=min(request.timeout, left))
                answer = fetch(within)
                if isinstance(answer, HttpFailed):
                    return answer
                request = conversation.send(answer)
        except StopIteration as end:
            told: T = end.value
            return told


def exchange(attempt: Attempt, request: HttpRequest, dial: Dial, count: RequestCount) -> HttpAnswer:
    """Raises ConnectFailed, or the OSError of which the attempt makes one."""
    parsed = parse_endpoint(Endpoint(request.url, request.headers), HTTP)
    order = written(request, parsed)
    attempt.peer, attempt.phase = str(parsed.target), "the HTTP request"
    attempt.remaining()  # where no time is left, no connection is opened
    wire = Wire(attempt, reach(attempt, parsed, dial))
    count.sent += 1
    with httpcore.HTTP11Connection(order.url.origin, wire) as connection:
        return answered(attempt, wire, connection, order)


def answered(
    attempt: Attempt, wire: Wire, connection: httpcore.HTTP11Connection, order: httpcore.Request
) -> HttpAnswer:
    """The answer to this request on a connection that stands. Raises as `exchange` does."""
    attempt.phase = "the HTTP exchange"
    try:
        with unlogged():
            answer = connection.handle_request(order)
            headers = httpx.Headers(answer.headers)
            body = bounded(attempt.peer, answer.iter_stream())
            answer.close()
    except httpcore.LocalProtocolError:  # its text may quote headers and answers
        text = f"the HTTP request to {attempt.peer} cannot be written"
        raise ConnectFailed(Fatal(text, "header")) from None
    except httpcore.RemoteProtocolError:
        raise ConnectFailed(wire.flaw()) from None
    return HttpAnswer(
        answer.status, unpacked(attempt.peer, headers, body), dict(headers.items()), time.time()
    )


# At DEBUG httpcore logs the headers of every answer, with the cookies and tokens that are in them. A
# program that has its log at DEBUG wants that of its own exchanges, perhaps, and never of ours.
_ours = ContextVar("an exchange of ours is under way in this thread", default=False)
logging.getLogger("httpcore.http11").addFilter(lambda _: not _ours.get())


@contextlib.contextmanager
def unlogged() -> Iterator[None]:
    """Within it httpcore logs nothing; other threads, and what comes after, are not concerned."""
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)


def written(request: HttpRequest, parsed: RequestHead) -> httpcore.Request:
    """As it goes over the wire. Raises ConnectFailed with Fatal for what HTTP cannot carry."""
    if not TOKEN.fullmatch(request.method):
        raise ConnectFailed(Fatal("the method of an HTTP request is not a word", "header"))
    headers = httpx.Headers(OURS)
    headers.update(httpx.Headers((("Host", parsed.authority), *parsed.headers), encoding="utf-8"))
    try:
        asked = httpx.Request(request.method, request.url, headers=headers, content=request.body or None)
    except httpx.InvalidURL:
        raise ConnectFailed(Fatal("the URL of an HTTP request cannot be used", "url")) from None
    url = asked.url
    place = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    return httpcore.Request(asked.method, place, headers=asked.headers.raw, content=asked.content)


class Wire(httpcore.NetworkStream):
    """The connection as httpcore sees it: no call outlasts the attempt, whatever timeout it names."""

    def __init__(self, attempt: Attempt, sock: socket.socket) -> None:
        self._attempt, self.sock = attempt, sock
        self._right: SendRight | None = None
        self._ended = False  # the other end has sent its last byte

    def begin(self, attempt: Attempt, right: SendRight | None) -> None:
        """The next exchange, on a connection that was kept; `right`: with which it may be written."""
        self._attempt, self._right = attempt, right

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._attempt.recv(self.sock, max_bytes)
        self._ended = not data
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            if self._right is not None:
                self._right.write(self.sock, buffer, self._attempt)
            else:
                self._attempt.send_all(self.sock, buffer)
        except (BrokenPipeError, ConnectionResetError):  # it may have answered before: httpcore looks
            raise httpcore.WriteError from None

    def close(self) -> None:
        """The socket is the attempt's to close."""

    def flaw(self) -> Retryable:
        """Why what was read is no answer."""
        peer, phase = self._attempt.peer, self._attempt.phase
        if self._ended:
            return Retryable(f"{peer} closed the connection during {phase}", "lost")
        return Retryable(f"{peer} did not answer in HTTP/1.1", "garbage")


# ── the body ────────────────────────────────────────────────────────────────────────────────────


def bounded(peer: str, pieces: Iterable[bytes]) -> bytes:
    """All of it. Raises ConnectFailed where that is too much."""
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > MAX_BODY:
            raise ConnectFailed(too_big(peer))
    return bytes(body)


def unpacked(peer: str, headers: httpx.Headers, body: bytes) -> bytes:
    """What the body was before it was packed. Raises ConnectFailed where that cannot be known."""
    packing = headers.get("content-encoding", "identity").strip().lower()
    if packing == "identity" or not body:
        return body
    if packing not in ("gzip", "x-gzip"):
        text = f"{peer} answered in a Content-Encoding that was not asked for"
        raise ConnectFailed(Retryable(text, "encoding"))
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)  # 16: the format is gzip's
    try:
        plain = unpacking.decompress(body, MAX_BODY + 1)
    except zlib.error:
        raise ConnectFailed(Retryable(f"{peer} answered with invalid gzip", "garbage")) from None
    if len(plain) > MAX_BODY:
        raise ConnectFailed(too_big(peer))
    if not unpacking.eof:
        raise ConnectFailed(Retryable(f"{peer} answered with gzip that is cut off", "garbage"))
    return plain


def too_big(peer: str) -> Retryable:
    return Retryable(f"{peer} answered with more than {MAX_BODY // 1_048_576} MiB", "too_big")
