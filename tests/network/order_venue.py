"""A venue's side of the room that takes orders: a simulated ProjectX, and a relay before it."""

from __future__ import annotations

import json
import socket
import sys

from actors.simulators.projectx import SimulatedProjectX
from tests.network.room import enter
from tests.network.venue import relay, run, say


def main(address: str, channel: socket.socket) -> None:
    enter(address, channel)
    with SimulatedProjectX(rate=0) as simulator:
        say(ports={"ws": relay(simulator.port, None)})
        for line in sys.stdin:
            say(result=simulator.seen.asked(json.loads(line)["tag"]))


if __name__ == "__main__":
    run(main)
