"""Serves a runtime to other programs: HTTP and WebSocket, for `linewarden run` alone.

Nothing below this package imports it.
"""

from actors.service.connection import Limits
from actors.service.responses import ReloadAnswer
from actors.service.server import Service
from actors.service.socket_folder import ServiceError

__all__ = ["Limits", "ReloadAnswer", "Service", "ServiceError"]
