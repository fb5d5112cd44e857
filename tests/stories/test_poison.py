"""Poison of every kind, at each kind of venue: line and streams go on, and status says what it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors import Runtime, Stream
from actors.simulators.base.client import binary_frame, text_frame
from actors.status import Status
from tests.support.counters import settle
from tests.support.runtimes import at_epoch, line_of, until
from tests.support.venue_cases import VENUES, End, end_of, runtime_at

MIB = 1 << 20

TEXTS: dict[str, str] = {
    "bad JSON": '{"type": 1, "target": ',
    "another schema": '{"type": [], "T": {}, "action": 7, "ch": [], "data": 0}',
    "no object": "17",
    "lone surrogates": '{"type": 1, "target": "\\ud800", "arguments": ["\\udfff"], "ch": "\\ud800"}',
    "a nesting bomb": "[" * 100_000,
    "closed nesting": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "a huge number": '{"type": 1' + "0" * 5_000 + "}",
}
BROKEN: dict[str, bytes] = {
    "a reserved opcode": b"\x83\x02{}",
    "a reserved bit": b"\xc1\x02{}",
    "a masked frame": b"\x81\x82\x00\x00\x00\x00{}",
    "a continuation without a beginning": b"\x80\x02{}",
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
def runtime(end: End) -> Iterator[Runtime]:
    with runtime_at(end) as runtime:
        yield runtime


def record(end: End, message: bytes) -> bytes:
    """A whole message of this venue."""
    return message + end.record_end


def hears(end: End, stream: Stream[Any], number: int) -> None:
    end.say(number)
    assert end.number(stream.get(timeout=5)) == number


def shown(end: End, status: Status) -> int:
    """How many messages the status of the topic's line admits that nobody could use."""
    line = status.lines()[end.line]
    assert line.health.inputs.quarantined == line.counters.quarantined
    return line.counters.quarantined + line.counters.unrouted


def test_messages_that_cannot_be_read_cost_no_connection_and_every_one_is_counted(
    end: End, runtime: Runtime
) -> None:
    stream = end.subscribe(runtime)
    for number, (kind, text) in enumerate(TEXTS.items(), 1):
        before = shown(end, settle(runtime))
        end.simulator.send_frame(text_frame(record(end, text.encode())))
        hears(end, stream, number)
        assert shown(end, settle(runtime)) == before + 1, kind
    before = shown(end, settle(runtime))
    end.simulator.send_frame(binary_frame(record(end, bytes(range(31, 256)))))
    hears(end, stream, 100)
    status = settle(runtime)
    assert shown(end, status) == before + 1
    line = status.lines()[end.line]
    assert (line.state, line.epoch) == ("live", 1)
    assert {gap.reason for gap in stream.gaps} <= {"quarantine"}  # where it may have been an event
    assert status.quarantine.count == sum(each.counters.quarantined for each in status.lines().values())


def test_what_breaks_the_protocol_costs_one_connection_and_one_gap_each_time(
    end: End, runtime: Runtime
) -> None:
    stream = end.subscribe(runtime)
    hears(end, stream, 1)
    for epoch, (kind, frame) in enumerate(BROKEN.items(), 2):
        end.simulator.send_frame(frame)
        until(runtime, at_epoch(epoch, end.line))
        runtime.wait_live(timeout=10)
        reason = line_of(runtime, end.line).reason
        assert reason is not None
        assert (reason.kind, reason.code) == ("retryable", "protocol"), kind
        hears(end, stream, epoch)
    assert [gap.reason for gap in stream.gaps] == ["disconnect"] * len(BROKEN)
    assert line_of(runtime, end.line).epoch == 1 + len(BROKEN)
    settle(runtime)


def test_a_frame_of_64_mebibytes_is_refused_by_its_head(end: End, runtime: Runtime) -> None:
    stream = end.subscribe(runtime)
    before = line_of(runtime, end.line).counters.bytes
    end.simulator.send_frame(b"\x81\x7f" + (64 * MIB).to_bytes(8, "big"))  # not a byte of it is needed
    until(runtime, at_epoch(2, end.line))
    runtime.wait_live(timeout=10)
    assert line_of(runtime, end.line).counters.bytes - before < MIB
    hears(end, stream, 1)


def test_a_handler_that_always_raises_hurts_no_other_stream(end: End, runtime: Runtime) -> None:
    def fail(event: object) -> None:
        raise ZeroDivisionError("on purpose")

    stream = end.subscribe(runtime)
    failing = runtime.on("feed", end.channel, end.key, handler=fail, wait=10.0)
    for number in range(1, 21):
        hears(end, stream, number)
    until(runtime, lambda _: failing.handler_errors == 20)
    line = settle(runtime).lines()[end.line]
    assert (line.state, line.epoch, stream.gap_count) == ("live", 1, 0)


def test_a_handler_that_never_returns_hurts_no_other_stream(end: End, runtime: Runtime) -> None:
    release, called = threading.Event(), threading.Event()

    def hang(event: object) -> None:
        called.set()
        release.wait(30)

    stream = end.subscribe(runtime)
    hanging = runtime.on("feed", end.channel, end.key, handler=hang, capacity=5, wait=10.0)
    for number in range(1, 21):
        hears(end, stream, number)
    assert called.is_set()
    status = settle(runtime)
    (shown,) = [each for each in status.streams if each.id == hanging.id]
    assert (shown.dropped + shown.conflated, shown.queued) == (14, 5)
    assert (status.lines()[end.line].state, stream.gap_count) == ("live", 0)
    release.set()


def test_poison_alone_makes_no_line_look_healthy(end: End, runtime: Runtime) -> None:
    _stream = end.subscribe(runtime)
    for _ in range(30):
        end.simulator.send_frame(text_frame(record(end, b'{"type": 1, "T": {}')))
    status = until(runtime, lambda status: shown(end, status) >= 30)
    assert status.lines()[end.line].health.score == 50
    assert status.lines()[end.line].degraded
    assert status.state == "degraded"
    assert status.quarantine.newest[-1].raw
