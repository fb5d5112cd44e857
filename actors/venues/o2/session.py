"""O2's side of one connection: frames in, events and commands out.

Depth is told from depth by its snapshot: until it comes, changes belong to an older subscription.
Where a frame of a subscription is lost on the way to its stream, the stream is told (`Missed`), and
a book gets a new snapshot, for O2's changes bear no number by which the loss would show later.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from actors.protocol import (
    TEXT,
    Answered,
    Complain,
    Confirm,
    Effect,
    EffectBatch,
    End,
    Frame,
    HttpAnswer,
    HttpFailed,
    Missed,
    Send,
    Session,
    Topic,
    code_of,
    confirm,
    decoded,
    refuse,
    topics_of,
)
from actors.venues.o2 import messages as m
from actors.venues.o2.errors import ALREADY, REFUSALS, ending, is_error
from actors.venues.o2.lenient import pieces, with_named_levels
from actors.venues.o2.markets import KnownMarkets, is_name
from actors.venues.o2.messages import decode, decode_failure, identity_key, normal_id
from actors.venues.o2.names import NamedTopics
from actors.venues.o2.subscriptions import ASSUMED, BY_IDENTITY, CONFIRMED, REFUSED, O2Subscriptions, O2Topic

CHANNELS = {  # of the actions that bear data
    "subscribe_depth_update": "depth",
    "subscribe_depth": "depth",
    "subscribe_depth_view": "depth_view",
    "subscribe_trades": "trades",
    "trades": "trades",
    "subscribe_orders": "orders",
    "subscribe_balances": "balances",
    "subscribe_nonce": "nonce",
    "nonce": "nonce",
}

# Frames with a whole book: their channel, and the events that they become.
PICTURES: Mapping[type[m.DepthFrame], tuple[str, type[m.DepthSnapshot | m.DepthView]]] = {
    m.SnapshotFrame: ("depth", m.DepthSnapshot),
    m.ViewFrame: ("depth_view", m.DepthView),
}

# Frames of accounts: their channel, and what makes an event of an entry.
ACCOUNTS: Mapping[type[m.AccountFrame], tuple[str, Callable[[Any, str, m.Pushed], Any]]] = {
    m.OrdersFrame: ("orders", m.the_order),
    m.BalancesFrame: ("balances", m.the_balance),
    m.NonceFrame: ("nonce", m.the_nonce),
    m.NewNonceFrame: ("nonce", m.the_nonce),
}

LONGEST_WORD = 8  # bytes: PING and PONG, and some space around them

_ACTION = re.compile(rb'"action"\s*:\s*"(\w+)"')


class O2Session(Session):
    asks_one_by_one = True

    def __init__(self, markets: KnownMarkets | None = None, base: str = "") -> None:
        """`markets`: what is known of names, by default nothing; `base`: the origin of the network's REST."""
        super().__init__()
        self._asked = O2Subscriptions()
        self._names = NamedTopics(markets or KnownMarkets(), base, self._asked)
        self._depth = self._asked.slots["depth"]
        self._trades = self._asked.slots["trades"]
        self._now = 0.0

    def legacy(self) -> object:
        return self._asked.legacy()

    def inherit(self, legacy: object) -> None:
        if isinstance(legacy, dict):
            self._asked.inherit(legacy)

    def subscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        return self._names.ask(topics, now)

    def unsubscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        self._names.forget(topics)
        return self._asked.drop(topics)

    def fetched(self, ticket: str, outcome: HttpAnswer | HttpFailed, now: float) -> list[Effect]:
        effects = self._names.fetched(outcome, now)
        ends = [effect.reason for effect in effects if isinstance(effect, End)]
        return [self._end(ends[0])] if ends else effects

    def oversized(self, head: Frame) -> Sequence[Topic]:
        """The topics by name, which the message has the id of. Those by id are told by their keys."""
        text = head[1].lower()
        action = _ACTION.search(text)
        channel = CHANNELS.get(action[1].decode(), "") if action else ""
        slots = [self._asked.slots[channel]] if channel else [self._depth, self._asked.slots["depth_view"]]
        named = [each for slot in slots for each in slot.values() if is_name(each.topic.key)]
        return topics_of(each for each in named if _digits(each).encode() in text)

    def resync(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        return self._asked.again(topics)

    def ping(self, now: float) -> list[Effect]:
        self._asked.pinged()
        return [Send("PING")]  # not ahead of others: a PONG confirms what was asked for before its PING

    def received(self, frames: Sequence[Frame], now: float) -> list[Effect]:
        """The loop reads the usual messages by itself: a trade, or a change of a book, of a confirmed topic.

        `_read` reads all others. It reads the usual ones as well, with the same effects.
        """
        self._now = now
        out = EffectBatch()
        trades, books, topics, events = self._trades, self._depth, out.topics, out.events
        for opcode, payload in frames:
            try:
                frame = decode(payload)
                kind: type | None = type(frame)
                if kind is m.TradesFrame:
                    (entry,), asked = frame.trades, trades[frame.market_id]
                    topic = asked.topic
                    trade = m.the_trade(entry, topic.key, frame)
                    if asked.answer is CONFIRMED and opcode == TEXT and not frame.turbo:
                        if asked.seen.add(trade.trade_id):
                            topics.append(topic)
                            events.append(trade)
                        else:
                            out.duplicates += 1
                        continue
                elif kind is m.ChangeFrame:
                    sides, asked = frame.changes, books[frame.market_id]
                    change = m.the_change(sides, asked.topic.key, frame)
                    is_plain = sides.precision is None and (change.bids or change.asks)
                    if is_plain and asked.answer is CONFIRMED and opcode == TEXT and not frame.turbo:
                        topics.append(asked.topic)
                        events.append(change)
                        continue
            except Exception:
                kind = None  # `_read` finds out what is wrong with it
            self._read(opcode, payload, out)
            topics, events = out.topics, out.events  # new ones behind an effect
        return out.effects()

    def _read(self, opcode: int, payload: bytes, out: EffectBatch) -> None:
        """Any message."""
        if opcode != TEXT:
            out.quarantine(payload, "a binary frame; O2 sends text")
            return
        try:
            self._handle(decode(payload), payload, out)
        except Exception as error:
            self._puzzle(payload, error, out)

    # ── data: a method that raises here has changed nothing ──

    def _handle(self, frame: m.Inbound, payload: bytes, out: EffectBatch) -> None:
        if frame.turbo:
            out.unrouted += 1  # of another venue, which we never asked for
            return
        HANDLERS[type(frame)](self, frame, payload, out)

    def _handle_change(self, frame: m.ChangeFrame, payload: bytes, out: EffectBatch) -> None:
        sides = frame.changes
        if sides is None or (sides.buys is None and sides.sells is None):
            sides = frame.sides()
        if sides is None:
            raise ValueError("a depth change without levels")
        asked = self._depth.get(frame.market_id) or self._asked.market("depth", frame.market_id)
        if asked is None or asked.answer is not CONFIRMED:
            out.unrouted += 1
            return
        if sides.precision is not None and self._asked.outdated(asked, sides.precision):
            out.unrouted += 1
            return
        out.deliver(asked.topic, m.the_change(sides, asked.topic.key, frame))

    def _handle_picture(self, frame: m.DepthFrame, payload: bytes, out: EffectBatch) -> None:
        channel, kind = PICTURES[type(frame)]
        sides = frame.sides()
        if sides is None:
            failure = decode_failure(payload)
            if failure.code is None and not failure.text:
                raise ValueError("a picture of a book without levels")
            self._handle_failure(failure, out)
            return
        asked = self._asked.market(channel, frame.market_id)
        if asked is None or self._asked.outdated(asked, sides.precision):
            out.unrouted += 1
            return
        confirm([asked], out)
        picture = kind(
            asked.topic.key,
            sides.buys or (),
            sides.sells or (),
            sides.precision,
            frame.onchain_timestamp,
            frame.seen_timestamp,
        )
        out.deliver(asked.topic, picture)

    def _handle_trades(self, frame: m.TradesFrame, payload: bytes, out: EffectBatch) -> None:
        trades, asked = frame.trades, self._trades.get(frame.market_id)
        if not trades or asked is None or asked.answer is not CONFIRMED:
            self._handle_odd_trades(frame, payload, out)
        elif len(trades) == 1:  # as they mostly come
            topic = asked.topic
            trade = m.the_trade(trades[0], topic.key, frame)
            if asked.seen.add(trade.trade_id):
                out.deliver(topic, trade)
            else:
                out.duplicates += 1
        else:
            self._handle_prints(asked, [m.the_trade(entry, asked.topic.key, frame) for entry in trades], out)

    def _handle_odd_trades(self, frame: m.TradesFrame, payload: bytes, out: EffectBatch) -> None:
        trades, id = frame.trades, frame.market_id
        if not trades:
            asked = self._asked.market("trades", id) if id else None
            self._handle_empty(payload, [asked] if asked else (), out)
        elif id or len(self._trades) == 1:
            asked = self._asked.market("trades", id)
            market = asked.topic.key if asked is not None else ""
            self._handle_prints(asked, [m.the_trade(entry, market, frame) for entry in trades], out)
        else:  # a market for each trade
            owners = [self._asked.market("trades", entry.market_id or "") for entry in trades]
            keys = [asked.topic.key if asked else "" for asked in owners]
            heard = [m.the_trade(entry, key, frame) for entry, key in zip(trades, keys, strict=True)]
            for asked, trade in zip(owners, heard, strict=True):
                self._handle_prints(asked, [trade], out)

    def _handle_prints(self, asked: O2Topic | None, trades: list[m.Trade], out: EffectBatch) -> None:
        if asked is None:
            out.unrouted += len(trades)
            return
        if not asked.is_doubtful:
            confirm([asked], out)
        topic, is_new = asked.topic, asked.seen.add
        for trade in trades:
            if is_new(trade.trade_id):
                out.deliver(topic, trade)
            else:
                out.duplicates += 1

    def _handle_account(self, frame: m.AccountFrame, payload: bytes, out: EffectBatch) -> None:
        """Each entry says whose it is, or leaves it out."""
        channel, event_of = ACCOUNTS[type(frame)]
        if not frame.entries:
            self._handle_empty(payload, self._asked.slots[channel].values(), out)
            return
        heard = []
        for entry in frame.entries:
            key, owners = self._owners(channel, identity_key(entry.whose()))
            heard.append((owners, event_of(entry, key, frame)))
        self._route(channel, heard, out)

    def _owners(self, channel: str, key: str) -> tuple[str, list[O2Topic]]:
        """The topics that it belongs to: without a name the only one there is, or all of them."""
        slot = self._asked.slots[channel]
        if key:
            asked = slot.get(key)
            return key, [asked] if asked is not None else []
        return next(iter(slot)) if len(slot) == 1 else "", list(slot.values())

    def _route(self, channel: str, heard: list[tuple[list[O2Topic], Any]], out: EffectBatch) -> None:
        named = [asked for owners, _ in heard for asked in owners]
        if named:  # there is one subscription for all identities: it is there for all, or for none
            slot = self._asked.slots[channel].values()
            confirm([each for each in slot if each in named or each.answer is not REFUSED], out)
        for owners, event in heard:
            for asked in owners:
                out.deliver(asked.topic, event)
            out.unrouted += not owners

    def _handle_empty(self, payload: bytes, asked: Iterable[O2Topic], out: EffectBatch) -> None:
        """A frame of a channel without an entry: an acknowledgement, or an error."""
        failure = decode_failure(payload)
        if failure.code is not None or failure.text:
            self._handle_failure(failure, out)
        else:
            confirm([each for each in asked if each.answer is not REFUSED], out)

    # ── what is no data, or cannot be read ──

    def _puzzle(self, payload: bytes, error: Exception, out: EffectBatch) -> None:
        word = payload.strip().upper() if len(payload) <= LONGEST_WORD else b""
        if word == b"PONG":
            vouched = self._asked.ponged()
            for asked in vouched:
                asked.answer, asked.is_doubtful = ASSUMED, False
            if vouched:
                out.add(Confirm(topics_of(vouched), assumed=True))
            out.add(Answered())
        elif word == b"PING":
            out.add(Send("PONG", control=True))
        else:
            try:
                self._handle_odd(payload, error, out)
            except Exception as worse:  # nothing that a venue sends may end the connection
                out.quarantine(payload, worse)

    def _handle_odd(self, payload: bytes, error: Exception, out: EffectBatch) -> None:
        failure = decoded(decode_failure, payload)  # None: it is no JSON object
        if failure is None:
            found = _ACTION.search(payload)
            action = found[1].decode() if found else ""
        else:
            action = failure.action if isinstance(failure.action, str) else ""
            if is_error(failure, action, action in CHANNELS):
                self._handle_failure(failure, out)
                return
            if action.startswith("unsubscribe_"):
                return  # an acknowledgement for which no topic waits
        channel = CHANNELS.get(action, "")
        if failure is not None and channel and self._handle_otherwise(payload, channel, failure, out):
            return
        out.quarantine(payload, error)
        if not action and (b"depth" in payload or b"changes" in payload):
            channel = "depth"
        self._fear_for(channel, payload, failure, out)

    def _handle_otherwise(self, payload: bytes, channel: str, failure: m.Failure, out: EffectBatch) -> bool:
        """Read it in a way that costs more: levels as pairs, or a list entry by entry."""
        try:
            if channel in {"depth", "depth_view"}:
                named = with_named_levels(payload)
                if named is None:
                    return False
                self._handle(decode(named), named, out)
                return True
            entries = pieces(payload)
        except Exception:
            return False
        for whole, entry in entries:
            try:
                self._handle(decode(whole), whole, out)
            except Exception as error:
                out.quarantine(entry, error)
                self._fear_for(channel, whole, failure, out)
        return bool(entries)

    def _fear_for(self, channel: str, payload: bytes, failure: m.Failure | None, out: EffectBatch) -> None:
        """A frame of this channel was lost: the topics that it may have concerned get a `Missed`."""
        asked = [each for each in self._asked.slots.get(channel, {}).values() if each.answer is not REFUSED]
        text = payload.lower()
        named = [each for each in asked if _digits(each).encode() in text]
        if failure is not None and isinstance(failure.market_id, str) and channel not in BY_IDENTITY:
            asked = named
        asked = named or asked
        if channel == "depth":
            for each in asked:
                if each.answer is CONFIRMED:
                    out.add(*self._asked.heal(each, "quarantine", self._now))
        elif asked:
            out.add(Missed(topics_of(asked), "quarantine"))

    # ── errors ──

    def _handle_failure(self, failure: m.Failure, out: EffectBatch) -> None:
        action = failure.action if isinstance(failure.action, str) else ""
        market = normal_id(failure.market_id) if isinstance(failure.market_id, str) else ""
        if failure.resync_required:
            self._start_anew(market, failure.text, out)
            return
        code = "" if failure.code is None else str(failure.code)
        text = f"o2 error {code}".rstrip() + f": {failure.text or 'no words'}"
        if (reason := ending(code, text)) is not None:
            out.add(self._end(reason))
            return
        channel = CHANNELS.get(action, "")
        asked = [] if action.startswith("unsubscribe_") else self._asked.concerned(code, channel, market)
        if code == ALREADY:
            self._already(asked, text, out)
        elif asked and (code in REFUSALS or (channel and code)):
            refuse(asked, text, out, REFUSALS.get(code))
        else:
            self._asked.doubt()
            out.add(Complain(code_of("o2", code), text))

    def _already(self, asked: list[O2Topic], text: str, out: EffectBatch) -> None:
        """6000: the venue has it, which is what we want. But a book needs its snapshot."""
        certain = bool(asked)
        waiting = [each for each in asked or self._asked.waiting() if each.answer is not CONFIRMED]
        books = [each for each in waiting if each.topic.channel == "depth"]
        there = [each for each in waiting if each not in books]
        for each in there:
            each.answer = CONFIRMED if certain else ASSUMED
        if there:
            out.add(Confirm(topics_of(there), assumed=not certain))
        again = [each for each in books if certain and not each.repeated]
        for each in again:
            out.add(*self._asked.repeat(each))
        if not there and not again:
            out.add(Complain(f"o2_{ALREADY}", text))

    def _start_anew(self, market: str, said: str, out: EffectBatch) -> None:
        """The venue lost its place, in one market or in all; trades may be missing as well."""
        what = f"of market {market}" if market else "of all markets"
        out.add(Complain("o2_resync", f"o2 requires a resync {what}" + (f": {said}" if said else "")))
        for asked in list(self._depth.values()):
            if market in ("", asked.id) and asked.answer is CONFIRMED:
                out.add(*self._asked.heal(asked, "unknown", self._now))
        trades = [each for each in self._trades.values() if market in ("", each.id)]
        if trades:
            out.add(Missed(topics_of(trades), "unknown"))


def _digits(asked: O2Topic) -> str:
    """The id as every spelling has it."""
    return asked.id.rpartition("0x")[2]


# By exact type: `isinstance` is slow where a metaclass has a say in it, as msgspec's has.
HANDLERS: dict[type[m.Inbound], Callable[[O2Session, Any, bytes, EffectBatch], None]] = {
    m.ChangeFrame: O2Session._handle_change,
    m.SnapshotFrame: O2Session._handle_picture,
    m.ViewFrame: O2Session._handle_picture,
    m.TradesFrame: O2Session._handle_trades,
    m.NewTradesFrame: O2Session._handle_trades,
    **dict.fromkeys(ACCOUNTS, O2Session._handle_account),
}
