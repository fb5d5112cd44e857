"""What a test learns of the requests to a simulated ProjectX, and how many of them it takes."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import msgspec
import pytest

from actors.simulators import SimulatedProjectX
from tests.simulators.hub_client import fetch
from tests.simulators.projectx_client import ALICE, BOB, EP, got, order, placed, post, refusal

ACCOUNT = {"accountId": ALICE}
BARS = {
    "contractId": EP,
    "live": False,
    "startTime": "2020-01-01T00:00:00Z",
    "endTime": "2099-01-01T00:00:00Z",
    "unit": 2,
    "unitNumber": 1,
    "limit": 10,
    "includePartialBar": True,
}


@pytest.fixture
def projectx() -> Iterator[SimulatedProjectX]:
    with SimulatedProjectX(rate=0) as each:
        yield each


def test_requests_that_are_in_flight_at_once_are_counted() -> None:
    with SimulatedProjectX(rate=0, latency=0.2) as projectx:
        together = threading.Barrier(5)

        def read(_: int) -> None:
            together.wait()
            got(projectx, "Order/searchOpen", ACCOUNT)

        with ThreadPoolExecutor(5) as threads:
            list(threads.map(read, range(5)))
        assert (projectx.seen.most_in_flight, projectx.seen.in_flight) == (5, 0)
        assert projectx.seen.requests["Order/searchOpen"] == 5


def test_one_after_the_other_is_one_at_once(projectx: SimulatedProjectX) -> None:
    for _ in range(3):
        got(projectx, "Order/searchOpen", ACCOUNT)
    assert projectx.seen.most_in_flight == 1


def test_what_was_placed_is_known_by_its_tag(projectx: SimulatedProjectX) -> None:
    id = placed(projectx, customTag="mine", size=3, side=1)
    placed(projectx)
    refusal(projectx, "Order/place", order(customTag="mine"))
    seen = projectx.seen
    assert (seen.orders("mine"), seen.asked("mine"), seen.orders("none")) == (1, 2, 0)
    first = seen.placed[0]
    assert (first.order_id, first.account, first.contract, first.tag) == (id, ALICE, EP, "mine")
    assert (first.type, first.side, first.size) == (2, 1, 3)
    assert len(seen.placed) == 2
    assert seen.placed_twice == []
    assert (seen.requests["Order/place"], seen.taken["Order/place"]) == (3, 2)


def test_a_tag_that_was_placed_twice_is_seen() -> None:
    with SimulatedProjectX(rate=0, duplicate_tag="accepted") as projectx:
        for _ in range(2):
            placed(projectx, customTag="mine")
        assert (projectx.seen.orders("mine"), projectx.seen.placed_twice) == (2, ["mine"])


@pytest.mark.parametrize("retry_after", [0.0, 7.0])
def test_there_are_two_meters(retry_after: float) -> None:
    with SimulatedProjectX(rate=0, rest_limit=3, bars_limit=2, limit_retry_after=retry_after) as projectx:
        shown = {"Authorization": f"Bearer {projectx.token()}"}
        url = f"{projectx.http_url}/api/"
        for _ in range(2):
            assert post(projectx, "History/retrieveBars", BARS)[0] == 200
        for _ in range(3):
            assert post(projectx, "Order/searchOpen", ACCOUNT)[0] == 200
        for page, body in (("History/retrieveBars", BARS), ("Order/place", order(customTag="mine"))):
            status, headers, _ = fetch("POST", url + page, body, shown)
            assert (status, headers.get("retry-after")) == (429, "7" if retry_after else None)
        assert (projectx.seen.orders("mine"), projectx.seen.asked("mine")) == (0, 1)
        assert (projectx.seen.most_in_window("bars"), projectx.seen.most_in_window("rest")) == (3, 4)


def test_the_window_of_a_meter_slides() -> None:
    with SimulatedProjectX(rate=0, rest_limit=2, rest_window=0.2) as projectx:
        begun = time.monotonic()
        assert [post(projectx, "Order/searchOpen", ACCOUNT)[0] for _ in range(2)] == [200, 200]
        refused = list(iter(lambda: post(projectx, "Order/searchOpen", ACCOUNT)[0], 200))
        assert set(refused) == {429}
        assert time.monotonic() - begun >= 0.2


def test_a_login_counts_and_another_venue_path_does_not() -> None:
    with SimulatedProjectX(rate=0, rest_limit=1) as projectx:
        assert post(projectx, "Order/nothing", {})[0] == 404
        login = {"userName": "trader", "apiKey": "hush"}
        assert post(projectx, "Auth/loginKey", login, token="")[0] == 200
        assert post(projectx, "Auth/loginKey", login, token="")[0] == 429


def test_connections_that_are_kept_for_requests_are_counted(projectx: SimulatedProjectX) -> None:
    shown = {"Authorization": f"Bearer {projectx.token()}"}
    kept = http.client.HTTPConnection("127.0.0.1", projectx.port, timeout=5)
    for _ in range(3):
        kept.request("POST", "/api/Order/searchOpen", msgspec.json.encode(ACCOUNT), shown)
        assert kept.getresponse().read().startswith(b'{"orders":[]')
    assert (projectx.accepted, projectx.http_connections) == (1, 1)
    projectx.drop()  # the connections that lie idle, too
    assert projectx.http_connections == 0
    kept.close()


def test_the_clock_of_the_venue_may_differ_from_ours() -> None:
    with SimulatedProjectX(rate=0, clock_ahead=-3600) as projectx:
        placed(projectx)
        (row,) = got(projectx, "Order/search", ACCOUNT)["orders"]
        shown = {"Authorization": f"Bearer {projectx.token()}"}
        _, headers, _ = fetch("POST", f"{projectx.http_url}/api/Order/search", ACCOUNT, shown)
        for told in (
            datetime.fromisoformat(row["creationTimestamp"]),
            parsedate_to_datetime(headers["date"]),
        ):
            assert timedelta(minutes=59) < datetime.now(UTC) - told < timedelta(minutes=61)


def test_accounts_are_told_apart(projectx: SimulatedProjectX) -> None:
    placed(projectx, accountId=BOB)
    assert [each.account for each in projectx.seen.placed] == [BOB]
