"""Subscriptions that wait for their routes, so that no event can come before its reader is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from actors.delivery.table import Route
from actors.events import Topic

Routes = Mapping[Topic, Route]
Ready = tuple[int, tuple[Topic, ...]]  # the number of an asking, and its topics


class UnroutedAsking:
    """Topics that the registry wants, by the numbers of their placements."""

    def __init__(self, numbers: Mapping[Topic, int]) -> None:
        self.numbers = dict(numbers)
        self._unseen = list(numbers.items())  # not looked at, or without its route at the last look

    def is_routed(self, routes: Routes) -> bool:
        """Whether all of their routes have come."""
        while self._unseen:
            topic, number = self._unseen[-1]
            route = routes.get(topic)
            if topic in self.numbers and (route is None or route.number != number):
                return False
            self._unseen.pop()
        return True


class Askings:
    """Of one connection. The topics of an asking leave together, when the last of their routes is there."""

    def __init__(self) -> None:
        self._open: dict[int, UnroutedAsking] = {}
        self._waiting: dict[Topic, int] = {}  # topics of these: which one
        self._last = 0

    def add(self, number: int, numbers: Mapping[Topic, int], routes: Routes) -> list[Ready]:
        """What may leave now. An asking that another registry repeats changes nothing."""
        if number <= self._last:
            return []
        self._last = number
        ready = self.cancel(numbers, routes)  # the newest asking counts
        self._open[number] = UnroutedAsking(numbers)
        self._waiting.update(dict.fromkeys(numbers, number))
        return [*ready, *self._take(number, routes)]

    def routed(self, topic: Topic, routes: Routes) -> list[Ready]:
        """The route of this topic has changed. What may leave now."""
        number = self._waiting.get(topic)
        return [] if number is None else self._take(number, routes)

    def cancel(self, topics: Iterable[Topic], routes: Routes) -> list[Ready]:
        """These are not to be asked for any more. What no longer waits for them."""
        shorter: dict[int, None] = {}
        for topic in topics:
            number = self._waiting.pop(topic, None)
            if number is not None:
                del self._open[number].numbers[topic]
                shorter[number] = None
        return [ready for number in shorter for ready in self._take(number, routes)]

    def _take(self, number: int, routes: Routes) -> list[Ready]:
        if not self._open[number].is_routed(routes):
            return []
        topics = tuple(self._open.pop(number).numbers)
        for topic in topics:
            self._waiting.pop(topic, None)
        return [(number, topics)] if topics else []
