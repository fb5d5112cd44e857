"""The simulator that docs/venues.md writes for its venue, as a module: `SimulatedTicks`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.venues.ticks.guide import SIMULATOR

exec(compile(SIMULATOR, "docs/venues.md", "exec", dont_inherit=True), globals())

if TYPE_CHECKING:
    from actors.simulators import Simulator

    class SimulatedTicks(Simulator):
        """As far as the tests use it."""

        def tick(self, number: int, symbol: str = "ABC", price: str = "10.02") -> None: ...
