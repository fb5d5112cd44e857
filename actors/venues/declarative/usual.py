"""The usual message of a venue that a table describes: events of one confirmed topic, in their order.

What a message is, and of which topic, depends on a few texts in it: its key. The first message with a key
tells the route of those that follow, which cost one decode and a few look-ups. The careful path
(`DeclaredSession`) handles all other messages, and nothing has changed before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from actors.protocol import TEXT, EffectBatch, Frame, Topic
from actors.venues.declarative.asked import CONFIRMED, TableIndex, TableTopic, TableTopics
from actors.venues.declarative.messages import UNITS, Message, clock, decode
from actors.venues.declarative.path import MISSING, Condition, Expectation, Path, Test, getter
from actors.venues.declarative.protocol import EventRule, Numbers, TableProtocol
from actors.venues.declarative.topics import ALIASES

LONGEST_WORD = 64  # bytes of a message that is a mere text
LONGEST_KEY = 1_000  # characters: a key is kept, and a venue may send any
UNREAD = object()  # in place of a message that was not decoded

Tests = Sequence[tuple[Path, Expectation]]
Odd = tuple[int, bytes, Any]  # a frame, and its message or UNREAD
NOWHERE = (False, MISSING)  # no member of a message has this name

# What is known of the messages with one key. A plain tuple, for it is taken apart at each message.
Route = tuple[
    TableTopic,
    Topic,
    str,  # its channel
    str,  # its key
    str,  # the name of the object inside; "": there is none, and the message stands for it
    Any,  # a name that must be in the object inside; None: none must
    Test | None,  # what else must be so
    Callable[[Any], Any] | None,  # to the data; None: it is the object inside
    bool,  # whether the kind stands in the object inside
    Any,  # the name of the kind
    bool,  # whether the time stands in the object inside
    Any,  # the name of the time
    int | None,  # nanoseconds of one unit of a time that is a whole number
    Callable[[Any], int | None],  # nanoseconds of any other time
    Numbers | None,
    EventRule | None,  # of messages with a list of events, for which the other fields are not enough
]


class UsualMessages:
    """Those of one session. `told` counts the messages that bore events."""

    def __init__(
        self,
        protocol: TableProtocol,
        rules: Sequence[tuple[EventRule, TableIndex]],
        asked: TableTopics,
    ) -> None:
        self.told = 0
        self._rules, self._asked, self._states = rules, asked, protocol.states_in_events
        self._words, self._compressed = protocol.words, protocol.table.compression != "none"
        self._key = _key_paths([rule for rule, _ in rules])
        self._key_of = _key_getter(self._key)
        steps = [step for path in self._key for step in path.steps]
        self._key_name = str(steps[0]) if len(steps) == 1 else ""  # a key of one member

    @property
    def possible(self) -> bool:
        """Whether any message of this venue can be usual."""
        return self._key_of is not None

    def take(self, frames: Iterator[Frame], out: EffectBatch, *, is_open: bool) -> Odd | None:
        """Delivers the events of usual messages, up to the first message that is not one, and returns that.

        None: no frames are left. While the session is not open, no message is usual.
        """
        key_of, key_name = self._key_of if is_open else None, self._key_name
        routes, words, compressed = self._asked.routes, self._words, self._compressed
        topics, events = out.topics, out.events  # the same until the careful path adds an effect
        told = 0
        for opcode, payload in frames:
            message = UNREAD
            if key_of is None or (compressed and opcode != TEXT):
                break
            if words and len(payload) <= LONGEST_WORD and payload in words:
                break
            try:
                message = decode(payload)
                route = routes[message[key_name] if key_name else key_of(message)]
                if route is None:
                    break
                (
                    asked,
                    topic,
                    channel,
                    key,
                    holder,
                    needed,
                    passes,
                    data_of,
                    has_kind,
                    kind_name,
                    has_time,
                    time_name,
                    factor,
                    nanoseconds,
                    numbers,
                    several,
                ) = route
                if passes is not None and not passes(message):
                    self._learn(message)
                    break
                if asked.answer is not CONFIRMED:
                    break
                if several is not None:
                    if not _deliver_each(several, asked, numbers, message, out):
                        break
                    told += 1
                    continue
                inner = message[holder] if holder else message
                if needed is not None and inner[needed] is None:
                    break
                data = inner if data_of is None else data_of(message)
                kind = (inner if has_kind else message).get(kind_name)
                when = (inner if has_time else message).get(time_name)
                if type(when) is int and factor is not None:
                    when *= factor
                elif when is not None:
                    when = nanoseconds(when)
                event = Message(channel, key, data, kind if type(kind) is str else "", when)
                if data is MISSING or (numbers is not None and not numbers.go_on(asked.count, ((message,),))):
                    break
            except Exception:  # the careful path meets it, too
                self._learn(message)
                break
            topics.append(topic)
            events.append(event)
            told += 1
        else:
            self.told += told
            return None
        self.told += told
        return opcode, payload, message

    def _learn(self, message: Any) -> None:
        """Remembers the route of messages like this one, if it is an event of one topic."""
        texts = tuple([path.get(message) for path in self._key])
        if not texts or not all(type(each) is str for each in texts) or sum(map(len, texts)) > LONGEST_KEY:
            return
        routes = self._asked.routes
        if len(routes) >= len(self._asked) + ALIASES:
            routes.clear()
        key = texts[0] if len(texts) == 1 else texts
        before: list[Test] = []
        for state in self._states:
            if state.fits(message):
                routes[key] = None
                return
            before += self._others(state.table.when, message)
        for rule, index in self._rules:
            if not rule.places.fits(message):
                before += self._others(rule.table.when, message)
            elif not self._is_known(rule):
                routes[key] = None
                return
            else:
                owners = index.find(rule.places.marks((message,)))
                if len(owners) == 1:
                    routes[key] = self._route(rule, owners[0], before)
                return

    def _others(self, when: Condition | None, message: Any) -> list[Test]:
        """Whether another message with the key of this one is of a kind that this is not; empty: none is."""
        tests = () if when is None else when.tests
        left = tuple(each for each in tests if each[0] not in self._key)
        decided = Condition(tuple(each for each in tests if each[0] in self._key))
        return [Condition(left).fits] if left and decided.fits(message) else []

    def _is_known(self, rule: EventRule) -> bool:
        """Whether the key tells the topic, and the rest is laid out simply."""
        return _is_simple(rule) and all(path in self._key for path in _mark_paths(rule))

    def _route(self, rule: EventRule, asked: TableTopic, before: Sequence[Test]) -> Route:
        table, topic = rule.table, asked.topic
        holder = _holder(rule)
        left = [each for each in _tests(rule) if each[0] not in self._key]
        needed = None
        if table.each is None:
            needed = next((each for each in left if each[1] == "any" and _is_member(each[0], holder)), None)
        others = tuple(each for each in left if each is not needed)
        return (
            asked,
            topic,
            topic.channel,
            topic.key,
            holder,
            None if needed is None else needed[0].steps[-1],
            _passes(Condition(others).fits if others else None, before),
            _data_of(table.data, holder),
            *_place(table.kind, holder),
            *_place(table.time, holder),
            UNITS.get(table.unit),
            clock(table.unit),
            rule.sequences.get(topic.channel),
            rule if table.each is not None else None,
        )


def _key_paths(rules: Sequence[EventRule]) -> tuple[Path, ...]:
    """Where the texts of a key stand: those of the topic, and those that each of these kinds tests."""
    simple = [rule for rule in rules if _is_simple(rule)]
    if not simple:
        return ()
    marks = _mark_paths(simple[0])
    tested = [_tested_texts(rule) for rule in simple if set(_mark_paths(rule)) <= {*marks}]
    return tuple(
        dict.fromkeys([*marks, *(path for path in tested[0] if all(path in each for each in tested))])
    )


def _mark_paths(rule: EventRule) -> list[Path]:
    return [spot.path for _, spot in rule.places.parts]


def _tests(rule: EventRule) -> Tests:
    return rule.table.when.tests if rule.table.when is not None else ()


def _tested_texts(rule: EventRule) -> list[Path]:
    return [
        path
        for path, wanted in _tests(rule)
        if not isinstance(wanted, str) and _is_short(path) and all(isinstance(each, str) for each in wanted)
    ]


def _key_getter(paths: Sequence[Path]) -> Callable[[Any], Any] | None:
    """Takes a message's key: a text, or a tuple of several. None: no message has one."""
    if not paths:
        return None
    if all(len(path.steps) == 1 for path in paths):
        return itemgetter(*(path.steps[0] for path in paths))
    if len(paths) == 1:
        return paths[0].get
    if all(path.steps[:-1] == paths[0].steps[:-1] for path in paths):  # all in one object
        holder, names = paths[0].steps[0], itemgetter(*(path.steps[1] for path in paths))
        return lambda message: names(message[holder])
    ways = [path.get for path in paths]
    return lambda message: tuple([get(message) for get in ways])


def _is_simple(rule: EventRule) -> bool:
    """Whether its topic stands around its events; of one event, all in the message or in one object in it."""
    marks, read = _mark_paths(rule), _read(rule)
    if not marks or not all(map(_is_short, marks)):
        return False
    inside = {path.steps[0] for path in read if len(path.steps) > 1}
    return rule.table.each is not None or (all(map(_is_short, read)) and len(inside) <= 1)


def _deliver_each(
    rule: EventRule, asked: TableTopic, numbers: Numbers | None, message: Any, out: EffectBatch
) -> bool:
    """Delivers the events of a message, all of one topic; False: it is not usual, and nothing has changed."""
    assert rule.places.each is not None
    found, (level, get) = rule.places.each.of(message), rule.data
    topic = asked.topic
    events: list[Any] = []
    for nodes in found or ():
        data = get(nodes[level])
        if data is MISSING:
            return False
        events.append(rule.event(topic, nodes, data))
    if not found or (numbers is not None and not numbers.go_on(asked.count, found)):
        return False
    out.deliver_all(topic, events)
    return True


def _is_short(path: Path) -> bool:
    return len(path.steps) <= 2 and all(isinstance(step, str) for step in path.steps)


def _read(rule: EventRule) -> list[Path]:
    table = rule.table
    return [path for path in (table.data, table.kind, table.time) if path is not None]


def _holder(rule: EventRule) -> str:
    """The object in the message that holds the rest; "": there is none."""
    data = rule.table.data
    inside = [path for path in _read(rule) if len(path.steps) > 1] or ([data] if data is not None else [])
    return str(inside[0].steps[0]) if inside else ""


def _data_of(path: Path | None, holder: str) -> Callable[[Any], Any] | None:
    if path is None:
        return getter(()) if holder else None
    return None if path.steps == (holder,) else path.get


def _place(path: Path | None, holder: str) -> tuple[bool, Any]:
    return NOWHERE if path is None else (_inside(path, holder), path.steps[-1])


def _is_member(path: Path, holder: str) -> bool:
    """Whether it is a member of this object by its name: a number would find a character of a text, too."""
    return _is_short(path) and _inside(path, holder)


def _inside(path: Path, holder: str) -> bool:
    """Whether it is a member of this object; all short paths are, or of the message."""
    return path.steps[:-1] == ((holder,) if holder else ())


def _passes(own: Test | None, before: Sequence[Test]) -> Test | None:
    """Whether a message fits `own`, and none of those before."""
    match own, before:
        case _, []:
            return own
        case None, [only]:
            return lambda message: not only(message)
    return lambda message: (own is None or own(message)) and not any(test(message) for test in before)
