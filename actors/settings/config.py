"""A whole config, table by table: each is read, and checked by its venue."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Container, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from msgspec import Meta, Struct, structs

from actors.errors import ConfigError
from actors.events import Option, Topic
from actors.lazy import imported
from actors.protocol.foreign_words import meaning
from actors.protocol.limits import FrameLimit
from actors.protocol.venue import Channel, Venue, VenueSettings
from actors.rules.calendar import Calendar, read_closure, read_session, read_zone
from actors.rules.line_policy import HeartbeatPolicy
from actors.rules.poor_health import HealthPolicy
from actors.rules.restarts import RestartPolicy
from actors.rules.topics import topic_of
from actors.secret import SecretFile
from actors.settings.addresses import (
    hub_mistake,
    hub_url,
    is_clear,
    proxy_mistake,
    url_mistake,
    with_talk,
)
from actors.settings.environment_login import EnvironmentLogin, find_login, login_keys
from actors.settings.schema import (
    AccountNumbers,
    CalendarSettings,
    ConnectRateSettings,
    DeadMansSwitchSettings,
    DefaultsSettings,
    FeedSettings,
    RuntimeSettings,
    SendRateSettings,
    ServiceSettings,
    Settings,
    TradingSettings,
    WantedTopics,
)
from actors.settings.secret_files import read_secret_file
from actors.settings.service_table import read_service
from actors.settings.table_reader import RefusedError, SettingsReader
from actors.settings.toml_file import text_of, user_path
from actors.settings.wording import BARE, found, key_name, keys_of, nearest, plain, suggested
from actors.trading.limits import Limits

TABLES = {"runtime", "service", "trading", "defaults", "calendars", "feeds"}
FEED_KEYS = keys_of(FeedSettings) - {"name", "kind", "own", "doors", "login_variables"}
# Those that are just converted; the others are read by rules of their own.
PLAIN_KEYS = FEED_KEYS - {
    *("venue", "send_rate", "connect_rate", "restart", "heartbeat", "health", "subscribe"),
    *("limits", "dead_mans_switch", "accounts"),
}
ENTRY_KEYS = keys_of(WantedTopics) - {"options"}
PLAIN_ENTRY_KEYS = ENTRY_KEYS - {"calendar"}
RATES: dict[str, type[Struct]] = {"send_rate": SendRateSettings, "connect_rate": ConnectRateSettings}
T = TypeVar("T")
Table = Mapping[str, object]
AnyVenue = Venue | type[Venue] | None  # of a feed; its kind, where it cannot be made
FilePath = Annotated[str, Meta(min_length=1, description=SecretFile.expected)]
HUB = "signalr"  # the venue that a feed describes itself


class OwnKeys:
    """All keys that some feed may have. What their venues add is looked up when a key is not known."""

    def __init__(self, venues: Mapping[str, type[Venue]]) -> None:
        self._venues = venues

    def __contains__(self, key: object) -> bool:
        return key in FEED_KEYS or any(key in keys_of(kind.Settings) for kind in self._venues.values())


def _is_file(path: Path) -> bool:
    """No, where it cannot be looked at."""
    try:
        return "\0" not in str(path) and path.is_file()
    except OSError:
        return False


def venue_class(place: str, shown: str) -> type[Venue]:
    """The venue at `module:Class`; `shown` is the place as it was written.

    Raises:
        ConfigError: it cannot be imported, or is no venue.
    """
    try:
        found = imported(place)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the module does when it is imported
        advice = "; install it, or put its directory into PYTHONPATH"
        hint = advice if isinstance(error, ModuleNotFoundError) else ""
        cause = type(error).__name__
        if shown == place:  # else the error's text may repeat a variable's value
            cause += f": {' '.join(str(error).split())}"
        raise ConfigError([f"{shown!r} cannot be imported ({cause}){hint}."]) from None
    if not (isinstance(found, type) and issubclass(found, Venue)):
        raise ConfigError([f"{shown!r} is no subclass of actors.protocol.Venue."])
    return found


class ConfigReader(SettingsReader):
    """Reads one config into settings, or raises with every mistake in it."""

    def __init__(
        self, file: str, directory: Path, environ: Mapping[str, str], venues: Mapping[str, type[Venue]]
    ) -> None:
        homes: dict[str, Container[str]] = {
            "[runtime]": keys_of(RuntimeSettings),
            "[service]": keys_of(ServiceSettings),
            "[trading]": keys_of(TradingSettings),
            "[feeds.NAME]": OwnKeys(venues),
            "[feeds.NAME.restart] or [defaults.restart]": keys_of(RestartPolicy),
            "[feeds.NAME.heartbeat] or [defaults.heartbeat]": keys_of(HeartbeatPolicy),
            "[feeds.NAME.health] or [defaults.health]": keys_of(HealthPolicy),
            "an entry of subscribe": ENTRY_KEYS,
            "[calendars.NAME]": keys_of(CalendarSettings),
            "[feeds.NAME.limits]": keys_of(Limits),
            "[feeds.NAME.dead_mans_switch]": keys_of(DeadMansSwitchSettings),
            **{f"[feeds.NAME.{key}]": keys_of(rate) for key, rate in RATES.items()},
        }
        super().__init__(file, environ, homes)
        self._directory = directory
        self._venues = venues
        self._calendars: dict[str, Calendar | None] = {}  # None: it has mistakes, which are reported

    def settings(self, source: Mapping[Any, Any]) -> Settings:
        """Raises ConfigError with all that is wrong."""
        top = self.table("", source)
        self._reject_unknown_outside_of_feeds("", top, TABLES)
        runtime = RuntimeSettings(**self._runtime(top.get("runtime", {})))
        service = read_service(self, top.get("service", {}), self._directory)
        trading = self._trading(top.get("trading", {}))
        defaults = self._defaults(top.get("defaults", {}))
        for name, raw in self.table("[calendars]", top.get("calendars", {})).items():
            self._calendars[name] = self._calendar(name, raw)
        tables = self.table("[feeds]", top.get("feeds", {}))
        read = [self._feed(name, raw, defaults) for name, raw in tables.items()]
        feeds = {feed.name: feed for feed in read if feed is not None}
        self._check_folder(trading, feeds)
        if self.problems:
            raise ConfigError(self.problems)
        if not feeds:
            self.warn("[feeds]", "", "there is no feed in this config")
        settings = Settings(
            runtime=runtime,
            service=service,
            trading=trading,
            feeds=feeds,
            calendars={name: known for name, known in self._calendars.items() if known is not None},
            defaults=defaults,
            file=self.file,
        )
        self._warn_of_mixed_worlds(settings)
        return structs.replace(settings, warnings=tuple(self.warnings))

    def feed(self, name: str, raw: object, beside: Settings) -> FeedSettings:
        """One feed more, with the defaults and calendars of these settings. Raises as `settings` does."""
        self._calendars.update(beside.calendars)
        feed = self._feed(name, raw, beside.defaults)
        if feed is not None:
            self._check_folder(beside.trading, {name: feed})
        if feed is None or self.problems:
            raise ConfigError(self.problems)
        return feed

    def _defaults(self, raw: object) -> DefaultsSettings:
        table = self.table("[defaults]", raw)
        self._reject_unknown_outside_of_feeds("[defaults]", table, keys_of(DefaultsSettings))
        return DefaultsSettings(
            restart=self._restart("[defaults.restart]", table.get("restart", {}), RestartPolicy()),
            heartbeat=self.merged("[defaults.heartbeat]", table.get("heartbeat", {}), HeartbeatPolicy()),
            health=self.merged("[defaults.health]", table.get("health", {}), HealthPolicy()),
        )

    def _restart(self, where: str, raw: object, base: RestartPolicy) -> RestartPolicy:
        before = len(self.problems)
        restart = self.merged(where, raw, base)
        mine = [key for key in ("maximum", "initial") if _says(raw, key)]
        if mine and len(self.problems) == before and restart.maximum < restart.initial:
            relation = f"initial is {restart.initial:g} s, maximum {restart.maximum:g} s"
            self.complain(where, mine[0], f"expected maximum to be initial or more; {relation}")
        return restart

    def _check_health(self, where: str, health: HealthPolicy, heartbeat: HeartbeatPolicy) -> None:
        """What is allowed and means nothing."""
        if health.rtt_ceiling and not heartbeat.ping_interval:
            self.warn(where, "rtt_ceiling", "it has no effect without pings, and ping_interval is 0")

    # ── trading ─────────────────────────────────────────────────────────────────────────────────

    def _trading(self, raw: object) -> TradingSettings:
        where = "[trading]"
        trading = TradingSettings(**self.fields(where, raw, TradingSettings))
        path = user_path(trading.dir)
        if _says(raw, "dir") and not path.is_absolute():
            text = "expected an absolute path, the same for every process that trades the same accounts"
            self.complain(where, "dir", text)
        return structs.replace(trading, dir=str(path) if trading.dir else "")

    def _check_folder(self, trading: TradingSettings, feeds: Mapping[str, FeedSettings]) -> None:
        feed = next((feed.name for feed in feeds.values() if feed.trading), None)
        if feed is not None and not trading.dir:
            text = f"missing; feed {feed} has trading = true, and its orders are recorded in a folder"
            self.complain("[trading]", "dir", text)

    def _check_trading(self, where: str, feed: FeedSettings, venue: Venue, limits: object) -> None:
        """What a feed whose orders may leave needs."""
        if feed.trading:
            if venue.trading() is None:
                self.complain(where, "trading", f"venue {venue.name} takes no orders from Linewarden")
                return  # limits would help nothing
            for key in ("max_size", "orders_per_minute"):
                if not _says(limits, key):
                    inside = f"{where.removesuffix(']')}.limits]"
                    self.complain(inside, key, "missing; a feed with trading = true has this limit")
        else:
            given = {
                "dry_run": feed.dry_run,
                "on_blind": feed.on_blind != "none",
                "dead_mans_switch": feed.dead_mans_switch.after > 0,
            }
            for key in (key for key, is_given in given.items() if is_given):
                self.warn(where, key, "it has no effect without trading = true")

    def _check_backfill(self, where: str, feed: FeedSettings, venue: Venue) -> None:
        """Its channels are ones that the venue can be asked for."""
        every = {name: channel for name, channel in venue.channels.items() if venue.offers(name)}
        can = {name for name, channel in every.items() if channel.backfill and not channel.deltas}
        if feed.backfill and not can:
            self.warn(where, "backfill", f"it has no effect: venue {venue.name} cannot back-fill any channel")
        elif isinstance(feed.backfill, tuple):
            for name in feed.backfill:
                if name not in can:
                    text = f"venue {venue.name} cannot back-fill the channel {name!r}{suggested(name, can)}"
                    self.complain(where, "backfill", text)

    def _check_price_sources(self, where: str, feed: FeedSettings) -> None:
        """Each is looked at once."""
        twice = sorted({each for each in feed.price_sources if feed.price_sources.count(each) > 1})
        if twice:
            self.complain(where, "price_sources", f"expected each source once; {', '.join(twice)} is twice")

    def _switch(self, where: str, table: Table) -> DeadMansSwitchSettings:
        raw = table.get("dead_mans_switch")
        if raw is None:
            return DeadMansSwitchSettings()
        if isinstance(raw, Mapping) and not _says(raw, "after"):
            self.complain(where, "after", "missing: the seconds without a beat after which it halts")
        return DeadMansSwitchSettings(**self.fields(where, raw, DeadMansSwitchSettings))

    def _warn_of_mixed_worlds(self, settings: Settings) -> None:
        for feed in settings.feeds.values():
            if feed.trading and (why := settings.why_no_orders(feed.name)):
                self.warn(f"[feeds.{feed.name}]", "trading", f"its orders are refused: {why}")

    # ── a calendar ──────────────────────────────────────────────────────────────────────────────

    def _calendar(self, name: str, raw: object) -> Calendar | None:
        where, before = f"[calendars.{key_name(name)}]", len(self.problems)
        fields = self.fields(where, raw, CalendarSettings)
        zone = self._each(where, "zone", [fields.get("zone", "UTC")], read_zone)
        sessions = self._each(where, "sessions", fields.get("sessions", ()), read_session)
        closed = self._each(where, "closed", fields.get("closed", ()), read_closure)
        if len(self.problems) > before:
            return None
        return Calendar(name, zone[0], sessions, closed)

    def _each(self, where: str, key: str, texts: Collection[str], read: Callable[[str], T]) -> tuple[T, ...]:
        """Each of these texts, read; mistakes are reported with their place."""
        values = []
        for number, text in enumerate(texts, 1):
            try:
                values.append(read(text))
            except ValueError as error:
                place = f"entry {number}: " if len(texts) > 1 else ""
                self.complain(where, key, f"{place}{error}")
        return tuple(values)

    def _calendar_of(self, where: str, table: Table) -> Calendar | None:
        """That which an entry of `subscribe` names."""
        with suppress(RefusedError):
            name = self.convert(where, "calendar", table["calendar"], str)
            if name not in self._calendars:
                none = "; there is no [calendars.NAME]"
                known = suggested(name, self._calendars) if self._calendars else none
                self.complain(where, "calendar", f"there is no such calendar{known}")
            return self._calendars.get(name)
        return None

    # ── a feed ──────────────────────────────────────────────────────────────────────────────────

    def _feed(self, name: str, raw: object, defaults: DefaultsSettings) -> FeedSettings | None:
        where = f"[feeds.{key_name(name)}]"
        if not BARE.match(name):
            self.complain(where, "", "expected a feed's name of letters, digits, - and _ only")
        if not isinstance(raw, Mapping):
            self.complain(where, "", f"expected a table, found {found(raw)}")
            return None
        table = self.table(where, raw)
        kind = self._kind(where, table)
        doors = self._doors(where, table, kind)
        if isinstance(table.get("url"), list | tuple):
            table = {key: value for key, value in table.items() if key != "url"}  # its mistakes are told
            table |= {"url": doors[0]} if doors else {}
        login = find_login(kind, table, self._environ) if kind else EnvironmentLogin()
        if login.mistake:
            self.complain(where, "", login.mistake)
        own = self._own(where, table | login.table, kind, login) if kind else None
        fields = self.some_fields(where, table, FeedSettings, PLAIN_KEYS)
        self._check_transport(where, table, fields)
        self._reject_strange_keys(where, name, table, kind)
        sub = where.removesuffix("]")
        fields["restart"] = self._restart(f"{sub}.restart]", table.get("restart", {}), defaults.restart)
        for key in ("heartbeat", "health"):
            fields[key] = self.merged(f"{sub}.{key}]", table.get(key, {}), getattr(defaults, key))
        self._check_health(f"{sub}.health]", fields["health"], fields["heartbeat"])
        for key, rate in RATES.items():
            if key in table:
                own_rate = getattr(kind or Venue, key)
                given = self.fields(f"{sub}.{key}]", table[key], rate)
                if "frames" in given:
                    given["frames"] = self._each(f"{sub}.{key}]", "frames", given["frames"], FrameLimit.parse)
                fields[key] = structs.replace(own_rate, **given)
        fields["limits"] = Limits(**self.fields(f"{sub}.limits]", table.get("limits", {}), Limits))
        fields["dead_mans_switch"] = self._switch(f"{sub}.dead_mans_switch]", table)
        venue = self.quoting(where, "", lambda: kind(name, own)) if kind and own else None
        fields["doors"] = doors if len(doors) > 1 else ()
        fields["accounts"] = self._accounts(where, table)
        fields["login_variables"] = tuple(login.names.values())
        fields["subscribe"] = self._subscribe(where, table.get("subscribe", ()), venue or kind)
        if kind is None or own is None:
            return None
        feed = FeedSettings(name=name, venue=kind.name, kind=kind, own=own, **fields)
        if venue is not None:
            self._check_doors(where, feed, venue)
            self._check_trading(where, feed, venue, table.get("limits", {}))
            if feed.accounts and not venue.account_channels:
                self.complain(where, "accounts", f"venue {venue.name} has no accounts that can be followed")
            self._check_backfill(where, feed, venue)
            self._check_price_sources(where, feed)
            missing = self.quoting(where, "", venue.missing_login)
            if missing and not login.mistake:
                self.complain(where, "", f"{missing}{login.hint}")
        return feed

    def _runtime(self, table: object) -> dict[str, Any]:
        fields = self.fields("[runtime]", table, RuntimeSettings)
        if fields.get("cooldown_file"):
            fields["cooldown_file"] = str(self._path(fields["cooldown_file"]).absolute())
        return fields

    def _path(self, name: str) -> Path:
        return Path(self._directory, user_path(name))

    def _kind(self, where: str, table: Table) -> type[Venue] | None:
        known = ", ".join(sorted(self._venues))
        if "venue" not in table:
            self.complain(where, "venue", f"missing; expected one of: {known}")
            return None
        try:
            name = self.convert(where, "venue", table["venue"], str)
        except RefusedError:
            return None
        if name == HUB:
            return self._hub(where, table)
        if name in self._venues:
            return self._venues[name]
        if name.endswith(".toml") or "/" in name:
            return self._described(where, name, str(table["venue"]))
        if ":" in name:
            return self._imported(where, name, str(table["venue"]))
        # As it was written: a variable's value is not shown.
        text = f"there is no venue {str(table['venue'])!r}{suggested(name, self._venues)}"
        self.complain(where, "venue", text)
        return None

    def _imported(self, where: str, name: str, shown: str) -> type[Venue] | None:
        """A venue that does not come with the package, as `module:Class`."""
        try:
            return venue_class(name, shown)
        except ConfigError as error:
            for text in error.problems:
                self.complain(where, "venue", text)
            return None

    def _described(self, where: str, name: str, shown: str) -> type[Venue] | None:
        """The venue of a table's own file."""
        from actors.settings.venue_tables import read_venue

        path = self._path(name)
        try:
            return read_venue(text_of(path, shown), shown)
        except ConfigError as error:
            if not _is_file(path):
                self.complain(where, "venue", f"there is no file {shown!r} (from the config's directory)")
            else:
                self.problems += error.problems
            return None

    def _hub(self, where: str, table: Table) -> type[Venue] | None:
        """The venue of a hub that the feed describes itself."""
        from actors.settings.venue_tables import read_hub
        from actors.venues.signalr import GIVEN

        if "url" not in table:
            self.complain(where, "url", "missing; expected the hub's address, such as wss://host/hubs/market")
        if "hub" not in table:
            text = "missing; expected a table with the hub's channels and events, see docs/venues.md"
            self.complain(where, "hub", text)
            return None
        inside = f"{where.removesuffix(']')}.hub]"
        described = self.table(inside, table["hub"])
        for key in GIVEN.keys() & described.keys():
            place = f"it belongs in {where}" if key in {"url", "token"} else f"{HUB} is all that it is called"
            self.complain(inside, key, f"it has no place here; {place}")
        try:
            with suppress(RefusedError):
                return read_hub(self.expand(inside, "", described), f"{self.file}: {inside}")
        except ConfigError as error:
            self.problems += error.problems
        return None

    def convert(self, where: str, key: str, raw: object, kind: Any) -> Any:
        """As any other value; of a path that stands for a secret, the file."""
        if plain(kind) is not SecretFile or isinstance(raw, SecretFile):
            return super().convert(where, key, raw, kind)
        name = super().convert(where, key, raw, FilePath)
        shown = raw if isinstance(raw, str) else name  # as it was written: a variable's value is not shown
        try:
            file = read_secret_file(self._path(name), shown)
        except ConfigError as error:
            self.complain(where, key, error.problems[0])
            raise RefusedError from None
        self._hide(file.text.reveal())
        return file

    def _own(
        self, where: str, table: Table, kind: type[Venue], login: EnvironmentLogin
    ) -> VenueSettings | None:
        """The venue's own keys of a feed's table."""
        before = len(self.problems)
        missing = self._check_login(where, kind, login)
        fields = self.some_fields(where, table, kind.Settings, keys_of(kind.Settings) - missing)
        self._reject_empty(where, table, kind.Settings, fields)
        url = fields.get("url", "")
        mistake = _url_mistake(url, kind) if url.strip() else ""
        if not mistake and kind.hub_urls and url:
            url = fields["url"] = hub_url(url)
        if mistake:
            self.complain(where, "url", mistake)
        elif is_clear(url):
            self.warn(where, "url", "ws:// sends everything in clear, also keys; wss:// does not")
        is_sound = len(self.problems) == before and not missing
        if url.startswith("sim://") and not mistake:
            fields["url"] = with_talk(url, self._directory)
            self._check_simulator(where, fields["url"], kind)
        return self.quoting(where, "", lambda: kind.Settings.of(fields)) if is_sound else None

    def _check_login(self, where: str, kind: type[Venue], login: EnvironmentLogin) -> set[str]:
        """Reports a feed without the login that its venue requires; returns the keys that are missing."""
        if login.names or not login.advice + login.mistake:
            return set()
        keys = login_keys(kind)
        required = {field.encode_name for field in structs.fields(kind.Settings) if field.required} & keys
        if required and login.advice:
            self.complain(where, "", f"there is no login: {login.advice}{login.hint}")
        return required

    def _reject_empty(
        self, where: str, table: Table, kind: type[VenueSettings], fields: Mapping[str, Any]
    ) -> None:
        """Reports an empty text, such as that of an empty variable."""
        for field in structs.fields(kind):
            key = field.encode_name
            if key not in table or plain(field.type) is not str or str(fields.get(field.name, "x")).strip():
                continue
            if key == "url" or key.endswith("_url"):
                text = "expected a URL, found an empty text; leave the key out for the venue's own"
            else:
                text = "expected text that is not empty"
                text += "" if field.required else "; leave the key out if the feed has none"
            self.complain(where, key, text)

    def _doors(self, where: str, table: Table, kind: type[Venue] | None) -> tuple[str, ...]:
        """The addresses of a feed whose `url` is a list; empty: it is none, or has mistakes."""
        raw = table.get("url")
        if not isinstance(raw, list | tuple):
            return ()
        try:
            urls = self.convert(where, "url", raw, tuple[str, ...])
        except RefusedError:
            return ()
        before = len(self.problems)
        if not urls:
            self.complain(where, "url", "expected at least one address in the list")
        mistakes = [_url_mistake(url, kind) for url in urls]
        if kind is None or kind.hub_urls:
            urls = tuple(map(hub_url, urls))
        for number, (url, told) in enumerate(zip(urls, mistakes, strict=True), 1):
            mistake = told if url.strip() else "expected a URL, found an empty text"
            if not mistake and url.startswith("sim:") and len(urls) > 1:
                mistake = 'expected one simulator alone: url = "sim://…"'
            if not mistake and urlsplit(url).scheme != urlsplit(urls[0]).scheme:
                mistake = (
                    f"expected {urlsplit(urls[0]).scheme}:// as in entry 1: all addresses are of one kind"
                )
            if not mistake and url in urls[: number - 1]:
                mistake = "the address is there twice"
            if mistake:
                self.complain(where, "url", f"entry {number}: {mistake}")
            elif number > 1 and is_clear(url):
                self.warn(where, "url", f"entry {number}: ws:// sends everything in clear; wss:// does not")
        return urls if len(self.problems) == before else ()

    def _check_doors(self, where: str, feed: FeedSettings, venue: Venue) -> None:
        """Reports an address at which the venue is another one."""
        for number, url in enumerate(feed.doors, 1):
            prefix = f"entry {number}: "
            other = self.quoting(where, "url", functools.partial(feed.build_venue, url), prefix=prefix)
            if other is not None and _offered(other) != _offered(venue):
                self.complain(where, "url", f"{prefix}the venue has other channels there than at entry 1")

    def _check_simulator(self, where: str, url: str, kind: type[Venue]) -> None:
        """Reports a `sim://` URL whose simulator is another venue's, or does not take a setting or fault."""
        from actors.simulators import from_url  # most configs name none

        def build() -> None:
            name = urlsplit(url).hostname or ""
            if name == "table" and kind.hub_urls:
                advice = "start a hub of your own (actors.simulators.signalr), and write its url"
                raise ConfigError([f"a transcript cannot be played to the client of a SignalR hub; {advice}"])
            if not self._may_play(name, kind):
                own = f"sim://{kind.name} or " if kind.simulator else ""
                advice = f"write {own}sim://table?talk=FILE"
                raise ConfigError([f"there is no simulator {name!r} for venue {kind.name}; {advice}"])
            from_url(url, {kind.name: kind.simulator})

        self.quoting(where, "url", build, prefix=f"url {url!r}: ")

    def _may_play(self, simulator: str, kind: type[Venue]) -> bool:
        """Whether a simulator may be the other end of a venue: its own, that of a base class, a transcript.

        A table or class of the user's own that names no simulator may have the protocol of any.
        """
        from actors.venues import VENUES

        if not kind.simulator and self._venues.get(kind.name) is not kind:
            return True
        if simulator == "table" or (kind.simulator and simulator == kind.name):
            return True
        return simulator in VENUES and issubclass(kind, VENUES[simulator])

    def _check_transport(self, where: str, table: Table, fields: dict[str, Any]) -> None:
        if mistake := proxy_mistake(fields.get("proxy", "none")):
            self.complain(where, "proxy", mistake)
        if fields.get("ca_file") is not None:
            path = self._path(fields["ca_file"]).absolute()
            fields["ca_file"] = str(path)
            if not _is_file(path):
                raw = table["ca_file"]
                self.complain(where, "ca_file", f"there is no file {raw!r} (from the config's directory)")
        if not fields.get("verify_tls", True):
            text = "certificates are not checked, so another server could impersonate the venue"
            self.warn(where, "verify_tls", text)

    def _reject_unknown_outside_of_feeds(self, where: str, table: Table, known: Collection[str]) -> None:
        """A key may be a setting of an SDK, whose config file has one table for all."""
        for key in [key for key in table if key not in known]:
            found_in = (meaning(key, "keys", kind.sdk_words()) for kind in self._venues.values())
            if told := next(filter(None, found_in), ""):
                self.complain(where, key, f"there is no such table{told}, in [feeds.NAME]")
            else:
                self.reject_unknown(where, [key], known)

    def _reject_strange_keys(self, where: str, feed: str, table: Table, kind: type[Venue] | None) -> None:
        """Keys in a feed's table that are neither of every feed nor of its venue."""
        # Without its venue it is not known which keys are allowed.
        kinds = [kind] if kind is not None else list(self._venues.values())
        known = FEED_KEYS.union(*(keys_of(each.Settings) for each in kinds))
        for key in [key for key in table if key not in known]:
            owners = sorted(name for name, other in self._venues.items() if key in keys_of(other.Settings))
            found_in = (meaning(key, "keys", each.sdk_words()) for each in kinds)
            if told := next(filter(None, found_in), ""):
                self.complain(where, key, f"there is no such key{told}")
            elif kind is not None and owners:
                theirs = ", ".join(owners)
                self.complain(where, key, f"venue {kind.name} has no such key; it is one of: {theirs}")
            else:
                self.reject_unknown(where, [key], known, feed)

    def _accounts(self, where: str, table: Table) -> tuple[int, ...]:
        with suppress(RefusedError):
            given = self.convert(where, "accounts", table.get("accounts", ()), AccountNumbers)
            return tuple(int(each) for each in given)
        return ()

    # ── its subscriptions ───────────────────────────────────────────────────────────────────────

    def _subscribe(self, where: str, raw: object, venue: AnyVenue) -> tuple[WantedTopics, ...]:
        if not isinstance(raw, list | tuple):
            text = f'expected a list of tables such as {{ channel = "…" }}, found {found(raw)}'
            self.complain(where, "subscribe", text)
            return ()
        seen: set[Topic] = set()
        wanted = []
        for number, entry in enumerate(raw, 1):
            place = f"{where} subscribe entry {number}"
            topics = self._wanted(place, self.table(place, entry), venue)
            if topics is not None:
                wanted.append(topics)
                if isinstance(venue, Venue):
                    self._check_topics(place, self.says_variable(entry), topics, venue, seen)
        return tuple(wanted)

    def _wanted(self, where: str, table: dict[str, object], venue: AnyVenue) -> WantedTopics | None:
        table = _with_keys_as_text(table)
        fields = self.some_fields(where, table, WantedTopics, PLAIN_ENTRY_KEYS)
        if "calendar" in table:
            fields["calendar"] = self._calendar_of(where, table)
        self._check_freshness(where, table, fields, venue)
        sound = "keys" in fields or "keys" not in table
        if not all(fields.get("keys", ())):
            self.complain(where, "keys", "expected texts that are not empty")
            sound = False
        channel = self._channel(where, table, fields.get("channel"), venue)
        options: dict[str, Option] = {}
        for key in [key for key in table if key not in ENTRY_KEYS]:
            if channel is not None and key not in channel.options:
                self.complain(where, key, self._no_such_option(key, channel, venue))
            elif channel is None and (near := nearest(key, ENTRY_KEYS)):
                self.complain(where, key, f"there is no such key; did you mean {near!r}?")
            else:
                try:
                    options[key] = self._option(where, key, table[key])
                except RefusedError:
                    sound = False
        return WantedTopics(options=options, **fields) if channel is not None and sound else None

    def _check_freshness(
        self,
        where: str,
        table: Table,
        fields: Mapping[str, Any],
        venue: AnyVenue,
    ) -> None:
        """What is allowed and means nothing."""
        dated = fields.get("max_event_lag")
        kind = type(venue) if isinstance(venue, Venue) else venue
        if dated and kind is not None and kind.event_time_ns is Venue.event_time_ns:
            self.warn(where, "max_event_lag", f"events of venue {kind.name} have no timestamp of the venue")

    def _channel(self, where: str, table: Table, name: str | None, venue: AnyVenue) -> Channel | None:
        if venue is None or name is None:
            return None
        if name not in venue.channels:  # reported as it was written
            hint = meaning(name, "channels", venue.sdk_words()) or suggested(name, venue.channels)
            text = f"venue {venue.name} has no channel {table['channel']!r}{hint}"
            self.complain(where, "channel", text)
        return venue.channels.get(name)

    def _no_such_option(self, key: str, channel: Channel, venue: AnyVenue) -> str:
        text = f"channel {channel.name} has no such option"
        if venue is not None and (told := meaning(key, "options", venue.sdk_words())):
            return f"{text}{told}"
        if near := nearest(key, [*channel.options, *ENTRY_KEYS]):
            return f"{text}; did you mean {near!r}?"
        takes = f"takes {', '.join(sorted(channel.options))}" if channel.options else "takes no options"
        return f"{text}{self.home(key)}; it {takes}"

    def _option(self, where: str, key: str, raw: object) -> Option:
        value = self.expand(where, key, raw)
        if isinstance(value, float) and not math.isfinite(value):
            self.complain(where, key, f"expected a finite number, found {value}")
        elif isinstance(value, str | int | float):
            return value
        else:
            self.complain(where, key, f"expected text, a number, true or false, found {found(raw)}")
        raise RefusedError

    def _check_topics(
        self, where: str, foreign: bool, wanted: WantedTopics, venue: Venue, seen: set[Topic]
    ) -> None:
        channel = venue.channels[wanted.channel]
        if channel.key and not wanted.keys:
            self.complain(where, "keys", f"channel {channel.name} wants at least one key ({channel.key})")
            return
        if wanted.keys and not channel.key:
            self.complain(where, "keys", f"channel {channel.name} takes no keys")
            return
        wrong: set[str] = set()
        for key in wanted.keys or ("",):
            topic = self._topic(where, foreign, wanted, venue, key, wrong)
            if topic is None:
                continue
            if topic in seen:
                which = "one of its topics" if foreign else str(topic)
                self.warn(where, "", f"{which} is wanted twice")
            seen.add(topic)

    def _topic(
        self, where: str, foreign: bool, wanted: WantedTopics, venue: Venue, key: str, wrong: set[str]
    ) -> Topic | None:
        """None: the venue refuses it, which is reported; `wrong` are options that were reported already."""
        options = dict(wanted.options)

        def build() -> Topic:
            return topic_of(venue, wanted.channel, key, options)

        def report(place: str) -> Topic | None:
            return self.quoting(where, place, build, withheld=foreign, prefix=f"{venue.feed}: ")

        while option := _wrong_option(venue, wanted.channel, key, options):
            if option not in wrong:
                wrong.add(option)
                report(option)
            del options[option]
        if len(options) < len(wanted.options):
            return None
        return report("keys" if key else "")


def _with_keys_as_text(table: dict[str, object]) -> dict[str, object]:
    """Integers among the keys as their digits."""
    keys = table.get("keys")
    if not isinstance(keys, list | tuple):
        return table
    return table | {"keys": [str(key) if type(key) is int and abs(key) < 2**63 else key for key in keys]}


def _url_mistake(url: str, kind: type[Venue] | None) -> str:
    return hub_mistake(url) if kind is None or kind.hub_urls else url_mistake(url)


def _offered(venue: Venue) -> set[str]:
    """The channels that it has at its address."""
    return {channel for channel in venue.channels if venue.offers(channel)}


def _wrong_option(venue: Venue, channel: str, key: str, options: Mapping[str, Option]) -> str:
    """The option without which the venue has another objection, or none; empty: there is no such option."""

    def objection(left_out: str = "") -> str:
        rest = {name: value for name, value in options.items() if name != left_out}
        try:
            venue.topic(channel, key, rest)
        except Exception as error:  # a defect of the venue's is placed as an objection is
            return f"{type(error).__name__}: {error}"
        return ""

    told = objection()
    return next((name for name in options if told and objection(name) != told), "")


def _says(raw: object, key: str) -> bool:
    return isinstance(raw, Mapping) and key in raw
