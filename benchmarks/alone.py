"""Something done in a process of its own, so that nothing before it counts."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Answer = TypeVar("Answer")

BOUND = 180.0  # seconds


def alone(function: Callable[Given, Answer], *given: Given.args, **named: Given.kwargs) -> Answer:
    """What it answers; what it raises is raised here. Raises TimeoutError when it takes too long."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *given, **named).result(BOUND)
