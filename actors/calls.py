"""How a user's thread asks an actor: with a deadline, and with an answer or an error when it is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pykka

from actors.actor import Address, Reply
from actors.errors import LinewardenError, Timeout
from actors.messages import SendMessage
from actors.timers import lock_timeout

CALL = 5.0  # seconds that a call waits for an actor, where the user names no time


def ask(address: Address, message: Any, seconds: float = CALL) -> Any:
    """The answer to this question.

    Raises:
        Timeout: the actor did not answer within `seconds`.
        RuntimeStopped: the runtime has ended, or ends meanwhile.
    """
    try:
        return answer_of(address.ask(message), seconds)
    except pykka.Timeout:
        text = f"the {address.role} did not answer within {seconds:g} s; runtime.status() shows why"
        raise Timeout(text) from None


def answer_of(reply: Reply, seconds: float) -> Any:
    """What the reply is set to within so many seconds; after that it is given up.

    Raises:
        pykka.Timeout: no answer came in time.
    """
    try:
        return reply.get(timeout=lock_timeout(seconds))
    finally:
        reply.abandon()


def send(connection: Address, line: str, message: str | bytes | Mapping[str, Any]) -> None:
    """Has a line's connection send this message: text, binary, or a mapping as JSON.

    Raises:
        LinewardenError: the line is not connected and logged in, or the message is no Unicode text.
    """
    try:
        payload = message if isinstance(message, str | bytes) else msgspec.json.encode(message).decode()
        if isinstance(payload, str):
            payload.encode()
    except UnicodeEncodeError as error:
        raise LinewardenError(f"{line}: nothing was sent: the message is no Unicode text: {error}") from None
    try:
        trouble = ask(connection, SendMessage(payload))
    except pykka.ActorDeadError:
        trouble = "it is not connected"
    if trouble:
        raise LinewardenError(f"{line}: nothing was sent: {trouble}")
