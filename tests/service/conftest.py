from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import structs

from actors import Runtime
from actors.secret import Secret
from actors.service import Service
from actors.settings.schema import ServiceLimits, ServiceSettings, ServiceTokens
from tests.service.visitor import LOOK_TOKEN, TOKEN

HERE = ServiceSettings()
TOKENS = ServiceTokens(account=Secret(TOKEN), act=Secret(TOKEN), look=Secret(LOOK_TOKEN))
PORT = ServiceSettings(socket="none", listen="127.0.0.1:0", tokens=TOKENS)


def within(**limits: Any) -> ServiceSettings:
    """The socket, with some of `[service.limits]`."""
    return structs.replace(HERE, limits=ServiceLimits(**limits))


def port_within(**limits: Any) -> ServiceSettings:
    """The same for a port: an owner at the socket has places of its own."""
    return structs.replace(PORT, limits=ServiceLimits(**limits))


@pytest.fixture
def service(runtime: Runtime) -> Iterator[Service]:
    """Answers for that runtime at its Unix socket, where this process is the owner."""
    with Service(runtime, HERE) as service:
        yield service


@pytest.fixture
def locked(runtime: Runtime) -> Iterator[Service]:
    """The same on a free port. `TOKEN` gives every right, `LOOK_TOKEN` that to look."""
    with Service(runtime, PORT) as service:
        yield service
