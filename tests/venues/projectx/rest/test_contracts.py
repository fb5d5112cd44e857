"""Contracts are resolved, or refused with what was found."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from actors.protocol import CallRefused, Contract, Retryable
from actors.venues.projectx.rest import ProjectXApi
from tests.venues.projectx.rest.gateway import (
    API,
    REST,
    Row,
    answer,
    contract_row,
    good,
    pages,
    refusal,
    serve,
    talk,
)

ENQ = contract_row("ENQ", "NQZ6")
NQ_FINDS = [ENQ, contract_row("MNQ", "MNQZ6"), contract_row("NQG", "QGZ6"), contract_row("NQM", "QMZ6")]


def resolve(text: str, rows: list[Row], *, inactive: bool = False) -> Any:
    return talk(
        API.contract(text, inactive=inactive),
        ("Contract/search", {"searchText": text.strip().upper(), "live": False}, good(contracts=rows)),
    )


@pytest.mark.parametrize("text", ["NQ", "nq ", "NQZ6", "ENQ"])
def test_a_text_names_one_contract_by_its_name_its_root_or_its_product(text: str) -> None:
    assert resolve(text, NQ_FINDS) == Contract(
        "CON.F.US.ENQ.Z26", "NQZ6", Decimal("0.25"), Decimal("12.5"), "ENQ", True, "ENQ"
    )


@pytest.mark.parametrize(
    ("name", "text"), [("M2KZ6", "M2K"), ("6AZ6", "6A"), ("ENQH25", "ENQ"), ("GMETZ26", "GMET")]
)
def test_names_may_hold_digits(name: str, text: str) -> None:
    assert resolve(text, [contract_row("XX", name)]).name == name


def test_es_is_not_mes() -> None:
    refused = resolve("ES", [contract_row("MES", "MESZ6")])
    assert isinstance(refused, CallRefused)
    assert (refused.code, refused.name) == (None, "Ambiguous")
    assert str(refused) == (
        "Contract/search was refused (Ambiguous: ES is the name of none of the contracts that were found: "
        "CON.F.US.MES.Z26 (MESZ6). Write the full id)"
    )


def test_two_months_of_a_product_are_ambiguous() -> None:
    """At a roll both are active, and the first is as wrong as the last."""
    months = [contract_row("EP", "ESZ6"), contract_row("EP", "ESH6")]
    refused = resolve("ES", months)
    assert "ES fits several contracts: CON.F.US.EP.Z26 (ESZ6), CON.F.US.EP.H26 (ESH6)" in str(refused)
    assert resolve("ESH6", months).id == "CON.F.US.EP.H26"


def test_a_root_and_a_product_of_two_contracts_are_ambiguous() -> None:
    assert resolve("QG", [contract_row("NQG", "QGZ6"), contract_row("QG", "XXZ6")]).name == "Ambiguous"


def test_a_contract_that_is_listed_twice_is_one() -> None:
    assert resolve("NQ", [ENQ, ENQ]).name == "NQZ6"


def test_inactive_contracts_count_on_demand_only() -> None:
    months = [contract_row("EP", "ESZ6"), contract_row("EP", "ESU6", active=False)]
    assert resolve("ES", months).name == "ESZ6"
    assert resolve("ES", months, inactive=True).name == "Ambiguous"
    assert resolve("ESU6", months, inactive=True).is_active is False


def test_nothing_found_says_which_market_was_asked() -> None:
    """A wrong `live` gives an empty list."""
    refused = resolve("ES", [])
    assert (refused.name, refused.message) == (
        "NotFound",
        "no active contract was found for ES, with live = false",
    )


def test_live_is_of_the_feed_or_of_the_call() -> None:
    live = ProjectXApi(REST, live=True)
    asked: list[Row] = []

    def reply(endpoint: str, fields: Row) -> Any:
        asked.append(fields)
        return good(contracts=[ENQ])

    serve(live.contract("NQ"), reply)
    serve(live.contract("NQ", live=False), reply)
    serve(API.contracts("NQ", live=True), reply)
    serve(live.available_contracts(), reply)
    assert [fields["live"] for fields in asked] == [True, False, True, True]


def test_a_search_that_is_full_shows_a_part_so_all_contracts_are_asked_for() -> None:
    rows = [contract_row(f"P{number}", f"A{number}Z6") for number in range(20)]
    assert (
        talk(
            API.contract("NQ"),
            ("Contract/search", {"searchText": "NQ", "live": False}, good(contracts=rows)),
            ("Contract/available", {"live": False}, good(contracts=[*rows, *NQ_FINDS])),
        ).name
        == "NQZ6"
    )


def test_a_long_list_is_not_shown_whole() -> None:
    rows = [contract_row(f"P{number}", f"A{number}Z6") for number in range(12)]
    assert "(A9Z6) and 2 more. Write the full id" in str(resolve("NQ", rows))


@pytest.mark.parametrize("payload", [{"contract": ENQ}, {"contracts": [ENQ]}])
def test_a_full_id_is_asked_for_itself(payload: Row) -> None:
    assert (
        talk(
            API.contract("con.f.us.enq.z26"),
            ("Contract/searchById", {"contractId": "CON.F.US.ENQ.Z26"}, good(**payload)),
        ).name
        == "NQZ6"
    )


def test_an_expired_contract_is_found_by_its_id() -> None:
    expired = {"contract": ENQ | {"activeContract": False}}
    assert serve(API.contract("CON.F.US.ENQ.Z26"), pages(searchById=expired)).is_active is False


def test_an_id_that_is_not_there_is_refused_by_the_gateway() -> None:
    refused = serve(API.contract("CON.F.US.ENQ.Z26"), lambda *_: refusal(1, contract=None))
    assert refused == CallRefused("Contract/searchById", 1, "ContractNotFound")


@pytest.mark.parametrize(
    "payload", [{}, {"contract": None}, {"contracts": []}, {"contract": contract_row("EP", "ESZ6")}]
)
def test_another_contract_than_the_one_asked_for_proves_nothing(payload: Row) -> None:
    reason = serve(API.contract("CON.F.US.ENQ.Z26"), pages(searchById=payload))
    assert isinstance(reason, Retryable)
    assert reason.code == "no_evidence"


def test_a_row_of_old_has_no_symbol_and_its_product_stands_in_its_id() -> None:
    row = {
        key: value for key, value in ENQ.items() if key not in ("symbolId", "description", "activeContract")
    }
    found = resolve("ENQ", [row])
    assert (found.product, found.description, found.is_active) == ("ENQ", "", True)


def test_ticks_are_exact() -> None:
    body = (
        b'{"success":true,"errorCode":0,"contracts":[{"id":"CON.F.US.TYA.Z26","name":"ZNZ6",'
        b'"tickSize":0.015625000,"tickValue":15.625000000}]}'
    )
    [found] = serve(API.contracts("ZN"), lambda *_: answer(200, body))
    assert (found.tick_size, found.tick_value) == (Decimal("0.015625"), Decimal("15.625"))
