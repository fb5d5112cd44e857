"""The messages of each venue: `SHAPES` of every `benchmarks/shapes/NAME.py` that has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from benchmarks.shapes.shape import Frames, Shape

__all__ = ["SHAPES", "Frames", "Shape"]


def _found() -> Iterator[type[Shape[Any]]]:
    for module in iter_modules(__path__, f"{__name__}."):
        yield from getattr(import_module(module.name), "SHAPES", ())


# What makes each, with so many topics.
SHAPES: Mapping[str, Callable[[int], Shape[Any]]] = {shape.name: shape for shape in _found()}
