"""T10 through the whole of it: what threads and processes ask for never exceeds what the venue allows."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import actors
from actors import Accepted, LinewardenError, OrderHandle, Refused, gather
from actors.protocol.limits import FrameLimit
from actors.simulators import FaultyProxy
from actors.simulators.projectx import SimulatedProjectX
from actors.trading.order_store import OrderStore
from actors.trading.projectx_requests import ProjectXRequests

ACCOUNT, CONTRACT = 4242, "CON.F.US.EP.Z26"
LIMIT = 20
WINDOW = 1.0  # seconds
BARS = 6


def config(url: str, folder: Path) -> dict[str, Any]:
    feed = {
        "venue": "projectx",
        "url": url,
        "trading": True,
        "user_name": "me",
        "api_key": "a-key-of-the-gateway",
        "bars_rate": f"{BARS}/{WINDOW:g}s",
        "limits": {"max_size": 10, "orders_per_minute": 10_000},
    }
    return {"trading": {"dir": str(folder)}, "feeds": {"projectx": feed}}


def small_limits(frames: int = LIMIT, seconds: float = WINDOW) -> None:
    """In this process."""
    from actors.venues.projectx.rest import api

    api.REST_LIMIT = FrameLimit(frames, seconds)  # type: ignore[misc]


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.venues.projectx.rest.api.REST_LIMIT", FrameLimit(LIMIT, WINDOW))


def load(px: ProjectXRequests, seconds: float, threads: int = 32) -> list[str]:
    """Threads that ask for all kinds of things; what they were told."""
    until, told = time.monotonic() + seconds, []

    def ask(number: int) -> None:
        calls: list[Callable[[], Any]] = [
            lambda: px.ping(timeout=seconds),
            lambda: px.positions(ACCOUNT, timeout=seconds),
            lambda: px.bars(CONTRACT, days=0.1, timeout=seconds),
            lambda: px.place(ACCOUNT, CONTRACT, "buy", 1),
            lambda: px.cancel(ACCOUNT, 1),
            lambda: px.close(ACCOUNT, CONTRACT),
        ]
        call = calls[number % len(calls)]
        while time.monotonic() < until:
            with suppress(LinewardenError):
                outcome = call().get(seconds)
                code = getattr(outcome, "code", "")
                told.append(f"{number % len(calls)} {type(outcome).__name__} {code}".strip())
                if code == "meter":
                    time.sleep(0.02)

    asking = [threading.Thread(target=ask, args=(number,)) for number in range(threads)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    return told


def new_venue(**more: Any) -> SimulatedProjectX:
    limits = {"rest_limit": LIMIT, "rest_window": WINDOW, "bars_limit": BARS, "bars_window": WINDOW} | more
    return SimulatedProjectX(rate=0, **limits)


def test_t10_thirty_two_threads_never_exceed_either_meter_and_mutations_still_leave(tmp_path: Path) -> None:
    OrderStore.create(tmp_path).close()
    with new_venue() as venue, actors.start(config(venue.url, tmp_path)) as runtime:
        px = runtime.ask("projectx")
        px.wait_settled(20.0)
        told = load(px, 5.0)
        assert venue.seen.most_in_window("rest") <= LIMIT
        assert venue.seen.most_in_window("bars") <= BARS
        assert venue.seen.requests["History/retrieveBars"] >= BARS  # they were full
        assert sum(venue.seen.requests.values()) >= 1.5 * LIMIT
    assert "3 Accepted" in told  # a place, although reads had taken their part
    assert {"4 Refused 2", "5 Accepted"} <= {*told}  # cancel and close, although places had taken theirs
    assert not any("429" in each for each in told)


def test_t10_what_reduces_risk_leaves_while_reads_and_orders_have_taken_their_parts(tmp_path: Path) -> None:
    OrderStore.create(tmp_path).close()
    with new_venue() as venue, actors.start(config(venue.url, tmp_path)) as runtime:
        px = runtime.ask("projectx")
        while runtime._requests.settlement.is_under_way("projectx"):
            px.ping().get(5.0)
        reads = [px.ping(timeout=0.5) for _ in range(40)]
        gather(reads, timeout=5.0, return_exceptions=True)
        places: list[OrderHandle] = []
        while not places or not is_metered(places[-1]):
            places.append(px.place(ACCOUNT, CONTRACT, "buy", 1))
        assert isinstance(places[0].get(5.0), Accepted)  # reads have left a part to it
        assert isinstance(px.close(ACCOUNT, CONTRACT).get(5.0), Accepted)  # and orders a part to this
        assert is_metered(px.place(ACCOUNT, CONTRACT, "buy", 1))
        assert venue.seen.most_in_window("rest") <= LIMIT


def is_metered(handle: OrderHandle) -> bool:
    outcome = handle.get(5.0)
    return isinstance(outcome, Refused) and outcome.code == "meter" and outcome.retry_after is not None


PROGRAM = """
import sys
from pathlib import Path
import actors
from tests.stories.test_request_meters import config, load, small_limits
small_limits()
with actors.start(config(sys.argv[1], Path(sys.argv[2]))) as runtime:
    px = runtime.ask("projectx")
    px.ping().get(10.0)  # its login is counted with its first request
    print("ready", flush=True)
    sys.stdin.readline()
    print(*sorted({*load(px, 3.0, threads=8)}), sep="\\n")
"""


def test_t10_four_processes_never_exceed_it_together(tmp_path: Path) -> None:
    OrderStore.create(tmp_path).close()
    with new_venue() as venue:
        command = [sys.executable, "-c", PROGRAM, venue.url, str(tmp_path)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        programs = [subprocess.Popen(command, text=True, **pipes) for _ in range(4)]  # type: ignore[call-overload]
        for program in programs:
            assert program.stdout.readline() == "ready\n"
        for program in programs:
            program.stdin.write("go\n")
            program.stdin.flush()
        told = [program.communicate(timeout=60) for program in programs]
        assert [program.returncode for program in programs] == [0] * 4, told
        assert venue.seen.most_in_window("rest") <= LIMIT
        assert venue.seen.most_in_window("bars") <= BARS
        assert sum(venue.seen.requests.values()) >= 1.5 * LIMIT


@pytest.mark.long
def test_t10_requests_that_are_long_on_their_way_do_not_pile_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request is counted when it leaves, and may arrive much later, together with later ones."""
    monkeypatch.setattr("actors.venues.projectx.rest.api.REST_LIMIT", FrameLimit(10, 2.0))
    OrderStore.create(tmp_path).close()
    with (
        new_venue(rest_limit=10, rest_window=2.0) as venue,
        FaultyProxy(venue.url, seed=3) as proxy,
        actors.start(config(proxy.url, tmp_path)) as runtime,
    ):
        px = runtime.ask("projectx")
        px.ping().get(5.0)
        proxy.delay(0.0, jitter=1.2)
        load(px, 30.0)
        assert venue.seen.most_in_window("rest") <= 10
