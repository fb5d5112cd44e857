"""A loop on the asyncio client of `websocket-rs`, which is written in Rust, with a typed decode."""
# mypy: ignore-errors

from __future__ import annotations

import asyncio

from websocket_rs import connect

from benchmarks.clients.raw import DIALOGUES
from benchmarks.clients.tally import Tally, Wanted, wanted


async def main(asked: Wanted) -> None:
    venue = DIALOGUES[asked.shape](asked.address)
    tally = Tally(venue.last(asked.last), asked.timed)
    saw, marks = tally.saw, venue.marks
    async with await connect(venue.url, ssl_context=venue.tls) as socket:
        for message in venue.says:
            socket.send(message)
        for _ in range(venue.passed_over):
            await socket.recv()
        tally.begin()
        async for message in socket:
            for mark in marks(message):
                saw(mark)


asyncio.run(main(wanted()))
