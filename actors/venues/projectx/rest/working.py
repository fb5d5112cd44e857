"""What the working orders of an account are for: which protect a position, and which can open one.

Legs of a bracket and stops may protect. One on the other side of an open position does; so does a suspended
leg whose entry works. Every other order can open a position, a leg without its position among them: the
gateway leaves the legs in the book when a position is closed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final, TypeAlias

from actors.protocol import AccountLook, FinalRow, NoResultError, Side, Steps, WorkingOrder
from actors.venues.projectx import messages as m
from actors.venues.projectx.rest import account as lists
from actors.venues.projectx.rest.asking import Asking
from actors.venues.projectx.rest.holdings import LEG_TAGS, STOPS, is_leg, net_of

Nets: TypeAlias = Mapping[str, int]  # the signed position by contract; a contract without one is flat

SIDES: Final[Mapping[object, Side]] = {m.OrderSide.BID: "buy", m.OrderSide.ASK: "sell"}


def look(asking: Asking, account: int) -> Steps[AccountLook]:
    """Orders first: an entry that is filled between the two answers has its position in the second."""
    listing = yield from lists.open_orders(asking, account)
    why = "" if listing.whole else f"{listing.endpoint} may not have told of all orders"
    try:
        positions = (yield from lists.positions(asking, account)).required()
        contracts = {each.contract_id for each in (*positions, *listing) if each.contract_id}
        nets: Nets | None = {each: net_of(positions, each) for each in contracts}
    except NoResultError as stopped:
        nets, why = None, f"its positions are not known: {_text(stopped)}"
    return AccountLook(judged(listing.rows, nets), why)


def final_row(asking: Asking, account: int, order: int) -> Steps[FinalRow]:
    """The order's own row."""
    row = yield from lists.order(asking, account, order)
    status = "of unknown status" if row.status is None else row.status.name.lower().replace("_", " ")
    is_final = row.status is not None and row.status.is_final
    return FinalRow(row.id, status, is_final, row.fill_volume, row.size)


def account_ids(asking: Asking) -> Steps[tuple[int, ...]]:
    """Those that are active. One that may not trade now may have orders all the same."""
    return tuple(each.id for each in (yield from lists.accounts(asking, True)))


def judged(rows: Iterable[m.Order], nets: Nets | None) -> tuple[WorkingOrder, ...]:
    """Returns what each order is for. `nets` None: positions are not known."""
    rows = tuple(rows)
    known = {each.id for each in rows} | {each.custom_tag for each in rows if each.custom_tag}
    protects = {each.id: _protects(each, nets, known) for each in rows}
    protecting = [each for each in rows if protects[each.id]]
    excess = {} if nets is None else _excess(protecting, nets)
    awaited = {_entry_of(each) for each in protecting if _is_suspended(each)}
    return tuple(
        WorkingOrder(
            id=each.id,
            contract=each.contract_id or "",
            text=words(each),
            protects=protects[each.id],
            may_protect=_may_protect(each),
            excess=_excess_of(each, excess, awaited) if protects[each.id] and not _is_suspended(each) else 0,
        )
        for each in rows
    )


def _protects(order: m.Order, nets: Nets | None, known: Collection[object]) -> bool | None:
    """`known`: ids and tags of all orders that work."""
    if not _may_protect(order):
        return False
    if _is_suspended(order) and _entry_of(order) in known:
        return True
    if nets is None or not order.contract_id or order.side not in SIDES:
        return None
    net = nets.get(order.contract_id, 0)
    return net > 0 if order.side == m.OrderSide.ASK else net < 0


def _may_protect(order: m.Order) -> bool:
    return is_leg(order) or order.type in STOPS


def _is_suspended(order: m.Order) -> bool:
    return order.status == m.OrderStatus.SUSPENDED


def _entry_of(leg: m.Order) -> object:
    """The id of its entry, or the tag where the gateway does not name the id."""
    tag = leg.custom_tag or ""
    return leg.parent_order_id or next((tag.removesuffix(end) for end in LEG_TAGS if tag.endswith(end)), "")


def _excess(protecting: Iterable[m.Order], nets: Nets) -> dict[str, int]:
    """By contract: how many contracts more than the position could be filled.

    Of the two legs of an entry the gateway cancels one when the other is filled.
    """
    could: dict[str, dict[object, int]] = {}
    for each in protecting:
        if not _is_suspended(each):
            group = could.setdefault(each.contract_id or "", {})
            key = (_entry_of(each) or each.id) if is_leg(each) else each.id
            group[key] = max(group.get(key, 0), _left_of(each))
    more = {contract: sum(group.values()) - abs(nets.get(contract, 0)) for contract, group in could.items()}
    return {contract: most for contract, most in more.items() if most > 0}


def _excess_of(order: m.Order, excess: Mapping[str, int], awaited: Collection[object]) -> int:
    """A stop that ends a position and has legs of its own: once it is filled, these can open another one."""
    own = _left_of(order) if not is_leg(order) and {order.id, order.custom_tag} & set(awaited) else 0
    return max(own, excess.get(order.contract_id or "", 0))


def _left_of(order: m.Order) -> int:
    return max(0, (order.size or 0) - (order.fill_volume or 0))


def words(order: m.Order) -> str:
    """Such as `sell 2 CON.F.US.EP.Z26, stop at 6800.25`."""
    kind = "order" if order.type is None else order.type.name.lower().replace("_", " ")
    price = order.limit_price if order.stop_price is None else order.stop_price
    at = "" if price is None else f" at {price}"
    size = "?" if order.size is None else order.size
    return f"{SIDES.get(order.side, 'trade')} {size} {order.contract_id or '(no contract)'}, {kind}{at}"


def _text(stopped: NoResultError) -> str:
    return getattr(stopped.failure, "text", "") or str(stopped.failure)
