"""From what a program writes to topics: a channel, keys of several types, options."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from reprlib import repr as shortened
from typing import Any, TypeGuard, cast

from actors.errors import LinewardenError
from actors.events import Key, Keys, Option, Topic
from actors.protocol.channel import TypedChannel
from actors.protocol.foreign_words import meaning
from actors.protocol.formatting import suggestion
from actors.protocol.venue import Channel, Venue
from actors.rules.stream_policy import StreamTerms

# Keywords, and the calls that take them: given to another call, one arrives there as an option.
KEYWORDS = {
    **dict.fromkeys(StreamTerms.__annotations__, "subscribe and on"),
    "wait": "subscribe, on and book",
    **dict.fromkeys(("handler", "on_marker", "inline"), "on"),
    "max_age": "fresh, require and latest",
    **dict.fromkeys(("live_for", "max_queue", "max_lag"), "require"),
    "depth": "book",
    "markers": "merge",
}
ONE = "Give one key."
SEVERAL = "Give each key as an argument of its own, or one list of keys."


def topics_of(
    venue: Venue, channel: Channel, keys: Sequence[Keys], options: Mapping[str, Option]
) -> tuple[Topic, ...]:
    """The topics that these keys mean, each once.

    Raises:
        LinewardenError: the channel takes keys and none was given, or the other way round, or the venue
            does not know a key or an option.
    """
    texts = keys_of(venue, keys)
    if channel.key and not texts:
        _check_names(venue, channel, options)  # a key may have been given by its name: symbol="AAPL"
        venue.check_options(channel, options)
        raise venue.mistake(f"channel {channel.name!r} wants at least one key ({channel.key})")
    if not channel.key and texts:
        raise venue.mistake(f"channel {channel.name!r} takes no keys")
    _check_names(venue, channel, options)
    for said in (*texts, *options.values()):
        _check_text(venue, said)
    every = [topic_of(venue, channel.name, text, options) for text in (texts or ("",))]
    return tuple(dict.fromkeys(every))


def topic_of(venue: Venue, channel: str, key: str, options: Mapping[str, Option]) -> Topic:
    """What `Venue.topic` returns, if it can be subscribed to: the actors of all feeds rely on its shape.

    Raises:
        LinewardenError: the venue does not know the key or an option, or its class returns something else.
    """
    topic: object = venue.topic(channel, key, options)
    wrong = ""
    if not isinstance(topic, Topic):
        wrong = "no Topic"
    elif topic.feed != venue.feed:
        wrong = f"a Topic of feed {topic.feed!r}, not of self.feed"
    elif topic.channel not in venue.channels:
        wrong = f"a Topic of channel {topic.channel!r}, which is none of its channels"
    elif not isinstance(topic.key, str):
        wrong = f"a Topic whose key is no text: {shortened(topic.key)}"
    elif not _are_options(topic.options):
        wrong = f"a Topic whose options are no tuple of (name, value): {shortened(topic.options)}"
    if wrong:
        call = f"{type(venue).__name__}.topic({channel!r}, {shortened(key)}, …)"
        raise venue.mistake(f"{call} returned {wrong}")
    return cast(Topic, topic)


def _are_options(options: object) -> bool:
    return isinstance(options, tuple) and all(_is_option(each) for each in options)


def _is_option(each: object) -> bool:
    return (
        isinstance(each, tuple)
        and len(each) == 2
        and isinstance(each[0], str)
        and isinstance(each[1], str | int | float)
    )


def options_of(channel: str | TypedChannel[Any], given: Mapping[str, Option]) -> Mapping[str, Option]:
    """The options of a constant, and those of the call, which come before them."""
    return {**channel.options, **given} if isinstance(channel, TypedChannel) else given


def keys_of(venue: Venue, keys: Sequence[Keys]) -> tuple[str, ...]:
    """The keys as text: one by one, or one iterable of them. A set is sorted, so that its order is stable.

    Raises:
        LinewardenError: a key is neither text nor an integer nor of a type that the venue knows, or the
            iterable is empty or not the only one.
    """
    if len(keys) != 1 or not _is_listing(keys[0]) or venue.key_text(keys[0]) is not None:
        return tuple(key_of(venue, key, SEVERAL) for key in keys)
    texts = tuple(key_of(venue, key, SEVERAL) for key in keys[0])
    if not texts:
        raise venue.mistake(f"the given {type(keys[0]).__name__} of keys is empty")
    return tuple(sorted(texts)) if isinstance(keys[0], set | frozenset) else texts


def key_of(venue: Venue, key: object, advice: str = ONE) -> str:
    """One key as text.

    Raises:
        LinewardenError: it is neither text nor an integer nor of a type that the venue knows, or it has
            thousands of digits.
    """
    text = None if isinstance(key, str | int) else venue.key_text(key)
    return plain_key(venue.feed, key, advice) if text is None else text


def plain_key(feed: str, key: object, advice: str = ONE) -> str:
    """One key as text, where the venue of the feed is not at hand.

    Raises:
        LinewardenError: it is neither text nor an integer, or it has thousands of digits.
    """
    if isinstance(key, str):
        return str.__str__(key)  # the value of a text enum, not its name
    if not isinstance(key, bool | Iterable):
        try:
            return str(operator.index(key))  # type: ignore[arg-type]
        except TypeError:
            pass
        except ValueError:  # the interpreter's limit
            raise LinewardenError(f"{feed}: a key has a few digits, and this integer thousands") from None
    raise LinewardenError(
        f"{feed}: a key is text or an integer, and {shortened(key)} is of type {type(key).__name__}. {advice}"
    )


def _is_listing(keys: Keys) -> TypeGuard[Iterable[Key | Mapping[str, Any]]]:
    return isinstance(keys, Iterable) and not isinstance(keys, str | bytes | bytearray | memoryview | Mapping)


def _check_names(venue: Venue, channel: Channel, options: Mapping[str, Option]) -> None:
    """A keyword that is misspelt, or of another call, arrives as an option."""
    for name in options:
        if name in channel.options or meaning(name, "options", venue.sdk_words()):
            continue  # `check_options` translates the words of SDKs
        if name in KEYWORDS:
            raise venue.mistake(
                f"{name!r} is no option of {channel.name}: it is a keyword of {KEYWORDS[name]}"
            )
        if (hint := suggestion(name, KEYWORDS)) != ".":
            raise venue.mistake(f"{name!r} is no keyword, and no option of {channel.name}{hint}")


def _check_text(venue: Venue, said: Option) -> None:
    """Half of a surrogate pair is in no frame: a connection that is to ask for it can only crash."""
    try:
        if isinstance(said, str):
            said.encode()
    except UnicodeEncodeError:
        raise venue.mistake(f"{said!a} is no text that a venue could be sent.") from None
