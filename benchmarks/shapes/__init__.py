"""The messages of each venue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.shapes.alpaca import AlpacaPackedQuotes, AlpacaQuotes
from benchmarks.shapes.o2 import O2Depth, O2Trades, O2TradesByTls
from benchmarks.shapes.projectx import ProjectXQuotes, ProjectXTrades
from benchmarks.shapes.shape import Frames, Shape
from benchmarks.shapes.tplus import TplusTrades

__all__ = ["SHAPES", "Frames", "Shape"]

# What makes each, with so many topics.
SHAPES: Mapping[str, Callable[[int], Shape[Any]]] = {
    each.name: each
    for each in (
        O2Trades,
        O2TradesByTls,
        O2Depth,
        AlpacaQuotes,
        AlpacaPackedQuotes,
        TplusTrades,
        ProjectXTrades,
        ProjectXQuotes,
    )
}
