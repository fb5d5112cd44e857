"""The staircase that imports go down, one way: see `docs/architecture.md`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import actors

HOUSE = Path(actors.__file__).parent
LIBRARIES_OF_THE_WORLD = {"socket", "threading", "time", "select", "selectors", "ssl", "pykka"}
WORDS = {
    *("actors.messages", "actors.events", "actors.errors", "actors.secret", "actors.lazy"),
    "actors.log_queue",
}
ACTORS = ("supervisor", "connection", "heartbeat", "registry", "dispatcher", "fetcher", "actor")
THEIRS = ("supervision/*", "stream", "door", "latest", "book", "metrics")  # what they share
# Who may ask the machine for the time: the one clock, what blocks a caller's own thread or a short-lived
# one that holds a real socket, and what stands outside a runtime.
CLOCKS = (
    "wire/timers.py",
    *(
        "stream.py",
        "runtime.py",
        "book.py",
        "latest.py",
        "refreshing.py",
        "supervision/snapshot.py",
    ),  # a user's thread waits
    *(
        "wire/attempt.py",
        "wire/fetch.py",
        "wire/upgrade.py",
    ),  # deadlines of blocking calls; a date in a header
    *("cli.py", "operate.py", "tape.py", "folding.py", "notify.py", "service/server.py"),  # programs
    "simulators/**/*.py",  # the other end has a clock of its own
)
ASKS = {"monotonic", "monotonic_ns", "time", "time_ns", "perf_counter", "perf_counter_ns", "sleep"}
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


@pytest.mark.parametrize("path", files("delivery/*.py"), ids=ids)
def test_delivery_meets_locks_and_neither_actors_nor_sockets_nor_clocks(path: Path) -> None:
    """`merge` alone reads streams, and stands above them."""
    allowed = {"actors.events", "actors.errors", "actors.rules", "actors.delivery"}
    forbidden = {"actors.delivery.merge"}
    if path.name == "merge.py":
        allowed, forbidden = allowed | {"actors.stream"}, set()
    assert [name for name in imports(path) if within(name, LIBRARIES_OF_THE_WORLD - {"threading"})] == []
    assert [name for name in imports(path) if within(name, {"actors"}) and not within(name, allowed)] == []
    assert [name for name in imports(path) if within(name, forbidden)] == []


def test_the_modules_of_delivery_are_a_staircase() -> None:
    """None of its modules imports itself by way of others."""
    below = {
        f"actors.delivery.{path.stem}": {
            ".".join(name.split(".")[:3]) for name in imports(path) if within(name, {"actors.delivery"})
        }
        for path in files("delivery/*.py")
    }
    while lowest := [room for room, rooms in below.items() if not rooms & below.keys()]:
        for room in lowest:
            del below[room]
    assert below == {}


@pytest.mark.parametrize("path", files(*(f"{name}.py" for name in ACTORS + THEIRS)), ids=ids)
def test_actors_are_handed_what_is_upstairs(path: Path) -> None:
    assert [name for name in imports(path) if within(name, UPSTAIRS)] == []


@pytest.mark.parametrize("path", files("simulators/**/*.py"), ids=ids)
def test_simulators_are_the_other_end_and_share_no_rules(path: Path) -> None:
    allowed = {"actors.errors", "actors.simulators"}
    assert [name for name in imports(path) if within(name, {"actors"}) and not within(name, allowed)] == []


def test_status_knows_what_it_shows() -> None:
    allowed = {*WORDS, "actors.rules", "actors.actor.DeadLetter", "actors.diagnostics.Quarantined"}
    (path,) = files("status.py")
    assert [name for name in imports(path) if within(name, {"actors"}) and not within(name, allowed)] == []


def asks_for_the_time(path: Path) -> list[str]:
    """Where a file names one of the machine's clocks, or `sleep`."""
    told = []
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Attribute(value=ast.Name(id="time"), attr=name) if name in ASKS:
                told.append(f"line {node.lineno}: time.{name}")
            case ast.Attribute(value=ast.Name(id="datetime"), attr="now" | "utcnow" | "today" as name):
                told.append(f"line {node.lineno}: datetime.{name}")
            case ast.ImportFrom(module="time", names=names) if ASKS & {alias.name for alias in names}:
                told.append(f"line {node.lineno}: from time import")
    return told


@pytest.mark.parametrize("path", sorted({*files("**/*.py")} - {*files(*CLOCKS)}), ids=ids)
def test_time_enters_by_the_timers_alone(path: Path) -> None:
    assert asks_for_the_time(path) == []


def test_every_exception_to_that_is_needed() -> None:
    named = [path for room in CLOCKS if "*" not in room for path in files(room)]
    assert [ids(path) for path in named if not asks_for_the_time(path)] == []
    assert len(named) == len([room for room in CLOCKS if "*" not in room])
