"""The latest price of a market as a Django view, in a project of one file.

    python examples/web/django_latest.py runserver
    gunicorn --chdir examples/web --workers 1 --threads 8 django_latest:application
    curl http://127.0.0.1:8000/latest/0xbeef

As in flask_latest.py, the first request starts the runtime, so the parent of runserver's reloader has none.
For several workers put an `actors.ServiceClient` in the place of `started()`, as in service_latest.py.
"""

import os
import sys
import threading

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.management.utils import get_random_secret_key
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

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

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY") or get_random_secret_key(),
)
lock = threading.Lock()
runtime: actors.Runtime | None = None


def started() -> actors.Runtime:
    """The runtime of this process; the first caller starts it."""
    global runtime
    with lock:  # the first two requests may come at once
        if runtime is None:
            runtime = actors.start(CONFIG)
        return runtime


def latest(request: HttpRequest, market: str) -> JsonResponse:
    try:
        price = started().latest("o2", market, max_age=15.0, timeout=0)
    except actors.StalePriceError as error:
        return JsonResponse({"error": str(error)}, status=503, headers={"Retry-After": "1"})
    return JsonResponse({"market": price.symbol, "price": str(price.last), "age": price.trade_age})


urlpatterns = [path("latest/<str:market>", latest)]
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
