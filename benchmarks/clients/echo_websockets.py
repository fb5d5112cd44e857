"""Round trips on `websockets`."""

from __future__ import annotations

import asyncio

from websockets.asyncio.client import connect

from benchmarks.clients.echo import message, number_of
from benchmarks.clients.tally import Tally, Wanted, wanted


async def main(asked: Wanted) -> None:
    size = asked.address["size"]
    tally = Tally(asked.last, timed=True)
    async with connect(asked.address["url"], compression=None, proxy=None) as socket:
        tally.begin()
        for number in range(1, asked.last + 1):
            await socket.send(message(number, size))
            tally.saw(number_of(await socket.recv(decode=False)))


asyncio.run(main(wanted()))
