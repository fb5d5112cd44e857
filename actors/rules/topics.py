"""From what a program writes to topics: a channel, keys of several types, options."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from reprlib import repr as shortened
from typing import Any, SupportsIndex, TypeGuard

from actors.errors import LinewardenError
from actors.events import Key, Keys, Option, Topic
from actors.protocol.channel import TypedChannel
from actors.protocol.formatting import suggestion
from actors.protocol.venue import Channel, Venue
from actors.rules.stream_policy import StreamTerms

KEYWORDS = (*StreamTerms.__annotations__, "on_marker", "inline", "max_age")  # of calls that take options, too


def topics_of(
    venue: Venue, channel: Channel, keys: Sequence[Keys], options: Mapping[str, Option]
) -> tuple[Topic, ...]:
    """The topics that these keys mean, each once.

    Raises:
        LinewardenError: the channel takes keys and none was given, or the other way round, or the venue
            does not know a key or an option.
    """
    texts = keys_of(venue.feed, keys)
    if channel.key and not texts:
        raise venue.mistake(f"channel {channel.name!r} wants at least one key ({channel.key})")
    if not channel.key and texts:
        raise venue.mistake(f"channel {channel.name!r} takes no keys")
    _check_names(venue, channel, options)
    for said in (*texts, *options.values()):
        _check_text(venue, said)
    every = [venue.topic(channel.name, text, options) for text in (texts or ("",))]
    return tuple(dict.fromkeys(every))


def options_of(channel: str | TypedChannel[Any], given: Mapping[str, Option]) -> Mapping[str, Option]:
    """The options of a constant, and those of the call, which come before them."""
    return {**channel.options, **given} if isinstance(channel, TypedChannel) else given


def keys_of(feed: str, keys: Sequence[Keys]) -> tuple[str, ...]:
    """The keys as text: one by one, or one iterable of them. A set is sorted, so that its order is stable.

    Raises:
        LinewardenError: a key is neither text nor an integer, or the iterable is empty or not the only one.
    """
    if len(keys) != 1 or not _is_listing(keys[0]):
        return tuple(key_of(feed, key) for key in keys)
    texts = tuple(key_of(feed, key) for key in keys[0])
    if not texts:
        raise LinewardenError(f"{feed}: the given {type(keys[0]).__name__} of keys is empty")
    return tuple(sorted(texts)) if isinstance(keys[0], set | frozenset) else texts


def key_of(feed: str, key: object) -> str:
    """One key as text.

    Raises:
        LinewardenError: it is neither text nor an integer.
    """
    if isinstance(key, str):
        return str.__str__(key)  # the value of a text enum, not its name
    if isinstance(key, SupportsIndex) and not isinstance(key, bool | Iterable):
        return str(operator.index(key))
    raise LinewardenError(
        f"{feed}: a key is text or an integer, and {shortened(key)} is of type {type(key).__name__}. "
        "Give each key as an argument of its own, or one list of keys."
    )


def _is_listing(keys: Keys) -> TypeGuard[Iterable[Key]]:
    return isinstance(keys, Iterable) and not isinstance(keys, str | bytes | bytearray | memoryview | Mapping)


def _check_names(venue: Venue, channel: Channel, options: Mapping[str, Option]) -> None:
    """A misspelt keyword arrives as an option, which the venue could not name."""
    for name in options:
        if name not in channel.options and (hint := suggestion(name, KEYWORDS)) != ".":
            raise venue.mistake(f"{name!r} is no keyword, and no option of {channel.name}{hint}")


def _check_text(venue: Venue, said: Option) -> None:
    """Half of a surrogate pair is in no frame: a connection that is to ask for it can only crash."""
    try:
        if isinstance(said, str):
            said.encode()
    except UnicodeEncodeError:
        raise venue.mistake(f"{said!a} is no text that a venue could be sent.") from None
