"""Which of several addresses of a feed a line connects to: it stays with the one that works.

A round is one try of each address. It begins when the line is live, or when no address is left.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.reasons import Crashed, Fatal, Reason, Slow, Stopped

# A verdict that concerns the address, if no WebSocket was accepted there: the certificate, the way, the page.
OF_THE_ADDRESS = frozenset({"hostname", "offer"})
OF_THE_CREDENTIALS = frozenset({"http_401"})


class Doors:
    """One line's. Not thread-safe."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.urls = tuple(urls)
        self.at = 0  # the index of the one to which the line connects next
        self._failed: set[int] = set()  # in this round

    @property
    def url(self) -> str:
        return self.urls[self.at]

    def live(self) -> None:
        """The line is: the address works."""
        self._failed.clear()

    def ended(self, reason: Reason, *, reached: bool, stable: bool) -> bool:
        """A life has ended. Returns whether the line is to try another address at once.

        `reached`: the venue had accepted its WebSocket. `stable`: it was live for long enough; then the same
        address is tried once more.
        """
        if stable or not is_of_the_door(reason, reached=reached):
            return False
        self._failed.add(self.at)
        others = [(self.at + step) % len(self.urls) for step in range(1, len(self.urls))]
        left = [door for door in others if door not in self._failed]
        self.at = (left or others or [self.at])[0]
        if not left:
            self._failed.clear()
        return bool(left)


def is_of_the_door(reason: Reason, *, reached: bool) -> bool:
    """Whether another address may do better: it is no verdict on credentials, and concerns no account.

    Once the venue has accepted the WebSocket, a pause that it asks for is the account's.
    """
    match reason:
        case Stopped() | Crashed():
            return False
        case Slow():
            return not reached
        case Fatal(code=code):
            is_page = code.startswith("http_") and code not in OF_THE_CREDENTIALS
            return not reached and (is_page or code in OF_THE_ADDRESS)
        case _:
            return True
