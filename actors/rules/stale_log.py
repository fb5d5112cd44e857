"""What is logged of the topics of one line that go stale and come back: each change once.

Told at each report what is stale, and answers with what is news. A topic is steady when it has not been stale
for `STEADY` seconds; one that is stale again before that flaps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from msgspec import Struct

from actors.events import Topic
from actors.rules.outage_log import Happened, OutageLog

STEADY: Final = 60.0  # seconds


class StaleNews(Struct, frozen=True):
    """What is to be logged."""

    stale: tuple[Topic, ...] = ()
    flapping: tuple[Topic, ...] = ()
    fresh: tuple[tuple[Topic, float], ...] = ()  # and for how many seconds it was stale, or flapped


class StaleLog:
    """One line's. Not thread-safe; `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._logs: dict[Topic, OutageLog] = {}  # of those that were stale, until they are steady
        self._fresh_at: dict[Topic, float] = {}  # of those among them that are not stale

    def report(self, stale: Collection[Topic], is_wanted: Callable[[Topic], bool], now: float) -> StaleNews:
        """`stale`: all that are stale now. Nothing is said of a topic that is not wanted any more."""
        for topic in [topic for topic in self._logs if not is_wanted(topic)]:
            self._forget(topic)
        fresh = self._steady(now)
        fresh += [topic for topic in self._logs if topic not in stale and self._is_fresh_again(topic, now)]
        back = tuple((topic, now - self._logs[topic].since) for topic in fresh)
        for topic in [topic for topic, log in self._logs.items() if log.is_well]:
            self._forget(topic)
        news: dict[str | None, list[Topic]] = {}
        for topic in stale:
            if topic not in self._logs or topic in self._fresh_at:
                self._fresh_at.pop(topic, None)
                record = self._logs.setdefault(topic, OutageLog()).note(Happened.LOST, now)
                news.setdefault(record, []).append(topic)
        return StaleNews(tuple(news.get("lost", ())), tuple(news.get("flapping", ())), back)

    @property
    def waits(self) -> bool:
        """Whether a topic that flaps is not stale now: a report is wanted `STEADY` seconds later."""
        return any(self._logs[topic].is_flapping for topic in self._fresh_at)

    def _is_fresh_again(self, topic: Topic, now: float) -> bool:
        """Whether that is news."""
        if topic in self._fresh_at:
            return False
        self._fresh_at[topic] = now
        return self._logs[topic].note(Happened.LIVE, now) is not None

    def _steady(self, now: float) -> list[Topic]:
        """Those of which that is news."""
        due = [topic for topic, since in self._fresh_at.items() if now - since >= STEADY]
        return [topic for topic in due if self._logs[topic].note(Happened.STABLE, now) is not None]

    def _forget(self, topic: Topic) -> None:
        del self._logs[topic]
        self._fresh_at.pop(topic, None)
