"""The command as people meet it: in a process of its own, on a pipe or on a terminal."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from rich.console import Console

from actors.cli.stream_view import Row, Tape, told
from actors.events import Gap, Lifecycle, Received, Topic
from actors.protocol.formatting import amount
from actors.settings import load
from actors.simulators import SimulatedO2
from actors.venues import o2 as words
from tests.commands import DEMO, ENDING, child, on_a_terminal, posix, ran

CANARY = "canary-77c1"
LINES = (
    *("o2", "alpaca", "crypto", "tplus/depth-200", "tplus/trades", "tplus/user-trades"),
    *("projectx/user", "projectx/market"),
)
MARKET, ASSET = "0x" + "ab" * 32, "0x" + "cd" * 32
CHANNELS = ("depth", "depth_view", "trades", "orders", "balances", "nonce")


# ── the command ─────────────────────────────────────────────────────────────────────────────────


def counts(tape: str, line: str) -> tuple[int, int]:
    """How often the tape says that this line was lost, and that it was restored."""
    return tape.count(f" {line}: line lost: "), tape.count(f" {line}: restored")


def lost_and_restored(tape: str) -> bool:
    return all(lost == restored >= 1 for lost, restored in (counts(tape, line) for line in LINES))


@posix
def test_the_demo_dies_comes_back_and_says_so() -> None:
    with child("run", DEMO, "--no-service", "--show-events", "--log-level", "error") as it:
        assert it.stdout is not None
        markets = ""
        for row in it.stdout:
            markets += row
            if lost_and_restored(markets):
                break
        it.send_signal(signal.SIGTERM)
        rest, _ = it.communicate(timeout=ENDING)
    assert it.returncode == 0
    rest, _, summary = rest.partition("demo ran for ")
    markets += rest
    assert "8 of 8 lines live at the end." in summary
    for line in LINES:
        lost, restored = counts(markets, line)
        assert lost == restored >= 1
        how_often = {1: "once", 2: "twice"}.get(lost, f"{lost} times")
        assert re.search(rf"  {line}: live; lost {how_often} \(.*\), restored {how_often}, ", summary)
    gaps = "".join(row for row in markets.splitlines() if "o2: gap of " in row)
    assert all(f" {channel} 0x" in gaps for channel in CHANNELS)
    assert re.search(r"  alpaca quotes \(2 keys\): \w+ bid \S+ × \d+ · ask ", markets)
    assert re.search(r"  tplus depth 200: bid \S+ × \S+ · ask ", markets)
    assert "books balanced: " in summary
    assert summary.endswith("Every loss was restored.\n")


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("tape", [(), ("--show-events",)], ids=["service", "tape"])
def test_it_ends_when_told(number: signal.Signals, tape: tuple[str, ...]) -> None:
    with child("run", DEMO, "--no-service", "--log-format", "json", *tape) as it:
        assert it.stderr is not None
        live: set[str] = set()
        while len(live) < (len(LINES) if tape else 1):  # it is judged by all its lines
            heard = json.loads(it.stderr.readline())
            if heard["line"] not in live:
                assert (heard["epoch"], heard["message"]) == (1, f"{heard['line']}: live")
                live.add(heard["line"])
        it.send_signal(number)
        out, _ = it.communicate(timeout=ENDING)
    assert it.returncode == 0
    assert "demo ran for " in out
    assert out.endswith("Every loss was restored.\n") == bool(tape)


@posix
def test_it_ends_when_told_though_nothing_reads_what_it_writes(tmp_path: Path) -> None:
    """Stdout and stderr are one pipe, and the pipe is full: `linewarden run 2>&1 | less`, say."""
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(theirs, b"x" * 512)
    os.set_blocking(theirs, True)
    with SimulatedO2(rate=0) as venue:
        config = tmp_path / "desk.toml"
        config.write_text(f'[feeds.o2]\nvenue = "o2"\nurl = "{venue.url}"\nrestart = {{ initial = 0.05 }}\n')
        command = [sys.executable, "-m", "actors", "run", str(config), "--no-service"]
        with subprocess.Popen(command, stdout=theirs, stderr=theirs) as it:
            venue.wait_for(lambda: venue.connections == 1, 30.0)
            venue.drop()
            venue.wait_for(lambda: venue.connections == 1 and venue.lives == 2, 30.0)
            it.send_signal(signal.SIGTERM)
            assert it.wait(timeout=ENDING) == 0
        venue.wait_for(lambda: venue.connections == 0)
    os.close(ours)
    os.close(theirs)


def test_a_line_that_stays_down_is_1_and_says_why(tmp_path: Path) -> None:
    with SimulatedO2() as gone:
        config = tmp_path / "desk.toml"
        config.write_text(f'[feeds.o2]\nvenue = "o2"\nurl = "{gone.url}"\n')
    it = ran("run", config, "--no-service", "--duration", 0.2)
    assert it.returncode == 1
    assert re.fullmatch(r"o2 is not live: .*refused.*\.", it.stdout.splitlines()[-1])


def test_a_bad_config_is_1_and_told_in_sentences(tmp_path: Path) -> None:
    config = tmp_path / "desk.toml"
    config.write_text(
        '[runtime]\nwatchdog_timeout = "${CANARY}"\n[feeds.o2]\nvenue = "o2"\nurl = "http://${CANARY}"\n'
    )
    it = ran("run", config, "--show-events", environ={"CANARY": CANARY})
    assert (it.returncode, it.stdout) == (1, "")
    assert len(it.stderr.splitlines()) == 2
    for sentence in it.stderr.splitlines():
        assert re.fullmatch(rf"{re.escape(str(config))}: \[.+\] \w+: expected .+[.?]", sentence)
    assert CANARY not in it.stderr


@posix
def test_no_secret_is_in_any_output(tmp_path: Path) -> None:
    """The log of every level is JSON with line and epoch; neither it nor the tape tells a secret."""
    config, log = tmp_path / "desk.toml", tmp_path / "log"
    with SimulatedO2(rate=50, faults=["drop every=0.5", "garbage every=0.7"]) as venue:
        config.write_text(
            f"""
            [service]
            listen = "127.0.0.1:0"
            token = "${{CANARY}}"
            [defaults.restart]
            initial = 0.05
            stable_after = 0.05
            [feeds.o2]
            venue = "o2"
            url = "{venue.url}?token=${{CANARY}}"
            proxy = "http://user:${{CANARY}}@127.0.0.1:1"
            subscribe = [{{ channel = "trades", keys = ["{venue.markets[0]}"] }}]
            """
        )
        told = ("--show-events", "--log-format", "json", "--log-level", "debug")
        with (
            log.open("w") as file,
            child("run", config, *told, environ={"CANARY": CANARY}, stderr=file) as it,
        ):
            assert it.stdout is not None
            out = ""
            for row in it.stdout:
                out += row
                if "trades 0x" in out and "line lost" in out and venue.lives > 3:
                    break
            it.send_signal(signal.SIGTERM)
            out += it.communicate(timeout=ENDING)[0]
    assert "trades 0x" in out
    assert "line lost" in out
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert {"o2"} == {record["line"] for record in records if record["epoch"] is not None}
    assert all(isinstance(record["epoch"], int | None) for record in records)
    assert CANARY not in out + log.read_text()


@posix
def test_on_a_terminal_a_table_lives_and_stderr_goes_where_it_was_sent() -> None:
    with on_a_terminal("run", DEMO, "--no-service", "--show-events", stderr=subprocess.PIPE) as (it, screen):
        screen.seen("demo: live")
        screen.seen("events/s")
        screen.seen("depth 0x32d6…8f2e")
        it.send_signal(signal.SIGTERM)
        _, log = it.communicate(timeout=ENDING)
        seen = screen.whole()
    assert it.returncode == 0
    assert "INFO    o2#1 live" in log
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", seen)  # no colour was wanted
    rows = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen).replace("\r", "\n").splitlines()
    assert max(map(len, rows)) <= 80
    assert seen.rstrip().endswith("Every loss was restored.")


# ── the tape ────────────────────────────────────────────────────────────────────────────────────


class Tick(Struct):
    """Of a venue that the tape has no words for."""

    text: str


def level(price: int, quantity: int) -> words.Level:
    return words.Level(price, quantity)


VENUE = words.O2("o2", words.O2Settings())


def event(event: Any, channel: str = "depth", key: str = MARKET) -> Received[Any]:
    return Received(Topic("o2", channel, key), 0, 2, event)


def heard(*items: Any, channel: str = "depth") -> str:
    row = Row("label", VENUE, channel)
    for item in items:
        row.take(item if isinstance(item, Gap | Received) else event(item, channel))
    return row.words()


SNAPSHOT = words.DepthSnapshot(MARKET, (level(99, 5_000_000), level(98, 1)), (level(101, 70),))
GAP = Gap(Topic("o2", "depth", MARKET), "disconnect", None, 0, 210_000_000, 2)
LOST = Lifecycle("o2", "disconnected", 1, 0, "reset by\x1b peer", 10)


def test_a_book_is_kept_from_its_changes() -> None:
    assert heard() == "nothing yet"
    assert heard(SNAPSHOT) == "bid 99 × 5M · ask 101 × 70"
    change = words.DepthChange(MARKET, (level(99, -5_000_000),), (level(100, 8),))
    assert heard(SNAPSHOT, change) == "bid 98 × 1 · ask 100 × 8"
    assert heard(SNAPSHOT, GAP, change) == "waiting for the whole book"
    other = event(SNAPSHOT, key="0x" + "cd" * 32)
    assert heard(other, SNAPSHOT) == "0xabab…abab bid 99 × 5M · ask 101 × 70"


def test_each_event_has_its_words() -> None:
    assert heard(words.Trade(MARKET, "1", "sell", 12_000, 40), channel="trades") == "40 bought at 12,000"
    assert (
        heard(words.Balance("0x1", ASSET, 0, 1_234_000), channel="balances")
        == "0xcdcd…cdcd: 1.23M free, 0 locked"
    )
    assert heard(words.Nonce("0x1", 1_234), channel="nonce") == "1,234"
    order = words.Order("0x9", "0x1", MARKET, "open", "buy", "Spot", 40, 10, 12_000, 12_000)
    assert heard(order, channel="orders") == "buy 10 of 40 at 12,000, open"
    assert heard(Tick("a\nb"), channel="trades") == r"Tick(text='a\nb')"
    assert len(heard(Tick("x" * 1_000), channel="trades")) == 120


@pytest.mark.parametrize(
    ("number", "short"),
    [(0, "0"), (999, "999"), (1_000, "1k"), (999_600, "1M"), (-5_540, "-5.54k"), (10**16, "10,000T")],
)
def test_an_amount_has_three_digits_or_so(number: int, short: str) -> None:
    assert amount(number) == short


def test_a_trend_is_drawn_from_its_lowest_to_its_highest() -> None:
    row = Row("trades", VENUE, "trades")
    drawn = ""
    for price in (10, 10, 17, 13):
        row.take(event(words.Trade(MARKET, "1", "buy", price, 1), "trades"))
        drawn = row.trend()
    assert drawn == "▁█▄"


def test_gaps_of_one_cause_are_told_together() -> None:
    other = Gap(Topic("o2", "nonce"), "disconnect", 3, 0, 100_000_000, 2)
    later = Gap(Topic("o2", "nonce"), "overflow", 1_200, 5, 5, 2)
    back = Lifecycle("o2", "reconnecting", 2, 4, "reset", 10)
    assert [line for _, line, _ in told([LOST, back, GAP, other, later])] == [
        r"o2: line lost: reset by\x1b peer",
        "o2: connecting again, try 4",
        "o2: gap of 0.21 s (disconnect, 3 missed): depth 0xabab…abab, nonce",
        "o2: gap (overflow, 1,200 missed): nonce",
    ]


class Played:
    """A stream that holds what it is given."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = list(items)
        self.read = threading.Event()

    def items(self) -> Iterator[Any]:
        yield from self._items
        self.read.set()


def test_a_loss_is_told_once_however_many_streams_heard_of_it() -> None:
    opened: list[tuple[str, Played]] = []

    def subscribe(feed: str, channel: str, *keys: str, **options: Any) -> Any:
        snapshot = Received(Topic("o2", channel, keys[0]), 0, 2, SNAPSHOT)
        stream = Played([LOST, Lifecycle("o2", "restored", 2, 1, "", 20), GAP, snapshot])
        opened.append((channel, stream))
        return stream

    wanted = [{"channel": channel, "keys": [MARKET]} for channel in CHANNELS]
    tape = Tape(subscribe, load({"feeds": {"o2": {"venue": "o2", "subscribe": wanted}}}))
    assert [channel for channel, _ in opened] == list(CHANNELS)
    for _, stream in opened:
        assert stream.read.wait(5.0)
    lines = [line.partition("  ")[2] for line in tape.lines(100.0)]
    assert lines[0] == r"o2: line lost: reset by\x1b peer"
    assert "o2: restored" in lines
    assert sum(": line lost" in line for line in lines) == 1
    assert lines[-1] == "depth 0xabab…abab: bid 99 × 5M · ask 101 × 70"
    assert tape.lines(100.1) == []  # events come now and then
    assert len(tape.lines(101.0)) == 1
    for width, height, markers in ((60, 16, 2), (80, 24, 6), (120, 50, 6)):
        console = Console(file=io.StringIO(), width=width)
        console.print(tape.render(width, height))
        assert isinstance(console.file, io.StringIO)
        drawn = console.file.getvalue().splitlines()
        assert max(map(len, drawn)) <= width
        assert len(drawn) == 1 + len(CHANNELS) + 1 + markers  # always as high
