"""In which process an object was made: a forked child has its data and none of its threads."""

from __future__ import annotations

import os

from actors.errors import ForkError


class _Process:
    """A forked child's `here` is another: locks that a thread of the parent held stay locked there."""

    here = object()


def _forked() -> None:
    _Process.here = object()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class Home:
    """The process in which this was made. Takes no lock."""

    __slots__ = ("_here",)

    def __init__(self) -> None:
        self._here = _Process.here

    @property
    def is_left(self) -> bool:
        """Whether this is a forked child of that process."""
        return self._here is not _Process.here

    def check(self) -> None:
        """Raises ForkError in a forked child."""
        if self._here is not _Process.here:
            raise ForkError
