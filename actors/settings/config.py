"""A whole config, table by table. Each table has a module of its own beside this one."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Container, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from msgspec import structs

from actors.errors import ConfigError
from actors.protocol.foreign_words import meaning
from actors.protocol.venue import Venue
from actors.rules.calendar import Calendar
from actors.rules.line_policy import HeartbeatPolicy
from actors.rules.poor_health import HealthPolicy
from actors.rules.restarts import RestartPolicy
from actors.secret import SecretFile
from actors.settings.calendar_tables import read_calendar
from actors.settings.defaults_table import read_defaults
from actors.settings.env_file import variables_of
from actors.settings.feed_keys import RATES, OwnKeys
from actors.settings.feed_table import FeedReader
from actors.settings.included import read_included
from actors.settings.schema import (
    CalendarSettings,
    DeadMansSwitchSettings,
    DefaultsSettings,
    FeedSettings,
    LogSettings,
    RuntimeSettings,
    ServiceSettings,
    Settings,
    TradingSettings,
)
from actors.settings.service_table import read_service
from actors.settings.subscriptions import ENTRY_KEYS
from actors.settings.table_reader import RefusedError, SettingsReader
from actors.settings.trading_tables import check_folder, read_trading, warn_of_mixed_worlds
from actors.settings.wording import keys_of
from actors.trading.limits import Limits

TABLES = {"runtime", "service", "trading", "log", "defaults", "calendars", "feeds"}
TOP_KEYS = {"include", "env_file"}
Table = Mapping[str, object]


class ConfigReader(SettingsReader):
    """Reads one config into settings, or raises with every mistake in it."""

    def __init__(
        self, file: str, directory: Path, environ: Mapping[str, str], venues: Mapping[str, type[Venue]]
    ) -> None:
        homes: dict[str, Container[str]] = {
            "the first lines of the file, before any [table]": TOP_KEYS,
            "[runtime]": keys_of(RuntimeSettings),
            "[service]": keys_of(ServiceSettings),
            "[trading]": keys_of(TradingSettings),
            "[log]": keys_of(LogSettings),
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
        super().__init__(file, environ, homes, directory)
        self._directory = directory
        self._venues = venues
        self._calendars: dict[str, Calendar | None] = {}  # None: it has mistakes, which are reported

    def settings(self, source: Mapping[Any, Any]) -> Settings:
        """Raises ConfigError with all that is wrong."""
        top = self.table("", source)
        self._reject_unknown_outside_of_feeds("", top, TABLES | TOP_KEYS)
        for name, raw in top.items():
            if isinstance(raw, Mapping):
                self.places.keep(f"[{name}]", raw)
        env_file = self.read_env_file(top)
        included = read_included(self, top)
        runtime = RuntimeSettings(**self._runtime(top.get("runtime", {})))
        service = read_service(self, top.get("service", {}), self._directory)
        trading = read_trading(self, top.get("trading", {}))
        defaults = read_defaults(self, self._venues, top.get("defaults", {}))
        log = LogSettings(**self.fields("[log]", top.get("log", {}), LogSettings))
        for name, raw in included.calendars.items():
            self._calendars[name] = read_calendar(self, name, raw)
        read = [self._feeds(defaults).read(name, raw) for name, raw in included.feeds.items()]
        feeds = {feed.name: feed for feed in read if feed is not None}
        check_folder(self, trading, feeds)
        self._raise_problems()
        if not feeds:
            self.warn("[feeds]", "", "there is no feed in this config")
        settings = Settings(
            runtime=runtime,
            service=service,
            trading=trading,
            log=log,
            feeds=feeds,
            calendars={name: known for name, known in self._calendars.items() if known is not None},
            defaults=defaults,
            file=self.file,
            included=tuple(included.files),
            env_file=env_file,
        )
        warn_of_mixed_worlds(self, settings)
        return structs.replace(settings, warnings=tuple(dict.fromkeys(self.warnings)))

    def feed(self, name: str, raw: object, beside: Settings) -> FeedSettings:
        """One feed more, with the defaults and calendars of these settings. Raises as `settings` does."""
        self._calendars.update(beside.calendars)
        if beside.env_file:
            self.read_env_file({"env_file": beside.env_file})
        feed = self._feeds(beside.defaults).read(name, raw)
        if feed is not None:
            check_folder(self, beside.trading, {name: feed})
        self._raise_problems()
        assert feed is not None, "a feed without a mistake was read"
        return feed

    def _feeds(self, defaults: DefaultsSettings) -> FeedReader:
        return FeedReader(self, self._environ, self._venues, self._calendars, defaults)

    def _raise_problems(self) -> None:
        """Each once: feeds that share a default share its mistake."""
        if self.problems:
            raise ConfigError(list(dict.fromkeys(self.problems)))

    def read_env_file(self, top: Table) -> str:
        """Its variables, after those of the process. Returns its absolute path; empty: there is none."""
        where = "env_file"
        if where not in top:
            return ""
        with suppress(RefusedError):
            file = self.convert(where, "", top[where], SecretFile)
            path = self.path(where, "", self.expand(where, "", top[where]))
            variables = variables_of(file.text.reveal(), str(path))
            self.problems += variables.problems
            self.warnings += variables.warnings
            self._environ = ChainMap(dict(self._environ), variables.values)
            return str(path.absolute())
        return ""

    def _runtime(self, table: object) -> dict[str, Any]:
        fields = self.fields("[runtime]", table, RuntimeSettings)
        if fields.get("cooldown_file"):
            path = self.path("[runtime]", "cooldown_file", fields["cooldown_file"])
            fields["cooldown_file"] = str(path.absolute())
        return fields

    def _reject_unknown_outside_of_feeds(self, where: str, table: Table, known: Collection[str]) -> None:
        """A key may be a setting of an SDK, whose config file has one table for all."""
        for key in [key for key in table if key not in known]:
            found_in = (meaning(key, "keys", kind.sdk_words()) for kind in self._venues.values())
            is_table = isinstance(table[key], Mapping) and get_close_matches(key, known, 1)
            if not is_table and (told := next(filter(None, found_in), "")):
                self.complain(where, key, f"there is no such table{told}, in [feeds.NAME]")
            else:
                self.reject_unknown(where, [key], known)
