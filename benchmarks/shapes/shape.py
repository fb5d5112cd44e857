"""What a venue's messages look like: built before anything is measured, so that sending costs nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from msgspec import structs

from actors.simulators import Simulator
from actors.simulators.base.client import text_frame
from benchmarks.clients.feeds import Subscription

Venue = TypeVar("Venue", bound=Simulator)


class Shape(ABC, Generic[Venue]):
    """One kind of message of one venue. Each bears a number that every client can read back.

    `venue` is the simulator that plays the login and the subscriptions; its market stands still. The
    messages go round among `keys`.
    """

    name: ClassVar[str]

    def __init__(self, venue: Venue, keys: Sequence[str]) -> None:
        self.venue = venue
        self.keys = keys

    def start(self) -> None:
        self.venue.start()

    def stop(self) -> None:
        self.venue.stop()

    @abstractmethod
    def place(self) -> Mapping[str, Any]:
        """What a client has to know to subscribe, as JSON: `url` and `keys` among it. It is started."""

    @abstractmethod
    def wants(self, url: str) -> Subscription:
        """What Linewarden subscribes to at this address."""

    def address(self) -> Mapping[str, Any]:
        """The place, and under `wants` what Linewarden subscribes to there."""
        place = self.place()
        return {**place, "wants": structs.asdict(self.wants(place["url"]))}

    @abstractmethod
    def subscribers(self, key: str) -> int:
        """How many connections are subscribed to this key."""

    def listeners(self) -> int:
        """How many connections are subscribed now; to the last key, who asks for them in their order."""
        return self.subscribers(self.keys[-1])

    def key(self, number: int) -> str:
        return self.keys[number % len(self.keys)]

    @abstractmethod
    def payload(self, number: int) -> bytes:
        """The message that bears this number, from 1 on."""

    def frame(self, number: int) -> bytes:
        """The same as a WebSocket frame."""
        return text_frame(self.payload(number))


class Frames:
    """The frames of the messages 1 to `count`, one behind the other; here they are counted from 0."""

    def __init__(self, shape: Shape[Any], count: int) -> None:
        frames = [shape.frame(number) for number in range(1, count + 1)]
        self._bytes = b"".join(frames)
        self._starts = array("Q", [0])
        for frame in frames:
            self._starts.append(self._starts[-1] + len(frame))

    def __len__(self) -> int:
        return len(self._starts) - 1

    def between(self, since: int, until: int) -> bytes:
        """These frames, ready to be sent; the one at `until` is not among them."""
        return self._bytes[self._starts[since] : self._starts[until]]
