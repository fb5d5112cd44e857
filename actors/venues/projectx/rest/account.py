"""An account: its orders, positions and fills, as lists of which is known whether they are whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Final, Generic, TypeAlias, TypeVar

from msgspec import Struct, structs

from actors.protocol import CallRefused, NoResultError, Steps
from actors.venues.projectx import messages as m
from actors.venues.projectx.rest.asking import Asking, Envelope, cut, may_be_cut, present, unproved
from actors.venues.projectx.rest.times import DAY, SECOND, text_of

ACCOUNTS: Final = "Account/search"
ORDERS: Final = "Order/search"
OPEN_ORDERS: Final = "Order/searchOpen"
QUERY: Final = "Order/v2/query"
ORDER: Final = "Order/searchById"
POSITIONS: Final = "Position/searchOpen"
TRADES: Final = "Trade/search"

WORKING: Final = (
    m.OrderStatus.OPEN,
    m.OrderStatus.PENDING,
    m.OrderStatus.PENDING_CANCELLATION,
    m.OrderStatus.SUSPENDED,
)
PAGE_SIZE: Final = 100  # orders of one page of a query
MOST_PAGES: Final = 20
MOST_BARREN: Final = 3  # pages that bring nothing new: one by rows, and 0 or 1 by number
MOST_SPANS: Final = 32  # requests for one list: a span whose list may be cut is halved
SHORTEST_SPAN: Final = SECOND

Fields: TypeAlias = dict[str, object]  # of a request, by their names on the wire
Row = TypeVar("Row", bound=m.OfAccount)


class Accounts(Envelope, frozen=True, kw_only=True):
    """`Account/search`."""

    accounts: tuple[m.Account, ...] | None = None


class Positions(Envelope, frozen=True, kw_only=True):
    """`Position/searchOpen`."""

    positions: tuple[m.Position, ...] | None = None


class Orders(Envelope, frozen=True, kw_only=True):
    """`Order/search`, `Order/searchOpen` and `Order/v2/query`."""

    orders: tuple[m.Order, ...] | None = None
    total_count: int | None = None


class OneOrder(Envelope, frozen=True, kw_only=True):
    """`Order/searchById`."""

    order: m.Order | None = None


class Trades(Envelope, frozen=True, kw_only=True):
    """`Trade/search`."""

    trades: tuple[m.AccountTrade, ...] | None = None


class Listing(Struct, Generic[Row], frozen=True):
    """Rows, oldest first; it can be iterated. Unless it is `whole`, nothing follows from what is not in it.

    The gateway documents no paging: a list of a round length may be a part of a longer one.
    """

    endpoint: str
    rows: tuple[Row, ...]
    whole: bool

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def required(self) -> tuple[Row, ...]:
        """Returns the rows, for a conclusion from what is not among them.

        Raises:
            NoResultError: they may be a part.
        """
        if not self.whole:
            raise NoResultError(cut(self.endpoint))
        return self.rows


def accounts(asking: Asking, only_active: bool) -> Steps[tuple[m.Account, ...]]:
    """All that the login may see."""
    answer = yield from asking.post(ACCOUNTS, Accounts, {"onlyActiveAccounts": only_active})
    return present(ACCOUNTS, answer.accounts)


def named(asking: Asking, name: str) -> Steps[m.Account]:
    """The active account of this name; upper and lower case are the same."""
    wanted = name.strip().casefold()
    listed = yield from accounts(asking, True)
    matching = [each for each in listed if (each.name or "").casefold() == wanted]
    if len(matching) == 1:
        return matching[0]
    shown = ", ".join(f"{each.name} ({each.id})" for each in matching or listed) or "none"
    code, many = ("Ambiguous", "several accounts are") if matching else ("NotFound", "no active account is")
    raise NoResultError(CallRefused(ACCOUNTS, None, code, f"{many} named {name!r}; there are: {shown}"))


def positions(asking: Asking, account: int) -> Steps[Listing[m.Position]]:
    """One row for each contract in which the account is not flat.

    Netting: `size` has no sign, `net` has one.
    """
    answer = yield from asking.post(POSITIONS, Positions, {"accountId": account})
    rows = present(POSITIONS, answer.positions)
    return Listing(POSITIONS, _oldest_first(_own(account, rows)), not may_be_cut(len(rows)))


def orders(asking: Asking, account: int, since_ns: int, until_ns: int | None) -> Steps[Listing[m.Order]]:
    """Those created in a time, whatever became of them."""
    return (yield from _history(asking, ORDERS, _search_orders, account, since_ns, until_ns))


def trades(
    asking: Asking, account: int, since_ns: int, until_ns: int | None
) -> Steps[Listing[m.AccountTrade]]:
    """Fills of a time, voided ones among them."""
    return (yield from _history(asking, TRADES, _search_trades, account, since_ns, until_ns))


def tags(asking: Asking, since_ns: int) -> Steps[dict[int, tuple[str, ...]]]:
    """Of the orders that each active account has had since then; a list that may be cut tells of some."""
    found = {}
    for account in (yield from accounts(asking, True)):
        listed = yield from orders(asking, account.id, since_ns, None)
        found[account.id] = tuple(each.custom_tag for each in listed.rows if each.custom_tag)
    return found


def open_orders(asking: Asking, account: int, contract: str | None = None) -> Steps[Listing[m.Order]]:
    """Those that work, of one contract or of all. The gateway is not asked for a contract: `searchOpen` does
    not know the key, and would list every other as well.
    """
    listing = yield from _open_orders(asking, account)
    if contract is None:
        return listing
    return structs.replace(listing, rows=tuple(row for row in listing if row.contract_id == contract))


def _open_orders(asking: Asking, account: int) -> Steps[Listing[m.Order]]:
    """Legs that are suspended are among them where the gateway has `v2/query`.

    `v2/query` stands in the OpenAPI document alone. Without it, `searchOpen` is asked, which does not show
    suspended legs.
    """
    try:
        return (yield from _queried(asking, account))
    except NoResultError as stopped:
        if not stopped.is_missing_page:
            raise
    answer = yield from asking.post(OPEN_ORDERS, Orders, {"accountId": account})
    rows = present(OPEN_ORDERS, answer.orders)
    return Listing(OPEN_ORDERS, _working(account, rows), not may_be_cut(len(rows)))


def order(asking: Asking, account: int, order_id: int) -> Steps[m.Order]:
    """One order, whatever became of it.

    `searchById` stands in the OpenAPI document alone. Without it, it is looked for in the lists.
    """
    try:
        found = (yield from asking.post(ORDER, OneOrder, {"accountId": account, "orderId": order_id})).order
    except NoResultError as stopped:
        if not stopped.is_missing_page:
            raise
        found = yield from _listed(asking, account, order_id)
    if found is None or found.id != order_id or found.account_id not in (account, None):
        raise NoResultError(unproved(ORDER, f"order {order_id} is not in it"))
    return present(ORDER, (found,))[0]


def _listed(asking: Asking, account: int, order_id: int) -> Steps[m.Order | None]:
    """Among open orders, and those of the last day by the venue's clock."""
    rows = (yield from open_orders(asking, account)).rows
    if asking.clock.date_ns is not None:
        rows += (yield from orders(asking, account, asking.clock.date_ns - DAY, None)).rows
    return next((row for row in rows if row.id == order_id), None)


def _search_orders(asking: Asking, fields: Fields) -> Steps[tuple[m.Order, ...]]:
    return present(ORDERS, (yield from asking.post(ORDERS, Orders, fields)).orders)


def _search_trades(asking: Asking, fields: Fields) -> Steps[tuple[m.AccountTrade, ...]]:
    return present(TRADES, (yield from asking.post(TRADES, Trades, fields)).trades)


def _history(
    asking: Asking,
    endpoint: str,
    search: Callable[[Asking, Fields], Steps[tuple[Row, ...]]],
    account: int,
    since_ns: int,
    until_ns: int | None,
) -> Steps[Listing[Row]]:
    """How many rows an answer may have is not documented: a time whose list may be cut is halved."""
    rows: dict[int, Row] = {}
    whole, spans = True, [(since_ns, until_ns)]
    for _ in range(MOST_SPANS):
        if not spans:
            break
        start, end = spans.pop()
        page = yield from search(asking, _span(account, start, end))
        rows.update({row.id: row for row in _own(account, page)})
        if may_be_cut(len(page)):
            halves = _halves(start, end, asking.clock.date_ns)
            whole = whole and bool(halves)
            spans += halves
    return Listing(endpoint, _oldest_first(rows.values()), whole and not spans)


def _span(account: int, since_ns: int, until_ns: int | None) -> Fields:
    fields: Fields = {"accountId": account, "startTimestamp": text_of(since_ns)}
    return fields if until_ns is None else fields | {"endTimestamp": text_of(until_ns)}


def _halves(start: int, end: int | None, now: int | None) -> list[tuple[int, int | None]]:
    """None are left of a time that is too short, or whose end is not known."""
    last = now if end is None else end
    if last is None or last - start <= SHORTEST_SPAN:
        return []
    middle = (start + last) // 2
    return [(start, middle), (middle, end)]


def _queried(asking: Asking, account: int) -> Steps[Listing[m.Order]]:
    """Until as many rows have come as the gateway counts.

    Whether `pageOffset` counts rows or pages, and whether pages from 0 or 1, is not documented: as soon as a
    page by rows brings nothing new, pages are asked for by number.
    """
    rows: dict[int, m.Order] = {}
    totals: set[int | None] = set()
    numbers, offset, barren = count(1), 0, 0
    for _ in range(MOST_PAGES):
        answer = yield from asking.post(QUERY, Orders, _query(account, offset))
        page = present(QUERY, answer.orders)
        before = len(rows)
        rows.update({row.id: row for row in page})
        totals.add(answer.total_count)
        if answer.total_count is None or len(rows) >= answer.total_count:
            break
        barren += len(rows) == before
        if barren == MOST_BARREN:
            break
        by_rows = len(rows) > before and offset in (0, before)
        offset = len(rows) if by_rows else next(numbers)
    return Listing(QUERY, _working(account, rows.values()), _is_whole(len(rows), totals))


def _is_whole(number: int, totals: set[int | None]) -> bool:
    """A number of orders that changes from page to page proves nothing."""
    total, *others = totals
    if others or total is None:
        return not others and not may_be_cut(number)
    return number >= total


def _query(account: int, offset: int) -> Fields:
    return {
        "filter": {"accountId": account, "statuses": [int(status) for status in WORKING]},
        "pageSize": PAGE_SIZE,
        "pageOffset": offset,
        "sortBy": 1,  # Id
        "sortDirection": 0,  # ascending
        "includeTotalCount": True,
    }


def _own(account: int, rows: Iterable[Row]) -> tuple[Row, ...]:
    """A gateway that does not know a key of a request passes it over, and lists what was not asked for."""
    return tuple(row for row in rows if row.account_id in (account, None))


def _working(account: int, rows: Iterable[m.Order]) -> tuple[m.Order, ...]:
    """A status without a meaning (0), or one that is not known, is not final."""
    own = _own(account, rows)
    return _oldest_first(row for row in own if row.status is None or not row.status.is_final)


def _oldest_first(rows: Iterable[Row]) -> tuple[Row, ...]:
    return tuple(sorted(rows, key=lambda row: (row.created_ns or 0, row.id)))
