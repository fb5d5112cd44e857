"""The words of other SDKs, for the errors that their users meet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from msgspec import Struct

NOTHING: Final = "nothing: "
Kind = Literal["channels", "options", "keys", "calls"]


class ForeignWords(Struct, frozen=True, kw_only=True):
    """The names that one SDK has for what Linewarden has too: its name → ours, as part of a sentence.

    The sentence is `'quote_update' is project-x-py's name for channel 'quotes'`. `nothing: REASON` as ours
    says why Linewarden has none.
    """

    sdk: str  # "project-x-py"
    channels: Mapping[str, str] = {}  # channels, events, methods that subscribe → "channel 'quotes'"
    options: Mapping[str, str] = {}  # options of a subscription → "option 'precision'"
    keys: Mapping[str, str] = {}  # settings and arguments of clients → "key 'api_key'"
    calls: Mapping[str, str] = {}  # classes, functions and methods → "runtime.on(...)"


def meaning(word: str, kind: Kind, words: Iterable[ForeignWords]) -> str:
    """Returns `: it is project-x-py's name for channel 'quotes'`; empty: no SDK has this word."""
    for each in words:
        ours = getattr(each, kind).get(word)
        if ours is not None and ours.startswith(NOTHING):
            return f": it is {each.sdk}'s, and Linewarden has none: {ours.removeprefix(NOTHING)}"
        if ours is not None:
            return f": it is {each.sdk}'s name for {ours}"
    return ""
