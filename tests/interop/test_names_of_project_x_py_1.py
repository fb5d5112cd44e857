"""`tests/migrating/project-x-py-1.txt` names all that project-x-py 1.1.4 offers, as its wheel has it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.installs import PROJECT_X_PY_SYNC
from tests.interop import names

LIST = Path(__file__).parent.parent / "migrating" / "project-x-py-1.txt"
VARIABLE = re.compile(r"PROJECT_?X_[A-Z_]+")
LISTED_EVENT = re.compile(r'^ +- "(\w+)":', re.MULTILINE)  # in the docstring of an `add_callback`
COMMAND = re.compile(r"^([\w-]+) = ", re.MULTILINE)
COUNTERS = {"stats", "memory_stats", "order_type_stats"}
TELLING = re.compile(
    r"get_(\w+_)?statistics|get_memory_stats|get_(health|connection)_status|get_risk_metrics|get_portfolio_pnl"
)


def offered(package: Path) -> Iterator[str]:
    for tree in names.modules(package):
        yield from names.defined(tree)
        yield from (f"event:{each}" for each in events(tree))
        yield from (f"option:{each}" for each in variables(tree))
        yield from (f"stat:{each}" for each in statistics(tree))
        yield from (f"timeframe:{each}" for each in timeframes(tree))
    for file in package.parent.glob("*.dist-info/entry_points.txt"):
        yield from (f"command:{each}" for each in COMMAND.findall(file.read_text(encoding="utf-8")))


def events(tree: ast.Module) -> Iterator[str]:
    """Those that are triggered, and those that are documented only."""
    yield from names.first_arguments(tree, "_trigger_callbacks")
    for each in ast.walk(tree):
        if isinstance(each, names.Function) and each.name == "add_callback":
            yield from LISTED_EVENT.findall(ast.get_docstring(each, clean=False) or "")


def variables(tree: ast.Module) -> Iterator[str]:
    yield from filter(VARIABLE.fullmatch, names.texts(ast.walk(tree)))


def statistics(tree: ast.Module) -> Iterator[str]:
    """Keys of the counters that its objects keep, and of what the methods return that tell about them."""
    yield from names.counted(tree)
    for value in names.assigned(tree, COUNTERS):
        yield from names.literal_keys(value)
    for each in ast.walk(tree):
        if isinstance(each, names.Function) and TELLING.fullmatch(each.name):
            yield from names.returned_keys(each)


def timeframes(tree: ast.Module) -> Iterator[str]:
    for each in ast.walk(tree):
        targets = each.targets if isinstance(each, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "timeframes_dict" for target in targets):
            assert isinstance(each, ast.Assign)
            assert isinstance(each.value, ast.Dict)
            yield from names.texts(each.value.keys)


def test_the_page_names_each_of_its_examples(sdk_source: Callable[..., Path]) -> None:
    """Those that the README in its wheel names."""
    [about] = sdk_source(PROJECT_X_PY_SYNC, version="3.12").glob("*.dist-info/METADATA")
    examples = set(re.findall(r"\b\d\d_\w+\.py", about.read_text(encoding="utf-8")))
    page = (LIST.parents[2] / "docs" / "migrating" / "project-x-py-1.md").read_text(encoding="utf-8")
    assert len(examples) > 7
    assert {name for name in examples if f"`{name}`" not in page} == set()


def test_six_documented_events_are_never_called(sdk_source: Callable[..., Path]) -> None:
    """As docs/migrating/project-x-py-1.md says; `position_update` is called by another class."""
    trees = list(names.modules(sdk_source(PROJECT_X_PY_SYNC, version="3.12") / "project_x_py"))
    never = set()
    for tree in trees:
        never |= set(events(tree)) - set(names.first_arguments(tree, "_trigger_callbacks"))
    assert never == {
        "initialization_complete",
        "integrity_warning",
        "orderbook_reset",
        "position_update",
        "timeframe_update",
        "trade_processed",
    }


def test_the_list_names_all_that_the_sdk_offers(sdk_source: Callable[..., Path]) -> None:
    package = sdk_source(PROJECT_X_PY_SYNC, version="3.12") / "project_x_py"
    assert sorted(set(offered(package))) == LIST.read_text(encoding="utf-8").split()
