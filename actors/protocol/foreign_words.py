"""The words of other SDKs, for the errors that their users meet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct

Kind = Literal["channels", "options", "keys", "calls"]


class ForeignWords(Struct, frozen=True, kw_only=True):
    """The names that one SDK has for what Linewarden has too: its name → ours, as part of a sentence.

    The sentence is `'quote_update' is project-x-py's name for channel 'quotes'`.
    """

    sdk: str  # "project-x-py", or "project-x-py 1.1"; sentences leave the version out
    channels: Mapping[str, str] = {}  # channels, events, methods that subscribe → "channel 'quotes'"
    options: Mapping[str, str] = {}  # options of a subscription → "option 'precision'"
    keys: Mapping[str, str] = {}  # settings and arguments of clients → "key 'api_key'"
    calls: Mapping[str, str] = {}  # classes, functions and methods → "runtime.on(...)"


def meaning(word: str, kind: Kind, words: Iterable[ForeignWords]) -> str:
    """Returns `: it is project-x-py's name for channel 'quotes'`; empty: no SDK has this word.

    A member of an enum may stand for its value: `EventType.QUOTE_UPDATE` for quote_update.
    """
    tables = tuple(words)
    for spelled in (word, word.rpartition(".")[2].lower()):
        for each in tables:
            ours = getattr(each, kind).get(spelled)
            if ours is not None:
                return f": it is {each.sdk.partition(' ')[0]}'s name for {ours}"
    return ""
