"""O2 on loopback: its socket and the pages beside it, on one port."""

from actors.simulators.o2.simulator import SimulatedO2

__all__ = ["SimulatedO2"]
