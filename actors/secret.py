"""What may be used, but not shown: a secret, and whatever has one somewhere in it."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from typing import Any, ClassVar, NoReturn, TypeAlias
from urllib.parse import urlsplit

from msgspec import Struct

REDACTED = "…"

Shown: TypeAlias = Iterator[tuple[str, object]]  # names of fields, and what people see of them


class Secret:
    """A text that does not get into logs, reprs, tracebacks, status or pickles by accident.

    Code that needs the text calls `reveal()`. Two secrets are compared in constant time.
    """

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError("a secret is text")
        self.__value = value

    def reveal(self) -> str:
        """The text itself. Hand it to the one call that needs it, and keep it nowhere."""
        return self.__value

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_bytes(self.__value), _bytes(other.__value))

    def __hash__(self) -> int:
        return hash((Secret, self.__value))

    def __repr__(self) -> str:
        return f"Secret({REDACTED!r})"

    def __str__(self) -> str:
        return REDACTED

    def __format__(self, spec: str) -> str:
        return REDACTED  # whatever the spec: a width would tell nothing, a precision too much

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is not pickled: reveal() it where it is needed")

    def __getstate__(self) -> NoReturn:
        self.__reduce_ex__(None)


class RedactedStruct(Struct, frozen=True):
    """A Struct that shows of itself what `shown` yields and nothing else: in its repr, and to rich.

    A Struct has a `__rich_repr__` of its own with all that is in it, whatever its `__repr__` says.
    """

    def shown(self) -> Shown:
        """Its fields as people may see them; by default none."""
        return iter(())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.shown())})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return list(self.shown())


class SecretFile(RedactedStruct, frozen=True):
    """A file with a secret in it, read when the config is. Its repr shows its name, not its text.

    A key of a venue's settings that is of this type stands in a config as the path of a file.
    """

    expected: ClassVar[str] = "the path of a file"

    name: str  # as the config has it
    text: Secret

    def shown(self) -> Shown:
        """Yields the file's name, without its text."""
        yield "name", self.name


def origin(url: str) -> str:
    """The part of a URL without secrets: no user, no path, no query."""
    try:
        parts = urlsplit(url)
        if parts.hostname:
            return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"
    except ValueError:
        pass
    return "…" if url else ""


def dec_hook(kind: type, value: Any) -> Any:
    """For msgspec's decoders: how a `Secret` is read."""
    if kind is Secret:
        return value if isinstance(value, Secret) else Secret(value)
    raise NotImplementedError(f"no way is known to read {kind}")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
