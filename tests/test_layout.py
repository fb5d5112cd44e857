"""The staircase that imports go down, one way: see `docs/architecture.md`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import actors

HOUSE = Path(actors.__file__).parent
LIBRARIES_OF_THE_WORLD = {"socket", "threading", "time", "select", "selectors", "ssl", "pykka"}
WORDS = {"actors.messages", "actors.events", "actors.errors", "actors.secret", "actors.imports"}
ACTORS = ("supervisor", "connection", "heartbeat", "registry", "dispatcher", "fetcher", "actor")
THEIRS = ("children", "tree", "census", "stream", "door", "latest", "book", "metrics")  # what they share
UPSTAIRS = {"actors.venues", "actors.settings", "actors.runtime", "actors.cli", "actors.service"}


def imports(path: Path) -> Iterator[str]:
    """What a file imports when it runs, wherever in it; what is for the type checker alone is not."""
    todo: list[ast.AST] = [ast.parse(path.read_text())]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            todo += node.orelse
        else:
            todo += ast.iter_child_nodes(node)


def within(name: str, rooms: set[str]) -> bool:
    return any(f"{name}.".startswith(f"{room}.") for room in rooms)


def files(*rooms: str) -> list[Path]:
    return [path for room in rooms for path in sorted(HOUSE.glob(room))]


def ids(path: Path) -> str:
    return str(path.relative_to(HOUSE))


@pytest.mark.parametrize("path", files("messages.py", "events.py", "errors.py"), ids=ids)
def test_words_know_only_words(path: Path) -> None:
    assert [name for name in imports(path) if within(name, {"actors"}) and not within(name, WORDS)] == []


@pytest.mark.parametrize("path", files("rules/**/*.py", "venues/**/*.py"), ids=ids)
def test_rules_and_venues_meet_neither_threads_nor_sockets_nor_clocks(path: Path) -> None:
    allowed = WORDS | {"actors.rules"} | ({"actors.venues"} if "venues" in path.parts else set())
    assert [name for name in imports(path) if within(name, LIBRARIES_OF_THE_WORLD)] == []
    assert [name for name in imports(path) if within(name, {"actors"}) and not within(name, allowed)] == []


@pytest.mark.parametrize("path", files("wire/*.py"), ids=ids)
def test_the_wire_knows_words_alone(path: Path) -> None:
    allowed = WORDS | {"actors.wire"}
    assert [name for name in imports(path) if within(name, {"actors"}) and not within(name, allowed)] == []


@pytest.mark.parametrize("path", files(*(f"{name}.py" for name in ACTORS + THEIRS)), ids=ids)
def test_actors_are_handed_what_is_upstairs(path: Path) -> None:
    assert [name for name in imports(path) if within(name, UPSTAIRS)] == []


@pytest.mark.parametrize("path", files("simulators/**/*.py"), ids=ids)
def test_simulators_are_the_other_end_and_share_no_rules(path: Path) -> None:
    allowed = {"actors.errors", "actors.simulators"}
    assert [name for name in imports(path) if within(name, {"actors"}) and not within(name, allowed)] == []


def test_status_knows_what_it_shows() -> None:
    allowed = {*WORDS, "actors.rules", "actors.actor.DeadLetter", "actors.quarantine.Quarantined"}
    (path,) = files("status.py")
    assert [name for name in imports(path) if within(name, {"actors"}) and not within(name, allowed)] == []
