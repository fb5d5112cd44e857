"""Something done in a process of its own: nothing before it counts, and it cannot go on for ever."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, ParamSpec, TypeVar, cast

Given = ParamSpec("Given")
Answer = TypeVar("Answer")

BOUND = 60.0  # seconds
WORDS = 300  # characters of an error


class FailedAloneError(Exception):
    """It raised, died, or took too long."""


def alone(function: Callable[Given, Answer], *given: Given.args, **named: Given.kwargs) -> Answer:
    """What a function of some module answers, in a process of its own.

    Raises:
        FailedAloneError: there is no answer within `BOUND`; with the reason.
    """
    return alone_within(BOUND, function, *given, **named)


def alone_within(
    seconds: float, function: Callable[Given, Answer], *given: Given.args, **named: Given.kwargs
) -> Answer:
    """The same with another bound."""
    context = multiprocessing.get_context("spawn")
    ear, mouth = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(mouth, function, given, named))
    process.start()
    mouth.close()
    try:
        if not ear.poll(seconds):
            raise FailedAloneError(f"{function.__name__} took longer than {seconds:g} s")
        told, answer = ear.recv()
    except EOFError:
        raise FailedAloneError(f"{function.__name__} died without a word") from None
    finally:
        process.kill()
        process.join()
        ear.close()
    if not told:
        raise FailedAloneError(f"{function.__name__}: {answer}")
    return cast(Answer, answer)


def _answer(mouth: Connection[Any, Any], function: Callable[..., Any], given: Any, named: Any) -> None:
    logging.disable(logging.CRITICAL)  # drops are meant to happen, and what fails is told
    try:
        mouth.send((True, function(*given, **named)))
    except Exception as error:
        mouth.send((False, f"{type(error).__name__}: {error}"[:WORDS]))
