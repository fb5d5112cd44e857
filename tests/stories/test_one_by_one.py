"""Topics that are added and removed one by one: each change costs what it changes.

Work is counted and no clock is read: lines of Python that run, among them each hash of a topic and each
comparison of two. Twice as many topics are twice the work; a search through the others would be four times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import actors
from actors.delivery.arrivals import Right
from actors.delivery.inlet import Inlet
from actors.delivery.line_delivery import LineDelivery
from actors.delivery.routing import Routing
from actors.delivery.table import Route
from actors.events import Option, Topic
from actors.protocol.venue import Refusal, Venue
from actors.rules.ledger import Ledger
from actors.settings.venue_tables import read_venue
from actors.simulators import SimulatedO2
from actors.venues import VENUES
from tests.delivery.streams import new_inlet
from tests.support.line_count import effort, efforts
from tests.support.runtimes import runtime_on

FEW, MANY = 1_000, 2_000
LINEAR = 2.2  # times the work for twice the topics, at most
OF_THREADS = 2.6  # the same, where it depends on their turns how much of the work is done at once
ACTORS = str(Path(actors.__file__).parent)
SIMULATORS = str(Path(actors.__file__).parent / "simulators")

PIER = """
name = "pier"
about = "for tests"
url = "wss://pier.example"
topics_per_line = 3
[channels.book]
about = "book"
key = "market"
options.depth = { default = 10 }
[subscribe]
send = { op = "sub", args = "{topics}" }
topic = "{wire}.{key}.{depth}"
[[events]]
wire = "ch"
key = "m"
data = "d"
"""


class Noted(Topic, frozen=True):
    """A topic each hash and comparison of which is a line of Python."""

    def __hash__(self) -> int:
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other)


def noted(topic: Topic) -> Topic:
    return Noted(topic.feed, topic.channel, topic.key, topic.options)


# ── on which line each lies ─────────────────────────────────────────────────────────────────────


def pier() -> Venue:
    made = read_venue(PIER, "pier.toml")
    return made("pier", made.Settings())


def o2() -> Venue:
    return VENUES["o2"]("o2", VENUES["o2"].Settings())


def tplus(count: int) -> Venue:
    kind = VENUES["tplus"]
    return kind("tplus", kind.Settings(max_lines=count))  # type: ignore[call-arg]


Make = Callable[[int], tuple[Venue, list[Topic]]]


def keyed(venue: Venue, channel: str, count: int, **options: Option) -> tuple[Venue, list[Topic]]:
    return venue, [noted(venue.topic(channel, f"{number:x}", options)) for number in range(1, count + 1)]


def of_one_market(count: int) -> tuple[Venue, list[Topic]]:
    """Messages could not tell them apart, so each lies on a line of its own."""
    made = pier()
    return made, [noted(made.topic("book", "A", {"depth": depth})) for depth in range(count)]


def of_all_lines(count: int) -> tuple[Venue, list[Topic]]:
    """One topic has a line of its own, and there is a line for each other one of them."""
    made = tplus(count // 2)
    return made, [noted(made.topic("depth", str(number), {})) for number in range(1, count + 1)]


MAKES: dict[str, Make] = {
    "a line for all": lambda count: keyed(o2(), "depth", count),
    "ten on a line": lambda count: keyed(o2(), "orders", count),
    "three on a line": lambda count: keyed(pier(), "book", count),
    "each on its own": of_one_market,
    "half are refused": of_all_lines,
}


def lay(venue: Venue, ledger: Ledger, topic: Topic) -> bool:
    """As the registry does. Whether there is room."""
    placed = ledger.placed(venue.feed)
    line = venue.place(topic, placed)
    if isinstance(line, Refusal):
        ledger.refuse(topic, line.reason)
        return False
    if line not in placed:
        ledger.open(line, 1)
    ledger.place(topic, line, venue.bounds(topic))
    batch = ledger.next_batch(line, 1, 100)
    ledger.send(line, 1, batch, ledger.turn(line, 1))
    ledger.confirm(line, 1, batch, assumed=False)
    assert ledger.settled(line, 1)
    return True


def lift(venue: Venue, ledger: Ledger, topic: Topic) -> None:
    line = ledger.unwant(1, topic)
    if line is not None:
        ledger.has_topics(line)
        former: Topic | None = None
        while (first := ledger.first_refused(venue.feed)) is not None and first is not former:
            lay(venue, ledger, first)
            former = first


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
def test_each_finds_its_line_without_a_look_at_the_others(make: Make) -> None:
    def work(count: int) -> tuple[int, int]:
        venue, topics = make(count)
        ledger = Ledger()

        def add_all() -> None:
            for topic in topics:
                ledger.want(1, topic)
                lay(venue, ledger, topic)

        def remove_all() -> None:
            for topic in topics:
                lift(venue, ledger, topic)

        work = effort(add_all), effort(remove_all)
        assert not ledger.wanted()
        return work

    assert_linear(work(FEW), work(MANY))


# ── where each goes ─────────────────────────────────────────────────────────────────────────────


class Deliverer:
    """Both sides of one line's delivery: the dispatcher's copy, and the state of the holder."""

    def __init__(self) -> None:
        self.routing = Routing()
        self.line = self.routing.line("o2")
        self.holder = LineDelivery("o2", 1, Right(), self.line.table, self.line.state.copy())

    def add(self, inlet: Inlet, topic: Topic) -> None:
        self.routing.want(inlet, [topic])
        self._set(topic, self.routing.joined("o2", topic, 1, [inlet.id]))

    def remove(self, inlet: Inlet, topic: Topic) -> None:
        self.routing.leave(inlet.id, topic)
        self._set(topic, self.routing.parted("o2", topic, inlet.id))
        self.routing.forget(inlet.id, [topic])

    def _set(self, topic: Topic, route: Route) -> None:
        come, gone = self.line.table.set(topic, route)
        self.holder.attached(topic, come, 1)
        self.holder.detached(topic, gone, 1)

    def settle(self, topic: Topic) -> None:
        self.holder.settle([topic], 2)
        self.line.state.note_settled([topic], self.line.table.routes)


@pytest.mark.parametrize("streams", ["one stream", "a stream for each"])
def test_each_is_routed_answered_and_lifted_without_a_look_at_the_others(streams: str) -> None:
    """The line goes down and comes back in between, so that streams wait for their topics."""

    def work(count: int) -> tuple[int, ...]:
        topics = [noted(Topic("o2", "trades", str(number))) for number in range(count)]
        one = [new_inlet()] * count
        inlets = one if streams == "one stream" else [new_inlet(id=id) for id in range(1, count + 1)]
        deliverer = Deliverer()

        def add_all() -> None:
            for topic, inlet in zip(topics, inlets, strict=True):
                deliverer.add(inlet, topic)
                deliverer.settle(topic)

        def lose_and_settle_all() -> None:
            deliverer.holder.lose("disconnected", 0, "why", 3, 4)
            deliverer.line.state = deliverer.holder.state.copy()
            for topic in topics:
                deliverer.settle(topic)

        def remove_all() -> None:
            for topic, inlet in zip(topics, inlets, strict=True):
                deliverer.remove(inlet, topic)
                gone = deliverer.line.table.remove(topic)
                deliverer.holder.detached(topic, gone, 5)
                deliverer.holder.lifted(topic)

        done = effort(add_all), effort(lose_and_settle_all), effort(remove_all)
        assert not deliverer.line.state.outages
        assert not deliverer.line.table.routes
        return done

    assert_linear(work(FEW), work(MANY))


def test_each_stream_of_one_topic_comes_and_goes_without_a_look_at_the_others() -> None:
    def work(count: int) -> tuple[int, ...]:
        topic = noted(Topic("o2", "depth", "1"))
        inlets = [new_inlet(id=id) for id in range(1, count + 1)]
        deliverer = Deliverer()

        def add_all() -> None:
            for inlet in inlets:
                deliverer.add(inlet, topic)

        def remove_all() -> None:
            for inlet in inlets[::2] + inlets[::-2]:
                deliverer.remove(inlet, topic)

        done = effort(add_all), effort(remove_all)
        assert not deliverer.line.table.inlets
        return done

    assert_linear(work(FEW), work(MANY))


# ── a whole runtime ─────────────────────────────────────────────────────────────────────────────


def is_ours(file: str) -> bool:
    return file.startswith(ACTORS) and not file.startswith(SIMULATORS)


def test_a_runtime_adds_and_removes_one_by_one() -> None:
    def work(count: int) -> tuple[int, int]:
        keys = [f"0x{number:064x}" for number in range(count)]
        with (
            SimulatedO2(rate=0, market=False, markets=keys, inactivity=0) as venue,
            efforts(is_ours) as lines,
            runtime_on(venue, ack_timeout=60.0) as runtime,
        ):
            begun = lines()
            stream = runtime.subscribe("o2", "trades", keys[0])
            for key in keys[1:]:
                stream.add(key)
            venue.wait_for(lambda: venue.subscribers("trades", keys[-1]) == 1, 60.0)
            runtime.subscribe("o2", "depth", keys[-1], wait=60.0)  # all before it are answered
            added = lines()
            for key in keys:
                stream.remove(key)
            venue.wait_for(lambda: venue.subscribers("trades", keys[-1]) == 0, 60.0)
            return added - begun, lines() - added

    assert_linear(work(FEW // 2), work(FEW), OF_THREADS)


def assert_linear(few: Sequence[int], many: Sequence[int], bound: float = LINEAR) -> None:
    ratios = [more / less for less, more in zip(few, many, strict=True)]
    assert max(ratios) < bound, (few, many, ratios)
