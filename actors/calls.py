"""How a user's thread asks an actor: with a deadline, and with an answer or an error when it is over."""

from __future__ import annotations

from typing import Any

import pykka

from actors.actor import Address, Reply
from actors.errors import Timeout
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
