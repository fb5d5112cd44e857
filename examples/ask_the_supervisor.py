"""Asks the supervisor through its proxy for the status, and pauses, resumes and restarts lines.

    python examples/ask_the_supervisor.py

Two feeds run against markets simulated inside this process. Each call of the proxy returns a future at
once; `get(timeout=...)` waits for its answer. "accepted" is not yet "done": the streams show when.
"""

import actors
from actors.events import LifecycleState
from actors.venues import o2

CONFIG = {
    "feeds": {
        "left": {"venue": "o2", "url": "sim://o2?seed=1"},
        "right": {"venue": "o2", "url": "sim://o2?seed=2"},
    },
}
MARKET = "0xbeef"  # the simulator accepts every id
WAIT = 10.0  # seconds


def main() -> None:
    with actors.start(CONFIG, wait=WAIT) as runtime:
        supervisor = runtime.supervisor
        left, right = (runtime.subscribe(feed, o2.TRADES, MARKET, wait=WAIT) for feed in ("left", "right"))
        show(runtime.status())

        print("pause left:", supervisor.pause("left").get(timeout=WAIT))
        read_until("paused", left)
        show(supervisor.status().get(timeout=WAIT))  # the same as runtime.status()

        print("resume left:", supervisor.resume("left").get(timeout=WAIT))
        read_until("restored", left)

        print("restart both:")
        futures = [supervisor.restart(feed) for feed in ("left", "right")]  # asked at once
        print("  answers:", [future.get(timeout=WAIT) for future in futures])
        read_until("restored", left)
        read_until("restored", right)
        runtime.wait_live(timeout=WAIT)
        show(runtime.status())

        try:
            supervisor.restart("rigth").get(timeout=WAIT)
        except actors.LinewardenError as error:
            print("restart rigth:", error)


def show(status: actors.Status) -> None:
    print("status:")
    for name, line in status.lines().items():
        print(f"  {name:<5} {line.state:<6} life {line.epoch}, health {line.health.score}")


def read_until(state: LifecycleState, trades: actors.Stream[o2.Trade]) -> None:
    """Read until the line under this stream is in that state."""
    for item in trades.with_markers():
        if isinstance(item, actors.Lifecycle):
            print(f"  {item.line} is {item.state}")
            if item.state == state:
                break


if __name__ == "__main__":
    main()
