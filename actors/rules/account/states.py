"""The life of an account view, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

# down: its subscriptions are not confirmed. syncing: they are, and no whole snapshot has come since.
# doubted: a snapshot differs, and is asked for again. untrusted: the stream has lost events in silence.
# disputed: the stream and REST contradict each other for good.
ViewState = Literal["down", "syncing", "synced", "doubted", "untrusted", "disputed"]
Happening = Literal[
    "interrupted",  # the line is down, events of the stream were lost, or one of its channels is closed
    "subscribed",  # all its channels are confirmed
    "taken",  # a whole snapshot was taken over
    "differs",  # one differs from what the stream told
    "agrees",  # nothing differs any more
    "lossy",  # three silent losses within an hour
    "unremoved",  # a difference stands that taking it over does not remove
    "agreed",  # two snapshots in a row agree
    "resync",  # the user asked for a new start
]

NEXT: Final[Mapping[tuple[ViewState, Happening], ViewState]] = {
    ("down", "subscribed"): "syncing",
    ("syncing", "interrupted"): "down",
    ("syncing", "taken"): "synced",
    ("syncing", "unremoved"): "disputed",
    ("syncing", "resync"): "syncing",
    ("synced", "interrupted"): "down",
    ("synced", "differs"): "doubted",
    ("synced", "lossy"): "untrusted",
    ("synced", "unremoved"): "disputed",
    ("synced", "resync"): "syncing",
    ("doubted", "interrupted"): "down",
    ("doubted", "agrees"): "synced",
    ("doubted", "lossy"): "untrusted",
    ("doubted", "unremoved"): "disputed",
    ("doubted", "resync"): "syncing",
    ("untrusted", "interrupted"): "down",
    ("untrusted", "resync"): "syncing",
    ("disputed", "interrupted"): "down",
    ("disputed", "agreed"): "synced",
    ("disputed", "lossy"): "untrusted",
    ("disputed", "resync"): "syncing",
}


def following(state: ViewState, happening: Happening) -> ViewState:
    """Returns the state after this; what is not in the table changes nothing."""
    return NEXT.get((state, happening), state)
