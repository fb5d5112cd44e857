"""A role's mail while its keeper changes, its mailbox closes, and questions are answered."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

import pykka
from msgspec import Struct
from pykka import _threading
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from actors import actor
from actors.actor import Address, Lease, LeaseLostError, Mailbox, Reply
from actors.diagnostics import DeadLetters
from actors.errors import LinewardenError
from tests.support.interleave import Built, explore

WATCHED = (actor, _threading)


class Letter(Struct, frozen=True):
    name: str
    again: bool = True  # harmless to read twice


class State:
    """What a keeper of the role changes."""

    def __init__(self) -> None:
        self.changes: list[str] = []


def opened() -> tuple[Mailbox, Lease]:
    mailbox = Mailbox("role", DeadLetters())
    return mailbox, mailbox.lease(Letter("start"))


def ask(mailbox: Mailbox, letter: Letter) -> Reply:
    reply = Reply()
    mailbox.put(Envelope(letter, reply_to=reply))
    return reply


def outcome(reply: Reply) -> Any:
    """The answer, or the kind of failure."""
    try:
        return reply.get(timeout=0)
    except pykka.Timeout:
        return "open"
    except Exception as error:
        return type(error)


def test_a_letter_is_read_by_the_keeper_or_by_the_next_one() -> None:
    """What a keeper had in hand may be read by both; once it is replaced, it is told to stop."""

    def taking_over() -> Built:
        mailbox, lease = opened()
        for name in "ab":
            mailbox.put(Envelope(Letter(name)))
        in_time: list[str] = []

        def keeper() -> None:
            while not isinstance(letter := lease.get().message, _ActorStop):
                if not lease.revoked:
                    in_time.append(letter.name)

        def supervisor() -> None:
            mailbox.lease(Letter("start again"))

        def check() -> None:
            again = [letter.message.name for letter in actor._drain(mailbox._queue)]
            assert again[0] == "start again"
            assert len(again) == len(set(again))
            assert {*in_time, *again} >= {"a", "b"}

        return [keeper, supervisor], check

    explore(taking_over, *WATCHED)


def test_a_replaced_keeper_changes_nothing() -> None:
    def taking_over() -> Built:
        mailbox, lease = opened()
        state = State()
        seen: list[int] = []

        def keeper() -> None:
            with suppress(LeaseLostError):
                for _ in range(2):
                    with lease:
                        state.changes.append("former")

        def supervisor() -> None:
            following = mailbox.lease(Letter("start again"))
            seen.append(len(state.changes))
            with following:
                state.changes.append("next")

        def check() -> None:
            assert state.changes[seen[0] :] == ["next"]

        return [keeper, supervisor], check

    explore(taking_over, *WATCHED, sys.modules[__name__])


def test_a_question_is_answered_by_its_keeper_or_by_the_next_one() -> None:
    def taking_over() -> Built:
        mailbox, lease = opened()
        reply = ask(mailbox, Letter("?"))
        too_late: list[str] = []

        def answer(lease: Lease, what: str) -> None:
            while not isinstance((letter := lease.get()).message, _ActorStop):
                if letter.reply_to is not None:
                    too_late.extend([what] * lease.revoked)
                    letter.reply_to.set(what)

        def keeper() -> None:
            answer(lease, "former")

        def supervisor() -> None:
            following = mailbox.lease(Letter("start again"))
            mailbox.stop_reader()
            answer(following, "next")

        def check() -> None:
            assert {"former", "next"} - {*too_late} >= {outcome(reply)}
            assert not mailbox._questions

        return [keeper, supervisor], check

    explore(taking_over, *WATCHED)


def test_a_closed_mailbox_fails_each_question() -> None:
    def closing() -> Built:
        mailbox, _ = opened()
        replies: list[Reply] = []

        def asker() -> None:
            replies.extend(ask(mailbox, Letter(name)) for name in "ab")

        def closer() -> None:
            mailbox.close(LinewardenError("over"))

        def check() -> None:
            assert [outcome(reply) for reply in replies] == [LinewardenError, LinewardenError]

        return [asker, closer], check

    explore(closing, *WATCHED)


def test_a_question_to_a_closing_role_is_answered_or_fails() -> None:
    def closing() -> Built:
        mailbox, lease = opened()
        reply = ask(mailbox, Letter("?"))

        def keeper() -> None:
            while not isinstance((letter := lease.get()).message, _ActorStop):
                if letter.reply_to is not None:
                    letter.reply_to.set("answer")

        def closer() -> None:
            mailbox.close(LinewardenError("over"))

        def check() -> None:
            assert outcome(reply) in ("answer", LinewardenError)

        return [keeper, closer], check

    explore(closing, *WATCHED)


def test_a_reply_is_set_once() -> None:
    def answering() -> Built:
        reply = Reply()
        done: list[Reply] = []
        reply.when_done(done.append)
        got: list[object] = []

        def one() -> None:
            reply.set("one")

        def other() -> None:
            reply.fail(LinewardenError())

        def asker() -> None:
            try:
                got.append(reply.get())
            except LinewardenError:
                got.append(LinewardenError)

        def check() -> None:
            assert done == [reply]
            assert got == [outcome(reply)]
            assert got[0] in ("one", LinewardenError)

        return [one, other, asker], check

    explore(answering, *WATCHED)


def test_an_abandoned_question_is_forgotten() -> None:
    def abandoning() -> Built:
        mailbox, lease = opened()
        lease.get()

        def asker() -> None:
            reply = ask(mailbox, Letter("?"))
            reply.abandon()

        def keeper() -> None:
            lease.get().reply_to.set("answer")  # type: ignore[union-attr]

        def check() -> None:
            assert not mailbox._questions

        return [asker, keeper], check

    explore(abandoning, *WATCHED)


def test_a_failure_that_meets_an_abandoned_question_is_no_dead_letter() -> None:
    def abandoning() -> Built:
        reply = Reply()

        def asker() -> None:
            reply.abandon()

        def keeper() -> None:
            reply.fail(LinewardenError())

        def check() -> None:
            assert not reply.open
            assert not reply._unread

        return [asker, keeper], check

    explore(abandoning, *WATCHED)


def test_each_life_of_a_role_hears_what_is_meant_for_it() -> None:
    def promoting() -> Built:
        address = Address("role", DeadLetters())
        lives: dict[int, list[object]] = {1: [], 2: []}
        address.point(lambda letter: lives[1].append(letter.message), 1)
        address.point_candidate(lambda letter: lives[2].append(letter.message), 2)

        def teller() -> None:
            address.tell("first", life=1)
            address.tell("second", life=2)

        def supervisor() -> None:
            address.promote()

        def check() -> None:
            assert lives == {1: ["first"], 2: ["second"]}

        return [teller, supervisor], check

    explore(promoting, *WATCHED)
