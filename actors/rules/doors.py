"""Which of several addresses of a feed a line connects to: it stays with the one that works.

A round is one try of each address. It begins when the line is live, or when no address is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from actors.reasons import Crashed, Fatal, Reason, Slow, Stopped, Weather


class NextStep(NamedTuple):
    """What an ending means for the line. The default: nothing; its reason alone counts."""

    passes: bool = False  # it goes on, whatever the reason would mean for a line with one address
    at_once: bool = False  # another address is left in this round


class Doors:
    """One line's. Not thread-safe."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.urls = tuple(urls)
        self.at = 0  # the index of the one to which the line connects next
        self._failed: dict[int, Reason] = {}  # in this round

    @property
    def url(self) -> str:
        return self.urls[self.at]

    def live(self) -> None:
        """The line is: the address works."""
        self._failed.clear()

    def ended(self, reason: Reason, *, reached: bool, stable: bool) -> NextStep:
        """A life has ended: choose the next address.

        `reached`: the venue had accepted its WebSocket. `stable`: it was live for long enough; then the same
        address is tried once more.
        """
        if len(self.urls) == 1 or stable or not is_of_the_door(reason, reached=reached):
            return NextStep()
        self._failed[self.at] = reason
        others = [(self.at + step) % len(self.urls) for step in range(1, len(self.urls))]
        left = [door for door in others if door not in self._failed]
        self.at = (left or others)[0]
        if left:
            return NextStep(passes=True, at_once=True)
        every, self._failed = self._failed, {}
        return NextStep(passes=not all(isinstance(each, Fatal) for each in every.values()))


def is_of_the_door(reason: Reason, *, reached: bool) -> bool:
    """Whether another address may do better: it is no verdict on credentials, and concerns no account.

    Once the venue has accepted the WebSocket, a pause that it asks for is the account's.
    """
    match reason:
        case Stopped() | Crashed():
            return False
        case Slow() | Weather():
            return not reached
        case Fatal():
            return False
        case _:
            return True
