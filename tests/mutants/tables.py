"""Changes of the tables in `actors/rules/line.py`, which mutmut does not see: it changes functions alone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import pairwise
from typing import Any, cast

import pytest
from _pytest.runner import runtestprotocol

from actors.rules import line

FILE, TESTS = "rules/line.py", "tests/rules/test_line.py"
TABLES = {
    "LIFE": (line.LIFE, line.LineState, line.Event),
    "ROTATION": (line.ROTATION, line.RotationState, line.RotationEvent),
}
LIMIT = 300  # seconds for the tests of one change

Row = tuple[Enum, tuple[Enum, ...]]  # the next state, and the actions
Change = tuple[tuple[Enum, Enum], Row | None]  # of the row of a state and an event; None: it is not there


def changes(table: Any, states: Iterable[Enum], events: Iterable[Enum]) -> Iterator[Change]:
    """A row that is there: removed, to a state next to its own, without an action, with two exchanged.

    A row that is not there: added.
    """
    states = list(states)
    for key in [(state, event) for state in states for event in events]:
        if key not in table:
            yield key, (key[0], ())
            continue
        to, actions = table[key]
        yield key, None
        yield from (
            (key, (other, actions)) for other in states if abs(states.index(other) - states.index(to)) == 1
        )
        yield from ((key, (to, actions[:n] + actions[n + 1 :])) for n in range(len(actions)))
        for n, (first, second) in enumerate(pairwise(actions)):
            yield key, (to, (*actions[:n], second, first, *actions[n + 2 :]))


def shown(change: Change) -> str:
    (state, event), row = change
    told = f"({row[0].name}, ({', '.join(each.name for each in row[1])}))" if row else "no row"
    return f"({state.name}, {event.name}): {told}"


class Changes:
    """A plugin of pytest: runs the tests that were collected upon each change, in a process of its own."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str, str]] = []  # the table, what became of a change, the change

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        for name, (table, states, events) in TABLES.items():
            for change in changes(table, states, events):
                status = "killed" if self._is_noticed(session, table, change) else "survived"
                self.found.append((name, status, shown(change)))
        return True

    def _is_noticed(self, session: pytest.Session, table: Any, change: Change) -> bool:
        if pid := os.fork():
            return os.waitpid(pid, 0)[1] != 0
        signal.alarm(LIMIT)
        rows, (key, row) = cast("dict[Any, Any]", table), change
        if row is None:
            del rows[key]
        else:
            rows[key] = row
        first = "-".join(each.name for each in key)  # the tests of that row
        for item in sorted(session.items, key=lambda item: first not in item.name):
            if any(report.failed for report in runtestprotocol(item, log=False, nextitem=None)):
                os._exit(1)
        os._exit(0)


def mutants() -> Iterator[tuple[str, str, str]]:
    """The name of a table, what became of a change, and the change."""
    found = Changes()
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "--hypothesis-profile=mutants",
        "--hypothesis-seed=0",
        "--timeout=0",
    ]
    pytest.main([*options, TESTS], plugins=[found])
    return iter(found.found)
