"""The error of a program that calls `Runtime`, requests or `actors` by a name of another SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from actors.protocol import Venue
from actors.protocol.foreign_words import meaning
from actors.venues import VENUES

Kinds = Callable[[], Iterable[type[Venue]]]


def unknown_name(owner: str, name: str, looked_at: object, kinds: Kinds = lambda: ()) -> AttributeError:
    """Returns the error for `looked_at.name`. `owner`: what its sentence begins with, "'Runtime' object".

    `kinds` gives the venues that `looked_at` is about. SDKs of several venues share words: those of these
    venues are asked first.
    """
    told = ""
    if not name.startswith("_"):  # those are asked for by tools
        found = (meaning(name, "calls", kind.sdk_words()) for kind in (*kinds(), *VENUES.values()))
        told = next(filter(None, found), "")
    return AttributeError(f"{owner} has no attribute {name!r}{told}", name=name, obj=looked_at)
