"""The terms of a mutation before it is sent: what a type needs, sizes, prices on their ticks.

ProjectX, "PlaceOrder": 1 Limit needs limitPrice, 4 Stop stopPrice, 5 TrailingStop trailPrice; 2 Market, 6
JoinBid and 7 JoinAsk none. 3 StopLimit is in answers only. Every price is a multiple of the tick size.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from msgspec import structs

from actors.protocol import (
    Align,
    AnyMutation,
    Bracket,
    Cancel,
    Close,
    Contract,
    Modify,
    Place,
    Side,
    nearest_tick,
    off_tick,
)
from actors.venues.projectx.messages import check_number

NEEDS: Final[Mapping[str, str]] = {
    "market": "",
    "limit": "limit_price",
    "stop": "stop_price",
    "trailing_stop": "trail_price",
    "join_bid": "",
    "join_ask": "",
}
PRICES: Final = ("limit_price", "stop_price", "trail_price")


class UnsendableError(Exception):
    """The sentence why a mutation may not be sent."""


def prepared(
    mutation: AnyMutation, contract: Contract | None, align: Align, side: Side | None
) -> AnyMutation | str:
    """Returns the mutation with its prices on their ticks, or the sentence why it may not be sent."""
    try:
        _check_whole("account", mutation.account)
        match mutation:
            case Place():
                return _place(mutation, contract, align)
            case Modify():
                return _modify(mutation, contract, align, side)
            case Cancel():
                _check_whole("order", mutation.order)
            case Close():
                _check_size(mutation.size)
    except UnsendableError as why:
        return str(why)
    return mutation


_SIDES = {"0": "buy", "bid": "buy", "buy": "buy", "1": "sell", "ask": "sell", "sell": "sell"}


def _side(given: object) -> str:
    """What the gateway's number, or a name of it, means: ProjectX, "OrderSide"."""
    meant = _SIDES.get(str(getattr(given, "name", given)).lower())
    return f'; {given!r} is "{meant}"' if meant else ""


def _place(place: Place, contract: Contract | None, align: Align) -> Place:
    if contract is None or contract.id != place.contract:
        raise UnsendableError(f"the contract {place.contract} is not resolved: its tick is not known")
    if place.type not in NEEDS:
        raise UnsendableError(f"ProjectX places no orders of type {place.type}; it has {', '.join(NEEDS)}")
    if place.side not in ("buy", "sell"):
        raise UnsendableError(
            f'the side of an order is "buy" or "sell", not {place.side!r}{_side(place.side)}'
        )
    _check_size(place.size, required=True)
    _check_needs(place)
    _check_bracket(place.bracket)
    return structs.replace(place, **_aligned(place, contract, align, place.side))


def _modify(modify: Modify, contract: Contract | None, align: Align, side: Side | None) -> Modify:
    _check_whole("order", modify.order)
    _check_size(modify.size)
    if modify.size is None and not _given(modify):
        raise UnsendableError("a change of an order names a size or a price")
    if _given(modify) and contract is None:
        raise UnsendableError("the contract of the order is not resolved: its tick is not known")
    return modify if contract is None else structs.replace(modify, **_aligned(modify, contract, align, side))


def _check_needs(place: Place) -> None:
    needed = NEEDS[place.type]
    if needed and getattr(place, needed) is None:
        raise UnsendableError(f"an order of type {place.type} needs {needed}")
    for name in _given(place):
        if name != needed:
            raise UnsendableError(f"an order of type {place.type} takes no {name}")


def _check_size(size: int | None, required: bool = False) -> None:
    if size is not None or required:
        _check_whole("size", size)


def _check_whole(name: str, number: object) -> None:
    if type(number) is not int or number < 1:
        raise UnsendableError(f"{name} is a whole number from 1 on, not {number!r}")


def _check_bracket(bracket: Bracket | None) -> None:
    """A minimum (4 ticks were seen) and the account's mode (Auto OCO Brackets) are the venue's to judge."""
    if bracket is not None:
        if bracket.stop is None and bracket.target is None:
            raise UnsendableError("a bracket has a stop, a target, or both")
        for name, number in (("stop", bracket.stop), ("target", bracket.target)):
            if number is not None:
                _check_whole(f"the bracket's {name}, in ticks without a sign,", number)


def _given(terms: Place | Modify) -> list[str]:
    return [name for name in PRICES if getattr(terms, name) is not None]


def _aligned(
    terms: Place | Modify, contract: Contract, align: Align, side: Side | None
) -> dict[str, Decimal]:
    return {name: _price(name, getattr(terms, name), contract, align, side) for name in _given(terms)}


def _price(name: str, price: Decimal, contract: Contract, align: Align, side: Side | None) -> Decimal:
    """Rounding noise goes; what is off by more is refused, or moved to the side that is never worse."""
    tick = contract.tick_size
    if tick <= 0:
        raise UnsendableError(f"{contract.id} has no tick size: no price can be checked")
    _check_price(name, price)
    if (nearest := nearest_tick(price, tick)) is not None:
        return _nonzero(name, nearest)
    below, above = off_tick(price, tick)
    between = f"{name} {price} lies between the ticks {below} and {above} of {contract.id}"
    if align == "refuse":
        raise UnsendableError(f"{between}; write one of them" + ("" if side is None else ', or align="safe"'))
    if align != "safe":
        raise UnsendableError(f'align is "refuse" or "safe", not {align!r}')
    if side is None:
        raise UnsendableError(f"{between}; which of them is safe depends on the side of the order")
    return _nonzero(name, below if safe_is_below(name, side) else above)


def _check_price(name: str, price: object) -> None:
    if not isinstance(price, Decimal):
        raise UnsendableError(f"{name} is a Decimal, not {price!r}")
    try:
        check_number(price)
    except ValueError:
        raise UnsendableError(f"{name} {price} is no price") from None


def _nonzero(name: str, price: Decimal) -> Decimal:
    if not price:
        raise UnsendableError(f"{name} is 0 on its tick, which ProjectX reads as no price")
    return price


def safe_is_below(name: str, side: Side) -> bool:
    """A limit is never worse than asked: below for a buy. A stop never comes earlier: below for a sell."""
    return (side == "buy") == (name == "limit_price")
