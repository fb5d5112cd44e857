"""What an SDK offers, read from its source: it need not run on this Python, nor have its dependencies.

A name is written as in the lists of `tests/migrating`: `function`, `Class`, `Class.method`, `Class.field`,
and what programs write as text with its kind before it, such as `event:quote_update`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules(package: Path) -> Iterator[ast.Module]:
    """The parsed files of a package and of those in it, in the order of their paths."""
    for file in sorted(package.rglob("*.py")):
        yield ast.parse(file.read_text(encoding="utf-8"))


def public(name: str) -> bool:
    return not name.startswith("_")


def defined(tree: ast.Module) -> Iterator[str]:
    """Functions, classes, their methods and declared fields, of the top of one file."""
    for each in tree.body:
        if isinstance(each, Function) and public(each.name):
            yield each.name
        elif isinstance(each, ast.ClassDef) and public(each.name):
            yield each.name
            yield from (f"{each.name}.{member}" for member in members(each))


def members(owner: ast.ClassDef) -> Iterator[str]:
    """Public methods and declared fields."""
    for each in owner.body:
        if isinstance(each, Function):
            name = each.name
        elif isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            name = each.target.id
        else:
            continue
        if public(name):
            yield name


def enumerated(tree: ast.Module) -> Iterator[str]:
    """The members of its enumerations."""
    for each in tree.body:
        if isinstance(each, ast.ClassDef) and any("Enum" in ast.unparse(base) for base in each.bases):
            lines = [line for line in each.body if isinstance(line, ast.Assign)]
            yield from (f"{each.name}.{ast.unparse(line.targets[0])}" for line in lines)


def texts(nodes: Iterable[ast.AST | None]) -> Iterator[str]:
    """Those that are literal texts."""
    for each in nodes:
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value


def first_arguments(tree: ast.AST, call: str) -> Iterator[str]:
    """The literal first argument of each call of a function or method of this name."""
    for each in ast.walk(tree):
        if isinstance(each, ast.Call) and each.args and _called(each.func) == call:
            yield from texts(each.args[:1])


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def literal_keys(tree: ast.AST) -> Iterator[str]:
    """The literal keys of all dicts that are written out in it, of inner ones as well."""
    for each in ast.walk(tree):
        if isinstance(each, ast.Dict):
            yield from texts(each.keys)


def returned_keys(function: ast.AST) -> Iterator[str]:
    """The literal keys of the dicts that it returns, without those of inner ones."""
    for each in ast.walk(function):
        if isinstance(each, ast.Return) and isinstance(each.value, ast.Dict):
            yield from texts(each.value.keys)


def assigned(tree: ast.AST, attributes: Iterable[str]) -> Iterator[ast.expr]:
    """What is assigned to an attribute of this name, of whatever object."""
    wanted = set(attributes)
    for each in ast.walk(tree):
        if not isinstance(each, ast.Assign | ast.AnnAssign) or each.value is None:
            continue
        for target in each.targets if isinstance(each, ast.Assign) else [each.target]:
            if isinstance(target, ast.Attribute) and target.attr in wanted:
                yield each.value


def counted(tree: ast.AST) -> Iterator[str]:
    """Public attributes that something is added to."""
    for each in ast.walk(tree):
        target = each.target if isinstance(each, ast.AugAssign) else None
        if isinstance(target, ast.Attribute) and public(target.attr):
            yield target.attr
