"""A tail is a stream for another program: its items, its markers, its end, and what it may not do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from actors import Closed, Gap, Received, Repaired, Runtime, Scope, Stream, Topic, VenueState
from actors.runtime import start
from actors.service import Service
from actors.service.responses import to_json
from actors.service.tail import Tail, TailItem, _marker_fields
from actors.simulators import SimulatedO2
from actors.status import Status
from tests.service.conftest import HERE
from tests.service.visitor import hear, tail, tail_path
from tests.support.runtimes import config, line_of, until

IDENTITY = "0x" + "a1" * 32


def streams(count: int) -> Any:
    def counted(status: Status) -> bool:
        return len(status.streams) == count

    return counted


def refusal(service: Service, path: str) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refused, tail(service, path):
        pass
    response = refused.value.response
    assert response.headers["Content-Type"] == "application/json"
    return response.status_code, bytes(response.body or b"").decode()


def test_events_come_with_their_topic_time_and_epoch(
    service: Service, runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    with tail(service, tail_path("trades", market)) as trades:
        o2.number_trades(market, 3)
        heard = [hear(trades) for _ in range(3)]
    assert [each["event"]["trade_id"] for each in heard] == ["1", "2", "3"]
    first = heard[0]
    assert first.keys() == {"topic", "received_ns", "epoch", "type", "event"}
    assert (first["topic"], first["epoch"], first["type"]) == (f"o2/trades/{market}", 1, "Trade")
    assert first["received_ns"] > 1_600_000_000 * 10**9


def test_options_and_several_keys(service: Service, o2: SimulatedO2) -> None:
    with tail(service, tail_path("depth", *o2.markets[:2], precision="100")) as books:
        heard = [hear(books) for _ in range(2)]
    assert {each["type"] for each in heard} == {"DepthSnapshot"}
    assert {each["topic"] for each in heard} == {f"o2/depth/{key}?precision=100" for key in o2.markets[:2]}


def test_integers_are_exact(service: Service, o2: SimulatedO2, market: str) -> None:
    with tail(service, tail_path("trades", market)) as trades:
        o2.trade(market, price=str(2**53 + 1), quantity=str(2**63 + 1), total=str(2**70 + 1))
        event = hear(trades)["event"]
    assert (event["price"], event["quantity"], event["total"]) == (2**53 + 1, 2**63 + 1, 2**70 + 1)


def test_markers_stand_in_their_places(
    service: Service, o2: SimulatedO2, market: str, runtime: Runtime
) -> None:
    with tail(service, tail_path("trades", market, markers=1)) as trades:
        o2.trade(market)
        assert hear(trades)["state"] == "connected"
        assert hear(trades)["type"] == "Trade"
        o2.drop()
        heard: list[Any] = []
        while not heard or heard[-1]["marker"] != "gap":
            heard.append(hear(trades))
        until(runtime, lambda status: status.lines()["o2"].state == "live")
        o2.trade(market)
        assert hear(trades)["epoch"] == 2
    *lives, gap = heard
    assert {each["marker"] for each in lives} == {"lifecycle"}
    assert [each["state"] for each in (lives[0], lives[-1])] == ["disconnected", "restored"]
    assert (gap["reason"], gap["topic"], gap["missed"]) == ("disconnect", f"o2/trades/{market}", None)
    assert gap["until_ns"] >= gap["since_ns"]


def test_what_the_venue_says_of_itself_is_a_marker() -> None:
    told = VenueState(Scope("trades", "A"), "halted", "news", 7, "o2", 2, 5)
    assert json.loads(to_json(_marker_fields(told))) == {
        "marker": "venue_state",
        "scope": {"channel": "trades", "key": "A"},
        "state": "halted",
        "text": "news",
        "until_ns": 7,
        "line": "o2",
        "epoch": 2,
        "at_ns": 5,
    }


def test_a_gap_that_was_filled_is_a_marker() -> None:
    topic = Topic("o2", "trades", "0x1")
    told = Repaired(Gap(topic, "disconnect", None, 1, 2, 3), 4, False, "a seam is open", 1, 2)
    fields = json.loads(to_json(_marker_fields(told)))
    assert fields["gap"].pop("topic") == fields.pop("topic") == "o2/trades/0x1"
    assert fields.pop("gap")["reason"] == "disconnect"
    assert fields == {
        "marker": "repaired",
        "count": 4,
        "complete": False,
        "text": "a seam is open",
        "lacks_since_ns": 1,
        "lacks_until_ns": 2,
    }


class Queued:
    """A stream with events that wait."""

    feed, channel = "o2", "trades"

    def items(self) -> Iterator[Received[int] | Closed]:
        yield from (Received(Topic("o2", "trades", "0x1"), 1, 1, number) for number in range(3))
        yield Closed("by close()")

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("ends", "events"), [("drain", 3), ("close", 0)])
def test_drained_it_ends_behind_what_is_queued_and_closed_before(ends: str, events: int) -> None:
    it = Tail(cast("Stream[Any]", Queued()), lambda: None, markers=True)
    getattr(it, ends)("over")
    *told, last = [json.loads(frame) for frame in it.frames()]
    assert [each["event"] for each in told] == [*range(events)]
    assert (last["marker"], last["reason"], it.ended) == ("closed", "over", "over")


def test_an_event_that_the_venue_was_asked_for_says_so() -> None:
    live, asked = (TailItem("o2/trades/0x1", 1, 2, "Trade", 7, source) for source in ("stream", "rest"))
    assert "source" not in json.loads(to_json(live))
    assert json.loads(to_json(asked))["source"] == "rest"


def test_without_markers_there_are_events_alone(
    service: Service, o2: SimulatedO2, market: str, runtime: Runtime
) -> None:
    with tail(service, tail_path("trades", market)) as trades:
        o2.drop()
        until(runtime, _back)
        o2.trade(market)
        assert hear(trades)["type"] == "Trade"


def _back(status: Status) -> bool:
    line = status.lines()["o2"]
    return line.epoch >= 2 and line.state == "live"


def test_a_client_that_leaves_takes_its_stream_with_it(
    service: Service, runtime: Runtime, market: str
) -> None:
    with tail(service, tail_path("trades", market)):
        assert len(runtime.status().streams) == 1
    until(runtime, streams(0))
    until(runtime, lambda status: status.lines()["o2"].topics == ())


def test_a_client_that_vanishes_takes_its_stream_with_it(
    service: Service, runtime: Runtime, market: str
) -> None:
    with tail(service, tail_path("trades", market)) as connection:
        connection.close_socket()  # no close frame
        until(runtime, streams(0))


def test_what_a_tail_is_told_is_not_understood_and_not_kept(
    service: Service, o2: SimulatedO2, market: str
) -> None:
    with tail(service, tail_path("trades", market)) as trades:
        for _ in range(100):  # more than a queue of unread messages would hold
            trades.send("hello")
        assert trades.ping().wait(20.0)
        o2.trade(market)
        assert hear(trades)["type"] == "Trade"


def test_a_large_message_ends_a_tail(service: Service, runtime: Runtime, market: str) -> None:
    with tail(service, tail_path("trades", market)) as trades:
        trades.send("x" * 2_000)
        with pytest.raises(ConnectionClosed) as closed:
            trades.recv(timeout=20.0)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    until(runtime, streams(0))


# ── what is refused before the upgrade ──


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "feed=... and channel="),
        ("feed=o2", "feed=... and channel="),
        ("feed=o3&channel=trades&key=0x1", "there is no feed 'o3' in the config. There are: o2."),
        ("feed=o2&channel=trade&key=0x1", "did you mean 'trades'?"),
        ("feed=o2&channel=trades", "wants at least one key"),
        ("feed=o2&channel=trades&key=AAPL", "hexadecimal"),
        ("feed=o2&channel=trades&key=0x1&color=red", "has no option 'color'"),
        ("feed=o2&channel=depth&key=0x1&precision=fine", "precision of depth is one of"),
        ("feed=o2&channel=depth&key=0x1&policy=conflate", "the newest alone says nothing"),
        ("feed=o2&channel=trades&key=0x1&policy=block", "policy=block is not allowed"),
        ("feed=o2&channel=trades&key=0x1&policy=x", "expected drop_oldest"),
        ("feed=o2&channel=trades&key=0x1&capacity=0", "expected a number"),
        ("feed=o2&channel=trades&key=0x1&capacity=1000000000", "expected a number"),
        ("feed=o2&channel=trades&key=0x1&capacity=-1", "expected a number"),
        ("feed=o2&channel=trades&key=0x1&markers=yes", "expected markers=1 or markers=0"),
        ("feed=o2&feed=o2&channel=trades&key=0x1", "more than once"),
        ("feed=o2&channel=trades&key=0x1&wait=5", "no option 'wait'"),
        ("feed=o2&channel=trades&key=0x1&self=5", "no option 'self'"),
        ("feed=o2&channel=trades&key=%ff", "UTF-8"),
    ],
)
def test_an_unknown_word_is_told_before_the_upgrade(
    service: Service, runtime: Runtime, query: str, words: str
) -> None:
    status, body = refusal(service, f"/tail?{query}")
    assert status == 400
    assert words in body
    assert runtime.status().streams == ()


def test_a_key_that_the_venue_rejects_is_told_before_the_upgrade(
    service: Service, runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    o2.reject(market)
    status, body = refusal(service, tail_path("depth", market))
    assert status == 400
    assert "the venue rejects o2/depth" in body
    assert runtime.status().streams == ()


def test_a_tail_of_a_line_that_is_down_opens_and_waits() -> None:
    with SimulatedO2(rate=0) as o2:
        market, port = o2.markets[0], o2.port
    with (
        start(config(o2.url)) as runtime,
        Service(runtime, HERE) as service,
        tail(service, tail_path("trades", market, markers=1)) as trades,
        SimulatedO2(port=port, rate=0) as back,
    ):
        until(runtime, lambda status: status.lines()["o2"].state == "live")
        back.trade(market)
        while "event" not in (item := hear(trades)):
            pass
        assert item["type"] == "Trade"


def test_a_broken_upgrade_leaves_no_stream(service: Service, runtime: Runtime, market: str) -> None:
    with (
        pytest.raises(InvalidStatus),
        tail(service, tail_path("trades", market), additional_headers={"Sec-WebSocket-Version": "12"}),
    ):
        pass
    until(runtime, streams(0))


def test_account_channels_drop_as_well(service: Service, runtime: Runtime) -> None:
    with tail(service, tail_path("orders", IDENTITY)):
        (stream,) = runtime.status().streams
        assert (stream.policy, stream.capacity) == ("drop_oldest", 10_000)


# ── the end ──


def test_the_end_of_the_runtime_is_the_last_item(service: Service, runtime: Runtime, market: str) -> None:
    with tail(service, tail_path("trades", market, markers=1)) as trades:
        assert hear(trades)["state"] == "connected"
        runtime.stop()
        while (last := hear(trades))["marker"] == "lifecycle":
            assert last["state"] == "disconnected"
        assert last == {"marker": "closed", "reason": "stopped"}
        with pytest.raises(ConnectionClosed) as closed:
            trades.recv(timeout=20.0)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, "stopped")


def test_the_end_of_the_service_is_the_last_item(service: Service, runtime: Runtime, market: str) -> None:
    with tail(service, tail_path("trades", market, markers=1)) as trades:
        assert hear(trades)["state"] == "connected"
        service.stop()
        assert hear(trades) == {"marker": "closed", "reason": "the service stops"}
        with pytest.raises(ConnectionClosed) as closed:
            trades.recv(timeout=20.0)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    assert line_of(runtime).state == "live"  # the runtime goes on
    assert runtime.status().streams == ()


# ── a slow reader ──


def test_a_slow_tail_overflows_by_its_policy_and_hurts_no_other_stream(
    service: Service, runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    count = 10_000
    other = runtime.subscribe("o2", "trades", market, capacity=count, wait=5.0)
    slow = tail_path("trades", market, markers=1, capacity=10)
    with tail(service, slow, buffer=4_096, max_queue=1, max_size=None) as trades:
        o2.number_trades(market, count)
        assert [int(trade.trade_id) for trade in other.get_many(count, 20.0)][:1] == [1]
        while other.delivered < count:
            other.get(20.0)
        dropped = next(stream.dropped for stream in runtime.status().streams if stream.id != other.id)
        assert dropped > 0  # nobody has read it yet
        assert hear(trades)["state"] == "connected"
        seen = missed = 0
        while True:
            item = hear(trades)
            if item.get("marker") == "gap":
                assert item["reason"] == "overflow"
                missed += item["missed"]
            else:
                seen += 1
                if item["event"]["trade_id"] == str(count):
                    break
    assert seen + missed == count
    assert (other.dropped, other.received) == (0, count)
    assert line_of(runtime).paused_by_streams == ()
