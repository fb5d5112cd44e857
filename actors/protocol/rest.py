"""Reads of a venue's REST: a conversation with a token, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, Literal, TypeVar

from msgspec import Struct

from actors.protocol.conversation import Conversation
from actors.protocol.limits import FrameLimit
from actors.secret import Secret

T = TypeVar("T")

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
