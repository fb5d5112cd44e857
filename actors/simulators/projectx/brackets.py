"""The legs of a bracket: suspended until the entry is filled, then open; one of them cancels the other."""

from __future__ import annotations

from actors.simulators.projectx.account import Account
from actors.simulators.projectx.codes import ASK, BID, LIMIT, OPEN, STOP, SUSPENDED, WORKING
from actors.simulators.projectx.forms import BracketLeg, Placing
from actors.simulators.projectx.instruments import Listing
from actors.simulators.projectx.order_checks import trail_of
from actors.simulators.projectx.payloads import Action, Row


def make_legs(account: Account, listing: Listing, entry: Row, asked: Placing) -> list[Action]:
    """The suspended legs of an entry, without prices. The target knows the stop; both know the entry."""
    made: list[Action] = []
    for ending, leg in (("-SL", asked.stop_loss_bracket), ("-TP", asked.take_profit_bracket)):
        if leg is not None:
            linked = made[0][1]["id"] if made else None
            told = account.order(listing, _leg(entry, leg, ending, linked))
            account.legs.setdefault(entry["id"], {})[told[1]["id"]] = leg.ticks
            made.append(told)
    return made


def _leg(entry: Row, asked: BracketLeg, ending: str, linked: int | None) -> Row:
    tag = entry["customTag"]
    return {
        "status": SUSPENDED,
        "type": asked.type,
        "side": ASK if entry["side"] == BID else BID,
        "size": entry["size"],
        "limitPrice": None,
        "customTag": f"{tag}{ending}" if tag else None,
        "parentOrderId": entry["id"],
        "linkedOrderId": linked,
        "creationTimestamp": entry["creationTimestamp"],
    }


def legs_of(account: Account, entry: int | None) -> list[Row]:
    """The legs of an entry that are not final."""
    legs = [account.orders[id] for id in account.legs.get(entry or 0, ()) if id in account.orders]
    return [leg for leg in legs if leg["status"] in WORKING]


def siblings_of(account: Account, leg: Row) -> list[Row]:
    """The other leg of a leg, where that one works still. No other order has siblings."""
    return [each for each in legs_of(account, leg["parentOrderId"]) if each["id"] != leg["id"]]


def opened(account: Account, listing: Listing, entry: Row, leg: Row) -> Row:
    """What a leg becomes once its entry is filled: its price lies so many ticks from that of the fill."""
    ticks = account.legs[entry["id"]][leg["id"]]
    price = listing.nearest(entry["filledPrice"]) + listing.price(ticks)
    over: Row = {"id": leg["id"], "status": OPEN, "size": entry["fillVolume"]}
    if leg["type"] == LIMIT:
        return over | {"limitPrice": price}
    if leg["type"] == STOP:
        return over | {"stopPrice": price}
    return over | trail_of(listing, ticks) | {"stopPrice": price}
