"""The topics of one connection whose key is a market's name: they wait until the id of the market is known.

A name that the last list has is subscribed to at once. Where that list is not recent, it is asked for again
beside that, so a market that has got another id ends the connection, and the next one uses the new id.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.protocol import (
    Effect,
    End,
    Fetch,
    HttpAnswer,
    HttpFailed,
    Reason,
    Reject,
    Resent,
    Retryable,
    Topic,
    status_reason,
)
from actors.venues.o2.markets import PATH, KnownMarkets, is_name, list_request, read_markets
from actors.venues.o2.subscriptions import O2Subscriptions

TICKET = "markets"
FIRST_DELAY, LAST_DELAY = 5.0, 60.0  # seconds until the list is asked for again, doubling


class NamedTopics:
    """Not thread-safe; `now` is monotonic seconds. `asked`: where topics go as soon as their id is known."""

    def __init__(self, markets: KnownMarkets, base: str, asked: O2Subscriptions) -> None:
        self._markets, self._request, self._asked = markets, list_request(base), asked
        self._waiting: dict[Topic, None] = {}
        self._is_fetching = False
        self._failures = 0  # in a row

    def ask(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        """Subscribes to these; those without an id are kept, and O2's list is asked for."""
        named = [topic for topic in topics if is_name(topic.key)]
        if not named:
            return self._asked.ask(topics)
        unknown = self._look_up(named)
        ready = [topic for topic in topics if topic not in unknown]
        effects = self._asked.ask(ready)
        if self._markets.is_recent(now):
            return effects + self._rejections(unknown)
        self._waiting.update(dict.fromkeys(unknown))
        if not self._is_fetching:
            self._is_fetching = True
            effects.append(Fetch(TICKET, self._request))
        return effects

    def forget(self, topics: Sequence[Topic]) -> None:
        """These are not wanted any more."""
        for topic in topics:
            self._waiting.pop(topic, None)

    def fetched(self, outcome: HttpAnswer | HttpFailed, now: float) -> list[Effect]:
        """The list has come, or has not."""
        self._is_fetching = False
        failure = self._read(outcome, now)
        waiting, self._waiting = list(self._waiting), {}
        if failure is not None:
            return self._put_off(waiting, failure)
        self._failures = 0
        moved = [name for name in self._asked.names() if self._is_moved(name)]
        if moved:
            return [End(Retryable(f"o2 lists market {moved[0]!r} with another id now", "o2_market_moved"))]
        unknown = self._look_up(waiting)
        ready = tuple(topic for topic in waiting if topic not in unknown)
        # The time in which an answer is due begins now.
        effects = [*self._asked.ask(ready), Resent(ready)] if ready else []
        return effects + self._rejections(unknown)

    def _is_moved(self, name: str) -> bool:
        return self._markets.id(name) not in (self._asked.ids[name], None)

    def _look_up(self, topics: Sequence[Topic]) -> list[Topic]:
        """The topics without an id. A name keeps its id for the life of the connection."""
        unknown = []
        for topic in topics:
            id = self._asked.ids.get(topic.key) or self._markets.id(topic.key)
            if id is None:
                unknown.append(topic)
            else:
                self._asked.ids[topic.key] = id
        return unknown

    def _read(self, outcome: HttpAnswer | HttpFailed, now: float) -> Reason | None:
        """Keeps the list; returns why there is none."""
        if isinstance(outcome, HttpFailed):
            return outcome.reason()
        if outcome.status != 200:
            return status_reason(outcome, f"http {outcome.status}", "")
        try:
            self._markets.keep(read_markets(outcome.body), now)
        except Exception:
            return Retryable("it cannot be read", "o2_markets")
        return None

    def _put_off(self, waiting: Sequence[Topic], failure: Reason) -> list[Effect]:
        if not waiting:
            return []
        delay = min(FIRST_DELAY * 2.0**self._failures, LAST_DELAY)
        self._failures += 1
        pause = getattr(failure, "retry_after", None)
        delay = max(delay, min(pause or 0.0, LAST_DELAY))
        text = f"o2's list of markets ({PATH}) did not come: {failure.text}"
        return [Reject(tuple(waiting), f"{text}. It is asked for again in {delay:.0f} s", delay)]

    def _rejections(self, topics: Sequence[Topic]) -> list[Effect]:
        return [Reject((topic,), self._markets.mistake(topic.key)) for topic in topics]
