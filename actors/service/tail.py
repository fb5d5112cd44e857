"""Sends a stream of the runtime to another program: one JSON text frame per item.

An event is `{"topic", "received_ns", "epoch", "type", "event"}`, where `type` is the name of the event's
type. One that JSON cannot have is null, with an `error`. A marker is
`{"marker": "gap" | "lifecycle" | "venue_state" | "stale" | "fresh" | "closed"}` and the marker's own fields.
Numbers are exact: see `responses.to_json`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, cast, get_args

import msgspec
from msgspec import Struct, structs

from actors.errors import SubscribeError
from actors.events import (
    Closed,
    Fresh,
    Gap,
    Lifecycle,
    Marker,
    Received,
    Repaired,
    Source,
    Stale,
    Topic,
    VenueState,
)
from actors.rules.stream_buffer import Policy
from actors.rules.topics import topics_of
from actors.runtime import Runtime
from actors.service.access import of_an_account
from actors.service.opened import Opened
from actors.service.responses import RequestDeclined, parse_switch, to_json
from actors.service.rights import Caller
from actors.service.venue_words import public_marker
from actors.stream import Stream

CAPACITY, MOST = 10_000, 100_000  # events that may wait for a tail
REJECTED_WITHIN = 0.5  # seconds to wait for a rejection by the venue before the tail is opened
_ONCE = ("feed", "channel", "policy", "capacity", "markers")
_NEVER = ("self", "wait", "handler")  # parameters of `subscribe` that are not options of a channel


class TailItem(Struct, omit_defaults=True):
    topic: str
    received_ns: int
    epoch: int
    type: str
    event: Any
    source: Source = "stream"  # left out then
    error: str = ""  # why `event` is null although there was one; left out where it is not


class Tail:
    """One thread reads `frames`; any thread may close the tail meanwhile."""

    def __init__(
        self,
        stream: Stream[Any],
        ended: Callable[[], object],
        *,
        markers: bool,
        shown: Callable[[Marker], Marker] = lambda marker: marker,
    ) -> None:
        """`ended` is called once, when the tail is closed. `shown`: what its client may see of a marker."""
        self._stream = stream
        self._release = [ended]
        self._markers, self._shown = markers, shown
        self._names: dict[Topic, str] = {}
        self._closed = ""  # the reason given to `close`
        self._drained = ""  # the reason given to `drain`
        self.ended = ""  # the reason, once `frames` has ended

    def frames(self) -> Iterator[bytes]:
        """Blocks for each; ends when the stream is closed."""
        for item in self._stream.items():
            if self._closed:  # queued items are not sent: `close` does not wait for them
                yield from self._last_words(Closed(self._closed))
                return
            if isinstance(item, Received):
                yield self._frame(item)
            elif isinstance(item, Closed):
                yield from self._last_words(Closed(self._drained) if self._drained else item)
            elif self._markers:
                yield to_json(_marker_fields(self._shown(item)))

    def _frame(self, item: Received[Any]) -> bytes:
        name, kind = self._name(item.topic), type(item.event).__name__
        told = TailItem(name, item.received_ns, item.epoch, kind, item.event, item.source)
        try:
            return to_json(told)
        except Exception as error:  # such as an event that is nested too deeply
            why = f"it cannot be written as JSON: {type(error).__name__}"
            return to_json(structs.replace(told, event=None, error=why))

    def _last_words(self, closed: Closed) -> Iterator[bytes]:
        self.ended = closed.reason
        if self._markers:
            yield to_json(_marker_fields(closed))

    def drain(self, why: str) -> None:
        """Ends behind what is queued."""
        if not self._drained:
            self._drained = why
            self._stream.close()

    def close(self, why: str) -> None:
        self._closed = self._closed or why
        with suppress(IndexError):  # it has been called
            self._release.pop()()
        self._stream.close()

    def __repr__(self) -> str:
        return f"<Tail of {self._stream.feed}/{self._stream.channel}>"

    def _name(self, topic: Topic) -> str:
        name = self._names.get(topic)
        if name is None:
            name = self._names[topic] = str(topic)
        return name


def open_tail(runtime: Runtime, opened: Opened, caller: Caller, query: Sequence[tuple[str, str]]) -> Tail:
    """Subscribes to the topics of a query, which count as this caller's.

    The policy is `drop_oldest` by default, on account channels too: a tail never holds a line.

    Raises:
        RequestDeclined: a parameter is missing or unknown, the venue rejects a key, or the client has as much
            as it may; nothing is subscribed.
        RuntimeStopped: the runtime has stopped.
    """
    words = dict(query)
    for name in _ONCE:
        if sum(name == other for other, _ in query) > 1:
            raise RequestDeclined(400, f"{name}= is given more than once")
    if not (words.get("feed") and words.get("channel")):
        raise RequestDeclined(400, "a tail needs feed=... and channel=..., and key=... for each key")
    options = {name: value for name, value in query if name not in _ONCE and name != "key"}
    for name in _NEVER:
        if name in options:
            raise RequestDeclined(400, f"a tail has no option {name!r}")
    markers = parse_switch(words.get("markers", "0"), "markers")
    keys = [value for name, value in query if name == "key"]
    capacity = _capacity(words.get("capacity", str(CAPACITY)))
    policy = _policy(words.get("policy", "drop_oldest"))
    venue = runtime._spec_of(words["feed"]).venue
    channel = venue.channel(words["channel"])
    if not (channel.is_public or caller.may("account")):
        raise of_an_account(venue.feed, channel.name)
    topics = topics_of(venue, channel, keys, options)
    ended = opened.tail(caller.client, venue, topics)
    try:
        stream = runtime.subscribe(
            words["feed"],
            words["channel"],
            *keys,
            policy=policy,
            capacity=capacity,
            wait=REJECTED_WITHIN,
            **cast("dict[str, Any]", options),
        )
    except SubscribeError as error:  # some topics are not answered yet; the stream is open
        stream = _unless_rejected(error, ended)
    except BaseException:
        ended()
        raise
    if caller.may("account"):
        return Tail(stream, ended, markers=markers)
    return Tail(stream, ended, markers=markers, shown=public_marker)


def _unless_rejected(error: SubscribeError, ended: Callable[[], object]) -> Stream[Any]:
    if not isinstance(error.stream, Stream):
        ended()
        raise error
    rejected = {topic: state.reason for topic, state in error.results.items() if state.state == "rejected"}
    if rejected:
        error.stream.close()
        ended()
        rejections = "; ".join(f"{topic}: {reason}" for topic, reason in rejected.items())
        raise RequestDeclined(400, f"the venue rejects {rejections}")
    return error.stream


def _capacity(text: str) -> int:
    capacity = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(MOST)) else 0
    if not 1 <= capacity <= MOST:
        raise RequestDeclined(400, f"capacity: expected a number of events from 1 to {MOST}")
    return capacity


def _policy(text: str) -> Policy:
    if text == "block":
        why = "a slow tail would stop the line for every stream"
        raise RequestDeclined(400, f"policy=block is not allowed: {why}")
    for policy in get_args(Policy):
        if policy == text:
            return policy  # type: ignore[no-any-return]
    raise RequestDeclined(400, f"policy: expected drop_oldest, drop_newest or conflate, found {text[:40]!r}")


_NAMES = {
    Gap: "gap",
    Repaired: "repaired",
    Lifecycle: "lifecycle",
    VenueState: "venue_state",
    Stale: "stale",
    Fresh: "fresh",
    Closed: "closed",
}


def _marker_fields(marker: Marker) -> dict[str, Any]:
    fields: dict[str, Any] = {"marker": _NAMES[type(marker)], **msgspec.structs.asdict(marker)}
    if isinstance(marker, Gap | Repaired | Stale | Fresh):
        fields["topic"] = str(marker.topic)
    if isinstance(marker, Repaired):
        fields["gap"] = {**msgspec.structs.asdict(marker.gap), "topic": str(marker.topic)}
    return fields
