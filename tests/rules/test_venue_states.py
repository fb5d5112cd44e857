"""What a venue says of itself: which word holds, which silence it explains, how words merge in a stream."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.events import Gap, Lifecycle, Marker, Scope, StateName, Topic, VenueState
from actors.rules.stream_buffer import ConflatingBuffer, FifoBuffer, Origin, StreamBuffer, merge
from actors.rules.venue_states import MOST, RECENT, VenueStates, completed
from tests.support.batches import batch_of
from tests.support.examples import examples

A, B, STAR = (Topic("iex", "trades", key) for key in ("A", "B", "*"))
QUOTES = Topic("iex", "quotes", "A")
LINE, TRADES, OF_A, TRADES_OF_A = Scope(), Scope("trades"), Scope(key="A"), Scope("trades", "A")
SCOPES = (LINE, TRADES, OF_A, TRADES_OF_A, Scope(key="B"))
STATES: tuple[StateName, ...] = ("open", "halted", "maintenance", "degraded", "data_lost")


def told(
    scope: Scope,
    state: StateName,
    at_ns: int = 1,
    *,
    epoch: int = 1,
    until_ns: int | None = None,
    text: str = "",
) -> VenueState:
    return VenueState(scope, state, text, until_ns, "iex", epoch, at_ns)


def states(*words: VenueState) -> VenueStates:
    found = VenueStates()
    for word in words:
        found.note(word)
    return found


@pytest.mark.parametrize(
    ("scope", "reached"),
    [
        (LINE, {A, B, STAR, QUOTES}),
        (TRADES, {A, B, STAR}),
        (OF_A, {A, STAR, QUOTES}),
        (TRADES_OF_A, {A, STAR}),
    ],
)
def test_a_scope_reaches_its_topics_and_those_of_all_symbols(scope: Scope, reached: set[Topic]) -> None:
    assert {topic for topic in (A, B, STAR, QUOTES) if scope.reaches(topic)} == reached


def test_open_is_news_only_where_something_else_was_told() -> None:
    found = VenueStates()
    assert not found.note(told(LINE, "open"))
    assert found.note(told(LINE, "maintenance"))
    assert not found.note(told(LINE, "maintenance", 2))
    assert found.note(told(LINE, "maintenance", 3, text="longer"))
    assert found.note(told(LINE, "open", 4))
    assert not found.note(told(LINE, "open", 5))
    assert [word.at_ns for word in found.recent] == [1, 3, 4]


def test_lost_data_is_news_each_time() -> None:
    found = VenueStates()
    assert [found.note(told(LINE, "data_lost", at)) for at in (1, 1, 2)] == [True, True, True]
    assert found.present(3) == ()


def test_a_halt_of_one_symbol_explains_no_silence_of_all_symbols() -> None:
    found = states(told(OF_A, "halted"))
    assert found.explaining(A, 5) == found.explaining(QUOTES, 5) == told(OF_A, "halted")
    assert found.explaining(STAR, 5) is None
    assert found.explaining(B, 5) is None


@pytest.mark.parametrize("state", STATES)
def test_only_a_halt_and_maintenance_explain_silence(state: StateName) -> None:
    found = states(told(LINE, "degraded"), told(LINE, state, 2))
    assert (found.explaining(A, 5) is not None) == (state in {"halted", "maintenance"})
    assert [word.state for word in found.present(5)] == ([] if state in {"open", "data_lost"} else [state])


def test_a_state_ends_by_itself_and_silence_counts_from_there() -> None:
    found = states(told(LINE, "maintenance", 10, until_ns=100))
    assert found.explaining(A, 99) is not None
    assert found.explaining(A, 100) is None
    assert (found.resumed_ns(A, 99), found.resumed_ns(A, 100)) == (0, 100)
    assert found.present(100) == ()
    found.note(told(LINE, "open", 150))
    assert found.resumed_ns(A, 200) == 100


def test_silence_counts_from_the_end_of_a_halt() -> None:
    found = states(told(OF_A, "halted", 10), told(OF_A, "open", 50))
    assert (found.resumed_ns(A, 60), found.resumed_ns(STAR, 60)) == (50, 0)


@pytest.mark.parametrize(
    ("until_ns", "known"), [(None, None), (5, None), (10, None), (11, 11), (10**19, None), (-(10**30), None)]
)
def test_an_end_that_cannot_be_meant_is_not_known(until_ns: int | None, known: int | None) -> None:
    word = completed(VenueState(LINE, "maintenance", "x", until_ns), "y", "iex", 3, 10)
    assert word == VenueState(LINE, "maintenance", "y", known, "iex", 3, 10)


def test_another_life_ends_what_is_not_told_again() -> None:
    found = states(told(LINE, "maintenance"), told(OF_A, "halted"), told(TRADES, "data_lost"))
    found.note(told(LINE, "maintenance", epoch=2))
    assert found.take_over(2, keep_narrow=False) == [told(OF_A, "halted")]
    found.note(told(OF_A, "open", 2, epoch=2))
    assert found.present(5) == (told(LINE, "maintenance", epoch=2),)
    assert found.take_over(2, keep_narrow=False) == []


def test_a_rotation_ends_what_was_told_of_the_former_connection_alone() -> None:
    found = states(told(LINE, "degraded"), told(OF_A, "halted"), told(TRADES, "maintenance"))
    assert found.take_over(2, keep_narrow=True) == [told(LINE, "degraded")]
    assert found.take_over(2, keep_narrow=False) == []
    assert found.explaining(A, 5) is not None


def test_a_newcomer_gets_what_reaches_its_topic() -> None:
    found = states(told(OF_A, "halted"), told(Scope(key="B"), "halted"), told(LINE, "degraded", until_ns=9))
    assert set(found.reaching(A, 5)) == {told(OF_A, "halted"), told(LINE, "degraded", until_ns=9)}
    assert len(found.reaching(STAR, 5)) == 3
    assert len(found.reaching(STAR, 9)) == 2


def test_what_is_kept_is_bounded() -> None:
    found = VenueStates()
    for number in range(MOST + 10):
        assert found.note(told(Scope(key=str(number)), "halted", number))
    assert len(found.present(1)) == MOST
    assert found.explaining(Topic("iex", "trades", "9"), 1) is None
    assert found.explaining(Topic("iex", "trades", "10"), 1) is not None
    assert len(found.recent) == RECENT


def test_a_word_that_follows_another_leaves_no_moment_without_one() -> None:
    class Kept(dict[Any, Any]):
        def pop(self, *_: Any) -> None:
            raise AssertionError("a reader may look between this and the next word")

    found = VenueStates()
    found.note(told(LINE, "halted", until_ns=50))
    found._newest = Kept(found._newest)
    assert found.note(told(LINE, "halted", until_ns=60))
    assert [state.until_ns for state in found.present(3)] == [60]


words = st.builds(told, st.sampled_from(SCOPES), st.sampled_from(STATES), st.integers(1, 50))


@given(st.lists(words, max_size=30))
def test_the_newest_word_of_each_scope_holds(told_words: list[VenueState]) -> None:
    found, newest, news = VenueStates(), dict[Scope, VenueState](), list[VenueState]()
    for word in told_words:
        is_known = word.scope in newest
        is_same = is_known and newest[word.scope].state == word.state != "data_lost"
        is_news = found.note(word)
        assert is_news == (word.state != "open" if not is_known else not is_same)
        if is_news:
            newest[word.scope] = word
            news.append(word)
    holding = {scope: word for scope, word in newest.items() if word.state not in {"open", "data_lost"}}
    assert {word.scope: word for word in found.present(100)} == holding
    assert found.recent == tuple(news[-RECENT:])
    for topic, scopes in ((A, (TRADES_OF_A, OF_A, TRADES, LINE)), (STAR, (TRADES, LINE))):
        explaining = [newest[scope] for scope in scopes if scope in newest and newest[scope].explains_silence]
        assert found.explaining(topic, 100) == (explaining[0] if explaining else None)


# ── in a stream ──


def buffer_of(kind: str) -> StreamBuffer:
    return ConflatingBuffer(1_000) if kind == "conflate" else FifoBuffer(1_000, "block", deltas=False)


def drained(buffer: StreamBuffer) -> list[Any]:
    out: deque[Any] = deque()
    while True:
        marker = buffer.reach()
        if marker is not None:
            out.append(marker)
        elif buffer.hand:
            while buffer.hand:
                out.append(buffer.hand.popleft())
        else:
            return [*out]


def between_events(items: list[Any]) -> list[Any]:
    """Events, and before each of them and at the end the newest state of each scope."""
    found: list[Any] = []
    newest: dict[Scope, VenueState] = {}
    for item in items:
        if isinstance(item, VenueState):
            newest[item.scope] = item
        elif not isinstance(item, Gap | Lifecycle):
            found += [newest, item]
            newest = {}
    return [*found, newest]


def events_of(items: list[Any]) -> list[str]:
    return [item for item in items if isinstance(item, str)]


def newest_of(items: list[Any]) -> dict[Scope, VenueState]:
    return {item.scope: item for item in items if isinstance(item, VenueState)}


marks = st.one_of(
    words,
    st.builds(lambda number: Lifecycle("iex", "failed", 1, number, "", 0), st.integers(1, 9)),
    st.builds(lambda at: Gap(A, "unknown", None, at, at, 1), st.integers(1, 9)),
)


@settings(max_examples=examples(300))
@given(
    st.sampled_from(["fifo", "conflate"]),
    st.integers(1, 6),
    st.lists(st.one_of(marks, st.sampled_from([A, B])), max_size=40),
)
def test_states_between_the_same_two_events_merge_and_the_newest_of_each_scope_stays(
    kind: str, bound: int, steps: list[Marker | Topic]
) -> None:
    """Held against the same stream without a bound."""
    bounded, unbounded = buffer_of(kind), buffer_of(kind)
    bounded.marker_bound = bound
    for number, step in enumerate(steps, 1):
        for buffer in (bounded, unbounded):
            if isinstance(step, Topic):
                buffer.put(batch_of([(step, f"event {number}")], Origin(number, 1, number)))
            else:
                buffer.mark(step)
    fewer, every = drained(bounded), drained(unbounded)
    assert len(fewer) <= len(every)
    if kind == "fifo":
        assert between_events(fewer) == between_events(every)
    else:  # of a conflated stream the last word stays, wherever it stands
        assert [item for item in fewer if isinstance(item, str)] == [
            item for item in every if isinstance(item, str)
        ]
        newest = {item.scope: item for item in every if isinstance(item, VenueState)}
        assert {item.scope: item for item in fewer if isinstance(item, VenueState)} == newest


def test_merged_markers_keep_one_state_of_each_scope() -> None:
    many: list[Marker] = [told(SCOPES[at % 5], STATES[at % 5], at) for at in range(5_000)]
    assert merge(many) == many[-5:]
    endless: list[Marker] = [told(Scope(key=str(at)), "halted", at) for at in range(MOST + 5)]
    assert merge(endless) == endless[5:]
