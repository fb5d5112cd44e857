"""Reads `[feeds.NAME]`, with all that a feed has of its venue and of `[defaults]`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from msgspec import Struct, structs

from actors.protocol.foreign_words import meaning
from actors.protocol.limits import FrameLimit
from actors.protocol.venue import Venue
from actors.rules.line_policy import HeartbeatPolicy
from actors.rules.poor_health import HealthPolicy
from actors.settings.calendar_tables import Calendars
from actors.settings.defaults_table import with_defaults
from actors.settings.environment_login import EnvironmentLogin, find_login
from actors.settings.feed_addresses import check_doors, check_transport, read_doors
from actors.settings.feed_keys import FEED_KEYS, PLAIN_KEYS, RATES
from actors.settings.own_keys import read_own
from actors.settings.restart_table import read_restart
from actors.settings.schema import AccountNumbers, DefaultsSettings, FeedSettings
from actors.settings.subscriptions import read_subscriptions
from actors.settings.table_reader import RefusedError, SettingsReader
from actors.settings.trading_tables import check_trading, read_switch
from actors.settings.venue_lookup import Venues, find_venue
from actors.settings.wording import BARE, found, key_name, keys_of, suggested
from actors.trading.limits import Limits

Table = Mapping[str, object]


class FeedReader(Struct, frozen=True):
    """Reads feeds of one config. Mistakes are the reader's."""

    reader: SettingsReader
    environ: Mapping[str, str]
    venues: Venues
    calendars: Calendars
    defaults: DefaultsSettings

    def read(self, name: str, raw: object) -> FeedSettings | None:
        """None: it has mistakes."""
        where, reader = f"[feeds.{key_name(name)}]", self.reader
        if not BARE.match(name):
            reader.complain(where, "", "expected a feed's name of letters, digits, - and _ only")
        if not isinstance(raw, Mapping):
            reader.complain(
                where, "", f"expected a table, found {found(raw)}: a feed has a name, [feeds.NAME]"
            )
            return None
        table = with_defaults(reader, where, reader.table(where, raw), self.defaults)
        reader.places.keep(where, table)
        kind = find_venue(reader, self.venues, where, table)
        doors = read_doors(reader, where, table, kind)
        if isinstance(table.get("url"), list | tuple):
            table = {key: value for key, value in table.items() if key != "url"}  # its mistakes are told
            table |= {"url": doors[0]} if doors else {}
        login = find_login(kind, table, self.environ) if kind else EnvironmentLogin()
        if login.mistake:
            reader.complain(where, "", login.mistake)
        own = read_own(reader, self.venues, where, table | login.table, kind, login) if kind else None
        fields = reader.some_fields(where, table, FeedSettings, PLAIN_KEYS)
        check_transport(reader, where, table, fields)
        self._reject_strange_keys(where, name, table, kind)
        fields |= _policies(reader, where, table) | _rates(reader, where, table, kind)
        sub = where.removesuffix("]")
        fields["limits"] = Limits(**reader.fields(f"{sub}.limits]", table.get("limits", {}), Limits))
        fields["dead_mans_switch"] = read_switch(reader, f"{sub}.dead_mans_switch]", table)
        venue = reader.quoting(where, "", lambda: kind(name, own)) if kind and own else None
        fields["doors"] = doors if len(doors) > 1 else ()
        fields["accounts"] = _accounts(reader, where, table)
        fields["login_variables"] = tuple(login.names.values())
        wanted = table.get("subscribe", ())
        fields["subscribe"] = read_subscriptions(reader, self.calendars, where, wanted, venue or kind)
        if kind is None or own is None:
            return None
        feed = FeedSettings(name=name, venue=kind.name, kind=kind, own=own, **fields)
        if venue is not None:
            self._check(where, table, feed, venue, login)
        return feed

    def _check(
        self, where: str, table: Table, feed: FeedSettings, venue: Venue, login: EnvironmentLogin
    ) -> None:
        """What its venue must agree with."""
        reader = self.reader
        check_doors(reader, where, feed, venue)
        check_trading(reader, where, feed, venue, table.get("limits", {}))
        if feed.accounts and not venue.account_channels:
            reader.complain(where, "accounts", f"venue {venue.name} has no accounts that can be followed")
        _check_backfill(reader, where, feed, venue)
        _check_price_sources(reader, where, feed)
        missing = reader.quoting(where, "", venue.missing_login)
        if missing and not login.mistake:
            reader.complain(where, "", f"{missing}{login.hint}")

    def _reject_strange_keys(self, where: str, feed: str, table: Table, kind: type[Venue] | None) -> None:
        """Keys in a feed's table that are neither of every feed nor of its venue."""
        # Without its venue it is not known which keys are allowed.
        kinds = [kind] if kind is not None else list(self.venues.values())
        known = FEED_KEYS.union(*(keys_of(each.Settings) for each in kinds))
        for key in [key for key in table if key not in known]:
            owners = sorted(name for name, other in self.venues.items() if key in keys_of(other.Settings))
            found_in = (meaning(key, "keys", each.sdk_words()) for each in kinds)
            if told := next(filter(None, found_in), ""):
                self.reader.complain(where, key, f"there is no such key{told}")
            elif kind is not None and owners:
                theirs = ", ".join(owners)
                self.reader.complain(where, key, f"venue {kind.name} has no such key; it is one of: {theirs}")
            else:
                self.reader.reject_unknown(where, [key], known, feed)


def _policies(reader: SettingsReader, where: str, table: Table) -> dict[str, Any]:
    sub = where.removesuffix("]")
    restart = read_restart(reader, f"{sub}.restart]", table.get("restart", {}))
    heartbeat = reader.merged(f"{sub}.heartbeat]", table.get("heartbeat", {}), HeartbeatPolicy())
    health = reader.merged(f"{sub}.health]", table.get("health", {}), HealthPolicy())
    if health.rtt_ceiling and not heartbeat.ping_interval:
        text = "it has no effect without pings, and ping_interval is 0"
        reader.warn_of_useless(f"{sub}.health]", "rtt_ceiling", text)
    return {"restart": restart, "heartbeat": heartbeat, "health": health}


def _rates(reader: SettingsReader, where: str, table: Table, kind: type[Venue] | None) -> dict[str, Any]:
    """The venue's own, with the values of the feed over them."""
    rates: dict[str, Any] = {}
    for key, rate in RATES.items():
        if key in table:
            inside = f"{where.removesuffix(']')}.{key}]"
            given = reader.fields(inside, table[key], rate)
            if "frames" in given:
                given["frames"] = reader.each(inside, "frames", given["frames"], FrameLimit.parse)
            rates[key] = structs.replace(getattr(kind or Venue, key), **given)
    return rates


def _check_backfill(reader: SettingsReader, where: str, feed: FeedSettings, venue: Venue) -> None:
    """Its channels are ones that the venue can be asked for."""
    every = {name: channel for name, channel in venue.channels.items() if venue.offers(name)}
    can = {name for name, channel in every.items() if channel.backfill and not channel.deltas}
    if feed.backfill and not can:
        reader.warn_of_useless(
            where, "backfill", f"it has no effect: venue {venue.name} cannot back-fill any channel"
        )
    elif isinstance(feed.backfill, tuple):
        for name in feed.backfill:
            if name not in can:
                text = f"venue {venue.name} cannot back-fill the channel {name!r}{suggested(name, can)}"
                reader.complain(where, "backfill", text)


def _check_price_sources(reader: SettingsReader, where: str, feed: FeedSettings) -> None:
    """Each is looked at once."""
    twice = sorted({each for each in feed.price_sources if feed.price_sources.count(each) > 1})
    if twice:
        reader.complain(where, "price_sources", f"expected each source once; {', '.join(twice)} is twice")


def _accounts(reader: SettingsReader, where: str, table: Table) -> tuple[int, ...]:
    with suppress(RefusedError):
        given = reader.convert(where, "accounts", table.get("accounts", ()), AccountNumbers)
        return tuple(int(each) for each in given)
    return ()
