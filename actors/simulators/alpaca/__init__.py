"""Alpaca on loopback: all its streams and the pages beside them, on one port."""

from actors.simulators.alpaca.simulator import SimulatedAlpaca

__all__ = ["SimulatedAlpaca"]
