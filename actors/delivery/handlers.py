"""What a program may give as a handler, and what a handler may return."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from types import CodeType

from actors.errors import LinewardenError

ADVICE = (
    "A thread calls a handler and awaits nothing. Give a plain function; for a loop of yours, one that calls "
    "asyncio.run_coroutine_threadsafe(your_coroutine(event), loop)"
)


class UnawaitedError(LinewardenError):
    """A handler returned what only an event loop could run."""


def check_handler(handler: object, name: str = "a handler", item: str = "event") -> None:
    """Raises LinewardenError for what cannot be called, and for a function whose body no call runs.

    `name` is what errors call it, and `item` what it is called with.
    """
    if not callable(handler):
        raise LinewardenError(f"{name} is called with each {item}, and {handler!r} cannot be called")
    for kind, is_of_kind in (
        ("a coroutine function", inspect.iscoroutinefunction),
        ("an async generator function", inspect.isasyncgenfunction),
        ("a generator function", inspect.isgeneratorfunction),
    ):
        if any(is_of_kind(each) for each in _called(handler) if _has_code(each)):
            raise LinewardenError(f"{handler!r} is {kind}, and a call runs none of it. {ADVICE}")
    _check_arguments(handler, name)


def _check_arguments(handler: Callable[..., object], name: str) -> None:
    """Raises LinewardenError for what cannot be called with one argument, as far as it says."""
    try:
        arguments = inspect.signature(handler, follow_wrapped=False)
    except (TypeError, ValueError):  # a mock, or one of the interpreter's own
        return
    try:
        arguments.bind(None)
    except TypeError as error:
        text = f"{name} is called with one argument, and {handler!r} takes others: {error}"
        raise LinewardenError(text) from None


def _called(handler: object) -> tuple[object, ...]:
    """The handler, and what a call of it calls."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    return handler, inspect.getattr_static(type(handler), "__call__", None)


def _has_code(function: object) -> bool:
    """A mock with a `spec` says that it has, and `inspect` does not know what to make of that."""
    return isinstance(getattr(function, "__code__", None), CodeType)


def check_result(result: object) -> None:
    """Raises UnawaitedError for what a handler returned, if it has yet to run. A coroutine is closed."""
    if result is None or not isinstance(result, Awaitable | Generator | AsyncGenerator):
        return
    if isinstance(result, Coroutine | Generator):
        result.close()  # else the interpreter warns that it was never awaited
    kind = type(result).__name__
    raise UnawaitedError(f"it returned an object of type {kind}, which nothing runs. {ADVICE}")
