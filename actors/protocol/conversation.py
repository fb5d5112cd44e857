"""What a venue says and hears over HTTP, sans-I/O: a conversation is a generator.

It yields what to ask, is sent what was answered, and returns what came of it:

    def login(self, now_ns: int) -> Conversation[Token]:
        answer = yield HttpRequest("POST", f"{self.url}/auth", body=b"…")
        if answer.status != 200:
            return refusal(answer)
        return decode_token(answer.body)

Where nobody answers, the conversation is closed, and whoever carried it on tells the reason.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

from msgspec import Struct

from actors.http_types import HttpAnswer, HttpRequest
from actors.reasons import Reason
from actors.secret import Secret

T = TypeVar("T")


Conversation: TypeAlias = Generator[HttpRequest, HttpAnswer, T | Reason]


class Token(Struct, frozen=True):
    """What a login gave: presented at each connect until `expires_ns` is near or a venue refuses it."""

    value: Secret
    expires_ns: int | None = None  # wall clock; None: nobody said
