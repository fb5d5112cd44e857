"""A loop on `websockets` with a typed decode: what a careful author writes without an SDK."""

from __future__ import annotations

import asyncio

from websockets.asyncio.client import connect

from benchmarks.clients.raw import DIALOGUES
from benchmarks.clients.tally import Tally, Wanted, wanted


async def main(asked: Wanted) -> None:
    venue = DIALOGUES[asked.shape](asked.address)
    tally = Tally(venue.last(asked.last), asked.timed)
    saw, marks = tally.saw, venue.marks
    async with connect(venue.url, compression=None, proxy=None, ssl=venue.tls) as socket:
        for message in venue.says:
            await socket.send(message)
        for _ in range(venue.passed_over):
            await socket.recv()
        tally.begin()
        while True:
            for mark in marks(await socket.recv(decode=False)):
                saw(mark)


asyncio.run(main(wanted()))
