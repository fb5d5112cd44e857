"""A folder for orders, and a store in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.trading.order_store import OrderStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "trading"


@pytest.fixture
def store(folder: Path) -> Iterator[OrderStore]:
    store = OrderStore.create(folder)
    yield store
    store.close()
