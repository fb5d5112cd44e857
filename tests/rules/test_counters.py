"""What a connection has counted before it has read anything."""

from __future__ import annotations

from actors.rules.counters import LineCounters

COUNTS = ("bytes", "frames", "decoded", "routed", "unrouted", "duplicates", "quarantined", "unsent")
TIMES = ("received_at", "received_ns", "message_at", "acknowledged_at", "event_at", "upgraded_at")


def test_a_new_connection_reads_and_has_counted_nothing() -> None:
    assert vars(LineCounters()) == {
        **dict.fromkeys((*COUNTS, *TIMES), 0),
        "undecoded": 0,
        "undecoded_since": 0.0,
        "data_at": None,
        "paused_by_streams": (),
        "reading": True,
        "compressed": False,
    }


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
