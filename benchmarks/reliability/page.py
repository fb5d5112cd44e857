"""docs/peers.md: what happened, on which machine, by which command."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.machine import machine
from benchmarks.reliability.peers import PEERS
from benchmarks.report import Table, markdown

PAGE = Path(__file__).parents[2] / "docs" / "peers.md"
COMMAND = "python -m benchmarks reliability"

HEAD = """\
# Side by side: four faults

Linewarden and published libraries of others, in the same four trials. Each library is unmodified, in a
virtualenv of its own, in a program that is written as its documentation shows
(`benchmarks/reliability/clients/`). All talk to simulators on loopback, at 20 numbered events per second.
This page is written by one run of

    {command}

on {date}, which took {minutes:.0f} minutes. All programs run at the same time, each through its trials in
turn.

{machine}

"""

TAIL = """\
## How to read it

- **An outage of 4 s**: the venue stops, and is back on the same port after four seconds. In one trial, every
  connection is reset; in the other, each gets a close frame (1001), as from a server that is shut down. The
  market continues meanwhile, so every program misses the events of that time. The time is from the loss to
  the next event; each program has 25 s for it, from the venue's return on.
- **50 drops**: a TCP reset a second after data has come back; each return may take 25 s, and all of them
  200 s. "20 of 20 in 200 s": it came back each time, and there was no time for more.
- **A mute feed**: the connection stands, pings are answered, no event comes, for 30 s.
- **A handler that raises**: once, at its 20th event; whether there is another event within 10 s.
- **told** lists how the library informed the program: by callback, event, status or the end of its loop, in
  that order. "logged": a warning or worse in Python's logging, which the program itself does not see.
- One run shows one outcome of a race. Where a library depends on what it tries first (the old connection, or
  another negotiation, while the port is closed or open again), an outage of another kind or length may end
  differently: the two outages of signalrcore show how much.

Settings:

- Linewarden counts a life as stable after 0.5 s here (`stable_after`; 10 s by default), because the drops
  come that fast. With its defaults it would wait longer each time, and after more than 20 such lives within
  five minutes it would park the line and probe it once per minute. It notices a mute feed because its config
  contains `stale_after = 5.0` for the topic; without that, silence is not judged.
- signalrcore has `with_automatic_reconnect`, with an interval of one second, sixty times; its program
  subscribes again in `on_reconnect`. pysignalr has its defaults (ten retries); its program subscribes in
  `on_open`, and passes its token in `headers`.
- unicorn-binance-websocket-api gets the simulator's address as `websocket_base_uri`, an option of its own;
  its status is read twice per second.
- alpaca-py and o2-sdk have their defaults. o2-sdk has no handlers; the loop that raises is the program's own.
"""


def write(table: Table, began: float) -> Path:
    """`began` is of the monotonic clock."""
    versions = ", ".join(peer.name for peer in PEERS if peer.package)
    head = HEAD.format(
        command=COMMAND,
        date=time.strftime("%Y-%m-%d"),
        minutes=(time.monotonic() - began) / 60,
        machine="\n".join(f"- {line}" for line in (*machine()[:3], versions)),
    )
    PAGE.write_text(f"{head}{markdown(table)}\n{TAIL}")
    return PAGE
