"""The same page for several gunicorn workers, which ask one service: one connection at the venue.

    linewarden run examples/web/service.toml
    gunicorn --config examples/web/gunicorn.conf.py service_latest:app      # in another terminal
    curl http://127.0.0.1:8000/latest/0xbeef

A worker has no runtime and no thread of Linewarden's, so it may be forked, killed and started at any time.
"""

import os
from http import HTTPStatus

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue

import actors

app = Flask(__name__)
service = actors.ServiceClient(timeout=2.0)  # it opens nothing; each call finds the service of this machine


@app.get("/latest/<market>")
def latest(market: str) -> ResponseReturnValue:
    price = service.latest("o2", market, max_age=15.0, timeout=0)
    return jsonify(market=price.symbol, price=str(price.last), age=price.trade_age, worker=os.getpid())


@app.get("/book/<market>")
def book(market: str) -> ResponseReturnValue:
    view = service.book("o2", market, depth=1, wait=1.0)
    return jsonify(bid=view.best_bid, ask=view.best_ask, worker=os.getpid())


@app.errorhandler(actors.ServiceDeclinedError)
def declined(error: actors.ServiceDeclinedError) -> ResponseReturnValue:
    if error.status not in {400, 404}:
        raise error  # a mistake of ours, such as another token: a 500, and the reason is in the log
    return jsonify(error="no such market"), HTTPStatus.NOT_FOUND  # the visitor has named it


@app.errorhandler(actors.StalePriceError)
@app.errorhandler(actors.ServiceUnreachableError)
@app.errorhandler(actors.Timeout)
def not_now(error: actors.LinewardenError) -> ResponseReturnValue:
    return jsonify(error=str(error)), HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "1"}
