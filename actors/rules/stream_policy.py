"""What a stream is opened with: its policy and capacity, where they suit its channel."""

from __future__ import annotations

from actors.errors import LinewardenError
from actors.protocol.venue import Channel
from actors.rules.stream_buffer import Policy

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
