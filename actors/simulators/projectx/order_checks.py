"""What ProjectX refuses of an order, in its words, before anything happens."""

from __future__ import annotations

from decimal import Decimal

from actors.simulators.projectx.codes import (
    ASK,
    BID,
    JOIN_ASK,
    JOIN_BID,
    LIMIT,
    MARKET,
    STOP,
    SUSPENDED,
    TRAILING_STOP,
    TYPE_NAMES,
    VenueRefusal,
)
from actors.simulators.projectx.forms import BracketLeg, Change, Placing
from actors.simulators.projectx.instruments import Listing
from actors.simulators.projectx.payloads import Row

_PLACEABLE = (LIMIT, MARKET, STOP, TRAILING_STOP, JOIN_BID, JOIN_ASK)
_MOST_TRAIL = 1_000  # ticks
_POSITION_MODE = "Brackets cannot be used with Position Brackets. You must enable Auto OCO Brackets."


def rejected(text: str) -> VenueRefusal:
    return VenueRefusal("rejected", text)


def terms_of(listing: Listing, asked: Placing) -> Row:
    """The fields of a new order. Raises VenueRefusal: they are no order that the venue takes."""
    if asked.type not in _PLACEABLE:
        raise rejected("Invalid order type.")
    if asked.side not in (BID, ASK):
        raise rejected("Invalid order side.")
    if asked.size < 1:
        raise rejected("Invalid order size.")
    terms = {"type": asked.type, "side": asked.side, "size": asked.size, "customTag": asked.custom_tag}
    prices: Row = {"limitPrice": None, "stopPrice": None}
    match asked.type:
        case t if t == LIMIT:
            prices["limitPrice"] = limit_price(listing, asked.limit_price)
        case t if t == STOP:
            prices["stopPrice"] = stop_price(listing, asked.side, asked.stop_price)
        case t if t == TRAILING_STOP:
            prices |= trail(listing, asked.side, asked.trail_price, most=_MOST_TRAIL)
        case t if t in (JOIN_BID, JOIN_ASK):
            prices["limitPrice"] = listing.best(bid=t == JOIN_BID)
    return {**terms, **prices, "linkedOrderId": asked.linked_order_id}


def changes_of(listing: Listing, row: Row, asked: Change) -> Row:
    """The fields of an order that a change sets. Raises VenueRefusal: it cannot have them."""
    over: Row = {}
    if asked.size is not None:
        if asked.size <= row["fillVolume"]:
            raise rejected("Invalid order size.")
        over["size"] = asked.size
    priced = any(each is not None for each in (asked.limit_price, asked.stop_price, asked.trail_price))
    if priced and row["status"] == SUSPENDED:
        raise rejected("Order is suspended.")
    if asked.limit_price is not None:
        over["limitPrice"] = limit_price(listing, asked.limit_price)
    if asked.stop_price is not None:
        over["stopPrice"] = stop_price(listing, row["side"], asked.stop_price)
    if asked.trail_price is not None:
        over |= trail(listing, row["side"], asked.trail_price)
    return over


def limit_price(listing: Listing, price: Decimal | None) -> Decimal:
    return _on_a_tick(listing, price, "Invalid price")


def stop_price(listing: Listing, side: int, price: Decimal | None) -> Decimal:
    """On a tick, and on the side of the market from which it can be reached."""
    at = _on_a_tick(listing, price, "Invalid stop price")
    if at <= listing.last if side == BID else at >= listing.last:
        raise rejected("Invalid stop price")
    return at


def trail(listing: Listing, side: int, price: Decimal | None, most: int | None = None) -> Row:
    """What a row has of a trail that begins at this absolute price: distances, and where it triggers now."""
    if price is None:
        raise rejected("Invalid trail price")
    ticks = int((price - listing.last) / listing.terms.tick)  # fractional ticks are cut
    if ticks <= 0 if side == BID else ticks >= 0:
        raise rejected("Invalid trail price")
    if most is not None and abs(ticks) > most:
        raise rejected(f"Invalid trail price. The distance is more than {most} ticks.")
    return trail_of(listing, ticks)


def trail_of(listing: Listing, ticks: int) -> Row:
    """A trail of so many signed ticks from the last price."""
    stop = listing.last + listing.price(ticks)
    return {"trailDistance": ticks, "trailPrice": listing.price(abs(ticks)), "stopPrice": stop}


def _on_a_tick(listing: Listing, price: Decimal | None, text: str) -> Decimal:
    if price is None or price <= 0:
        raise rejected(text)
    try:
        return listing.price(listing.ticks(price))
    except ValueError:
        raise rejected(text) from None


# brackets


def check_brackets(asked: Placing, *, auto_oco: bool, least: int) -> None:
    """Raises VenueRefusal: the account's mode has no brackets, or their type or ticks are wrong.

    `least`: ticks.
    """
    if asked.stop_loss_bracket is None and asked.take_profit_bracket is None:
        return
    if not auto_oco:
        raise rejected(_POSITION_MODE)
    below = asked.side == BID  # the stop of a buyer lies below the entry
    _check_leg("stop loss", asked.stop_loss_bracket, (STOP, TRAILING_STOP), below, asked.side, least)
    _check_leg("take profit", asked.take_profit_bracket, (LIMIT,), not below, asked.side, least)


def _check_leg(
    name: str, leg: BracketLeg | None, types: tuple[int, ...], below: bool, side: int, least: int
) -> None:
    if leg is None:
        return
    if leg.type not in types:
        raise rejected(f"Invalid {name} type ({type_name(leg.type)}).")
    if leg.ticks >= 0 if below else leg.ticks <= 0:
        rule = f"{'less' if below else 'greater'} than zero when {_direction(side)}"
        raise rejected(f"Invalid {name} ticks ({leg.ticks}). Ticks should be {rule}.")
    if abs(leg.ticks) < least:
        raise rejected(f"Invalid {name} ticks ({leg.ticks}). Ticks should be at least {least} ticks.")


def _direction(side: int) -> str:
    return "longing" if side == BID else "going short"


def type_name(kind: int) -> str:
    return TYPE_NAMES[kind] if 0 <= kind < len(TYPE_NAMES) else str(kind)
