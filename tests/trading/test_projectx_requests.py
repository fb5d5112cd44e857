"""ProjectX' requests from synchronous code, against the simulator."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import actors
from actors import Accepted, AskRefusedError, Bracket, Refused, Runtime, SweepHandle, Unknown, gather
from actors.errors import LinewardenError
from actors.simulators.projectx import SimulatedProjectX
from actors.trading.order_store import OrderStore
from actors.trading.projectx_requests import ProjectXRequests
from actors.venues.projectx import messages as m

ACCOUNT = 4242


@pytest.fixture
def venue() -> Iterator[SimulatedProjectX]:
    with SimulatedProjectX(rate=0) as venue:
        yield venue


def config(folder: Path, venue: SimulatedProjectX, **feed: Any) -> dict[str, Any]:
    limits = {"max_size": 10, "orders_per_minute": 1_000} | feed.pop("limits", {})
    login = {"user_name": "me", "api_key": "a-key-of-the-gateway"}
    table = {"venue": "projectx", "url": venue.url, "trading": True, "limits": limits, **login} | feed
    return {"trading": {"dir": str(folder)}, "feeds": {"projectx": table}}


@pytest.fixture
def runtime(tmp_path: Path, venue: SimulatedProjectX) -> Iterator[Runtime]:
    OrderStore.create(tmp_path / "orders").close()
    with actors.start(config(tmp_path / "orders", venue)) as runtime:
        yield runtime


@pytest.fixture
def px(runtime: Runtime) -> ProjectXRequests:
    px = runtime.ask("projectx")
    px.wait_settled(10.0)
    return px


def net(px: ProjectXRequests, contract: str) -> int | None:
    rows = px.positions(ACCOUNT).get(5.0).rows
    return next((each.net for each in rows if each.contract_id == contract), 0)


def accepted(handle: actors.OrderHandle) -> int:
    outcome = handle.get(5.0)
    assert isinstance(outcome, Accepted), outcome
    assert outcome.order_id is not None
    return outcome.order_id


def test_an_account_is_found_by_its_name(px: ProjectXRequests) -> None:
    assert px.account("prac-v2-4243").get(timeout=10.0).id == 4243
    with pytest.raises(AskRefusedError, match="no active account is named 'PRAC'; there are: PRAC-V2-4242"):
        px.account("PRAC").get(timeout=10.0)
    with pytest.raises(LinewardenError, match="name is the name of an account, and 4242 is none"):
        px.account(4242)  # type: ignore[arg-type]


def test_the_guides_reads_are_one_line_each(px: ProjectXRequests, venue: SimulatedProjectX) -> None:
    contract = venue.contracts[0]
    now = datetime.now(UTC)
    since = now - timedelta(days=1)
    answers: list[Any] = gather(
        [
            px.ping(),
            px.accounts(),
            px.available_contracts(),
            px.positions(ACCOUNT),
            px.open_orders(ACCOUNT),
            px.orders(ACCOUNT, since),
            px.trades(ACCOUNT, since),
            px.bars(contract, "1min", days=1),
        ],
        timeout=10.0,
    )
    assert answers[0] == "pong"
    assert ACCOUNT in [each.id for each in answers[1]]
    assert contract in [each.id for each in answers[2]]
    assert all(listing.whole for listing in answers[3:7])


def test_five_reads_are_in_flight_at_once_and_take_as_long_as_the_slowest(tmp_path: Path) -> None:
    with (
        SimulatedProjectX(rate=0, latency=0.3) as venue,
        actors.start(config(tmp_path, venue, trading=False)) as runtime,
    ):
        px = runtime.ask("projectx")
        px.ping().get(5.0)
        started = time.monotonic()
        reads = [px.ping(), px.accounts(), px.available_contracts(), px.positions(ACCOUNT), px.ping()]
        gather(reads, timeout=10.0)
        assert time.monotonic() - started < 5 * 0.3
        assert venue.seen.most_in_flight >= 5


def test_a_contract_is_resolved_strictly_and_once(px: ProjectXRequests, venue: SimulatedProjectX) -> None:
    first = px.contract("ENQ").get(5.0)
    assert first.id in venue.contracts
    with pytest.raises(AskRefusedError, match="NotFound"):
        px.contract("nothing").get(5.0)
    accepted(px.place(ACCOUNT, "ENQ", "buy", 1))
    asked = len(venue.requests)
    accepted(px.place(ACCOUNT, "ENQ", "buy", 1))
    assert [request.path for request in venue.requests[asked:]] == ["/api/Order/place"]


def test_an_order_of_an_unknown_contract_is_refused_with_what_was_found(
    px: ProjectXRequests, venue: SimulatedProjectX
) -> None:
    outcome = px.place(ACCOUNT, "NOSUCH", "buy", 1).get(5.0)
    assert isinstance(outcome, Refused)
    assert "NOSUCH" in outcome.message
    assert venue.seen.asked(outcome.tag) == 0


def test_the_life_of_a_limit_order(px: ProjectXRequests, venue: SimulatedProjectX) -> None:
    contract = px.contract("ENQ").get(5.0)
    price = venue.listings[contract.id].last - 100 * contract.tick_size
    order = accepted(px.place(ACCOUNT, "ENQ", "buy", 2, limit=price))
    assert px.order(ACCOUNT, order).get(5.0).limit_price == price
    lower = price - contract.tick_size
    assert isinstance(px.modify(ACCOUNT, order, limit=str(lower)).get(5.0), Accepted)
    assert px.order(ACCOUNT, order).get(5.0).limit_price == lower
    assert isinstance(px.cancel(ACCOUNT, order).get(5.0), Accepted)
    assert px.order(ACCOUNT, order).get(5.0).status == m.OrderStatus.CANCELLED
    again = px.cancel(ACCOUNT, order).get(5.0)
    assert isinstance(again, Refused)
    assert again.by_venue


def test_a_price_off_its_tick_is_refused_or_moved_to_the_side_that_is_never_worse(
    px: ProjectXRequests, venue: SimulatedProjectX
) -> None:
    contract = px.contract("ENQ").get(5.0)
    price = venue.listings[contract.id].last - 100 * contract.tick_size
    off = price + Decimal("0.13")
    refused = px.place(ACCOUNT, "ENQ", "buy", 1, limit=off).get(5.0)
    assert isinstance(refused, Refused)
    assert "lies between the ticks" in refused.message
    order = accepted(px.place(ACCOUNT, "ENQ", "buy", 1, limit=off, align="safe"))
    assert px.order(ACCOUNT, order).get(5.0).limit_price == price


def test_a_position_is_closed_in_part_and_whole(px: ProjectXRequests, venue: SimulatedProjectX) -> None:
    contract = px.contract("ENQ").get(5.0).id
    accepted(px.place(ACCOUNT, contract, "sell", 3))
    assert net(px, contract) == -3
    assert isinstance(px.close(ACCOUNT, contract, 1).get(5.0), Accepted)
    assert net(px, contract) == -2
    assert isinstance(px.close(ACCOUNT, contract).get(5.0), Accepted)
    assert net(px, contract) == 0


def test_a_close_with_a_sweep_takes_orphaned_legs_along_and_leaves_other_orders(
    px: ProjectXRequests, venue: SimulatedProjectX
) -> None:
    contract = px.contract("ENQ").get(5.0)
    accepted(px.place(ACCOUNT, "ENQ", "buy", 1, bracket=Bracket(stop=40, target=80)))
    entry = accepted(
        px.place(ACCOUNT, "ENQ", "buy", 1, limit=venue.listings[contract.id].last - 400 * contract.tick_size)
    )
    legs = {each.id for each in px.open_orders(ACCOUNT, "ENQ").get(5.0).rows} - {entry}
    assert len(legs) == 2
    handle = px.close(ACCOUNT, "ENQ", sweep=True)
    assert isinstance(handle, SweepHandle)
    swept = handle.get(10.0)
    assert swept.is_complete, swept
    assert [type(each) for each in swept.outcomes] == [Accepted] * 3
    assert swept.outcomes[0].tag == handle.tag
    assert [each.order for each in swept.steps] == [None, *sorted(legs)]
    assert [str(each) for each in swept.steps] == [
        "close of the position: accepted",
        *(f"cancel of order {leg}: accepted" for leg in sorted(legs)),
    ]
    assert net(px, contract.id) == 0
    assert [each.id for each in px.open_orders(ACCOUNT).get(5.0).rows] == [entry]


def test_a_close_without_a_position_says_what_is_left(px: ProjectXRequests) -> None:
    swept = px.close(ACCOUNT, "ENQ", sweep=True).get(30.0)
    assert not swept.is_complete
    assert "PositionNotFound" in swept.why
    assert swept.why.endswith("Orders of the contract stay; cancel_all takes them back.")
    handle = px.cancel_all(ACCOUNT, "ENQ")
    assert handle.get(10.0).is_complete
    assert repr(handle) == "<SweepHandle cancel_all, done>"


def test_legs_stay_where_the_close_was_not_accepted(px: ProjectXRequests, venue: SimulatedProjectX) -> None:
    accepted(px.place(ACCOUNT, "ENQ", "buy", 1, bracket=Bracket(stop=40, target=80)))
    venue.answer_lost(page="Position/closeContract")
    swept = px.close(ACCOUNT, "ENQ", sweep=True).get(30.0)
    assert not swept.is_complete
    assert "Its legs stay" in swept.why
    (step,) = swept.steps
    assert isinstance(step.outcome, Unknown)
    assert str(step).startswith("close of the position: unknown (")
    assert str(step).endswith(f"; its tag is {step.outcome.tag}")
    assert len(px.open_orders(ACCOUNT).get(5.0).rows) == 2


def test_cancel_all_of_one_contract_leaves_the_others(px: ProjectXRequests, venue: SimulatedProjectX) -> None:
    one, other = px.available_contracts().get(5.0)[:2]
    for contract in (one, one, other):
        price = venue.listings[contract.id].last - 100 * contract.tick_size
        accepted(px.place(ACCOUNT, contract.id, "buy", 1, limit=price))
    swept = px.cancel_all(ACCOUNT, one.id).get(10.0)
    assert (swept.is_complete, len(swept.outcomes)) == (True, 2)
    assert [each.contract_id for each in px.open_orders(ACCOUNT).get(5.0).rows] == [other.id]
    assert px.cancel_all(ACCOUNT).get(10.0).is_complete
    assert px.open_orders(ACCOUNT).get(5.0).rows == ()


def test_a_sweep_that_is_under_way_says_so(px: ProjectXRequests, venue: SimulatedProjectX) -> None:
    contract = px.contract("ENQ").get(5.0)
    price = venue.listings[contract.id].last - 100 * contract.tick_size
    accepted(px.place(ACCOUNT, "ENQ", "buy", 1, limit=price))
    handle = px.cancel_all(ACCOUNT)
    under_way = handle.get(0.0)
    assert (under_way.is_complete, under_way.why) == (False, "under way")
    assert gather([handle], timeout=10.0)[0].is_complete
    assert handle.done


def test_a_lost_answer_is_unknown_and_is_settled_by_its_tag(
    px: ProjectXRequests, venue: SimulatedProjectX
) -> None:
    px.contract("ENQ").get(5.0)
    venue.answer_lost(page="Order/place")
    handle = px.place(ACCOUNT, "ENQ", "buy", 1)
    assert isinstance(handle.get(5.0), Unknown)
    assert venue.seen.orders(handle.tag) == 1
    blocked = px.place(ACCOUNT, "ENQ", "buy", 1).get(5.0)
    assert isinstance(blocked, Refused)
    assert blocked.code == "unknown"
    assert isinstance(px.settle(handle.tag).get(5.0), Accepted)
    accepted(px.place(ACCOUNT, "ENQ", "buy", 1))
    assert venue.seen.placed_twice == []


def test_limits_know_what_the_account_has(tmp_path: Path, venue: SimulatedProjectX) -> None:
    OrderStore.create(tmp_path / "orders").close()
    with actors.start(config(tmp_path / "orders", venue, limits={"max_net": 3})) as runtime:
        px = runtime.ask("projectx")
        px.wait_settled(10.0)
        outcome = px.place(ACCOUNT, "ENQ", "buy", 2).get(5.0)
        assert isinstance(outcome, Accepted), outcome
        refused = px.place(ACCOUNT, "ENQ", "buy", 2).get(5.0)
        assert isinstance(refused, Refused)
        assert (refused.code, refused.name) == ("limit", "max_net")
        venue.list_absent(n=2)
        unread = px.place(ACCOUNT, "ENQ", "buy", 1).get(5.0)
        assert isinstance(unread, Refused)
        assert "could not be asked" in unread.message


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"limit": 1, "stop": 2}, "one of limit, stop, trail and join"),
    ({"limit": "much"}, "limit is a price"),
    ({"limit": None}, "limit is None, which is no price"),
    ({"stop": None}, "stop is None, which is no price"),
    ({"join": "top"}, 'join is "bid" or "ask"'),
    ({"deadline": "soon"}, "deadline is a number of seconds"),
    ({"align": "yes", "limit": 1}, 'align is "refuse" or "safe"'),
    ({"account": "PRAC-V2-4242"}, '.account("NAME") finds one'),
    ({"account": "4242 "}, "account is the number of an account"),
    ({"account": -1}, "account is the number of an account"),
    ({"account": 10**18}, "account is the number of an account"),
    ({"account": None}, "account is the number of an account"),
    ({"contract": None}, "contract is a Contract, or an id"),
    ({"contract": " "}, "contract is a Contract, or an id"),
    ({"contract": 123}, "contract is a Contract, or an id"),
    ({"bracket": (40, 80)}, "bracket is an actors.Bracket"),
    ({"tag": ""}, "tag is a text of 1 to 48"),
    ({"tag": 5}, "tag is a text of 1 to 48"),
    ({"side": "long"}, 'the side of an order is "buy" or "sell"'),
    ({"side": "BUY"}, "not 'BUY'; 'BUY' is \"buy\""),
    ({"side": m.OrderSide.ASK}, '<OrderSide.ASK: 1> is "sell"'),
    ({"side": 0}, 'the side of an order is "buy" or "sell", not 0; 0 is "buy"'),
    ({"side": 1}, 'the side of an order is "buy" or "sell", not 1; 1 is "sell"'),
    ({"size": 0.5}, "size is a whole number"),
    ({"size": None}, "size is a whole number"),
    ({"size": 0}, "size is a whole number"),
    ({"deadline": 3_601}, "deadline is at most 3600 seconds, not 3601"),
    ({"deadline": float("inf")}, "deadline is at most 3600 seconds, not inf"),
    ({"deadline": "soon"}, "deadline is a number of seconds"),
]


def test_an_order_that_makes_no_sense_is_refused_in_a_sentence_and_not_sent(
    px: ProjectXRequests, venue: SimulatedProjectX
) -> None:
    usual: dict[str, Any] = {"account": ACCOUNT, "contract": "ENQ", "side": "buy", "size": 1}
    for arguments, words in WRONG:
        outcome = px.place(**usual | arguments).get(5.0)
        assert isinstance(outcome, Refused), arguments
        assert outcome.code == "terms", arguments
        assert words in outcome.message
    assert not venue.seen.placed


CHANGES: list[Any] = [
    lambda px, order: px.modify(ACCOUNT, order, stop=None),
    lambda px, order: px.modify(ACCOUNT, order, size=None),
    lambda px, order: px.modify(ACCOUNT, str(order), size=2),
    lambda px, order: px.modify("PRAC", order, size=2),
    lambda px, order: px.cancel(ACCOUNT, str(order)),
    lambda px, order: px.cancel("PRAC", order),
    lambda px, _: px.close("PRAC", "ENQ"),
    lambda px, _: px.close(ACCOUNT, None),
    lambda px, _: px.close(ACCOUNT, "ENQ", 0),
    lambda px, _: px.close(ACCOUNT, "ENQ", 1, deadline=1e6),
    lambda px, _: px.close(ACCOUNT, "ENQ", 1, sweep=True),
]


def test_a_change_that_makes_no_sense_is_refused_and_not_sent(
    px: ProjectXRequests, venue: SimulatedProjectX
) -> None:
    order = accepted(px.place(ACCOUNT, "ENQ", "buy", 1, limit=24000))
    asked = {**venue.seen.taken}
    for change in CHANGES:
        came = change(px, order).get(5.0)
        outcome = came.outcomes[0] if isinstance(came, actors.Sweep) else came
        assert isinstance(outcome, Refused)
        assert outcome.code == "terms", outcome
    assert {**venue.seen.taken} == asked


def test_it_shows_its_feed_and_no_secret(px: ProjectXRequests) -> None:
    assert repr(px) == "<ProjectXRequests of projectx>"


def test_a_contract_that_was_read_can_be_given_everywhere(px: ProjectXRequests) -> None:
    contract = px.contract("ENQ").get(5.0)
    order = accepted(px.place(ACCOUNT, contract, "buy", 1, limit=24000))
    assert [each.id for each in px.open_orders(ACCOUNT, contract).get(5.0).rows] == [order]
    assert px.bars(contract, days=1).get(5.0) == ()
    assert px.cancel_all(ACCOUNT, contract).get(5.0).is_complete
    accepted(px.place(ACCOUNT, contract, "buy", 1))
    assert px.close(ACCOUNT, contract, sweep=True).get(30.0).is_complete


class OtherWhole:
    """A whole number of another library, as numpy's."""

    def __index__(self) -> int:
        return 2


class OtherFloat(float):
    def __repr__(self) -> str:
        return f"other({float(self)})"


def test_numbers_of_other_libraries_are_taken_as_they_are(
    px: ProjectXRequests, venue: SimulatedProjectX
) -> None:
    size: Any = OtherWhole()
    order = accepted(px.place(ACCOUNT, "ENQ", "buy", size, limit=OtherFloat(24000.25)))
    (row,) = px.open_orders(ACCOUNT).get(5.0).rows
    assert (row.id, row.size, row.limit_price) == (order, 2, Decimal("24000.25"))


NOW = datetime.now(UTC)
ASKED: list[tuple[Any, str]] = [
    (lambda px: px.bars("ENQ"), "either days or start"),
    (lambda px: px.bars("ENQ", "fortnight", days=1), "such as"),
    (lambda px: px.bars("ENQ", "0min", days=1), "such as"),
    (lambda px: px.bars("ENQ", None, days=1), "such as"),
    (lambda px: px.bars("ENQ", days="1"), "days is a number above 0"),
    (lambda px: px.bars("ENQ", days=0), "days is a number above 0"),
    (lambda px: px.bars("ENQ", start="2026-11-01"), "start is a datetime with a time zone"),
    (lambda px: px.bars("ENQ", start=datetime(2026, 11, 1)), "has no time zone"),
    (lambda px: px.bars("ENQ", start=NOW, end=NOW - timedelta(1)), "start is before end"),
    (lambda px: px.bars("ENQ", days=1, limit=0), "limit"),
    (lambda px: px.orders(ACCOUNT, None), "since is a datetime"),
    (lambda px: px.trades(ACCOUNT, 0), "since is a datetime"),
    (lambda px: px.trades(ACCOUNT, NOW, "now"), "until is a datetime"),
    (lambda px: px.positions("PRAC-V2-4242"), '.account("NAME") finds one'),
    (lambda px: px.open_orders(None), "account is the number of an account"),
    (lambda px: px.order(ACCOUNT, "17"), "order is the number of an order"),
    (lambda px: px.contract(None), "contract is a Contract, or an id"),
    (lambda px: px.contracts(None), "text is what to search for"),
    (lambda px: px.settle(px.cancel(ACCOUNT, 1)), "which its handle has as .tag"),
    (lambda px: px.ping().get("5"), "timeout is a number of seconds"),
    (lambda px: px.cancel(ACCOUNT, 1).get("5"), "timeout is a number of seconds"),
    (lambda px: px.cancel_all(ACCOUNT).get("5"), "timeout is a number of seconds"),
]


def test_a_read_that_makes_no_sense_is_an_error_at_once(px: ProjectXRequests) -> None:
    for ask, words in ASKED:
        with pytest.raises(LinewardenError) as caught:
            ask(px)
        assert words in str(caught.value)


def test_a_read_that_is_late_tells_that_it_goes_on(px: ProjectXRequests, venue: SimulatedProjectX) -> None:
    venue.answer_late(seconds=0.2, page="status/ping")
    asked = px.ping()
    with pytest.raises(actors.Timeout, match="projectx: no answer within 0 s; the read goes on"):
        asked.get(0)
    assert "Asked of projectx" in repr(asked)
    assert asked.get(5.0) == "pong"


def test_an_older_copy_of_the_store_is_noticed_at_the_start_and_halts_the_account(
    tmp_path: Path, venue: SimulatedProjectX
) -> None:
    store = OrderStore.create(tmp_path / "orders")
    lost = store.new_tag()
    store.close()
    with actors.start(config(tmp_path / "orders", venue)) as runtime:
        px = runtime.ask("projectx")
        px.wait_settled(10.0)
        outcome = px.place(ACCOUNT, "ENQ", "buy", 1).get(5.0)
        assert isinstance(outcome, Accepted)
    venue.order(ACCOUNT, customTag=lost)
    with actors.start(config(tmp_path / "orders", venue)) as runtime:
        px = runtime.ask("projectx")
        px.wait_settled(10.0)
        outcome = px.place(ACCOUNT, "ENQ", "buy", 1).get(5.0)
        assert getattr(outcome, "code", outcome) == "halted"


def test_nothing_adds_risk_before_the_venue_has_told_of_the_last_day(
    tmp_path: Path, venue: SimulatedProjectX
) -> None:
    OrderStore.create(tmp_path / "orders").close()
    venue.list_absent(n=1, page="Order/search")
    with actors.start(config(tmp_path / "orders", venue)) as runtime:
        px = runtime.ask("projectx")
        venue.wait_for(lambda: venue.seen.requests["Order/search"])
        outcome = px.place(ACCOUNT, "ENQ", "buy", 1).get(5.0)
        assert getattr(outcome, "code", outcome) == "settling"
        closed = px.close(ACCOUNT, "ENQ").get(5.0)
        assert isinstance(closed, Refused)
        assert closed.by_venue  # it had left: it adds no risk
        px.wait_settled(10.0)
        outcome = px.place(ACCOUNT, "ENQ", "buy", 1).get(5.0)
        assert isinstance(outcome, Accepted)
