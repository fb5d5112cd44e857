"""What a program has yet to be told of the restores of lines, from their states."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors.events import Gap, Lifecycle, LifecycleState, Received, Restored, Topic
from actors.rules.restorations import DOWN, Restorations


class Lines:
    """States of lines, one each second."""

    def __init__(self) -> None:
        self.restorations = Restorations()
        self.now_ns = 0
        self.live = True  # whatever was dropped

    def say(self, *states: LifecycleState, line: str = "a", reason: str = "") -> None:
        for state in states:
            self.now_ns += 10**9
            told = Lifecycle(line, state, 7, 1, reason, self.now_ns)
            self.restorations.take(Received(Topic("feed", "lifecycle", line), self.now_ns, 7, told))

    def lose_words(self, line: str = "a") -> None:
        topic = Topic("feed", "lifecycle", line)
        self.restorations.take(Gap(topic, "overflow", 3, self.now_ns, self.now_ns + 10**9, 7))

    def told(self) -> list[Restored]:
        found = []
        while (restored := self.restorations.next(lambda _: self.live)) is not None:
            found.append(restored)
        return found


def seconds(restored: Restored) -> tuple[str, float, int]:
    return restored.line, restored.outage_s, restored.losses


def test_a_line_is_told_of_when_it_is_live_again_and_not_at_first() -> None:
    lines = Lines()
    lines.say("connecting", "reconnecting", "failed", "connecting", "connected")
    assert lines.told() == []
    lines.say("disconnected", reason="reset")
    lines.say("reconnecting", reason="refused")
    assert lines.told() == []
    lines.say("restored")
    assert lines.told() == [Restored("feed", "a", 7, 6 * 10**9, 8 * 10**9, 1, "reset")]
    assert lines.told() == []


def test_restores_that_were_not_told_are_one_from_the_first_loss_on() -> None:
    lines = Lines()
    lines.say("connected", *("disconnected", "restored") * 3)
    assert [seconds(each) for each in lines.told()] == [("a", 5.0, 3)]
    lines.say("disconnected", "restored")
    assert [seconds(each) for each in lines.told()] == [("a", 1.0, 1)]


def test_a_restore_whose_line_was_lost_again_waits_for_the_next() -> None:
    lines = Lines()
    lines.say("connected", "disconnected", "restored", "disconnected")
    assert lines.told() == []
    lines.say("failed", "connecting", "restored")
    assert [seconds(each) for each in lines.told()] == [("a", 5.0, 2)]


def test_each_line_is_told_of_the_first_restored_first() -> None:
    lines = Lines()
    for line in ("a", "b"):
        lines.say("connected", "disconnected", line=line)
    lines.say("restored", line="b")
    lines.say("restored", line="a")
    assert [each.line for each in lines.told()] == ["b", "a"]


def test_a_line_that_is_down_when_it_is_followed_is_told_of_if_it_was_live_before() -> None:
    lines = Lines()
    lines.say("reconnecting", "restored")
    assert [seconds(each) for each in lines.told()] == [("a", 1.0, 1)]
    lines.say("restored")  # a stream that begins with it, of a line that is up
    assert lines.told() == []


def test_a_pause_is_a_loss() -> None:
    lines = Lines()
    lines.say("connected", "disconnected", "paused", "connecting", "restored")
    assert [seconds(each) for each in lines.told()] == [("a", 3.0, 1)]


def test_states_that_were_dropped_count_as_a_loss_and_a_restore() -> None:
    lines = Lines()
    lines.say("connected")
    lines.lose_words()
    assert [seconds(each) for each in lines.told()] == [("a", 1.0, 1)]
    lines.say("restored")  # what came before it is not known
    assert [seconds(each) for each in lines.told()] == [("a", 0.0, 1)]
    lines.lose_words()
    lines.say("disconnected")
    assert lines.told() == []
    lines.say("restored")
    assert [each.losses for each in lines.told()] == [1]


def test_a_line_that_is_not_live_when_its_states_were_dropped_is_told_of_once_it_is() -> None:
    lines = Lines()
    lines.say("connected", "disconnected", reason="reset")
    lines.lose_words()
    lines.live = False
    assert lines.told() == []
    lines.say("connecting")
    assert lines.told() == []
    lines.live = True
    lines.say("restored")
    assert [seconds(each) for each in lines.told()] == [("a", 2.0, 2)]
    assert lines.told() == []


STATES = st.sampled_from(("connecting", "connected", "restored", *DOWN))
TELL, DROP = "tell", "drop"


@given(st.lists(STATES | st.sampled_from((TELL, DROP))))
def test_whatever_happens_a_line_that_was_restored_after_a_loss_is_told_of(happened: list[Any]) -> None:
    lines = Lines()
    lost = due = False
    for each in happened:
        if each == TELL:
            assert bool(lines.told()) == due
            due = False
        elif each == DROP:
            lines.lose_words()
            lost = due = True
        else:
            lines.say(each)
            due = (due and each == "connecting") or (each == "restored" and (lost or due))
            lost = each in DOWN or (lost and each == "connecting")
    assert bool(lines.told()) == due
