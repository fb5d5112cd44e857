"""A book out of changes and snapshots: it is the venue's, or it says that it is not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from actors.messages import HttpAnswer, HttpFailed
from actors.rules.session import (
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
from actors.venues.tplus.depth import ATTEMPTS, BUFFER, STALE

VENUES = {
    how: Tplus("tplus", msgspec.convert({"sequence": how}, TplusSettings)) for how in ("strict", "monotonic")
}
TOPIC = VENUES["strict"].topic("depth", "200", {})
Book = dict[tuple[str, Decimal], Decimal]


def opened(how: str = "strict") -> DepthSession:
    session = VENUES[how].session("tplus/depth-200")
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


class DepthMachine(RuleBasedStateMachine):
    """A market, a wire that loses and garbles, and a reader who believes what he is told."""

    how = "strict"

    @initialize(sequence=st.integers(0, 3))
    def start(self, sequence: int) -> None:
        self.market = Market(sequence)
        self.now = 0.0
        self.wire: list[bytes] = []
        self.garbled = False
        self.connect()

    def connect(self) -> None:
        self.session = opened(self.how)
        self.wire.clear()
        self.tickets: list[str] = []
        self.taken: tuple[int, bytes] | None = None  # a snapshot on its way, and its era
        self.book: Book | None = None  # as the reader has it; None: he was told that it is not the venue's
        self.era = 0
        self.confirmed = False
        self.look(self.session.subscribe([TOPIC], self.now))

    # ── what happens at the venue ──

    @rule(
        step=st.integers(1, 3),
        side=st.sampled_from(["asks", "bids"]),
        price=st.integers(1, 3),
        size=st.integers(0, 2),
    )
    def changes(self, step: int, side: str, price: int, size: int) -> None:
        self.wire.append(self.market.change(step if self.how == "monotonic" else 1, side, price, size))

    @rule()
    def counts_anew(self) -> None:
        """It takes a while; what it had sent has come, and what it was asked is answered by nobody."""
        self.arrives_all()
        self.now += STALE + 1.0
        self.taken = None
        if self.tickets:
            self.look(self.session.fetched(self.tickets.pop(), HttpFailed("gone", "lost"), self.now))
        self.arrives(self.market.restart())

    # ── what happens on the wire ──

    @precondition(lambda self: self.wire)
    @rule()
    def arrives_one(self) -> None:
        self.arrives(self.wire.pop(0))

    @rule()
    def arrives_all(self) -> None:
        while self.wire:
            self.arrives(self.wire.pop(0))

    @precondition(lambda self: self.wire)
    @rule()
    def comes_twice(self) -> None:
        payload = self.wire.pop(0)
        self.arrives(payload)
        self.arrives(payload)

    @precondition(lambda self: self.wire)
    @rule(cut=st.integers(1, 20))
    def is_garbled(self, cut: int) -> None:
        self.garbled = True
        self.arrives(self.wire.pop(0)[:-cut])

    @precondition(lambda self: self.wire and self.how == "strict")
    @rule()
    def is_lost(self) -> None:
        self.wire.pop(0)

    @rule(
        payload=st.sampled_from([b'{"type":"subscriptions","channels":[],"errors":null}', b'{"type":"ping"}'])
    )
    def speaks_of_itself(self, payload: bytes) -> None:
        self.arrives(payload)

    # ── what happens over HTTP ──

    @precondition(lambda self: self.tickets and self.taken is None)
    @rule(back=st.integers(0, 2))
    def takes_a_snapshot(self, back: int) -> None:
        """From a cache, some changes old. Without strict numbers only what was heard shows that."""
        numbers = sorted(number for era, number in self.market.books if era == self.market.era)
        back = 0 if self.how == "monotonic" and self.garbled else back
        number = numbers[max(0, len(numbers) - 1 - back)]
        self.taken = (self.market.era, self.market.snapshot(number))

    @precondition(lambda self: self.taken)
    @rule()
    def hands_it_over(self) -> None:
        assert self.taken is not None
        (self.snapshot_era, body), self.taken = self.taken, None
        self.look(self.session.fetched(self.tickets.pop(), HttpAnswer(200, body), self.now))

    @precondition(lambda self: self.tickets)
    @rule(outcome=st.sampled_from([HttpFailed("late", "timeout"), HttpAnswer(503), HttpAnswer(200, b"[7]")]))
    def fails(self, outcome: HttpAnswer | HttpFailed) -> None:
        self.taken = None
        self.look(self.session.fetched(self.tickets.pop(), outcome, self.now))

    @rule(ticket=st.integers(-1, 0))
    def answers_what_nobody_asked(self, ticket: int) -> None:
        body = msgspec.json.encode({"asks": [["9", "9"]], "bids": [], "sequence_number": 1})
        assert self.session.fetched(f"snapshot/{ticket}", HttpAnswer(200, body), self.now) == []

    # ── what we do ──

    @rule(seconds=st.sampled_from([1.0, STALE + 1.0, 60.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def wants_it_anew(self) -> None:
        self.look(self.session.resync([TOPIC], self.now))

    @rule()
    def asks_again(self) -> None:
        self.confirmed, self.book = False, None
        self.look(self.session.unsubscribe([TOPIC], self.now))
        self.look(self.session.subscribe([TOPIC], self.now))

    # ── what the reader makes of it ──

    def arrives(self, payload: bytes) -> None:
        self.look(hear(self.session, payload, now=self.now))

    def look(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Fetch(ticket=ticket):  # the newest question is the one that counts
                    self.tickets, self.taken = [ticket], None
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
            self.book, self.era = {}, self.snapshot_era
        assert self.book is not None, "a change that follows on nothing"
        for side, levels in (("asks", event.asks), ("bids", event.bids)):
            for level in levels:
                self.book[side, level.price] = level.quantity
        self.book = {key: quantity for key, quantity in self.book.items() if quantity}
        assert self.book == self.market.books[self.era, event.sequence]

    def teardown(self) -> None:
        """When everything has come, and the venue answers, the book is the venue's."""
        if not hasattr(self, "market"):
            return
        for _ in range(3 * ATTEMPTS):
            self.arrives_all()
            if self.tickets:
                self.taken = (self.market.era, self.market.snapshot(self.market.sequence))
                self.hands_it_over()
            else:
                self.changes(1, "asks", 1, 1)
                self.now += 60.0
        self.arrives_all()
        assert self.book is None or self.book == self.market.book
        if not self.tickets:
            assert self.book is not None


class MonotonicMachine(DepthMachine):
    how = "monotonic"


@pytest.mark.parametrize("machine", [DepthMachine, MonotonicMachine])
def test_a_book_is_the_venues_or_says_that_it_is_not(machine: type[DepthMachine]) -> None:
    run_state_machine_as_test(
        machine, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )


# ── bounds ──


def test_what_is_kept_is_bounded_and_what_is_dropped_must_be_in_the_snapshot() -> None:
    session = opened()
    session.subscribe([TOPIC], 0.0)
    hear(session, *(frame(number) for number in range(1, BUFFER + 11)))
    assert len(session._buffer) == 10
    [again] = session.fetched("snapshot/2", HttpAnswer(200, frame(5)), 0.0)
    assert isinstance(again, Fetch)
    confirmed, *_ = session.fetched("snapshot/3", HttpAnswer(200, frame(BUFFER)), 0.0)
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
