from __future__ import annotations

import pytest

from actors.display.text import span, times
from actors.protocol.formatting import counted


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0.0 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (60, "1 m"),
        (3_599, "59 m"),
        (3_600, "1 h 0 m"),
        (1e6, "11 d 13 h"),
    ],
)
def test_how_long_is_said_in_two_words(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_one_is_no_plural() -> None:
    assert [counted(number, "line") for number in (0, 1, 1_200)] == ["0 lines", "1 line", "1,200 lines"]
    assert [times(number) for number in (0, 1, 2, 1_200)] == ["never", "once", "twice", "1,200 times"]
