from __future__ import annotations

import threading
from functools import partial

from actors.service.in_turn import InTurn


def test_work_is_done_one_piece_at_a_time_in_its_order_and_to_the_end() -> None:
    turn, done = InTurn("service/test"), list[tuple[int, str]]()

    def note(number: int) -> None:
        done.append((number, threading.current_thread().name))

    for number in range(100):
        turn.put(partial(note, number))
    turn.stop()
    turn.start()
    turn.thread.join(50.0)
    assert done == [(number, "service/test") for number in range(100)]
    assert not turn.thread.is_alive()
