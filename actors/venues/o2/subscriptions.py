"""The subscriptions of one connection at O2, the frames that ask for them, and the topics of an answer.

O2 knows one depth, depth_view and trades subscription a market, and one orders, balances and nonce
subscription a connection, each with all its identities: changing such a set means to give it up and
to ask for the new one, with a gap in between. Replies bear no number of their request.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from actors.protocol import (
    AskedTopic,
    Effect,
    GapReason,
    Missed,
    RecentIds,
    Reject,
    Resent,
    Send,
    Topic,
    TopicAnswer,
)
from actors.venues.o2.messages import normal_id

BY_MARKET = ("depth", "depth_view", "trades")
BY_IDENTITY = ("orders", "balances", "nonce")
ACKNOWLEDGED = frozenset({"depth", "depth_view"})  # by their first picture
MARKET_CODES = frozenset({"2000", "2001"})  # not found, paused: true for all that is asked of it

TRADES_REMEMBERED = 1_000  # at least; ids of each market
TWICE = 60.0  # seconds until the second spelling of a market is asked for again
REST = 1.0  # seconds between two snapshots of one market that the session asks for by itself


WAITING, ASSUMED, CONFIRMED, REFUSED = TopicAnswer  # looked up for every event


class O2Topic(AskedTopic):
    """One topic as it was asked for on this connection.

    A depth topic that is not confirmed awaits its snapshot: changes until then belong to an older
    subscription.
    """

    __slots__ = ("id", "is_doubtful", "precision", "repeated", "seen")

    def __init__(self, topic: Topic, id: str, former: O2Topic | None = None) -> None:
        """`id`: on the wire, a market's, where the key may be its name; else the key."""
        super().__init__(topic)
        self.id = id
        self.is_doubtful = False  # its trades may be of a subscription that was given up, until the PONG
        self.repeated = False  # asked again, because the venue said that we had asked before
        precisions = [int(value) for name, value in topic.options if name == "precision"]
        self.precision = precisions[0] if precisions else None
        if former:
            self.healed_at = former.healed_at
        self.seen: RecentIds = former.seen if former else RecentIds(TRADES_REMEMBERED)  # trades


Slot = dict[str, O2Topic]  # by id: a market's, or an identity


Seen = dict[str, RecentIds]  # trades that a connection brought, by market


class O2Subscriptions:
    """Not thread-safe; methods that ask answer with the effects that do it."""

    def __init__(self) -> None:
        self.slots: dict[str, Slot] = {channel: {} for channel in (*BY_MARKET, *BY_IDENTITY)}
        self.ids: dict[str, str] = {}  # of markets whose topics have a name as key, by name
        self._precisions: dict[tuple[str, str], set[int]] = {}  # ever asked for, by channel and key
        self._dropped: set[str] = set()  # markets whose trades were given up
        self._inherited: dict[str, RecentIds] = {}  # trades that a former connection brought, by market
        # For each PING on its way: the topics that its PONG confirms.
        self._fences: list[tuple[O2Topic, ...]] = []

    def legacy(self) -> Seen:
        """O2 repeats recent trades at each subscription: what this connection brought is known."""
        return {market: each.seen.copy() for market, each in self.slots["trades"].items()}

    def inherit(self, seen: Seen) -> None:
        self._inherited = seen

    # ── asking ──

    def ask(self, topics: Iterable[Topic]) -> list[Effect]:
        effects: list[Effect] = []
        unacknowledged: list[O2Topic] = []
        for channel, group in _by_channel(topics).items():
            slot = self.slots[channel]
            if channel in BY_IDENTITY:
                effects += self._set_identities(channel, group)
                unacknowledged += slot.values()
                continue
            for topic in group:
                effects += self._ask_market(topic)
            if channel not in ACKNOWLEDGED:  # those of before have fences of their own
                held = (self._held(topic) for topic in group)
                unacknowledged += [asked for asked in held if asked is not None]
        return effects + self._fence(unacknowledged)

    def drop(self, topics: Iterable[Topic]) -> list[Effect]:
        effects: list[Effect] = []
        kept: list[O2Topic] = []
        for channel, group in _by_channel(topics).items():
            slot = self.slots[channel]
            gone = [asked for topic in group if (asked := self._held(topic)) is not None]
            for asked in gone:
                if asked.answer is REFUSED or channel in BY_MARKET:
                    del slot[asked.id]
            known = [asked for asked in gone if asked.answer is not REFUSED]
            if channel in BY_MARKET:
                effects += [_frame("unsubscribe", channel, [asked]) for asked in known]
                self._dropped.update(asked.id for asked in known if channel == "trades")
            elif known:
                effects += self._set_identities(channel, (), [asked.topic for asked in known])
                kept += slot.values()
        return effects + self._fence(kept)

    def again(self, topics: Iterable[Topic]) -> list[Effect]:
        """From the start, with the seam marked; topics that the venue does not have are passed over."""
        held = tuple(topic for topic in topics if self.has(topic))
        if not held:
            return []
        return [Missed(held, "unknown"), *self.ask(held), Resent(held)]

    def heal(self, asked: O2Topic, why: GapReason, now: float) -> list[Effect]:
        """A change of this book was lost: a new snapshot is needed.

        A venue whose every change is broken is not to be asked at the speed of its answers: within
        `REST` of the last time the topic only waits, and the registry's ack timeout asks.
        """
        topics = (asked.topic,)
        if now - asked.healed_at < REST:
            asked.answer = WAITING
            return [Missed(topics, why), Resent(topics)]
        asked.healed_at = now
        return [Missed(topics, why), *self._ask_market(asked.topic), Resent(topics)]

    def repeat(self, asked: O2Topic) -> list[Effect]:
        """Give up and ask, in the same breath: what the venue has is not what we know of."""
        asked.repeated = True
        return [_frame(verb, asked.topic.channel, [asked]) for verb in ("unsubscribe", "subscribe")]

    def _ask_market(self, topic: Topic) -> list[Effect]:
        slot, id = self.slots[topic.channel], self.ids.get(topic.key, topic.key)
        former = slot.get(id)
        is_held = former is not None and former.answer is not REFUSED
        if former is not None and is_held and former.topic.key != topic.key:
            return [Reject((topic,), _spelled_twice(topic, former), TWICE)]
        asked = slot[id] = O2Topic(topic, id, former)
        if former is None and topic.channel == "trades":
            asked.seen = self._inherited.pop(id, asked.seen)
            asked.is_doubtful = id in self._dropped
        if asked.precision is not None:
            self._precisions.setdefault((topic.channel, id), set()).add(asked.precision)
        effects: list[Effect] = [_frame("unsubscribe", topic.channel, [asked])] if is_held else []
        return [*effects, _frame("subscribe", topic.channel, [asked])]

    def _set_identities(
        self, channel: str, wanted: Sequence[Topic], unwanted: Sequence[Topic] = ()
    ) -> list[Effect]:
        slot = self.slots[channel]
        held = [asked.topic for asked in slot.values() if asked.answer is not REFUSED]
        others = [topic for topic in held if topic not in wanted and topic not in unwanted]
        former = [slot[topic.key] for topic in held]
        slot.clear()
        slot.update((topic.key, O2Topic(topic, topic.key)) for topic in (*others, *wanted))
        effects: list[Effect] = []
        if former:
            effects.append(_frame("unsubscribe", channel, former))
        if slot:
            effects.append(_frame("subscribe", channel, tuple(slot.values())))
        if others:
            return [Missed(tuple(others), "unknown"), *effects, Resent(tuple(others))]
        return effects

    # ── the fence: O2 handles frames in order, so a PONG after a request means: it was not refused ──
    # That is our reading. Where no PONG comes, the registry's ack timeout assumes the same, later.

    def _fence(self, asked: Iterable[O2Topic]) -> list[Effect]:
        waiting = tuple(each for each in asked if each.answer is WAITING)
        if not waiting:
            return []
        self._fences.append(waiting)
        return [Send("PING")]

    def pinged(self) -> None:
        """A PING was sent whose PONG confirms no topic."""
        self._fences.append(())

    def ponged(self) -> list[O2Topic]:
        """The topics that this PONG confirms, and that still wait."""
        vouched = self._fences.pop(0) if self._fences else ()
        return [
            asked
            for asked in vouched
            if asked.answer is WAITING and self.slots[asked.topic.channel].get(asked.id) is asked
        ]

    def doubt(self) -> None:
        """An error came that may concern any topic: no PONG on its way confirms one any more."""
        self._fences = [() for _ in self._fences]

    # ── finding ──

    def has(self, topic: Topic) -> bool:
        asked = self._held(topic)
        return asked is not None and asked.answer is not REFUSED

    def _held(self, topic: Topic) -> O2Topic | None:
        """What was asked of this topic; None: nothing, or another topic has its place."""
        asked = self.slots[topic.channel].get(self.ids.get(topic.key, topic.key))
        return asked if asked is not None and asked.topic == topic else None

    def market(self, channel: str, id: str) -> O2Topic | None:
        """The topics of this market; a frame that names none belongs to the only one there is.

        Raises:
            ValueError: no market is named, and there are several.
        """
        slot = self.slots[channel]
        if id:
            return slot.get(normal_id(id))
        if len(slot) > 1:
            raise ValueError("a frame without market_id, and several markets are subscribed to")
        return next(iter(slot.values()), None)

    def names(self) -> set[str]:
        """The names of the markets that topics are subscribed to by."""
        keys = {asked.topic.key for channel in BY_MARKET for asked in self.slots[channel].values()}
        return keys & self.ids.keys()

    def outdated(self, asked: O2Topic, precision: int | None) -> bool:
        """Whether a frame of this precision belongs to an older subscription of the market."""
        if precision is None or precision == asked.precision:
            return False
        return precision in self._precisions.get((asked.topic.channel, asked.id), ())

    def waiting(self) -> list[O2Topic]:
        return [
            asked
            for slot in self.slots.values()
            for asked in slot.values()
            if asked.answer in (WAITING, ASSUMED)
        ]

    def concerned(self, code: str, channel: str, market: str) -> list[O2Topic]:
        """The topics of an error that names a channel and a market, or leaves them empty."""
        if channel in BY_IDENTITY:
            slot = self.slots[channel].values()
            return [asked for asked in slot if asked.answer is not REFUSED]
        if channel in self.slots and market:
            asked = self.slots[channel].get(market)
            return [asked] if asked is not None else []
        waiting = [asked for asked in self.waiting() if asked.answer is WAITING]
        if channel in self.slots:
            waiting = [asked for asked in waiting if asked.topic.channel == channel]
        elif market:
            waiting = [asked for asked in waiting if asked.id == market]
            if code in MARKET_CODES:
                return waiting
        requests = {
            asked.topic.channel if asked.topic.channel in BY_IDENTITY else str(asked.topic)
            for asked in waiting
        }
        return waiting if len(requests) == 1 else []


def _by_channel(topics: Iterable[Topic]) -> dict[str, list[Topic]]:
    groups: dict[str, list[Topic]] = {}
    for topic in dict.fromkeys(topics):
        groups.setdefault(topic.channel, []).append(topic)
    return groups


def _spelled_twice(topic: Topic, former: O2Topic) -> str:
    return (
        f"market {former.id} is subscribed to as {former.topic.key!r} on this connection, and O2 takes one "
        f"{topic.channel} subscription per market. Use {former.topic.key!r} or {topic.key!r} in all places. "
        f"It is asked for again in {TWICE:.0f} s"
    )


def _frame(verb: str, channel: str, asked: Sequence[O2Topic]) -> Send:
    fields: dict[str, object] = {"action": f"{verb}_{channel}"}
    if channel in BY_MARKET:
        fields["market_id"] = asked[0].id
        if verb == "subscribe":
            options = dict(asked[0].topic.options)
            fields |= {name: options[name] for name in ("precision", "frequency") if name in options}
    elif (verb, channel) != ("unsubscribe", "orders"):  # that one takes no identities
        fields["identities"] = [_identity(each.id) for each in asked]
    return Send(msgspec.json.encode(fields).decode())


def _identity(key: str) -> dict[str, str]:
    address = key.removeprefix("Address:")
    return {"ContractId": key} if address == key else {"Address": address}
