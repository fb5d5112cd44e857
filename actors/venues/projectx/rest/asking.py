"""One conversation with the gateway's REST part: requests, envelopes, refusals, and the venue's clock.

ProjectX: all but the ping is a POST of JSON with `Authorization: Bearer`. Business failures come under HTTP
200, as `success: false` with an `errorCode`. An envelope whose two halves contradict each other, or a list
that is missing in a good envelope, proves nothing: it is not an empty list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from actors.protocol import (
    CallRefused,
    HttpAnswer,
    HttpRequest,
    NoResultError,
    Retryable,
    Secret,
    Steps,
    decoded,
)
from actors.protocol.signalr.formatting import said
from actors.venues.projectx.errors import refused_by_status
from actors.venues.projectx.login import JSON
from actors.venues.projectx.messages import check
from actors.venues.projectx.rest.codes import name_of
from actors.venues.projectx.rest.times import SECOND

T = TypeVar("T")
R = TypeVar("R", bound=Struct)

ORDINARY: Final = 10.0  # seconds: ordinary calls were seen to take 0.05 to 0.3
SHORTEST_CUT: Final = 20  # rows: a search for contracts ends here


class Envelope(Struct, frozen=True, kw_only=True, rename="camel"):
    """What all answers share; the payload of each endpoint is a type of its own."""

    success: bool | None = None
    error_code: int | None = None
    error_message: Any = None

    @property
    def is_good(self) -> bool | None:
        """None: success and code contradict each other, or one of them is missing."""
        if self.success is None or self.error_code is None or self.success != (self.error_code == 0):
            return None
        return self.success


def read(kind: type[R], body: bytes) -> R | None:
    """Returns a body as this type; None: it is none. Fields and numbers that are not known are no error."""
    found: R | None = decoded(_decoder(kind), body)
    return found


@cache
def _decoder(kind: type[Struct]) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(kind).decode


class Gateway(Struct, frozen=True):
    """Where the REST part is: a URL without a slash at its end."""

    rest: str

    def post(self, endpoint: str, body: bytes, secret: Secret, timeout: float = ORDINARY) -> HttpRequest:
        """Returns a request with the token."""
        return HttpRequest("POST", self._url(endpoint), (*JSON, _bearer(secret)), body, timeout)

    def get(self, endpoint: str, secret: Secret) -> HttpRequest:
        """Returns a request with the token, without a body."""
        return HttpRequest("GET", self._url(endpoint), (_bearer(secret),))

    def _url(self, endpoint: str) -> str:
        return f"{self.rest}/api/{endpoint}"


def _bearer(secret: Secret) -> tuple[str, str]:
    return "Authorization", f"Bearer {secret.reveal()}"


class Asking:
    """The requests of one conversation, with one token; `clock` is the venue's, by its answers."""

    def __init__(self, gateway: Gateway, secret: Secret) -> None:
        self._gateway = gateway
        self._secret = secret
        self.clock = VenueClock()

    def post(self, endpoint: str, kind: type[R], fields: object, timeout: float = ORDINARY) -> Steps[R]:
        """Returns the payload of a good envelope.

        Raises:
            NoResultError: it is refused, cannot be read, or proves nothing.
        """
        body = msgspec.json.encode(fields)
        answer = yield self._gateway.post(endpoint, body, self._secret, timeout)
        self._note(answer, endpoint)
        envelope = read(Envelope, answer.body)
        if envelope is not None and envelope.is_good is False:
            raise NoResultError(self._refusal(endpoint, envelope))
        if envelope is not None and envelope.is_good is None:
            raise NoResultError(unproved(endpoint, "success and errorCode contradict each other"))
        if envelope is None or (payload := read(kind, answer.body)) is None:
            raise NoResultError(unreadable(endpoint))
        return payload

    def ping(self) -> Steps[str]:
        """Returns the words of `Status/ping`, which come without an envelope."""
        answer = yield self._gateway.get("Status/ping", self._secret)
        self._note(answer, "Status/ping")
        return said(answer.body.decode("utf-8", "replace"), self._secret, otherwise="")

    def _note(self, answer: HttpAnswer, endpoint: str) -> None:
        if answer.status != 200:
            raise NoResultError(refused_by_status(answer, endpoint))
        self.clock.note(answer)

    def _refusal(self, endpoint: str, envelope: Envelope) -> CallRefused:
        words = said(envelope.error_message, self._secret, otherwise="")
        return CallRefused(endpoint, envelope.error_code, name_of(endpoint, envelope.error_code), words)


class VenueClock:
    """How far the venue's clock is from this machine's, by the `Date` of answers, which has whole seconds."""

    def __init__(self) -> None:
        self.date_ns: int | None = None  # of the newest answer
        self._at_least: int | None = None  # the difference, in nanoseconds
        self._at_most: int | None = None
        self._before: int | None = None  # when the answer before came: the next was asked for later

    def note(self, answer: HttpAnswer) -> None:
        """Takes the time of one more answer."""
        self.date_ns = answer.date_ns
        at_ns = None if answer.at is None else int(answer.at * SECOND)
        if self.date_ns is not None and at_ns is not None:
            least = self.date_ns - at_ns
            self._at_least = least if self._at_least is None else max(self._at_least, least)
        if self.date_ns is not None and self._before is not None:
            most = self.date_ns + SECOND - self._before
            self._at_most = most if self._at_most is None else min(self._at_most, most)
        self._before = at_ns

    def earliest(self, local_ns: int) -> int | None:
        """Returns the venue's time at a moment of this machine, or a little before; None: unknown."""
        return None if self._at_least is None else local_ns + self._at_least

    def latest(self, local_ns: int) -> int | None:
        """Returns the venue's time at a moment of this machine, or a little after; None: unknown."""
        return None if self._at_most is None else local_ns + self._at_most


def present(endpoint: str, rows: Iterable[R] | None) -> tuple[R, ...]:
    """Returns the list of a good envelope.

    Raises:
        NoResultError: there is none, which is no empty one; or a number in it is out of all bounds.
    """
    if rows is None:
        raise NoResultError(unproved(endpoint, "the list is missing"))
    rows = tuple(rows)
    try:
        for row in rows:
            check(row)
    except ValueError:
        raise NoResultError(unreadable(endpoint)) from None
    return rows


def may_be_cut(count: int) -> bool:
    """Whether a list of so many rows may be a page of a longer one: the gateway documents no paging.

    Round lengths are suspect. What is wrongly suspected costs a request or two.
    """
    return count >= SHORTEST_CUT and (count % 10 == 0 or count % 25 == 0)


def unproved(endpoint: str, what: str) -> Retryable:
    """Returns the reason for an answer from which nothing can be concluded."""
    return Retryable(f"ProjectX' answer to {endpoint} proves nothing: {what}", "no_evidence")


def unreadable(endpoint: str) -> Retryable:
    """Returns the reason for an answer that cannot be decoded."""
    return Retryable(f"ProjectX' answer to {endpoint} could not be read", "unreadable")


def cut(endpoint: str, advice: str = "") -> Retryable:
    """Returns the reason for a list that may be a part of a longer one."""
    return Retryable(f"ProjectX' answer to {endpoint} may be cut: it has a round length", "cut", advice)
