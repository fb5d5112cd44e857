"""What is measured has to be what it says: every message whole, in order, and counted once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.sync.client import connect

import actors
from benchmarks import against, quick, roundtrip
from benchmarks.alone import FailedAloneError, alone
from benchmarks.clients.echo import message, number_of
from benchmarks.clients.feeds import subscription
from benchmarks.clients.raw import DIALOGUES
from benchmarks.echo import Echo
from benchmarks.installs import NotHereError, python_with
from benchmarks.latency import WARM_UP, at, latencies
from benchmarks.peers import LINEWARDEN, PEERS, ROOT, WEBSOCKETS
from benchmarks.report import Table, markdown
from benchmarks.run import Run, RunFailedError, Told, losses
from benchmarks.server import SECOND, Plan, Sender, Sent
from benchmarks.shapes import SHAPES
from benchmarks.throughput import ceiling

COUNT = 500


@pytest.mark.parametrize("shape", SHAPES)
def test_our_sessions_read_every_message(shape: str) -> None:
    sender = Sender(shape)
    address = sender.listen(Plan(COUNT))
    wants = subscription(address)
    mark = wants.mark()
    with actors.start({"feeds": {"bench": wants.feed}}, wait=10.0) as runtime:
        stream = runtime.subscribe("bench", wants.channel, *address["keys"], wait=10.0)
        for _ in range(wants.passed_over):
            stream.get(timeout=10.0)
        heard = [mark(stream.get(timeout=10.0)) for _ in range(COUNT)]
        counters = [line.counters for line in runtime.status().lines().values()]
    sender.sent()
    assert heard == [wants.last(number) for number in range(1, COUNT + 1)]
    assert sum(each.decoded for each in counters) == COUNT + wants.passed_over
    assert sum(each.unrouted + each.quarantined + each.duplicates for each in counters) == 0


@pytest.mark.parametrize("shape", DIALOGUES)
def test_a_raw_loop_reads_every_message(shape: str) -> None:
    sender = Sender(shape)
    venue = DIALOGUES[shape](sender.listen(Plan(COUNT)))
    heard: list[Any] = []
    with connect(venue.url, compression=None, proxy=None, ssl=venue.tls) as socket:
        for message in venue.says:
            socket.send(message)
        for _ in range(venue.passed_over):
            socket.recv(timeout=10.0)
        while len(heard) < COUNT:
            heard += venue.marks(socket.recv(timeout=10.0, decode=False))
    sender.sent()
    assert heard == [venue.last(number) for number in range(1, COUNT + 1)]


@pytest.mark.parametrize("shape", ["o2", "o2-depth", "alpaca", "binance", "projectx"])
def test_messages_go_round_among_the_topics(shape: str) -> None:
    made = SHAPES[shape](3)
    for number in range(1, 7):
        named = [key for key in made.keys if key in made.payload(number).decode()]
        assert made.key(number) in named
    assert {made.key(number) for number in range(1, 4)} == set(made.keys)


def test_paced_messages_are_sent_when_they_are_due() -> None:
    sender = Sender("o2")
    venue = DIALOGUES["o2"](sender.listen(Plan(100, rate=1_000)))
    with connect(venue.url, compression=None, proxy=None, ssl=venue.tls) as socket:
        for message in venue.says:
            socket.send(message)
        for _ in range(100):
            socket.recv(timeout=10.0)
        last = time.monotonic_ns()
    sent = sender.sent()
    assert len(sent.at_ns) == 100
    assert sent.at_ns == sorted(sent.at_ns)
    for number, sent_at in enumerate(sent.at_ns):
        assert sent_at >= sent.begun_ns + number * SECOND // 1_000
    assert sent.at_ns[-1] <= last


@given(st.lists(st.integers(), min_size=1), st.floats(0.1, 100.0))
def test_a_percentile_is_the_smallest_that_so_many_do_not_exceed(values: list[int], percent: float) -> None:
    ordered = sorted(values)
    found = at(percent, ordered)
    need = len(ordered) * percent / 100
    assert sum(value <= found for value in ordered) >= need - 1e-9
    assert sum(value < found for value in ordered) < need + 1e-9


def told(numbers: list[int], at_ns: list[int], **more: int) -> Told:
    return Told(len(numbers), max(at_ns, default=0), 0.5, numbers, at_ns, more)


def test_latencies_are_of_the_messages_that_came_after_the_warm_up() -> None:
    sent = Sent(0, [0, WARM_UP, WARM_UP + 10, WARM_UP + 20])
    again = 1_790_000_000_000_000_000  # the number of a whole book that the simulator sent on request
    run = Run(4, told([1, 2, again, 4], [900, WARM_UP + 5, WARM_UP + 7, WARM_UP + 23]), sent)
    assert latencies(run) == [3, 5]


@pytest.mark.parametrize("size", roundtrip.SIZES.values())
def test_each_message_of_a_round_trip_comes_back_as_it_was(size: int) -> None:
    echo = Echo(size)
    address = echo.listen(Plan(0))
    with connect(address["url"], compression=None, proxy=None, close_timeout=0.1) as socket:
        messages = [message(number, address["size"]) for number in range(1, 11)]
        for each in messages:
            socket.send(each)
        assert socket.ping("at the end").wait(10.0)
        came = [socket.recv(timeout=10.0, decode=False) for _ in messages]
    assert echo.sent().begun_ns <= time.monotonic_ns()
    assert [each.decode() for each in came] == messages
    assert [number_of(each) for each in came] == list(range(1, 11))
    assert {len(each) for each in came} == {size}


def test_round_trips_are_from_one_message_that_came_back_to_the_next() -> None:
    times = [0, 5, 100, 103, 104]
    assert roundtrip.durations(Run(5, told([1, 2, 3, 4, 5], times), Sent(0, []))) == [1, 3, 5, 95]


def test_linewarden_goes_round_beside_a_raw_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(roundtrip.TRIPS, "echo-256", 50)
    both = [peer for peer in PEERS if peer.name in (LINEWARDEN, WEBSOCKETS)]
    table = roundtrip.measure("echo-256", both, 1)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [(row["program"], row["sent"], row["lost"]) for row in rows] == [
        (LINEWARDEN, "50", "0"),
        (WEBSOCKETS, "50", "0"),
    ]


def test_a_run_tells_what_was_lost_and_what_of_it_was_accounted_for() -> None:
    whole, part = (
        Run(4, told(numbers, [5] * len(numbers), dropped=1), Sent(0, [])) for numbers in ([1, 2, 3, 4], [4])
    )
    assert (whole.lost, part.lost) == (0, 3)
    assert losses([whole, part]) == ("3", "1")


def test_the_ceiling_is_the_fastest_raw_loop_that_ran() -> None:
    def run_of(seconds: int) -> list[Run]:
        return [Run(4, told([1, 2, 3, 4], [seconds * SECOND] * 4), Sent(0, []))]

    runs = {"linewarden": run_of(1), "websockets": run_of(9), "ws4py": run_of(8), "websocket-rs": run_of(7)}
    assert ceiling(PEERS, runs) == "websocket-rs"
    assert ceiling(PEERS, {"linewarden": run_of(1)}) == ""


def test_the_guard_sees_what_is_lost() -> None:
    books = {"unrouted": 0, "quarantined": 0, "dropped": 0, "received": 3, "delivered": 3, "queued": 0}
    good = Run(3, told([1, 2, 3], [1, 2, 3], **books), Sent(0, []))
    assert quick.lost(good) == []
    assert len(quick.lost(msgspec.structs.replace(good, sent=4))) == 1
    for name in ("unrouted", "quarantined", "delivered"):
        spoiled = told([1, 2, 3], [1, 2, 3], **books | {name: 7})
        assert len(quick.lost(Run(3, spoiled, Sent(0, [])))) == 1


def test_what_is_done_alone_is_answered_or_fails_with_its_words() -> None:
    assert alone(divmod, 7, 2) == (3, 1)
    with pytest.raises(FailedAloneError, match="ZeroDivisionError"):
        alone(divmod, 7, 0)
    with pytest.raises(FailedAloneError, match="without a word"):
        alone(sys.exit, 3)


def test_a_row_that_fails_leaves_the_others_in_place() -> None:
    def fail() -> list[str]:
        raise FailedAloneError("it took too long")

    table = Table("Both", ("of", "ms"))
    table.add(("one",), lambda: ["1"])
    table.add(("two",), fail)
    assert markdown(table).splitlines() == [
        "## Both",
        "",
        "| of | ms |",
        "| :-- | --: |",
        "| one | 1 |",
        "| two | failed |",
        "",
        "- two: it took too long",
    ]


def test_a_former_commit_is_measured_with_its_own_package_and_todays_programs() -> None:
    with against.tree_of("HEAD") as root:
        asked = [
            sys.executable,
            "-c",
            "import actors, benchmarks; print(actors.__file__, benchmarks.__file__)",
        ]
        told = subprocess.run(asked, cwd=root, capture_output=True, text=True, check=True)
        ours, former = against.peers("HEAD", root)
        assert all(Path(file).is_relative_to(root) for file in told.stdout.split())
        assert (ours.client, ours.options, ours.root) == (former.client, former.options, ROOT)
        assert former.root == root
    assert not root.exists()


def test_a_shape_that_a_former_commit_does_not_know_has_no_rows_but_a_note(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = against.peers("HEAD", ROOT)
    good = Run(1, told([1], [SECOND]), Sent(0, []))
    turns = [(both[0], good), (both[1], RunFailedError("there is no such venue"))]
    monkeypatch.setattr(against, "take_turns", lambda *_: iter(turns))
    table = against.measure("o2", both, 1, [])
    assert table.rows == []
    assert table.notes == ["- HEAD: there is no such venue"]


def test_a_variant_is_compared_with_itself_on_the_former_commit() -> None:
    ours, former = against.peers("HEAD", ROOT, "linewarden.book")
    assert ours.name == "linewarden.book"
    assert ours.options == former.options


def test_a_commit_that_is_not_there_is_told() -> None:
    with pytest.raises(against.NoSuchCommitError, match="no-such-commit"), against.tree_of("no-such-commit"):
        pass


def test_a_python_that_is_not_there_is_told() -> None:
    with pytest.raises(NotHereError, match=r"Python 2\.0"):
        python_with("nothing==0", version="2.0")


def test_the_command_tells_what_it_can_do() -> None:
    asked = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"], capture_output=True, text=True, check=True
    )
    for command in (
        "throughput",
        "latency",
        "roundtrip",
        "recovery",
        "growth",
        "idle",
        "everything",
        "quick",
        "reliability",
        "against",
    ):
        assert command in asked.stdout
