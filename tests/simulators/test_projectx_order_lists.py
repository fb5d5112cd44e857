"""Which orders and fills the lists of the simulated ProjectX show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from actors.simulators import SimulatedProjectX
from actors.simulators.projectx.forms import stamp
from tests.simulators.projectx_client import ALICE, ENQ, EP, LONG_AGO, got, order, placed, post, refusal

LIMIT = 1
ACCOUNT = {"accountId": ALICE}


@pytest.fixture(scope="module")
def projectx() -> Iterator[SimulatedProjectX]:
    """Alice has five orders: two filled, two open, one cancelled."""
    with SimulatedProjectX(rate=0) as each:
        ids = [placed(each), placed(each, contractId=ENQ)]
        ids += [placed(each, type=LIMIT, limitPrice=6790) for _ in range(3)]
        got(each, "Order/cancel", ACCOUNT | {"orderId": ids[-1]})
        yield each


def query(projectx: SimulatedProjectX, terms: Mapping[str, Any] = {}, **wanted: Any) -> dict[str, Any]:
    return got(projectx, "Order/v2/query", {"filter": ACCOUNT | wanted, **terms})


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [each["id"] for each in rows]


def test_the_query_filters(projectx: SimulatedProjectX) -> None:
    everything = query(projectx)["orders"]
    assert len(everything) == 5
    assert [each["status"] for each in query(projectx, statuses=[1, 6, 7, 8])["orders"]] == [1, 1]
    assert [each["status"] for each in query(projectx, statuses=[3])["orders"]] == [3]
    assert ids(query(projectx, contractId=ENQ)["orders"]) == [everything[1]["id"]]
    middle = everything[2]["creationTimestamp"]
    later = ids(query(projectx, createdAfter=middle)["orders"])
    earlier = ids(query(projectx, createdBefore=middle)["orders"])
    assert set(later) | set(earlier) == set(ids(everything))
    assert set(later) & set(earlier) <= set(ids(everything[1:4]))


def test_the_query_sorts_and_pages(projectx: SimulatedProjectX) -> None:
    everything = ids(query(projectx)["orders"])
    assert ids(query(projectx, {"sortBy": 1, "sortDirection": 1})["orders"]) == everything[::-1]
    page = query(projectx, {"pageSize": 2, "pageOffset": 2, "includeTotalCount": True})
    assert (ids(page["orders"]), page["totalCount"]) == (everything[2:4], 5)
    assert query(projectx, {"pageSize": 2})["totalCount"] is None


def test_an_offset_may_count_pages() -> None:
    with SimulatedProjectX(rate=0, page_offset_in="pages") as each:
        made = [placed(each) for _ in range(5)]
        assert ids(query(each, {"pageSize": 2, "pageOffset": 2})["orders"]) == made[4:]


@pytest.mark.parametrize("wrong", [{"pageSize": 0}, {"pageOffset": -1}, {"sortBy": 2}, {"pageSize": 100_000}])
def test_a_query_that_is_none_is_a_problem(projectx: SimulatedProjectX, wrong: dict[str, Any]) -> None:
    status, told = post(projectx, "Order/v2/query", {"filter": ACCOUNT, **wrong})
    assert (status, told["title"]) == (400, "Bad Request")
    assert refusal(projectx, "Order/v2/query", {"filter": {"accountId": 1}})[0] == 1


def test_one_order_by_its_id(projectx: SimulatedProjectX) -> None:
    first = query(projectx)["orders"][0]
    assert got(projectx, "Order/searchById", ACCOUNT | {"orderId": first["id"]})["order"] == first
    for body in (ACCOUNT | {"orderId": 1}, {"accountId": 1, "orderId": first["id"]}):
        assert refusal(projectx, "Order/searchById", body) == (1, "Order not found.")


@pytest.mark.parametrize("page", ["Order/search", "Trade/search"])
def test_a_list_is_of_a_time(projectx: SimulatedProjectX, page: str) -> None:
    def found(**asked: Any) -> int:
        (rows,) = got(projectx, page, ACCOUNT | asked).values()
        return len(rows)

    now = datetime.now(UTC)
    everything = 5 if page == "Order/search" else 2
    soon, before = now + timedelta(minutes=1), now - timedelta(minutes=1)
    assert found(startTimestamp=LONG_AGO) == found(startTimestamp=before, endTimestamp=soon) == everything
    assert found(startTimestamp=soon) == found(startTimestamp=LONG_AGO, endTimestamp=before) == 0
    # Another zone, none at all, and keys that are none: the usual SDK sends `startTime`.
    assert found(startTimestamp=soon.astimezone(timezone(timedelta(hours=-6)))) == 0
    assert found(startTimestamp=soon.replace(tzinfo=None)) == 0
    assert found(startTime=soon) == everything


def test_a_list_may_be_cut() -> None:
    with SimulatedProjectX(rate=0, list_limit=2) as each:
        made = [placed(each) for _ in range(4)]
        asked = ACCOUNT | {"startTimestamp": LONG_AGO}
        assert ids(got(each, "Order/search", asked)["orders"]) == made[2:]
        assert [row["orderId"] for row in got(each, "Trade/search", asked)["trades"]] == made[2:]


@pytest.mark.parametrize(
    ("missing", "told"), [("null", {"customTag": None}), ("absent", {}), ("zero", {"customTag": ""})]
)
def test_what_an_order_does_not_have_is_null_or_absent_or_zero(missing: Any, told: dict[str, Any]) -> None:
    with SimulatedProjectX(rate=0, missing=missing) as each:
        id = placed(each)
        found = [
            got(each, "Order/searchById", ACCOUNT | {"orderId": id})["order"],
            *got(each, "Order/search", ACCOUNT)["orders"],
            *query(each)["orders"],
        ]
        assert [{key: row[key] for key in row if key == "customTag"} for row in found] == [told] * 3
        assert [row.get("parentOrderId") for row in found] == [0 if missing == "zero" else None] * 3
        assert [row["filledPrice"] for row in found] == [Decimal("6801.50")] * 3


def test_times_compare_as_the_rows_have_them(projectx: SimulatedProjectX) -> None:
    created = query(projectx)["orders"][0]["creationTimestamp"]
    moment = datetime.fromisoformat(created[:26] + "+00:00")
    assert stamp(moment)[:26] == created[:26]
    assert len(stamp(moment)) == len(created)


def test_the_case_of_a_path_does_not_matter(projectx: SimulatedProjectX) -> None:
    assert len(got(projectx, "order/SearchOpen", ACCOUNT)["orders"]) == 2
    assert post(projectx, "order/place", order(contractId=EP, size=0))[1]["errorCode"] == 2
