"""A program on tpluspy, in its own virtualenv, asks a Linewarden service for prices before it would act."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import actors
from actors.service import Service
from actors.settings import ServiceSettings
from benchmarks.installs import TPLUSPY

PROGRAM = """
import json, sys
import httpx
from tplus.client import OrderBookClient  # whose orders it would place
with httpx.Client(transport=httpx.HTTPTransport(uds=sys.argv[1]), base_url="http://localhost") as client:
    told = [client.get(path) for path in sys.argv[2:]]
print(json.dumps([[each.status_code, each.json()] for each in told]))
"""


def test_a_program_on_the_sdk_asks_a_service_for_price_book_and_freshness(
    sdk_python: Callable[[str], Path],
) -> None:
    wanted = [{"channel": each, "keys": [200], "stale_after": 30} for each in ("depth", "ticker")]
    feed = {"venue": "tplus", "url": "sim://tplus?rate=50", "subscribe": wanted}
    paths = ["/latest/tplus/200?max_age=20", "/book/tplus/200?wait=5", "/fresh/tplus/depth/200"]
    with (
        actors.start({"feeds": {"tplus": feed}}, wait=30) as runtime,
        Service(runtime, ServiceSettings()) as service,
    ):
        runtime.latest("tplus", 200, timeout=20)
        ran = subprocess.run(
            [sdk_python(TPLUSPY), "-I", "-c", PROGRAM, service.url.removeprefix("unix:"), *paths],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
    latest, book, fresh = json.loads(ran.stdout)
    assert [latest[0], book[0], fresh[0]] == [200] * 3
    assert float(latest[1]["bid"]) < float(latest[1]["ask"])
    assert book[1]["state"] == "synced"
    assert fresh[1]["fresh"] is True
