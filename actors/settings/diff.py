"""What a changed config changes: which feeds come and go, and which keep their sockets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct, structs

from actors.settings.schema import FeedSettings, Settings, WantedTopics

# What can be changed under a live connection; anything else is of the connection itself.
SOFT = (
    "subscribe",
    "restart",
    "heartbeat",
    "health",
    "send_rate",
    "connect_rate",
    "ack_timeout",
    "block_timeout",
    "backfill",
    "backfill_hold",
    "rotate_every",
    "price_sources",
    "trading",
    "dry_run",
    "align",
    "order_deadline",
    "limits",
    "accounts",
    "on_blind",
    "on_blind_after",
    "dead_mans_switch",
    "env_login",
    "login_variables",
)

Kind = Literal["added", "removed", "reconnected", "adjusted", "kept", "next start"]


class PlannedChange(Struct, frozen=True):
    """One thing that a reload does; `text` is for people and shows no value."""

    where: str  # the table
    kind: Kind
    text: str


class Plan(Struct, frozen=True):
    """What a change of the config does, before or after it."""

    changes: tuple[PlannedChange, ...]

    @property
    def changes_anything(self) -> bool:
        """Whether there is more in it than what is kept."""
        return any(change.kind != "kept" for change in self.changes)

    def feeds(self, kind: Kind) -> tuple[str, ...]:
        """The feeds to which this happens."""
        names = (change.where.removeprefix("feeds.") for change in self.changes if change.kind == kind)
        return tuple(dict.fromkeys(names))


def compare(old: Settings, new: Settings) -> Plan:
    """What it takes to come from `old` to `new`."""
    changes = (*_trading(old, new), *_compared(old, without_new_orders(old, new)))
    return Plan(changes)


def without_new_orders(old: Settings, new: Settings) -> Settings:
    """`new`, as a reload takes it over: a feed whose orders did not leave before sends none after it."""
    feeds = dict(new.feeds)
    for name in newly_trading(old, new):
        before = old.feeds.get(name)
        if before is None or before.sends_orders:
            trading, dry_run = False, False
        else:
            trading, dry_run = before.trading, before.dry_run
        feeds[name] = structs.replace(feeds[name], trading=trading, dry_run=dry_run)
    return structs.replace(new, feeds=feeds)


def newly_trading(old: Settings, new: Settings) -> list[str]:
    """The feeds whose orders would leave, and did not leave to that gateway before."""
    return [name for name in new.feeds if _sends(new, name) and not _sent_there(old, new.feeds[name])]


def _sends(settings: Settings, name: str) -> bool:
    """Whether its orders leave: a simulator beside it may be in their way."""
    its = settings.feeds.get(name)
    return its is not None and its.sends_orders and not settings.why_no_orders(name)


def _sent_there(old: Settings, feed: FeedSettings) -> bool:
    """Whether its orders left before, to the same venue. A simulator takes them at any time."""
    return _sends(old, feed.name) and (feed.is_simulated or _host(feed) == _host(old.feeds[feed.name]))


def _host(feed: FeedSettings) -> str:
    api = feed.build_venue().trading()
    return "" if api is None else api.host


def _trading(old: Settings, new: Settings) -> Iterator[PlannedChange]:
    for name in newly_trading(old, new):
        text = f"feed {name} sends no orders before the next start: a reload does not turn them on"
        yield PlannedChange(f"feeds.{name}", "next start", text)
    for name, feed in new.feeds.items():
        if feed.sends_orders and _sends(old, name) and (why := new.why_no_orders(name)):
            yield _change(name, "adjusted", f"sends no orders from now on: {why}")


def _compared(old: Settings, new: Settings) -> tuple[PlannedChange, ...]:
    changes = (*_tables(old, new), *_feeds(old, new), *_added(old, new))
    if not changes and old.calendars != new.calendars:  # of which no feed makes use
        text = "[calendars] has changed; subscriptions that are made from now on can use it"
        changes = (PlannedChange("calendars", "adjusted", text),)
    return changes


def _tables(old: Settings, new: Settings) -> Iterator[PlannedChange]:
    for name in ("runtime", "service", "trading", "log"):
        if getattr(old, name) != getattr(new, name):
            text = f"[{name}] has changed; that takes effect at the next start"
            yield PlannedChange(name, "next start", text)


def _feeds(old: Settings, new: Settings) -> Iterator[PlannedChange]:
    for name in old.feeds:
        if name not in new.feeds:
            yield _change(name, "removed", "is removed: its connections and streams are closed")
    for name, feed in new.feeds.items():
        former = old.feeds.get(name)
        if former is feed:  # as all but one are where a program adds a feed
            continue
        if former is None:
            yield _change(name, "added", "is added")
        elif former.kind is not feed.kind:
            yield _change(name, "removed", "gets another venue: its connections and streams are closed")
            yield _change(name, "added", f"is added with venue {feed.venue}")
        else:
            yield from _feed(name, former, feed)


def _added(old: Settings, new: Settings) -> Iterator[PlannedChange]:
    """Of feeds that the program has added, and that the config has now, too."""
    for name in sorted(old.added & new.feeds.keys() - new.added):
        yield _change(name, "adjusted", "was added by the program, and is the config's from now on")


def kept(names: Iterable[str]) -> Iterator[PlannedChange]:
    """Of feeds that the program has added, and that a reloaded config does not have."""
    for name in names:
        yield _change(name, "kept", "is kept: the program has added it, and remove_feed ends it")


def _feed(name: str, old: FeedSettings, new: FeedSettings) -> Iterator[PlannedChange]:
    keys = [key for key in old.__struct_fields__ if getattr(old, key) != getattr(new, key)]
    hard = [key for key in keys if key not in SOFT and key != "own"]
    hard += [key for key in new.own.__struct_fields__ if getattr(old.own, key) != getattr(new.own, key)]
    hard = list(dict.fromkeys("url" if key == "doors" else key for key in hard))
    soft = [key for key in keys if key in SOFT and key != "subscribe"]
    if hard:
        yield _change(name, "reconnected", f"is reconnected: {_listed(hard)} changed")
    if soft:
        yield _change(name, "adjusted", f"takes over {_listed(soft)}; sockets stay open")
    if "subscribe" in keys:
        before, after = _topics(old.subscribe), _topics(new.subscribe)
        topics = f"wants {len(after - before)} more and {len(before - after)} fewer topics"
        text = "takes over new freshness policies" if before == after else topics
        yield _change(name, "adjusted", f"{text}; sockets stay open")


def _change(feed: str, kind: Kind, text: str) -> PlannedChange:
    return PlannedChange(f"feeds.{feed}", kind, f"feed {feed} {text}")


def _topics(entries: tuple[WantedTopics, ...]) -> set[tuple[object, ...]]:
    return {
        (entry.channel, key, *sorted(entry.options.items()))
        for entry in entries
        for key in entry.keys or ("",)
    }


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
