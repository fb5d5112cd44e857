"""A Celery task that reads the latest price from a service: any pool, any number of worker processes.

    linewarden run examples/web/service.toml
    celery --workdir examples/web --app celery_service worker --concurrency 4      # in another terminal
    python examples/web/celery_service.py 0xbeef                                   # in a third one

The price is looked up when the task runs, not when it is sent. While there is none, it is tried again later.
"""

import os
import sys

from celery_broker import app

import actors

service = actors.ServiceClient(timeout=2.0)  # it opens nothing, so the pool may fork it


@app.task(
    name="latest",
    autoretry_for=(actors.StalePriceError, actors.ServiceUnreachableError),
    retry_backoff=True,
    max_retries=5,
)
def latest(market: str) -> dict[str, str]:
    """The price as text: a result is JSON, which has no Decimal."""
    price = service.latest("o2", market, max_age=15.0, timeout=0)
    return {"market": price.symbol, "price": str(price.last), "worker": str(os.getpid())}


if __name__ == "__main__":
    print(latest.delay(*sys.argv[1:]).get(timeout=30.0))
