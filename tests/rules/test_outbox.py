"""Frames leave in their order, control frames first, and what follows them follows them."""

from __future__ import annotations

from actors.protocol.limits import FrameLimit
from actors.rules.frame_budget import JITTER, FrameBudget
from actors.rules.outbox import MOST_CONTROL, Outbox


def leaving(outbox: Outbox, now: float) -> list[bytes]:
    """What leaves at this moment; calls are made."""
    frames = []
    while (item := outbox.take(now)) is not None:
        if isinstance(item, bytes):
            frames.append(item)
        else:
            item()
    return frames


def test_without_a_limit_all_leaves_at_once() -> None:
    outbox = Outbox(FrameBudget([]))
    done: list[int] = []
    outbox.put(b"a")
    outbox.then(lambda: done.append(1))
    outbox.put(b"b")
    assert leaving(outbox, 0.0) == [b"a", b"b"]
    assert done == [1]
    assert outbox.is_empty
    assert outbox.size == 0


def test_what_follows_waits_for_the_frames_before_it() -> None:
    outbox = Outbox(FrameBudget([FrameLimit(1, 1.0)]))
    done: list[int] = []
    outbox.put(b"a")
    outbox.put(b"b")
    outbox.then(lambda: done.append(1))
    assert leaving(outbox, 0.0) == [b"a"]
    assert not done
    assert outbox.next_in(0.0) == 1.0 + JITTER
    assert leaving(outbox, 1.0 + JITTER) == [b"b"]
    assert done == [1]


def test_control_frames_overtake_and_the_newest_of_a_kind_leaves() -> None:
    outbox = Outbox(FrameBudget([FrameLimit(3, 1.0)]))
    for frame in (b"a", b"b", b"c"):
        outbox.put(frame)
    assert leaving(outbox, 0.0) == [b"a", b"b"]
    outbox.put_control("pong", b"1")
    assert leaving(outbox, 0.0) == [b"1"]
    outbox.put_control("pong", b"2")
    outbox.put_control("ping", b"beat")
    outbox.put_control("pong", b"3")
    assert outbox.size == len(b"c" + b"3" + b"beat")
    assert leaving(outbox, 0.5) == []
    assert leaving(outbox, 2.0) == [b"3", b"beat", b"c"]


def test_limits_may_change_while_frames_wait() -> None:
    outbox = Outbox(FrameBudget([FrameLimit(1, 1.0)]))
    for frame in (b"a", b"b", b"c"):
        outbox.put(frame)
    assert leaving(outbox, 0.0) == [b"a"]
    outbox.take_limits([])
    assert leaving(outbox, 0.0) == [b"b", b"c"]


def test_of_a_flood_of_control_frames_the_newest_wait() -> None:
    outbox = Outbox(FrameBudget([FrameLimit(1, 1.0)]))
    outbox.put(b"a")
    assert leaving(outbox, 0.0) == [b"a"]
    for number in range(100):
        outbox.put_control(number, b"%d" % number)
    assert outbox.size == MOST_CONTROL * 2
    left = [frame for second in range(2, 60, 2) for frame in leaving(outbox, float(second))]
    assert left == [b"%d" % number for number in range(100 - MOST_CONTROL, 100)]
    assert outbox.size == 0
