from __future__ import annotations

import msgspec
import pytest
from msgspec import structs

from actors.events import Freshness
from actors.service import status_json
from actors.service.responses import to_json
from actors.status import FeedStatus, Status
from tests.cli.statuses import line, status, topic

ODD = '"\\\x00\x1b\u202e'  # in names, too


def many(topics: int) -> Status:
    rows = tuple(topic(f"o2/trades/{number}{ODD}", "confirmed") for number in range(topics))
    lines = {f"a{ODD}": line(topics=rows), "b": line(), "c": line(topics=rows[:1])}
    untrusted = {row.topic: Freshness("unknown", "no_event", text=ODD) for row in rows}
    feeds = {"o2": FeedStatus("o2", live=True, lines=lines), f"none{ODD}": FeedStatus("o2", True, {})}
    return structs.replace(status(), feeds=feeds, untrusted=untrusted)


@pytest.mark.parametrize("topics", [0, 1, 2, 3, 4, 5, 9])
def test_the_pieces_are_the_whole(topics: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_json, "AT_ONCE", 2)
    found = many(topics)
    written = status_json.status_json(found)
    assert written == to_json(found)
    assert msgspec.json.decode(written, type=Status) == found


def test_other_threads_run_after_each_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[None] = []
    monkeypatch.setattr(status_json, "give_way", lambda: given.append(None))
    status_json.status_json(many(1_000))
    assert (
        len(given) == 2 * 1_000 / status_json.AT_ONCE + 1
    )  # of both lists of topics, and of the line with one
