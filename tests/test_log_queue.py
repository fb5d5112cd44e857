"""Records are made where they are logged and handled on a thread that may wait: the queue between the two."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from actors.log_queue import THREAD, LogQueue, QueuedLogger

NAME = "actors.test_log_queue"


class Handler(logging.Handler):
    """Keeps what it is given, with the thread that gave it; stands still while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.threads: set[str] = set()
        self.reached, self.go = threading.Event(), threading.Event()
        self.go.set()

    def emit(self, record: logging.LogRecord) -> None:
        self.reached.set()
        assert self.go.wait(20)
        self.threads.add(threading.current_thread().name)
        self.records.append(record)

    @property
    def messages(self) -> list[str]:
        return [record.getMessage() for record in self.records]


@pytest.fixture
def ordinary() -> Iterator[logging.Logger]:
    """The logger that a program knows."""
    logger = logging.getLogger(NAME)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield logger
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


@pytest.fixture
def handler(ordinary: logging.Logger) -> Iterator[Handler]:
    handler = Handler()
    ordinary.addHandler(handler)
    yield handler
    handler.go.set()
    ordinary.removeHandler(handler)


@pytest.fixture
def jobs() -> Iterator[LogQueue]:
    jobs = LogQueue(linger=0.05)
    yield jobs
    assert jobs.flush(20)
    wait_for_the_end_of_its_thread()


def wait_for_the_end_of_its_thread() -> None:
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join(5.0)
            assert not thread.is_alive()


@pytest.fixture
def log(jobs: LogQueue, handler: Handler) -> QueuedLogger:
    return QueuedLogger(NAME, jobs)


def test_a_record_is_that_of_the_call_and_handled_elsewhere(
    log: QueuedLogger, jobs: LogQueue, handler: Handler
) -> None:
    handler.go.clear()
    before = time.time()
    log.info("%s: %s", "o2", "live", extra={"line": "o2"})
    after = time.time()
    handler.go.set()
    assert jobs.flush(20)
    (record,) = handler.records
    assert handler.threads == {THREAD}
    assert record.threadName == threading.current_thread().name
    assert (record.name, record.levelno, record.getMessage()) == (NAME, logging.INFO, "o2: live")
    assert record.funcName == "test_a_record_is_that_of_the_call_and_handled_elsewhere"
    assert record.__dict__["line"] == "o2"
    assert before <= record.created <= after


def test_a_traceback_is_that_of_the_call(log: QueuedLogger, jobs: LogQueue, handler: Handler) -> None:
    handler.go.clear()
    try:
        int("odd")
    except ValueError as error:
        log.exception("a defect")
        error.args = ("changed",)
        original = error
    handler.go.set()
    assert jobs.flush(20)
    (record,) = handler.records
    assert record.exc_info is not None
    assert record.exc_info[1] is original
    assert (
        logging.Formatter()
        .format(record)
        .endswith("ValueError: invalid literal for int() with base 10: 'odd'")
    )


def test_levels_are_the_ordinary_logger_s_and_asked_at_the_call(
    log: QueuedLogger, jobs: LogQueue, handler: Handler, ordinary: logging.Logger
) -> None:
    log.debug("not wanted")
    assert not any(thread.name == THREAD for thread in threading.enumerate())  # nothing is to be done
    ordinary.setLevel(logging.DEBUG)
    assert log.isEnabledFor(logging.DEBUG)
    assert log.getEffectiveLevel() == logging.DEBUG
    log.debug("wanted")
    ordinary.setLevel(logging.ERROR)
    log.warning("not wanted any more")
    logging.disable()
    log.error("switched off")
    logging.disable(logging.NOTSET)
    ordinary.setLevel(logging.INFO)
    assert jobs.flush(20)
    assert handler.messages == ["wanted"]


def test_filters_of_the_ordinary_logger_decide(
    log: QueuedLogger, jobs: LogQueue, handler: Handler, ordinary: logging.Logger
) -> None:
    def no_secrets(record: logging.LogRecord) -> bool:
        return "secret" not in record.getMessage()

    ordinary.addFilter(no_secrets)
    log.info("a secret")
    log.info("no such thing")
    assert jobs.flush(20)
    ordinary.removeFilter(no_secrets)
    assert handler.messages == ["no such thing"]


def test_order_is_kept_from_each_of_many_threads(log: QueuedLogger, jobs: LogQueue, handler: Handler) -> None:
    def write(name: int) -> None:
        for number in range(500):
            log.info("%d %d", name, number)

    writers = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert jobs.flush(20)
    heard = [record.args for record in handler.records]
    for name in range(4):
        assert [each for each in heard if each[0] == name] == [(name, number) for number in range(500)]  # type: ignore[index]


def test_a_handler_that_stands_still_stops_no_caller_and_what_is_dropped_is_told(handler: Handler) -> None:
    jobs = LogQueue(bound=3, linger=0.05)
    log = QueuedLogger(NAME, jobs)
    told = Handler()
    reports = logging.getLogger("actors.log_queue")
    reports.addHandler(told)
    handler.go.clear()
    log.info("in hand")
    assert handler.reached.wait(20)
    for number in range(10):
        log.info("%d", number)
    assert not jobs.flush(0.01)  # which takes a place of its own
    assert jobs.dropped == 7
    handler.go.set()
    assert jobs.flush(20)
    log.info("after")
    assert jobs.flush(20)
    reports.removeHandler(told)
    assert handler.messages == ["in hand", "0", "1", "2", "after"]
    assert [record.args for record in told.records] == [(7,)]
    assert jobs.dropped == 7


def test_a_storm_of_one_line_drops_no_record_of_another(handler: Handler) -> None:
    jobs = LogQueue(bound=100, linger=0.05, share=3)
    log = QueuedLogger(NAME, jobs)
    handler.go.clear()
    log.info("in hand")
    assert handler.reached.wait(20)
    for number in range(50):
        log.info("storm %d", number, extra={"line": "loud"})
    for number in range(3):
        log.info("quiet %d", number, extra={"line": "quiet"})
        log.info("none %d", number)
    assert jobs.dropped == 47
    handler.go.set()
    assert jobs.flush(20)
    assert len([text for text in handler.messages if text.startswith("storm")]) == 3
    assert len([text for text in handler.messages if text.startswith(("quiet", "none"))]) == 6
    log.info("after", extra={"line": "loud"})  # its share is free again
    assert jobs.flush(20)
    assert handler.messages[-1] == "after"


def test_what_was_dropped_is_told_at_its_place(jobs: LogQueue, ordinary: logging.Logger) -> None:
    jobs._bound = 2
    heard: list[str] = []
    first, go = threading.Event(), threading.Event()

    def wait() -> None:
        first.set()
        assert go.wait(20)

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    reports, told = logging.getLogger("actors.log_queue"), Told()
    reports.addHandler(told)
    jobs.put(wait)
    assert first.wait(20)
    jobs.put(lambda: heard.append("before"))
    jobs.put(lambda: jobs.put(lambda: heard.append("after")))
    jobs.put(lambda: heard.append("never"))
    go.set()
    assert jobs.flush(20)
    assert jobs.flush(20)
    reports.removeHandler(told)
    assert [heard[0], heard[2]] == ["before", "after"]
    assert heard[1].startswith("Log records or metrics were dropped, 1 of them")


def test_a_handler_that_raises_harms_nothing_but_its_record(
    log: QueuedLogger, jobs: LogQueue, handler: Handler, capsys: pytest.CaptureFixture[str]
) -> None:
    def leave() -> None:
        raise SystemExit(3)

    jobs.put(leave)
    log.info("next")
    assert jobs.flush(20)
    assert handler.messages == ["next"]
    assert "SystemExit: 3" in capsys.readouterr().err


def test_a_handler_may_flush_and_log(log: QueuedLogger, jobs: LogQueue, handler: Handler) -> None:
    flushed: list[bool] = []

    def ask() -> None:
        flushed.append(jobs.flush(20))
        log.info("from the handler")

    jobs.put(ask)
    assert jobs.flush(20)
    assert jobs.flush(20)  # what the first one logged came behind it
    assert flushed == [True]
    assert handler.messages == ["from the handler"]


def test_the_thread_ends_when_there_is_nothing_to_do_and_begins_again(
    log: QueuedLogger, jobs: LogQueue, handler: Handler
) -> None:
    for number in range(3):
        log.info("%d", number)
        wait_for_the_end_of_its_thread()
        assert len(handler.records) == number + 1


def test_without_a_thread_records_wait_and_the_flushing_thread_handles_them(
    log: QueuedLogger, jobs: LogQueue, handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        log.info("one")
        log.info("two")
        assert handler.records == []
        assert jobs.flush(20)
        assert handler.messages == ["one", "two"]
        log.info("three")
    log.info("four")
    assert jobs.flush(20)
    assert handler.messages == ["one", "two", "three", "four"]


def run(code: str) -> str:
    """What a program wrote to stderr, without the warning of newer Pythons about a fork beside threads."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=55, check=True)
    return ran.stderr


def test_what_was_logged_last_is_handled_before_the_program_ends() -> None:
    code = """
from actors import log_queue
for number in range(1000):
    log_queue.queued("actors.last").warning("%d", number)
"""
    assert run(code).split() == [str(number) for number in range(1000)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_logs_its_own_records() -> None:
    code = """
import logging, os, sys, threading
from actors import log_queue

class Slow(logging.Handler):
    def emit(self, record):
        go.wait(20)
        print(record.getMessage(), file=sys.stderr, flush=True)

go = threading.Event()
logging.getLogger("actors").addHandler(Slow())
log = log_queue.queued("actors.forked")
log.warning("of the parent")
if os.fork() == 0:
    go.set()
    log.warning("of the child")
    assert log_queue.flush(20)
    os._exit(0)
os.wait()
go.set()
assert log_queue.flush(20)
"""
    assert run(code).splitlines() == ["of the child", "of the parent"]


def test_jobs_of_another_kind_keep_their_place(log: QueuedLogger, jobs: LogQueue, handler: Handler) -> None:
    def count() -> None:
        handler.emit(logging.makeLogRecord({"msg": "counted"}))

    log.info("one")
    jobs.put(count)
    log.info("two")
    assert jobs.flush(20)
    assert handler.messages == ["one", "counted", "two"]
