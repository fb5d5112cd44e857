"""What a connection keeps until it is its turn, and to which placements of a topic it hands that out."""

from __future__ import annotations

from collections.abc import Mapping

from actors.delivery.arrivals import Arrivals, Right
from actors.delivery.cells import Cells, LastEvents, ReceiptTime
from actors.delivery.connection_delivery import ConnectionDelivery, DeliveryArgs
from actors.delivery.overlap import Overlap
from actors.delivery.runs import RunBudget
from actors.delivery.state import DeliveryState
from actors.delivery.table import Route, RouteTable
from actors.events import Topic
from actors.protocol.session import Confirm
from actors.rules.counters import LineCounters
from actors.rules.latest_price import Prices
from tests.delivery.streams import new_inlet, told
from tests.delivery.venue import STUB
from tests.support.batches import lists

X, Y = (Topic("o2", "depth", key) for key in "XY")


class Hands:
    def wake(self) -> None:
        pass

    def update_reading(self) -> None:
        pass

    def tell_restored(self, topics: tuple[Topic, ...], blind: Mapping[Topic, int], now_ns: int) -> None:
        pass

    def give_up_rotation(self, candidate: int, why: str) -> None:
        pass

    def begin_calls(self) -> None:
        pass

    def note_call(self) -> None:
        pass

    def end_calls(self) -> None:
        pass


class Candidate:
    """A connection that has logged in beside another one."""

    def __init__(self, routes: Mapping[Topic, Route]) -> None:
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
        )
        self.delivery = ConnectionDelivery(args, Hands(), lambda: 1)
        self.delivery.await_routes()
        self.delivery.take_routes(RouteTable.of(routes), None, None)
        self.delivery.open()

    def bring(self, *events: tuple[Topic, str]) -> None:
        self.counters.decoded += len(events)
        self.delivery.bring_events(*lists(events), 1_000, 0.0, 100)

    def take_turn(self, last_events: LastEvents | None = None) -> None:
        state = DeliveryState()
        state.up = True
        self.delivery.take_turn(state, last_events, late=False)


def test_what_was_kept_of_an_earlier_placement_goes_to_no_stream_of_a_later_one() -> None:
    former, later = new_inlet(id=1, deltas=True), new_inlet(id=2, deltas=True)
    candidate = Candidate({X: Route(1, (former,))})
    candidate.delivery.bring(Confirm((X,)))
    candidate.bring((X, "whole"), (X, "+1"))
    candidate.delivery.set_route(X, None)
    candidate.delivery.set_route(X, Route(2, (later,)))
    candidate.take_turn()
    assert told(later) == []
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
    assert told(full) == ["whole Y"]
    candidate.delivery.look_again(1.0)
    assert told(full) == ["+Y"]
    assert told(later) == []


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
