"""ProjectX on loopback: its two hubs and the pages beside them, on one port."""

from actors.simulators.projectx.simulator import SimulatedProjectX

__all__ = ["SimulatedProjectX"]
