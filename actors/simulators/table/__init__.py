"""A venue that a transcript plays, for feeds whose venue is described by a table."""

from actors.simulators.table.simulator import SimulatedTable

__all__ = ["SimulatedTable"]
