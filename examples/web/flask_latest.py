"""The latest price of a market as a Flask page. The runtime is in the process that serves.

    flask --app examples/web/flask_latest.py run --debug
    gunicorn --chdir examples/web --workers 1 --threads 8 flask_latest:app
    curl http://127.0.0.1:5000/latest/0xbeef                     # gunicorn's port is 8000

The first request starts the runtime. So it runs only in a process that serves requests: not in the reloader's
parent, which imports this file, too, and not in gunicorn's master, whose workers would not have its threads.
Each process has a connection at the venue: use one worker with threads. service_latest.py is for several.
"""

import os
import threading
from http import HTTPStatus

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue

import actors

CONFIG = {
    "feeds": {
        "o2": {
            "venue": "o2",
            "url": os.environ.get("O2_URL", "sim://o2?rate=50"),
            "subscribe": [{"channel": "trades", "keys": ["0xbeef", "0xcafe"]}],
        }
    }
}

app = Flask(__name__)
lock = threading.Lock()
runtime: actors.Runtime | None = None


def started() -> actors.Runtime:
    """The runtime of this process; the first caller starts it."""
    global runtime
    with lock:  # the first two requests may come at once
        if runtime is None:
            runtime = actors.start(CONFIG)
        return runtime


@app.get("/latest/<market>")
def latest(market: str) -> ResponseReturnValue:
    price = started().latest("o2", market, max_age=15.0, timeout=0)
    return jsonify(market=price.symbol, price=str(price.last), age=price.trade_age)


@app.get("/health")
def health() -> ResponseReturnValue:
    status = started().status()
    lines = {name: line.state for name, line in status.lines().items()}
    return jsonify(lines=lines), HTTPStatus.OK if status.state == "live" else HTTPStatus.SERVICE_UNAVAILABLE


@app.errorhandler(actors.StalePriceError)
def not_now(error: actors.StalePriceError) -> ResponseReturnValue:
    return jsonify(error=str(error)), HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "1"}
