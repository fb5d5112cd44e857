"""The API for authors of venues is documented: each class, function and method that they meet."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

from actors import protocol

NAMED = [getattr(protocol, name) for name in protocol.__all__]
WITH_A_DOCSTRING = [each for each in NAMED if inspect.isclass(each) or inspect.isfunction(each)]


def undocumented(each: object) -> Iterator[str]:
    if (not vars(each).get("__doc__") and inspect.isclass(each)) or not inspect.getdoc(each):
        yield "itself"
    for name, member in vars(each).items() if inspect.isclass(each) else ():
        function = member.fget if isinstance(member, property) else member
        if inspect.isfunction(function) and not name.startswith("_") and not function.__doc__:
            yield name


@pytest.mark.parametrize("each", WITH_A_DOCSTRING, ids=lambda each: str(each.__name__))
def test_it_is_documented(each: object) -> None:
    assert list(undocumented(each)) == []


def test_names_without_a_docstring_of_their_own_are_explained_in_the_module() -> None:
    others = {name for name in protocol.__all__ if getattr(protocol, name) not in WITH_A_DOCSTRING}
    assert {name for name in others if f"`{name}" not in (protocol.__doc__ or "")} == set()
