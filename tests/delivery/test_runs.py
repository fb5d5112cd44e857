"""What is kept of a topic of deltas, and its bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.delivery import runs
from actors.delivery.arrivals import Right
from actors.delivery.runs import RunBudget, Runs
from actors.events import Topic
from actors.rules.stream_buffer import Origin
from tests.delivery.venue import STUB
from tests.support.batches import Pair, batch_of

X, Y, Z = (Topic("o2", "depth", key) for key in "XYZ")
TRADES = Topic("o2", "trades", "X")


def new_runs(budget: RunBudget | None = None) -> Runs:
    return Runs(STUB, Right(), budget or RunBudget())


def keep(store: Runs, *pairs: Pair, order: int = 1, size: int = 100) -> list[Topic]:
    return store.keep(
        batch_of(pairs, Origin(1, 1, order)), list(dict.fromkeys(topic for topic, _ in pairs)), size
    )


def kept(store: Runs, topic: Topic) -> list[object] | None:
    parts = store.parts(topic)
    return None if parts is None else [event for part in parts for event in part.events]


def test_a_run_is_the_last_whole_event_and_the_changes_since() -> None:
    store = new_runs()
    assert keep(store, (X, "change")) == []
    assert kept(store, X) is None
    assert keep(store, (X, "change"), (X, "whole 1"), (X, "+1"), (X, "whole 2"), (X, "+2")) == [X]
    assert keep(store, (Y, "+"), (X, "+3"), (TRADES, "whole")) == []
    assert kept(store, X) == ["whole 2", "+2", "+3"]
    assert (kept(store, Y), kept(store, TRADES)) == (None, None)
    assert keep(store, (X, "whole 3"), (Y, "whole 1")) == [X, Y]
    assert (kept(store, X), kept(store, Y)) == (["whole 3"], ["whole 1"])


def test_its_events_keep_where_they_came_from() -> None:
    store = new_runs()
    keep(store, (X, "whole"), order=3)
    keep(store, (X, "+1"), (Y, "+"), order=8)
    parts = store.parts(X)
    assert parts is not None
    assert [part.origin.order for part in parts] == [3, 8]


def test_what_was_missed_ends_the_run() -> None:
    store = new_runs()
    keep(store, (X, "whole"), (Y, "whole"))
    store.forget(X)
    keep(store, (X, "+1"), (Y, "+1"))
    assert (kept(store, X), kept(store, Y)) == (None, ["whole", "+1"])
    store.forget_all()
    assert kept(store, Y) is None


@pytest.mark.parametrize(("bound", "value"), [("EVENTS", 5), ("BYTES", 500)])
def test_a_run_beyond_its_bound_is_dropped(bound: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, bound, value)
    store = new_runs()
    keep(store, (X, "whole"), (X, "+"), size=200)
    for _ in range(3):
        keep(store, (X, "+"))
    assert len(kept(store, X) or ()) == 5
    keep(store, (X, "+"))
    assert kept(store, X) is None
    assert keep(store, (X, "+")) == []
    assert keep(store, (X, "whole"), size=100) == [X]
    assert kept(store, X) == ["whole"]


def test_all_lines_together_keep_no_more_than_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "RUNTIME_BYTES", 1_000)
    monkeypatch.setattr(runs, "BILL", 100)
    budget = RunBudget()
    one, two = new_runs(budget), new_runs(budget)
    keep(one, (X, "whole"), size=600)
    keep(two, (Y, "whole"), size=150)
    keep(two, (Z, "whole"), size=200)
    assert [kept(two, topic) for topic in (Y, Z)] == [["whole"], ["whole"]]
    keep(two, (Z, "+"), size=200)  # more than all may keep: the largest of this line goes
    assert [kept(two, topic) for topic in (Y, Z)] == [["whole"], None]
    assert kept(one, X) == ["whole"]
    one.forget_all()
    keep(two, (Z, "whole"), size=800)
    assert kept(two, Z) == ["whole"]


def test_a_line_that_was_given_up_leaves_its_share_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "RUNTIME_BYTES", 1_000)
    monkeypatch.setattr(runs, "BILL", 0)
    budget, right = RunBudget(), Right()
    hung, other = Runs(STUB, right, budget), new_runs(budget)
    keep(hung, (X, "whole"), size=900)
    keep(other, (Y, "whole"), size=900)
    assert kept(other, Y) is None
    right.valid = False  # its thread hangs, and gives nothing back
    keep(other, (Y, "whole"), size=900)
    assert kept(other, Y) == ["whole"]


def test_a_line_that_ends_leaves_its_share_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "BILL", 0)
    budget = RunBudget()
    store = new_runs(budget)
    keep(store, (X, "whole"))
    assert budget._kept
    store.forget_all()
    assert not budget._kept


events = st.tuples(st.sampled_from([X, Y, TRADES]), st.sampled_from(["whole", "+"]))


@given(st.lists(st.lists(events, min_size=1, max_size=6), max_size=20))
def test_in_any_batches_a_run_leads_from_the_last_whole_event_to_the_newest(
    batches: list[list[tuple[Topic, str]]],
) -> None:
    store, history = new_runs(), dict[Topic, list[str]]()
    for order, batch in enumerate(batches):
        pairs: list[Pair] = []
        for index, (topic, kind) in enumerate(batch):
            event = f"{kind} {order}.{index}"
            pairs.append((topic, event))
            if topic.channel == "depth" and kind == "whole":
                history[topic] = []
            if topic in history:
                history[topic].append(event)
        started = keep(store, *pairs, order=order)
        assert set(started) == {topic for topic, kind in batch if kind == "whole" and topic is not TRADES}
        for topic in (X, Y, TRADES):
            assert kept(store, topic) == history.get(topic)
    sizes = sum(run.size for run in store._runs.values())
    assert store._size == sizes
