"""Round trips on `ws4py`: the next message is sent in the method that is called with one."""
# mypy: ignore-errors

from __future__ import annotations

from ws4py.client.threadedclient import WebSocketClient

from benchmarks.clients.echo import message, number_of
from benchmarks.clients.tally import Tally, Wanted, wanted


class Client(WebSocketClient):
    def __init__(self, asked: Wanted) -> None:
        super().__init__(asked.address["url"])
        self.size = asked.address["size"]
        self.tally = Tally(asked.last, timed=True)

    def opened(self):
        self.tally.begin()
        self.send(message(1, self.size))

    def received_message(self, told):
        number = number_of(told.data)
        self.tally.saw(number)
        self.send(message(number + 1, self.size))


client = Client(wanted())
client.connect()
client.run_forever()
