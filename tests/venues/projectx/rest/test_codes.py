"""The tables of refusals."""

from __future__ import annotations

from actors.venues.projectx.rest.codes import CODES, OPEN, name_of


def test_a_number_has_another_meaning_at_another_endpoint() -> None:
    assert name_of("Order/place", 2) == "OrderRejected"
    assert name_of("Order/cancel", 2) == "OrderNotFound"
    assert name_of("Position/closeContract", 2) == "PositionNotFound"
    assert name_of("Order/place", 11) == name_of("Account/search", 1) == name_of("Order/place", None) == ""


def test_each_mutation_has_two_codes_that_leave_it_open() -> None:
    left_open = {
        endpoint: sorted(code for code, name in codes.items() if name in OPEN)
        for endpoint, codes in CODES.items()
        if endpoint.startswith(("Order/place", "Order/modify", "Order/cancel", "Position/"))
    }
    assert left_open == {
        "Order/place": [6, 7],
        "Order/modify": [4, 5],
        "Order/cancel": [4, 5],
        "Position/searchOpen": [],
        "Position/closeContract": [6, 7],
        "Position/partialCloseContract": [7, 8],
    }
