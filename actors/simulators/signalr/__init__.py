"""The server side of SignalR's JSON hub protocol on loopback, for hubs of any kind.

It behaves as ASP.NET Core 9 was seen to behave; where that and the specification differ, the server
has the last word.
"""

from actors.simulators.signalr.hub_client import Caller
from actors.simulators.signalr.hub_methods import HubError, Method
from actors.simulators.signalr.server import SimulatedHubs

__all__ = ["Caller", "HubError", "Method", "SimulatedHubs"]
