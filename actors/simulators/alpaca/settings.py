"""What a simulated Alpaca can be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from actors.simulators.alpaca.endpoints import Plan
from actors.simulators.base.settings import SimulatorSettings

Greeting = Literal["apart", "together", "short", "connected"]


class SimulatedAlpacaSettings(SimulatorSettings, kw_only=True):
    """The settings of Alpaca. What its documents leave open can be played both ways."""

    keys: Annotated[Mapping[str, str] | None, "secrets by key, and no others log in; None: any"] = None
    plan: Annotated[Plan, "basic: fewer symbols, and no sip, boats or opra (409)"] = "plus"
    symbols: Annotated[int, "most that a connection may subscribe to (405); 0: as the plan says"] = 0
    connections: Annotated[int, "most that an endpoint and key may have (406); 0: no limit"] = 1
    dead_session: Annotated[float, "seconds for which a broken connection counts; Alpaca: 90"] = 0.0
    keep_refused: Annotated[bool, "a connection that was told 406 stays open and may try again"] = True
    auth_timeout: Annotated[float, "seconds until a connection without a login gets 404 and ends"] = 10.0
    greeting: Annotated[
        Greeting, "after a login by headers: both messages apart, both together, authenticated, connected"
    ] = "apart"
    binary: Annotated[bool, "the account stream sends JSON in binary frames, as the paper host does"] = True
    digits: Annotated[int, "decimals of a timestamp's seconds; -1: as many as needed"] = -1
    offset: Annotated[str, "how the account stream's times end, such as -04:00"] = "Z"
    requests_per_minute: Annotated[int, "pages that are answered before 429; 0: no limit"] = 0
    page_rows: Annotated[int, "most rows of a page of history, whatever its limit; 0: as its limit says"] = 0
    backlog: Annotated[int, "bytes that may wait for a slow reader until it is cut off"] = 1 << 23
