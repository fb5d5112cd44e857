"""A loop on the synchronous client of `websocket-rs`, which is written in Rust, with a typed decode."""
# mypy: ignore-errors

from __future__ import annotations

from functools import partial

from websocket_rs.sync.client import connect

from benchmarks.clients.raw import DIALOGUES, Dialogue
from benchmarks.clients.tally import Tally, Wanted, wanted


def marks_of_text(venue: Dialogue, text: str) -> list:
    """A hub's records are cut out of bytes, and this client gives text."""
    return venue.marks(text.encode())


def main(asked: Wanted) -> None:
    venue = DIALOGUES[asked.shape](asked.address)
    tally = Tally(venue.last(asked.last), asked.timed)
    saw, marks = tally.saw, venue.marks
    if asked.shape.startswith("projectx"):
        marks = partial(marks_of_text, venue)
    with connect(venue.url, receive_timeout=60.0) as socket:
        for message in venue.says:
            socket.send(message)
        for _ in range(venue.passed_over):
            socket.recv()
        tally.begin()
        while True:
            for mark in marks(socket.recv()):
                saw(mark)


main(wanted())
