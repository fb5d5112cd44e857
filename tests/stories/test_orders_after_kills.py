"""A program is killed between any two steps of an order: the next one finds out what came of it."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

import actors
from actors import Accepted, Refused, Runtime, gather
from actors.protocol.trading import OrderOutcome
from actors.simulators.projectx import SimulatedProjectX
from actors.trading.order_store import OrderStore
from actors.trading.request_meter import RequestMeter
from tests.commands import posix
from tests.trading.killed_trader import CONTRACT, FIRST_ACCOUNT, ORDERS, account_of, config

pytestmark = posix

MOST = 40  # children of one venue
NEVER = 10**9
PAGES = {"modify": "Order/modify", "cancel": "Order/cancel", "close": "Position/closeContract"}


@pytest.fixture(autouse=True)
def _without_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next program has much to find out."""
    monkeypatch.setattr(RequestMeter, "take", lambda *_: 0.0)


@contextmanager
def new_venue() -> Iterator[SimulatedProjectX]:
    accounts = range(FIRST_ACCOUNT, FIRST_ACCOUNT + MOST)
    with SimulatedProjectX(rate=0, accounts=accounts, rest_limit=0) as venue:
        yield venue


def told_by_children(venue: SimulatedProjectX, folder: Path, events: Sequence[int]) -> list[list[str]]:
    """What each child told until it was killed, in the order of the events."""
    OrderStore.create(folder).close()
    command = [sys.executable, "-m", "tests.trading.killed_trader", venue.url, str(folder), *map(str, events)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert "Traceback" not in ran.stderr, ran.stderr
    _, *parts = re.split(r"^kill \d+\n", ran.stdout, flags=re.MULTILINE)
    return [part.splitlines() for part in parts]


@pytest.fixture
def count(tmp_path: Path) -> int:
    """How many events there are from the first order to the last."""
    with new_venue() as venue:
        (lines,) = told_by_children(venue, tmp_path / "counted", [NEVER])
    outcomes = [line.split()[2] for line in lines if line.startswith("told")]
    assert outcomes == ["Accepted"] * 6, lines
    return int(lines[-1].split()[1])


class Life:
    """One child that was killed: its tags, and what it told."""

    def __init__(self, number: int, at: int, lines: Sequence[str]) -> None:
        self.number, self.at, self.lines = number, at, lines
        self.begun = [line.split()[1] for line in lines if line.startswith("begin")]
        self.told = {words[1]: words[2] for line in lines if (words := line.split())[0] == "told"}

    def tag(self, step: str) -> str:
        return f"killed-at-{self.at}-{step}"


def check(venue: SimulatedProjectX, runtime: Runtime, life: Life) -> bool:
    """What is recorded is what the venue counts. Returns whether all of it is known."""
    store, is_known = runtime._requests.store(), True
    assert isinstance(store, OrderStore)
    for step in life.begun:
        tag = life.tag(step)
        intent, outcome = store.intent(tag), store.outcome(tag)
        about = (tag, outcome, life.lines)
        if step in life.told:
            assert type(outcome).__name__ == life.told[step], about
        if step in ORDERS:
            check_order(outcome, venue.seen.orders(tag), venue.seen.asked(tag), about)
            assert intent is not None or venue.seen.asked(tag) == 0, about
        is_known = is_known and (intent is None or isinstance(outcome, Accepted | Refused))
    return is_known


def check_order(outcome: OrderOutcome | None, orders: int, asked: int, about: object) -> None:
    assert asked <= 1, about
    match outcome:
        case Accepted():
            assert orders == 1, about
        case Refused():
            assert asked == 0, about
        case _:  # it is looked for: what is there is found
            assert orders == 0, about


def killed_at(folder: Path, events: Sequence[int]) -> list[Life]:
    """The children of these events, and the program after them, which finds out what came of each order."""
    with new_venue() as venue:
        children = told_by_children(venue, folder, events)
        lives = [Life(*each) for each in zip(range(MOST), events, children, strict=False)]
        assert len(lives) == len(events)
        assert not any("count" in line for life in lives for line in life.lines)
        find_out(venue, folder, lives)
    return lives


def find_out(venue: SimulatedProjectX, folder: Path, lives: Sequence[Life]) -> None:
    store = OrderStore(folder)
    left_open = {each.intent.mutation.account for each in store.open_intents(of_ended_processes=True)}
    store.close()
    venue.answer_late(0.3, len(left_open) + 1, "reads")
    with actors.start(config(venue.url, folder)) as runtime:
        px = runtime.ask("projectx")
        early = [px.place(account, CONTRACT, "buy", 1) for account in left_open]
        for outcome in gather(early, timeout=30.0):
            assert isinstance(outcome, Refused)
            assert outcome.code in {"settling", "unknown"}, outcome
        while runtime._requests.settlement.is_under_way("projectx"):
            px.ping().get(10.0)
        for life in lives:
            is_known = check(venue, runtime, life)
            after = px.place(account_of(life.number), CONTRACT, "buy", 1).get(20.0)
            assert isinstance(after, Accepted) == is_known, (after, life.lines)
            assert is_known or (isinstance(after, Refused) and after.code == "unknown")
    assert venue.seen.placed_twice == []
    for step, page in PAGES.items():
        assert venue.seen.requests[page] <= sum(step in life.begun for life in lives)


def test_a_kill_between_any_two_steps_sends_nothing_twice_and_is_found_out(
    tmp_path: Path, count: int
) -> None:
    assert count > 2_000
    lives = killed_at(tmp_path / "killed", sorted(random.Random(17).sample(range(1, count), 15)))
    assert {step for life in lives for step in life.begun} >= {*ORDERS, *PAGES}


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_a_kill_between_any_two_steps_in_full(tmp_path: Path, count: int) -> None:
    events = range(1, count, max(1, count // 600))
    for first in range(0, len(events), MOST):
        killed_at(tmp_path / f"killed-from-{first}", events[first : first + MOST])
