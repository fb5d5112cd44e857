"""The messages of asks: to the requester, from users' threads, from its own threads and timers."""

from __future__ import annotations

from msgspec import Struct

from actors.messages import Idempotent
from actors.trading.asks import Ask
from actors.trading.login import Login


class AskRead(Idempotent, frozen=True):
    """Asked: carry on this read. Its thread answers."""

    ask: Ask


class AskMutation(Struct, frozen=True):
    """Asked: carry on this mutation. Its thread answers; a successor does not read it again."""

    ask: Ask


class AskPaused(Idempotent, frozen=True):
    """From the thread of a read: its meter has room again in so many seconds."""

    ask: Ask
    seconds: float


class AskEnded(Idempotent, frozen=True):
    """From the thread of an ask: a place is free."""


class MeterDue(Idempotent, frozen=True):
    """A timer's: this meter of a login has room again. `turn`: an older one has been overtaken."""

    login: Login
    meter: str
    turn: int
