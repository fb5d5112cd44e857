"""Poison of every kind, at each kind of venue: the line and the streams go on, and status says what it was."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actors import Runtime
from actors.simulators.peer import binary_frame, text_frame
from tests.desk import at_epoch, line_of, until
from tests.stories.books import settle
from tests.stories.ends import VENUES, End, desk_at, end_of

MIB = 1 << 20
RECORD = "\x1e"  # ends each record of a SignalR hub; to everybody else it is white space that JSON forbids

TEXTS: dict[str, str] = {
    "bad JSON": '{"type": 1, "target": ',
    "another schema": '{"type": [], "T": {}, "action": 7, "ch": [], "data": 0}',
    "no object": "17",
    "lone surrogates": '{"type": 1, "target": "\\ud800", "arguments": ["\\udfff"], "ch": "\\ud800"}',
    "a nesting bomb": "[" * 100_000,
    "closed nesting": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "a huge number": '{"type": 1' + "0" * 5_000 + "}",
    "nothing": "",
}
BROKEN: dict[str, bytes] = {
    "a reserved opcode": b"\x83\x02{}",
    "a reserved bit": b"\xc1\x02{}",
    "a masked frame": b"\x81\x82\x00\x00\x00\x00{}",
    "a continuation of nothing": b"\x80\x02{}",
    "a ping in fragments": b"\x09\x00",
    "a ping of 126 bytes": b"\x89\x7e\x00\x7e" + bytes(126),
    "text that is no UTF-8": text_frame(b'{"\xff\xfe"}'),
    "a length of 2**63": b"\x81\x7f" + b"\x80" + bytes(7),
}


@pytest.fixture(params=VENUES)
def end(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[End]:
    with end_of(request.param, tmp_path) as venue:
        yield venue


@pytest.fixture
def desk(end: End) -> Iterator[Runtime]:
    with desk_at(end) as runtime:
        yield runtime


def as_record(end: End, text: str) -> bytes:
    return (text + RECORD if end.feed["venue"] == "projectx" else text).encode()


def hears(end: End, desk: Runtime, number: int, read: Callable[[], object]) -> None:
    end.say(number)
    assert end.number(read()) == number


@pytest.mark.parametrize("kind", TEXTS)
def test_a_message_that_cannot_be_read_costs_no_connection(end: End, desk: Runtime, kind: str) -> None:
    stream = end.subscribe(desk)
    hears(end, desk, 1, lambda: stream.get(timeout=5))
    end.simulator.send_frame(text_frame(as_record(end, TEXTS[kind])))
    hears(end, desk, 2, lambda: stream.get(timeout=5))
    status = settle(desk)
    line = status.lines()[end.line]
    assert (line.state, line.epoch) == ("live", 1)
    shown = line.counters.quarantined + line.counters.unrouted + bool(line.complaint)
    print(end.feed["venue"], kind, line.counters.quarantined, line.counters.unrouted, line.complaint)
    assert shown or kind == "nothing"
    assert line.counters.quarantined == line.health.inputs.quarantined
    assert status.quarantine.count == sum(each.counters.quarantined for each in status.lines().values())


def test_binary_noise_costs_no_connection(end: End, desk: Runtime) -> None:
    stream = end.subscribe(desk)
    end.simulator.send_frame(binary_frame(bytes(range(256))))
    hears(end, desk, 1, lambda: stream.get(timeout=5))
    line = settle(desk).lines()[end.line]
    print(end.feed["venue"], "binary", line.counters.quarantined, line.counters.unrouted, line.complaint)
    assert (line.state, line.epoch) == ("live", 1)


@pytest.mark.parametrize("kind", BROKEN)
def test_what_breaks_the_protocol_costs_one_connection_and_one_gap(
    end: End, desk: Runtime, kind: str
) -> None:
    stream = end.subscribe(desk)
    hears(end, desk, 1, lambda: stream.get(timeout=5))
    end.simulator.send_frame(BROKEN[kind])
    until(desk, at_epoch(2, end.line))
    desk.wait_live(timeout=10)
    line = line_of(desk, end.line)
    assert line.reason is not None
    assert (line.reason.kind, line.reason.code) == ("retryable", "protocol")
    hears(end, desk, 2, lambda: stream.get(timeout=5))
    assert [gap.reason for gap in stream.gaps] == ["disconnect"]
    settle(desk)


def test_a_frame_of_64_mebibytes_is_refused_by_its_head(end: End, desk: Runtime) -> None:
    stream = end.subscribe(desk)
    before = line_of(desk, end.line).counters.bytes
    end.simulator.send_frame(b"\x81\x7f" + (64 * MIB).to_bytes(8, "big"))  # not a byte of it is needed
    until(desk, at_epoch(2, end.line))
    desk.wait_live(timeout=10)
    assert line_of(desk, end.line).counters.bytes - before < MIB
    hears(end, desk, 1, lambda: stream.get(timeout=5))


def test_a_handler_that_always_raises_hurts_no_other_stream(
    end: End, desk: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: object) -> None:
        raise ZeroDivisionError("on purpose")

    stream = end.subscribe(desk)
    failing = desk.on("feed", end.channel, end.key, handler=fail, wait=10.0)
    for number in range(1, 21):
        hears(end, desk, number, lambda: stream.get(timeout=5))
    until(desk, lambda _: failing.handler_errors == 20)
    line = settle(desk).lines()[end.line]
    assert (line.state, line.epoch, stream.gap_count) == ("live", 1, 0)


def test_a_handler_that_never_returns_hurts_no_other_stream(end: End, desk: Runtime) -> None:
    release, called = threading.Event(), threading.Event()

    def hang(event: object) -> None:
        called.set()
        release.wait(30)

    stream = end.subscribe(desk)
    hanging = desk.on("feed", end.channel, end.key, handler=hang, capacity=5, wait=10.0)
    for number in range(1, 21):
        hears(end, desk, number, lambda: stream.get(timeout=5))
    assert called.is_set()
    status = settle(desk)
    (shown,) = [each for each in status.streams if each.id == hanging.id]
    assert (shown.dropped + shown.conflated, shown.queued) == (14, 5)
    assert (status.lines()[end.line].state, stream.gap_count) == ("live", 0)
    release.set()


def test_status_is_not_ok_while_the_only_thing_heard_is_poison(end: End) -> None:
    """Garbage is no sign that all is well: it is counted, costs points, and stands in the status."""
    with desk_at(end) as desk:
        stream = end.subscribe(desk)
        for _ in range(30):
            end.simulator.send_frame(text_frame(as_record(end, json.dumps({"type": [], "T": {}})[:-1])))
        hears(end, desk, 1, lambda: stream.get(timeout=5))
        status = settle(desk)
        line = status.lines()[end.line]
        print(end.feed["venue"], line.health, line.complaint, status.state)
        assert line.health.score <= 80
