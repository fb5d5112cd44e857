"""What is imported only when it is asked for, so that a program pays for what it uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, TypeVar, cast

T = TypeVar("T")


def imported(place: str) -> Any:
    """What is at this place, `module:attribute`.

    Raises:
        ImportError, AttributeError, ValueError: there is no such module or attribute, or it is no place.
    """
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


class Imported(Mapping[str, T]):
    """Things by name. `places`: name → where it is, as `module:attribute`."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places

    def __getitem__(self, name: str) -> T:
        return cast(T, imported(self._places[name]))

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
