"""Round trips on the asyncio client of `websocket-rs`."""
# mypy: ignore-errors

from __future__ import annotations

import asyncio

from websocket_rs import connect

from benchmarks.clients.echo import message, number_of
from benchmarks.clients.tally import Tally, Wanted, wanted


async def main(asked: Wanted) -> None:
    size = asked.address["size"]
    tally = Tally(asked.last, timed=True)
    async with await connect(asked.address["url"]) as socket:
        tally.begin()
        for number in range(1, asked.last + 1):
            socket.send(message(number, size))
            tally.saw(number_of(await socket.recv()))


asyncio.run(main(wanted()))
