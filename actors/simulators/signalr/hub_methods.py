"""The methods of a hub: found by name, called with what was said, answered in the server's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct


class HubError(Exception):
    """What a method refuses with; its text is told to the client."""


class Method(Struct, frozen=True):
    """A method that clients may invoke: `act` is given the caller and the arguments."""

    act: Callable[..., object]
    takes: tuple[type, ...] = ()


Methods = Mapping[str, Method]


class InvocationOutcome(Struct, frozen=True):
    """How an invocation ended."""

    result: object = None
    error: str | None = None


def invoke(methods: Methods, caller: object, target: str, arguments: Sequence[Any]) -> InvocationOutcome:
    """Calls what is meant. ASP.NET Core finds methods whatever the case of their names."""
    known = {name.lower(): method for name, method in methods.items()}
    method = known.get(target.lower())
    if method is None:
        return InvocationOutcome(error=f"{unbound(target)} HubException: Method does not exist.")
    if not _fit(method.takes, arguments):
        return InvocationOutcome(error=unbound(target))
    try:
        return InvocationOutcome(method.act(caller, *arguments))
    except HubError as refused:
        return InvocationOutcome(error=failed(target, str(refused)))
    except Exception:
        return InvocationOutcome(error=failed(target))


def failed(target: str, why: str = "") -> str:
    """What is said of a method that raised; `why` only where it meant to be heard."""
    detail = f" HubException: {why}" if why else ""
    return f"An unexpected error occurred invoking '{target}' on the server.{detail}"


def unbound(target: str) -> str:
    """What is said of arguments that do not fit."""
    return f"Failed to invoke '{target}' due to an error on the server."


def forbidden(target: str) -> str:
    return f"Failed to invoke '{target}' because user is unauthorized"


def not_streaming(target: str) -> str:
    return f"The client attempted to invoke the non-streaming '{target}' method with a streaming invocation."


def _fit(takes: Sequence[type], arguments: Sequence[Any]) -> bool:
    """A JSON text is no number, and a number no text."""
    return len(takes) == len(arguments) and all(
        type(each) is wanted or (each is None and wanted is str)
        for wanted, each in zip(takes, arguments, strict=True)
    )
