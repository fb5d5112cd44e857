"""The table of a venue, of whatever protocol: read, with all of its mistakes reported at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar, get_args, get_origin

from msgspec import Struct, structs

from actors.errors import ConfigError
from actors.settings import wording
from actors.settings.addresses import url_mistake
from actors.settings.schema import FeedSettings, WantedTopics
from actors.settings.table_reader import RefusedError, SettingsReader
from actors.venues.declarative.history import ROW
from actors.venues.declarative.path import Condition, Path
from actors.venues.declarative.protocol import MANY, Vocabulary
from actors.venues.declarative.table import (
    BackfillTable,
    ChannelTable,
    EventTable,
    KeyTable,
    MessageKind,
    TradesTable,
    VenueStateTable,
    VenueTable,
)
from actors.venues.declarative.template import MistakeError, Template, Text
from actors.venues.declarative.topics import Names

FEED_KEYS = wording.keys_of(FeedSettings) | {"url", "rotate_every"}  # what a key of a venue cannot be called
ENTRY_KEYS = wording.keys_of(WantedTopics)  # what an option cannot be called
T = TypeVar("T", bound=VenueTable)


class VenueTableReader(SettingsReader, Generic[T]):
    """Reads one table, or raises with every mistake in it. Its talk is a matter of its protocol."""

    kind: type[T]

    def __init__(self, file: str) -> None:
        super().__init__(file, {}, {})
        self._unsound: set[str] = set()  # parts with a mistake in them: what is left of one proves nothing

    @abstractmethod
    def check_talk(self, table: T, own: set[str]) -> None:
        """The messages to the venue, and what else only this protocol has; `own`: the places of its keys."""

    @abstractmethod
    def check_said(self, table: T, names: Names) -> None:
        """Whether a subscription contains every part of a topic of this channel."""

    @abstractmethod
    def protocol(self, table: T, own: Mapping[str, str]) -> Vocabulary:
        """Raises: ValueError: paths do not fit each other."""

    def url_mistake(self, url: str) -> str:
        return url_mistake(url)

    def read(self, source: Mapping[str, Any]) -> T:
        """Raises ConfigError with all that is wrong."""
        table: T = self._part("", source, self.kind)
        self._check(table)
        if not self.problems:
            self._check_whole(table)
        if self.problems:
            raise ConfigError(self.problems)
        return table

    # ── reading: mistakes are reported and left out, and the rest is still checked ──────

    def _part(self, where: str, raw: object, kind: type[Struct]) -> Any:
        """One table, with the tables inside it.

        Raises:
            RefusedError: something is missing that cannot be made up.
        """
        before = len(self.problems)
        table, known = self.table(where, raw), wording.keys_of(kind)
        for key in [key for key in table if key not in known]:
            self.complain(*_place(where, key), f"there is no such key{wording.suggested(key, known)}")
        found: dict[str, Any] = {}
        for field in structs.fields(kind):
            key = field.name
            if key in table:
                with suppress(RefusedError):
                    found[key] = self._value(where, key, table[key], field.type)
            elif field.required:
                self.complain(*_place(where, key), f"missing; expected {wording.expected(field.type)}")
            if key not in found and field.required:
                found[key] = _made_up(field.type)
        if len(self.problems) > before:
            self._unsound.add(where)
        return kind(**found)

    def _value(self, where: str, key: str, raw: object, kind: Any) -> Any:
        plain = wording.plain(kind)
        origin, arguments = get_origin(plain), get_args(plain)
        if _is_part(plain):
            return self._part(within(where, key), raw, plain)
        place = _place(where, key)
        if origin is dict and _is_read(arguments[1]):
            inside = within(where, key)
            members = self.table(inside, raw).items()
            read = {name: self._one(inside, name, value, arguments[1]) for name, value in members}
            return {name: value for name, value in read.items() if value is not None}
        if origin is tuple and _is_read(arguments[0]):
            if not isinstance(raw, list):
                self.complain(*place, f"expected a list, found {wording.found(raw)}")
                raise RefusedError
            name = f"[[{key}]]" if _is_part(arguments[0]) and not where else key
            place_of = f"{where} {name} entry".strip()
            entries = [self._one(f"{place_of} {n}", "", each, arguments[0]) for n, each in enumerate(raw, 1)]
            return tuple(entry for entry in entries if entry is not None)
        return self._parse(*place, raw, plain) if _is_parsed(plain) else self.convert(*place, raw, kind)

    def _one(self, where: str, name: str, raw: object, kind: Any) -> Any:
        """A member of a table whose names are the author's own, or an entry of a list; None: it is none."""
        with suppress(RefusedError):
            if _is_part(kind):
                return self._part(within(where, name) if name else where, raw, kind)
            return self._parse(where, name, raw, kind)
        return None

    def _parse(self, where: str, key: str, raw: object, kind: Any) -> Any:
        try:
            return kind.parse(raw)
        except MistakeError as error:
            self.complain(f"{where} {key}{error.inside}".strip(), "", str(error))
        except (ValueError, RecursionError) as error:
            self.complain(where, key, str(error))
        raise RefusedError

    def expand(self, where: str, key: str, value: object, depth: int = 0) -> Any:
        """A table's `${NAME}` are the feed's own keys: they are put in when a feed is there."""
        return value

    # ── what its parts make of each other ───────────────────────────────────────────────────────

    def _check(self, table: T) -> None:
        if not table.channels and "" not in self._unsound:
            self.complain("[channels]", "", "expected at least one channel")
        if not table.events and "" not in self._unsound:
            self.complain("[[events]]", "", "expected at least one entry: which messages bear events")
        for name, key in table.keys.items():
            where = within("[keys]", name)
            if name in FEED_KEYS or not name.isidentifier():
                why = "it is a feed's own, or no name"
                self.complain(where, "", f"a venue's key cannot be called that: {why}")
            if key.values is not None and key.default is not None and key.default not in map(str, key.values):
                hint = wording.suggested(key.default, [str(each) for each in key.values])
                self.complain(where, "default", f"it is none of its values{hint}")
        for name, channel in table.channels.items():
            self._check_channel(within("[channels]", name), name, channel, table.events)
        own = {f"${name}" for name in table.keys}
        self.check_slots("url", "", table.url.slots, own)
        for name, text in table.headers.items():
            self.check_slots("[headers]", name, text.slots, own)
        self.check_talk(table, own)
        self._check_history(table, own)
        for number, place in enumerate(table.events, 1):
            self.check_place(f"[[events]] entry {number}", table, place)
        for number, state in enumerate(table.venue_states, 1):
            self._check_state(f"[[venue_states]] entry {number}", table, state)

    def _check_history(self, table: T, own: set[str]) -> None:
        """Of `[rest]`, `[trades]` and what channels ask for after a loss."""
        if table.rest is not None:
            self.check_slots("[rest]", "url", table.rest.url.slots, own)
            if not table.rest.url.source.startswith(("https://", "http://")):
                self.complain("[rest]", "url", "expected a URL that starts with https:// or http://")
        if table.trades is not None and "[trades]" not in self._unsound:
            self._check_trades(table, table.trades)
        for name, channel in table.channels.items():
            if channel.backfill is not None:
                where = within("[channels]", f"{name}.backfill")
                self._check_backfill(where, table, channel, channel.backfill, own)

    def _check_trades(self, table: T, trades: TradesTable) -> None:
        if trades.channel not in table.channels:
            hint = wording.suggested(trades.channel, table.channels)
            self.complain("[trades]", "channel", f"there is no channel {trades.channel!r}{hint}")
        for key in ("price", "size", "id", "time"):
            path = getattr(trades, key)
            if path is not None and path.wildcards:
                self.complain("[trades]", key, "it is of one event, and takes no [*]")

    def _check_backfill(
        self, where: str, table: T, channel: ChannelTable, backfill: BackfillTable, own: set[str]
    ) -> None:
        if table.rest is None:
            self.complain(where, "", "nothing says where requests go; add [rest] with url")
        topic = {"channel", "wire", *channel.options} | ({"key"} if channel.key else set()) | own
        self.check_slots(where, "path", backfill.path.slots, topic | {"from", "count"})
        if where not in self._unsound and not {"from"} <= backfill.path.slots:
            self.complain(where, "path", "expected {from}, the first id that is wanted, in it")
        rows = {slot for slot in backfill.message.slots if slot.partition(".")[0] == ROW}
        for slot in sorted(rows - {ROW}):
            with suppress(RefusedError):
                self._parse(where, "message", slot.partition(".")[2], Path)
        self.check_frame(f"{where} message", backfill.message, topic | rows)
        for key, path in (("rows", backfill.rows), ("id", backfill.id)):
            if path is not None and path.wildcards:
                self.complain(where, key, "expected a path without [*]")

    def _check_state(self, where: str, table: T, state: VenueStateTable) -> None:
        self.check_place(where, table, state)
        channel = table.channels.get(state.channel)
        if state.key is not None and channel is not None and not channel.key:
            self.complain(where, "key", f"channel {state.channel} takes no key")
        if where in self._unsound:
            return
        if (state.state is None) == (state.value is None):
            self.complain(where, "state", "expected state, or value (where it stands) with states")
        elif state.value is not None and not state.states:
            expected = 'what each value means, such as { down = "halted" }'
            self.complain(where, "states", f"missing; expected {expected}")
        elif state.value is None and state.states:
            self.complain(where, "value", "missing: states says what each value means")

    def _check_channel(
        self, where: str, name: str, channel: ChannelTable, events: Sequence[EventTable]
    ) -> None:
        if not wording.BARE.match(name):
            self.complain(where, "", "expected a channel's name of letters, digits, - and _ only")
        names = {"channel", *channel.options} | ({"key"} if channel.key else set())
        for key in ("wire", "shown"):
            text = getattr(channel, key)
            if text is not None:
                self.check_slots(where, key, text.slots, names | ({"wire"} if key == "shown" else set()))
        for option, told in channel.options.items():
            place = within(where, f"options.{option}")
            if option in ENTRY_KEYS | {"channel", "key", "wire", MANY, "id"} or not option.isidentifier():
                why = "it means something else, or is no name"
                self.complain(place, "", f"an option cannot be called that: {why}")
            if told.values is not None and not told.values:
                self.complain(place, "values", "expected at least one value")
            elif told.values is not None and told.default is not None and told.default not in told.values:
                hint = wording.suggested(str(told.default), [str(each) for each in told.values])
                self.complain(place, "default", f"it is none of its values{hint}")
        if channel.resyncable and not channel.deltas and where not in self._unsound:
            self.complain(where, "resyncable", "only a channel of deltas starts again; add deltas = true")
        if channel.whole and where not in self._unsound:
            self._check_starts(where, name, channel, events)

    def _check_starts(
        self, where: str, name: str, channel: ChannelTable, events: Sequence[EventTable]
    ) -> None:
        if not channel.deltas:
            self.complain(where, "whole", "only a channel of deltas starts again; add deltas = true")
        elif not any(event.kind for event in events if event.channel in {"", name}):
            self.complain(where, "whole", "no entry of [[events]] says where the kind of its events stands")

    def check_frame(self, where: str, frame: Template, known: set[str]) -> None:
        for slot, inside in frame.places():
            self.check_slots(f"{where}{inside}", "", {slot}, known)

    def check_slots(self, where: str, key: str, slots: set[str], known: set[str]) -> None:
        for slot in sorted(slots - known):
            near = wording.nearest(slot, known)
            shown = ", ".join(_slot(name) for name in sorted(known)) or "none"
            hint = f"; did you mean {_slot(near)}?" if near else f"; there is: {shown}"
            self.complain(where, key, f"nothing is known of {_slot(slot)}{hint}")

    def check_place(self, where: str, table: VenueTable, place: MessageKind) -> None:
        if place.channel and place.channel not in table.channels:
            hint = wording.suggested(place.channel, table.channels)
            self.complain(where, "channel", f"there is no channel {place.channel!r}{hint}")
        for option in getattr(place, "options", ()):
            known = {name for channel in table.channels.values() for name in channel.options}
            if option not in known:
                text = f"no channel has such an option{wording.suggested(option, known)}"
                self.complain(where, f"options.{option}", text)
        if where in self._unsound:
            return
        if place.when is not None and place.when.text is not None:
            expected = Condition.expected.partition(",")[0]
            self.complain(where, "when", f"expected {expected}; a mere text says nothing")
        for field in structs.fields(type(place)):
            value = getattr(place, field.name)
            paths = value.items() if field.name == "options" else [("", value)]
            for option, path in paths:
                if isinstance(path, Path) and path.wildcards and field.name != "each":
                    key = f"{field.name}.{option}".rstrip(".")
                    self._check_wildcards(where, key, path, place, field.name)
        if place.each is not None and not place.each.wildcards:
            self.complain(where, "each", "expected a path with [*], such as data[*]")

    def _check_wildcards(self, where: str, key: str, path: Path, place: MessageKind, field: str) -> None:
        head = path.through_wildcards()
        if field in {"id", "code", "text"} and not isinstance(place, VenueStateTable):
            self.complain(where, key, "it is of the whole message, and takes no [*]")
        elif place.each is None:
            each = path.text[: path.text.rindex("]") + 1]
            self.complain(where, key, f'[*] means each of several; add each = "{each}"')
        elif place.each.steps[: len(head)] != head:
            self.complain(where, key, f"[*] is not where each ({place.each.text}) has it")

    def _check_whole(self, table: T) -> None:
        """Whether every channel's events can be told by its topics, and told apart."""
        try:
            protocol = self.protocol(table, {f"${name}": "x" for name in table.keys})
        except ValueError as error:
            self.complain("[[events]]", "", str(error))
            return
        for name, names in protocol.names.items():
            where = within("[channels]", name)
            self.check_said(table, names)
            rules = [rule for rule in protocol.events if name in rule.places.names]
            if not rules:
                self.complain(where, "", "no entry of events bears it")
            for number, rule in enumerate(protocol.events, 1):
                if rule not in rules:
                    continue
                place, wire = f"[[events]] entry {number}", table.events[number - 1].wire
                if not rule.places.channel and len(table.channels) > 1 and wire is None:
                    text = "nothing tells the channel; add wire (where its name stands) or channel"
                    self.complain(place, "", text)
                    return
                if table.channels[name].key and "key" not in rule.places.tells(names):
                    text = "nothing tells the key of"
                    self.complain(place, "key", f"missing: {text} channel {name}; expected {Path.expected}")
        url = str(table.url.render({f"${name}": _stand_in(key) for name, key in table.keys.items()}))
        if mistake := self.url_mistake(url):
            self.complain("url", "", mistake)


def _place(where: str, key: str) -> tuple[str, str]:
    """A key at the top of a table stands in no other."""
    return (where, key) if where else (key, "")


def _stand_in(key: KeyTable) -> str:
    values = key.values.values() if isinstance(key.values, dict) else key.values or ()
    return str(next(iter(values), "x"))


def _slot(name: str) -> str:
    return f"${{{name[1:]}}}" if name.startswith("$") else f"{{{name}}}"


def _made_up(kind: Any) -> Any:
    """Something in the place of what is missing, so that the rest can be looked at."""
    plain = wording.plain(kind)
    if plain in (str, Text):
        return "x" if plain is str else Text("wss://x", ("wss://x",))
    if get_origin(plain) in (dict, tuple):
        return get_origin(plain)()
    raise RefusedError


def _is_read(kind: Any) -> bool:
    return _is_part(kind) or _is_parsed(kind)


def _is_parsed(kind: Any) -> bool:
    """Whether it is written in one of the small languages."""
    return hasattr(kind, "parse")


def _is_part(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct) and not _is_parsed(kind)


def within(where: str, key: str) -> str:
    """`[channels.trades]` from `[channels]` and `trades`."""
    if where.endswith("]"):
        return ".".join([where[:-1], *map(wording.key_name, key.split("."))]) + "]"
    return f"{where} {wording.key_name(key)}" if where else f"[{wording.key_name(key)}]"
