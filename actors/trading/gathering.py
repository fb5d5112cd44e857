"""`actors.gather`: waits for several asks at once, with one deadline for all of them."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeVar, overload

from actors.errors import LinewardenError
from actors.timers import check_seconds, seconds_left

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class Gettable(Protocol[T_co]):
    """A future of a read, or a handle of a mutation."""

    def get(self, timeout: float | None = None) -> T_co:
        """Its answer."""


@overload
def gather(asked: Mapping[K, Gettable[T]], *, timeout: float | None = None) -> dict[K, T]: ...
@overload
def gather(
    asked: Mapping[K, Gettable[T]], *, timeout: float | None = None, return_exceptions: Literal[False]
) -> dict[K, T]: ...
@overload
def gather(
    asked: Mapping[K, Gettable[T]], *, timeout: float | None = None, return_exceptions: bool
) -> dict[K, T | LinewardenError]: ...
@overload
def gather(asked: Sequence[Gettable[T]], *, timeout: float | None = None) -> list[T]: ...
@overload
def gather(
    asked: Sequence[Gettable[T]], *, timeout: float | None = None, return_exceptions: Literal[False]
) -> list[T]: ...
@overload
def gather(
    asked: Sequence[Gettable[T]], *, timeout: float | None = None, return_exceptions: bool
) -> list[T | LinewardenError]: ...
def gather(
    asked: Mapping[Any, Gettable[Any]] | Sequence[Gettable[Any]],
    *,
    timeout: float | None = None,
    return_exceptions: bool = False,
) -> dict[Any, Any] | list[Any]:
    """The answers of reads and the outcomes of mutations: by the same keys, or in the same order. Any thread.

    `timeout`: seconds for all of them together; None: until their own deadlines. A read without an answer by
    then raises `Timeout`, and a mutation gives `Unknown(tag, "under way")`: handles never raise. They all go
    on. `return_exceptions`: errors stand among the answers instead of being raised.

    Raises:
        AskRefusedError, AskFailedError, Timeout, RuntimeStopped: of the first read that has no answer.
        LinewardenError: what was given is neither a mapping nor a sequence of futures and handles.
    """
    check_seconds("timeout", timeout, optional=True)
    deadline = None if timeout is None else time.monotonic() + timeout

    def answer(each: Gettable[Any]) -> Any:
        if not callable(getattr(each, "get", None)) or isinstance(each, Mapping):
            raise LinewardenError(f"gather takes futures and handles, and {each!r} is none")
        try:
            return each.get(None if deadline is None else seconds_left(deadline))
        except LinewardenError as error:
            if return_exceptions:
                return error
            raise

    if isinstance(asked, Mapping):
        return {key: answer(each) for key, each in asked.items()}
    if not isinstance(asked, Sequence) or isinstance(asked, str | bytes):
        raise LinewardenError(f"gather takes a mapping or a sequence, and {asked!r} is none")
    return [answer(each) for each in asked]
