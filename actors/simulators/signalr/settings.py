"""What simulated hubs can be told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from actors.simulators.base.settings import SimulatorSettings


class SimulatedHubSettings(SimulatorSettings, kw_only=True):
    """The settings of every server of hubs."""

    tokens: Annotated[Callable[[str], bool] | None, "whether a token is good; None: any is"] = None
    transports: Annotated[str, "what negotiation offers, by commas; only WebSockets is served"] = (
        "WebSockets,ServerSentEvents,LongPolling"
    )
    ping_interval: Annotated[float, "seconds of its own silence until a hub pings; 0: never"] = 15.0
    client_timeout: Annotated[float, "seconds of a client's silence, counted from its first ping"] = 30.0
    handshake_timeout: Annotated[float, "seconds"] = 15.0
    negotiated_life: Annotated[float, "seconds in which a negotiated id must be used"] = 15.0
    packed: Annotated[int, "records per message, where so many come at once"] = 1
    fragment: Annotated[int, "bytes per WebSocket frame; 0: a message over 4 KiB is in two"] = 0
    split: Annotated[bool, "each message is two, cut in the middle of a record"] = False
