"""The runtimes of this process that have not ended. It keeps none alive, and takes no lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from actors.supervision.forks import Home
from actors.supervision.state import SharedState


class StoppableRuntime(Protocol):
    def _stop(self, timeout: float, *, replaced: bool) -> tuple[str, ...]: ...


class StoppableTree(Protocol):
    home: Home
    ended: str | None
    shared: SharedState

    def stop(self, timeout: float, deadline: float, *, replaced: bool = False) -> tuple[str, ...]: ...


class Running(NamedTuple):
    """One runtime; it may be collected before its tree has ended."""

    name: str
    tree: StoppableTree
    runtime: Callable[[], Any]  # a weak reference

    def replace(self, timeout: float, deadline: float) -> tuple[str, ...]:
        """End it, and wait for that. Returns the names of what has not ended by the deadline."""
        runtime: StoppableRuntime | None = self.runtime()
        if runtime is None:
            return self.tree.stop(timeout, deadline, replaced=True)
        return runtime._stop(timeout, replaced=True)

    def connected_line(self, account: str, url: str) -> str:
        """The line that has a connection with this account at this URL; empty: none."""
        for line in self.tree.shared.lines.copy().values():
            at = line.door % len(line.spec.doors)
            there = line.spec.doors[at].account(), line.spec.url(line.name, at)
            if line.state.is_reached and there == (account, url):
                return line.name
        return ""


_entered: dict[SharedState, Running] = {}  # in the order of their start


def enter(name: str, tree: StoppableTree, runtime: Callable[[], Any]) -> None:
    """A runtime has started."""
    _entered[tree.shared] = Running(name, tree, runtime)
    if tree.ended is not None:  # before it was entered
        leave(tree.shared)


def leave(shared: SharedState) -> None:
    """That runtime has ended."""
    _entered.pop(shared, None)


def present() -> list[Running]:
    """The oldest first; none of the parent's in a forked child."""
    return [each for each in _entered.copy().values() if not each.tree.home.is_left]


def holder_of(account: str, url: str, own: SharedState) -> str:
    """Words about another runtime that has a connection with this account at this URL; empty: none has."""
    for each in present():
        if each.tree.shared is own or each.runtime() is None:
            continue
        if line := each.connected_line(account, url):
            return (
                f"runtime {each.name!r} of this process has a connection with this account (line {line}). "
                "actors.running() finds it, and its stop() ends it; start(config, replace=True) does both "
                "for one of the same name"
            )
    return ""
