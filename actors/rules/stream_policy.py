"""What a stream is opened with: its policies and capacity, where they suit its channel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypedDict

from actors.errors import LinewardenError
from actors.protocol.formatting import suggestion
from actors.protocol.venue import Channel, Venue
from actors.rules.calendar import Calendar
from actors.rules.freshness import FreshnessPolicy
from actors.rules.stream_buffer import Policy


class StreamTerms(TypedDict, total=False):
    """The keywords of `Runtime.subscribe` and `Runtime.on` that every channel has."""

    policy: Policy | None
    capacity: int | None
    drop_older_than: float | None
    stale_after: float | None
    max_event_lag: float | None
    calendar: str | Calendar | None
    wait: float | None


MARKET_CAPACITY = 10_000  # events
ACCOUNT_CAPACITY = 100_000


def checked_policy(
    feed: str, channel: Channel, policy: Policy | None, capacity: int | None
) -> tuple[Policy, int]:
    """Both, as asked for or by default.

    Raises:
        LinewardenError: they do not suit the channel; why, and what would.
    """
    if policy not in (None, "block", "drop_oldest", "drop_newest", "conflate"):
        raise LinewardenError(f"policy {policy!r} is none of block, drop_oldest, drop_newest and conflate")
    if policy == "conflate" and channel.deltas:
        raise LinewardenError(
            f"{feed}: events of {channel.name!r} are changes to earlier ones, so the newest alone says "
            "nothing: use policy 'block' or 'drop_oldest'"
        )
    if policy == "conflate" and channel.account:
        raise LinewardenError(
            f"{feed}: one key of {channel.name!r} has many values, and the newest event alone would hide "
            "the others: use policy 'block'"
        )
    if policy in {"drop_oldest", "drop_newest"} and channel.deltas and not channel.resyncable:
        raise LinewardenError(
            f"{feed}: events of {channel.name!r} are changes to earlier ones, and the venue cannot be "
            "made to start again after a loss: use policy 'block'"
        )
    if capacity is not None and (not isinstance(capacity, int) or isinstance(capacity, bool)):
        raise LinewardenError(f"a capacity is a number of events, and {capacity!r} is none")
    if capacity is not None and capacity < 1:
        raise LinewardenError(f"a capacity of {capacity} holds no event; it must be at least 1")
    whole = channel.account or (channel.deltas and not channel.resyncable)
    default: Policy = "block" if whole else "drop_oldest"
    return policy or default, capacity or (ACCOUNT_CAPACITY if whole else MARKET_CAPACITY)


def checked_age(feed: str, channel: Channel, policy: Policy, drop_older_than: float | None) -> float:
    """For how many seconds an event may wait in a stream of this policy; 0: for ever.

    Raises:
        LinewardenError: it is no number of seconds above 0, or every event of the stream counts.
    """
    seconds = _limit("drop_older_than", drop_older_than)
    if not seconds:
        return seconds
    if channel.account:
        raise LinewardenError(
            f"{feed}: {channel.name!r} is a channel of an account, and each of its events counts however "
            "late it is read: leave drop_older_than out"
        )
    if channel.deltas:
        raise LinewardenError(
            f"{feed}: events of {channel.name!r} are changes to earlier ones, and without them the later "
            "ones say nothing: leave drop_older_than out"
        )
    if policy == "block":
        raise LinewardenError(
            "policy 'block' gives up no event for its age: leave drop_older_than out, or use policy "
            "'drop_oldest'"
        )
    return seconds


def checked_freshness(
    venue: Venue,
    calendars: Mapping[str, Calendar],
    stale_after: float | None,
    max_event_lag: float | None,
    calendar: str | Calendar | None,
) -> FreshnessPolicy:
    """The freshness policy of a stream; what is left out comes from the config's policy of each topic.

    Raises:
        LinewardenError: a limit is no number of seconds above 0, or cannot be judged, or there is no such
            calendar.
    """
    known = calendars.get(calendar) if isinstance(calendar, str) else calendar
    if calendar is not None and not isinstance(known, Calendar):
        hint, names = suggestion(str(calendar), calendars), ", ".join(calendars) or "none"
        raise LinewardenError(f"there is no calendar {calendar!r} in [calendars]{hint} There are: {names}.")
    if max_event_lag is not None and type(venue).event_time_ns is Venue.event_time_ns:
        raise LinewardenError(
            f"{venue.feed}: events of venue {venue.name} have no timestamp of the venue, so max_event_lag "
            "can never be judged: use stale_after"
        )
    return FreshnessPolicy(_limit("stale_after", stale_after), _limit("max_event_lag", max_event_lag), known)


def _limit(name: str, seconds: float | None) -> float:
    if seconds is None:
        return 0.0
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
        raise LinewardenError(f"{name} is a number of seconds above 0, and {seconds!r} is none")
    return float(seconds)
