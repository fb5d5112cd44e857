from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import structs

from actors import Runtime
from actors.secret import Secret
from actors.service import Service
from actors.settings.schema import ServiceLimits, ServiceSettings
from tests.service.visitor import TOKEN

HERE = ServiceSettings(listen="127.0.0.1:0")


def within(**limits: Any) -> ServiceSettings:
    """The same, with some of `[service.limits]`."""
    return structs.replace(HERE, limits=ServiceLimits(**limits))


@pytest.fixture
def service(runtime: Runtime) -> Iterator[Service]:
    """Answers for that runtime, on a free port; without a token."""
    with Service(runtime, HERE) as service:
        yield service


@pytest.fixture
def locked(runtime: Runtime) -> Iterator[Service]:
    """The same, with a token."""
    with Service(runtime, ServiceSettings(listen="127.0.0.1:0", token=Secret(TOKEN))) as service:
        yield service
