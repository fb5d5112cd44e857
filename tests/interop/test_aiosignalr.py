"""A hub that others wrote, and the venue of a table on it. What it says, our sessions must stand."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import actors
from actors.errors import SubscribeError
from benchmarks.installs import AIOSIGNALR
from tests.interop.program import Program
from tests.support.runtimes import HEARTBEAT, RESTART, until

TOKEN = "t0ken-c4nary"
TABLE = """
name = "quay"
about = "a hub on aiosignalr"
protocol = "signalr"
url = "https://quay.example/hubs/market"
token = "${token}"
[keys.token]
secret = true
[channels.quotes]
about = "best bid and ask"
key = "contract"
subscribe = { method = "SubscribeQuotes", arguments = ["{key}"] }
unsubscribe = { method = "UnsubscribeQuotes", arguments = ["{key}"] }
[[events]]
target = "Quotes"
channel = "quotes"
each = "[1][*]"
key = "[0]"
"""

NEWS = """
[channels.news]
about = "news"
subscribe = { method = "SubscribeNews" }
[[events]]
target = "News"
channel = "news"
"""


class Quay:
    """The server, in a process of its own."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.port = self.told("listening")

    def told(self, stream: str) -> Any:
        return self.program.hear(stream)["told"]

    def do(self, what: str, *arguments: object) -> None:
        body = json.dumps(arguments).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/do/{what}", body, method="POST")
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).close()


@pytest.fixture(params=["published", "mended"])
def quay(request: pytest.FixtureRequest, sdk_python: Callable[[str], Path]) -> Iterator[Quay]:
    """As it was published it sends JSON in binary frames; mended, in text frames as other servers do.

    Its other defect, headers in MessagePack, concerns nobody who speaks JSON.
    """
    program = Program(sdk_python(AIOSIGNALR), "aiosignalr_server.py", str(request.param), TOKEN)
    try:
        yield Quay(program)
    finally:
        program.end()


Desk = Callable[..., actors.Runtime]


@pytest.fixture
def desk(quay: Quay, tmp_path: Path) -> Iterator[Desk]:
    runtimes = []

    def start(extra: str = "", more: str = "", *, live: bool = True, **feed: Any) -> actors.Runtime:
        (tmp_path / "quay.toml").write_text(extra + TABLE + more)
        table: dict[str, Any] = {"venue": str(tmp_path / "quay.toml"), "token": TOKEN}
        table["url"] = f"ws://127.0.0.1:{quay.port}/hubs/market"
        restart = RESTART | {"slow_initial": 0.05}
        table |= {"restart": restart, "heartbeat": HEARTBEAT, **feed}
        runtimes.append(actors.start({"feeds": {"quay": table}}, wait=10.0 if live else None))
        return runtimes[-1]

    yield start
    for each in runtimes:
        each.stop()


@pytest.mark.parametrize(
    ("extra", "negotiated", "in_query"),
    [("", True, True), ("skip_negotiation = true\n", False, True), ('token_in = "header"\n', True, False)],
)
def test_events_are_heard_by_every_way_in(
    quay: Quay, desk: Desk, extra: str, negotiated: bool, in_query: bool
) -> None:
    runtime = desk(extra)
    quotes = runtime.subscribe("quay", "quotes", "ESZ6", wait=10.0)
    upgrade = quay.told("upgrade")
    assert (bool(upgrade["id"]), upgrade["query"]) == (negotiated, in_query)
    assert quay.told("subscribed") == "ESZ6"
    quay.do("quote", "ESZ6", 6801)
    assert quotes.get(timeout=10.0).data == {"bid": 6801}
    quotes.close()
    assert quay.told("unsubscribed") == "ESZ6"


def test_a_refusal_is_told_in_the_hubs_words(quay: Quay, desk: Desk) -> None:
    runtime = desk()
    with pytest.raises(SubscribeError, match="no such contract"):
        runtime.subscribe("quay", "quotes", "NOPE", wait=10.0)
    _stream = runtime.subscribe("quay", "quotes", "NQZ6", wait=10.0)


def test_a_method_that_the_hub_does_not_know_is_a_refusal(quay: Quay, desk: Desk) -> None:
    runtime = desk(more=NEWS)
    with pytest.raises(SubscribeError, match="SubscribeNews"):
        runtime.subscribe("quay", "news", wait=10.0)


@pytest.mark.parametrize("how", ["close", "drop"])
def test_after_a_loss_everything_comes_back(quay: Quay, desk: Desk, how: str) -> None:
    runtime = desk()
    quotes = runtime.subscribe("quay", "quotes", "ESZ6", wait=10.0)
    first = quay.told("upgrade")["id"]
    quay.told("subscribed")
    quay.do(how)
    assert quay.told("subscribed") == "ESZ6"
    assert quay.told("upgrade")["id"] != first
    quay.do("quote", "ESZ6", 7000)
    assert quotes.get(timeout=10.0).data == {"bid": 7000}
    assert [gap.reason for gap in quotes.gaps] == ["disconnect"]


def test_its_pings_keep_a_connection_alive(quay: Quay, desk: Desk) -> None:
    """It says nothing but pings, five a second; a hub that is silent for a second is given up."""
    runtime = desk("server_timeout = 1.0\nkeep_alive = 0.3\n", heartbeat={"venue_ping_interval": 0.1})
    until(runtime, lambda told: (told.lines()["quay"].live_for_s or 0.0) > 2.0)
    assert runtime.status().lines()["quay"].epoch == 1


def test_a_wrong_token_fails_the_line(quay: Quay, desk: Desk) -> None:
    runtime = desk(live=False, token="another")
    status = until(runtime, lambda told: told.lines()["quay"].state == "failed")
    reason = status.lines()["quay"].reason
    assert reason is not None
    assert reason.code == "http_401"
