"""Round trips on `picows`, on the event loop of asyncio or of uvloop."""
# mypy: ignore-errors

from __future__ import annotations

from picows import WSListener, WSMsgType, ws_connect

from benchmarks.clients.echo import message, number_of
from benchmarks.clients.loops import run
from benchmarks.clients.tally import Tally, Wanted, wanted


class Listener(WSListener):
    def __init__(self, asked: Wanted) -> None:
        self.last, self.size = asked.last, asked.address["size"]
        self.tally = Tally(asked.last, timed=True)

    def on_ws_connected(self, transport):
        self.tally.begin()
        transport.send(WSMsgType.TEXT, message(1, self.size).encode())

    def on_ws_frame(self, transport, frame):
        number = number_of(frame.get_payload_as_memoryview())
        self.tally.saw(number)
        transport.send(WSMsgType.TEXT, message(number + 1, self.size).encode())


async def main(asked: Wanted) -> None:
    transport, _ = await ws_connect(lambda: Listener(asked), asked.address["url"])
    await transport.wait_disconnected()


run(main, wanted())
