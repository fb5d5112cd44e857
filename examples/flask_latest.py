"""A Flask page with the latest trade of each market. A handler keeps the trades; plain views serve them.

    python examples/flask_latest.py                              # serves, asks itself once, and ends
    flask --app examples/flask_latest.py run --debug             # serves until Ctrl-C, and reloads
    curl http://127.0.0.1:5000/latest/0xbeef

The runtime starts at the first request, not at import. So it starts only in a process that serves
requests: not in the reloader's parent, which imports this file too, and not in gunicorn's master,
whose forked workers would not have its threads.
"""

import json
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.request import urlopen

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue
from werkzeug.serving import make_server

import actors
from actors.venues import o2

CONFIG = {"feeds": {"o2": {"venue": "o2", "url": "sim://o2?rate=50"}}}
MARKETS = ("0xbeef", "0xcafe")  # the simulator accepts every id


@dataclass
class Desk:
    """The runtime of this process, which the first request starts, and the latest trades."""

    latest: dict[str, o2.Trade] = field(default_factory=dict)
    runtime: actors.Runtime | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def started(self) -> actors.Runtime:
        with self.lock:  # the first two requests may come at once
            if self.runtime is None:
                self.runtime = actors.start(CONFIG)
                self.runtime.on("o2", o2.TRADES, *MARKETS, handler=self.keep, policy="conflate")
            return self.runtime

    def keep(self, trade: o2.Trade) -> None:
        """Called for each trade, on a thread of its own. To set one key needs no lock."""
        self.latest[trade.market] = trade


app = Flask(__name__)
desk = Desk()


@app.get("/latest/<market>")
def latest(market: str) -> ResponseReturnValue:
    desk.started()
    trade = desk.latest.get(market)
    if trade is None:
        return jsonify(error="no trade yet"), HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "1"}
    return jsonify(market=market, side=trade.side, price=trade.price, quantity=trade.quantity)


@app.get("/health")
def health() -> ResponseReturnValue:
    status = desk.started().status()
    lines = {name: line.state for name, line in status.lines().items()}
    live = status.state == "live"
    return jsonify(lines=lines), HTTPStatus.OK if live else HTTPStatus.SERVICE_UNAVAILABLE


def main() -> None:
    """Serve on a free port of this machine, request each page once, and end."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        desk.started().wait_live(timeout=10.0)
        deadline = time.monotonic() + 10.0
        while MARKETS[0] not in desk.latest and time.monotonic() < deadline:
            time.sleep(0.05)
        for page in ("health", f"latest/{MARKETS[0]}"):
            print(page, get(f"http://127.0.0.1:{server.server_port}/{page}"))
    finally:
        server.shutdown()
        serving.join()
        desk.started().stop()


def get(url: str) -> Any:
    with urlopen(url, timeout=10.0) as answer:  # nosec B310
        return json.load(answer)


if __name__ == "__main__":
    main()
