"""What a venue repeats at full speed: it is collapsed in its connection, counted, and harms no other feed."""

from __future__ import annotations

import logging
import re

import msgspec
import pytest

import actors
from actors import Runtime
from actors.actor import Address
from actors.messages import TopicsConfirmed, TopicsRejected, VenueComplained
from actors.simulators import SimulatedO2
from actors.simulators.base.client import text_frame
from tests.support.counters import settle
from tests.support.runtimes import feed_at, line_of, until

ERRORS = 20_000


def error(number: int) -> bytes:
    body = {"action": "error", "code": 4001 + number % 40, "message": f"no {number}"}
    return text_frame(msgspec.json.encode(body))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every message between actors."""
    messages: list[object] = []
    tell = Address.tell

    def noted(self: Address, message: object, life: int | None = None) -> None:
        messages.append(message)
        tell(self, message, life)

    monkeypatch.setattr(Address, "tell", noted)
    return messages


def test_a_flood_of_errors_is_told_as_few_and_counted(
    runtime: Runtime, o2: SimulatedO2, told: list[object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "actors.supervisor")
    for start in range(0, ERRORS, 500):
        o2.send_frame(b"".join(map(error, range(start, start + 500))))
    until(runtime, lambda status: status.lines()["o2"].last_venue_error.endswith(f"no {ERRORS - 1}"))
    complaints = [each for each in told if isinstance(each, VenueComplained)]
    assert len(complaints) < 200
    line = line_of(runtime)
    assert (line.state, line.epoch) == ("live", 1)
    runtime.stop()
    told_at_the_end = [each for each in told if isinstance(each, VenueComplained)]
    assert sum(each.count for each in told_at_the_end) == ERRORS
    words = [record.getMessage() for record in caplog.records if "the venue reports" in record.getMessage()]
    assert len(words) == len(complaints)
    assert any(re.search(r"\(\d[\d,]* of these\)", text) for text in words)


def test_an_error_of_any_length_is_told_in_bounds(runtime: Runtime, o2: SimulatedO2) -> None:
    body = {"action": "error", "code": 4001, "message": "E" * 2**20}
    o2.send_frame(text_frame(msgspec.json.encode(body)))
    until(runtime, lambda status: bool(status.lines()["o2"].last_venue_error))
    assert len(line_of(runtime).last_venue_error) <= 1_000


def test_answers_that_are_repeated_or_were_not_asked_for_reach_no_other_actor(
    runtime: Runtime, o2: SimulatedO2, market: str, told: list[object]
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=5.0)
    before = len([each for each in told if isinstance(each, TopicsConfirmed | TopicsRejected)])
    for number in range(200):
        frames = [{"action": "subscribe_trades", "market_id": key} for key in (market, f"0x{number:064x}")]
        o2.send_frame(b"".join(text_frame(msgspec.json.encode(frame)) for frame in frames * 20))
    o2.trade(market, trade_id="1")
    assert trades.get(timeout=10).trade_id == "1"
    after = [each for each in told if isinstance(each, TopicsConfirmed | TopicsRejected)]
    assert len(after) - before <= 1


# ── nothing but messages that cannot be decoded ─────────────────────────────────────────────────


def poison(market: str) -> bytes:
    body = {"action": "subscribe_trades", "trades": [{"no": "trade"}], "market_id": market}
    return text_frame(msgspec.json.encode(body))


def test_a_line_that_decodes_nothing_is_degraded_and_named_and_goes_on(
    o2: SimulatedO2, market: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "actors.connection")
    with actors.start({"feeds": {"o2": feed_at(o2.url)}}, wait=10.0) as runtime:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0)
        assert runtime.status().state == "live"
        for _ in range(30):
            o2.send_frame(poison(market))
        until(runtime, lambda status: status.quarantine.count == 30)
        status = settle(runtime)
        line = status.lines()["o2"]
        assert (status.state, line.state, line.epoch, status.feeds["o2"].live) == (
            "degraded",
            "live",
            1,
            False,
        )
        assert line.degraded.startswith("30 messages in a row could not be decoded")
        assert "linewarden quarantine" in line.degraded
        assert line.health.score <= 50

        o2.trade(market, trade_id="1")
        assert trades.get(timeout=5).trade_id == "1"
        status = settle(runtime)
        assert (status.state, status.lines()["o2"].degraded) == ("live", "")

        for count, expected in ((9, "live"), (1, "degraded")):  # since an event: not for a single one
            for _ in range(count):
                o2.send_frame(poison(market))
            until(runtime, lambda status, expected=expected: status.state == expected)  # type: ignore[misc]
    (record,) = [each for each in caplog.records if "could not be decoded" in each.getMessage()]
    assert record.levelno == logging.WARNING
    assert "linewarden quarantine" in record.getMessage()
