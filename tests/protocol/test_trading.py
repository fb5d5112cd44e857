"""Mutations and their outcomes, as they are written on disk and counted."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from actors.protocol import (
    Accepted,
    AnyMutation,
    Bracket,
    Cancel,
    Close,
    Intent,
    Modify,
    OrderOutcome,
    Place,
    Refused,
    Unknown,
    adds_risk,
    lane_of,
)

PLACE = Place(
    account=7,
    contract="CON.F.US.EP.Z26",
    side="buy",
    size=2,
    type="limit",
    limit_price=Decimal("6801.25"),
    bracket=Bracket(stop=10, target=20),
)
MUTATIONS: list[AnyMutation] = [
    PLACE,
    Modify(account=7, order=1, stop_price=Decimal("6800.00")),
    Cancel(account=7, order=1),
    Close(account=7, contract="CON.F.US.EP.Z26", size=1),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: type(each).__name__)
def test_a_mutation_is_read_as_it_was_written(mutation: AnyMutation) -> None:
    intent = Intent(tag="t", mutation=mutation, begun_ns=1)
    assert msgspec.json.decode(msgspec.json.encode(intent), type=Intent) == intent


@pytest.mark.parametrize(
    "outcome",
    [Accepted("t", 9), Refused("t", "halted"), Unknown("t", "lost")],
    ids=lambda each: type(each).__name__,
)
def test_an_outcome_is_read_as_it_was_written(outcome: OrderOutcome) -> None:
    assert msgspec.json.decode(msgspec.json.encode(outcome), type=OrderOutcome) == outcome


def test_what_reduces_risk_has_a_lane_of_its_own() -> None:
    assert [adds_risk(each) for each in MUTATIONS] == [True, True, False, False]
    assert [lane_of(each) for each in MUTATIONS] == ["change", "change", "flatten", "flatten"]
