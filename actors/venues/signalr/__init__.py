"""The venue `signalr`: any hub of ASP.NET Core, described by a feed's own table or by one with a file.

`table` is what such a table may say beside what all may, `protocol` what it comes to for one feed,
`session` how to talk to the hub, `venue` the class that it becomes. What a table says of messages is read
as in `actors.venues.declarative`; the hub protocol itself is `actors.protocol.signalr`.
"""

from actors.venues.signalr.session import DeclarativeHubSession
from actors.venues.signalr.table import HubTable
from actors.venues.signalr.venue import GIVEN, DeclarativeHub, HubSettings, SignalR, hub_of

__all__ = ["GIVEN", "DeclarativeHub", "DeclarativeHubSession", "HubSettings", "HubTable", "SignalR", "hub_of"]
