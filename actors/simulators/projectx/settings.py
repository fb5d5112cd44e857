"""What a simulated ProjectX can be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from actors.simulators.projectx.order_lists import Missing, Offset
from actors.simulators.projectx.payloads import ActionCodes, MarketShape, UserShape
from actors.simulators.signalr.settings import SimulatedHubSettings

CONTRACTS = ("CON.F.US.EP.Z26", "CON.F.US.ENQ.Z26", "CON.F.US.CLE.Z26")
ACCOUNTS = (4242, 4243)


class SimulatedProjectXSettings(SimulatedHubSettings, kw_only=True):
    """The settings of ProjectX."""

    contracts: Annotated[Sequence[str], "their ids"] = CONTRACTS
    inactive: Annotated[Sequence[str], "ids of contracts that can be found by id and not traded"] = ()
    live: Annotated[bool, "lists and bars are of live data; asked for the other kind, they are empty"] = False
    accounts: Annotated[Sequence[int], "their ids"] = ACCOUNTS
    acting: Annotated[bool, "accounts place orders by themselves while the market moves"] = True
    live_accounts: Annotated[Sequence[int], "ids of accounts that refuse cancels and closes"] = ()
    position_brackets: Annotated[Sequence[int], "ids of accounts in Position Brackets mode"] = ()
    keys: Annotated[Mapping[str, str] | None, "the API key of each user name; None: any may log in"] = None
    token_life: Annotated[float, "seconds"] = 86_400.0
    snapshots: Annotated[bool, "a subscription is followed by a whole quote, and by the whole book"] = True
    strict: Annotated[bool, "unknown accounts and contracts are refused; false: they stay silent"] = True
    user_shape: Annotated[UserShape, "how the user hub wraps its arguments"] = "object"
    quote_shape: Annotated[MarketShape, "how quotes are wrapped"] = "object"
    tape_shape: Annotated[MarketShape, "how market trades and depth are wrapped"] = "list"
    actions: Annotated[
        ActionCodes, "codes of envelopes. gone: 1 new and changed, 2 gone, 0 trades; new: 0 new, 1 changed"
    ] = "gone"
    clock_ahead: Annotated[float, "seconds by which the venue's clock differs from ours"] = 0.0
    latency: Annotated[float, "seconds from the effect of a REST request to its answer"] = 0.0
    rest_limit: Annotated[int, "REST requests, bars apart, in `rest_window`; more get a 429; 0: any"] = 200
    rest_window: Annotated[float, "seconds"] = 60.0
    bars_limit: Annotated[int, "requests for bars in `bars_window`; more get a 429; 0: any"] = 30
    bars_window: Annotated[float, "seconds"] = 30.0
    limit_retry_after: Annotated[float, "seconds, sent with such a 429 as Retry-After; 0: none"] = 0.0
    error_texts: Annotated[bool, "false: refusals have a code and no errorMessage"] = True
    duplicate_tag: Annotated[Literal["refused", "accepted"], "what a customTag gets that is in use"] = (
        "refused"
    )
    min_bracket_ticks: Annotated[int, "ticks of a leg of a bracket, at least"] = 4
    flip_renews_id: Annotated[bool, "a position that goes through zero has another id"] = False
    commission: Annotated[float, "money, a contract and half-turn; 0: half-turns do not have it"] = 0.0
    missing: Annotated[Missing, "how orders have what they do not have"] = "null"
    list_limit: Annotated[int, "rows of Order/search and Trade/search, the newest ones; 0: all"] = 0
    page_offset_in: Annotated[Offset, "what pageOffset of v2/query counts"] = "rows"
    past: Annotated[float, "days of made-up trades before its start, of which there are bars"] = 0.0
    minute_depth: Annotated[float, "days for which there are bars of seconds and minutes"] = 63.0
    hour_depth: Annotated[float, "days for which there are bars of hours and more"] = 365.0
    bars_cap: Annotated[int, "bars of an answer, at most, whatever its limit"] = 20_000
