"""What each page is asked: the keys that it knows, and their types. All other keys are ignored."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from msgspec import Struct


class Form(Struct, frozen=True, rename="camel"):
    """A request without keys, and what all requests are."""


class Login(Form, frozen=True, rename="camel"):
    user_name: str
    api_key: str


class AccountSearch(Form, frozen=True, rename="camel"):
    only_active_accounts: bool


class ContractSearch(Form, frozen=True, rename="camel"):
    search_text: str
    live: bool


class OneContract(Form, frozen=True, rename="camel"):
    contract_id: str


class AvailableContracts(Form, frozen=True, rename="camel"):
    live: bool


class Bars(Form, frozen=True, rename="camel"):
    contract_id: str
    live: bool
    start_time: datetime
    end_time: datetime
    unit: int
    unit_number: int
    limit: int
    include_partial_bar: bool


class OfAccount(Form, frozen=True, rename="camel"):
    account_id: int


class Span(OfAccount, frozen=True, rename="camel"):
    """A time of an account. Without a start it begins with the account."""

    start_timestamp: datetime | None = None
    end_timestamp: datetime | None = None


class OneOrder(OfAccount, frozen=True, rename="camel"):
    order_id: int


class Filter(OfAccount, frozen=True, rename="camel"):
    statuses: list[int] | None = None
    contract_id: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


class Query(Form, frozen=True, rename="camel"):
    filter: Filter
    page_size: int = 100
    page_offset: int = 0
    sort_by: int = 0
    sort_direction: int = 0
    include_total_count: bool = False


class BracketLeg(Form, frozen=True, rename="camel"):
    """`ticks` are signed, from the entry."""

    ticks: int
    type: int


class Placing(OfAccount, frozen=True, rename="camel"):
    contract_id: str
    type: int
    side: int
    size: int
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None  # absolute
    custom_tag: str | None = None
    linked_order_id: int | None = None  # of older documents
    stop_loss_bracket: BracketLeg | None = None
    take_profit_bracket: BracketLeg | None = None


class Change(OneOrder, frozen=True, rename="camel"):
    size: int | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None  # absolute


class Closing(OfAccount, frozen=True, rename="camel"):
    contract_id: str


class PartialClosing(Closing, frozen=True, rename="camel"):
    size: int


def utc(moment: datetime) -> datetime:
    """A time as the venue reads it: one without a zone is UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def stamp(moment: datetime) -> str:
    """A time as the rows have it, so that the two compare as texts."""
    return f"{utc(moment):%Y-%m-%dT%H:%M:%S.%f}0+00:00"
