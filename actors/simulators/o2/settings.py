"""What a simulated O2 can be told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from actors.simulators.base.settings import SimulatorSettings

NonceForm = Literal["decimal", "number", "hex"]
SnapshotKey = Literal["orders", "view", ""]


class SimulatedO2Settings(SimulatorSettings, kw_only=True):
    """The settings of O2. What its documents leave open can be played both ways."""

    markets: Annotated[Sequence[str] | None, "their ids, and no others are known; None: any"] = None
    inactivity: Annotated[float, "seconds without a message until a client is closed; 0: never"] = 60.0
    snapshot_key: Annotated[SnapshotKey, 'what a snapshot has its sides in; "": at its top'] = "orders"
    acknowledge_all: Annotated[bool, "orders, trades, balances and nonce begin with what is there"] = False
    name_errors: Annotated[bool, "errors name the action and the market that they are about"] = False
    untidy_ids: Annotated[bool, "ids lose their 0x or are in upper case, differently in each channel"] = False
    nonce_form: Annotated[NonceForm, "how a nonce is written"] = "decimal"
    start_belongs: Annotated[bool, "the trade that a page of history starts at is in it"] = True
    bare_lists: Annotated[bool, "pages of history are lists by themselves"] = False
