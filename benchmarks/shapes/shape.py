"""What a venue's messages look like: built before anything is measured, so that sending costs nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Mapping
from typing import Any, ClassVar

from actors.simulators import Simulator
from actors.simulators.peer import text_frame


class Shape(ABC):
    """One kind of message of one venue. Each bears a number that every client can read back."""

    name: ClassVar[str]
    venue: Any  # its simulator; it plays the login and the subscriptions, and its market stands still

    @abstractmethod
    def address(self) -> Mapping[str, str]:
        """What a client has to know to subscribe. The simulator is running."""

    @abstractmethod
    def listeners(self) -> int:
        """How many connections are subscribed now."""

    @abstractmethod
    def payload(self, number: int) -> bytes:
        """The message that bears this number, from 1 on."""

    def frame(self, number: int) -> bytes:
        """The same as a WebSocket frame."""
        return text_frame(self.payload(number))

    @property
    def simulator(self) -> Simulator:
        found: Simulator = self.venue
        return found


class Frames:
    """Frames one behind the other. They are numbered from 0 here, and bear their number plus 1."""

    def __init__(self, shape: Shape, count: int) -> None:
        frames = [shape.frame(number) for number in range(1, count + 1)]
        self._bytes = b"".join(frames)
        self._starts = array("Q", [0])
        for frame in frames:
            self._starts.append(self._starts[-1] + len(frame))

    def __len__(self) -> int:
        return len(self._starts) - 1

    def between(self, since: int, until: int) -> bytes:
        """These frames, ready to be sent; the last one is not among them."""
        return self._bytes[self._starts[since] : self._starts[until]]
