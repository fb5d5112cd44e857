"""A message over `max_message`: its topic is rejected with advice, and the line goes on with the others."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

import actors
from actors.status import Status, TopicStatus
from tests.support.runtimes import line_of, until

TABLE = """
name = "t"
about = "t"
url = "wss://venue.example"
[channels.book]
about = "b"
key = "symbol"
[channels.trades]
about = "t"
key = "symbol"
[subscribe]
send = { sub = "{channel}", of = "{key}" }
[[acks]]
when = { ack = "{any}" }
wire = "ack"
key = "of"
[[events]]
when = { ch = "{any}" }
wire = "ch"
key = "symbol"
data = "rows"
"""
LIMIT = 100_000


class Venue:
    """Acknowledges each subscription. Each book of A begins with a snapshot of `size` bytes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.lives = 0
        self.asked: list[tuple[int, str, str]] = []  # by life

    def __call__(self, connection: ServerConnection) -> None:
        self.lives += 1
        life = self.lives
        try:
            for text in connection:
                wish = json.loads(text)
                channel, key = wish["sub"], wish["of"]
                self.asked.append((life, channel, key))
                connection.send(json.dumps({"ack": channel, "of": key}))
                large = channel == "book" and key == "A"
                rows = "x" * self.size if large else ""
                connection.send(json.dumps({"ch": channel, "symbol": key, "rows": [life, rows]}))
        except ConnectionClosed:
            pass


@pytest.fixture
def venue() -> Venue:
    return Venue(3 * LIMIT)


@pytest.fixture
def server(venue: Venue) -> Iterator[Server]:
    with serve(venue, "127.0.0.1", 0, compression=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def topic(status: Status, name: str) -> TopicStatus:
    return next(each for each in status.lines()["x"].topics if each.topic == name)


def test_the_topic_is_rejected_with_advice_and_the_others_go_on_until_a_person_acts(
    venue: Venue, server: Server, tmp_path: Path
) -> None:
    table = tmp_path / "t.toml"
    table.write_text(TABLE)
    url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
    feed = {
        "venue": str(table),
        "url": url,
        "max_message": LIMIT,
        "restart": {"initial": 0.05, "maximum": 0.1},
    }
    with actors.start({"feeds": {"x": feed}}) as runtime:
        trades = runtime.subscribe("x", "trades", "A")
        other = runtime.subscribe("x", "book", "B")
        until(runtime, lambda status: status.feeds["x"].live)
        large = runtime.subscribe("x", "book", "A")
        until(runtime, lambda status: status.feeds["x"].live and status.lines()["x"].epoch == 2)
        line = line_of(runtime, "x")
        assert line.reason is not None
        assert line.reason.code == "max_message"
        assert "a message of 300" in line.reason.text
        assert "set max_message = 524288 in [feeds.x]" in line.reason.advice
        rejected = topic(runtime.status(), "x/book/A")
        assert rejected.state.state == "rejected"
        assert "max_message" in rejected.state.reason
        assert [wish for life, *wish in venue.asked if life == 2] == [["trades", "A"], ["book", "B"]]
        for stream in (trades, other):
            until(runtime, lambda _, stream=stream: stream.queued >= 2)  # type: ignore[misc]

        venue.size = 10
        runtime.supervisor.restart("x").get(timeout=5)
        until(runtime, lambda status: topic(status, "x/book/A").state.state == "confirmed")
        assert (3, "book", "A") in venue.asked
        until(runtime, lambda _: large.queued >= 1)
