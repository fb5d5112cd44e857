"""What an account has, changed by the stream and by REST."""

from __future__ import annotations

from decimal import Decimal

from msgspec import structs

from actors.protocol.accounts import Fill
from actors.rules.account.record import AccountRecord

FILL = Fill(
    id=5,
    contract="CON.F.US.EP.Z26",
    order=4,
    side="buy",
    size=1,
    price=Decimal(95),
    profit=None,
    fees=Decimal("1.40"),
    commissions=None,
    voided=False,
    at_ns=1_000,
)
VOIDED = structs.replace(FILL, voided=True)


def test_a_fill_that_rest_withdrew_is_voided_once() -> None:
    record = AccountRecord(0)
    assert record.tell(FILL, 1.0, 1)
    assert record.withdraw(FILL, "rest", 2).row == VOIDED
    assert record.tell(VOIDED, 3.0, 3) is None  # the stream tells it late
    assert record.tell(VOIDED, 4.0, 4) is None
    assert record.fills() == ()


def test_a_fill_that_rest_withdrew_and_lists_again_may_be_voided_again() -> None:
    record = AccountRecord(0)
    assert record.tell(FILL, 1.0, 1)
    record.withdraw(FILL, "rest", 2)
    assert record.adopt(FILL, "rest", 3).row == FILL
    assert record.fills() == (FILL,)
    told = record.tell(VOIDED, 4.0, 4)
    assert told is not None
    assert told.row == VOIDED
