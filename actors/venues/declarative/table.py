"""What a venue's table may say: each of its tables as a frozen Struct, with its defaults.

`docs/venues.md` explains each key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from actors.protocol import FrameLimit, StateName
from actors.venues.declarative.path import Condition, Path
from actors.venues.declarative.template import Template, Text

Value = str | int
Words = Annotated[str, Meta(min_length=1, description="text that is not empty")]
Count = Annotated[int, Meta(ge=1, le=1_000_000, description="a whole number, 1 or more")]
Seconds = Annotated[float, Meta(ge=0, le=86_400, description="seconds, 0 or more and at most a day")]
Bytes = Annotated[int, Meta(ge=1, le=1 << 30, description="a number of bytes from 1 to 1073741824")]
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]*\Z", description="lower-case letters, digits, - and _")]
Codes = Annotated[tuple[Value, ...], Meta(description='a list of codes, such as ["4001", 4002]')]
Choices = Annotated[
    tuple[Value, ...] | dict[str, Value],
    Meta(description="a list, or a table from a value to how it is written"),
]
Compression = Literal["none", "gzip", "zlib", "deflate"]
States = Annotated[
    dict[str, StateName],
    Meta(description="a table from a value to open, halted, maintenance, degraded or data_lost"),
]
Unit = Literal["s", "ms", "us", "ns", "rfc3339"]


class Part(Struct, frozen=True, kw_only=True):
    """One table; what it leaves out has its default."""


class SendRateTable(Part, frozen=True, kw_only=True):
    """`[send_rate]`."""

    batch: Count = 100
    frames: tuple[FrameLimit, ...] = ()


class ConnectRateTable(Part, frozen=True, kw_only=True):
    """`[connect_rate]`: `burst` at once, then one in `interval` seconds, of all lines of an account."""

    burst: Count = 1
    interval: Seconds = 0.0


class KeyTable(Part, frozen=True, kw_only=True):
    """`[keys.NAME]`: a key that a feed of this venue has in the config; `${NAME}` in frames and the url."""

    about: str = ""
    values: Choices | None = None  # None: any text
    default: str | None = None  # None: it must be given
    secret: bool = False
    variable: str = ""  # the environment variable that people keep it in


class OptionTable(Part, frozen=True, kw_only=True):
    """`[channels.NAME.options.OPTION]`."""

    about: str = ""
    values: Choices | None = None  # None: any
    default: Value | None = None  # None: a topic may be without it


class SequenceTable(Part, frozen=True, kw_only=True):
    """`[channels.NAME.sequence]`: numbers by which a lost event shows."""

    number: Path  # the event's number, or the last that it covers
    first: Path | None = None  # the first that it covers: one more than the former's last
    previous: Path | None = None  # the former event's number
    start: Condition | None = None  # such a message begins a count


class BackfillTable(Part, frozen=True, kw_only=True):
    """`[channels.NAME.backfill]`: pages of rows with consecutive ids, oldest first."""

    path: Text  # of a request, with `{from}`, the first id that is wanted, and `{count}`
    count: Count  # rows of a page
    rows: Path | None = None  # where they are in the answer; None: it is the list
    message: Template  # a row as the stream would have sent it, with `{row}` and `{row.path}`
    id: Path  # in the data of an event


class ChannelTable(Part, frozen=True, kw_only=True):
    """`[channels.NAME]`."""

    about: Words
    key: str = ""  # what a key is; empty: the channel takes none
    spelling: Literal["as is", "upper", "lower"] = "as is"
    wire: Text | None = None  # as subscriptions name it; None: by the channel's own name
    shown: Text | None = None  # as messages name it; None: as `wire`
    options: dict[str, OptionTable] = {}
    acknowledged: bool = True
    deltas: bool = False
    whole: tuple[str, ...] = ()  # kinds of events that start a topic, see `Venue.starts_anew`
    resyncable: bool = False
    account: bool = False
    sequence: SequenceTable | None = None
    backfill: BackfillTable | None = None


class TradesTable(Part, frozen=True, kw_only=True):
    """`[trades]`: which events are trades, and where in their data the parts of one stand."""

    channel: str
    price: Path
    size: Path
    id: Path | None = None
    time: Path | None = None  # None: the event's own
    unit: Unit = "ms"  # of `time`


class RestTable(Part, frozen=True, kw_only=True):
    """`[rest]`: where requests go, and how many may be sent."""

    url: Text
    limit: FrameLimit = FrameLimit(60, 60.0)


class AskTable(Part, frozen=True, kw_only=True):
    """`[subscribe]` and `[unsubscribe]`."""

    send: Template
    topic: Template = Template(Text.parse("{wire}"))
    at_most: Count | None = None  # topics a frame


class MessageKind(Part, frozen=True, kw_only=True):
    """Which messages, and what of our channels they are about."""

    when: Condition | None = None  # None: all
    each: Path | None = None  # the list whose elements are told apart; None: the message is one
    channel: str = ""  # the channel that it always is
    key: Path | None = None


class Place(MessageKind, frozen=True, kw_only=True):
    """Which messages, and where their topic stands in them."""

    wire: Path | None = None  # where the channel's name stands, as `shown` writes it
    options: dict[str, Path] = {}


class EventTable(Place, frozen=True, kw_only=True):
    """An entry of `[[events]]`."""

    data: Path | None = None  # None: the element, or the message
    kind: Path | None = None
    time: Path | None = None
    unit: Unit = "ms"  # of `time`


class AckTable(Place, frozen=True, kw_only=True):
    """An entry of `[[acks]]`."""

    id: Path | None = None
    listed: bool = False  # it lists all that is subscribed to: what it leaves out is refused


class ErrorTable(Place, frozen=True, kw_only=True):
    """An entry of `[[errors]]`."""

    id: Path | None = None
    code: Path | None = None
    text: Path | None = None
    fatal: Codes = ()
    slow: Codes = ()
    ends: Codes = ()
    benign: Codes = ()  # what was asked for is there already
    retry_after: Seconds | None = None  # a refused topic may be asked for again
    whole: bool = False  # the frame is refused as a whole: topics not at fault are asked for again
    blames: Literal["none", "oldest"] = "none"  # where it names neither id nor topic


class VenueStateTable(MessageKind, frozen=True, kw_only=True):
    """An entry of `[[venue_states]]`: a message in which the venue says something of itself.

    It is about all topics of the line; with `channel` or `key` about those of that channel or key.
    """

    state: StateName | None = None  # None: `value` tells it
    value: Path | None = None
    states: States = {}  # what each value means; true and false are written so
    text: Path | None = None  # the venue's words; None: its value
    until: Path | None = None  # when it ends by itself
    unit: Unit = "ms"  # of `until`
    in_events: bool = False  # such a message bears events, too
    closes: bool = False  # the venue is about to close this connection, which is rotated


class LoginTable(Part, frozen=True, kw_only=True):
    """`[login]`."""

    greeting: Condition | None = None  # the venue speaks first
    send: tuple[Template, ...] = ()
    answer: Condition | None = None
    refused: Condition | None = None
    code: Path | None = None  # in the refusal
    text: Path | None = None
    advice: str = ""


class PingTable(Part, frozen=True, kw_only=True):
    """`[ping]`: the venue's own heartbeat, from us."""

    interval: Seconds
    send: Template
    answer: Condition | None = None


class ReplyTable(Part, frozen=True, kw_only=True):
    """An entry of `[[replies]]`: what the venue wants answered, such as its own ping."""

    when: Condition
    send: Template


class CloseTable(Part, frozen=True, kw_only=True):
    """`[close]`: what the codes of its close frames mean."""

    fatal: tuple[int, ...] = ()
    slow: tuple[int, ...] = (1008,)  # policy violation (RFC 6455, 7.4.1): too many messages, mostly


class VenueTable(Part, frozen=True, kw_only=True):
    """What every table says, whatever its protocol."""

    name: Name
    about: Words
    protocol: Literal["frames", "signalr"] = "frames"
    url: Text
    headers: dict[str, Text] = {}
    limits: dict[str, str] = {}
    topics_per_line: Count | None = None  # None: as many as there are
    send_rate: SendRateTable = SendRateTable()
    connect_rate: ConnectRateTable = ConnectRateTable()
    keys: dict[str, KeyTable] = {}
    rest: RestTable | None = None
    trades: TradesTable | None = None
    channels: Mapping[str, ChannelTable]
    events: tuple[EventTable, ...]
    venue_states: tuple[VenueStateTable, ...] = ()


class FrameTable(VenueTable, frozen=True, kw_only=True):
    """A whole table of a venue that is subscribed to by frames."""

    channels: dict[str, ChannelTable]
    compression: Compression = "none"
    max_inflated: Bytes = 16 * 1_048_576
    login: LoginTable | None = None
    subscribe: AskTable | None = None  # None: the venue sends all there is
    unsubscribe: AskTable | None = None
    acks: tuple[AckTable, ...] = ()
    errors: tuple[ErrorTable, ...] = ()
    ignore: tuple[Condition, ...] = ()
    ping: PingTable | None = None
    replies: tuple[ReplyTable, ...] = ()
    close: CloseTable = CloseTable()
