"""The way out of a halt against a venue of a few lines, in time that is moved by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from actors import Accepted, Refused, Unknown
from actors.errors import AskFailedError, RuntimeStopped
from actors.protocol.trading import (
    AccountLook,
    Cancel,
    Close,
    FinalRow,
    Intent,
    OrderOutcome,
    Place,
    WorkingOrder,
)
from actors.trading.halt_sweep import ANSWER, MOST_CANCELS, WITHIN, Sweep
from actors.trading.records import OpenIntent

HOST = "api.venue.example"
ACCOUNT = 7


class Answer:
    """A future that has its answer, or its error."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def get(self, timeout: float | None = None) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


class Exchange:
    """The requests of one feed, and its venue: a call is the name of what is read."""

    host = HOST

    def __init__(self, *orders: WorkingOrder) -> None:
        self.orders = list(orders)
        self.looks: list[AccountLook | Exception] = []  # are answered first
        self.outcomes: list[OrderOutcome] = []  # of cancels, the first ones
        self.cancelled: list[int] = []
        self.accounts: Any = (ACCOUNT,)
        self.row_is_final = True
        self.lanes: set[str] = set()

    @property
    def api(self) -> Any:
        return self

    def account_ids(self) -> Any:
        return self.accounts

    def working(self, account: int) -> Any:
        return self.looks.pop(0) if self.looks else AccountLook(tuple(self.orders))

    def final_row(self, account: int, order: int) -> Any:
        return FinalRow(order, "cancelled", self.row_is_final, 1, 2)

    def read(self, call: Any, timeout: float | None = None, *, lane: str = "read") -> Answer:
        assert timeout == ANSWER
        self.lanes.add(lane)
        return Answer(call)

    def mutate(self, mutation: Cancel, *, protects: bool | None = None) -> Any:
        assert protects is False
        tag = f"t{len(self.cancelled)}"
        self.cancelled.append(mutation.order)
        outcome = self.outcomes.pop(0) if self.outcomes else Accepted(tag)
        if isinstance(outcome, Accepted):
            self.orders = [each for each in self.orders if each.id != mutation.order]
        return Answer(outcome)


class Time:
    def __init__(self) -> None:
        self.now = 0.0
        self.is_over = False

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return self.is_over


def order(id: int, protects: bool | None = False, **more: Any) -> WorkingOrder:
    return WorkingOrder(id=id, contract="CON.A", text="buy 2 CON.A, limit", protects=protects, **more)


def sweep(
    exchange: Exchange, *, intents: Iterable[OpenIntent] = (), time: Time | None = None, **more: Any
) -> Sweep:
    time = time or Time()
    feeds: Any = {"px": exchange}
    made = Sweep(feeds, ACCOUNT, lambda: intents, monotonic=time, wait=time.wait, **more)
    made.run()
    return made


def test_t8_it_ends_when_two_looks_find_nothing_to_do() -> None:
    exchange = Exchange(order(1), order(2))
    time = Time()
    told = sweep(exchange, time=time).progress
    assert told.is_clear
    assert exchange.cancelled == [1, 2]
    assert time.now == pytest.approx(4.0), "two pauses between three looks"
    assert [each.final for each in told.cancels] == [FinalRow(n, "cancelled", True, 1, 2) for n in (1, 2)]
    assert str(told.cancels[0]) == (
        "px/7: cancel of order 1 (buy 2 CON.A, limit): accepted; it is cancelled, 1 filled of 2"
    )


def test_an_order_that_comes_between_two_looks_begins_them_anew() -> None:
    exchange = Exchange()
    exchange.looks = [AccountLook(()), AccountLook((order(5),)), AccountLook(())]
    told = sweep(exchange).progress
    assert told.is_clear
    assert exchange.cancelled == [5]


def test_t8_a_cancel_of_what_may_protect_takes_two_looks_that_agree() -> None:
    """A list of positions may lag behind the fill that the leg belongs to."""
    exchange = Exchange()
    leg, active = order(5, False, may_protect=True), order(5, True, may_protect=True)
    exchange.looks = [AccountLook((leg,)), *[AccountLook((active,))] * 2]
    told = sweep(exchange).progress
    assert told.is_clear
    assert exchange.cancelled == []
    exchange = Exchange(leg)
    assert sweep(exchange).progress.is_clear
    assert exchange.cancelled == [5]


def test_t8_what_could_open_more_than_it_protects_stays_and_is_named() -> None:
    told = sweep(Exchange(order(5, True, may_protect=True, excess=1))).progress
    assert not told.is_clear
    assert told.left == ("px/7: order 5 (buy 2 CON.A, limit) could open 1 more than it protects",)
    assert told.kept == ("px/7: order 5 (buy 2 CON.A, limit) protects a position, or waits for an entry",)
    assert sweep(Exchange(order(5, True, excess=1)), every=True).progress.is_clear


def test_t8_each_cancel_is_repeated_a_few_times_and_then_the_order_is_named() -> None:
    exchange = Exchange(order(5))
    exchange.outcomes = [Unknown("t", "no answer"), *[Refused("t", "2", by_venue=True)] * 100]
    told = sweep(exchange).progress
    assert not told.is_clear
    assert len(exchange.cancelled) == MOST_CANCELS
    assert told.left == (f"px/7: order 5 (buy 2 CON.A, limit) works still, after {MOST_CANCELS} cancels",)
    assert isinstance(told.cancels[0].outcome, Unknown)


def test_a_cancel_that_was_not_sent_is_no_try() -> None:
    exchange = Exchange(order(5))
    exchange.outcomes = [Refused("t", "meter", retry_after=3.0)] * (MOST_CANCELS + 3)
    assert sweep(exchange).progress.is_clear
    assert len(exchange.cancelled) == MOST_CANCELS + 4


def test_it_is_bounded_in_time() -> None:
    exchange, time = Exchange(order(5)), Time()
    exchange.outcomes = [Refused("t", "meter")] * 1_000
    told = sweep(exchange, time=time).progress
    assert not told.is_clear
    assert time.now <= WITHIN
    assert told.left


def test_it_ends_at_once_with_its_runtime() -> None:
    exchange, time = Exchange(), Time()
    time.is_over = True
    told = sweep(exchange, time=time).progress
    assert not told.is_clear
    assert told.left == ("it was not looked twice whether nothing is left; its time is over",)


@pytest.mark.parametrize(
    "error", [AskFailedError("px", "no answer", "lost"), RuntimeStopped("asked to")], ids=["lost", "ended"]
)
def test_orders_that_cannot_be_read_are_told_and_asked_for_again(error: Exception) -> None:
    exchange = Exchange(order(5))
    exchange.looks = [error]
    assert sweep(exchange).progress.is_clear
    exchange = Exchange()
    exchange.looks = [error] * 100
    told = sweep(exchange).progress
    assert not told.is_clear
    assert told.left[0].startswith("px/7: its orders are not known: ")


def test_a_look_that_is_not_whole_proves_nothing() -> None:
    exchange = Exchange()
    exchange.looks = [AccountLook((order(5),), "the list may be cut")] * 100
    told = sweep(exchange).progress
    assert not told.is_clear
    assert "px/7: the list may be cut" in told.left
    assert exchange.cancelled[0] == 5, "what is seen is cancelled all the same"


def test_a_cancel_that_can_never_leave_is_asked_for_a_few_times() -> None:
    exchange = Exchange(order(5))
    exchange.outcomes = [Refused("t", "trading", message="trading is off.")] * 100
    told = sweep(exchange).progress
    assert len(exchange.cancelled) == MOST_CANCELS
    assert str(told.cancels[0]) == "px/7: cancel of order 5 (buy 2 CON.A, limit): not sent: trading is off."


def test_where_no_feed_trades_nothing_is_clear() -> None:
    made = Sweep({}, ACCOUNT, tuple, monotonic=Time(), wait=Time().wait)
    made.run()
    assert not made.progress.is_clear
    assert made.progress.left == ("no feed of this config trades there, so nothing was looked at",)


def test_of_several_logins_at_one_venue_the_one_that_has_the_account_is_asked() -> None:
    mine, other, time = Exchange(order(5)), Exchange(order(6)), Time()
    other.accounts = (8,)
    made = Sweep({"px": mine, "py": other}, ACCOUNT, tuple, monotonic=time, wait=time.wait)
    made.run()
    assert made.progress.is_clear
    assert (mine.cancelled, other.cancelled) == ([5], [])
    made = Sweep({"px": mine, "py": other}, 9, tuple, monotonic=time, wait=time.wait)
    made.run()
    assert made.progress.left == ("no login of this config has account 9",)


def test_accounts_that_are_not_known_are_told() -> None:
    exchange = Exchange()
    exchange.accounts = AskFailedError("px", "no answer", "lost")
    time = Time()
    made = Sweep({"px": exchange}, None, tuple, monotonic=time, wait=time.wait)
    made.run()
    assert made.progress.left == ("px: its accounts are not known: px: no answer",)
    exchange.accounts = (7, 8)
    exchange.orders = [order(5)]
    made = Sweep({"px": exchange}, None, tuple, monotonic=time, wait=time.wait)
    made.run()
    assert made.progress.is_clear


def test_t8_reads_and_cancels_have_the_room_of_what_reduces_risk() -> None:
    exchange = Exchange(order(5))
    sweep(exchange)
    assert exchange.lanes == {"flatten"}


# ── intents of other processes ──


def open_intent(mutation: Any, host: str = HOST, *, ended: bool = False) -> OpenIntent:
    intent = Intent(tag="lw-1", mutation=mutation, begun_ns=0)
    return OpenIntent(intent, host, 4711, ended)


PLACE = Place(account=ACCOUNT, contract="CON.A", side="buy", size=1, type="market")


def test_t4_an_order_on_its_way_is_named_with_its_process_and_may_come_after_all() -> None:
    told = sweep(Exchange(), intents=[open_intent(PLACE)]).progress
    assert not told.is_clear
    assert told.left == (f"{HOST}/7: what came of lw-1 (place) of process 4711 is not known",)
    told = sweep(Exchange(), intents=[open_intent(PLACE, ended=True)]).progress
    assert told.left == (
        f"{HOST}/7: what came of lw-1 (place) of process 4711, which has ended, is not known",
    )


@pytest.mark.parametrize(
    "other",
    [
        open_intent(Cancel(account=ACCOUNT, order=1)),
        open_intent(PLACE, "api.other.example"),
        open_intent(Place(account=8, contract="CON.A", side="buy", size=1, type="market")),
    ],
    ids=["cancel", "host", "account"],
)
def test_cancels_and_intents_of_other_accounts_are_not(other: OpenIntent) -> None:
    assert sweep(Exchange(), intents=[other]).progress.is_clear


def test_a_close_on_its_way_is_named() -> None:
    told = sweep(Exchange(), intents=[open_intent(Close(account=ACCOUNT, contract="CON.A"))]).progress
    assert "(close)" in told.left[0]


def test_a_row_that_is_not_final_is_read_again_for_a_moment() -> None:
    exchange = Exchange(order(5))
    exchange.row_is_final = False
    time = Time()
    told = sweep(exchange, time=time).progress
    assert told.is_clear
    assert told.cancels[0].final == FinalRow(5, "cancelled", False, 1, 2)
    assert time.now == pytest.approx(5.0), "four looks at the row"
