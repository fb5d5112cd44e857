"""The venue's answers to the subscriptions of one connection: which of them are news.

A venue may repeat an answer at full speed, or answer what was never asked. The registry is told neither.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from actors.events import Topic
from actors.protocol.session import Confirm, Effect, Reject

Answer = Confirm | Reject


class Answers:
    """The last answer to each topic that was asked for."""

    def __init__(self) -> None:
        self._last: dict[Topic, tuple[object, ...]] = {}  # what people read of it; empty: none yet

    def ask(self, topics: Iterable[Topic]) -> None:
        """The next answer to each of these is news."""
        self._last.update(dict.fromkeys(topics, ()))

    def lift(self, topics: Iterable[Topic]) -> None:
        """These are wanted no longer."""
        for topic in topics:
            self._last.pop(topic, None)

    @property
    def asked(self) -> Collection[Topic]:
        """All that is wanted and was asked for."""
        return self._last.keys()

    @property
    def waiting(self) -> list[Topic]:
        """Those without an answer."""
        return [topic for topic, answer in self._last.items() if not answer]

    def news(self, settled: Mapping[Topic, Answer]) -> list[tuple[Answer, tuple[Topic, ...]]]:
        """The answers that differ from the last one, each with its topics; equal ones are one."""
        grouped: dict[tuple[object, ...], tuple[Answer, list[Topic]]] = {}
        former: Answer | None = None
        meaning: tuple[object, ...] = ()
        for topic, answer in settled.items():
            if answer is not former:  # mostly one answers many
                former, meaning = answer, _meaning(answer)
            if self._last.get(topic, meaning) != meaning:
                self._last[topic] = meaning
                grouped.setdefault(meaning, (answer, []))[1].append(topic)
        return [(answer, tuple(topics)) for answer, topics in grouped.values()]


def last_answers(effects: Iterable[Effect]) -> dict[Topic, Answer]:
    """The last answer to each topic. An assumption overrules no answer."""
    settled: dict[Topic, Answer] = {}
    for effect in effects:
        match effect:
            case Confirm(topics=topics, assumed=True):
                for topic in topics:
                    settled.setdefault(topic, effect)
            case Confirm(topics=topics) | Reject(topics=topics):
                settled.update(dict.fromkeys(topics, effect))
    return settled


def _meaning(answer: Answer) -> tuple[object, ...]:
    match answer:
        case Confirm(assumed=assumed):
            return ("confirmed", assumed)
        case Reject(reason=reason, retry_after=retry_after):
            return ("rejected", reason, retry_after)
