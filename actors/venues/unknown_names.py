"""The error of a program that uses a name of another SDK with `Runtime`, `actors` or a venue's module."""

from __future__ import annotations

from collections.abc import Iterable

from actors.protocol import Venue
from actors.protocol.foreign_words import meaning
from actors.venues import VENUES


def unknown_name(
    owner: str, name: str, looked_at: object, venues: Iterable[type[Venue]] = ()
) -> AttributeError:
    """Returns the error for `looked_at.name`. `owner`: what its sentence begins with, "'Runtime' object".

    `venues`: those whose SDKs the program probably comes from. If none of these has the name, all are asked.
    """
    told = ""
    if not name.startswith("_"):  # those are asked for by tools
        told = _meanings(name, venues) or _meanings(name, VENUES.values())
    return AttributeError(f"{owner} has no attribute {name!r}{told}", name=name, obj=looked_at)


def _meanings(name: str, venues: Iterable[type[Venue]]) -> str:
    found = [meaning(name, "calls", kind.sdk_words()) for kind in venues]
    told = "; and ".join(dict.fromkeys(each.removeprefix(": ") for each in found if each))
    return f": {told}" if told else ""
