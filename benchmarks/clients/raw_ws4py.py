"""A client on `ws4py` with a typed decode: its method is called in the thread that reads."""
# mypy: ignore-errors

from __future__ import annotations

import ssl

from ws4py.client.threadedclient import WebSocketClient

from benchmarks.clients.raw import DIALOGUES, Dialogue
from benchmarks.clients.tally import Tally, Wanted, wanted


class Client(WebSocketClient):
    def __init__(self, venue: Dialogue, tally: Tally, ca_file: str | None) -> None:
        super().__init__(venue.url, ssl_options={"ca_certs": ca_file, "cert_reqs": ssl.CERT_REQUIRED})
        self.venue, self.tally = venue, tally
        self.left = venue.passed_over

    def opened(self):
        for message in self.venue.says:
            self.send(message)
        if not self.left:
            self.tally.begin()

    def received_message(self, message):
        if self.left:
            self.left -= 1
            if not self.left:
                self.tally.begin()
            return
        for mark in self.venue.marks(message.data):
            self.tally.saw(mark)


def main(asked: Wanted) -> None:
    venue = DIALOGUES[asked.shape](asked.address)
    client = Client(venue, Tally(venue.last(asked.last), asked.timed), asked.address.get("ca_file"))
    client.connect()
    client.run_forever()


main(wanted())
