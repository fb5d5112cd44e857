"""Frames that wait for the budget of their connection, and what is to be done when they have left.

Control frames leave first: heartbeats and the answers to them. Of equal ones that wait the newest counts
(RFC 6455, 5.5.3).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from actors.protocol.limits import FrameLimit
from actors.rules.frame_budget import FrameBudget

MOST_CONTROL = 8  # control frames that wait; of more, as a flood of pings brings them, the oldest is given up
Then = Callable[[], None]


class Outbox:
    """Of one connection; `now` is monotonic seconds."""

    def __init__(self, budget: FrameBudget) -> None:
        self._budget = budget
        self._control: dict[Hashable, tuple[bytes, Then | None]] = {}
        self._after_control: list[Then] = []
        self._waiting: list[bytes | Then] = []  # mostly empty; a deque is large
        self.size = 0  # bytes that wait

    def take_limits(self, limits: Sequence[FrameLimit]) -> None:
        """Others hold from now on; what has left still counts."""
        self._budget.take_limits(limits)

    @property
    def is_open(self) -> bool:
        """Whether frames leave without a limit, and none waits: they need not be put here."""
        return self.is_empty and not self._budget.is_limited

    @property
    def holds_frames(self) -> bool:
        """Whether frames wait that are no control frames."""
        return bool(self._waiting)

    @property
    def is_empty(self) -> bool:
        return not (self._waiting or self._control)

    def put(self, frame: bytes) -> None:
        """It leaves when its turn comes."""
        self._waiting.append(frame)
        self.size += len(frame)

    def put_control(self, kind: Hashable, frame: bytes, then: Then | None = None) -> None:
        """It leaves before the others, in place of an earlier one of its kind; `then` is called after it."""
        if kind not in self._control and len(self._control) == MOST_CONTROL:
            given_up, _ = self._control.pop(next(iter(self._control)))
            self.size -= len(given_up)
        former, _ = self._control.get(kind, (b"", None))
        self.size += len(frame) - len(former)
        self._control[kind] = frame, then

    def then(self, call: Then) -> None:
        """Called in its turn, when the frames before it have left."""
        self._waiting.append(call)

    def take(self, now: float) -> bytes | Then | None:
        """The next frame that may leave, which is counted, or the next call; None: wait."""
        if self._after_control:
            return self._after_control.pop()
        if self._control and not self._budget.wait(now, control=True):
            frame, then = self._control.pop(next(iter(self._control)))
            if then is not None:
                self._after_control.append(then)
            return self._leave(frame, now, control=True)
        if not self._waiting:
            return None
        first = self._waiting[0]
        if isinstance(first, bytes) and self._budget.wait(now):
            return None
        del self._waiting[0]
        return self._leave(first, now) if isinstance(first, bytes) else first

    def room(self, now: float) -> int:
        """How many frames more may leave now; none while others wait."""
        return self._budget.room(now) if self.is_empty else 0

    def next_in(self, now: float) -> float:
        """Seconds until the next frame may leave; 0.0 as well where none waits, if one might leave now."""
        return self._budget.wait(now, control=bool(self._control))

    def _leave(self, frame: bytes, now: float, *, control: bool = False) -> bytes:
        self._budget.spend(now, control=control)
        self.size -= len(frame)
        return frame
