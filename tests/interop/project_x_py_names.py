"""Prints what project-x-py 4 offers to programs, one name per line: tests/migrating/project-x-py.txt.

It runs in the SDK's own virtualenv, so it knows nothing of Linewarden.
"""
# mypy: ignore-errors

import ast
import dataclasses
import enum
import importlib
import inspect
import re
import sys
import textwrap
import typing
from importlib.metadata import distribution
from pathlib import Path

import project_x_py
import project_x_py.realtime
from project_x_py.event_bus import EventType

# The rooms whose `__all__` programs import from.
ROOMS = (
    "indicators",
    "order_manager",
    "orderbook",
    "position_manager",
    "realtime",
    "realtime_data_manager",
    "risk_manager",
    "sessions",
    "statistics",
    "utils",
)
# What a suite gives that its package does not export.
GIVEN = (
    ("trading_suite", "InstrumentContext"),
    ("risk_manager", "RiskManager"),
    ("risk_manager", "ManagedTrade"),
)
CONFIGS = (
    "OrderManagerConfig",
    "PositionManagerConfig",
    "DataManagerConfig",
    "OrderbookConfig",
)  # of a suite
VARIABLE = re.compile(r"PROJECT_?X_[A-Z_]*[A-Z]")


def load(path):
    return importlib.import_module(f"project_x_py.{path}")


def public(name):
    return not name.startswith("_")


def of_python(owner):
    """Names that a class has of `dict`, `Enum` and the like."""
    rooms = {"builtins", "abc", "enum", "typing"}
    return {name for each in owner.__mro__ if each.__module__ in rooms for name in vars(each)}


def members(owner):
    """Its methods, properties and fields, and those of its bases."""
    if issubclass(owner, enum.Enum):
        return set(owner.__members__)
    found = {name for name in dir(owner) if public(name)} - of_python(owner)
    if dataclasses.is_dataclass(owner):
        found |= {field.name for field in dataclasses.fields(owner) if public(field.name)}
    return found


def attributes(owner):
    """Public attributes that its `__init__` sets."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner.__init__)))
    for each in ast.walk(tree):
        target = each.target if isinstance(each, ast.AnnAssign) else None
        targets = each.targets if isinstance(each, ast.Assign) else [target]
        for one in targets:
            of_self = (
                isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name) and one.value.id == "self"
            )
            if of_self and public(one.attr):
                yield one.attr


def exported():
    """What the package exports; of classes also what they have."""
    given = [(name, getattr(load(room), name)) for room, name in GIVEN]
    for name, what in [(name, getattr(project_x_py, name)) for name in project_x_py.__all__] + given:
        if not public(name):
            continue
        yield name
        if inspect.isclass(what) and what is not EventType and not issubclass(what, Exception):
            yield from (f"{name}.{member}" for member in members(what))
    for owner in (project_x_py.TradingSuite, project_x_py.ProjectX):
        yield from (f"{owner.__name__}.{name}" for name in attributes(owner))
    for room in ROOMS:
        yield from filter(public, load(room).__all__)
    # What its rooms have and do not export, and programs import all the same.
    yield from defined("exceptions", inspect.isclass)
    yield from defined("indicators", inspect.isfunction)
    for name in ("DomType", "OrderbookSide"):
        yield from (f"{name}.{member}" for member in getattr(load("types"), name).__members__)


def defined(room, kind):
    module = load(room)
    found = inspect.getmembers(module, lambda each: kind(each) and each.__module__ == module.__name__)
    yield from (name for name, _ in found if public(name))


def options():
    """Arguments of a suite, of its config and of its event filters, fields of configs, variables."""
    suite, config = project_x_py.TradingSuite, project_x_py.TradingSuiteConfig
    for function in (
        suite.create,
        suite.from_config,
        suite.from_env,
        config.__init__,
        project_x_py.ProjectX.from_env,
    ):
        plain = [
            name
            for name, each in inspect.signature(function).parameters.items()
            if each.kind not in {each.VAR_KEYWORD, each.VAR_POSITIONAL} and name not in {"self", "cls"}
        ]
        yield from plain
    for name in CONFIGS:
        yield from getattr(load("types.config_types"), name).__annotations__
    yield from (each.name for each in dataclasses.fields(load("risk_manager").RiskConfig))
    yield from (each.value for each in project_x_py.Features)
    for file in Path(project_x_py.__file__).parent.rglob("*.py"):
        yield from VARIABLE.findall(file.read_text(encoding="utf-8"))


def statistics():
    """Keys of the statistics that methods return."""
    for what in vars(load("types.stats_types")).values():
        if typing.is_typeddict(what):
            yield from what.__annotations__
    realtime = project_x_py.ProjectXRealtimeClient
    for base in realtime.__mro__:
        for name in ("get_stats", "get_health_status", "get_performance_metrics", "get_batching_stats"):
            if name in vars(base):
                yield from keys_of(vars(base)[name])
    yield from keys_of(project_x_py.ProjectX.get_health_status)


def keys_of(function):
    """The literal keys of the dicts that it makes."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for each in ast.walk(tree):
        if isinstance(each, ast.Dict):
            yield from (
                key.value for key in each.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)
            )


def callbacks():
    """The events of `ProjectXRealtimeClient.add_callback`: those that its hubs' methods are handed on as."""
    source = inspect.getsource(load("realtime.event_handling"))
    yield from re.findall(r'_schedule_(?:async_task|coalesced_event)\(\s*"(\w+)"', source)


def names():
    yield from exported()
    assert all(each.name.lower() == each.value for each in EventType)
    yield from (f"event:{each.value}" for each in EventType)
    yield from (f"event:{each}" for each in callbacks())
    yield from (f"option:{each}" for each in options())
    yield from (f"stat:{each}" for each in statistics())
    yield from (f"command:{each.name}" for each in distribution("project-x-py").entry_points)


if __name__ == "__main__":
    sys.stdout.write("".join(f"{name}\n" for name in sorted(set(names()))))
