"""Batches as tests write them: of events with their topics, in pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from actors.events import Topic
from actors.rules.stream_buffer import Batch, Origin

Pair = tuple[Topic, Any]


def lists(pairs: Iterable[Pair]) -> tuple[list[Topic], list[Any]]:
    """The topics, and the events in step."""
    pairs = list(pairs)
    return [topic for topic, _ in pairs], [event for _, event in pairs]


def batch_of(pairs: Iterable[Pair], origin: Origin, indexes: Sequence[int] | None = None) -> Batch:
    return Batch(*lists(pairs), origin, indexes)
