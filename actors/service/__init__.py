"""A runtime seen from outside: HTTP and WebSocket on one port, for `linewarden run` alone.

`Service` is the door. Nothing below it imports it.
"""

from actors.service.connection import Limits
from actors.service.responses import ReloadAnswer
from actors.service.server import Service, ServiceError

__all__ = ["Limits", "ReloadAnswer", "Service", "ServiceError"]
