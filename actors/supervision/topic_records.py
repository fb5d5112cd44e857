"""The log records of the topics of a line that go stale and come back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from actors.delivery.cells import Cells
from actors.display.text import span
from actors.events import Topic
from actors.log_events import LogEvent
from actors.log_queue import EventLogger
from actors.rules.stale_log import STEADY
from actors.supervision.state import LineRecord

EACH: Final = 5  # topics that have records of their own; of more that change at once, there is one


def log_topics(log: EventLogger, line: LineRecord, cells: Cells, now: float) -> None:
    """Logs what is news of the topics that the heartbeat reported last."""

    def is_wanted(topic: Topic) -> bool:
        return cells.get(topic) is not None

    news = line.stale_log.report(line.stale, is_wanted, now)
    stale = [(topic, f"is stale: {line.stale[topic].text}") for topic in news.stale]
    again = f"is stale again within {STEADY:g} s; more is logged once it has been fresh for as long"
    flapping = [(topic, f"{again}: {line.stale[topic].text}") for topic in news.flapping]
    fresh = [(topic, f"is not stale any more; it was for {span(seconds)}") for topic, seconds in news.fresh]
    _write(log, line, logging.WARNING, "topic.stale", stale)
    _write(log, line, logging.WARNING, "topic.flapping", flapping)
    _write(log, line, logging.INFO, "topic.fresh", fresh)


def _write(
    log: EventLogger, line: LineRecord, level: int, event: LogEvent, rows: Sequence[tuple[Topic, str]]
) -> None:
    if len(rows) > EACH:
        topic, words = rows[0]
        line.log(log, level, event, f"{len(rows):,} topics, among them {topic}: it {words}", event)
        return
    for topic, words in rows:
        line.log(log, level, event, f"{topic} {words}", str(topic))
