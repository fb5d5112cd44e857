"""What a simulated tplus can be told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from actors.simulators.base.settings import SimulatorSettings

Denial = Literal["refuse", "stay", "close"]


class SimulatedTplusSettings(SimulatorSettings, kw_only=True):
    """The settings of tplus. What is not known of the venue can be played both ways."""

    assets: Annotated[Sequence[str] | None, "which have markets, and no others are known; None: any"] = None
    prefix: Annotated[str, "what a gateway has before every path, such as /gateway"] = ""
    auth_prefix: Annotated[str, "what it has, after `prefix`, before /nonce, /auth and /logout"] = ""
    login: Annotated[bool, "false: user streams and pages are open to all, as on older servers"] = True
    denial: Annotated[
        Denial,
        "a user stream without a valid token gets a 401, or a welcome with an error and stays, or closes",
    ] = "refuse"
    market_maker: Annotated[bool, "false: the intent stream is refused with 403"] = True
    token_life: Annotated[float, "seconds"] = 86_400.0
    nonce_life: Annotated[float, "seconds"] = 300.0
    auth_limit: Annotated[int, "requests for nonces and tokens per `auth_window`; more get a 429"] = 100
    auth_window: Annotated[float, "seconds"] = 1800.0
    flat_errors: Annotated[bool, 'errors are {"error": "text"}, without a code'] = False
    inner_tags: Annotated[bool, 'order events are {"type": "removed", ...}, as on older servers'] = False
    kline_objects: Annotated[bool, "a bar is in no list, a page of bars is one: older servers"] = False
    ping_interval: Annotated[float, "seconds between two pings of the server; 0: none"] = 20.0
    pong_timeout: Annotated[float, "seconds for the answer; a client that owes it is cut off"] = 5.0
