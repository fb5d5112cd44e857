"""What bare Pykka does not do, and OTP does: mail, death and the keepers of a role."""

from __future__ import annotations

import gc
import logging
import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pykka
import pytest
from pykka._envelope import Envelope

from actors import log_queue
from actors.actor import (
    Actor,
    ActorContext,
    Address,
    Inbox,
    KeptReply,
    Lease,
    Letter,
    Mailbox,
    Roles,
    letter,
    refuse,
)
from actors.diagnostics import DeadLetters
from actors.errors import LinewardenError, RuntimeStopped
from actors.messages import ChildExited, EndConnection
from actors.reasons import Crashed, Retryable, Stopped
from actors.wire.socket_inbox import SocketInbox
from tests.support.virtual_time import VirtualTimers

STOPPED = RuntimeStopped("the test is over")


class Worker(Actor):
    """Does what it is told: calls a function, ends for a reason, or notes a word."""

    def __init__(self, context: ActorContext[Any], heard: queue.SimpleQueue[Any]) -> None:
        super().__init__(context)
        self.heard = heard
        self.cleanups = 0

    def on_receive(self, message: Any) -> Any:
        if callable(message):
            return message(self)
        if not isinstance(message, str):
            return self.unknown(message)
        self.heard.put((self.incarnation, message))
        return f"heard {message}"

    def method(self) -> str:
        raise ValueError("no such thing")

    def cleanup(self) -> None:
        self.cleanups += 1
        self.heard.put((self.incarnation, "cleanup"))


class Theatre:
    """One role, those who play it, and a parent who hears how they ended."""

    def __init__(self) -> None:
        self.roles = Roles(["worker"])
        self.dead_letters = self.roles.dead_letters
        self.mailbox, self.address = self.roles.mailboxes["worker"], self.roles.named("worker")
        self.reports: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.roles.named("supervisor").point(self.reports.put)
        self.heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.played = 0

    def play(self, first: object = "hello", inbox: Inbox | None = None) -> Worker:
        """A new keeper takes the role's mail, unless it has an inbox of its own."""
        self.played += 1
        lease = inbox or self.mailbox.lease(first)
        context = ActorContext("worker", self.played, lease, self.roles, VirtualTimers())
        return Worker(context, self.heard).launch()

    def socket_inbox(self) -> SocketInbox[Letter]:
        return SocketInbox(
            1 << 20, letter, lambda envelope: refuse(envelope, None, "worker", self.dead_letters)
        )

    def report(self) -> Any:
        return self.reports.get(timeout=10).message

    def words(self, count: int) -> list[Any]:
        return [self.heard.get(timeout=10) for _ in range(count)]

    def tell(self, *messages: object) -> None:
        for message in messages:
            self.address.tell(message)

    def why(self) -> list[str]:
        return [letter.why for letter in self.dead_letters.newest()]


@pytest.fixture
def theatre() -> Iterator[Theatre]:
    theatre = Theatre()
    before = set(threading.enumerate())
    yield theatre
    theatre.mailbox.close(STOPPED)
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()
    assert [ref for ref in pykka.ActorRegistry.get_all() if ref.actor_class is Worker] == []


class Door:
    """Keeps an actor in its handler until it is opened."""

    again = True

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self, _: Worker) -> None:
        if self.reached.is_set():  # a second keeper reads it again
            return
        self.reached.set()
        assert self.opened.wait(10)


class Crash:
    """Kills so many keepers; the next one that reads it lives."""

    again = True

    def __init__(self, error: BaseException, times: int = 1) -> None:
        self.error, self.left = error, times

    def __call__(self, _: Worker) -> None:
        if self.left:
            self.left -= 1
            raise self.error


# ── the mail of a role ──────────────────────────────────────────────────────────────────────────


def test_mail_is_kept_between_two_keepers(theatre: Theatre) -> None:
    theatre.play()
    theatre.tell(Crash(ValueError("bug")), "one", "two")
    assert theatre.report().incarnation == 1
    theatre.tell("three")
    theatre.play()
    heard = [word for word in theatre.words(6) if word[1] != "cleanup"]
    assert heard == [(1, "hello"), (2, "hello"), (2, "one"), (2, "two"), (2, "three")]
    assert theatre.dead_letters.count == 0


def test_what_a_keeper_died_of_is_read_once_more(theatre: Theatre) -> None:
    theatre.play()
    for times, dead_letters in ((1, 0), (2, 1)):
        theatre.tell(Crash(ValueError("bug"), times))
        for _ in range(times):
            theatre.report()
            theatre.play()
        theatre.tell("served")
        while theatre.heard.get(timeout=10)[1] != "served":
            pass
        assert theatre.dead_letters.count == dead_letters
    assert theatre.why() == ["two incarnations failed on it"]


def test_a_revoked_keeper_gets_no_mail_and_ends(theatre: Theatre) -> None:
    connector = Door()
    theatre.play()
    theatre.tell(connector, "one", "two")
    assert connector.reached.wait(10)  # wedged
    theatre.play()
    theatre.tell("three")
    assert theatre.words(5) == [(1, "hello"), (2, "hello"), (2, "one"), (2, "two"), (2, "three")]
    connector.opened.set()
    assert theatre.report() == ChildExited("worker", 1, Stopped())
    assert theatre.words(1) == [(1, "cleanup")]


def test_an_ask_waits_for_the_next_keeper(theatre: Theatre) -> None:
    theatre.play()
    theatre.tell(Crash(ValueError("bug")))
    theatre.report()
    answer = theatre.address.ask("still there?")
    theatre.play()
    assert answer.get(timeout=10) == "heard still there?"


def test_a_reader_can_be_stopped_behind_its_mail(theatre: Theatre) -> None:
    theatre.play()
    theatre.tell("one")
    theatre.mailbox.stop_reader()
    assert theatre.report() == ChildExited("worker", 1, Stopped())
    assert theatre.words(3) == [(1, "hello"), (1, "one"), (1, "cleanup")]


def test_mail_order_is_kept_through_many_keepers(theatre: Theatre) -> None:
    """Crashes, revocations and four writers at once; each writer's words come in their order."""

    def write(name: int) -> None:
        for number in range(200):
            theatre.address.tell(f"{name} {number}")
            if number % 50 == 49:
                theatre.address.tell(Crash(ValueError("bug")))

    writers = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    theatre.play()
    for writer in writers:
        writer.start()
    for _ in range(16):
        theatre.report()
        theatre.play()
    for writer in writers:
        writer.join()
    heard: dict[str, list[int]] = {}
    while sum(map(len, heard.values())) < 800:
        _, word = theatre.heard.get(timeout=10)
        name, _, number = word.partition(" ")
        if number:
            heard.setdefault(name, []).append(int(number))
    assert all(numbers == list(range(200)) for numbers in heard.values())


# ── telling and asking the dead ─────────────────────────────────────────────────────────────────


def test_telling_an_empty_role_raises_nothing_and_is_counted() -> None:
    dead_letters = DeadLetters(keep=2)
    nobody = Address("connection/o2", dead_letters)
    for _ in range(5):
        nobody.tell(EndConnection(Stopped()))
    assert dead_letters.count == 5
    assert [(letter.to, letter.message, letter.why) for letter in dead_letters.newest()] == [
        ("connection/o2", "EndConnection", "its actor has ended")
    ] * 2


def test_asking_an_empty_role_fails_at_once() -> None:
    answer = Address("connection/o2", DeadLetters()).ask("anybody?")
    with pytest.raises(pykka.ActorDeadError, match="connection/o2 is gone"):
        answer.get(timeout=0)


def test_telling_a_dead_actor_raises_nothing_and_is_counted(theatre: Theatre) -> None:
    worker = theatre.play(inbox=theatre.socket_inbox())
    worker.actor_ref.tell(Crash(ValueError("bug")))
    theatre.report()
    worker.actor_ref.tell("too late")
    assert theatre.why() == ["its actor has ended"]
    with pytest.raises(pykka.ActorDeadError):
        worker.actor_ref.ask("too late", timeout=10)
    worker.actor_ref.stop(timeout=10)


def test_mail_that_dies_with_a_connection_is_counted(theatre: Theatre) -> None:
    worker, connector = theatre.play(inbox=theatre.socket_inbox()), Door()
    worker.actor_ref.tell(connector)
    assert connector.reached.wait(10)
    worker.actor_ref.tell(Crash(ValueError("bug")))
    worker.actor_ref.tell("unread")
    answer = worker.actor_ref.ask("unread too", block=False)
    connector.opened.set()
    theatre.report()
    assert theatre.why() == ["its actor has ended"]
    with pytest.raises(pykka.ActorDeadError):
        answer.get(timeout=10)


def test_a_message_without_a_handler_is_counted(theatre: Theatre) -> None:
    theatre.play()
    theatre.tell(42, "next")
    assert theatre.words(2) == [(1, "hello"), (1, "next")]
    assert theatre.why() == ["not understood"]


# ── close ───────────────────────────────────────────────────────────────────────────────────────


def test_close_fails_calls_that_wait_and_calls_that_come_later(theatre: Theatre) -> None:
    waiting = theatre.address.ask("before")
    theatre.tell("told before")
    theatre.mailbox.close(STOPPED)
    late = theatre.address.ask("after")
    theatre.tell("told after")
    for answer in (waiting, late):
        with pytest.raises(RuntimeStopped, match="the test is over"):
            answer.get(timeout=0)
    assert theatre.why() == ["its actor has ended"] * 2


def test_close_ends_the_keeper(theatre: Theatre) -> None:
    theatre.play()
    theatre.words(1)
    theatre.mailbox.close(STOPPED)
    assert theatre.report() == ChildExited("worker", 1, Stopped())


# ── failures that nobody reads ──────────────────────────────────────────────────────────────────


def test_an_unread_failing_call_becomes_a_dead_letter(theatre: Theatre) -> None:
    worker = theatre.play()
    answer = worker.actor_ref.proxy().method()
    worker.actor_ref.ask("a later one", timeout=10)  # so the call has been made
    del answer
    gc.collect()
    (letter,) = theatre.dead_letters.newest()
    assert (letter.to, letter.message) == ("worker", "method")
    assert letter.why == "failed with ValueError, and the failure was not read"


def test_a_failing_call_that_was_read_leaves_nothing(theatre: Theatre) -> None:
    answer = theatre.play().actor_ref.proxy().method()
    with pytest.raises(ValueError, match="no such thing"):
        answer.get(timeout=10)
    del answer
    gc.collect()
    assert theatre.dead_letters.count == 0


def test_a_call_that_went_well_needs_no_reader(theatre: Theatre) -> None:
    worker = theatre.play()
    worker.actor_ref.ask("well", block=False)
    worker.actor_ref.ask("a later one", timeout=10)
    gc.collect()
    assert theatre.dead_letters.count == 0


# ── death ───────────────────────────────────────────────────────────────────────────────────────


def test_an_exception_ends_the_actor_with_one_report(theatre: Theatre) -> None:
    worker = theatre.play()
    theatre.tell(Crash(ValueError("bug")))
    assert theatre.report() == ChildExited("worker", 1, Crashed("ValueError: bug"))
    worker.thread.join(10)
    assert theatre.reports.empty()
    assert worker.cleanups == 1
    assert not worker.actor_ref.is_alive()


def test_an_exception_in_an_answer_is_the_askers(theatre: Theatre) -> None:
    theatre.play()
    with pytest.raises(ValueError, match="bug"):
        theatre.address.ask(Crash(ValueError("bug"))).get(timeout=10)
    assert theatre.address.ask("next").get(timeout=10) == "heard next"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_no_exception_of_one_actor_ends_another(theatre: Theatre, error: BaseException) -> None:
    with ExitStack() as stack:
        other = Theatre()
        stack.callback(other.mailbox.close, STOPPED)
        bystander = other.play()
        worker = theatre.play()
        theatre.tell(Crash(error))
        report = theatre.report()
        assert isinstance(report.reason, Crashed)
        assert type(error).__name__ in report.reason.text
        assert worker.cleanups == 1
        assert bystander.actor_ref.ask("still there?", timeout=10) == "heard still there?"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_the_asking_thread_gets_an_answer_and_the_actor_ends(theatre: Theatre, error: BaseException) -> None:
    worker = theatre.play()
    answer = theatre.address.ask(Crash(error))
    with pytest.raises(RuntimeError, match=type(error).__name__):
        answer.get(timeout=10)
    report = theatre.report()
    assert isinstance(report.reason, Crashed)
    assert type(error).__name__ in report.reason.text
    worker.thread.join(10)
    assert worker.cleanups == 1
    assert theatre.reports.empty()


def test_an_actor_may_end_for_a_reason_of_its_own(theatre: Theatre) -> None:
    reason = Retryable("the venue is gone")
    worker = theatre.play()
    theatre.tell(lambda it: it.exit(reason), "unread")
    assert theatre.report() == ChildExited("worker", 1, reason)
    worker.thread.join(10)
    assert theatre.words(2) == [(1, "hello"), (1, "cleanup")]


def test_a_failure_on_the_way_out_cleans_up_once(theatre: Theatre) -> None:
    def run(worker: Worker) -> None:
        worker.exit(Stopped())
        raise ValueError("bug")

    worker = theatre.play()
    theatre.tell(run)
    assert theatre.report() == ChildExited("worker", 1, Crashed("ValueError: bug"))
    worker.thread.join(10)
    assert worker.cleanups == 1


def test_a_log_handler_that_stands_still_delays_no_death(theatre: Theatre) -> None:
    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.put((record.getMessage(), record.exc_text))
            assert go.wait(20)

    told: queue.SimpleQueue[tuple[str, str | None]] = queue.SimpleQueue()
    go, handler = threading.Event(), Handler(level=logging.ERROR)
    pykka_s = logging.getLogger("pykka")
    pykka_s.addHandler(handler)
    theatre.play()
    theatre.tell(Crash(ValueError("bug")))
    assert theatre.report().reason == Crashed("ValueError: bug")
    words, trace = told.get(timeout=10)
    assert words.startswith("Unhandled exception in Worker")
    assert trace is not None
    assert trace.endswith("ValueError: bug")
    go.set()
    pykka_s.removeHandler(handler)
    assert log_queue.flush(20)


def test_a_cleanup_that_fails_hides_nothing(theatre: Theatre, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise OSError("the disk is gone")

    theatre.play().cleanup = fail  # type: ignore[method-assign]
    theatre.tell(Crash(ValueError("bug")))
    assert theatre.report().reason == Crashed("ValueError: bug")
    assert "worker: its cleanup failed." in caplog.text


def test_an_inbox_that_fails_is_a_death_like_any_other(theatre: Theatre) -> None:
    class Torn(Lease):
        def __init__(self, mailbox: Mailbox) -> None:
            self.put = mailbox.put
            self.get = self._fail  # type: ignore[method-assign]

        def _fail(self) -> Any:
            raise OSError("torn")

    worker = theatre.play(inbox=Torn(theatre.mailbox))
    assert theatre.report() == ChildExited("worker", 1, Crashed("OSError: torn"))
    worker.thread.join(10)
    assert worker.cleanups == 1


@pytest.mark.parametrize("kind", ["lease", "socket"])
def test_an_inbox_shows_what_its_reader_does(theatre: Theatre, kind: str) -> None:
    worker, connector = theatre.play(inbox=None if kind == "lease" else theatre.socket_inbox()), Door()
    inbox = worker._inbox
    worker.actor_ref.tell(connector)
    assert connector.reached.wait(10)
    serial = inbox.serial
    assert inbox.busy  # a letter is in hand
    worker.actor_ref.tell("next")
    assert inbox.serial == serial  # mail that comes is no progress
    connector.opened.set()
    while theatre.heard.get(timeout=10)[1] != "next":
        pass
    while inbox.busy:  # until it waits again
        pass
    assert inbox.serial >= serial + 2
    worker.actor_ref.stop(timeout=10)


def test_mail_that_waits_for_a_reader_makes_it_busy(theatre: Theatre) -> None:
    lease, inbox = theatre.mailbox.lease("first"), theatre.socket_inbox()
    lease.get()
    lease.in_hand = None
    assert not lease.busy
    for each in (lease, inbox):
        each.put(Envelope("unread"))
        assert each.busy
    inbox.close()


def test_an_actor_that_gets_no_thread_is_not_registered(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="new thread"):
            theatre.play()
    assert [ref for ref in pykka.ActorRegistry.get_all() if ref.actor_class is Worker] == []


def test_a_socket_on_its_way_to_a_dead_connection_is_refused_not_leaked(theatre: Theatre) -> None:
    closed: list[object] = []

    def refuse_it(envelope: Envelope[Any]) -> None:
        closed.append(envelope.message)
        envelope.message.close()

    worker, connector = theatre.play(inbox=SocketInbox(1 << 20, letter, refuse_it)), Door()
    worker.actor_ref.tell(connector)
    assert connector.reached.wait(10)
    worker.actor_ref.tell(lambda it: it.exit(Stopped()))
    ours, theirs = socket.socketpair()
    worker.actor_ref.tell(ours)
    connector.opened.set()
    theatre.report()
    assert closed == [ours]
    with theirs:
        assert theirs.recv(1) == b""


def test_an_actor_that_was_taken_over_from_gets_what_is_meant_for_its_life() -> None:
    heard: dict[int, list[object]] = {1: [], 2: []}
    address = Address("connection/o2", DeadLetters())
    address.point(lambda envelope: heard[1].append(envelope.message), 1)
    address.point_candidate(lambda envelope: heard[2].append(envelope.message), 2)
    address.promote()
    address.tell("read on", 1)
    address.tell("for whoever plays it")
    address.forget_former()
    address.tell("too late", 1)
    assert heard == {1: ["read on"], 2: ["for whoever plays it"]}


# ── questions belong to the role ────────────────────────────────────────────────────────────────


class Later:
    """A question whose keeper answers later."""

    def __init__(self, *, again: bool) -> None:
        self.again = again
        self.kept: queue.SimpleQueue[KeptReply] = queue.SimpleQueue()

    def __call__(self, worker: Worker) -> str:
        self.kept.put(worker.keep_reply())
        return "not sent"


def test_a_kept_question_is_answered_later(theatre: Theatre) -> None:
    theatre.play()
    later = Later(again=True)
    answer = theatre.address.ask(later)
    kept = later.kept.get(timeout=10)
    assert theatre.address.ask("meanwhile").get(timeout=10) == "heard meanwhile"
    assert kept.open
    kept.set("at last")
    kept.set("and again")
    assert answer.get(timeout=10) == "at last"
    assert not kept.open


def test_a_successor_reads_the_questions_of_its_role_first(theatre: Theatre) -> None:
    theatre.play()
    later = Later(again=True)
    answer = theatre.address.ask(later)
    former = later.kept.get(timeout=10)
    theatre.tell(Crash(ValueError("bug")), "unread")
    theatre.report()
    theatre.play()
    own = later.kept.get(timeout=10)
    heard = [word for word in theatre.words(4) if word[1] != "cleanup"]
    assert heard == [(1, "hello"), (2, "hello"), (2, "unread")]
    former.set("of the past")
    own.set("of the present")
    assert answer.get(timeout=10) == "of the present"


@pytest.mark.parametrize("question", [Later(again=False), Crash(ValueError("bug"), 0)])
def test_an_answered_or_unrepeatable_question_is_not_read_again(theatre: Theatre, question: object) -> None:
    theatre.play()
    answer = theatre.address.ask(question)
    theatre.address.ask("a later one").get(timeout=10)
    theatre.tell(Crash(ValueError("bug")))
    theatre.report()
    theatre.play()
    assert theatre.address.ask("next").get(timeout=10) == "heard next"
    if isinstance(question, Later):
        assert question.kept.qsize() == 1
        with pytest.raises(LinewardenError, match="whether it took effect is unknown"):
            answer.get(timeout=0)


def test_a_question_that_was_given_up_is_forgotten(theatre: Theatre) -> None:
    theatre.play()
    later = Later(again=True)
    answer = theatre.address.ask(later)
    kept = later.kept.get(timeout=10)
    answer.abandon()
    assert not kept.open
    theatre.tell(Crash(ValueError("bug")))
    theatre.report()
    theatre.play()
    assert theatre.address.ask("next").get(timeout=10) == "heard next"
    assert later.kept.empty()


def test_close_fails_a_question_that_a_keeper_holds(theatre: Theatre) -> None:
    theatre.play()
    later = Later(again=True)
    answer = theatre.address.ask(later)
    later.kept.get(timeout=10)
    theatre.mailbox.close(STOPPED)
    with pytest.raises(RuntimeStopped, match="the test is over"):
        answer.get(timeout=0)


def test_a_keeper_that_was_replaced_changes_nothing(theatre: Theatre) -> None:
    connector, changed = Door(), threading.Event()
    connector.again = False

    def change(worker: Worker) -> None:
        connector(worker)
        assert isinstance(worker._inbox, Lease)
        with worker._inbox:
            changed.set()

    theatre.play()
    theatre.tell(change)
    assert connector.reached.wait(10)
    theatre.play()
    connector.opened.set()
    assert theatre.report() == ChildExited("worker", 1, Stopped("the worker has been replaced"))
    assert not changed.is_set()
