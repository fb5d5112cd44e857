"""`tests/migrating/tpluspy.txt` names all that tpluspy 0.6.0 offers, as its wheel has it.

Its clients, users, assets and what its streams bear are named with their members. Of the rest (what requests
take and answer, contracts) the functions and classes are: there is nothing to set beside their members.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.installs import TPLUSPY
from tests.interop import names

LIST = Path(__file__).parent.parent / "migrating" / "tpluspy.txt"
VARIABLE = re.compile(r"(TPLUS|WEB3|API)_[A-Z_]+")
WITH_MEMBERS = re.compile(
    r"client/.*|exceptions|utils/user/.*|"
    r"model/(asset_identifier|chain_address|trades|orderbook|klines|ticker|order|position|user_event|intent)"
)
OF_REQUESTS = re.compile(
    r"(Historical\w+|Order(Operation)?Response|OperationStatus|\w+Request|\w+Page|IntentReport)\..*"
)
COMMANDS = "_cli"


def offered(package: Path) -> Iterator[str]:
    for file in sorted(package.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        name = str(file.relative_to(package).with_suffix(""))
        yield from (f"variable:{each}" for each in variables(tree))
        if name.startswith(COMMANDS):
            yield from (f"command:{file.stem}.{each}" for each in names.first_arguments(tree, "command"))
        elif WITH_MEMBERS.fullmatch(name):
            given = (*names.defined(tree), *names.enumerated(tree))
            yield from (each for each in given if not OF_REQUESTS.fullmatch(each))
        else:
            yield from (each for each in names.defined(tree) if "." not in each)
        if name.startswith("client/"):
            yield from (f"option:{each}" for each in options(tree))


def variables(tree: ast.Module) -> Iterator[str]:
    """Environment variables: literal texts that look like one."""
    yield from filter(VARIABLE.fullmatch, names.texts(ast.walk(tree)))


def options(tree: ast.Module) -> Iterator[str]:
    """What constructors, streams and reads take by name."""
    for each in ast.walk(tree):
        if isinstance(each, names.Function) and re.fullmatch(r"__init__|(stream|get|iter)_\w+", each.name):
            taken = [*each.args.args, *each.args.kwonlyargs]
            yield from (argument.arg for argument in taken if argument.arg != "self")


def test_it_wants_websockets_before_14(sdk_source: Callable[..., Path]) -> None:
    """So it cannot be installed beside Linewarden, as docs/migrating/tpluspy.md says."""
    [metadata] = sdk_source(TPLUSPY, version="3.11").glob("*.dist-info/METADATA")
    assert "Requires-Dist: websockets<14,>=13.1\n" in metadata.read_text(encoding="utf-8")


def test_the_list_names_all_that_the_sdk_offers(sdk_source: Callable[..., Path]) -> None:
    package = sdk_source(TPLUSPY, version="3.11") / "tplus"
    listed = LIST.read_text(encoding="utf-8").splitlines()
    assert sorted(set(offered(package))) == listed
