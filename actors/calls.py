"""How a user's thread asks an actor: with a deadline, and with an answer or an error when it is over."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from actors.actor import ActorGoneError, Address, Reply, ReplyTimeout
from actors.delivery.waits import SLICE, is_reader
from actors.errors import LinewardenError, Timeout
from actors.messages import SendMessage
from actors.timers import lock_timeout, seconds_left

CALL = 5.0  # seconds that a call waits for an actor, where the user names no time


def ask(address: Address, message: Any, seconds: float = CALL) -> Any:
    """The answer to this question.

    Raises:
        Timeout: the actor did not answer within `seconds`.
        RuntimeStopped: the runtime has ended, or ends meanwhile.
    """
    text = f"the {address.role} did not answer within {seconds:g} s; runtime.status() shows why"
    return answer_of(address.ask(message), seconds, text)


def answer_of(reply: Reply, seconds: float, too_late: str = "") -> Any:
    """The value of the reply; after `seconds` the reply is given up.

    Raises:
        Timeout: no answer came in time; `too_late` is its text.
    """
    try:
        return reply.get(timeout=lock_timeout(seconds))
    except ReplyTimeout as error:
        raise Timeout(too_late or str(error)) from None
    finally:
        reply.abandon()


def answer_of_lines(reply: Reply, seconds: float, refuse: Callable[[], None], too_late: str = "") -> Any:
    """The same, where the answer takes what lines read; `refuse` raises if this thread keeps them from it.

    Raises:
        Timeout: no answer came in time.
        WaitRefusedError: this thread reads a `block` stream of these lines, which is full or becomes full.
    """
    deadline, at_most = time.monotonic() + seconds, SLICE if is_reader() else math.inf
    try:
        while True:
            refuse()
            left = seconds_left(deadline)
            try:
                return reply.get(timeout=lock_timeout(min(at_most, left)))
            except ReplyTimeout as error:
                if left <= at_most:
                    raise Timeout(too_late or str(error)) from None
    finally:
        reply.abandon()


OwnMessage = str | bytes | Mapping[str, Any] | Sequence[Any]  # of a program


def send(connection: Address, line: str, message: OwnMessage) -> None:
    """Has a line's connection send this message: text, binary, or a mapping or list that its session writes.

    Raises:
        LinewardenError: the line is not connected and logged in, its connection was lost while this was
            sent, or the message cannot be written.
    """
    own = _own(line, message)
    try:
        trouble = ask(connection, SendMessage(own))
    except ActorGoneError:
        trouble = "nothing was sent: it is not connected"
    if trouble:
        raise LinewardenError(f"{line}: {trouble}")


def send_later(connection: Address, line: str, message: OwnMessage) -> None:
    """The same, where its answer cannot be waited for: a failure of the connection's is logged by it.

    Raises:
        LinewardenError: the message cannot be written.
    """
    connection.tell(SendMessage(_own(line, message), is_answered=False))


def _own(line: str, message: OwnMessage) -> OwnMessage:
    """The message as it may go to another thread: a mapping or list becomes a copy of plain values."""
    try:
        if isinstance(message, str):
            message.encode()
        if isinstance(message, str | bytes):
            return message
        if isinstance(message, Mapping | list | tuple):
            plain = dict(message) if isinstance(message, Mapping) else message
            copy: OwnMessage = msgspec.to_builtins(plain, builtin_types=(bytes,))
            msgspec.json.encode(copy)  # text in it may be none
            return copy
        why = f"is text, bytes, a mapping or a list, and {type(message).__name__} is none of them"
    except UnicodeEncodeError as error:
        why = f"is no Unicode text: {error}"
    except (TypeError, ValueError, RecursionError) as error:
        why = f"cannot be written: {error}"
    raise LinewardenError(f"{line}: nothing was sent: the message {why}") from None
