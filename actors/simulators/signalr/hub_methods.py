"""The methods of a hub: found by name, called with what was said, answered in the server's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

Failure = Literal["hub", "server", "binding", "unknown", "forbidden"]

_SERVER = "An unexpected error occurred invoking '{target}' on the server."
_BINDING = "Failed to invoke '{target}' due to an error on the server."
_WORDS: Mapping[Failure | Literal["streaming"], str] = {
    "hub": f"{_SERVER} HubException: {{why}}",
    "server": _SERVER,
    "binding": _BINDING,
    "unknown": f"{_BINDING} HubException: Method does not exist.",
    "forbidden": "Failed to invoke '{target}' because user is unauthorized",
    "streaming": "The client attempted to invoke the non-streaming '{target}' method"
    " with a streaming invocation.",
}


class HubError(Exception):
    """What a method refuses with; its text is told to the client."""


class InvocationFailed(Exception):  # noqa: N818  (an answer, not an error of ours)
    """An invocation that ends with an error, in the server's words; `why` is a hub's own text."""

    def __init__(self, kind: Failure | Literal["streaming"], target: str, why: str = "") -> None:
        super().__init__(_WORDS[kind].format(target=target, why=why))


class Method(Struct, frozen=True):
    """A method that clients may invoke: `act` is given the caller and the arguments."""

    act: Callable[..., object]
    takes: tuple[type, ...] = ()


Methods = Mapping[str, Method]


def invoke(methods: Methods, caller: object, target: str, arguments: Sequence[Any]) -> object:
    """The result of what is meant. ASP.NET Core finds methods whatever the case of their names.

    Raises:
        InvocationFailed: the method is unknown, takes other arguments, or raised.
    """
    known = {name.lower(): method for name, method in methods.items()}
    method = known.get(target.lower())
    if method is None:
        raise InvocationFailed("unknown", target)
    if not _fit(method.takes, arguments):
        raise InvocationFailed("binding", target)
    try:
        return method.act(caller, *arguments)
    except HubError as refused:
        raise InvocationFailed("hub", target, str(refused)) from None
    except Exception:
        raise InvocationFailed("server", target) from None


def _fit(takes: Sequence[type], arguments: Sequence[Any]) -> bool:
    """A JSON text is no number, and a number no text."""
    return len(takes) == len(arguments) and all(
        type(each) is wanted or (each is None and wanted is str)
        for wanted, each in zip(takes, arguments, strict=True)
    )
