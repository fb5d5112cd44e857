"""A listener on `picows` with a typed decode, on the event loop of asyncio or of uvloop."""
# mypy: ignore-errors

from __future__ import annotations

from picows import WSListener, WSMsgType, ws_connect

from benchmarks.clients.loops import run
from benchmarks.clients.raw import DIALOGUES, Dialogue
from benchmarks.clients.tally import Tally, Wanted, wanted


class Listener(WSListener):
    def __init__(self, venue: Dialogue, tally: Tally) -> None:
        self.venue, self.tally = venue, tally
        self.saw, self.marks = tally.saw, venue.marks
        self.left = venue.passed_over

    def on_ws_connected(self, transport):
        for message in self.venue.says:
            transport.send(WSMsgType.TEXT, message.encode())
        if not self.left:
            self.tally.begin()

    def on_ws_frame(self, transport, frame):
        if self.left:
            self.left -= 1
            if not self.left:
                self.tally.begin()
            return
        for mark in self.marks(frame.get_payload_as_memoryview()):
            self.saw(mark)


async def main(asked: Wanted) -> None:
    venue = DIALOGUES[asked.shape](asked.address)
    tally = Tally(venue.last(asked.last), asked.timed)
    transport, _ = await ws_connect(lambda: Listener(venue, tally), venue.url, ssl_context=venue.tls)
    await transport.wait_disconnected()


run(main, wanted())
