"""config/*.toml as frozen Structs; a mistake is named by file, table and key, and all at once."""

from __future__ import annotations

import json
import math
import os
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin
from urllib.parse import SplitResult, urlsplit

import msgspec
from msgspec import Meta, Struct, structs

from actors.errors import ConfigError, LinewardenError
from actors.events import Option, Topic
from actors.rules.venue import Channel, Pacing, Venue, VenueSettings
from actors.secret import Secret, dec_hook

YEAR = 366 * 86_400.0  # seconds; a longer time is a slip of the pen
SLOW_MAXIMUM = 300.0  # seconds; where a slow reason's waits end

Seconds = Annotated[float, Meta(gt=0, le=YEAR, description="seconds, more than 0 and at most a year")]
Interval = Annotated[float, Meta(ge=0, le=YEAR, description="seconds, 0 or more and at most a year")]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+\Z", description="letters, digits, - and _ only")]
Bytes = Annotated[int, Meta(ge=1, le=1 << 30, description="a number of bytes from 1 to 1073741824")]
Text = Annotated[str, Meta(min_length=1, description="text that is not empty")]

Keys = Annotated[tuple[str, ...], Meta(description='a list of texts, such as ["AAPL", "MSFT"]')]

T = TypeVar("T")


# ── what a config says ──────────────────────────────────────────────────────────────────────────


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of the config, complete: what it leaves out has its default."""


class RuntimeSettings(Table, frozen=True, kw_only=True):
    """`[runtime]`."""

    name: Name = "linewarden"
    watchdog: Interval = 10.0  # seconds without an answer through an actor's own mailbox; 0: off


class ServiceSettings(Table, frozen=True, kw_only=True):
    """`[service]`: only `linewarden run` listens."""

    listen: str = "127.0.0.1:9700"
    token: Secret | None = None  # beyond loopback there must be one

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as a socket takes them. An empty host means every interface."""
        host, port = _address(self.listen)
        return host, port


class RestartSettings(Table, frozen=True, kw_only=True):
    """`[defaults.restart]` and `[feeds.NAME.restart]`: who comes back, when, how often."""

    initial: Seconds = 0.25
    maximum: Seconds = 30.0
    multiplier: Annotated[float, Meta(ge=1, le=1000, description="a number from 1 to 1000")] = 2.0
    max_restarts: Annotated[int, Meta(ge=0, le=1_000_000, description="a whole number, 0 or more")] = 20
    period: Seconds = 300.0
    stable_after: Interval = 10.0
    probe_interval: Interval = 60.0  # 0: a parked line is not probed
    slow_initial: Annotated[
        float, Meta(gt=0, le=SLOW_MAXIMUM, description="seconds, more than 0 and at most 300")
    ] = 30.0


class HeartbeatSettings(Table, frozen=True, kw_only=True):
    """`[defaults.heartbeat]` and `[feeds.NAME.heartbeat]`."""

    ping_interval: Interval = 10.0  # 0: no pings
    pong_timeout: Seconds = 5.0
    venue_ping_interval: Interval | None = None  # 0: none of the venue's pings; None: as the venue wants it


class WantedTopics(Table, frozen=True, kw_only=True):
    """An entry of `subscribe`: wanted from the start, with or without a consumer."""

    channel: str
    keys: Keys = ()
    stale_after: Interval = 0.0  # 0: silence means nothing
    options: dict[str, Option] = {}  # the entry's other keys


class FeedSettings(Table, frozen=True, kw_only=True):
    """`[feeds.NAME]`: a venue, how to reach it, and what is wanted of it."""

    name: str
    venue: str
    kind: type[Venue]
    own: VenueSettings
    connect_timeout: Seconds = 10.0
    proxy: str = "none"  # or "env", or a URL; it may hold a password
    ca_file: str | None = None  # an absolute path
    insecure: bool = False
    compression: str = "none"
    ack_timeout: Seconds = 10.0
    block_limit: Interval = 5.0
    send_buffer: Bytes = 1_048_576
    max_message: Bytes = 16 * 1_048_576
    pacing: Pacing | None = None  # None: as the venue wants it
    restart: RestartSettings = RestartSettings()
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    subscribe: tuple[WantedTopics, ...] = ()

    def build_venue(self, url: str = "") -> Venue:
        """The venue of this feed, at another `url` if one is given. Pure: nothing is connected."""
        return self.kind(self.name, structs.replace(self.own, url=url) if url else self.own)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"FeedSettings({shown})"

    def __rich_repr__(self) -> Iterator[tuple[str, object]]:  # type: ignore[override]
        """What may be seen: URLs are cut short, for they may hold a password or a token."""
        for name in self.__struct_fields__:
            if name == "proxy":
                yield name, self.proxy if self.proxy in PROXIES else _origin(self.proxy)
            elif name == "own":
                yield "url", _origin(self.own.url)
            elif name != "kind":
                yield name, getattr(self, name)


class Settings(Table, frozen=True, kw_only=True):
    """A whole config without a mistake in it."""

    runtime: RuntimeSettings = RuntimeSettings()
    service: ServiceSettings = ServiceSettings()
    feeds: dict[str, FeedSettings] = {}
    file: str = "<config>"
    warnings: tuple[str, ...] = ()  # sentences: allowed, but somebody should look at it


def load(
    source: str | Path | Mapping[str, Any] | Settings,
    environ: Mapping[str, str] = os.environ,
    *,
    venues: Mapping[str, type[Venue]] | None = None,
) -> Settings:
    """The settings in a TOML file, or in a mapping of the same shape.

    `${NAME}` in a text takes the value of that variable in `environ`. Feeds may name any of
    `venues`; None means those that are built in.

    Raises:
        ConfigError: every mistake there is, a sentence each. None repeats a variable's value.
    """
    if isinstance(source, Settings):
        return source
    if venues is None:
        from actors.venues import VENUES

        venues = VENUES
    if isinstance(source, Mapping):
        return _Reader("<config>", Path(), environ, venues).settings(source)
    path = Path(source).expanduser()
    return _Reader(str(source), path.parent, environ, venues).settings(_parsed(path, str(source)))


# ── a file into a tree ──────────────────────────────────────────────────────────────────────────


def _parsed(path: Path, file: str) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        return tomllib.loads(text)
    except FileNotFoundError:
        problem = f"{file}: there is no such file."
    except OSError as error:
        problem = f"{file}: it cannot be read ({error.strerror or error})."
    except UnicodeDecodeError as error:
        problem = f"{file}: it is not UTF-8 text (byte {error.start})."
    except tomllib.TOMLDecodeError as error:
        problem = _syntax(file, text, str(error))
    except RecursionError:
        problem = f"{file}: it is nested too deeply."
    except ValueError as error:  # of a number with thousands of digits, or a path with a NUL
        problem = f"{file}: it cannot be read ({error})."
    raise ConfigError([problem])


def _syntax(file: str, text: str, error: str) -> str:
    what, _, place = error.partition(" (at ")
    numbers = re.findall(r"\d+", place)
    if len(numbers) != 2:  # "at end of document"
        lines = text.splitlines() or [""]
        numbers = [str(len(lines)), str(len(lines[-1]) + 1)]
    return f"{file}:{numbers[0]}:{numbers[1]}: this is not TOML: {what[:1].lower()}{what[1:]}."


# ── a tree into settings, table by table and key by key ─────────────────────────────────────────

PROXIES = ("none", "env")
PROXY_SCHEMES = ("http", "socks4", "socks4a", "socks5", "socks5h")
URL_SCHEMES = ("ws", "wss", "sim")
NOT_YET = {
    "rotate_every": "planned rotation of a connection is not available yet; leave it out",
}
DEPTH = 32  # of tables in tables
OPTION_KINDS = (str, int, float, bool)

_VARIABLE = re.compile(r"\$\$\{|\$\{([^{}]*)\}?")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")


class _RefusedError(Exception):
    """This value has been complained of; there is nothing to go on with."""


class _Reader:
    """Reads one config, and goes on after a mistake to find the next."""

    DERIVED: ClassVar = {"name", "kind", "own"}  # of a feed: not keys of its table

    def __init__(
        self, file: str, directory: Path, environ: Mapping[str, str], venues: Mapping[str, type[Venue]]
    ) -> None:
        self._file = file
        self._directory = directory
        self._environ = environ
        self._venues = venues
        self._problems: list[str] = []
        self._warnings: list[str] = []
        self._hidden: set[str] = set()  # values that no sentence may repeat
        feed_keys = set(FeedSettings.__struct_fields__) - self.DERIVED | set(NOT_YET)
        self._homes = {  # where a key that stands in the wrong place belongs
            "[runtime]": _keys(RuntimeSettings),
            "[service]": _keys(ServiceSettings),
            "[feeds.NAME]": feed_keys | {key for kind in venues.values() for key in _keys(kind.Settings)},
            "[feeds.NAME.restart] or [defaults.restart]": _keys(RestartSettings),
            "[feeds.NAME.heartbeat] or [defaults.heartbeat]": _keys(HeartbeatSettings),
            "an entry of subscribe": _keys(WantedTopics) - {"options"},
            "[feeds.NAME.pacing]": _keys(Pacing),
        }
        self._feed_keys = feed_keys

    def settings(self, source: Mapping[Any, Any]) -> Settings:
        top = self._table("", source)
        self._reject_unknown("", top, {"runtime", "service", "defaults", "feeds"})
        runtime = RuntimeSettings(**self._fields("[runtime]", top.get("runtime", {}), RuntimeSettings))
        service = self._service(top.get("service", {}))
        defaults = self._table("[defaults]", top.get("defaults", {}))
        self._reject_unknown("[defaults]", defaults, {"restart", "heartbeat"})
        restart, heartbeat = defaults.get("restart", {}), defaults.get("heartbeat", {})
        base_restart = self._restart("[defaults.restart]", restart, RestartSettings())
        base_heartbeat = self._merged("[defaults.heartbeat]", heartbeat, HeartbeatSettings())
        feeds = {}
        for name, raw in self._table("[feeds]", top.get("feeds", {})).items():
            feed = self._feed(name, raw, base_restart, base_heartbeat)
            if feed is not None:
                feeds[name] = feed
        if self._problems:
            raise ConfigError(self._problems)
        if not feeds:
            self._warn("[feeds]", "", "there is no feed in this config")
        return Settings(
            runtime=runtime, service=service, feeds=feeds, file=self._file, warnings=tuple(self._warnings)
        )

    # ── tables ──────────────────────────────────────────────────────────────────────────────────

    def _service(self, raw: object) -> ServiceSettings:
        where = "[service]"
        service = ServiceSettings(**self._fields(where, raw, ServiceSettings))
        try:
            host, _ = _address(service.listen)
        except ValueError:
            example = '"127.0.0.1:9700" or "[::1]:9700"'
            self._complain(where, "listen", f"expected host and port, such as {example}")
            return service
        if service.token is not None and not re.fullmatch(r"[!-~]+", service.token.reveal()):
            self._complain(where, "token", "expected printable ASCII without spaces, and not empty")
        elif service.token is None and not _is_loopback(host) and not self._says(raw, "token"):
            advice = 'add token = "${LINEWARDEN_TOKEN}" or listen on 127.0.0.1'
            self._complain(where, "token", f"beyond loopback a token is required; {advice}")
        return service

    def _restart(self, where: str, raw: object, base: RestartSettings) -> RestartSettings:
        before = len(self._problems)
        restart = self._merged(where, raw, base)
        mine = self._says(raw, "initial") or self._says(raw, "maximum")
        if mine and len(self._problems) == before and restart.maximum < restart.initial:
            key = "maximum" if self._says(raw, "maximum") else "initial"
            relation = f"initial is {restart.initial:g} s, maximum {restart.maximum:g} s"
            self._complain(where, key, f"expected maximum to be initial or more; {relation}")
        return restart

    def _feed(
        self, name: str, raw: object, restart: RestartSettings, heartbeat: HeartbeatSettings
    ) -> FeedSettings | None:
        where = f"[feeds.{_key(name)}]"
        if not _BARE.match(name):
            self._complain(where, "", "expected a feed's name of letters, digits, - and _ only")
        if not isinstance(raw, Mapping):
            self._complain(where, "", f"expected a table, found {_found(raw)}")
            return None
        table = self._table(where, raw)
        kind = self._venue(where, table)
        own = self._own(where, table, kind) if kind else None
        fields = self._fields(where, table, FeedSettings, only=self._feed_keys - STRUCTURED, rest=True)
        self._check_transport(where, table, fields)
        self._reject_strange_keys(where, name, table, kind)
        sub = f"[feeds.{_key(name)}."
        fields["restart"] = self._restart(f"{sub}restart]", table.get("restart", {}), restart)
        fields["heartbeat"] = self._merged(f"{sub}heartbeat]", table.get("heartbeat", {}), heartbeat)
        if "pacing" in table:
            wanted = kind.pacing if kind else Pacing()
            fields["pacing"] = self._pacing(f"{sub}pacing]", table["pacing"], wanted)
        venue = self._build(where, name, kind, own)
        fields["subscribe"] = self._subscribe(where, table.get("subscribe", ()), venue or kind)
        if kind is None or own is None:
            return None
        return FeedSettings(name=name, venue=kind.name, kind=kind, own=own, **fields)

    def _venue(self, where: str, table: Mapping[str, object]) -> type[Venue] | None:
        known = ", ".join(sorted(self._venues))
        if "venue" not in table:
            self._complain(where, "venue", f"missing; expected one of: {known}")
            return None
        try:
            name = self._convert(where, "venue", table["venue"], str)
        except _RefusedError:
            return None
        if name in self._venues:
            return self._venues[name]
        raw = str(table["venue"])  # as it was written: a variable's value is not shown
        if name.endswith(".toml") or "/" in name:
            text = f"venues described by a table are not available yet; expected one of: {known}"
        else:
            text = f"there is no venue {raw!r}{_suggested(name, self._venues)}"
        self._complain(where, "venue", text)
        return None

    def _own(self, where: str, table: Mapping[str, object], kind: type[Venue]) -> VenueSettings | None:
        """The venue's own keys of a feed's table."""
        before = len(self._problems)
        keys = _keys(kind.Settings)
        fields = self._fields(where, table, kind.Settings, only=keys, rest=True)
        url = fields.get("url")
        if url and (mistake := _url_mistake(url)):
            self._complain(where, "url", mistake)
        elif url and url.startswith("ws://") and not _is_loopback(urlsplit(url).hostname or ""):
            self._warn(where, "url", "ws:// sends everything in clear, also keys; wss:// does not")
        if len(self._problems) > before:
            return None
        return self._quoting(where, "", lambda: kind.Settings(**fields))

    def _build(
        self, where: str, name: str, kind: type[Venue] | None, own: VenueSettings | None
    ) -> Venue | None:
        if kind is None or own is None:
            return None
        return self._quoting(where, "", lambda: kind(name, own))

    def _pacing(self, where: str, raw: object, base: Pacing) -> Pacing:
        fields = self._fields(where, raw, _PacingTable)
        return structs.replace(base, **fields)

    def _check_transport(self, where: str, table: Mapping[str, object], fields: dict[str, Any]) -> None:
        proxy = fields.get("proxy", "none")
        if proxy not in PROXIES and (mistake := _proxy_mistake(proxy)):
            self._complain(where, "proxy", mistake)
        if fields.get("ca_file") is not None:
            path = Path(self._directory, Path(fields["ca_file"]).expanduser()).absolute()
            fields["ca_file"] = str(path)
            if "\0" in str(path) or not path.is_file():
                raw = table["ca_file"]
                self._complain(where, "ca_file", f"there is no file {raw!r} (from the config's directory)")
        if fields.get("insecure"):
            self._warn(where, "insecure", "certificates are not checked, so anybody may pose as the venue")
        compression = fields.get("compression", "none")
        if compression == "deflate":
            self._complain(where, "compression", '"deflate" is not available yet; expected "none"')
        elif compression != "none":
            self._complain(where, "compression", 'expected "none"')
        for key, text in NOT_YET.items():
            if key in table:
                self._complain(where, key, text)

    # ── subscriptions ───────────────────────────────────────────────────────────────────────────

    def _subscribe(
        self, where: str, raw: object, venue: Venue | type[Venue] | None
    ) -> tuple[WantedTopics, ...]:
        if not isinstance(raw, list | tuple):
            text = f'expected a list of tables such as {{ channel = "…" }}, found {_found(raw)}'
            self._complain(where, "subscribe", text)
            return ()
        seen: set[Topic] = set()
        wanted = []
        for number, entry in enumerate(raw, 1):
            place = f"{where} subscribe entry {number}"
            topics = self._wanted(place, self._table(place, entry), venue)
            if topics is None:
                continue
            wanted.append(topics)
            if isinstance(venue, Venue):
                self._check_topics(place, self._says_variable(entry), topics, venue, seen)
        return tuple(wanted)

    def _wanted(
        self, where: str, table: dict[str, object], venue: Venue | type[Venue] | None
    ) -> WantedTopics | None:
        plain = _keys(WantedTopics) - {"options"}
        fields = self._fields(where, table, WantedTopics, only=plain, rest=True)
        if empty := not all(fields.get("keys", ())):
            self._complain(where, "keys", "expected texts that are not empty")
        channel = self._declared(where, table, fields.get("channel"), venue)
        options: dict[str, Option] = {}
        sound = not empty and ("keys" in fields or "keys" not in table)
        for key in [key for key in table if key not in plain]:
            if channel is not None and key not in channel.options:
                self._complain(where, key, self._no_such_option(key, channel))
            elif channel is None and (near := _nearest(key, plain)):
                self._complain(where, key, f"there is no such key; did you mean {near!r}?")
            else:
                try:
                    options[key] = self._option(where, key, table[key])
                except _RefusedError:
                    sound = False
        return WantedTopics(options=options, **fields) if channel is not None and sound else None

    def _declared(
        self, where: str, table: Mapping[str, object], name: str | None, venue: Venue | type[Venue] | None
    ) -> Channel | None:
        channels = getattr(venue, "channels", None)
        if venue is None or name is None or not isinstance(channels, Mapping):
            return None
        if name in channels:
            return channels[name]  # type: ignore[no-any-return]
        raw = table["channel"]  # as it was written
        text = f"venue {venue.name} has no channel {raw!r}{_suggested(name, channels)}"
        self._complain(where, "channel", text)
        return None

    def _no_such_option(self, key: str, channel: Channel) -> str:
        plain = _keys(WantedTopics) - {"options"}
        text = f"channel {channel.name} has no such option"
        if near := _nearest(key, [*channel.options, *plain]):
            return f"{text}; did you mean {near!r}?"
        takes = f"takes {', '.join(sorted(channel.options))}" if channel.options else "takes no options"
        return f"{text}{self._belongs(key, None)}; it {takes}"

    def _option(self, where: str, key: str, raw: object) -> Option:
        value = self._expand(where, key, raw)
        if isinstance(value, float) and not math.isfinite(value):
            self._complain(where, key, f"expected a finite number, found {value}")
            raise _RefusedError
        if isinstance(value, OPTION_KINDS):
            return value
        self._complain(where, key, f"expected text, a number, true or false, found {_found(raw)}")
        raise _RefusedError

    def _check_topics(
        self, where: str, foreign: bool, wanted: WantedTopics, venue: Venue, seen: set[Topic]
    ) -> None:
        channel = venue.channels[wanted.channel]
        if channel.key and not wanted.keys:
            self._complain(where, "keys", f"channel {channel.name} wants at least one key ({channel.key})")
            return
        if wanted.keys and not channel.key:
            self._complain(where, "keys", f"channel {channel.name} takes no keys")
            return
        for key in wanted.keys or ("",):
            options = wanted.options

            def topic(key: str = key, options: Mapping[str, Option] = options) -> Topic:
                return venue.topic(wanted.channel, key, options)

            found = self._quoting(where, "keys" if key else "", topic, withheld=foreign, feed=venue.feed)
            if found is None:
                continue
            if found in seen:
                which = "one of its topics" if foreign else str(found)
                self._warn(where, "", f"{which} is wanted twice")
            seen.add(found)

    # ── keys ────────────────────────────────────────────────────────────────────────────────────

    def _table(self, where: str, raw: object) -> dict[str, object]:
        if not isinstance(raw, Mapping):
            self._complain(where, "", f"expected a table, found {_found(raw)}")
            return {}
        for key in raw:
            if not isinstance(key, str):
                self._complain(where, "", f"expected text as the name of a key, found {_found(key)}")
        return {key: value for key, value in raw.items() if isinstance(key, str)}

    def _merged(self, where: str, raw: object, base: T) -> T:
        fields = self._fields(where, raw, type(base))
        return structs.replace(base, **fields)  # type: ignore[type-var]

    def _fields(
        self, where: str, raw: object, kind: type, only: Collection[str] = (), *, rest: bool = False
    ) -> dict[str, Any]:
        """The keys that `kind` declares, converted. `rest`: others in the table are not judged."""
        table = self._table(where, raw)
        if not rest:
            self._reject_unknown(where, table, _keys(kind))
        found = {}
        for field in structs.fields(kind):
            key = field.encode_name
            if only and key not in only:
                continue
            if key in table:
                try:
                    found[field.name] = self._convert(where, key, table[key], field.type)
                except _RefusedError:
                    continue
            elif field.required:
                self._complain(where, key, f"missing; expected {expected(field.type)}")
        return found

    def _convert(self, where: str, key: str, raw: object, kind: Any) -> Any:
        """The value as `kind`. What is wrong is told in our own words, which repeat no text."""
        value = self._expand(where, key, raw)
        if _holds_secret(kind):
            if isinstance(value, str):
                self._hide(value)
            if value == "":
                self._complain(where, key, "expected text that is not empty")
                raise _RefusedError
        try:
            converted = msgspec.convert(value, kind, dec_hook=dec_hook)
        except (msgspec.ValidationError, RecursionError, ArithmeticError, NotImplementedError):
            converted = None
            wrong = True
        else:
            wrong = isinstance(converted, float) and not math.isfinite(converted)
        if wrong:
            text = value if isinstance(value, str) else ""
            near = _nearest(text, [str(each) for each in get_args(_plain(kind))])
            hint = f"; did you mean {near!r}?" if near else ""
            same = isinstance(value, str) and _plain(kind) is str
            found = "" if near or same else f", found {_found(raw, kind)}"
            self._complain(where, key, f"expected {expected(kind)}{found}{hint}")
            raise _RefusedError
        return converted

    def _reject_strange_keys(
        self, where: str, feed: str, table: Mapping[str, object], kind: type[Venue] | None
    ) -> None:
        """Keys in a feed's table that neither every feed nor its venue knows."""
        known = set(self._feed_keys)
        if kind is not None:
            known |= _keys(kind.Settings)
        else:  # nobody can say whose they are
            known = set(self._homes["[feeds.NAME]"])
        owners: dict[str, list[str]] = {}
        for name, other in self._venues.items():
            for key in _keys(other.Settings):
                owners.setdefault(key, []).append(name)
        for key in [key for key in table if key not in known]:
            if kind is not None and key in owners:
                theirs = ", ".join(sorted(owners[key]))
                self._complain(where, key, f"venue {kind.name} has no such key; it is one of: {theirs}")
            else:
                self._reject_unknown(where, [key], known, feed)

    def _reject_unknown(
        self, where: str, table: Iterable[str], known: Collection[str], feed: str | None = None
    ) -> None:
        what = "table" if where in {"", "[defaults]"} else "key"
        for key in table:
            if key in known:
                continue
            hint = self._belongs(key, feed) or _suggested(key, known)
            self._complain(where, key, f"there is no such {what}{hint}")

    def _belongs(self, key: str, feed: str | None) -> str:
        homes = [home for home, keys in self._homes.items() if key in keys]
        if not homes:
            return ""
        home = homes[0] if feed is None else homes[0].replace("NAME", _key(feed))
        return f"; it belongs in {home}"

    def _says(self, raw: object, key: str) -> bool:
        return isinstance(raw, Mapping) and key in raw

    # ── the environment ─────────────────────────────────────────────────────────────────────────

    def _expand(self, where: str, key: str, value: object, depth: int = 0) -> Any:
        """The value with every `${NAME}` in its texts replaced."""
        if depth > DEPTH:
            self._complain(where, key, "it is nested too deeply")
            raise _RefusedError
        if isinstance(value, str):
            return self._expand_text(where, key, value)
        if isinstance(value, Mapping):
            return {name: self._expand(where, key, inner, depth + 1) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._expand(where, key, inner, depth + 1) for inner in value]
        return value

    def _expand_text(self, where: str, key: str, text: str) -> str:
        before = len(self._problems)

        def replace(match: re.Match[str]) -> str:
            if match.group() == "$${":
                return "${"
            name = match.group(1)
            if not match.group().endswith("}") or not _VARIABLE_NAME.match(name):
                form = "${NAME}, with a name of letters, digits and _ (or $${ for the two characters)"
                self._complain(where, key, f"expected {form}")
                return ""
            value = self._environ.get(name)
            if value is None:
                near = get_close_matches(name, self._environ, 1, 0.8)
                hint = f"; did you mean ${{{near[0]}}}?" if near else ""
                self._complain(where, key, f"the environment variable {name} is not set{hint}")
                return ""
            self._hide(value)
            return value

        expanded = _VARIABLE.sub(replace, text)
        if len(self._problems) > before:
            raise _RefusedError
        return expanded

    def _says_variable(self, value: object, depth: int = 0) -> bool:
        if isinstance(value, str):
            return "${" in value.replace("$${", "")
        if isinstance(value, Mapping):
            value = list(value.values())
        if not isinstance(value, list | tuple):
            return False
        return depth > DEPTH or any(self._says_variable(inner, depth + 1) for inner in value)

    def _repeats_hidden(self, words: str) -> bool:
        """Whether the words hold a hidden value: a short one as a word, a long one anywhere."""
        words = words.casefold()
        for hidden in self._hidden:
            if hidden in words and (len(hidden) > 5 or hidden in re.split(r"[^\w]+", words)):
                return True
        return False

    def _hide(self, value: str) -> None:
        self._hidden |= {form.casefold() for form in (value, value.strip(), repr(value)[1:-1]) if form}

    # ── words ───────────────────────────────────────────────────────────────────────────────────

    def _quoting(
        self, where: str, key: str, call: Callable[[], T], *, withheld: bool = False, feed: str = ""
    ) -> T | None:
        """What the venue's own check answers, or its objection as a problem of ours."""
        try:
            return call()
        except ConfigError as error:
            texts = list(error.problems)
        except (LinewardenError, ValueError) as error:
            texts = [str(error)]
        except Exception as error:  # a defect of the venue's, shown where it shows
            texts = [f"the venue could not read it: {type(error).__name__}: {error}"]
        for text in texts:
            words = " ".join(text.split()).removeprefix(f"{feed}: ").rstrip(".")
            if withheld or self._repeats_hidden(words):
                words = "the venue refuses it (its words are left out: they repeat a hidden value)"
            self._complain(where, key, words or "the venue refuses it")
        return None

    def _complain(self, where: str, key: str, text: str) -> None:
        self._problems.append(self._sentence(where, key, text))

    def _warn(self, where: str, key: str, text: str) -> None:
        self._warnings.append(self._sentence(where, key, text))

    def _sentence(self, where: str, key: str, text: str) -> str:
        if not where and key:
            place = f"[{_key(key)}]"
        else:
            place = " ".join(part for part in (where, _key(key) if key else "") if part)
        end = "" if text.endswith(("?", ".")) else "."
        return ": ".join(part for part in (self._file, place, text) if part) + end


class _PacingTable(Table, frozen=True, kw_only=True):
    batch: Annotated[int, Meta(ge=1, le=1_000_000, description="a whole number, 1 or more")] = 100
    interval: Interval = 0.0


# Keys of a feed that are read by rules of their own.
STRUCTURED = {"venue", "pacing", "restart", "heartbeat", "subscribe", *NOT_YET}


# ── words for types, values and names ───────────────────────────────────────────────────────────

LISTS = (list, tuple, set, frozenset)
WORDS: Mapping[Any, str] = {
    str: "text",
    Secret: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


def expected(kind: Any) -> str:
    """What a value of this type is, in words for people."""
    origin, arguments = get_origin(kind), get_args(kind)
    words = WORDS.get(kind) or str(getattr(kind, "__name__", kind))
    if origin is Annotated:
        described = [meta.description for meta in arguments[1:] if isinstance(meta, Meta)]
        words = next(filter(None, described), "") or expected(arguments[0])
    elif origin in (Union, UnionType):
        words = " or ".join(expected(each) for each in arguments if each is not NoneType)
    elif origin is Literal:
        words = "one of: " + ", ".join(json.dumps(each) for each in arguments)
    elif kind in LISTS or origin in LISTS:
        words = f"a list, each of it {expected(arguments[0])}" if arguments else "a list"
    elif (origin or kind) is dict or (isinstance(kind, type) and issubclass(kind, Struct)):
        words = "a table"
    return words


def _found(value: object, kind: Any = None) -> str:
    """What a value is. Texts are never repeated: they may be secret."""
    match value:
        case bool():
            words = "true" if value else "false"
        case int() | float() if _holds_secret(kind):
            words = "a number"
        case int() if abs(value) >= 10**20:
            words = "a very large number"
        case int() | float():
            words = repr(value)
        case str() if _plain(kind) in (int, float, bool):
            words = "text (numbers, true and false stand without quotes)"
        case str():
            words = "text"
        case Mapping():
            words = "a table"
        case list() | tuple():
            words = "a list"
        case _:
            words = f"a {type(value).__name__}"
    return words


def _plain(kind: Any) -> Any:
    """The type itself, without its bounds and without None."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        rest = [each for each in get_args(kind) if each is not NoneType]
        return _plain(rest[0]) if len(rest) == 1 else kind
    return kind


def _holds_secret(kind: Any) -> bool:
    return kind is Secret or any(_holds_secret(each) for each in get_args(kind))


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name.lower(), list(known), 1)
    return near[0] if near else ""


def _suggested(name: str, known: Collection[str]) -> str:
    if near := _nearest(name, known):
        return f"; did you mean {near!r}?"
    return f"; expected one of: {', '.join(sorted(known))}"


def _keys(kind: type) -> set[str]:
    return {field.encode_name for field in structs.fields(kind)}


def _key(name: str) -> str:
    """As TOML would write it."""
    return name if _BARE.match(name) or " entry " in name else json.dumps(name)


# ── addresses and URLs ──────────────────────────────────────────────────────────────────────────


def _address(listen: str) -> tuple[str, int]:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\s:\[\]/@]*)):([0-9]{1,5})", listen)
    if match is None or int(match[3]) > 65_535:
        raise ValueError("not host:port")
    return match[1] or match[2] or "", int(match[3])


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # the property is what checks it
    except ValueError:
        return None
    return parts if parts.hostname else None


def _origin(url: str) -> str:
    """The part of a URL that tells no secret: no user, no path, no query."""
    parts = _split(url)
    if parts is None:
        return "…" if url else ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"


def _url_mistake(url: str) -> str:
    wanted = "expected a URL that starts with wss://, ws:// or sim://"
    if not re.fullmatch(r"[!-~]+", url):
        return "expected a URL of plain ASCII, without spaces and line breaks"
    scheme, _, rest = url.partition("://")
    mistake = ""
    parts = _split(url)
    if scheme.lower() in {"http", "https"}:
        mistake = f"{wanted}; did you mean {scheme.lower().replace('http', 'ws')}://?"
    elif scheme.lower() not in URL_SCHEMES:
        mistake = wanted
    elif "@" in re.split("[/?#]", rest)[0]:
        advice = "put it into the venue's own keys, as ${NAME}"
        mistake = f"a user name or password in a URL ends up in logs; {advice}"
    elif parts is None:
        mistake = "expected a host, and a port up to 65535 if any"
    elif parts.fragment:
        mistake = "expected a URL without #…: a WebSocket has no use for it"  # RFC 6455, section 3
    return mistake


def _proxy_mistake(proxy: str) -> str:
    schemes = ", ".join(f"{scheme}://" for scheme in PROXY_SCHEMES)
    parts = _split(proxy) if re.fullmatch(r"[!-~]+", proxy) else None
    if parts is None or parts.scheme not in PROXY_SCHEMES:
        return f'expected "none", "env" or a URL that starts with one of: {schemes}'
    return ""
