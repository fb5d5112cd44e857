"""What a connection has counted before it has read anything."""

from __future__ import annotations

from actors.rules.counters import LineCounters

COUNTS = ("bytes", "frames", "decoded", "routed", "unrouted", "duplicates", "quarantined", "unsent")
TIMES = (
    *("received_at", "received_ns", "message_at", "acknowledged_at", "event_at", "upgraded_at"),
    *("read_begun_at", "read_to_end_at", "calls_since"),
)


def test_a_new_connection_reads_and_has_counted_nothing() -> None:
    counters = vars(LineCounters())
    assert counters.pop("event_lags").growth(0.0) is None
    assert counters == {
        **dict.fromkeys((*COUNTS, *TIMES), 0),
        "undecoded": 0,
        "undecoded_since": 0.0,
        "data_at": None,
        "paused_by_streams": (),
        "kernel_bytes": None,
        "reading": True,
        "compressed": False,
    }


def test_a_line_that_reads_is_behind_since_the_read_that_has_not_ended() -> None:
    counters = LineCounters()
    counters.upgraded_at = 5.0
    assert counters.receive_lag(9.0) == 0.0
    counters.read_begun_at = 10.0
    assert counters.receive_lag(12.5) == 2.5
    assert not counters.is_read_to_end(10.0)
    counters.read_to_end_at = 10.0
    assert counters.receive_lag(99.0) == 0.0
    assert counters.is_read_to_end(10.0)
    assert not counters.is_read_to_end(10.1)


def test_a_line_that_is_in_a_handler_is_behind_since_it_called_it() -> None:
    counters = LineCounters()
    counters.calls_since = 10.0
    assert counters.receive_lag(12.5) == 2.5
    counters.read_begun_at = 9.0
    assert counters.receive_lag(12.5) == 3.5


def test_a_line_that_is_paused_is_behind_unless_the_kernel_is_known_to_hold_nothing() -> None:
    counters = LineCounters()
    counters.read_begun_at = counters.read_to_end_at = 10.0
    counters.reading = False
    assert counters.receive_lag(12.0) == 2.0  # the system may not tell
    assert not counters.is_read_to_end(10.0)
    counters.kernel_bytes = 0
    assert counters.receive_lag(12.0) == 0.0
    counters.kernel_bytes = 1
    assert counters.receive_lag(12.0) == 2.0


def test_a_line_decodes_nothing_if_all_or_many_in_a_row_cannot_be_decoded() -> None:
    counters = LineCounters()
    assert not counters.decodes_nothing
    counters.received_at = 1.0
    for expected in (False, False, True):  # all of it
        counters.note_undecoded()
        assert counters.decodes_nothing == expected
    counters.event_at = counters.received_at = 2.0
    counters.decoded += 1
    assert not counters.decodes_nothing
    counters.received_at = 3.0
    for _ in range(9):
        counters.note_undecoded()
        assert not counters.decodes_nothing
    counters.note_undecoded()
    assert counters.decodes_nothing
    assert (counters.undecoded, counters.quarantined, counters.decoded) == (10, 13, 14)
    counters.event_at = 4.0
    assert not counters.decodes_nothing
