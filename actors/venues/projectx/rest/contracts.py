"""Contracts: listed, and resolved strictly. A wrong guess here is an order in another market."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct

from actors.protocol import CallRefused, Contract, NoResultError, Steps
from actors.venues.projectx.rest.asking import SHORTEST_CUT, Asking, Envelope, present, unproved

SEARCH: Final = "Contract/search"
BY_ID: Final = "Contract/searchById"
AVAILABLE: Final = "Contract/available"
MOST_SHOWN: Final = 10  # contracts in a sentence

_FULL_ID: Final = re.compile(r"CON(\.[A-Z0-9_+-]+){2,}", re.ASCII)
_MONTH: Final = re.compile(r"[FGHJKMNQUVXZ]\d{1,2}", re.ASCII)  # and year, at the end of a name: NQZ6, ENQH25


class ContractRow(Struct, frozen=True, kw_only=True, rename="camel"):
    """ProjectX, "Contract/search": `id` is CON.F.US.PRODUCT.MONTHYEAR; old samples lack `symbolId`."""

    id: str
    name: str
    tick_size: Decimal
    tick_value: Decimal
    description: str | None = None
    active_contract: bool | None = None
    symbol_id: str | None = None

    def contract(self) -> Contract:
        """Returns it as orders need it."""
        return Contract(
            self.id,
            self.name,
            self.tick_size,
            self.tick_value,
            self.description or "",
            self.active_contract is not False,
            self._product(),
        )

    def _product(self) -> str:
        """Product codes are ProjectX's: ES is EP. They may hold digits: M2K, DA6."""
        if self.symbol_id:
            return self.symbol_id.rpartition(".")[2]
        return self.id.split(".")[-2] if self.id.count(".") > 1 else ""


class Contracts(Envelope, frozen=True, kw_only=True):
    """`Contract/search` and `Contract/available`."""

    contracts: tuple[ContractRow, ...] | None = None


class OneContract(Envelope, frozen=True, kw_only=True):
    """`Contract/searchById`: old docs have a list of one."""

    contract: ContractRow | None = None
    contracts: tuple[ContractRow, ...] | None = None


def found(asking: Asking, text: str, live: bool) -> Steps[tuple[Contract, ...]]:
    """The search is fuzzy, and ends at 20: `NQ` finds ENQ, MNQ, NQG, NQM."""
    answer = yield from asking.post(SEARCH, Contracts, {"searchText": text, "live": live})
    return _contracts(SEARCH, answer.contracts)


def available(asking: Asking, live: bool) -> Steps[tuple[Contract, ...]]:
    """All that may be traded."""
    answer = yield from asking.post(AVAILABLE, Contracts, {"live": live})
    return _contracts(AVAILABLE, answer.contracts)


def resolved(asking: Asking, text: str, live: bool, inactive: bool) -> Steps[Contract]:
    """By full id, else by name, name without month and year, or product; never a guess.

    A search that ends at 20 shows only a part, so `Contract/available` is asked then.
    """
    text = text.strip().upper()
    if _FULL_ID.fullmatch(text):
        return (yield from by_id(asking, text))
    contracts = yield from found(asking, text, live)
    if len(contracts) >= SHORTEST_CUT:
        contracts = yield from available(asking, live)
    return choose(text, contracts, live=live, inactive=inactive)


def by_id(asking: Asking, contract_id: str) -> Steps[Contract]:
    """Expired ones are found as well."""
    answer = yield from asking.post(BY_ID, OneContract, {"contractId": contract_id})
    rows = answer.contracts if answer.contract is None else (answer.contract,)
    contracts = _contracts(BY_ID, rows)
    if [each.id for each in contracts] != [contract_id]:
        raise NoResultError(unproved(BY_ID, f"it is not of {contract_id}"))
    return contracts[0]


def choose(
    text: str, contracts: Iterable[Contract], *, live: bool = False, inactive: bool = False
) -> Contract:
    """Returns the one contract that the text names.

    Raises:
        NoResultError: it names none, or several; what was found is listed.
    """
    text = text.strip().upper()
    listed = list({each.id: each for each in contracts if inactive or each.is_active}.values())
    for names in (exact_name, general_names):
        matching = [each for each in listed if text in names(each)]
        if len(matching) == 1:
            return matching[0]
        if matching:
            raise NoResultError(_refused(text, "Ambiguous", "fits several contracts", matching))
    if listed:
        raise NoResultError(
            _refused(text, "Ambiguous", "is the name of none of the contracts that were found", listed)
        )
    hint = "true" if live else "false"
    raise NoResultError(
        CallRefused(SEARCH, None, "NotFound", f"no active contract was found for {text}, with live = {hint}")
    )


def exact_name(contract: Contract) -> set[str]:
    """NQZ6 is one contract."""
    return {contract.name.upper()}


def general_names(contract: Contract) -> set[str]:
    """NQ and ENQ name a product, and so one contract while one month of it is active."""
    name = contract.name.upper()
    last = list(_MONTH.finditer(name))[-1:]
    roots = {name[: each.start()] for each in last if each.end() == len(name)}
    return (roots | {contract.product.upper()}) - {""}


def _refused(text: str, name: str, why: str, contracts: Sequence[Contract]) -> CallRefused:
    shown = ", ".join(f"{each.id} ({each.name})" for each in contracts[:MOST_SHOWN])
    more = f" and {len(contracts) - MOST_SHOWN} more" if len(contracts) > MOST_SHOWN else ""
    return CallRefused(SEARCH, None, name, f"{text} {why}: {shown}{more}. Write the full id")


def _contracts(endpoint: str, rows: Iterable[ContractRow] | None) -> tuple[Contract, ...]:
    return tuple(row.contract() for row in present(endpoint, rows))
