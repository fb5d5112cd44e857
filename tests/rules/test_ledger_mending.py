"""A keeper of the ledger that dies at any line of any change is followed by one that can go on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from actors.events import Topic
from actors.protocol import placement
from actors.rules import ledger as ledger_module
from actors.rules.ledger import CONFIG, CONFIRMED, DESIRED, SENT, Ledger

LINE = "o2/a"
GRANTED, SILENT, ASKED, WAITING, REJECTED, NEW, NO_ROOM = (
    Topic("o2", "trades", name)
    for name in ("granted", "silent", "asked", "waiting", "rejected", "new", "no room")
)


def half_way() -> Ledger:
    """One topic in each state."""
    ledger = Ledger()
    for topic in (GRANTED, SILENT, REJECTED, ASKED, WAITING):
        ledger.want(1, topic)
        ledger.place(topic, LINE)
    ledger.want(1, NO_ROOM)
    ledger.refuse(NO_ROOM, "no room")
    ledger.open(LINE, 1)
    sent = ledger.next_batch(LINE, 1, 3)
    ledger.send(LINE, 1, sent, ledger.turn(LINE, 1))
    ledger.confirm(LINE, 1, [GRANTED], assumed=False)
    ledger.reject(LINE, 1, [REJECTED], "no")
    assert ledger.next_batch(LINE, 1, 1) == (ASKED,)
    return ledger


def want_and_place(ledger: Ledger) -> None:
    if ledger.want(1, NEW):
        ledger.place(NEW, LINE)


def want_and_refuse(ledger: Ledger) -> None:
    if ledger.want(1, NEW):
        ledger.refuse(NEW, "no room")


def unwant(topic: Topic) -> Callable[[Ledger], object]:
    return lambda ledger: ledger.unwant(1, topic)


CHANGES: dict[str, Callable[[Ledger], object]] = {
    "want": want_and_place,
    "refuse": want_and_refuse,
    "make room": lambda ledger: ledger.place(NO_ROOM, LINE),
    **{f"unwant {each.key}": unwant(each) for each in (GRANTED, SILENT, ASKED, WAITING, REJECTED, NO_ROOM)},
    "ask": lambda ledger: ledger.next_batch(LINE, 1, 1),
    "send": lambda ledger: ledger.send(LINE, 1, [ASKED], ledger.turn(LINE, 1)),
    "confirm": lambda ledger: ledger.confirm(LINE, 1, [SILENT], assumed=False),
    "reject": lambda ledger: ledger.reject(LINE, 1, [SILENT, GRANTED], "no"),
    "send again": lambda ledger: ledger.resent(LINE, 1, [GRANTED], -1),
    "ask again": lambda ledger: ledger.ask_again(LINE, 1, [REJECTED]),
    "ask once more": lambda ledger: ledger.ask_once_more(LINE, 1, [SILENT]),
    "open": lambda ledger: ledger.open(LINE, 2),
    "close": lambda ledger: ledger.close(LINE, 1),
}


FILES = (ledger_module.__file__, placement.__file__)


class KilledError(Exception):
    """As Python raises in a thread that is asked to end: at any line."""


def die(change: Callable[[Ledger], object], ledger: Ledger, line: int) -> bool:
    """Do this and die at that line of it; whether it has so many."""
    left = line

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename in FILES and event == "line":
            left -= 1
            if left < 0:
                raise KilledError
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        change(ledger)
    except KilledError:
        return True
    finally:
        sys.settrace(former)
    return False


def take_over(ledger: Ledger) -> None:
    """As the registry does."""
    lost, orphans = ledger.mend()
    for topic in lost:
        ledger.place(topic, LINE)
    for topic in orphans:
        ledger.unwant(CONFIG, topic)


def answer_all(ledger: Ledger) -> None:
    """Frames leave, and the venue grants what it is asked for."""
    for epoch in ledger.open_epochs(LINE):
        while ledger.has_more(LINE, epoch):
            ledger.next_batch(LINE, epoch, 2)
        for number, asked in ledger.asking(LINE, epoch).items():
            ledger.send(LINE, epoch, asked, number)
        ledger.confirm(LINE, epoch, ledger.unanswered(LINE, epoch), assumed=False)


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_line_a_keeper_dies_at_the_next_one_goes_on(name: str) -> None:
    change, line = CHANGES[name], 0
    before, after = half_way(), half_way()
    change(after)
    while die(change, ledger := half_way(), line):
        line += 1
        take_over(ledger)
        assert set(ledger.wanted()) in (set(before.wanted()), set(after.wanted()))
        lying = {topic for topic in ledger.wanted() if not ledger.is_refused(topic)}
        assert set(ledger.topics(LINE)) == lying
        assert ledger.numbers(lying).keys() == lying
        for epoch in ledger.open_epochs(LINE):
            assert ledger.settled(LINE, epoch) == (not unsettled(ledger, epoch))
        answer_all(ledger)
        for epoch in ledger.open_epochs(LINE):
            assert ledger.settled(LINE, epoch)
            assert not unsettled(ledger, epoch)
        assert ledger.mend() == ([], [])
    assert line > 0


def unsettled(ledger: Ledger, epoch: int) -> set[Topic]:
    states = ledger._lives[LINE][epoch].states
    assert states.keys() == set(ledger.topics(LINE))
    return {topic for topic, state in states.items() if state in (DESIRED, SENT)}


def test_mending_changes_nothing_where_no_actor_died() -> None:
    ledger = half_way()
    assert ledger.mend() == ([], [])
    assert ledger.wanted() == half_way().wanted()
    assert (ledger.state(GRANTED), ledger.state(SILENT)) == (CONFIRMED, SENT)
    assert ledger.unanswered(LINE, 1) == (SILENT,)
    assert ledger.asking(LINE, 1) == {ledger.turn(LINE, 1): [ASKED]}
    assert ledger.next_batch(LINE, 1, 10) == (WAITING,)
    assert not ledger.settled(LINE, 1)


def test_a_wish_without_a_stream_is_dropped_and_one_that_lies_on_a_line_is_named() -> None:
    ledger = half_way()
    ledger._wants[NEW] = set()  # the keeper died before it wrote who wants it
    ledger._wants[GRANTED].clear()  # ...and before it took it from its line
    assert ledger.mend() == ([], [GRANTED])
    assert NEW not in ledger.wanted()
    assert ledger.unwant(CONFIG, GRANTED) == LINE
    assert ledger.count(GRANTED) == 0


def test_a_topic_on_a_line_without_a_wish_is_named_and_leaves_its_line() -> None:
    ledger = half_way()
    ledger.place(NEW, LINE)  # the former keeper went on while this was copied: the wish is not in the copy
    assert ledger.mend() == ([], [NEW])
    assert ledger.unwant(CONFIG, NEW) == LINE
    assert NEW not in ledger.topics(LINE)
    assert ledger.mend() == ([], [])


def test_a_new_keeper_asks_first_for_the_topics_that_wait_and_then_for_the_refused_ones() -> None:
    ledger = half_way()
    ledger.mend()
    ledger.ask_again(LINE, 1, [REJECTED])
    assert ledger.next_batch(LINE, 1, 10) == (WAITING, REJECTED)
