"""What a trading status says of its symbol.

Alpaca, "Real-time Stock Data", "Trading Status": tapes A and B have the codes of the CTA, tapes C and O those
of the UTP. Codes that are not here (price indications, imbalances, ...) neither begin nor end a halt.
"""

from __future__ import annotations

from collections.abc import Mapping

from actors.protocol import Scope, StateName, VenueState
from actors.venues.alpaca.messages import Status

_CTA: Mapping[str, StateName] = {
    "2": "halted",
    "3": "open",  # resume
}
_UTP: Mapping[str, StateName] = {
    "H": "halted",
    "P": "halted",  # a volatility pause: the price left its band
    "Q": "halted",  # quotes are resumed, and trading follows
    "T": "open",  # trading is resumed
}
_BY_TAPE: Mapping[str, Mapping[str, StateName]] = {"A": _CTA, "B": _CTA, "C": _UTP, "O": _UTP}
_ANY_TAPE = {**_CTA, **_UTP}


def state_of(status: Status) -> VenueState | None:
    """Returns what it says of a halt; None: nothing. No code is of both kinds, where the tape is missing."""
    state = _BY_TAPE.get(status.tape, _ANY_TAPE).get(status.status_code)
    if state is None:
        return None
    words = (status.status_message or status.status_code, status.reason_message or status.reason_code)
    return VenueState(Scope(key=status.symbol), state, ": ".join(word for word in words if word)[:500])
