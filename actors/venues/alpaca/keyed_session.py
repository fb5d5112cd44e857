"""What both of Alpaca's protocols have in common: a login by message, and how messages are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from actors.protocol import Secret, Send, Session
from actors.venues.alpaca.codec import Encoding, encode


class KeyedSession(Session):
    """A connection that logs in with key and secret."""

    def __init__(self, key: Secret, secret: Secret, *, encoding: Encoding = "json") -> None:
        super().__init__()
        self._key, self._secret = key, secret
        self._encoding: Encoding = encoding

    def _login(self) -> Send:
        return self._frame({"action": "auth", "key": self._key.reveal(), "secret": self._secret.reveal()})

    def _frame(self, message: Mapping[str, object]) -> Send:
        return Send(self.written(message))

    def written(self, message: Mapping[str, Any] | Sequence[Any]) -> str | bytes:
        return encode(message, self._encoding)
