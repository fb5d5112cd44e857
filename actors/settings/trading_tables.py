"""Reads `[trading]`, and checks what a feed says of orders and of prices."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import structs

from actors.protocol.venue import Venue
from actors.settings.schema import DeadMansSwitchSettings, FeedSettings, Settings, TradingSettings
from actors.settings.table_reader import SettingsReader
from actors.settings.toml_file import user_path
from actors.settings.wording import has_key


def read_trading(reader: SettingsReader, raw: object) -> TradingSettings:
    where = "[trading]"
    trading = TradingSettings(**reader.fields(where, raw, TradingSettings))
    path = user_path(trading.dir)
    if has_key(raw, "dir") and not path.is_absolute():
        text = "expected an absolute path, the same for every process that trades the same accounts"
        reader.complain(where, "dir", text)
    return structs.replace(trading, dir=str(path) if trading.dir else "")


def check_folder(reader: SettingsReader, trading: TradingSettings, feeds: Mapping[str, FeedSettings]) -> None:
    feed = next((feed.name for feed in feeds.values() if feed.trading), None)
    if feed is not None and not trading.dir:
        text = f"missing; feed {feed} has trading = true, and its orders are recorded in a folder"
        reader.complain("[trading]", "dir", text)


def check_trading(
    reader: SettingsReader, where: str, feed: FeedSettings, venue: Venue, limits: object
) -> None:
    """What a feed whose orders may leave needs."""
    if feed.trading:
        if venue.trading() is None:
            reader.complain(where, "trading", f"venue {venue.name} takes no orders from Linewarden")
            return  # limits would help nothing
        for key in ("max_size", "orders_per_minute"):
            if not has_key(limits, key):
                inside = f"{where.removesuffix(']')}.limits]"
                reader.complain(inside, key, "missing; a feed with trading = true has this limit")
    else:
        given = {
            "dry_run": feed.dry_run,
            "on_blind": feed.on_blind != "none",
            "dead_mans_switch": feed.dead_mans_switch.after > 0,
        }
        for key in (key for key, is_given in given.items() if is_given):
            reader.warn_of_useless(where, key, "it has no effect without trading = true")


def read_switch(reader: SettingsReader, where: str, table: Mapping[str, object]) -> DeadMansSwitchSettings:
    raw = table.get("dead_mans_switch")
    if raw is None:
        return DeadMansSwitchSettings()
    if isinstance(raw, Mapping) and not has_key(raw, "after"):
        reader.complain(where, "after", "missing: the seconds without a beat after which it halts")
    return DeadMansSwitchSettings(**reader.fields(where, raw, DeadMansSwitchSettings))


def warn_of_mixed_worlds(reader: SettingsReader, settings: Settings) -> None:
    for feed in settings.feeds.values():
        if feed.trading and (why := settings.why_no_orders(feed.name)):
            reader.warn(f"[feeds.{feed.name}]", "trading", f"its orders are refused: {why}")
