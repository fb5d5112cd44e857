"""Halts: made by a program or by blindness, shown everywhere, and orders taken back under them."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import actors
from actors import Accepted, Bracket, LinewardenError, Refused, Runtime, Unknown
from actors.protocol.trading import Cancel
from actors.simulators.projectx import SimulatedProjectX
from actors.trading import halt_sweep
from actors.trading.halt_sweep import HaltReport
from actors.trading.order_store import OrderStore
from actors.trading.projectx_requests import ProjectXRequests
from tests.trading import halts
from tests.trading.halts import ACCOUNT, THIS, accepted, config, far_below, resting, settled, until, working

pytestmark = pytest.mark.usefixtures("soon")
venue, folder, runtime, px, soon = halts.venue, halts.folder, halts.runtime, halts.px, halts.soon


def done(handle: actors.HaltHandle) -> HaltReport:
    report = handle.get(20.0)
    assert handle.done
    return report


# ── runtime.halt ──


def test_t4_a_halt_is_in_force_for_every_process_of_the_folder_when_it_returns(
    px: ProjectXRequests, runtime: Runtime, venue: SimulatedProjectX, folder: Path
) -> None:
    handle = runtime.halt(THIS, reason="the market is mad")
    assert handle.done
    assert handle.halt.is_written
    refused = px.place(ACCOUNT, "ENQ", "buy", 1).get(5.0)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.name) == ("halted", handle.halt.id)
    with actors.start(config(folder, venue)) as second:
        refused = settled(second).place(ACCOUNT, "ENQ", "buy", 1).get(5.0)
        assert isinstance(refused, Refused)
        assert (refused.code, refused.name) == ("halted", handle.halt.id)
        until(lambda: [halt.id for halt in second.status().halts] == [handle.halt.id])


def test_t4_a_program_cannot_unhalt(runtime: Runtime) -> None:
    runtime.halt(THIS, reason="the market is mad")
    assert not [name for name in dir(runtime) if "unhalt" in name]
    assert not [name for name in dir(OrderStore) if "unhalt" in name]


def test_a_halt_of_a_feed_is_of_all_accounts_at_its_venue_and_one_of_nothing_is_of_all(
    runtime: Runtime, venue: SimulatedProjectX
) -> None:
    host = runtime.ask("projectx")._api.host
    assert runtime.halt("projectx", reason="r").halt.target == host
    assert runtime.halt(reason="r").halt.target == "all"
    assert runtime.halt(THIS, reason="r").halt.target == f"{host}/{ACCOUNT}"
    told = [(each.target, each.reason, each.is_written) for each in runtime.status().halts]
    assert told == [(host, "r", True), ("all", "r", True), (f"{host}/{ACCOUNT}", "r", True)]
    assert all(each.by == f"linewarden (process {os.getpid()})" for each in runtime.status().halts)


def test_what_makes_no_sense_halts_nothing(runtime: Runtime) -> None:
    for target, reason in (("nowhere", "r"), ("projectx/market", "r"), (THIS, " ")):
        with pytest.raises(LinewardenError, match="Nothing is halted"):
            runtime.halt(target, reason=reason)
    assert runtime.status().halts == ()


def test_where_nothing_trades_there_is_nothing_to_halt(venue: SimulatedProjectX) -> None:
    listening = {"venue": "projectx", "url": venue.url, "user_name": "me", "api_key": "a-key-of-the-gateway"}
    with (
        actors.start({"feeds": {"projectx": listening}}) as runtime,
        pytest.raises(LinewardenError, match="nothing trades here"),
    ):
        runtime.halt(reason="r")


# ── cancel ──


def test_t8_under_a_halt_with_cancel_entries_go_and_what_protects_a_position_stays(
    px: ProjectXRequests, runtime: Runtime, venue: SimulatedProjectX
) -> None:
    accepted(px.place(ACCOUNT, "ENQ", "buy", 1, bracket=Bracket(stop=40, target=80)))
    legs = working(px)
    assert len(legs) == 2
    entries = {resting(px, venue) for _ in range(3)}
    handle = runtime.halt(THIS, reason="the market is mad", cancel=True)
    report = done(handle)
    assert report.is_clear, report
    assert working(px) == legs
    assert len(report.kept) == 2
    assert report.left == ()
    assert {each.order for each in report.cancels} == entries
    for each in report.cancels:
        assert isinstance(each.outcome, Accepted)
        assert each.final is not None
        assert (each.final.state, each.final.is_final, each.final.filled) == ("cancelled", True, 0)
    tags = {each.outcome.tag for each in report.cancels}
    assert len(tags) == 3, "each cancel is an intent of its own"
    store = runtime._requests.store()
    assert store is not None
    assert {type(intent.mutation) for tag in tags if (intent := store.intent(tag))} == {Cancel}


def test_t8_all_orders_takes_protective_legs_as_well(
    px: ProjectXRequests, runtime: Runtime, venue: SimulatedProjectX
) -> None:
    accepted(px.place(ACCOUNT, "ENQ", "buy", 1, bracket=Bracket(stop=40, target=80)))
    report = done(runtime.halt(THIS, reason="r", cancel=True, all_orders=True))
    assert report.is_clear, report
    assert working(px) == set()


def test_t8_an_entry_and_its_suspended_legs_go_together(
    px: ProjectXRequests, runtime: Runtime, venue: SimulatedProjectX
) -> None:
    bracket = Bracket(stop=40, target=80)
    accepted(px.place(ACCOUNT, "ENQ", "buy", 1, limit=far_below(px, venue), bracket=bracket))
    report = done(runtime.halt(THIS, reason="r", cancel=True))
    assert report.is_clear, report
    assert working(px) == set()


def test_t8_legs_that_a_close_left_behind_are_taken_back(
    px: ProjectXRequests, runtime: Runtime, venue: SimulatedProjectX
) -> None:
    accepted(px.place(ACCOUNT, "ENQ", "buy", 1, bracket=Bracket(stop=40, target=80)))
    assert isinstance(px.close(ACCOUNT, "ENQ").get(5.0), Accepted)
    assert len(working(px)) == 2
    report = done(runtime.halt(THIS, reason="r", cancel=True))
    assert report.is_clear, report
    assert working(px) == set()


def test_t8_a_cancel_whose_answer_is_lost_is_told_as_unknown_and_the_venues_list_decides(
    px: ProjectXRequests, runtime: Runtime, venue: SimulatedProjectX
) -> None:
    order = resting(px, venue)
    venue.answer_lost(page="Order/cancel")
    report = done(runtime.halt(THIS, reason="r", cancel=True))
    (cancel,) = report.cancels
    assert isinstance(cancel.outcome, Unknown)
    assert cancel.final is not None
    assert cancel.final.state == "cancelled"
    assert cancel.order == order
    assert report.is_clear, report
    assert working(px) == set()


def test_t8_a_cancel_that_is_refused_is_repeated_with_a_new_intent(
    px: ProjectXRequests, runtime: Runtime, venue: SimulatedProjectX
) -> None:
    resting(px, venue)
    venue.refuse_mutation(page="Order/cancel")
    report = done(runtime.halt(THIS, reason="r", cancel=True))
    assert report.is_clear, report
    assert [type(each.outcome) for each in report.cancels] == [Refused, Accepted]
    assert len({each.outcome.tag for each in report.cancels}) == 2
    assert working(px) == set()


def test_t8_if_positions_are_unknown_only_known_entries_are_cancelled_and_the_rest_is_named(
    px: ProjectXRequests, runtime: Runtime, venue: SimulatedProjectX, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(halt_sweep, "MOST_LOOKS", 4)
    accepted(px.place(ACCOUNT, "ENQ", "buy", 1, bracket=Bracket(stop=40, target=80)))
    legs = working(px)
    entry = resting(px, venue)
    venue.refuse_page(page="Position/searchOpen", n=1_000)
    report = done(runtime.halt(THIS, reason="r", cancel=True))
    assert not report.is_clear
    assert [each.order for each in report.cancels] == [entry]
    for leg in legs:
        assert any(f"order {leg} " in sentence for sentence in report.left)
    assert any("positions are not known" in sentence for sentence in report.left)
    venue.heal()
    assert working(px) == legs


def test_t8_cancels_of_a_feed_are_of_every_account_of_its_login(
    px: ProjectXRequests, runtime: Runtime, venue: SimulatedProjectX
) -> None:
    for account in venue.accounts:
        resting(px, venue, account)
    report = done(runtime.halt("projectx", reason="r", cancel=True))
    assert report.is_clear, report
    assert {each.account for each in report.cancels} == set(venue.accounts)


OPEN, STOP = {1, 6, 8}, {3, 4, 5}


def at_the_venue(venue: SimulatedProjectX) -> dict[int, dict[str, Any]]:
    """The rows of the orders that work there."""
    return {id: row for id, row in venue.accounts[ACCOUNT].orders.items() if row["status"] in OPEN}


def protects(venue: SimulatedProjectX, row: dict[str, Any]) -> bool:
    """By other words than those of the program: it ends a position that is open. A suspended leg does not."""
    held = [
        each for each in venue.accounts[ACCOUNT].positions.values() if each["contractId"] == row["contractId"]
    ]
    is_exit = row["type"] in STOP or (row.get("customTag") or "").endswith(("-SL", "-TP"))
    ends = [each for each in held if each["size"] and each["type"] == (1 if row["side"] == 1 else 2)]
    return bool(ends) and is_exit and row["status"] != 8


def mess(px: ProjectXRequests, venue: SimulatedProjectX, chance: random.Random) -> None:
    """Entries, brackets, positions, and legs that a close left behind, in two contracts."""
    for _ in range(chance.randint(3, 7)):
        contract = chance.choice(venue.contracts[:2])
        listing = venue.listings[contract]
        side, size = chance.choice(("buy", "sell")), chance.randint(1, 3)
        bracket = Bracket(stop=40, target=80) if chance.random() < 0.5 else None
        away = (-1 if side == "buy" else 1) * 400 * listing.terms.tick
        terms: dict[str, Any] = chance.choice(
            ({}, {"limit": listing.last + away}, {"stop": listing.last - away})
        )
        px.place(ACCOUNT, contract, side, size, bracket=bracket, **terms).get(5.0)  # type: ignore[arg-type]
        if chance.random() < 0.3:
            px.close(ACCOUNT, contract).get(5.0)


def trouble(venue: SimulatedProjectX, chance: random.Random) -> None:
    faults: list[Callable[[], object]] = [
        lambda: venue.answer_lost(n=2, page="Order/cancel"),
        lambda: venue.request_lost(n=2, page="Order/cancel"),
        lambda: venue.refuse_mutation(n=2, page="Order/cancel"),
        lambda: venue.list_absent(n=2),
        lambda: venue.refuse_page(page="Position/searchOpen", n=2),
        lambda: venue.refuse_page(page="Order/v2/query", n=1),
    ]
    for fault in chance.sample(faults, 2):
        fault()


@pytest.mark.parametrize(
    "seed", [*range(6), *(pytest.param(n, marks=pytest.mark.long) for n in range(6, 100))]
)
def test_t8_whatever_lies_at_the_venue_entries_go_and_protection_stays(
    px: ProjectXRequests, runtime: Runtime, venue: SimulatedProjectX, seed: int
) -> None:
    chance = random.Random(seed)
    mess(px, venue, chance)
    before = at_the_venue(venue)
    protecting = {id for id, row in before.items() if protects(venue, row)}
    trouble(venue, chance)
    report = done(runtime.halt(THIS, reason=f"seed {seed}", cancel=True))
    after = at_the_venue(venue)
    assert protecting <= after.keys(), report
    left = [row for row in after.values() if not protects(venue, row)]
    assert all(row["status"] == 8 and row["parentOrderId"] in after for row in left), report
    gone, cancelled = before.keys() - after.keys(), {each.order for each in report.cancels}
    assert cancelled <= gone
    assert all("-" in (before[id]["customTag"] or "")[-3:] for id in gone - cancelled), (
        "legs go with an entry"
    )
    assert report.is_clear or all("could open" in sentence for sentence in report.left), report


def test_cancels_come_to_an_end_with_the_runtime(
    folder: Path, venue: SimulatedProjectX, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(halt_sweep, "PAUSE", 30.0)
    with actors.start(config(folder, venue)) as runtime:
        handle = runtime.halt(THIS, reason="r", cancel=True)
        until(lambda: handle.get(0.0).left == ())
    report = handle.get(5.0)
    assert handle.done
    assert not report.is_clear
