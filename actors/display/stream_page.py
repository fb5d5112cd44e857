"""A stream in a notebook: whether it is open, its counters, topics and last gaps. It takes no event."""

from __future__ import annotations

from itertools import chain, islice
from typing import Any

from actors.display.html import Row, facts, page, table
from actors.display.status_words import gap_length, topic_words
from actors.display.text import clock, span
from actors.events import Gap

TOPICS = 5  # that are named
GAPS = 5  # that are listed
GAP = ("gap until", "topic", "reason", "length", "missed")


def of_stream(stream: Any) -> str:
    """Returns its state now. Takes no lock, so it is shown in a forked child, too."""
    inlet, box = stream._inlet, stream._box
    end = inlet.end
    delivered, queued = box.delivered_and_queued()
    parts = (
        ("state", "open" if end is None else f"closed: {end.reason}"),
        ("topics", _topics(stream)),
        ("policy", stream.policy),
        ("capacity", f"{stream.capacity:,}" if stream.capacity else ""),
        ("received", f"{box.received:,}"),
        ("delivered", f"{delivered:,}"),
        ("dropped", f"{box.dropped:,}"),
        ("conflated", f"{box.conflated:,}"),
        ("queued", f"{queued:,}" + (f", the oldest for {span(inlet.lag())}" if queued else "")),
        ("gaps", f"{box.gaps:,}"),
        ("handler errors", f"{inlet.handler_errors:,}" if inlet.handler_errors else ""),
    )
    passed = list(stream._passed)
    gaps = [_gap(gap) for gap in reversed(passed[-GAPS:])]
    title = f"Stream {stream.id} {stream.feed}/{stream.channel}"
    return page(title, facts(parts), table(GAP, gaps, "gaps", left_out=len(passed) - len(gaps)))


def _topics(stream: Any) -> str:
    """How many there are, and the first of them: those before all that the venue has rejected."""
    topics = stream._topics.copy()
    is_over = stream._home.is_left or stream._inlet.end is not None
    states = {} if is_over else stream._control.states(topics)
    rejected = {topic: state.reason for topic, state in states.items() if state.state == "rejected"}
    told = (f"{topic} (rejected: {reason})" for topic, reason in rejected.items())
    named = [*islice(chain(told, (str(topic) for topic in topics if topic not in rejected)), TOPICS)]
    more = len(topics) - len(named)
    return f"{len(topics):,}: {', '.join(named)}" + (f" and {more:,} more" if more else "")


def _gap(gap: Gap) -> Row:
    missed = "unknown" if gap.missed is None else f"{gap.missed:,}"
    return Row((clock(gap.until_ns), topic_words(gap.topic), gap.reason, gap_length(gap), missed))
