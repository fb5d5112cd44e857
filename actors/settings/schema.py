"""The content of a config: each of its tables as a frozen Struct, complete with its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct, structs

from actors.events import Option
from actors.protocol.trading import Align
from actors.protocol.venue import Venue, VenueSettings
from actors.rules.calendar import Calendar
from actors.rules.foreign_price import SOURCE
from actors.rules.line_policy import LinePolicy
from actors.rules.restarts import Interval, Seconds
from actors.secret import RedactedStruct, Secret, Shown, origin
from actors.settings.addresses import PROXIES, host_and_port, is_simulated, local_url
from actors.settings.toml_file import user_path
from actors.trading.arguments import DIGITS, DIGITS_ONLY
from actors.trading.limits import Limits
from actors.trading.records import LONGEST_DEADLINE

FILE = "<config>"  # what stands for the file of a config that is a mapping
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+\Z", description="letters, digits, - and _ only")]
Compression = Literal["none", "deflate"]
SESSIONS = 'a list of texts, such as ["Mon-Fri 09:30-16:00"]'
Keys = Annotated[tuple[str, ...], Meta(description='a list of texts, such as ["AAPL", "MSFT"]')]


PriceSources = Annotated[
    tuple[Annotated[str, Meta(pattern=SOURCE)], ...],
    Meta(description='a list of names, such as ["stream", "poller", "rest"]'),
]

# As `account_number` reads them; a text of digits is how a variable of the environment gives one.
AccountNumbers = Annotated[
    tuple[Annotated[int, Meta(ge=0, lt=10**DIGITS)] | Annotated[str, Meta(pattern=DIGITS_ONLY)], ...],
    Meta(description="a list of numbers, such as [4242, 4243]"),
]
Deadline = Annotated[
    float, Meta(gt=0, le=LONGEST_DEADLINE, description="seconds, more than 0 and at most 60")
]


SHORTEST_SWITCH = 2.0  # seconds: two rounds of the service that watches
SwitchSeconds = Annotated[
    float, Meta(ge=SHORTEST_SWITCH, le=86_400.0, description="seconds, 2 or more and at most a day")
]
HaltAction = Literal["halt", "halt+cancel"]


Right = Literal["look", "account", "act"]  # what a caller of the service may do
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]


class ConfigTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of the config, complete: what it leaves out has its default."""


class RuntimeSettings(ConfigTable, frozen=True, kw_only=True):
    """`[runtime]`."""

    name: Name = "linewarden"
    watchdog_timeout: Interval = 10.0  # seconds without progress in an actor that has work to do; 0: off
    cooldown_file: str = ""  # a file that outlives the process; empty: none, but `linewarden run` has one


class ServiceTokens(ConfigTable, frozen=True, kw_only=True):
    """`[service.tokens]`: a token gives its right. Two that are equal give both."""

    look: Secret | None = None
    account: Secret | None = None
    act: Secret | None = None

    def by_right(self) -> tuple[tuple[Right, Secret], ...]:
        """Those that are given."""
        every: tuple[tuple[Right, Secret | None], ...]
        every = (("look", self.look), ("account", self.account), ("act", self.act))
        return tuple((right, token) for right, token in every if token is not None)


Several = Annotated[int, Meta(ge=1, le=1_000_000, description="a whole number, 1 or more")]


class ServiceLimits(ConfigTable, frozen=True, kw_only=True):
    """`[service.limits]`. A client is an address with a token, or a user of the socket."""

    clients: Several = 64  # requests under way at once, tails included
    per_client: Several = 48  # of these, of one client
    waiting: Several = 256  # connections without a complete request
    waiting_per_address: Several = 128
    tails: Several = 32  # of one client
    tail_openings: Several = 120  # of one client in a minute
    topics: Several = 2_000  # of all tails of one client
    lines: Several = 16  # that requests may open at one feed
    books: Several = 16  # order books that requests may have followed
    commands: Several = 60  # of one client in a minute
    restart_interval: Interval = 5.0  # seconds between two connects of a line by commands


class ServiceSettings(ConfigTable, frozen=True, kw_only=True):
    """`[service]`: only `linewarden run` listens."""

    socket: str = "auto"  # or the absolute path of a Unix socket, or "none"
    listen: str = ""  # host and port; empty: no TCP
    behind_tls_proxy: bool = False  # a proxy on the way encrypts what leaves its machine
    tls_certificate: str = ""  # absolute paths of PEM files
    tls_key: str = ""
    tokens: ServiceTokens = ServiceTokens()
    users: dict[str, tuple[Right, ...]] = {}  # by name, uid, or @group; on the socket
    limits: ServiceLimits = ServiceLimits()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `listen`, as a socket takes them. An empty host means every interface.

        Raises:
            ValueError: it listens on no port.
        """
        return host_and_port(self.listen)

    @property
    def local_url(self) -> str:
        """The URL of its port for clients on this machine; empty: it listens on none."""
        return local_url(*self.address, secure=bool(self.tls_certificate)) if self.listen else ""


class TradingSettings(ConfigTable, frozen=True, kw_only=True):
    """`[trading]`: where intents and halts are kept, for every process that trades the same accounts."""

    dir: str = ""  # an absolute path
    require_durable: bool = True  # a full disk refuses what adds risk


class LogSettings(ConfigTable, frozen=True, kw_only=True):
    """`[log]`: what `linewarden run` writes to stderr. Its own options come first."""

    level: LogLevel = "info"
    format: LogFormat = "text"


class DeadMansSwitchSettings(ConfigTable, frozen=True, kw_only=True):
    """`[feeds.NAME.dead_mans_switch]`: `linewarden run` halts the feed when a program stops to beat.

    `after`: seconds without a beat; 0: off.
    """

    after: SwitchSeconds = 0.0
    action: HaltAction = "halt"


class SendRateSettings(ConfigTable, frozen=True, kw_only=True):
    """`[feeds.NAME.send_rate]`, over what the venue wants. `frames`: see `FrameLimit`; empty: no limit."""

    batch: Annotated[int, Meta(ge=1, le=1_000_000, description="a whole number, 1 or more")] = 100
    frames: Annotated[tuple[str, ...], Meta(description='a list of texts, such as ["5/s", "480/h"]')] = ()


class ConnectRateSettings(ConfigTable, frozen=True, kw_only=True):
    """`[feeds.NAME.connect_rate]`: how often the lines of one account may connect; over the venue's own."""

    burst: Annotated[int, Meta(ge=1, le=1_000_000, description="a whole number, 1 or more")] = 1
    interval: Interval = 0.0


class CalendarSettings(ConfigTable, frozen=True, kw_only=True):
    """`[calendars.NAME]`, as it is written."""

    zone: Annotated[str, Meta(description='the name of a time zone, such as "America/New_York"')]
    sessions: Annotated[tuple[str, ...], Meta(min_length=1, description=SESSIONS)]
    closed: Annotated[tuple[str, ...], Meta(description='a list of texts, such as ["2026-12-25"]')] = ()


class WantedTopics(ConfigTable, frozen=True, kw_only=True):
    """An entry of `subscribe`: wanted from the start, with or without a consumer."""

    channel: str
    keys: Keys = ()
    stale_after: Interval = 0.0  # 0: silence means nothing
    max_event_lag: Interval = 0.0  # 0: events may be as old as they are
    calendar: Calendar | None = None  # a name in the config; both count while that market is open
    options: dict[str, Option] = {}  # the entry's other keys


class FeedSettings(LinePolicy, RedactedStruct, frozen=True, kw_only=True):
    """`[feeds.NAME]`: a venue, how to reach it, and what is wanted of it."""

    name: str
    venue: str
    kind: type[Venue]
    own: VenueSettings
    connect_timeout: Seconds = 10.0
    proxy: str = "none"  # or "env", or a URL; it may hold a password
    ca_file: str | None = None  # an absolute path
    verify_tls: bool = True
    compression: Compression = "none"  # what is offered to the venue, for what it sends
    subscribe: tuple[WantedTopics, ...] = ()
    price_sources: PriceSources = ()  # the order in which `latest` looks at them; empty: its own
    trading: bool = False  # its orders may leave
    dry_run: bool = False  # with `trading`: all is done but to send them
    align: Align = "refuse"
    order_deadline: Deadline = 5.0
    limits: Limits = Limits()
    accounts: tuple[int, ...] = ()  # that are followed from the start
    on_blind: Literal["none", HaltAction] = "none"  # what follows where an account is blind for too long
    on_blind_after: Seconds = 10.0
    dead_mans_switch: DeadMansSwitchSettings = DeadMansSwitchSettings()
    env_login: bool = True  # without a login of its own, it takes the one that the environment has
    login_variables: tuple[str, ...] = ()  # those of the environment that its login was taken from
    doors: tuple[str, ...] = ()  # all of its addresses, where `url` has several; the first is in `own`

    @property
    def is_simulated(self) -> bool:
        """Whether no venue hears it: it talks to a simulator of this process, or to a recording."""
        return is_simulated(self.own.url)

    @property
    def halts_when_blind(self) -> bool:
        """Whether an account is halted to which it is blind for too long."""
        return self.trading and self.on_blind != "none" and not self.is_replayed

    @property
    def is_watched(self) -> bool:
        """Whether it has a dead man's switch."""
        return self.trading and self.dead_mans_switch.after > 0 and not self.is_replayed

    @property
    def is_replayed(self) -> bool:
        """Whether it is a recording, which halts nothing."""
        return self.own.url.startswith("replay:")

    @property
    def sends_orders(self) -> bool:
        """Whether its orders leave."""
        return self.trading and not self.dry_run

    def build_venue(self, url: str = "") -> Venue:
        """The venue of this feed, at another `url` if one is given. Pure: nothing is connected."""
        return self.kind(self.name, structs.replace(self.own, url=url) if url else self.own)

    def shown(self) -> Shown:
        """What may be seen: a proxy's URL is cut short, for it may hold a password."""
        for name in self.__struct_fields__:
            if name == "proxy":
                yield name, self.proxy if self.proxy in PROXIES else origin(self.proxy)
            elif name == "doors":
                yield name, tuple(map(origin, self.doors))
            elif name != "kind":
                yield name, getattr(self, name)


class DefaultsSettings(RedactedStruct, frozen=True, kw_only=True):
    """`[defaults]` as it is written: what a feed takes that does not say otherwise. A feed checks it."""

    common: Mapping[str, object] = {}
    venues: Mapping[str, Mapping[str, object]] = {}  # of feeds of that venue; it comes before `common`

    def shown(self) -> Shown:
        """Names of keys: a value may hold a password."""
        yield "common", tuple(self.common)
        yield "venues", tuple(self.venues)


class Settings(ConfigTable, frozen=True, kw_only=True):
    """A whole config without a mistake in it."""

    runtime: RuntimeSettings = RuntimeSettings()
    service: ServiceSettings = ServiceSettings()
    trading: TradingSettings = TradingSettings()
    log: LogSettings = LogSettings()
    feeds: dict[str, FeedSettings] = {}
    calendars: dict[str, Calendar] = {}
    defaults: DefaultsSettings = DefaultsSettings()
    added: frozenset[str] = frozenset()  # feeds that are not of the file: the program has added them
    file: str = FILE
    included: tuple[str, ...] = ()  # files that it includes
    env_file: str = ""  # an absolute path; its variables come after those of the process
    warnings: tuple[str, ...] = ()  # sentences about what is allowed and should be looked at

    @property
    def path(self) -> str:
        """The absolute path of its file; `FILE` of a mapping."""
        return self.file if self.file == FILE else str(user_path(self.file).absolute())

    def why_no_orders(self, feed: str) -> str:
        """Why this feed's orders are refused before they leave; empty: nothing is in their way."""
        its = self.feeds[feed]
        if not its.trading:
            return f"trading is off: write trading = true into [feeds.{feed}], and start again"
        simulated = [each.name for each in self.feeds.values() if each.is_simulated]
        if simulated and not its.is_simulated:
            return (
                f"feed {simulated[0]} is no real venue, and {feed} is one: a program that sees simulated or "
                "recorded data sends no real orders. Take one of them out of the config"
            )
        return ""
