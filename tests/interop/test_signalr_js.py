"""SignalR's own client takes the simulated hubs for ASP.NET Core's. What it believes, ours may believe."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.simulators import SimulatedProjectX
from actors.simulators.projectx.payloads import market_arguments, user_arguments
from benchmarks.installs import SIGNALR_JS
from tests.interop.program import Program

CONTRACT, ACCOUNT = "CON.F.US.EP.Z26", 4242
MARKET: list[list[Any]] = [
    [f"SubscribeContract{noun}", CONTRACT] for noun in ("Quotes", "Trades", "MarketDepth")
]
USER: list[list[Any]] = [
    ["SubscribeAccounts"],
    *([f"Subscribe{noun}", ACCOUNT] for noun in ("Orders", "Positions", "Trades")),
]


@pytest.fixture
def projectx() -> Iterator[SimulatedProjectX]:
    with SimulatedProjectX(rate=0, snapshots=False, ping_interval=0.1) as each:
        yield each


Start = Callable[..., Program]


@pytest.fixture
def start(projectx: SimulatedProjectX, node_modules: Callable[..., Path]) -> Iterator[Start]:
    programs = []

    def make(hub: str, *methods: list[Any], how: str = "negotiated", token: str = "") -> Program:
        arguments = [str(node_modules(SIGNALR_JS)), projectx.hub_url(hub), token or projectx.token(), how]
        said = map(json.dumps, methods)
        node = Path(str(shutil.which("node")))
        programs.append(Program(node, "signalr_js_client.js", *arguments, *said, options=()))
        return programs[-1]

    yield make
    for each in programs:
        each.end()


def state(program: Program) -> tuple[str, str | None]:
    heard = program.hear("state")
    return heard["state"], heard["error"]


def granted(program: Program, methods: list[list[Any]]) -> None:
    for method, *_ in methods:
        assert program.hear(method) == {"stream": method, "result": None}


@pytest.mark.parametrize("how", ["negotiated", "direct"])
def test_the_client_hears_the_market(projectx: SimulatedProjectX, start: Start, how: str) -> None:
    program = start("market", *MARKET, how=how)
    assert state(program) == ("connected", None)
    granted(program, MARKET)
    negotiated = [each.path for each in projectx.requests if each.path.endswith("/negotiate")]
    assert len(negotiated) == (how == "negotiated")

    projectx.quote(bestBid=6801.5)
    contract, quote = program.hear("GatewayQuote")["arguments"]
    assert (contract, quote["symbol"], quote["bestBid"]) == (CONTRACT, "F.US.EP", 6801.5)
    assert quote.keys() == {"symbol", "bestBid", "lastUpdated"}
    projectx.trade(price="6802.25", volume=7)
    contract, (trade,) = program.hear("GatewayTrade")["arguments"]
    assert (trade["price"], trade["volume"], trade["symbolId"]) == (6802.25, 7, "F.US.EP")
    projectx.depth(bids=[("6801.00", 3)], asks=[("6803.00", 4)], reset=True)
    contract, rows = program.hear("GatewayDepth")["arguments"]
    assert [(row["type"], row["price"], row["volume"]) for row in rows] == [
        (6, 0, 0),
        (2, 6801, 3),
        (1, 6803, 4),
    ]


@pytest.mark.parametrize("shape", ["object", "action", "list", "several"])
def test_the_client_hears_an_account_in_every_shape(
    projectx: SimulatedProjectX, start: Start, shape: Any
) -> None:
    program = start("user", *USER)
    granted(program, USER)
    order = projectx.order(shape=shape)
    (expected,) = user_arguments(shape, [(1, order)])
    assert plain(program.hear("GatewayUserOrder")["arguments"]) == plain(expected)
    projectx.fill(order["id"])
    for target in ("GatewayUserOrder", "GatewayUserTrade", "GatewayUserPosition", "GatewayUserAccount"):
        assert program.hear(target)["arguments"]


@pytest.mark.parametrize("shape", ["object", "list", "nulls", "data", "data_list"])
@pytest.mark.parametrize("habit", ["", "packed", "fragmented"])
def test_the_client_hears_the_tape_however_it_is_wrapped(
    projectx: SimulatedProjectX, start: Start, shape: Any, habit: str
) -> None:
    if habit:
        projectx.arm(habit)
    program = start("market", *MARKET)
    granted(program, MARKET)
    rows = [projectx.trade(volume=number) for number in (1, 2)]
    for _ in rows:
        program.hear("GatewayTrade")
    projectx.tell_market("trades", CONTRACT, *rows, shape=shape)
    for expected in market_arguments(shape, CONTRACT, rows):
        assert plain(program.hear("GatewayTrade")["arguments"]) == plain(expected)


def test_the_client_hears_a_burst_of_packed_records_in_order(
    projectx: SimulatedProjectX, start: Start
) -> None:
    projectx.packed(100)
    program = start("market", *MARKET)
    granted(program, MARKET)
    projectx.number_trades(CONTRACT, 1000)
    heard = [program.hear("GatewayTrade")["arguments"][1][0]["volume"] for _ in range(1000)]
    assert heard == list(range(1, 1001))


def test_the_client_sees_a_refused_subscription(projectx: SimulatedProjectX, start: Start) -> None:
    program = start(
        "market",
        ["SubscribeContractQuotes", "CON.F.US.NOPE.Z26"],
        ["Heartbeat"],
        ["SubscribeContractTrades", 7],
    )
    assert (
        "HubException: Contract CON.F.US.NOPE.Z26 not found"
        in program.hear("SubscribeContractQuotes")["error"]
    )
    assert "HubException: Method does not exist." in program.hear("Heartbeat")["error"]
    assert "Failed to invoke 'SubscribeContractTrades'" in program.hear("SubscribeContractTrades")["error"]


def test_the_client_answers_the_server(projectx: SimulatedProjectX, start: Start) -> None:
    program = start("user", *USER)
    granted(program, USER)
    projectx.push("user", "Ask", "how are you", id="q1")
    (answer,) = projectx.wait_heard("completion")
    assert answer == {"type": 3, "invocationId": "q1", "result": "heard how are you"}


@pytest.mark.parametrize(
    "fault", ["reset", "hub_close allow_reconnect=true error='see you'", "close code=1011"]
)
def test_the_client_comes_back(projectx: SimulatedProjectX, start: Start, fault: str) -> None:
    program = start("market", *MARKET)
    assert state(program) == ("connected", None)
    granted(program, MARKET)
    projectx.arm(fault)
    assert state(program)[0] == "reconnecting"
    assert state(program) == ("reconnected", None)
    granted(program, MARKET)
    projectx.trade(volume=3)
    assert program.hear("GatewayTrade")["arguments"][1][0]["volume"] == 3


def test_the_client_stays_away_where_reconnecting_is_not_allowed(
    projectx: SimulatedProjectX, start: Start
) -> None:
    program = start("market", *MARKET)
    assert state(program) == ("connected", None)
    projectx.hub_close(error="go away")
    ended, error = state(program)
    assert ended == "closed"
    assert "go away" in str(error)


def test_the_client_notices_a_server_that_says_nothing(projectx: SimulatedProjectX, start: Start) -> None:
    program = start("market", *MARKET, how="hasty")
    assert state(program) == ("connected", None)
    granted(program, MARKET)
    projectx.server_timeout()
    left, error = state(program)
    assert left == "reconnecting"
    assert "Server timeout elapsed" in str(error)
    assert state(program) == ("reconnected", None)


def test_the_client_is_refused_with_an_expired_token(projectx: SimulatedProjectX, start: Start) -> None:
    refused, error = state(start("market", token=projectx.token(life=-1)))
    assert refused == "refused"
    assert "401" in str(error)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("unauthorized", "401"),
        ("handshake_error error='no such luck'", "no such luck"),
        ("negotiate_error error='not today'", "not today"),
        ("legacy", "an ASP.NET SignalR Server"),
        ("refuse status=503", "503"),
    ],
)
def test_the_client_is_refused(projectx: SimulatedProjectX, start: Start, fault: str, words: str) -> None:
    projectx.arm(fault)
    refused, error = state(start("market"))
    assert refused == "refused"
    assert words in str(error)


def test_the_client_is_sent_elsewhere_with_another_token(projectx: SimulatedProjectX, start: Start) -> None:
    projectx.redirect(token=projectx.token(user="other"))
    program = start("market", *MARKET)
    assert state(program) == ("connected", None)
    granted(program, MARKET)


def test_the_client_is_refused_where_its_id_is_over(projectx: SimulatedProjectX, start: Start) -> None:
    projectx.reuse_id()
    refused, error = state(start("market"))
    assert refused == "refused"
    assert error
    assert [each.path for each in projectx.requests][:2] == ["/hubs/market/negotiate", "/hubs/market"]


def plain(told: Any) -> Any:
    """Told in JSON and read again: decimals as floats."""
    return json.loads(json.dumps(told, default=float))
