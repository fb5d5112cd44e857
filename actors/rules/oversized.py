"""Which topic brought a message that is too large, told by its first bytes, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection

from actors.events import Topic


def topic_of(head: bytes, asked: Collection[Topic], waiting: Collection[Topic]) -> Topic | None:
    """The one topic whose message begins like this; None: it cannot be told.

    `asked`: all that the connection has asked for; `waiting`: those of them without an answer.
    """
    text = head.lower()
    named = [topic for topic in asked if topic.key and topic.key.lower().encode() in text]
    for found in (named, [topic for topic in named if topic.channel.encode() in text]):
        if len(found) == 1:
            return found[0]
    answers = [topic for topic in waiting if not named or topic in named]
    return answers[0] if head and len(answers) == 1 else None


def advice(size: int, feed: str) -> str:
    """What to write into the config, so that a message of this size is taken: with room for a larger one."""
    enough = 1 << (size * 5 // 4).bit_length()
    return f"To take such messages, set max_message = {enough} in [feeds.{feed}]."
