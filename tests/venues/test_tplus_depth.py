"""A book out of changes and snapshots: it is the venue's, or it says that it is not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.http_types import HttpAnswer, HttpFailed
from actors.protocol import Opening
from actors.protocol.session import (
    TEXT,
    Confirm,
    Deliver,
    Duplicates,
    Effect,
    End,
    Fetch,
    Missed,
    Quarantine,
    Reject,
    Resent,
    Unrouted,
)
from actors.venues.tplus import DepthChange, DepthSession, DepthSnapshot, Tplus, TplusSettings
from actors.venues.tplus.depth_session import ATTEMPTS, BUFFER, STALE
from tests.support.examples import examples

VENUES = {
    how: Tplus("tplus", msgspec.convert({"sequence": how}, TplusSettings)) for how in ("strict", "monotonic")
}
TOPIC = VENUES["strict"].topic("depth", "200", {})
Book = dict[tuple[str, Decimal], Decimal]


def opened(how: str = "strict") -> DepthSession:
    session = VENUES[how].session(Opening("tplus/depth-200"))
    assert isinstance(session, DepthSession)
    session.opened(0.0)
    return session


def frame(sequence: int, *bids: tuple[object, object]) -> bytes:
    return msgspec.json.encode({"asks": [], "bids": bids, "sequence_number": sequence})


def hear(session: DepthSession, *payloads: bytes, now: float = 0.0) -> list[Effect]:
    return session.received([(TEXT, payload) for payload in payloads], now)


def live(how: str = "strict", sequence: int = 5) -> DepthSession:
    """It stands at this number, and has heard a change."""
    session = opened(how)
    hear(session, frame(sequence))
    session.subscribe([TOPIC], 0.0)
    effects = session.fetched("snapshot/1", HttpAnswer(200, frame(sequence)), 0.0)
    assert any(isinstance(effect, Confirm) for effect in effects)
    return session


class Market:
    """The venue: its book by era and number. An era ends when it counts anew."""

    def __init__(self, sequence: int) -> None:
        self.era, self.first, self.sequence = 0, sequence, sequence
        self.book: Book = {}
        self.books: dict[tuple[int, int], Book] = {(0, sequence): {}}

    def change(self, step: int, side: str, price: int, quantity: int) -> bytes:
        self.sequence += step
        key = (side, Decimal(price))
        if quantity:
            self.book[key] = Decimal(quantity)
        else:
            self.book.pop(key, None)  # also one that is not there
        self.books[self.era, self.sequence] = self.book.copy()
        sides: dict[str, Any] = {"asks": [], "bids": [], side: [[str(price), str(quantity)]]}
        return msgspec.json.encode({**sides, "sequence_number": self.sequence})

    def restart(self) -> bytes:
        self.era += 1
        self.first, self.sequence = 0, -1
        return self.change(1, "bids", 1, 1)

    def snapshot(self, sequence: int) -> bytes:
        book = self.books[self.era, sequence]
        sides = {
            side: [[str(price), str(quantity)] for (which, price), quantity in book.items() if which == side]
            for side in ("asks", "bids")
        }
        return msgspec.json.encode({**sides, "sequence_number": sequence})


class World:
    """A market, a wire that loses and garbles, and a reader who believes what he is told."""

    def __init__(self, how: str, sequence: int) -> None:
        self.how = how
        self.market = Market(sequence)
        self.now = 0.0
        self.wire: list[bytes] = []
        self.connect()

    def connect(self) -> None:
        self.session = opened(self.how)
        self.wire.clear()
        self.since = (self.market.era, self.market.sequence)
        self.knows_numbers = False
        self.ticket = ""  # of the newest question, until it is answered
        self.taken: tuple[int, bytes] | None = None  # a snapshot on its way, and its era
        self.book: Book | None = None  # as the reader has it; None: he was told that it is not the venue's
        self.era = self.snapshot_era = 0
        self.confirmed = False
        self.look(self.session.subscribe([TOPIC], self.now))

    # ── what happens at the venue ──

    def changes(self, number: int) -> None:
        step = 1 if self.how == "strict" else 1 + number % 3
        self.wire.append(self.market.change(step, SIDES[number % 2], number // 2 % 3, number // 8 % 3))

    def counts_anew(self, number: int) -> None:
        """It takes a while; what it had sent has come, and what it was asked is answered by nobody."""
        self.arrives_all(0)
        self.now += STALE + 1.0
        self.fails(0)
        self.arrives(self.market.restart())

    # ── what happens on the wire ──

    def arrives_one(self, number: int) -> None:
        if self.wire:
            self.knows_numbers = True
            self.arrives(self.wire.pop(0))

    def arrives_all(self, number: int) -> None:
        while self.wire:
            self.arrives_one(0)

    def comes_twice(self, number: int) -> None:
        if self.wire:
            twice = self.wire[0]
            self.arrives_one(0)
            self.arrives(twice)

    def is_garbled(self, number: int) -> None:
        if self.wire:
            whole = self.wire.pop(0)
            if not self.knows_numbers:  # nobody can say which it was
                self.since = (self.market.era, msgspec.json.decode(whole)["sequence_number"])
            self.arrives(whole[: -1 - number % 20])

    def is_lost(self, number: int) -> None:
        if self.wire and self.how == "strict":  # where numbers leave some out, nobody can see it
            self.wire.pop(0)

    def speaks_of_itself(self, number: int) -> None:
        self.arrives(
            [b'{"type":"subscriptions","channels":[],"errors":null}', b'{"type":"ping"}'][number % 2]
        )

    # ── what happens over HTTP ──

    def takes_a_snapshot(self, number: int) -> None:
        """From a cache, some changes old. Without strict numbers only what was heard shows that.

        So there it may not be older than the socket, or than what could not be read before any number.
        """
        if self.ticket and self.taken is None:
            numbers = sorted(number for era, number in self.market.books if era == self.market.era)
            if self.how == "monotonic" and self.since[0] == self.market.era:
                numbers = [number for number in numbers if number >= self.since[1]]
            chosen = numbers[max(0, len(numbers) - 1 - max(0, number % 6 - 2))]
            self.taken = (self.market.era, self.market.snapshot(chosen))

    def hands_it_over(self, number: int) -> None:
        if self.taken is not None:
            (self.snapshot_era, body), self.taken = self.taken, None
            self.answer(HttpAnswer(200, body))

    def fails(self, number: int) -> None:
        if self.ticket:
            self.taken = None
            self.answer(FAILURES[number % 3])

    def answer(self, outcome: HttpAnswer | HttpFailed) -> None:
        ticket, self.ticket = self.ticket, ""
        self.look(self.session.fetched(ticket, outcome, self.now))

    def answers_an_old_question(self, number: int) -> None:
        body = msgspec.json.encode({"asks": [["9", "9"]], "bids": [], "sequence_number": number})
        assert self.session.fetched("snapshot/0", HttpAnswer(200, body), self.now) == []

    # ── what we do ──

    def time_goes_by(self, number: int) -> None:
        self.now += [1.0, STALE + 1.0, 60.0][number % 3]

    def wants_it_anew(self, number: int) -> None:
        self.look(self.session.resync([TOPIC], self.now))

    def asks_again(self, number: int) -> None:
        self.confirmed, self.book = False, None
        self.look(self.session.unsubscribe([TOPIC], self.now))
        if number % 2:
            self.arrives_one(0)
        self.look(self.session.subscribe([TOPIC], self.now))

    # ── what the reader makes of it ──

    def arrives(self, payload: bytes) -> None:
        self.look(hear(self.session, payload, now=self.now))

    def look(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Fetch(ticket=ticket):  # the newest question is the one that counts
                    self.ticket, self.taken = ticket, None
                case Missed():
                    self.book = None
                case Resent():
                    self.confirmed = False
                case Confirm():
                    self.confirmed = True
                case Deliver(pairs=pairs):
                    assert self.confirmed
                    for _, event in pairs:
                        self.read(event)
                case End():
                    self.connect()
                    return

    def read(self, event: DepthSnapshot | DepthChange) -> None:
        if isinstance(event, DepthSnapshot):
            self.book, self.era, self.knows_numbers = {}, self.snapshot_era, True
        assert self.book is not None, "a change that follows on nothing"
        for side, levels in (("asks", event.asks), ("bids", event.bids)):
            for level in levels:
                self.book[side, level.price] = level.quantity
        self.book = {key: quantity for key, quantity in self.book.items() if quantity}
        assert self.book == self.market.books[self.era, event.sequence]

    def comes_to_rest(self) -> None:
        """When everything comes, and the venue answers, the book is the venue's."""
        for _ in range(2 * ATTEMPTS):
            self.now += 60.0
            self.changes(0)
            self.arrives_all(0)
            self.takes_a_snapshot(0)
            self.hands_it_over(0)
        assert self.book == self.market.book


SIDES = ("asks", "bids")
FAILURES: list[HttpAnswer | HttpFailed] = [
    HttpFailed("late", "timeout"),
    HttpAnswer(503),
    HttpAnswer(200, b"[7]"),
]
WEIGHTS = {
    World.changes: 8,
    World.arrives_one: 6,
    World.arrives_all: 2,
    World.takes_a_snapshot: 4,
    World.hands_it_over: 5,
    World.is_lost: 2,
    World.is_garbled: 1,
    World.comes_twice: 1,
    World.counts_anew: 1,
    World.fails: 1,
    World.speaks_of_itself: 1,
    World.answers_an_old_question: 1,
    World.time_goes_by: 1,
    World.wants_it_anew: 1,
    World.asks_again: 1,
}
HAPPENINGS = [happening for happening, weight in WEIGHTS.items() for _ in range(weight)]


@pytest.mark.parametrize("how", VENUES)
@settings(max_examples=examples(200), deadline=None)
@given(story=st.integers(20, 150).flatmap(lambda size: st.binary(min_size=2 * size, max_size=2 * size)))
def test_a_book_is_the_venues_or_says_that_it_is_not(how: str, story: bytes) -> None:
    world = World(how, sequence=story[0] % 4)
    for what, number in zip(story[::2], story[1::2], strict=True):
        HAPPENINGS[what % len(HAPPENINGS)](world, number)
    world.comes_to_rest()


# ── bounds ──


def test_what_is_kept_is_bounded_and_what_is_dropped_must_be_in_the_snapshot() -> None:
    session = opened()
    session.subscribe([TOPIC], 0.0)
    hear(session, *(frame(number) for number in range(1, BUFFER + 11)))
    assert len(session._buffer) == 10
    [again] = session.fetched("snapshot/1", HttpAnswer(200, frame(5)), 0.0)
    assert isinstance(again, Fetch)
    confirmed, *_ = session.fetched("snapshot/2", HttpAnswer(200, frame(BUFFER)), 0.0)
    assert confirmed == Confirm((TOPIC,))


def test_a_burst_goes_in_one_piece() -> None:
    [burst] = hear(live(), *(frame(number) for number in range(6, 5006)))
    assert isinstance(burst, Deliver)
    assert [event.sequence for _, event in burst.pairs] == list(range(6, 5006))


def test_a_change_that_comes_again_and_again_asks_for_one_snapshot_at_a_time() -> None:
    effects = hear(live(), *[frame(5)] * 1000)
    assert sum(isinstance(effect, Fetch) for effect in effects) == 1
    assert sum(isinstance(effect, Missed) for effect in effects) == 1


BROKEN = {
    "no number": b'{"asks":[],"bids":[]}',
    "no side": b'{"bids":[],"sequence_number":6}',
    "half": b'{"asks":[],"bids":[["1","2"',
    "a level of one": b'{"asks":[["1"]],"bids":[],"sequence_number":6}',
    "a negative number": b'{"asks":[],"bids":[],"sequence_number":-6}',
    "a number that is none": b'{"asks":[],"bids":[],"sequence_number":6.5}',
    "a price that is none": b'{"asks":[["sNaN","1"]],"bids":[],"sequence_number":6}',
    "an infinite price": b'{"asks":[["1e999","1"]],"bids":[],"sequence_number":6}',
    "another type": b'{"type":"diff","asks":[[]],"bids":[],"sequence_number":6}',
    "nesting": b'{"asks":' + b"[" * 100_000,
    "a bare number": b"6",
    "nothing": b"",
}


@pytest.mark.parametrize("payload", BROKEN.values(), ids=BROKEN)
def test_a_change_that_cannot_be_read_never_goes_unnoticed(payload: bytes) -> None:
    session = live()
    quarantined, *rest = hear(session, payload)
    assert isinstance(quarantined, Quarantine)
    assert [type(effect) for effect in rest] == [Missed, Resent, Fetch]
    assert hear(session, frame(7)) == []  # kept
    told = session.fetched("snapshot/2", HttpAnswer(200, frame(6)), 0.0)
    assert [type(effect) for effect in told] == [Confirm, Deliver]


GARBLED = frame(6)[:-1]


@pytest.mark.parametrize(("how", "garbled"), [("strict", 1), ("strict", 3), ("monotonic", 1)])
@pytest.mark.parametrize("heard", [True, False], ids=["after a change", "after the snapshot alone"])
def test_a_snapshot_without_the_change_that_could_not_be_read_is_too_old(
    how: str, garbled: int, heard: bool
) -> None:
    session = opened(how)
    session.subscribe([TOPIC], 0.0)
    hear(session, frame(5) if heard else b'{"type":"subscriptions","channels":[]}')
    session.fetched("snapshot/1", HttpAnswer(200, frame(5)), 0.0)
    hear(session, *[GARBLED] * garbled)
    for old in range(5, 5 + garbled):
        [again] = session.fetched(f"snapshot/{old - 3}", HttpAnswer(200, frame(old)), 0.0)
        assert isinstance(again, Fetch)
    confirmed, *_ = session.fetched(f"snapshot/{2 + garbled}", HttpAnswer(200, frame(5 + garbled)), 0.0)
    assert confirmed == Confirm((TOPIC,))


def test_several_changes_of_unknown_numbers_are_in_no_snapshot_before_the_next_change() -> None:
    session = live("monotonic")
    hear(session, GARBLED, GARBLED)
    [again] = session.fetched("snapshot/2", HttpAnswer(200, frame(6)), 0.0)
    assert isinstance(again, Fetch)
    assert hear(session, frame(9)) == []
    [older] = session.fetched("snapshot/3", HttpAnswer(200, frame(7)), 0.0)
    assert isinstance(older, Fetch)
    effects = session.fetched("snapshot/4", HttpAnswer(200, frame(8)), 0.0)
    assert [type(effect) for effect in effects] == [Confirm, Deliver]


FIELDS = ("asks", "bids", "sequence_number", "type", "errors", "error", "channels", "asset_id", "side")
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["1", "0", "200", "ping", "x", "unauthorized"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
        )
    ),
    max_leaves=12,
)
payloads = st.binary(max_size=60) | anything.map(msgspec.json.encode)


@given(st.lists(payloads, max_size=6), payloads, st.integers(100, 599), st.booleans())
def test_nothing_that_is_sent_raises(frames: list[bytes], body: bytes, status: int, stands: bool) -> None:
    session = live() if stands else opened()
    session.subscribe([TOPIC], 0.0)
    effects = [
        *hear(session, *frames),
        *session.fetched("snapshot/1", HttpAnswer(status, body), 0.0),
        *session.fetched("snapshot/2", HttpAnswer(status, body, {"retry-after": "x"}), 0.0),
    ]
    for effect in effects:
        match effect:
            case Unrouted(count=count) | Duplicates(count=count):
                assert count > 0
            case Reject(reason=reason):
                assert reason
