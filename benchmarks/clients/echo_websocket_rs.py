"""Round trips on the synchronous client of `websocket-rs`."""
# mypy: ignore-errors

from __future__ import annotations

from websocket_rs.sync.client import connect

from benchmarks.clients.echo import message, number_of
from benchmarks.clients.tally import Tally, Wanted, wanted


def main(asked: Wanted) -> None:
    size = asked.address["size"]
    tally = Tally(asked.last, timed=True)
    with connect(asked.address["url"]) as socket:
        tally.begin()
        for number in range(1, asked.last + 1):
            socket.send(message(number, size))
            tally.saw(number_of(socket.recv()))


main(wanted())
