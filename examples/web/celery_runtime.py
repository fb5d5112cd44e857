"""A Celery task that reads the latest price from a runtime in its own worker process.

    celery --workdir examples/web --app celery_runtime worker --concurrency 1
    python examples/web/celery_runtime.py 0xbeef                            # in another terminal

Celery's main process forks the processes of its pool, and threads do not survive a fork. So the runtime is
started in `worker_process_init`, which runs in each process of the pool after the fork. Each of them has a
connection at the venue: with --concurrency 1 there is one. celery_service.py is for several.
"""

import os
import sys

from celery.signals import worker_process_init, worker_process_shutdown
from celery_broker import app

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
runtime: actors.Runtime | None = None


@worker_process_init.connect
def begin(**_: object) -> None:
    global runtime
    runtime = actors.start(CONFIG)


@worker_process_shutdown.connect
def end(**_: object) -> None:
    if runtime is not None:
        runtime.stop()


@app.task(
    name="latest_of_runtime",
    autoretry_for=(actors.StalePriceError,),
    retry_backoff=True,
    max_retries=5,
)
def latest(market: str) -> dict[str, str]:
    assert runtime is not None
    price = runtime.latest("o2", market, max_age=15.0, timeout=0)
    return {"market": price.symbol, "price": str(price.last), "worker": str(os.getpid())}


if __name__ == "__main__":
    print(latest.delay(*sys.argv[1:]).get(timeout=30.0))
