"""What may be given as a handler, and what a handler may return."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest

from actors.delivery.handlers import UnawaitedError, check_handler, check_result
from actors.errors import LinewardenError


async def coroutine(_: Any) -> None:
    pass


async def async_generator(_: Any) -> AsyncIterator[None]:
    yield


def generator(_: Any) -> Iterator[None]:
    yield


def plain(_: Any, more: int = 0) -> None:
    pass


class Asynchronous:
    async def __call__(self, _: Any) -> None:
        pass

    async def method(self, _: Any) -> None:
        pass

    def plain(self, _: Any) -> None:
        pass


REFUSED: dict[str, Any] = {
    "a coroutine function": coroutine,
    "a partial of one": functools.partial(coroutine),
    "a partial of a partial": functools.partial(functools.partial(coroutine)),
    "a method": Asynchronous().method,
    "an object with an async __call__": Asynchronous(),
    "a partial of such an object": functools.partial(Asynchronous()),
    "an async generator function": async_generator,
    "a generator function": generator,
    "a mock of one": AsyncMock(),
    "what cannot be called": 5,
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_handler_that_no_call_runs_is_refused(name: str) -> None:
    with pytest.raises(LinewardenError, match=r"called with each event|plain function"):
        check_handler(REFUSED[name])


@pytest.mark.parametrize(
    "handler", [plain, functools.partial(plain, more=1), Asynchronous().plain, print, list, MagicMock()]
)
def test_a_plain_handler_is_taken(handler: Any) -> None:
    check_handler(handler)


RETURNED: dict[str, Callable[[], Any]] = {
    "a coroutine": lambda: coroutine(0),
    "an async generator": lambda: async_generator(0),
    "a generator": lambda: generator(0),
}


@pytest.mark.parametrize("name", RETURNED)
def test_what_nothing_runs_is_an_error_and_is_closed(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnawaitedError, match="which nothing runs"):
            check_result(RETURNED[name]())


def test_a_task_is_an_error_and_is_left_alone() -> None:
    async def main() -> None:
        task = asyncio.ensure_future(coroutine(0))
        with pytest.raises(UnawaitedError, match="Task"):
            check_result(task)
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert not task.cancelled()

    asyncio.run(main())


@pytest.mark.parametrize("result", [None, 0, "text", [1], Future(), MagicMock()])
def test_any_other_result_is_ignored(result: Any) -> None:
    check_result(result)
