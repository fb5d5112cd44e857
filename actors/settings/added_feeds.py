"""Feeds that a program adds to its config, and removes from it, while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, structs

from actors.errors import ConfigError, LinewardenError
from actors.settings import load_feed
from actors.settings.diff import Plan, compare, kept, newly_trading
from actors.settings.schema import Settings
from actors.settings.wording import sentence


class Change(Struct, frozen=True):
    """Settings that follow others, and what that takes."""

    settings: Settings
    plan: Plan


def with_feed(settings: Settings, name: str, table: Mapping[str, Any]) -> Change:
    """The feed of this table is added, or replaces the one of that name.

    Raises:
        ConfigError: the table has mistakes, or its orders would leave and did not before.
    """
    feed = load_feed(name, table, settings)
    new = structs.replace(settings, feeds=settings.feeds | {name: feed}, added=settings.added | {name})
    if name in newly_trading(settings, new):
        text = (
            "a feed that is added to a running program sends no orders. Write it into the config and start "
            "the program again, or add dry_run = true"
        )
        raise ConfigError([sentence("add_feed", f"[feeds.{name}]", "trading", text)])
    return Change(new, compare(settings, new))


def without_feed(settings: Settings, name: str) -> Change:
    """This feed is removed. Raises LinewardenError: another thread has removed it meanwhile."""
    if name not in settings.feeds:
        raise LinewardenError(f"feed {name!r} was removed meanwhile")
    feeds = {other: feed for other, feed in settings.feeds.items() if other != name}
    new = structs.replace(settings, feeds=feeds, added=settings.added - {name})
    return Change(new, compare(settings, new))


def reloaded(settings: Settings, new: Settings) -> Change:
    """Another config counts, and the feeds stay that were added before and that it does not have itself."""
    stay = {name: feed for name, feed in settings.feeds.items() if name in settings.added - new.feeds.keys()}
    new = structs.replace(new, feeds=new.feeds | stay, added=new.added | stay.keys())
    return Change(new, Plan((*compare(settings, new).changes, *kept(stay))))
