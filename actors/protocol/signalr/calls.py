"""Invocations of the hub's methods: those with an id wait for their completion.

HubProtocol, "Invocations": without an id the hub answers nothing at all, not even that it refuses.
Ids are the connection's own, are not used twice, and begin again with the next connection.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from msgspec import Raw, Struct

from actors.protocol.session import Effect
from actors.protocol.signalr.formatting import said
from actors.protocol.signalr.messages import Codec, Completion


class Call(Struct, frozen=True, gc=False):
    """One invocation; the arguments are positional, and their types matter to a hub."""

    target: str
    arguments: tuple[Any, ...] = ()
    blocking: bool = True  # the hub is to answer it


class Returned(Struct, frozen=True):
    """The hub did it. A method without a result gives null, or nothing, which is null here too."""

    result: Raw


class CallRefused(Struct, frozen=True):
    """The hub did not do it, for whatever reason its words give: they are for people alone."""

    words: str


class Unanswered(Struct, frozen=True):
    """It is unknown whether the hub did it. `lost`: the connection ended before the answer."""

    lost: bool = False


CallOutcome = Returned | CallRefused | Unanswered
Then = Callable[[CallOutcome], list[Effect]]


class Pending(Struct, frozen=True):
    then: Then | None
    until: float  # monotonic seconds


class Calls:
    """What waits for a completion on one connection. `patience` is in seconds.

    What a call's `then` answers goes through `pass_on`.
    """

    def __init__(
        self, codec: Codec, patience: float, pass_on: Callable[[list[Effect]], list[Effect]]
    ) -> None:
        self._codec = codec
        self._patience = patience
        self._pass_on = pass_on
        self._ids = count()
        self._pending: dict[str, Pending] = {}  # in the order of their deadlines

    def __len__(self) -> int:
        return len(self._pending)

    def ask(self, call: Call, then: Then | None, now: float) -> str | bytes:
        """What to send; `then` is told what comes of it, once."""
        id = str(next(self._ids))
        message = self._codec.invocation(id, call.target, call.arguments)
        self._pending[id] = Pending(then, now + self._patience)
        return message

    def completed(self, completion: Completion) -> list[Effect] | None:
        """None: no call with this id waits, or not any more."""
        pending = self._pending.pop(completion.invocation_id, None)
        if pending is None:
            return None
        if completion.error:
            return self._end(pending, CallRefused(said(completion.error)))
        return self._end(pending, Returned(completion.result))

    def overdue(self, now: float) -> list[Effect]:
        """Give up what was not answered in time."""
        late = [id for id, pending in self._pending.items() if pending.until <= now]
        effects: list[Effect] = []
        for id in late:
            if pending := self._pending.pop(id, None):  # one of them may have ended the connection
                effects += self._end(pending, Unanswered())
        return effects

    def lose(self) -> list[Effect]:
        """The connection ends, and all that waits with it."""
        lost, self._pending = self._pending, {}
        return [effect for pending in lost.values() for effect in self._end(pending, Unanswered(lost=True))]

    def _end(self, pending: Pending, outcome: CallOutcome) -> list[Effect]:
        return [] if pending.then is None else self._pass_on(pending.then(outcome))

    def postpone(self, seconds: float) -> None:
        """We have not listened for so long: that is not the hub's fault."""
        self._pending = {
            id: Pending(pending.then, pending.until + seconds) for id, pending in self._pending.items()
        }
