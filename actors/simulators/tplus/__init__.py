"""tplus from the venue's side: orders and market data on one port, a socket a stream."""

from actors.simulators.tplus.simulator import SimulatedTplus

__all__ = ["SimulatedTplus"]
