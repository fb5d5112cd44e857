"""An account's lists, and when they are whole."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.protocol import CallRefused, HttpAnswer, LinewardenError, Retryable
from actors.venues.projectx import OrderStatus
from tests.venues.projectx.rest.gateway import (
    ACCOUNT,
    API,
    EP,
    Row,
    answer,
    good,
    order_row,
    pages,
    position_row,
    refusal,
    serve,
    talk,
    trade_row,
)

SINCE = datetime(2026, 11, 30, 6, tzinfo=UTC)
UNTIL = datetime(2026, 11, 30, 12, tzinfo=UTC)
SPAN = {
    "accountId": ACCOUNT,
    "startTimestamp": "2026-11-30T06:00:00.000000Z",
    "endTimestamp": "2026-11-30T12:00:00.000000Z",
}
QUERY = {
    "filter": {"accountId": ACCOUNT, "statuses": [1, 6, 7, 8]},
    "pageSize": 100,
    "pageOffset": 0,
    "sortBy": 1,
    "sortDirection": 0,
    "includeTotalCount": True,
}
MISSING = answer(404, b"")


def test_accounts_are_listed() -> None:
    row = {
        "id": 1,
        "name": "PRAC",
        "balance": 50_000.10,
        "canTrade": True,
        "isVisible": True,
        "simulated": None,
    }
    asked = ("Account/search", {"onlyActiveAccounts": False}, good(accounts=[row]))
    [account] = talk(API.accounts(only_active=False), asked)
    assert (account.id, account.name, str(account.balance)) == (1, "PRAC", "50000.1")


def named(name: str, *names: str) -> Any:
    rows = [{"id": number, "name": each} for number, each in enumerate(names, 1)]
    return talk(API.account(name), ("Account/search", {"onlyActiveAccounts": True}, good(accounts=rows)))


def test_an_account_is_found_by_its_name_in_any_case() -> None:
    assert named(" prac-2 ", "PRAC-1", "PRAC-2").id == 2


@pytest.mark.parametrize(
    ("name", "names", "code", "words"),
    [
        (
            "PRAC",
            ("PRAC-1", "PRAC-2"),
            "NotFound",
            "no active account is named 'PRAC'; there are: PRAC-1 (1), ",
        ),
        ("PRAC", (), "NotFound", "there are: none"),
        (
            "prac",
            ("PRAC", "PRAC"),
            "Ambiguous",
            "several accounts are named 'prac'; there are: PRAC (1), PRAC (2)",
        ),
    ],
)
def test_an_account_is_never_guessed(name: str, names: tuple[str, ...], code: str, words: str) -> None:
    refused = named(name, *names)
    assert isinstance(refused, CallRefused)
    assert refused.name == code
    assert words in refused.message


def test_orders_of_a_time_are_asked_for_by_the_gateways_own_names() -> None:
    listing = talk(
        API.orders(ACCOUNT, SINCE, UNTIL), ("Order/search", SPAN, good(orders=[order_row(2), order_row(1)]))
    )
    assert ([row.id for row in listing], listing.whole) == ([1, 2], True)


def test_a_time_without_an_end_is_sent_without_one() -> None:
    open_ended = {key: SPAN[key] for key in ("accountId", "startTimestamp")}
    assert talk(API.trades(ACCOUNT, SINCE), ("Trade/search", open_ended, good(trades=[]))).rows == ()


@pytest.mark.parametrize("read", [API.orders, API.trades])
def test_a_time_without_a_zone_is_refused(read: Any) -> None:
    with pytest.raises(LinewardenError, match="no time zone"):
        read(ACCOUNT, datetime(2026, 11, 30))


class Trades:
    """A gateway that shows at most so many fills at once, and says so nowhere."""

    def __init__(self, seconds: list[int], most: int) -> None:
        self.rows = [
            trade_row(number, creationTimestamp=(SINCE + timedelta(seconds=each)).isoformat())
            for number, each in enumerate(seconds)
        ]
        self.most = most
        self.asked = 0

    def __call__(self, endpoint: str, fields: Row) -> HttpAnswer:
        assert endpoint == "Trade/search"
        self.asked += 1
        start = datetime.fromisoformat(fields["startTimestamp"])
        end = datetime.fromisoformat(fields.get("endTimestamp", "2027-01-01T00:00:00Z"))
        within = [
            row for row in self.rows if start <= datetime.fromisoformat(row["creationTimestamp"]) <= end
        ]
        return good(trades=within[: self.most])


@given(seconds=st.lists(st.integers(0, 6 * 3_600), max_size=120), most=st.sampled_from([20, 50, 100]))
def test_a_list_that_may_be_cut_is_asked_for_in_halves(seconds: list[int], most: int) -> None:
    trades = Trades(seconds, most)
    listing = serve(API.trades(ACCOUNT, SINCE, UNTIL), trades)
    assert not listing.whole or {row.id for row in listing} == set(range(len(seconds)))
    assert listing.whole or trades.asked > 1
    assert trades.asked <= 32


def test_halves_of_a_time_without_an_end_reach_to_the_end() -> None:
    listing = serve(API.trades(ACCOUNT, SINCE), Trades(list(range(0, 21_600, 500)), 20))
    assert (len(listing), listing.whole) == (44, True)


def test_more_at_one_moment_than_the_gateway_shows_is_never_whole() -> None:
    trades = Trades([77] * 60, 20)
    listing = serve(API.trades(ACCOUNT, SINCE, UNTIL), trades)
    assert (len(listing), listing.whole) == (20, False)
    assert trades.asked <= 32


def test_open_orders_are_asked_for_with_the_legs_that_wait() -> None:
    rows = [
        order_row(1),
        order_row(2, status=8, limitPrice=None),
        order_row(3, status=6),
        order_row(4, status=7),
    ]
    listing = talk(API.open_orders(ACCOUNT), ("Order/v2/query", QUERY, good(orders=rows, totalCount=4)))
    assert [row.status for row in listing] == [
        OrderStatus.OPEN,
        OrderStatus.SUSPENDED,
        OrderStatus.PENDING,
        OrderStatus.PENDING_CANCELLATION,
    ]
    assert listing.whole


def test_without_that_query_open_orders_are_those_of_search_open() -> None:
    listing = talk(
        API.open_orders(ACCOUNT),
        ("Order/v2/query", QUERY, MISSING),
        ("Order/searchOpen", {"accountId": ACCOUNT}, good(orders=[order_row(1)])),
    )
    assert ([row.id for row in listing], listing.whole) == ([1], True)


def test_a_query_that_fails_is_not_asked_for_elsewhere() -> None:
    assert serve(API.open_orders(ACCOUNT), lambda *_: answer(503, b"")).code == "http_503"
    assert serve(API.open_orders(ACCOUNT), lambda *_: refusal(1)).name == "AccountNotFound"


@pytest.mark.parametrize("first", [lambda n: n, lambda n: n * 100, lambda n: max(0, n - 1) * 100])
@pytest.mark.parametrize("count", [99, 100, 101, 250])
def test_a_long_list_of_open_orders_comes_in_pages(first: Callable[[int], int], count: int) -> None:
    """What `pageOffset` counts is not documented: rows, pages from 0, or pages from 1."""
    rows = [order_row(number) for number in range(1, count + 1)]
    asked: list[int] = []

    def reply(endpoint: str, fields: Row) -> HttpAnswer:
        assert endpoint == "Order/v2/query"
        asked.append(fields["pageOffset"])
        start = first(asked[-1])
        return good(orders=rows[start : start + 100], totalCount=count)

    listing = serve(API.open_orders(ACCOUNT), reply)
    assert (len(listing), listing.whole) == (count, True)
    assert len(asked) <= 5


@pytest.mark.parametrize(("count", "whole"), [(0, True), (99, True), (100, False)])
def test_a_list_that_is_not_counted_is_judged_by_its_length(count: int, whole: bool) -> None:
    rows = [order_row(number) for number in range(1, count + 1)]
    listing = serve(API.open_orders(ACCOUNT), pages(query={"orders": rows, "totalCount": None}))
    assert (len(listing), listing.whole) == (count, whole)


def test_a_list_that_changes_from_page_to_page_is_not_whole() -> None:
    """An order that was filled meanwhile has moved all behind it by one."""
    rows = [order_row(number) for number in range(1, 151)]

    def reply(endpoint: str, fields: Row) -> HttpAnswer:
        start = fields["pageOffset"]
        shown = rows[1:] if start else rows
        return good(orders=shown[start : start + 100], totalCount=len(shown))

    listing = serve(API.open_orders(ACCOUNT), reply)
    assert (len(listing), listing.whole) == (149, False)


def test_pages_that_never_change_are_not_whole() -> None:
    rows = [order_row(number) for number in range(1, 101)]
    listing = serve(API.open_orders(ACCOUNT), pages(query={"orders": rows, "totalCount": 101}))
    assert (len(listing), listing.whole) == (100, False)


def test_no_open_orders_are_known_by_their_count() -> None:
    asked = ("Order/v2/query", QUERY, good(orders=[], totalCount=0))
    assert talk(API.open_orders(ACCOUNT), asked).whole is True


def test_a_count_without_its_rows_is_not_whole() -> None:
    assert serve(API.open_orders(ACCOUNT), pages(query={"orders": [], "totalCount": 3})).whole is False


def test_a_status_without_a_meaning_is_not_final() -> None:
    rows = [
        order_row(1, status=0),
        order_row(2, status=99),
        order_row(3, status=2),
        order_row(4, status=None),
    ]
    listing = serve(API.open_orders(ACCOUNT), pages(query={"orders": rows, "totalCount": 4}))
    assert [row.id for row in listing] == [1, 2, 4]


def test_rows_of_another_account_are_not_of_this_one() -> None:
    rows = [order_row(1), order_row(2, accountId=7)]
    listing = serve(API.open_orders(ACCOUNT), pages(query={"orders": rows, "totalCount": 2}))
    assert [row.id for row in listing] == [1]


@pytest.mark.parametrize("status", range(9))
def test_an_order_is_found_whatever_became_of_it(status: int) -> None:
    asked = ("Order/searchById", {"accountId": ACCOUNT, "orderId": 9}, good(order=order_row(status=status)))
    order = talk(API.order(ACCOUNT, 9), asked)
    assert (order.id, order.status) == (9, status)


def test_an_order_that_the_gateway_does_not_know_is_a_refusal() -> None:
    assert serve(API.order(ACCOUNT, 9), lambda *_: refusal(1)).name == "OrderNotFound"


@pytest.mark.parametrize("row", [None, order_row(8), order_row(accountId=7)])
def test_another_order_than_the_one_asked_for_proves_nothing(row: Row | None) -> None:
    assert serve(API.order(ACCOUNT, 9), pages(searchById={"order": row})).code == "no_evidence"


def test_without_a_search_by_id_an_order_is_looked_for_in_the_lists() -> None:
    by_id = ("Order/searchById", {"accountId": ACCOUNT, "orderId": 9}, MISSING)
    query = ("Order/v2/query", QUERY, good(orders=[], totalCount=0))
    day = {"accountId": ACCOUNT, "startTimestamp": "2026-11-29T12:00:00.000000Z"}
    history = ("Order/search", day, good(orders=[order_row(status=2)]))
    assert talk(API.order(ACCOUNT, 9), by_id, query, history).status is OrderStatus.FILLED
    history = ("Order/search", day, good(orders=[]))
    assert talk(API.order(ACCOUNT, 9), by_id, query, history).code == "no_evidence"


@pytest.mark.parametrize(
    ("kind", "size", "net"), [(1, 2, 2), (2, 2, -2), (0, 0, 0), (2, 0, 0), (0, 3, None), (7, 3, None)]
)
def test_a_position_has_a_sign_or_none_is_known(kind: int, size: int, net: int | None) -> None:
    [position] = serve(API.positions(ACCOUNT), pages(searchOpen={"positions": [position_row(kind, size)]}))
    assert position.net == net


def test_prices_are_as_exact_as_the_wire() -> None:
    body = (
        b'{"success":true,"errorCode":0,"trades":[{"id":1,"price":113.515625000,"profitAndLoss":-61.50,'
        b'"fees":0.370000000,"commissions":null,"size":3,"voided":true,"orderId":9007199254740993}]}'
    )
    [fill] = serve(API.trades(ACCOUNT, SINCE), lambda *_: answer(200, body))
    assert (str(fill.price), str(fill.profit_and_loss)) == ("113.515625000", "-61.50")
    assert (fill.order_id, fill.voided) == (9_007_199_254_740_993, True)


def test_a_row_that_cannot_be_read_is_not_left_out() -> None:
    rows = [trade_row(1), trade_row(2, price="soon")]
    assert isinstance(serve(API.trades(ACCOUNT, SINCE), pages(search={"trades": rows})), Retryable)


def test_a_logout_ends_the_token_that_it_shows() -> None:
    assert talk(API.logout(), ("Auth/logout", {}, good())) is True
    assert serve(API.logout(), lambda *_: refusal(1)).name == "InvalidSession"


def test_open_orders_of_one_contract_are_chosen_here() -> None:
    rows = [order_row(1), order_row(2, contractId="CON.F.US.MES.Z26")]
    asked = ("Order/v2/query", QUERY, good(orders=rows, totalCount=2))
    assert [row.id for row in talk(API.open_orders(ACCOUNT, EP.id), asked)] == [1]
