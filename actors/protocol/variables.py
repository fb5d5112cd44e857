"""Environment variables that usually hold what a feed's table may say."""

from __future__ import annotations

from msgspec import Struct


class Variable(Struct, frozen=True):
    """One environment variable of a venue. New fields have defaults.

    A feed that names no login takes the variables of one `login` from the environment, if all of its
    `key`s are there. A variable without `login` is never taken: it is named for people alone.
    """

    about: str  # one line for people
    key: str = ""  # the key of `[feeds.NAME]` that it holds
    login: str = ""  # which login it is a part of: variables of one naming go together
    is_address: bool = False  # the SDK connects there; it is not read, and a feed says `key` instead
    beside: str = ""  # it is taken only by a feed that has this key, such as the file of a password
