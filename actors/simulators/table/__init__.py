"""A venue that a transcript plays, for feeds whose venue is described by a table."""

from __future__ import annotations

from actors.simulators.table.simulator import SimulatedTable

__all__ = ["SimulatedTable"]
