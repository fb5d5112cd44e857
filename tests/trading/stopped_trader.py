"""A program that stands still between head and body of an order, as long as SIGSTOP holds it.

`python -m tests.trading.stopped_trader URL FOLDER SECONDS`: its order has a deadline of so many seconds.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import actors
from actors.wire.send_right import SendRight
from tests.trading.killed_trader import CONTRACT, FIRST_ACCOUNT, config, tell

TAG = "stopped"


def main() -> None:
    url, folder, deadline = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    write = SendRight.write

    def stopping(right: SendRight, *args: Any) -> None:
        if right.used:  # its head has left
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(0.05)  # another thread may take the signal: this one runs on for a moment
        write(right, *args)

    with actors.start(config(url, folder)) as runtime:
        px = runtime.ask("projectx")
        while runtime._requests.settlement.is_under_way("projectx"):
            threading.Event().wait(0.005)
        px.contract(CONTRACT).get(10.0)
        SendRight.write = stopping  # type: ignore[method-assign, assignment]
        outcome = px.place(FIRST_ACCOUNT, CONTRACT, "buy", 1, tag=TAG, deadline=deadline).get(20.0)
        tell(type(outcome).__name__)


if __name__ == "__main__":
    main()
