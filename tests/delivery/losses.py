"""A line whose losses are back-filled: one connection after another, and a venue that is asked by hand."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any, ClassVar, cast

from msgspec import Struct

from actors.delivery.arrivals import Arrivals, Right
from actors.delivery.backfills import Cancel
from actors.delivery.cells import Cells
from actors.delivery.connection_delivery import ConnectionDelivery, DeliveryArgs
from actors.delivery.inlet import Inlet
from actors.delivery.line_delivery import LineDelivery
from actors.delivery.runs import RunBudget
from actors.delivery.state import DeliveryState
from actors.delivery.table import Route, RouteTable
from actors.events import Gap, Marker, Received, Repaired, Topic
from actors.protocol import Backfilled, Call, Channel, Loss, Venue, VenueSettings
from actors.protocol.session import Confirm, Missed
from actors.rules.backfill import BackfillPolicy
from actors.rules.counters import LineCounters
from tests.delivery.venue import Stub

SECOND = 10**9
FILLS, OTHERS, TRADES = (
    Topic("o2", channel, key) for channel, key in (("fills", "1"), ("fills", "2"), ("trades", "1"))
)
Item = Received[Any] | Marker


class Shop(Stub):
    """Events are numbers as text, by which they are known. What is asked for is written down."""

    channels: ClassVar[Mapping[str, Channel]] = {
        "fills": Channel("fills", str, "fills", key="account", account=True, backfill=True, unique=True),
        "trades": Channel("trades", str, "trades", key="symbol"),
        "depth": Channel("depth", str, "books", key="symbol", deltas=True, backfill=True),
    }

    def __init__(self) -> None:
        super().__init__("o2", VenueSettings())
        self.cannot = False
        self.error: Exception | None = None
        self.keys_are_lists = False

    def backfill(self, topic: Topic, loss: Loss) -> Call[Backfilled] | None:
        if self.error is not None:
            raise self.error
        return None if self.cannot else Call(f"{topic}", cast(Any, lambda _: loss))

    def duplicate_key(self, topic: Topic, event: Any) -> Hashable | None:
        """A void of fill 3 is "3v": it has a key and no place of its own."""
        return [event] if self.keys_are_lists else str(event)  # type: ignore[return-value]

    def joins_history(self, topic: Topic, event: Any) -> bool:
        return not str(event).endswith("v")


class Question(Struct, frozen=True):
    """What a connection has asked for."""

    delivery: ConnectionDelivery
    number: int
    topic: str
    loss: Loss
    seconds: float

    def answer(
        self, *events: int, complete: bool = False, reaches_ns: int | None = None, lags: bool = False
    ) -> bool:
        told = tuple(map(str, events))
        why = "" if complete else "no seam"
        answer = Backfilled(told, complete=complete, why=why, reaches_ns=reaches_ns, lags=lags)
        return self.delivery.answer_backfill(self.number, answer)

    def fail(self, text: str = "lost") -> bool:
        return self.delivery.answer_backfill(self.number, RuntimeError(text))


class Hands:
    """The connection's, for its delivery."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self.delivery: ConnectionDelivery
        self.wakes = 0

    def wake(self) -> None:
        self.wakes += 1

    def ask_backfill(self, number: int, call: Call[Backfilled], seconds: float) -> Cancel:
        loss = cast(Loss, cast(Any, call.converse)(None))
        question = Question(self.delivery, number, call.name, loss, seconds)
        self._life.questions.append(question)
        return lambda: self._life.cancelled.append(question)

    def venue_failed(self, topic: Topic) -> None:
        self._life.failures.append(topic)

    def update_reading(self) -> None:
        """Nothing is read here."""

    def tell_restored(self, topics: tuple[Topic, ...], blind: Mapping[Topic, int], now_ns: int) -> None:
        """The dispatcher's copy is not needed: each connection returns the state."""

    def give_up_rotation(self, candidate: int, why: str) -> None:
        raise NotImplementedError

    def note_call(self) -> None:
        """Nothing watches."""

    def end_calls(self, begun: float) -> None:
        """No answer is due."""


class Life:
    """All connections of one line, one after another, with one table of routes."""

    def __init__(
        self,
        *inlets: Inlet,
        topics: tuple[Topic, ...] = (FILLS, TRADES),
        policy: BackfillPolicy | None = None,
        venue: Venue | None = None,
        hands: type[Hands] | None = None,
    ) -> None:
        self.now = 100.0
        self.shop, self.cells, self.arrivals = Shop(), Cells(), Arrivals()
        self._venue, self._hands = venue or self.shop, hands or Hands
        self.questions: list[Question] = []
        self.cancelled: list[Question] = []
        self.failures: list[Topic] = []
        self.counters: list[LineCounters] = []
        self.policy = policy or BackfillPolicy(channels=True)
        self.routes = {topic: Route(1, inlets) for topic in topics}
        self.state, self.epoch = DeliveryState(), 0
        self.delivery: ConnectionDelivery
        self.hands: Hands
        self.right = Right()
        self.log_in()

    @property
    def now_ns(self) -> int:
        return round(self.now * SECOND)

    def log_in(self, *topics: Topic) -> None:
        """The next connection takes over the state; these topics are answered for, or all."""
        self.epoch += 1
        self.right, counters = Right(), LineCounters()
        self.counters.append(counters)
        self.hands = self._hands(self)
        args = DeliveryArgs(
            line="o2",
            epoch=self.epoch,
            overlap=None,
            venue=self._venue,
            block_timeout=30.0,
            right=self.right,
            counters=counters,
            cells=self.cells,
            arrivals=self.arrivals,
            run_budget=RunBudget(),
            config_policy=lambda _: None,
            backfill=self.policy,
        )
        self.delivery = self.hands.delivery = ConnectionDelivery(
            args, self.hands, lambda: self.now, lambda: self.now_ns
        )
        last_events = self.cells.take_over("o2", copy=False)
        self.delivery.await_routes()
        self.delivery.take_routes(RouteTable.of(self.routes), self.state, last_events)
        self.delivery.open()
        self.delivery.bring(Confirm(topics or tuple(self.routes)))
        self.look()

    def lose(self, seconds: float = 0.0) -> None:
        """The connection ends, and the dispatcher tells the streams."""
        state = self.delivery.leave()
        assert state is not None
        self.state = state
        dispatcher = LineDelivery("o2", self.epoch, Right(), RouteTable.of(self.routes), state)
        dispatcher.lose("disconnected", 1, "lost", self.now_ns, self.now_ns)
        self.now += seconds

    def reconnect(self, seconds: float = 1.0) -> None:
        self.lose(seconds)
        self.log_in()

    def bring(self, topic: Topic, *events: int | str) -> None:
        self.counters[-1].decoded += len(events)
        texts = [str(event) for event in events]
        self.delivery.bring_events([topic] * len(texts), texts, self.now_ns, self.now, 10 * len(texts))

    def miss(self, topic: Topic, count: int | None = None) -> None:
        self.delivery.bring(Missed((topic,), "sequence", count))

    def look(self) -> None:
        self.delivery.look_again(self.now)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.look()

    def set_readers(self, topic: Topic, *inlets: Inlet, number: int = 1) -> None:
        self.routes[topic] = Route(number, inlets)
        self.delivery.set_route(topic, self.routes[topic])

    def is_fresh(self, topic: Topic) -> bool:
        """Whether nothing of it is being filled, as any thread sees it."""
        holder = self.cells.holder("o2")
        return holder is not None and topic not in holder.filling

    def reconciles(self) -> bool:
        """Each event that was decoded has gone where it belongs, or waits."""
        decoded = sum(each.decoded for each in self.counters)
        ended = sum(each.routed + each.unrouted + each.duplicates for each in self.counters)
        return decoded == ended


def items(inlet: Inlet) -> Iterator[Item]:
    """All that waits in a stream."""
    hand = inlet.buffer.hand
    while True:
        with inlet.ready:
            if not hand:
                marker = inlet.buffer.reach()
                inlet.notice_room()
                if marker is not None:
                    yield marker
                    continue
                if not hand:
                    return
            batch, left = inlet.buffer.reached_for, len(hand)
            origin = batch.origin
            yield Received(
                batch.topics[-left], origin.received_ns, origin.epoch, hand.popleft(), origin.source
            )


def told(inlet: Inlet, topic: Topic = FILLS) -> list[object]:
    """Of one topic: a number for each event, below 0 if the venue was asked for it, and words for markers."""
    mine = [item for item in items(inlet) if getattr(item, "topic", None) == topic]
    return [_word(item) for item in mine]


def _word(item: Item) -> object:
    match item:
        case Received(source="rest", event=event):
            return -int(event)
        case Received(event=event):
            return int(event)
        case Gap():
            return "gap"
        case Repaired(complete=complete):
            return "repaired" if complete else "in part"
    raise AssertionError(item)
