"""Requests in sliding windows: what each lane leaves to the others, over threads, processes and boots."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.protocol.limits import FrameLimit
from actors.protocol.rest import Lane
from actors.trading.folder import StoreError
from actors.trading.request_meter import BUSY, MARGIN, RequestMeter, room

LIMITS = {"rest": FrameLimit(200, 60.0), "bars": FrameLimit(50, 30.0)}
LANES: tuple[Lane, ...] = ("read", "change", "flatten")


class Time:
    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def meter(tmp_path: Path, clock: Time) -> Iterator[RequestMeter]:
    meter = opened(tmp_path, clock)
    yield meter
    meter.close()


def opened(
    folder: Path, clock: Time, *, boot: str = "this boot", starts_spent: bool = False, login: str = "anna"
) -> RequestMeter:
    return RequestMeter(folder, login, LIMITS, monotonic=clock, boot=boot, starts_spent=starts_spent)


def taken(meter: RequestMeter, lane: Lane, name: str = "rest") -> int:
    """How many requests go until one has to wait."""
    count = 0
    while not meter.take(name, lane):
        count += 1
    return count


def test_t10_reads_leave_forty_to_changes_which_leave_twenty_to_what_reduces_risk(
    meter: RequestMeter,
) -> None:
    assert [taken(meter, lane) for lane in LANES] == [160, 20, 20]
    assert [taken(meter, lane) for lane in LANES] == [0, 0, 0]


def test_t10_what_reduces_risk_may_take_all_there_is(meter: RequestMeter) -> None:
    assert [taken(meter, lane) for lane in reversed(LANES)] == [200, 0, 0]


def test_t10_a_meter_for_reads_alone_leaves_nothing(meter: RequestMeter) -> None:
    assert taken(meter, "read", "bars") == 50
    assert taken(meter, "read") == 160


def test_audits_of_all_processes_take_a_quarter_of_the_meter_and_count_in_it(
    tmp_path: Path, clock: Time
) -> None:
    meters = [opened(tmp_path, clock) for _ in range(3)]
    assert [taken(each, "read", "audit") for each in meters] == [50, 0, 0]
    assert [taken(each, "read") for each in meters] == [110, 0, 0]
    clock.now += 60.0 + MARGIN
    assert taken(meters[0], "read") == 160
    assert taken(meters[1], "read", "audit") == 0
    clock.now += 60.0 + MARGIN
    assert [taken(each, "read", "audit") for each in reversed(meters)] == [50, 0, 0]
    for each in meters:
        each.close()


def test_an_audit_that_took_long_or_that_the_venue_refused_counts_in_the_meter_too(
    meter: RequestMeter, clock: Time
) -> None:
    assert not meter.take("audit", "read")
    clock.now += 30.0
    meter.late("audit", 30.0)
    clock.now += 31.0
    assert (taken(meter, "read", "audit"), taken(meter, "read")) == (49, 110)
    clock.now += 60.0 + MARGIN
    meter.leave("audit", 20.0)
    assert meter.take("rest", "read") == pytest.approx(20.0)
    assert meter.take("audit", "read") == pytest.approx(20.0)


def test_the_part_of_audits_is_not_spent_at_a_start_without_a_record(tmp_path: Path, clock: Time) -> None:
    meter = opened(tmp_path, clock, starts_spent=True)
    assert taken(meter, "read", "audit") == 20  # all that reads have then
    meter.close()


def test_t10_the_window_slides_and_is_kept_a_little_longer(meter: RequestMeter, clock: Time) -> None:
    for _ in range(160):
        assert not meter.take("rest", "read")
        clock.now += 0.1
    assert meter.take("rest", "read") == pytest.approx(60.0 + MARGIN - 16.0)
    clock.now += 60.0 + MARGIN - 16.0 + 0.25
    assert taken(meter, "read") == 3  # those of the first 0.25 s have left it


def test_t10_a_wait_that_was_waited_is_over(meter: RequestMeter, clock: Time) -> None:
    clock.now = 12_345.678
    taken(meter, "flatten")
    clock.now += meter.take("rest", "flatten") + 1e-6
    assert not meter.take("rest", "flatten")


def test_t10_a_meter_that_the_venue_closed_is_closed_to_all(meter: RequestMeter, clock: Time) -> None:
    meter.leave("rest", 30.0)
    meter.leave("rest", 10.0)
    assert [meter.take("rest", lane) for lane in LANES] == [30.0] * 3
    assert not meter.take("bars", "read")
    clock.now += 30.0
    assert not meter.take("rest", "read")
    meter.leave("rest", 10**9)
    assert [meter.take("rest", lane) for lane in LANES] == [3_600.0, 3_600.0, 61.0]
    clock.now += 61.0
    assert [meter.take("rest", lane) for lane in LANES] == [3_539.0, 3_539.0, 0.0]


def test_t10_processes_of_a_login_share_and_others_do_not(
    meter: RequestMeter, tmp_path: Path, clock: Time
) -> None:
    taken(meter, "read")
    second, other = opened(tmp_path, clock), opened(tmp_path, clock, login="bert")
    assert [taken(second, lane) for lane in LANES] == [0, 20, 20]
    assert taken(other, "read") == 160
    meter.leave("bars", 5.0)
    assert second.take("bars", "read") == 5.0
    second.close()
    other.close()


# ── without a record ──


def test_t10_a_start_without_a_record_takes_it_as_spent_but_for_a_beginning(
    tmp_path: Path, clock: Time
) -> None:
    meter = opened(tmp_path, clock, starts_spent=True)
    assert [taken(meter, lane) for lane in LANES] == [20, 20, 20]
    assert taken(meter, "read", "bars") == 5
    clock.now += 60.0 + MARGIN
    assert [taken(meter, lane) for lane in LANES] == [160, 20, 20]
    meter.close()


@pytest.mark.parametrize("damage", [b"", b"\0" * 100, b"x" * 3_000], ids=["empty", "zeros", "noise"])
def test_t10_a_record_that_cannot_be_read_is_none(tmp_path: Path, clock: Time, damage: bytes) -> None:
    opened(tmp_path, clock).close()
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage)
    meter = opened(tmp_path, clock, starts_spent=True)
    assert taken(meter, "read") == 20
    meter.close()


def test_t10_each_torn_record_counts_as_none_or_whole(tmp_path: Path, clock: Time) -> None:
    meter = opened(tmp_path, clock, starts_spent=True)
    taken(meter, "read")
    (file,) = tmp_path.iterdir()
    before = file.read_bytes()
    clock.now += 1.0
    assert not meter.take("rest", "change")
    after = file.read_bytes()
    for cut in range(0, len(after), 41):
        file.write_bytes(after[:cut] + before[cut:])
        assert taken(meter, "read") in {0, 20}
    meter.close()


def test_t10_a_restart_of_the_machine_counts_what_was_sent_before_it(tmp_path: Path) -> None:
    clock = Time(90_000.0)
    meter = opened(tmp_path, clock, boot="former", starts_spent=True)
    taken(meter, "read")
    meter.close()
    clock.now = 25.0  # seconds since the boot
    meter = opened(tmp_path, clock, boot="new", starts_spent=True)
    assert meter.take("rest", "read") == pytest.approx(60.0 + MARGIN - 25.0)
    meter.close()
    clock.now = 61.0  # all of the former boot is longer ago
    meter = opened(tmp_path, clock, boot="new", starts_spent=True)
    assert taken(meter, "read") == 160
    meter.close()


def test_t10_without_a_boot_id_times_to_come_are_those_of_a_former_boot(tmp_path: Path) -> None:
    clock = Time(90_000.0)
    meter = opened(tmp_path, clock, boot="")
    taken(meter, "read")
    clock.now = 20.0
    assert meter.take("rest", "read") == pytest.approx(60.0 + MARGIN - 20.0)
    meter.close()


# ── where the record cannot be used ──


def test_t10_a_record_that_another_process_keeps_is_replaced_by_the_own_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    meter = RequestMeter(tmp_path, "anna", LIMITS, starts_spent=False)
    (file,) = tmp_path.iterdir()
    holder = RequestMeter(tmp_path, "anna", LIMITS, starts_spent=False)
    assert holder._lock is not None
    assert holder._lock.try_acquire()
    assert not meter.take("rest", "flatten")
    assert f"{file}: cannot be used" in caplog.text
    holder.close()
    assert not meter.take("rest", "flatten")
    meter.close()


def test_t10_what_was_sent_alone_is_in_the_record_as_soon_as_it_can_be_used(tmp_path: Path) -> None:
    limits = {"rest": FrameLimit(4, 60.0)}
    first = RequestMeter(tmp_path, "anna", limits, starts_spent=False)
    second = RequestMeter(tmp_path, "anna", limits, starts_spent=False)
    assert second._lock is not None
    assert not first.take("rest", "flatten")
    assert second._lock.try_acquire()
    assert not first.take("rest", "flatten")  # alone
    first.leave("rest", 100.0)
    second._lock.release()
    assert first.take("rest", "read") > 90.0  # it is written now
    assert second.take("rest", "read") > 90.0
    assert second._alone.meters["rest"].times == first._alone.meters["rest"].times
    assert len(second._alone.meters["rest"].times) == 2
    for meter in (first, second):
        meter.close()


def test_t10_alone_it_goes_on_from_what_the_record_was(tmp_path: Path) -> None:
    limits = {"rest": FrameLimit(2, 60.0)}
    meter = RequestMeter(tmp_path, "anna", limits, starts_spent=False)
    other = RequestMeter(tmp_path, "anna", limits, starts_spent=False)
    assert [meter.take("rest", "flatten") for _ in range(2)] == [0.0, 0.0]
    assert other._lock is not None
    assert other._lock.try_acquire()
    assert meter.take("rest", "flatten") > 50.0
    for each in (meter, other):
        each.close()


def test_t7_a_record_that_cannot_be_opened_does_not_keep_a_position_open(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    RequestMeter(tmp_path, "anna", LIMITS).close()
    (file,) = tmp_path.iterdir()
    file.unlink()
    file.mkdir()  # as a disk that is read-only or full, it cannot be opened for writing
    meter = RequestMeter(tmp_path, "anna", LIMITS)
    assert f"{file}: cannot be used" in caplog.text
    assert [taken(meter, lane) for lane in LANES] == [20, 20, 20]
    meter.close()


def test_t10_a_request_that_took_long_counts_from_its_end(meter: RequestMeter, clock: Time) -> None:
    """It may have arrived at its end, and the venue's window begins then."""
    assert taken(meter, "flatten") == 200
    clock.now += 20.0
    meter.late("rest", 20.0)
    clock.now += 60.0 + MARGIN - 20.0
    assert taken(meter, "flatten") == 199
    clock.now += 20.0
    assert taken(meter, "flatten") == 1
    clock.now += 100.0
    meter.late("rest", 100.0)  # its count has been forgotten
    assert taken(meter, "flatten") == 199


def test_t10_a_folder_on_the_network_is_refused(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text("36 35 0:50 / / rw - nfs4 server:/home rw\n")
    with pytest.raises(StoreError, match="nfs4"):
        RequestMeter(tmp_path / "state", "anna", LIMITS, mounts=mounts)


def test_rooms_of_small_limits() -> None:
    assert [room(1, lane) for lane in LANES] == [1, 1, 1]
    assert [room(5, lane) for lane in LANES] == [4, 4, 5]
    assert [room(30, lane) for lane in LANES] == [24, 27, 30]


# ── never exceeded ──


def most_within(times: list[float], seconds: float) -> int:
    """The largest number of these times within any window."""
    times.sort()
    most = first = 0
    for index, at in enumerate(times):
        while times[first] <= at - seconds:
            first += 1
        most = max(most, index - first + 1)
    return most


LIMIT = FrameLimit(20, 0.5)


def test_t10_thirty_two_threads_never_exceed_it(tmp_path: Path) -> None:
    meter = RequestMeter(tmp_path, "anna", {"rest": LIMIT}, starts_spent=False)
    sent: list[float] = []
    until = time.monotonic() + 2.0

    def work(lane: Lane) -> None:
        while time.monotonic() < until:
            if wait := meter.take("rest", lane):
                time.sleep(min(wait, 0.05))
            else:
                sent.append(time.monotonic())

    threads = [threading.Thread(target=work, args=(LANES[number % 3],)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    meter.close()
    assert len(sent) >= LIMIT.frames
    assert most_within(sent, LIMIT.seconds) <= LIMIT.frames


TAKER = """
import sys, time
from pathlib import Path
from actors.protocol.limits import FrameLimit
from actors.trading.request_meter import RequestMeter
meter = RequestMeter(Path(sys.argv[1]), "anna", {"rest": FrameLimit(20, 0.5)}, starts_spent=False)
until = time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    wait = meter.take("rest", "flatten")
    if wait:
        time.sleep(min(wait, 0.05))
    else:
        print(time.monotonic(), flush=True)
"""


def test_t10_four_processes_never_exceed_it_also_when_they_are_killed(tmp_path: Path) -> None:
    def taker(seconds: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", TAKER, str(tmp_path), str(seconds)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    workers = [taker(60.0) for _ in range(4)]
    sent: list[float] = []
    for worker in workers:
        assert worker.stdout is not None
        sent.append(float(worker.stdout.readline()))
    workers.append(taker(1.2))
    sent += map(float, workers[-1].communicate(timeout=60)[0].split())
    for worker in workers[:-1]:
        worker.kill()
        sent += map(float, worker.communicate()[0].split())
    assert len(sent) >= LIMIT.frames
    assert most_within(sent, LIMIT.seconds) <= LIMIT.frames
    assert LIMIT.seconds > BUSY


def test_t10_a_record_that_was_removed_is_made_again_with_what_is_known(tmp_path: Path, clock: Time) -> None:
    """Else those that had it open would count in a file of their own."""
    first = opened(tmp_path, clock)
    assert taken(first, "read") == 160
    (file,) = tmp_path.iterdir()
    file.unlink()
    assert taken(first, "change") == 20
    second = opened(tmp_path, clock)
    assert [taken(second, lane) for lane in LANES] == [0, 0, 20]
    assert taken(first, "flatten") == 0
    first.close()
    second.close()


def test_t10_times_to_come_of_this_boot_are_of_another_clock_and_count(tmp_path: Path) -> None:
    ahead, behind = Time(90_000.0), Time(20_000.0)
    inside, outside = opened(tmp_path, ahead), opened(tmp_path, behind)
    assert taken(inside, "read") == 160
    assert taken(outside, "read") == 0
    inside.close()
    outside.close()


def test_a_request_that_is_counted_while_the_meter_is_closed_is_no_error_and_logs_none(
    meter: RequestMeter, caplog: pytest.LogCaptureFixture
) -> None:
    assert meter.take("rest", "read") == 0.0
    meter.close()
    assert meter.take("rest", "read") == 0.0
    assert caplog.records == []
