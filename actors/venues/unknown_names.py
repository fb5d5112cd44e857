"""The error of a program that calls `Runtime` or `actors` by a name of another SDK."""

from __future__ import annotations

from actors.protocol.foreign_words import meaning
from actors.venues import VENUES


def unknown_name(owner: str, name: str, looked_at: object) -> AttributeError:
    """Returns the error for `looked_at.name`. `owner`: what its sentence begins with, "'Runtime' object"."""
    told = ""
    if not name.startswith("_"):  # those are asked for by tools
        found = (meaning(name, "calls", kind.sdk_words()) for kind in VENUES.values())
        told = next(filter(None, found), "")
    return AttributeError(f"{owner} has no attribute {name!r}{told}", name=name, obj=looked_at)
