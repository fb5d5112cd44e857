"""ProjectX's REST: everything is a POST, and what fails is said under HTTP 200."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from actors.simulators.base.client import HttpReply, Request, RequestRefused
from actors.simulators.projectx import forms
from actors.simulators.projectx.account import Account
from actors.simulators.projectx.auth import INVALID_CREDENTIALS, TokenGate
from actors.simulators.projectx.bars import Bars
from actors.simulators.projectx.clock import VenueClock
from actors.simulators.projectx.codes import CODES, VenueRefusal
from actors.simulators.projectx.envelope import enveloped, failure, problem
from actors.simulators.projectx.instruments import Listing
from actors.simulators.projectx.lag import View
from actors.simulators.projectx.matching import Matching
from actors.simulators.projectx.order_lists import between, open_orders, queried, searched, shown
from actors.simulators.projectx.payloads import Row
from actors.simulators.projectx.seen import Seen
from actors.simulators.projectx.settings import SimulatedProjectXSettings
from actors.simulators.signalr.negotiate import text

_LISTED = 20  # contracts that a search finds at most
_PREFIX = "/api/"
_PING = "Status/ping"
_LOGIN = "Auth/loginKey"

# What the refusal of a page has beside its code.
_NOTHING: Mapping[str, Row] = {
    "Contract/searchById": {"contract": None},
    "History/retrieveBars": {"bars": None},
    "Order/search": {"orders": []},
    "Order/searchOpen": {"orders": []},
    "Order/searchById": {"order": None},
    "Order/v2/query": {"orders": [], "totalCount": None},
    "Position/searchOpen": {"positions": []},
    "Trade/search": {"trades": []},
}


class Backend(Protocol):
    """What the pages need of the venue."""

    settings: SimulatedProjectXSettings
    accounts: dict[int, Account]
    listings: dict[str, Listing]
    clock: VenueClock
    matching: Matching
    seen: Seen

    def view(self, account: Account) -> View: ...


class Page(Struct, frozen=True):
    """What a page is asked, and what answers it."""

    decode: Callable[[bytes], Any]
    handle: Callable[[Any, str], Row]


class Pages:
    def __init__(self, venue: Backend, gate: TokenGate) -> None:
        self._venue = venue
        self._gate = gate
        self._bars = Bars(venue.settings, venue.clock)
        self._pages = {
            name: Page(msgspec.json.Decoder(form).decode, handle)
            for name, (form, handle) in self._table().items()
        }
        self._names = {name.lower(): name for name in [*self._pages, _PING]}

    @property
    def names(self) -> list[str]:
        return list(self._names.values())

    def name_of(self, path: str) -> str:
        """The name of the page at this path, whose case does not matter; empty: there is none."""
        lower = path.lower()
        return self._names.get(lower.removeprefix(_PREFIX), "") if lower.startswith(_PREFIX) else ""

    def answer(self, request: Request, token: str) -> HttpReply:
        """A page. 404 where there is none, 401 without a good token, 400 where it cannot be read."""
        name = self.name_of(request.path)
        if (request.method, name) == ("GET", _PING):
            return text(200, b"pong")
        page = self._pages.get(name)
        if page is None:
            return text(404)
        if request.method != "POST":
            return HttpReply(405, b"", {"Allow": "POST"})
        if name != _LOGIN and not self._gate.good(token):
            return HttpReply(401, b"", {"WWW-Authenticate": "Bearer"})
        try:
            return enveloped(**self._handled(name, page, request.body, token))
        except RequestRefused as refused:
            return failure(refused.code, refused.text, **refused.also)
        except VenueRefusal as refusal:
            also = {"orderId": refusal.order} if name == "Order/place" else _NOTHING.get(name, {})
            words = refusal.text if self._venue.settings.error_texts else None
            return failure(CODES[name][refusal.name], words, **also)
        except (msgspec.DecodeError, ValueError) as wrong:
            return problem(str(wrong))

    def _handled(self, name: str, page: Page, body: bytes, token: str) -> Row:
        told = page.handle(page.decode(body.strip() or b"{}"), token)
        self._venue.seen.taken[name] += 1
        return told

    # logins

    def _log_in(self, asked: forms.Login, token: str) -> Row:
        given = self._gate.login(asked.user_name, asked.api_key)
        if given is None:
            raise RequestRefused(INVALID_CREDENTIALS, "Invalid credentials.", token=None)
        return {"token": given}

    def _validate(self, asked: forms.Form, token: str) -> Row:
        return {"newToken": self._gate.renew(token)}

    def _log_out(self, asked: forms.Form, token: str) -> Row:
        self._gate.logout(token)
        return {}

    # contracts

    def _search_contracts(self, asked: forms.ContractSearch, token: str) -> Row:
        wanted = asked.search_text.upper()
        found = [each for each in self._listed(asked.live) if wanted in f"{each.id} {each.name}"]
        return {"contracts": [each.page() for each in found[:_LISTED]]}

    def _find_contract(self, asked: forms.OneContract, token: str) -> Row:
        return {"contract": self._listing(asked.contract_id).page()}

    def _list_contracts(self, asked: forms.AvailableContracts, token: str) -> Row:
        return {"contracts": [each.page() for each in self._listed(asked.live)]}

    def _retrieve_bars(self, asked: forms.Bars, token: str) -> Row:
        listing = self._listing(asked.contract_id)
        found = self._bars.of(listing, asked)
        return {"bars": found if asked.live == self._venue.settings.live else []}

    def _listed(self, live: bool) -> list[Listing]:
        """What is listed for one of the two kinds of data; the other kind has nothing."""
        listings = self._venue.listings.values()
        return [each for each in listings if each.active] if live == self._venue.settings.live else []

    # orders

    def _place(self, asked: forms.Placing, token: str) -> Row:
        account, listing = self._account(asked), self._listing(asked.contract_id)
        row = self._venue.matching.place(account, listing, asked)
        self._venue.seen.order(row)
        return {"orderId": row["id"]}

    def _modify(self, asked: forms.Change, token: str) -> Row:
        self._venue.matching.modify(self._account(asked), asked)
        return {}

    def _cancel(self, asked: forms.OneOrder, token: str) -> Row:
        self._venue.matching.cancel(self._account(asked), asked.order_id)
        return {}

    def _search_orders(self, asked: forms.Span, token: str) -> Row:
        return self._orders(searched(self._shown(asked), asked, self._venue.settings.list_limit))

    def _open_orders(self, asked: forms.OfAccount, token: str) -> Row:
        return self._orders(open_orders(self._shown(asked)))

    def _find_order(self, asked: forms.OneOrder, token: str) -> Row:
        account = self._venue.accounts.get(asked.account_id)
        row = self._venue.view(account).orders.get(asked.order_id) if account else None
        if row is None:
            raise VenueRefusal("order")
        return {"order": shown(row, self._venue.settings.missing)}

    def _query_orders(self, asked: forms.Query, token: str) -> Row:
        rows = self._shown(asked.filter).orders.values()
        found, total = queried(rows, asked, self._venue.settings.page_offset_in)
        return {**self._orders(found), "totalCount": total}

    def _orders(self, rows: list[Row]) -> Row:
        return {"orders": [shown(row, self._venue.settings.missing) for row in rows]}

    # accounts, positions, trades

    def _search_accounts(self, asked: forms.AccountSearch, token: str) -> Row:
        every = [self._venue.view(account).account for account in self._venue.accounts.values()]
        return {"accounts": [row for row in every if row["canTrade"] or not asked.only_active_accounts]}

    def _open_positions(self, asked: forms.OfAccount, token: str) -> Row:
        return {"positions": list(self._shown(asked).positions.values())}

    def _close(self, asked: forms.Closing, token: str) -> Row:
        self._venue.matching.close(self._account(asked), self._listing(asked.contract_id))
        return {}

    def _close_part(self, asked: forms.PartialClosing, token: str) -> Row:
        self._venue.matching.close(self._account(asked), self._listing(asked.contract_id), asked.size)
        return {}

    def _search_trades(self, asked: forms.Span, token: str) -> Row:
        rows = self._shown(asked).trades.values()
        return {"trades": between(rows, asked, self._venue.settings.list_limit)}

    # what there is

    def _account(self, asked: forms.OfAccount) -> Account:
        found = self._venue.accounts.get(asked.account_id)
        if found is None:
            raise VenueRefusal("account")
        return found

    def _shown(self, asked: forms.OfAccount) -> View:
        """The rows of an account as its lists have them, which may lag."""
        return self._venue.view(self._account(asked))

    def _listing(self, contract: str) -> Listing:
        found = self._venue.listings.get(contract)
        if found is None:
            raise VenueRefusal("contract")
        return found

    def _table(self) -> Mapping[str, tuple[type[forms.Form], Callable[[Any, str], Row]]]:
        """What each page is asked, and what answers it."""
        return {
            _LOGIN: (forms.Login, self._log_in),
            "Auth/validate": (forms.Form, self._validate),
            "Auth/logout": (forms.Form, self._log_out),
            "Account/search": (forms.AccountSearch, self._search_accounts),
            "Contract/search": (forms.ContractSearch, self._search_contracts),
            "Contract/searchById": (forms.OneContract, self._find_contract),
            "Contract/available": (forms.AvailableContracts, self._list_contracts),
            "History/retrieveBars": (forms.Bars, self._retrieve_bars),
            "Order/place": (forms.Placing, self._place),
            "Order/modify": (forms.Change, self._modify),
            "Order/cancel": (forms.OneOrder, self._cancel),
            "Order/search": (forms.Span, self._search_orders),
            "Order/searchOpen": (forms.OfAccount, self._open_orders),
            "Order/searchById": (forms.OneOrder, self._find_order),
            "Order/v2/query": (forms.Query, self._query_orders),
            "Position/searchOpen": (forms.OfAccount, self._open_positions),
            "Position/closeContract": (forms.Closing, self._close),
            "Position/partialCloseContract": (forms.PartialClosing, self._close_part),
            "Trade/search": (forms.Span, self._search_trades),
        }
