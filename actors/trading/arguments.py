"""What a program gives to its requests, checked before anything is asked or sent.

Each check returns the value as the venue takes it, or raises `ArgumentError` with one sentence. A mutation
with such an argument is `Refused` with the code `terms`, as all that is not sent; a read raises the error.
"""

from __future__ import annotations

import operator
import re
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Final, TypeAlias

from actors.errors import LinewardenError
from actors.protocol.trading import Align, Bracket, Contract
from actors.timers import check_seconds

DIGITS: Final = 18  # of the number of an account, at most: as that of a halt
DIGITS_ONLY: Final = rf"^[0-9]{{1,{DIGITS}}}\Z"
LONGEST_DEADLINE: Final = 3_600.0  # seconds: a mutation that long on its way refuses others of its account
Price: TypeAlias = Decimal | int | str | float
AccountNumber: TypeAlias = int | str  # a text of digits, as an environment variable has it, is the number


class LeftOut(Enum):
    """What was not given. None is not: a price that was not found must not make an order at the market."""

    LEFT_OUT = "left out"

    def __repr__(self) -> str:
        return self.name


LEFT_OUT: Final = LeftOut.LEFT_OUT


class ArgumentError(LinewardenError):
    """An argument makes no sense. Nothing was asked or sent."""


def account_number(account: object) -> int:
    """A number from 0 on, also as a text of its digits, which is what keys of channels may be."""
    if isinstance(account, str) and re.match(DIGITS_ONLY, account):
        return int(account)
    hint = (
        'runtime.ask(feed).accounts() lists your accounts, and .account("NAME") finds one; .id is the number'
    )
    number = _number("account", "the number of an account", account, hint)
    if not 0 <= number < 10**DIGITS:
        raise ArgumentError(f"account is the number of an account, and {number} is none; {hint}")
    return number


def order_number(order: object) -> int:
    return _number("order", "the number of an order", order, "orders have it as .id, Accepted as .order_id")


def whole(name: str, value: object) -> int:
    """From 1 on."""
    number = _whole(value)
    if number is None or number < 1:
        raise ArgumentError(f"{name} is a whole number from 1 on, not {value!r}")
    return number


def optional_size(size: object) -> int | None:
    """From 1 on; None: it was left out."""
    return None if size is None else whole("size", size)


def contract_text(contract: object) -> str:
    """The id of a `Contract`, or the text."""
    if isinstance(contract, Contract):
        return contract.id
    if not isinstance(contract, str) or not contract.strip():
        raise ArgumentError(
            f'contract is a Contract, or an id, a name or a product such as "ENQ", and {contract!r} is none'
        )
    return contract


def exact_price(name: str, price: Price | LeftOut) -> Decimal | None:
    """Exact; a float as it is written. None: it was left out."""
    if price is LEFT_OUT:
        return None
    if price is None:
        raise ArgumentError(f"{name} is None, which is no price; leave {name} out if there is to be none")
    if isinstance(price, Decimal):
        return price
    if isinstance(price, bool) or not isinstance(price, int | str | float):
        raise ArgumentError(f"{name} is a price, as Decimal, text or int, and {price!r} is none")
    try:
        return Decimal(float.__repr__(price) if isinstance(price, float) else str(price))
    except InvalidOperation:
        raise ArgumentError(f"{name} is a price, as Decimal, text or int, and {price!r} is none") from None


def check_bracket(bracket: object) -> None:
    if bracket is not None and not isinstance(bracket, Bracket):
        raise ArgumentError(
            f"bracket is an actors.Bracket, such as Bracket(stop=40, target=80), and {bracket!r} is none"
        )


def check_tag(tag: object) -> None:
    """None: one is made. What a tag may be is the store's to say."""
    if tag is not None and not (isinstance(tag, str) and tag):
        raise ArgumentError(f"tag is a text of 1 to 48 printable ASCII characters, and {tag!r} is none")


def check_align(align: Align | None) -> None:
    if align not in (None, "refuse", "safe"):
        raise ArgumentError(f'align is "refuse" or "safe", not {align!r}')


def check_deadline(deadline: float | None) -> None:
    """Seconds; None: as the feed has it."""
    try:
        check_seconds("deadline", deadline, optional=True)
    except LinewardenError as error:
        raise ArgumentError(str(error)) from None
    if deadline is not None and deadline > LONGEST_DEADLINE:
        raise ArgumentError(f"deadline is at most {LONGEST_DEADLINE:g} seconds, not {deadline!r}")


def check_moment(name: str, moment: object) -> None:
    if not isinstance(moment, datetime):
        raise ArgumentError(f"{name} is a datetime with a time zone, and {moment!r} is none")
    if moment.tzinfo is None:
        raise ArgumentError(f"{name} {moment} has no time zone; write datetime(…, tzinfo=UTC)")


def _number(name: str, what: str, value: object, hint: str) -> int:
    number = _whole(value)
    if number is None:
        given = repr(value) if isinstance(value, str | float | None) else f"a {type(value).__name__}"
        raise ArgumentError(f"{name} is {what}, and {given} is none; {hint}")
    return number


def _whole(value: object) -> int | None:
    """An int, also of another library; None: it is no whole number."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None
