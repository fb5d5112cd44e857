"""What is behind: the reader of a stream, this process, or what lies before it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.rules.counters import StreamStatus
from actors.rules.lag import LATE, LATER, MUCH, Backlog, Lag, judge


def stream(lag: float, id: int = 3) -> StreamStatus:
    counts = dict.fromkeys(("topics", "received", "delivered", "dropped", "conflated", "gaps"), 0)
    return StreamStatus(
        id=id,
        feed="o2",
        channel="trades",
        policy="block",
        capacity=100,
        queued=1_200,
        handler_errors=0,
        lag_s=lag,
        **counts,
    )


@pytest.mark.parametrize(
    ("backlog", "text"),
    [
        (
            Backlog([stream(0.1, 2), stream(4.2)]),
            "the reader of stream 3 (o2/trades) is 4.2 s behind: 1,200 queued",
        ),
        (
            Backlog([stream(4.2)], paused_by=(3,), receive_lag_s=3.0, kernel_bytes=99, event_lag_s=3.0),
            "the reader of stream 3 (o2/trades) is 4.2 s behind: 1,200 queued; the line waits for it",
        ),
        (
            Backlog(receive_lag_s=5.0, kernel_bytes=70_000),
            "this process is 5.0 s behind with reading: 70,000 bytes wait in the kernel",
        ),
        (Backlog(receive_lag_s=5.0), "this process is 5.0 s behind with reading"),
        (
            Backlog(receive_lag_s=0.0, kernel_bytes=MUCH, event_lag_s=6.0),
            "this process is 6.0 s behind with reading: 65,536 bytes wait in the kernel",
        ),
        (
            Backlog(receive_lag_s=0.0, kernel_bytes=0, event_lag_s=7.0),
            "events come 7.0 s later than they did on this connection, by the venue's time, and nothing "
            "waits here: the venue, the network or a clock",
        ),
    ],
    ids=["reader", "reader-holds-the-line", "process", "process-bytes-unknown", "process-reads", "upstream"],
)
def test_what_is_behind_is_named_in_words(backlog: Backlog, text: str) -> None:
    lag = judge(backlog)
    assert lag.text == text
    assert f"{lag.seconds:.1f} s " in text
    assert lag.cause == {"the": "reader", "this": "process", "events": "upstream"}[text.split(maxsplit=1)[0]]


@pytest.mark.parametrize(
    "backlog",
    [
        Backlog(),
        Backlog([stream(LATE - 0.1)]),
        Backlog(receive_lag_s=LATE - 0.1, kernel_bytes=MUCH),
        Backlog(receive_lag_s=0.0, kernel_bytes=MUCH - 1, event_lag_s=LATER - 0.1),
    ],
    ids=["nothing", "reader", "process", "upstream"],
)
def test_nothing_is_named_in_normal_life(backlog: Backlog) -> None:
    lag = judge(backlog)
    assert (lag.cause, lag.text) == ("", "")


def test_what_is_most_behind_is_named() -> None:
    assert judge(Backlog([stream(1.5)], event_lag_s=30.0)).cause == "upstream"
    assert judge(Backlog([stream(31.0)], event_lag_s=30.0)).cause == "reader"


seconds = st.none() | st.floats(0.0, 100.0)


@given(st.lists(st.floats(0.0, 100.0), max_size=3), seconds, st.none() | st.integers(0, 10 * MUCH), seconds)
def test_a_cause_has_its_text_and_is_late_and_its_evidence(
    streams: list[float], receive: float | None, kernel: int | None, events: float | None
) -> None:
    backlog: Any = Backlog([stream(lag) for lag in streams], (), receive, kernel, events)
    lag = judge(backlog)
    assert bool(lag.cause) == bool(lag.text) == (lag.seconds >= LATE)
    match lag:
        case Lag(cause="reader"):
            assert lag.seconds == max(streams)
        case Lag(cause="process"):
            assert (receive or 0.0) >= LATE or (kernel or 0) >= MUCH
        case Lag(cause="upstream"):
            assert lag.seconds == events
            assert (receive or 0.0) < LATE
            assert (kernel or 0) < MUCH
