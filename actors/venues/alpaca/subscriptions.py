"""What one connection wants of Alpaca, what Alpaca says that it has, and the changes between the two.

Requests bear no number, so one change is in flight at a time; what is wanted meanwhile goes into the
next. An acknowledgement lists all that the connection has, and what it lists is what is true.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from actors.protocol import (
    AskedTopic,
    Complain,
    Confirm,
    Effect,
    End,
    GapReason,
    Missed,
    Reject,
    Resent,
    Retryable,
    Send,
    Topic,
    TopicAnswer,
    topics_of,
)
from actors.venues.alpaca.endpoints import FOLLOWERS, WIRE
from actors.venues.alpaca.errors import ADVICE, VERDICTS, Verdict, told

Item = tuple[str, str]  # a channel that can be asked for, on the wire, and a symbol
Listed = Mapping[str, frozenset[str] | None]  # by channel on the wire; None: the endpoint omits it

ALL = "*"
BOOKS = "orderbooks"
LARGEST = 16 * 1024  # bytes of one request; the venue's own bound is not known
REFUSALS = 100  # of parts of one change, before the rest is given up as a whole
REST = 1.0  # seconds between two resets of one book that the session asks for by itself


WAITING, _, CONFIRMED, REFUSED = TopicAnswer


class AlpacaTopic(AskedTopic):
    """One topic as it is wanted on this connection; `AlpacaSubscriptions` alone changes its answer."""

    __slots__ = ("dropped", "item", "own")

    def __init__(self, topic: Topic) -> None:
        super().__init__(topic)
        self.own = WIRE.get(topic.channel, topic.channel)
        self.item: Item = (FOLLOWERS.get(topic.channel, self.own), topic.key)
        self.dropped = False  # the venue has let go of it once, by itself


class SubscriptionChange(Struct):
    verb: Literal["subscribe", "unsubscribe"]
    items: dict[Item, None]  # in their order
    copies: int = 1


class AlpacaSubscriptions:
    """Not thread-safe; `frame` makes a message of a change."""

    def __init__(self, frame: Callable[[Mapping[str, object]], Send]) -> None:
        self.asked: dict[Topic, AlpacaTopic] = {}
        self._on: dict[Item, dict[Topic, AlpacaTopic]] = {}
        self._waiting: dict[Topic, AlpacaTopic] = {}
        self._unsure = False  # the answer to some other topic may be at odds with the list
        self._moved: dict[Topic, None] = {}  # what has become of them is to be looked at
        self._frame = frame
        self._listed: Listed = {}
        self._ours: dict[Item, None] = {}  # asked for on this connection, and not given up
        self._covered: set[Item] = set()  # asked for, and not listed by themselves: `*` may cover them
        self._renewing: set[Item] = set()  # to be given up and asked for again
        self._flight: SubscriptionChange | None = None
        self._parts: list[tuple[Item, ...]] = []  # of a change that was refused as a whole
        self._refusals = 0
        self._crowded_out: dict[Topic, None] = {}  # refused for the plan's limit, those of longest ago first
        self._in_vain: set[Topic] = set()  # given up without an answer since this change was sent
        self._stale = 0  # acknowledgements that may still come, of a change that was sent twice
        self._stale_code = ""  # the same of refusals

    def moved(self) -> Iterable[Topic]:
        """Those whose standing has changed, or that are no longer asked for, since it was last asked."""
        moved, self._moved = self._moved, {}
        return moved

    # ── asking ──

    def want(self, topics: Iterable[Topic]) -> list[Effect]:
        """After too long a wait the topic is given up and asked for once more.

        Then the change in flight may have lost its answer, and is in the way of all others, whatever it
        is about: it is sent a second time, and not a third.
        """
        waited = False
        several = dict.fromkeys(topics)
        for topic in several:
            asked = self.asked.get(topic)
            waited = waited or topic in self._in_vain or (asked is not None and asked.answer is WAITING)
            if asked is None or asked.answer is not WAITING:
                self._want(AlpacaTopic(topic))
        effects = self._settle([self.asked[topic] for topic in several])
        if waited and self._flight is not None and self._flight.copies == 1:
            return [*effects, *self.repeat()]
        return [*effects, *self._next()]

    def _want(self, asked: AlpacaTopic) -> None:
        self.asked[asked.topic] = self._on.setdefault(asked.item, {})[asked.topic] = asked
        self._waiting[asked.topic] = asked
        self._moved[asked.topic] = None
        self._crowded_out.pop(asked.topic, None)
        self._covered.discard(asked.item)
        if asked.own == BOOKS and (self._has(asked.item) or self.unanswered(asked.item)):
            self._renewing.add(asked.item)  # a book begins with what a new subscription brings

    def unwant(self, topics: Iterable[Topic]) -> list[Effect]:
        for topic in topics:
            asked = self.asked.pop(topic, None)
            if asked is not None:
                self._unwant(asked)
        return self._next()

    def _unwant(self, asked: AlpacaTopic) -> None:
        self._moved[asked.topic] = None
        self._crowded_out.pop(asked.topic, None)
        if asked.answer is WAITING:
            self._in_vain.add(asked.topic)
            del self._waiting[asked.topic]
        others = self._on[asked.item]
        del others[asked.topic]
        if not others:
            del self._on[asked.item]

    def _set(self, asked: AlpacaTopic, answer: TopicAnswer) -> None:
        asked.answer = answer
        self._moved[asked.topic] = None
        if answer is WAITING:
            self._waiting[asked.topic] = asked
        else:
            self._waiting.pop(asked.topic, None)

    def renew(self, topics: Iterable[Topic], why: GapReason = "unknown") -> list[Effect]:
        """From the start, with the seam marked; topics that the venue does not have are passed over."""
        effects: list[Effect] = []
        known = [asked for topic in topics if (asked := self.asked.get(topic)) and asked.answer is CONFIRMED]
        for asked in known:
            self._start_over(asked)
        if known:
            known += self._sharing(known)
            seam = topics_of(known)
            effects = [Missed(seam, why), Resent(seam)]
        return [*effects, *self._settle(known), *self._next()]

    def heal(self, topic: Topic, now: float) -> list[Effect]:
        """A change of this book was lost: it has to be reset.

        A venue whose every change is broken is not asked at the speed of its answers: within `REST`
        of the last time the topic only waits, and its ack deadline asks again.
        """
        asked = self.asked[topic]
        if now - asked.healed_at < REST:
            self._start_over(asked)
            return [Missed((topic,), "quarantine"), Resent((topic,))]
        asked.healed_at = now
        return self.renew([topic], "quarantine")

    def repeat(self, *, answered: bool = False) -> list[Effect]:
        """Send the change in flight once more; `answered`: no other answer to it is to come."""
        if self._flight is None:
            return []
        self._flight.copies += not answered
        return [self._send(self._flight)]

    def _start_over(self, asked: AlpacaTopic) -> None:
        self._set(asked, WAITING)
        if self._has(asked.item):
            self._renewing.add(asked.item)
        elif asked.own == BOOKS:  # it came by the `*`: asked for by itself it brings a reset
            self._covered.discard(asked.item)

    def _sharing(self, known: Sequence[AlpacaTopic]) -> list[AlpacaTopic]:
        """Those that are renewed along, for they lie on the same item."""
        items = dict.fromkeys(asked.item for asked in known if asked.item in self._renewing)
        others = [asked for item in items for asked in self._on[item].values() if asked.answer is CONFIRMED]
        for asked in others:
            self._set(asked, WAITING)
        return others

    # ── what the venue answers ──

    def acknowledged(self, listed: Listed) -> list[Effect]:
        if self._stale and listed == self._listed:
            self._stale -= 1  # the second answer to an earlier change: this one's is yet to come
            return []
        former, self._listed = self._listed, listed
        flight = self._land()
        effects: list[Effect] = []
        items: Collection[Item] = ()
        if flight is not None:
            self._stale = flight.copies - 1
            if flight.verb == "subscribe":
                items = flight.items
            else:
                effects += self._given_up(flight.items)
        self._covered = {item for item in {*self._covered, *items} if not self._has(item)}
        if self._unsure or not _only_longer(former, listed):
            self._unsure, several = False, list(self.asked.values())
        else:  # what is confirmed is still listed
            several = list(self._waiting.values())
        return [*effects, *self._settle(several, items), *self._next()]

    def refused(self, code: str, words: str) -> list[Effect]:
        """An error that concerns the change in flight; without one it concerns no topic."""
        if code == self._stale_code:
            # It may be this change's all the same: then its ack deadline asks again. The other way round
            # topics would be refused for another's fault.
            self._stale_code = ""
            return []
        text = told(code, words)
        flight = self._land()
        if flight is None:
            return [Complain(f"alpaca_{code}", text)]
        if flight.copies > 1:
            self._stale_code = code
        if flight.verb == "unsubscribe":
            effects: list[Effect] = [Complain(f"alpaca_{code}", text)]
            effects += self._kept(flight.items)
            return [*effects, *self._next()]
        self._refusals += 1
        parts = _split(tuple(flight.items), VERDICTS[code]) if self._refusals <= REFUSALS else ()
        if parts:
            self._parts[:0] = parts
            return self._next()
        reason = f"{text} ({ADVICE[code]})" if code in ADVICE else text
        if VERDICTS[code] is Verdict.LIMIT:
            reason += f"; {sum(map(self._has, self._ours))} are subscribed to"
        items = set(flight.items)
        if VERDICTS[code] is Verdict.LIMIT:  # where one has no room, no other of the channel has
            channels = {channel for channel, _ in items}
            items |= {item for part in self._parts for item in part if item[0] in channels}
        if self._refusals > REFUSALS:
            items |= {item for part in self._parts for item in part}
        rejects = self._reject(items, reason)
        if VERDICTS[code] is Verdict.LIMIT:
            for reject in rejects:
                self._crowded_out.update(dict.fromkeys(reject.topics))
        return [*rejects, *self._next()]

    def _land(self) -> SubscriptionChange | None:
        """The change in flight is answered; answers come in order, so earlier ones have come or are lost."""
        flight, self._flight = self._flight, None
        self._stale, self._stale_code = 0, ""
        return flight

    def on(self, item: Item) -> Iterable[AlpacaTopic]:
        """What is asked for that lies on this."""
        return self._on.get(item, {}).values()

    def unanswered(self, item: Item) -> bool:
        """Whether it was asked for, and the answer is on its way."""
        flight = self._flight
        return flight is not None and flight.verb == "subscribe" and item in flight.items

    def prove(self, asked: AlpacaTopic) -> list[Effect]:
        """Data came that only a new subscription brings."""
        self._set(asked, CONFIRMED)
        self._unsure = True
        self._renewing.discard(asked.item)
        return [Confirm((asked.topic,))]

    def _settle(self, several: Sequence[AlpacaTopic], items: Collection[Item] = ()) -> list[Effect]:
        """What the list means for each of these; `items` have just been asked for."""
        confirmed: list[Topic] = []
        unlisted: list[Topic] = []
        lost: list[Topic] = []
        dropped: list[Topic] = []
        flying: Collection[Item] = self._flight.items if self._flight is not None else ()
        just_asked = set(items)
        for asked in several:
            if asked.item in flying or asked.item in self._renewing:
                self._unsure = self._unsure or asked.answer is CONFIRMED
                continue
            there = self._lists(asked)
            if asked.answer is WAITING and there:
                self._set(asked, CONFIRMED)
                confirmed.append(asked.topic)
                if self._has(asked.item):
                    self._ours[asked.item] = None
            elif asked.answer is WAITING and (asked.item in just_asked or self._has(asked.item)):
                self._set(asked, REFUSED)
                unlisted.append(asked.topic)
            elif asked.answer is CONFIRMED and not there:
                # Once may be a race with a change of ours; a venue that does it again means it.
                self._set(asked, REFUSED if asked.dropped else WAITING)
                (dropped if asked.dropped else lost).append(asked.topic)
                asked.dropped = True
                self._covered.discard(asked.item)
        effects = (
            Confirm(tuple(confirmed)),
            Reject(tuple(unlisted), "the venue's acknowledgement does not list it"),
            Missed((*lost, *dropped), "unknown"),
            Resent(tuple(lost)),
            Reject(tuple(dropped), "the venue's acknowledgements no longer list it"),
        )
        return [effect for effect in effects if effect.topics]

    def _reject(self, items: set[Item], reason: str) -> list[Reject]:
        refused = [asked for asked in self.asked.values() if asked.item in items and asked.answer is WAITING]
        self._covered |= items  # a topic that has it by a `*` keeps it
        for asked in refused:
            self._set(asked, REFUSED)
        for item in items:
            self._ours.pop(item, None)
        self._parts = [left for part in self._parts if (left := tuple(i for i in part if i not in items))]
        return [Reject(topics_of(refused), reason)] if refused else []

    def _given_up(self, items: Collection[Item]) -> list[Effect]:
        """An unsubscription was acknowledged."""
        kept = [item for item in items if self._has(item)]
        freed = sum(
            not self._has(item) and all(asked.answer is REFUSED for asked in self.on(item)) for item in items
        )
        for item in items:
            self._ours.pop(item, None)
            self._renewing.discard(item)
        effects = self._fill(freed)
        if not kept:
            return effects
        names = ", ".join(f"{channel} {symbol}" for channel, symbol in kept[:5])
        effects.append(Complain("alpaca_kept", f"alpaca still lists what was given up: {names}"))
        return [*effects, *self._kept(kept)]

    def _fill(self, freed: int) -> list[Effect]:
        """Each item that was given up lets one of each channel ask again that had no room.

        No more than that, so that a venue that is full is not asked for ever. What a plan counts
        together is not told, so what was given up may have been of any channel.
        """
        chosen: dict[str, set[Item]] = {}
        again: list[Topic] = []
        for topic in self._crowded_out if freed else ():
            asked = self.asked[topic]
            items = chosen.setdefault(asked.item[0], set())
            if len(items) < freed or asked.item in items:
                items.add(asked.item)
                again.append(topic)
        for topic in again:
            self._want(AlpacaTopic(topic))
        return [Resent(tuple(again))] if again else []

    def _kept(self, items: Collection[Item]) -> list[Effect]:
        """The venue did not end these. It is not asked again: such a topic cannot be resubscribed."""
        renewing = any(asked.answer is WAITING for item in items for asked in self.on(item))
        for item in items:
            self._ours.pop(item, None)
            self._renewing.discard(item)
        if not renewing:
            return []
        return [
            End(Retryable("the venue does not end a subscription that has to be renewed", "alpaca_renew"))
        ]

    # ── the list ──

    def _has(self, item: Item) -> bool:
        return item[1] in (self._listed.get(item[0]) or ())

    def _lists(self, asked: AlpacaTopic) -> bool:
        own = self._listed.get(asked.own)
        listed = self._listed.get(asked.item[0]) if own is None else own
        return listed is not None and (asked.topic.key in listed or ALL in listed)

    # ── the next change ──

    def _next(self) -> list[Effect]:
        if self._flight is not None:
            return []
        needed = {asked.item: None for asked in self.asked.values() if asked.answer is not REFUSED}
        while self._parts:
            part = tuple(item for item in self._parts.pop(0) if item in needed and not self._has(item))
            if part:
                return self._start("subscribe", part)
        dropping = [
            item for item in self._ours if (item not in needed or item in self._renewing) and self._has(item)
        ]
        if dropping:  # first, for it makes room under the plan's limit
            return self._start("unsubscribe", dropping)
        self._renewing.clear()
        listed: dict[str, Collection[str]] = {
            channel: self._listed.get(channel) or () for channel, _ in needed
        }
        adding = [item for item in needed if item[1] not in listed[item[0]] and item not in self._covered]
        if not adding:
            return []
        self._refusals = 0
        return self._start("subscribe", adding)

    def _start(self, verb: Literal["subscribe", "unsubscribe"], items: Sequence[Item]) -> list[Effect]:
        room = LARGEST
        some: dict[Item, None] = {}
        for item in items:
            room -= len(item[1]) + len('"",')
            if room < 0:
                break  # the next change has the others
            some[item] = None
        self._flight = SubscriptionChange(verb, some)
        self._in_vain.clear()
        if verb == "subscribe":
            self._ours.update(self._flight.items)
        return [self._send(self._flight)]

    def _send(self, change: SubscriptionChange) -> Send:
        message: dict[str, object] = {"action": change.verb}
        for channel, symbols in _by_channel(change.items).items():
            message[channel] = [symbol for _, symbol in symbols]
        return self._frame(message)


def _only_longer(former: Listed, listed: Listed) -> bool:
    """Whether this list has all that the former one had."""
    return former.keys() == listed.keys() and all(
        symbols is None if before is None else symbols is not None and before <= symbols
        for channel, symbols in listed.items()
        for before in (former[channel],)
    )


def _by_channel(items: Iterable[Item]) -> dict[str, list[Item]]:
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item[0], []).append(item)
    return groups


def _split(items: Sequence[Item], verdict: Verdict) -> tuple[tuple[Item, ...], ...]:
    """The parts to try apart: the channels, and then the halves; none: it is not to be parted."""
    groups = _by_channel(items)
    if len(groups) > 1:
        return tuple(tuple(group) for group in groups.values())
    if verdict is Verdict.CHANNEL or len(items) == 1:
        return ()
    middle = len(items) // 2
    return (tuple(items[:middle]), tuple(items[middle:]))
