"""What a connection keeps until it is its turn, and to which placements of a topic it hands that out."""

from __future__ import annotations

from collections.abc import Mapping

from actors.delivery.arrivals import Arrivals, Right
from actors.delivery.cells import Cells
from actors.delivery.connection_delivery import ConnectionDelivery, DeliveryArgs
from actors.delivery.inlet import Inlet
from actors.delivery.last_events import LastEvents, ReceiptTime
from actors.delivery.overlap import Overlap
from actors.delivery.runs import RunBudget
from actors.delivery.state import DeliveryState
from actors.delivery.table import Route, RouteTable
from actors.events import Scope, StateName, Topic, VenueState
from actors.protocol.session import Confirm, Missed, Reject
from actors.rules.counters import LineCounters
from actors.rules.latest_price import Prices
from tests.delivery.inline import Called, inline_inlet
from tests.delivery.streams import NoQuestions, new_holder, new_inlet, read, told, word
from tests.delivery.venue import STUB
from tests.support.batches import lists

X, Y = (Topic("o2", "depth", key) for key in "XY")


class Hands(NoQuestions):
    def wake(self) -> None:
        pass

    def update_reading(self) -> None:
        pass

    def tell_restored(self, topics: tuple[Topic, ...], blind: Mapping[Topic, int], now_ns: int) -> None:
        pass

    def give_up_rotation(self, candidate: int, why: str) -> None:
        pass

    def note_call(self) -> None:
        pass

    def end_calls(self, begun: float) -> None:
        pass


class Candidate:
    """A connection that has logged in beside another one."""

    def __init__(self, routes: Mapping[Topic, Route], *, open: bool = True) -> None:
        self.counters, self.cells = LineCounters(), Cells()
        args = DeliveryArgs(
            line="o2",
            epoch=2,
            overlap=Overlap(STUB.duplicate_key),
            venue=STUB,
            block_timeout=30.0,
            right=Right(),
            counters=self.counters,
            cells=self.cells,
            arrivals=Arrivals(),
            run_budget=RunBudget(),
            config_policy=lambda _: None,
        )
        self.delivery = ConnectionDelivery(args, Hands(), lambda: 1.0, lambda: 1)
        if open:
            self.delivery.await_routes()
            self.delivery.take_routes(RouteTable.of(routes), None, None)
            self.delivery.open()

    def log_in(self, routes: Mapping[Topic, Route]) -> None:
        """As the first connection of its line."""
        self.delivery.await_routes()
        self.delivery.take_routes(RouteTable.of(routes), DeliveryState(), None)
        self.delivery.open()

    def bring(self, *events: tuple[Topic, str]) -> None:
        self.counters.decoded += len(events)
        self.delivery.bring_events(*lists(events), 1_000, 0.0, 100)

    def take_turn(self, last_events: LastEvents | None = None, *former: VenueState) -> None:
        state = DeliveryState()
        state.up = True
        for said in former:
            state.venue_states.note(said)
        self.delivery.take_turn(state, last_events, late=False)

    def present(self) -> list[str]:
        """What the venue says of itself, as any thread sees it."""
        return [str(said) for said in self.cells.venue_states("o2").present(1)]


def test_streams_and_handlers_that_came_between_two_connections_are_told_the_state_of_their_line() -> None:
    called, stream = Called(), new_inlet(id=2)
    candidate = Candidate({X: Route(1)})
    candidate.delivery.bring(Confirm((X,)))
    candidate.delivery.set_route(X, Route(1, (inline_inlet(called), stream)))  # another delivers still
    assert (called.words, told(stream)) == ([], [])
    candidate.take_turn()
    assert (called.words, told(stream)) == (["connected"], ["connected"])


def test_what_was_kept_of_an_earlier_placement_goes_to_no_stream_of_a_later_one() -> None:
    former, later = new_inlet(id=1, deltas=True), new_inlet(id=2, deltas=True)
    candidate = Candidate({X: Route(1, (former,))})
    candidate.delivery.bring(Confirm((X,)))
    candidate.bring((X, "whole"), (X, "+1"))
    candidate.delivery.set_route(X, None)
    candidate.delivery.set_route(X, Route(2, (later,)))
    candidate.take_turn()
    assert told(later) == ["connected"]
    candidate.delivery.bring(Confirm((X,)))
    candidate.bring((X, "whole 2"), (X, "+2"))
    assert told(later) == ["whole 2", "+2"]
    assert (candidate.counters.unrouted, candidate.counters.routed) == (2, 2)


def test_a_stream_that_comes_while_a_full_one_holds_what_is_kept_gets_nothing_of_before() -> None:
    full, later = new_inlet("block", 1, id=1, deltas=True), new_inlet(id=2, deltas=True)
    candidate = Candidate({X: Route(1), Y: Route(2, (full,))})
    candidate.delivery.bring(Confirm((X, Y)))
    candidate.bring((X, "whole"), (Y, "whole Y"))
    candidate.bring((X, "+1"), (Y, "+Y"))
    candidate.take_turn()
    assert candidate.delivery.paused_by == (1,)
    candidate.delivery.set_route(X, None)
    candidate.delivery.set_route(X, Route(3, (later,)))
    assert told(full) == ["connected", "whole Y"]
    candidate.delivery.look_again(1.0)
    assert told(full) == ["+Y"]
    assert told(later) == ["connected"]


def test_the_gap_of_a_placement_that_ends_is_counted_for_the_line_at_once() -> None:
    inlet = new_inlet(id=1, deltas=True)
    candidate = Candidate({X: Route(1, (inlet,))})
    candidate.delivery.bring(Confirm((X,)))
    candidate.take_turn()
    before, _ = candidate.cells.gaps("o2")
    candidate.delivery.set_route(X, None)
    after, last = candidate.cells.gaps("o2")
    assert after == before + 1
    assert last is not None
    assert last.reason == "unknown"
    assert told(inlet)[-1] == "unknown gap in X"


def test_what_was_wanted_until_the_line_was_lost_is_kept_no_longer() -> None:
    last_events = LastEvents(Prices(STUB))
    last_events.keep([X, Y], ["whole", "whole"], {X: "whole", Y: "whole"}, ReceiptTime(0.0, 1))
    candidate = Candidate({X: Route(1)})
    candidate.take_turn(last_events)
    assert candidate.cells.last_events("o2") is last_events
    assert set(last_events.events) == set(last_events.stamps) == set(last_events.prices._topics) == {X}


# ── what the venue says of itself ──


def state(word: StateName, *, key: str = "", epoch: int = 2) -> VenueState:
    return VenueState(Scope(key=key), word, "", None, "o2", epoch, 1)


def words(inlet: Inlet) -> list[str]:
    return [str(item) for item in read(inlet) if isinstance(item, VenueState)]


def test_a_candidate_keeps_what_the_venue_says_in_its_place() -> None:
    inlet = new_inlet(id=1)
    candidate = Candidate({X: Route(1, (inlet,))})
    candidate.delivery.bring(Confirm((X,)))
    candidate.bring((X, "one"))
    candidate.delivery.bring_state(state("halted", key="X"))
    candidate.bring((X, "two"))
    assert told(inlet) == []
    assert candidate.present() == []
    candidate.take_turn()
    items = [item for item in read(inlet) if isinstance(item, VenueState | tuple)]
    kinds = [str(item) if isinstance(item, VenueState) else item[1] for item in items]
    assert kinds == ["one", "X is halted", "two"]
    assert candidate.present() == ["X is halted"]


def test_a_rotation_keeps_the_states_of_keys_and_ends_that_of_the_former_connection() -> None:
    inlet = new_inlet(id=1)
    candidate = Candidate({X: Route(1, (inlet,))})
    candidate.delivery.bring(Confirm((X,)))
    candidate.take_turn(None, state("halted", key="X", epoch=1), state("degraded", epoch=1))
    assert words(inlet) == [
        "X is halted",
        "degraded",
        "open: degraded was told to a connection that has ended",
    ]
    assert candidate.present() == ["X is halted"]
    candidate.delivery.bring(Confirm((X,)))
    assert candidate.present() == ["X is halted"]


def test_what_the_next_connection_is_told_again_does_not_end_in_between() -> None:
    inlet = new_inlet(id=1)
    candidate = Candidate({X: Route(1, (inlet,))})
    candidate.delivery.bring_state(state("maintenance"))
    candidate.delivery.bring(Confirm((X,)))
    candidate.take_turn(None, state("maintenance", epoch=1))
    assert words(inlet) == ["maintenance", "maintenance"]
    assert candidate.present() == ["maintenance"]


def test_what_came_before_the_login_is_told_once_there_are_streams() -> None:
    inlet = new_inlet(id=1)
    first = Candidate({X: Route(1, (inlet,))}, open=False)
    for _ in range(1_000):
        first.delivery.bring_state(state("maintenance"))
    assert first.delivery.may_read
    first.log_in({X: Route(1, (inlet,))})
    assert words(inlet) == ["maintenance"]


def test_lost_data_has_its_gap_where_it_was_told_though_it_cannot_be_asked_for_yet() -> None:
    inlet = new_inlet(id=1, deltas=True)
    candidate = Candidate({X: Route(1, (inlet,))})
    candidate.delivery.bring(Confirm((X,)))
    candidate.take_turn()
    candidate.bring((X, "one"))
    candidate.delivery.bring_state(state("data_lost"))
    assert candidate.delivery.look_again(1.0) == (X,)
    candidate.delivery.bring(Missed((X,), "unknown"))  # as `Session.resync` says
    candidate.delivery.mark_lost()
    candidate.bring((X, "two"))
    candidate.delivery.bring_state(state("data_lost"))
    assert candidate.delivery.look_again(1.0) == ()
    candidate.delivery.mark_lost()
    assert [word(item) for item in read(inlet) if not isinstance(item, VenueState)] == [
        "connected",
        "one",
        "unknown gap in X",
        "two",
        "unknown gap in X",
    ]
    assert candidate.delivery.look_again(3.0) == (X,)


def test_what_the_venue_has_rejected_to_a_candidate_ends_the_permits_of_the_former_connection() -> None:
    candidate = Candidate({X: Route(1), Y: Route(1)})
    candidate.delivery.bring_answers({X: Confirm((X,)), Y: Reject((Y,), "no")})
    state, former = DeliveryState(), new_holder()
    state.up = True
    state.settled = {X, Y}
    candidate.cells.publish("o2", former)
    candidate.delivery.take_turn(state, None, late=False)
    holder = candidate.cells.holder("o2")
    assert holder is not None
    assert (holder.life, set(holder.rejected)) == (former.life, {Y})
    assert [holder.breaks_of(topic, ()) for topic in (X, Y)] == [0, 1]
    candidate.delivery.bring_answers({Y: Confirm((Y,))})
    assert not holder.rejected
