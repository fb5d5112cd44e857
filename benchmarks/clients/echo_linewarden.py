"""Round trips on Linewarden: `runtime.send`, and what comes back in a stream."""

from __future__ import annotations

from pathlib import Path

import actors
from benchmarks.clients.echo import message
from benchmarks.clients.tally import Tally, Wanted, wanted

TABLE = str(Path(__file__).with_name("echo.toml"))


def main(asked: Wanted) -> None:
    size = asked.address["size"]
    tally = Tally(asked.last, timed=True)
    feed = {"venue": TABLE, "url": asked.address["url"]}
    with actors.start({"feeds": {"bench": feed}}, wait=10.0) as runtime:
        stream = runtime.subscribe("bench", "messages", "all", wait=10.0)
        tally.begin()
        for number in range(1, asked.last + 1):
            runtime.send("bench", message(number, size))
            tally.saw(stream.get(timeout=10.0).data["n"])


main(wanted())
