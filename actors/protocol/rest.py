"""Reads of a venue's REST: a conversation with a token, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Generic, Literal, TypeAlias, TypeVar

from msgspec import Struct

from actors.http_types import HttpAnswer, HttpRequest
from actors.protocol.conversation import Conversation
from actors.protocol.limits import FrameLimit
from actors.reasons import Reason
from actors.secret import Secret

T = TypeVar("T")

Steps: TypeAlias = Generator[HttpRequest, HttpAnswer, T]  # a part of a conversation; may raise NoResultError
Lane = Literal["read", "change", "flatten"]  # which part of a meter and of the connections a request may use


class CallRefused(Struct, frozen=True):
    """The venue answered a read with a refusal. Codes have a meaning for each endpoint.

    `code`: the venue's; None: Linewarden refused to conclude, as where a text fits several contracts.
    """

    endpoint: str
    code: int | None
    name: str = ""
    message: str = ""

    def __str__(self) -> str:
        """Returns the endpoint, the code with its name, and the venue's words."""
        code = "" if self.code is None else str(self.code)
        named = " ".join(filter(None, (code, self.name)))
        return f"{self.endpoint} was refused ({': '.join(filter(None, (named, self.message)))})"


class NoResultError(Exception):
    """A conversation has come to its end without a result. `until_failure` turns it into the failure."""

    def __init__(self, failure: CallRefused | Reason) -> None:
        super().__init__(str(failure))
        self.failure = failure

    @property
    def words(self) -> str:
        """What happened, for people."""
        return str(self.failure) if isinstance(self.failure, CallRefused) else self.failure.text

    @property
    def is_missing_page(self) -> bool:
        """Whether the venue has no such endpoint."""
        return not isinstance(self.failure, CallRefused) and self.failure.code == "http_404"


def until_failure(steps: Steps[T]) -> Conversation[T | CallRefused]:
    """Returns the conversation that ends with what stopped it, where something does."""
    try:
        return (yield from steps)
    except NoResultError as stopped:
        return stopped.failure


class Call(Struct, Generic[T], frozen=True):
    """One read: a conversation with a token, and what it costs.

    The conversation returns its result, `CallRefused` where the venue refuses in words, or a `Reason`. A
    reason with the code `http_401` means that the token was not taken: it is renewed, and the call is asked
    once more. It may take several requests, each of which counts in `meter`, the name of one of the api's
    meters. `timeout`: seconds for each of its requests.
    """

    name: str
    converse: Callable[[Secret], Conversation[T | CallRefused]]
    meter: str = "rest"
    timeout: float = 10.0


class RestApi:
    """How a venue's REST may be asked for what streams do not bring. Immutable; any thread."""

    host: str  # such as api.topstepx.com
    meters: Mapping[str, FrameLimit]  # by name, "rest" among them: so many requests in any so many seconds
