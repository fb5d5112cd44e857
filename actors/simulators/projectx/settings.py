"""What a simulated ProjectX can be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from actors.simulators.projectx.payloads import MarketShape, UserShape
from actors.simulators.signalr.settings import SimulatedHubSettings

CONTRACTS = ("CON.F.US.EP.Z26", "CON.F.US.ENQ.Z26", "CON.F.US.CLE.Z26")
ACCOUNTS = (4242, 4243)


class SimulatedProjectXSettings(SimulatedHubSettings, kw_only=True):
    """The settings of ProjectX."""

    contracts: Annotated[Sequence[str], "their ids"] = CONTRACTS
    accounts: Annotated[Sequence[int], "their ids"] = ACCOUNTS
    keys: Annotated[Mapping[str, str] | None, "the API key of each user name; None: any may log in"] = None
    token_life: Annotated[float, "seconds"] = 86_400.0
    snapshots: Annotated[bool, "a subscription is followed by a whole quote, and by the whole book"] = True
    strict: Annotated[bool, "unknown accounts and contracts are refused; false: they stay silent"] = True
    user_shape: Annotated[UserShape, "how the user hub wraps its arguments"] = "object"
    quote_shape: Annotated[MarketShape, "how quotes are wrapped"] = "object"
    tape_shape: Annotated[MarketShape, "how market trades and depth are wrapped"] = "list"
