"""Lines that deliver on their own threads: they pause, start topics anew and fail while others read."""

from __future__ import annotations

import queue
import sys
from itertools import islice
from typing import Any

import pytest

from actors import Gap
from actors.delivery.arrivals import Arrivals, Right
from actors.delivery.epoch_delivery import EpochDelivery
from actors.delivery.inlet import Inlet, Put
from actors.delivery.line_delivery import LineDelivery
from actors.delivery.merge import merge
from actors.delivery.runs import RunBudget, Runs
from actors.delivery.state import DeliveryState
from actors.delivery.table import Route, RouteTable
from actors.events import Lifecycle, Topic
from actors.rules.stream_buffer import FifoBuffer, Origin
from tests.delivery.streams import NOT_ASKING, new_holder
from tests.delivery.venue import STUB
from tests.interleavings.pieces import WATCHED, A, Writer, end, make
from tests.support.batches import Pair, batch_of, lists
from tests.support.interleave import Built, explore

HERE = sys.modules[__name__]
B = Topic("o2", "trades", "B")
X, Y = (Topic("o2", "depth", key) for key in "XY")
LIMIT = 30.0


class Connection:
    """What a connection does with its delivery: it hands out, and looks again when it is woken."""

    def __init__(self, routes: dict[Topic, Inlet], arrivals: Arrivals | None = None) -> None:
        self.right, table = Right(), RouteTable()
        for topic, inlet in routes.items():
            table.set(topic, Route(1, (inlet,)))
        self.letters: queue.SimpleQueue[str] = queue.SimpleQueue()
        state = DeliveryState()
        self.delivery = EpochDelivery(
            LineDelivery("o2", 1, self.right, table, state),
            holder=new_holder(self.right, state),
            config_policy=lambda _: None,
            arrivals=arrivals or Arrivals(),
            runs=Runs(STUB, self.right, RunBudget()),
            block_timeout=LIMIT,
            wake=self.wake,
            asking=NOT_ASKING,
        )

    def wake(self) -> None:
        self.letters.put("look again")

    def put(self, *pairs: Pair, now: float = 0.0) -> None:
        self.delivery.hand_out(*lists(pairs), 1_000, now, 100)

    def look_until_content(self) -> None:
        """Only where it is woken: not by a timeout of its own."""
        while self.delivery.wants_attention:
            self.letters.get()
            self.delivery.look_again(0.0)


class BrokenInlet(Inlet):
    def put(self, *_: object, **__: object) -> Put:
        raise RuntimeError("a defect")


# ── room ──


def test_a_line_is_woken_for_room_that_another_had_filled() -> None:
    def pausing() -> Built:
        made, inlet = make("block", 2, handful=1)
        one, other = Connection({A: inlet}), Writer()
        one.put((A, 1), (A, 2))

        def waiter() -> None:
            one.look_until_content()

        def writer() -> None:
            other.put(inlet, 3)

        def reader() -> None:
            for _ in range(3):
                made.get()

        def check() -> None:
            assert not inlet.pauses

        return [waiter, writer, reader], check

    explore(pausing, *WATCHED, HERE, preemptions=1)


def test_a_cut_topic_starts_anew_though_another_line_takes_the_room() -> None:
    def cutting() -> Built:
        made, inlet = make("drop_newest", 2, deltas=True, handful=1)
        one, other = Connection({X: inlet}), Connection({Y: inlet})
        one.put((X, "whole"))
        one.put((X, "+1"))
        one.put((X, "+2"))  # no room
        items: list[Any] = []

        def waiter() -> None:
            one.look_until_content()

        def writer() -> None:
            other.put((Y, "whole Y"))

        def reader() -> None:
            items.extend(islice(made.items(), 3))

        def check() -> None:
            end(inlet)
            items.extend(made.items())
            mine = [item for item in items if getattr(item, "topic", None) == X]
            told = ["gap" if isinstance(item, Gap) else item.event for item in mine]
            assert told == ["whole", "+1", "gap", "whole", "+1", "+2"]

        return [waiter, writer, reader], check

    explore(cutting, *WATCHED, HERE, preemptions=1)


@pytest.mark.parametrize("way", ["read", "close", "overflow"])
def test_a_line_that_pauses_is_woken(way: str) -> None:
    def pausing() -> Built:
        made, inlet = make("block", 2, handful=1)
        line = Connection({A: inlet})

        def writer() -> None:
            line.put((A, 1), (A, 2))
            if line.delivery.wants_attention and way != "overflow":
                line.look_until_content()

        def other() -> None:
            match way:
                case "read":
                    made.get()
                case "close":
                    made.close()
                case _:
                    inlet.overflow(Writer().right, 0.0)

        def check() -> None:
            line.delivery.look_again(0.0)  # by its own timeout
            assert inlet.pauses == line.delivery.wants_attention
            assert way == "overflow" or not inlet.pauses

        return [writer, other], check

    explore(pausing, *WATCHED, HERE)


def test_the_limit_of_a_full_stream_counts_from_its_becoming_full() -> None:
    """A line finds the limit over while the stream is read and filled once more."""

    def refilling() -> Built:
        made, inlet = make("block", 2, handful=1)
        held, other = Connection({A: inlet}), Writer()
        held.put((A, 1), (A, 2))
        fresh: list[bool] = []

        def line() -> None:
            held.delivery.look_again(LIMIT)

        def reader() -> None:
            made.get()

        def writer() -> None:
            pairs: list[Pair] = [(A, 3), (A, 4)]
            inlet.put(other.right, batch_of(pairs, Origin(1, 1, 2)), LIMIT)
            fresh.append(inlet.full_since == LIMIT)

        def check() -> None:
            assert isinstance(inlet.buffer, FifoBuffer)
            assert not (fresh[0] and inlet.buffer.overflowing)

        return [line, reader, writer], check

    explore(refilling, *WATCHED, preemptions=1)


# ── newcomers ──


def test_a_newcomer_gets_its_run_and_then_what_is_live() -> None:
    def joining() -> Built:
        made, inlet = make("drop_newest", 2, deltas=True, handful=1)
        one, other = Connection({X: inlet}), Connection({Y: inlet})
        runs = [
            batch_of([(X, "whole"), (X, "+1")], Origin(1, 1, 1)),
            batch_of([(X, "+2")], Origin(1, 1, 2)),
        ]
        items: list[Any] = []

        def line() -> None:
            inlet.put_run(one.right, X, runs)
            one.put((X, "+3"))

        def writer() -> None:
            other.put((Y, "whole"))

        def reader() -> None:
            items.extend(islice(made.items(), 4))

        def check() -> None:
            end(inlet)
            items.extend(made.items())
            events = [(item.topic, item.event) for item in items[:-1]]
            assert [event for topic, event in events if topic == X] == ["whole", "+1", "+2", "+3"]
            assert (made.received, made.delivered, made.dropped) == (5, 5, 0)

        return [line, writer, reader], check

    explore(joining, *WATCHED, preemptions=1)


# ── words ──


def test_the_words_of_a_line_never_go_back() -> None:
    """The dispatcher and a connection of the line both tell what they know of it."""

    def telling() -> Built:
        made, inlet = make()
        told = [Lifecycle("o2", "disconnected", 1, 1, "", 1), Lifecycle("o2", "restored", 2, 1, "", 2)]
        former, following = Writer(), Writer()

        def dispatcher() -> None:
            inlet.put_lifecycle(former.right, told[0], 1)

        def connection() -> None:
            inlet.put_lifecycle(following.right, told[1], 2)

        def check() -> None:
            end(inlet)
            *words, _ = made.with_markers()
            assert words in (told, told[1:])

        return [dispatcher, connection], check

    explore(telling, *WATCHED)


# ── failures ──


def test_a_line_that_fails_in_the_middle_keeps_no_merge_waiting() -> None:
    def failing() -> Built:
        (first, into_first), (second, into_second) = make(), make()
        broken = BrokenInlet(3, "o2", "trades", "block", 1, deltas=False)
        arrivals = Arrivals()
        line = Connection({A: into_first, B: broken}, arrivals)
        other = Writer(arrivals)
        merged: list[Any] = []

        def failing_line() -> None:
            with pytest.raises(RuntimeError, match="a defect"):
                line.put((A, "a"), (B, "lost"))

        def writer() -> None:
            other.deliver((into_second, "b"))

        def reader() -> None:
            merged.extend(islice(merge(arrivals, first, second), 2))

        def check() -> None:
            assert {received.topic for received in merged} == {A}
            assert (first.delivered, second.delivered) == (1, 1)

        return [failing_line, writer, reader], check

    explore(failing, *WATCHED, HERE, preemptions=1)
