"""A read of a look bears the time at which its conversation began, and counts all that it asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from actors.errors import AskFailedError
from actors.http_types import HttpAnswer, HttpRequest
from actors.protocol.conversation import Conversation
from actors.protocol.rest import Call
from actors.rules.account.snapshot import Read
from actors.secret import Secret
from actors.trading.account_look import StampedRead
from actors.trading.request_meter import AUDIT
from actors.trading.requests import Requests

PAGE = HttpRequest("POST", "https://gateway.example/page")


def two_pages(secret: Secret) -> Conversation[str]:
    yield PAGE
    yield PAGE
    return "all"


class Later:
    """Requests whose reads begin when they are waited for, at these times, one after the other."""

    def __init__(self, *times: float, fails: bool = False) -> None:
        self.now, self._times, self._fails = 1.0, times, fails
        self.asked: list[Call[Any]] = []

    def read(self, call: Call[Any], timeout: float) -> Later:
        self.asked.append(call)
        return self

    def get(self) -> object:
        found: Iterator[object] = (self._talk(at) for at in self._times)
        answers = list(found)
        if self._fails:
            raise AskFailedError("feed", "no answer", "lost")
        return answers[-1]

    def _talk(self, at: float) -> object:
        self.now = at
        talk = self.asked[0].converse(Secret("token"))
        next(talk)
        self.now += 100.0  # until the answer comes
        try:
            while True:
                talk.send(HttpAnswer(200, b"{}"))
        except StopIteration as end:
            return end.value


def stamped(later: Later, meter: str = "rest") -> StampedRead[str]:
    return StampedRead(cast(Requests, later), Call("pages", two_pages, meter), lambda: later.now)


def test_its_time_is_that_of_its_first_request_and_not_of_the_question() -> None:
    read = stamped(Later(5.0))
    assert (read.get(), read.count) == (Read(5.0, "all"), 2)


def test_one_that_is_begun_again_bears_the_later_time_and_counts_both() -> None:
    read = stamped(Later(5.0, 300.0))
    assert (read.get(), read.count) == (Read(300.0, "all"), 4)


def test_one_that_fails_says_why_and_is_no_empty_list() -> None:
    found = stamped(Later(5.0, fails=True)).get()
    assert (found.asked, found.answer) == (5.0, None)
    assert "no answer" in found.why


def test_it_counts_in_the_part_of_the_meter_that_looks_may_take() -> None:
    later = Later(5.0)
    stamped(later)
    stamped(later, "bars")
    assert [call.meter for call in later.asked] == [AUDIT, "bars"]
