"""What each venue sends, from `benchmarks/shapes/NAME.py` of every venue that is built in and has one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from actors.venues import VENUES
from benchmarks.shapes.shape import Frames, Shape

__all__ = ["SHAPES", "Frames", "Shape"]


def _found() -> Iterator[type[Shape[Any]]]:
    for venue in VENUES:
        if find_spec(module := f"{__name__}.{venue}"):
            yield from import_module(module).SHAPES


# What makes each, with so many topics.
SHAPES: Mapping[str, Callable[[int], Shape[Any]]] = {shape.name: shape for shape in _found()}
