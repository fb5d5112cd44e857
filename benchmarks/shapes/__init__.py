"""The messages of each venue."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.shapes.o2 import O2Trades
from benchmarks.shapes.shape import Frames, Shape

__all__ = ["SHAPES", "Frames", "Shape"]

SHAPES: Mapping[str, type[Shape]] = {each.name: each for each in (O2Trades,)}
