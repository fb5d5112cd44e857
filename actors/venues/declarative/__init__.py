"""The venue that a config table describes: any JSON WebSocket that subscribes by frames.

`table` is what a table may say, `path` and `template` its small languages, `protocol` what it comes to
for one feed, `topics` how a message is known by its topic, `session` how to talk to it, `venue` the class
that it becomes. How a table is read, and its mistakes told, is in `actors.settings.venue_tables`.
"""

from actors.venues.declarative.messages import Message
from actors.venues.declarative.session import DeclaredSession
from actors.venues.declarative.table import FrameTable
from actors.venues.declarative.venue import DeclarativeVenue, Declared, venue_of

__all__ = ["DeclarativeVenue", "Declared", "DeclaredSession", "FrameTable", "Message", "venue_of"]
