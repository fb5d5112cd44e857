"""The view looks only when a test says so."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _no_look_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.cli.watch.looks.LOOK", 3600.0)
