"""TLS of the service's port."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.service.tls import server_context
from actors.service.unix_socket import ServiceError
from actors.settings.schema import ServiceSettings
