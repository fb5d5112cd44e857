"""What a connection has counted before it has read anything."""

from __future__ import annotations

from actors.rules.counters import LineCounters

COUNTS = ("bytes", "frames", "decoded", "routed", "unrouted", "duplicates", "quarantined", "unsent")
TIMES = ("received_at", "received_ns", "message_at", "acknowledged_at", "event_at", "upgraded_at")


def test_a_new_connection_reads_and_has_counted_nothing() -> None:
    assert vars(LineCounters()) == {
        **dict.fromkeys((*COUNTS, *TIMES), 0),
        "data_at": None,
        "paused_by_streams": (),
        "reading": True,
        "compressed": False,
    }
