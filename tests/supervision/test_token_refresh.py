"""A rotation to another token, where the line or the runtime ends meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from actors.errors import LinewardenError, RotationFailed, RuntimeStopped
from actors.supervision.token_refresh import _rotate


class Operations:
    """Stands for a runtime whose rotation fails."""

    supervisor: Any = None

    def __init__(self, error: LinewardenError) -> None:
        self._error = error

    def rotate(self, target: str, timeout: float = 0.0) -> None:
        raise self._error

    def wait_live(self, target: str | None = None, timeout: float | None = None) -> None: ...


def test_a_line_that_is_gone_needs_no_token() -> None:
    _rotate(Operations(RotationFailed({"o2": "it is stopped"})), dict, "o2", 0.0)


def test_the_end_of_the_runtime_proves_no_token() -> None:
    with pytest.raises(RuntimeStopped):
        _rotate(Operations(RuntimeStopped("stopped")), dict, "o2", 0.0)
