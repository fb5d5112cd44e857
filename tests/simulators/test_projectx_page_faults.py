"""How a request to the simulated ProjectX may fail, and what of it happened all the same."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from actors.errors import ConfigError
from actors.simulators import SimulatedProjectX
from actors.simulators.projectx.codes import CODES
from tests.simulators.hub_client import fetch
from tests.simulators.projectx_client import (
    ALICE,
    EP,
    LONG_AGO,
    got,
    on_hub,
    order,
    placed,
    positions,
    post,
    refusal,
    row,
)

LIMIT = 1
ACCOUNT = {"accountId": ALICE}
LISTS = {
    "Account/search": {"onlyActiveAccounts": True},
    "Order/search": ACCOUNT | {"startTimestamp": LONG_AGO},
    "Order/searchOpen": ACCOUNT,
    "Order/v2/query": {"filter": ACCOUNT},
    "Position/searchOpen": ACCOUNT,
    "Trade/search": ACCOUNT | {"startTimestamp": LONG_AGO},
    "Contract/available": {"live": False},
}


@pytest.fixture
def projectx() -> Iterator[SimulatedProjectX]:
    with SimulatedProjectX(rate=0, snapshots=False) as each:
        yield each


def _fetched(
    projectx: SimulatedProjectX, page: str, body: dict[str, Any]
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a page."""
    shown = {"Authorization": f"Bearer {projectx.token()}"}
    return fetch("POST", f"{projectx.http_url}/api/{page}", body, shown)


def raw(projectx: SimulatedProjectX, page: str, body: dict[str, Any]) -> bytes:
    """All bytes that come until the connection ends. Raises ConnectionResetError: it was reset."""
    said = msgspec.json.encode(body)
    head = f"POST /api/{page} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {projectx.token()}\r\n"
    with socket.create_connection(("127.0.0.1", projectx.port), timeout=5) as plain:
        plain.sendall(f"{head}Content-Length: {len(said)}\r\n\r\n".encode() + said)
        came = b""
        while more := plain.recv(65_536):
            came += more
        return came


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize(("fault", "orders"), [("answer_lost", 1), ("request_lost", 0)])
def test_a_connection_ends_without_an_answer(
    projectx: SimulatedProjectX, fault: str, orders: int, reset: bool
) -> None:
    projectx.arm(f"{fault} reset={str(reset).lower()}")
    if reset:
        with pytest.raises(ConnectionResetError):
            raw(projectx, "Order/place", order(customTag="mine"))
    else:
        assert raw(projectx, "Order/place", order(customTag="mine")) == b""
    assert (projectx.seen.asked("mine"), projectx.seen.orders("mine")) == (1, orders)
    assert len(positions(projectx)) == orders
    placed(projectx, customTag="other")  # one request only


def test_a_fault_is_of_a_page_or_of_mutations_or_of_reads_or_of_any(projectx: SimulatedProjectX) -> None:
    projectx.request_lost(page="order/cancel")  # the case of a page does not matter
    projectx.request_lost()
    projectx.refuse_page(status=503, page="reads")
    projectx.refuse_page(status=502)
    assert post(projectx, "Contract/available", {"live": False})[0] == 503
    assert post(projectx, "Contract/available", {"live": False})[0] == 502
    with pytest.raises(ConnectionResetError):
        raw(projectx, "Order/place", order())
    placed(projectx)
    with pytest.raises(ConnectionResetError):
        raw(projectx, "Order/cancel", ACCOUNT | {"orderId": 1})
    with pytest.raises(ValueError, match="no page 'Order/plase'; there is Auth/loginKey"):
        projectx.request_lost(page="Order/plase")
    with pytest.raises(ConfigError, match="kind takes pending or unknown"):
        projectx.arm("pending_code kind=maybe")


def test_logins_are_no_reads(projectx: SimulatedProjectX) -> None:
    login = {"userName": "trader", "apiKey": "hush"}
    projectx.refuse_page(status=503, page="reads")
    projectx.refuse_page(status=504, page="logins")
    assert post(projectx, "Auth/loginKey", login)[0] == 504
    assert post(projectx, "Auth/loginKey", login)[0] == 200
    assert post(projectx, "Contract/available", {"live": False})[0] == 503


def test_an_answer_comes_late_and_the_order_is_there_at_once(projectx: SimulatedProjectX) -> None:
    projectx.answer_late(seconds=0.2)
    begun = time.monotonic()
    asking = threading.Thread(target=placed, args=(projectx,), kwargs={"customTag": "mine"})
    asking.start()
    projectx.wait_for(lambda: projectx.seen.orders("mine"))
    assert projectx.seen.in_flight == 1
    asking.join()
    assert time.monotonic() - begun >= 0.2
    assert projectx.seen.in_flight == 0


@pytest.mark.parametrize("hang_up", [True, False])
def test_a_request_takes_effect_late_though_its_client_is_gone(
    projectx: SimulatedProjectX, hang_up: bool
) -> None:
    projectx.request_late(seconds=0.1, hang_up=hang_up)
    if hang_up:
        with pytest.raises(ConnectionResetError):
            raw(projectx, "Order/place", order(customTag="mine"))
    else:
        said = msgspec.json.encode(order(customTag="mine"))
        head = f"POST /api/Order/place HTTP/1.1\r\nAuthorization: Bearer {projectx.token()}\r\n"
        with socket.create_connection(("127.0.0.1", projectx.port), timeout=5) as plain:
            plain.sendall(f"{head}Content-Length: {len(said)}\r\n\r\n".encode() + said)
            projectx.wait_for(lambda: projectx.seen.in_flight)
    assert projectx.seen.orders("mine") == 0
    projectx.wait_for(lambda: projectx.seen.orders("mine"))


def test_a_client_that_follows_a_redirect_would_place_the_order(projectx: SimulatedProjectX) -> None:
    projectx.redirect_page(page="Order/place")
    status, headers, _ = _fetched(projectx, "Order/place", order(customTag="mine"))
    assert (status, headers["location"]) == (307, "?")
    assert (projectx.seen.asked("mine"), projectx.seen.orders("mine")) == (1, 0)


@pytest.mark.parametrize("effect", [True, False])
def test_an_http_status_leaves_open_what_has_happened(projectx: SimulatedProjectX, effect: bool) -> None:
    projectx.refuse_page(status=500, page="Order/place", effect=effect)
    assert post(projectx, "Order/place", order(customTag="mine"))[0] == 500
    assert projectx.seen.orders("mine") == effect


@pytest.mark.parametrize("kind", ["pending", "unknown"])
@pytest.mark.parametrize("effect", [True, False])
def test_codes_that_leave_open_what_has_happened_are_those_of_the_page(
    projectx: SimulatedProjectX, kind: Any, effect: bool
) -> None:
    placed(projectx, size=9)
    resting = placed(projectx, type=LIMIT, limitPrice=6790)
    asked = {
        "Order/place": order(customTag="mine"),
        "Order/modify": ACCOUNT | {"orderId": resting, "size": 7},
        "Order/cancel": ACCOUNT | {"orderId": resting},
        "Position/partialCloseContract": ACCOUNT | {"contractId": EP, "size": 2},
        "Position/closeContract": ACCOUNT | {"contractId": EP},
    }
    projectx.pending_code(kind=kind, effect=effect, n=len(asked))
    codes = [refusal(projectx, page, body) for page, body in asked.items()]
    expected = {"pending": [6, 4, 4, 7, 6], "unknown": [7, 5, 5, 8, 7]}[kind]
    assert codes == [(code, None) for code in expected]
    assert projectx.seen.orders("mine") == effect
    assert row(projectx, resting)["status"] == (3 if effect else 1)
    assert row(projectx, resting)["size"] == (7 if effect else 1)
    assert positions(projectx) == ([] if effect else [(EP, 1, 9)])


def test_a_mutation_is_refused_to_order(projectx: SimulatedProjectX) -> None:
    projectx.arm("refuse_mutation code=5 text='Outside trading hours.' page=Order/place")
    assert refusal(projectx, "Order/place", order(customTag="mine")) == (5, "Outside trading hours.")
    assert (projectx.seen.asked("mine"), projectx.seen.orders("mine")) == (1, 0)
    placed(projectx)


@pytest.mark.parametrize("kind", ["null", "missing"])
@pytest.mark.parametrize("page", LISTS)
def test_a_list_is_absent_from_a_good_envelope(projectx: SimulatedProjectX, page: str, kind: Any) -> None:
    before = got(projectx, page, LISTS[page])
    projectx.list_absent(kind=kind)
    told = got(projectx, page, LISTS[page])
    rest = {key: value for key, value in before.items() if not isinstance(value, list)}
    lists = before.keys() - rest.keys()
    assert len(lists) == 1
    assert told == rest | (dict.fromkeys(lists) if kind == "null" else {})


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("json", b'{"orderId":98'),
        ("empty", b""),
        ("html", b"<html><body><h1>Bad Gateway</h1></body></html>"),
        ("bare", b'{"hello":"world"}'),
    ],
)
def test_an_answer_is_none(projectx: SimulatedProjectX, kind: Any, body: bytes) -> None:
    projectx.garbage_answer(kind=kind)
    status, _, came = _fetched(projectx, "Order/place", order(customTag="mine"))
    assert (status, came) == (200, body)
    assert projectx.seen.orders("mine") == 1


def test_an_envelope_contradicts_itself(projectx: SimulatedProjectX) -> None:
    projectx.garbage_answer(kind="disagree")
    told = post(projectx, "Order/place", order())[1]
    assert (told["success"], told["errorCode"]) == (True, 2)


def test_an_answer_is_cut_at_any_byte(projectx: SimulatedProjectX) -> None:
    projectx.cut_answer(size=10_000)
    whole = raw(projectx, "Order/place", order())
    for size in (0, 1, 40, len(whole) - 1, -1):
        projectx.cut_answer(size=size)
        came = raw(projectx, "Order/place", order())
        assert len(came) == (size if size >= 0 else len(whole) + size)
        assert whole.startswith(came[:40])
    assert len(projectx.seen.placed) == 6


def test_the_hub_tells_before_or_after_the_answer(projectx: SimulatedProjectX) -> None:
    with on_hub(projectx, "user", "orders") as user:
        projectx.event_first(seconds=0.3)
        asking = threading.Thread(target=placed, args=(projectx,))
        asking.start()
        assert user.hear_push()[0] == "GatewayUserOrder"
        assert projectx.seen.in_flight == 1  # not answered yet
        asking.join()
        user.hear_push()
        projectx.event_late(seconds=0.1)
        begun = time.monotonic()
        placed(projectx)
        assert user.hear_push()[1][0]["status"] == 1
        assert time.monotonic() - begun >= 0.1


def test_an_event_is_lost_while_the_others_and_the_pings_go_on() -> None:
    with (
        SimulatedProjectX(rate=0, snapshots=False, ping_interval=0.02) as projectx,
        on_hub(projectx, "user", "orders", "user_trades") as user,
    ):
        projectx.arm("event_dropped channel=user_trades")
        placed(projectx)
        placed(projectx)
        names = [user.hear_push()[0] for _ in range(5)]
        assert [name.removeprefix("GatewayUser") for name in names] == ["Order"] * 4 + ["Trade"]
        assert user.hear() == {"type": 6}


def test_lists_show_what_was_some_seconds_ago(projectx: SimulatedProjectX) -> None:
    projectx.rest_lag(seconds=0.3)
    begun = time.monotonic()
    id = placed(projectx, type=LIMIT, limitPrice=6790)
    placed(projectx)
    asked = ACCOUNT | {"startTimestamp": LONG_AGO}
    pages = ("Order/search", "Order/searchOpen", "Position/searchOpen", "Trade/search")
    if time.monotonic() - begun < 0.2:
        assert [list(got(projectx, page, asked).values()) for page in pages] == [[[]]] * 4
        assert refusal(projectx, "Order/searchById", ACCOUNT | {"orderId": id})[0] == 1
    projectx.wait_for(lambda: time.monotonic() - begun > 0.6)
    assert [len(next(iter(got(projectx, page, asked).values()))) for page in pages] == [2, 1, 1, 1]
    got(projectx, "Order/cancel", ACCOUNT | {"orderId": id})
    assert row(projectx, id)["status"] == 1
    projectx.heal()
    assert row(projectx, id)["status"] == 3


def test_every_mutation_has_codes_that_leave_open_what_has_happened() -> None:
    """ProjectX, "PlaceOrderErrorCode" and its like: the numbers differ from page to page."""
    ambiguous = {
        page: (codes["pending"], codes["unknown"]) for page, codes in CODES.items() if "pending" in codes
    }
    assert ambiguous == {
        "Order/place": (6, 7),
        "Order/modify": (4, 5),
        "Order/cancel": (4, 5),
        "Position/closeContract": (6, 7),
        "Position/partialCloseContract": (7, 8),
    }
