"""The status for a caller who may not see accounts: no id, order, payload or raw frame is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from msgspec import structs

from actors.diagnostics import Quarantined
from actors.events import VenueState
from actors.rules.journal import LineExit
from actors.secret import REDACTED, origin
from actors.service.venue_words import HIDDEN, public_freshness, public_text
from actors.status import (
    Cause,
    CooldownStatus,
    DeadLettersStatus,
    FeedStatus,
    HaltStatus,
    LineStatus,
    QuarantineStatus,
    Status,
    TopicStatus,
)

IsPublic: TypeAlias = Callable[[str, str], bool]  # of a feed and a channel: its topics name no account


def without_account(status: Status, is_public: IsPublic) -> Status:
    """`redacted` is the only sign of what is left out. Counters and states are those of everything."""
    return structs.replace(
        status,
        feeds={name: _feed(name, feed, is_public) for name, feed in status.feeds.items()},
        streams=tuple(each for each in status.streams if is_public(each.feed, each.channel)),
        dead_letters=DeadLettersStatus(status.dead_letters.count, ()),
        quarantine=QuarantineStatus(
            status.quarantine.count, tuple(_quarantined(each) for each in status.quarantine.newest)
        ),
        cooldowns=tuple(map(_cooldown, status.cooldowns)),
        untrusted={
            name: public_freshness(found)
            for name, found in status.untrusted.items()
            if _shows(name, is_public)
        },
        halts=tuple(map(_halt, status.halts)),
        accounts={},
        redacted=True,
    )


def _feed(name: str, feed: FeedStatus, is_public: IsPublic) -> FeedStatus:
    return structs.replace(
        feed,
        lines={line: _line(name, found, is_public) for line, found in feed.lines.items()},
        refused={topic: why for topic, why in feed.refused.items() if _shows(topic, is_public)},
        token_error=HIDDEN if feed.token_error else "",
    )


def _line(feed: str, line: LineStatus, is_public: IsPublic) -> LineStatus:
    gap = line.last_gap
    return structs.replace(
        line,
        reason=None if line.reason is None else _cause(line.reason),
        topics=tuple(_topic(each) for each in line.topics if _shows(each.topic, is_public)),
        last_gap=gap if gap is not None and is_public(gap.topic.feed, gap.topic.channel) else None,
        url=origin(line.url),
        last_venue_error=REDACTED if line.last_venue_error else "",
        journal=tuple(map(_exit, line.journal)),
        venue_states=_public_states(feed, line.venue_states, is_public),
        venue_journal=_public_states(feed, line.venue_journal, is_public),
        silent_losses=(),
    )


def _shows(topic: str, is_public: IsPublic) -> bool:
    """Of a topic as it is written: `feed/channel/key?option=value`."""
    feed, _, rest = topic.partition("/")
    return is_public(feed, rest.partition("?")[0].partition("/")[0])


def _public_states(feed: str, states: Iterable[VenueState], is_public: IsPublic) -> tuple[VenueState, ...]:
    """Those of a channel that names no account, or of all channels and keys."""
    return tuple(
        each
        for each in states
        if (is_public(feed, each.scope.channel) if each.scope.channel else not each.scope.key)
    )


def _exit(entry: LineExit) -> LineExit:
    """A path of its URL may name a user."""
    return structs.replace(entry, url=origin(entry.url), text=public_text(entry.code, entry.text))


def _cause(cause: Cause) -> Cause:
    return structs.replace(cause, text=public_text(cause.code, cause.text))


def _topic(topic: TopicStatus) -> TopicStatus:
    found = topic.freshness
    return structs.replace(topic, freshness=None if found is None else public_freshness(found))


def _cooldown(cooldown: CooldownStatus) -> CooldownStatus:
    return structs.replace(cooldown, why=HIDDEN if cooldown.why else "")


def _quarantined(kept: Quarantined) -> Quarantined:
    return structs.replace(kept, error=REDACTED, raw=REDACTED)


def _halt(halt: HaltStatus) -> HaltStatus:
    """Its host is left, and that it is one of an account."""
    host, slash, _ = halt.target.partition("/")
    return structs.replace(halt, target=f"{host}/{REDACTED}" if slash else host, reason=REDACTED)
