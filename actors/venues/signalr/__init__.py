"""The venue that a config table with `protocol = "signalr"` describes: any hub of ASP.NET Core.

`table` is what such a table may say beside what all may, `protocol` what it comes to for one feed,
`session` how to talk to the hub, `venue` the class that it becomes. What a table says of messages is read
as in `actors.venues.declared`; the hub protocol itself is `actors.rules.signalr`.
"""

from actors.venues.signalr.session import DescribedHubSession
from actors.venues.signalr.table import HubTable
from actors.venues.signalr.venue import DescribedHub, hub_of

__all__ = ["DescribedHub", "DescribedHubSession", "HubTable", "hub_of"]
