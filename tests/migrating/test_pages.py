"""Each page about an SDK names all that the SDK has. `tests/interop` compares the lists with the SDKs."""

from __future__ import annotations

import re
from functools import cache
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

import actors
from actors import cli
from actors.status import Counters, LineStatus
from actors.trading.projectx_requests import ProjectXRequests
from actors.venues import VENUES

HERE = Path(__file__).parent
PAGES = HERE.parents[1] / "docs" / "migrating"
LISTS = sorted(HERE.glob("*.txt"))
CODE = re.compile(r"`([^`\n]+)`")


def names_of(path: Path) -> list[str]:
    """The names in a list: `Class.method`, or `event:quote_update` with its kind."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("path", LISTS, ids=[path.stem for path in LISTS])
def test_a_page_names_all_that_its_sdk_has(path: Path) -> None:
    code = " ".join(CODE.findall((PAGES / f"{path.stem}.md").read_text(encoding="utf-8")))  # no prose
    named = {*re.findall(r"\w+", code), *re.findall(r"[\w-]+", code)}
    missing = [name for name in names_of(path) if re.split(r"[.:]", name)[-1] not in named]
    assert missing == []


@pytest.mark.parametrize("path", LISTS, ids=[path.stem for path in LISTS])
def test_each_test_that_a_page_names_is_there(path: Path) -> None:
    page = (PAGES / f"{path.stem}.md").read_text(encoding="utf-8")
    of_the_sdk = {re.split(r"[.:]", name)[-1] for name in names_of(path)}
    assert set(re.findall(r"`(test_\w+)`", page)) - of_the_sdk - there_are() == set()


@cache
def there_are() -> frozenset[str]:
    files = HERE.parent.rglob("test_*.py")
    found = (re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE) for file in files)
    return frozenset(chain.from_iterable(found))


def test_each_page_has_its_list() -> None:
    pages = {path.stem for path in PAGES.glob("*.md")} - {"README"}
    assert pages == {path.stem for path in LISTS}


@pytest.mark.parametrize("path", LISTS, ids=[path.stem for path in LISTS])
def test_a_list_is_sorted_and_has_each_name_once(path: Path) -> None:
    names = names_of(path)
    assert names == sorted(set(names))


# How an error goes on behind "it is" and the name of an SDK: as a regular expression.
TRANSLATED = r"'s(?: name for |, and Linewarden has none: )"


# ── what the pages say of Linewarden ────────────────────────────────────────────────────────────

OWNERS: dict[str, tuple[type | ModuleType, ...]] = {
    "actors": (actors,),
    "runtime": (actors.Runtime,),
    "stream": (actors.Stream,),
    "px": (ProjectXRequests,),
    "book": (actors.BookView,),
    "line": (LineStatus,),
    "line.counters": (Counters,),
    "view": (actors.AccountView, actors.BarsView),
}


@pytest.mark.parametrize("path", LISTS, ids=[path.stem for path in LISTS])
def test_what_a_page_names_of_linewarden_is_there(path: Path) -> None:
    code = " ; ".join(CODE.findall((PAGES / f"{path.stem}.md").read_text(encoding="utf-8")))
    translated = {word for kind in VENUES.values() for each in kind.sdk_words() for word in each.calls}
    named = {
        (owner, name)
        for owner in OWNERS
        for name in re.findall(rf"(?<![\w.]){re.escape(owner)}\.([a-z]\w*|[A-Z]\w*)", code)
    }
    missing = [f"{owner}.{name}" for owner, name in named if not any(hasattr(x, name) for x in OWNERS[owner])]
    assert [name for name in missing if name.rpartition(".")[2] not in translated] == []


@pytest.mark.parametrize("path", LISTS, ids=[path.stem for path in LISTS])
def test_each_command_that_a_page_names_is_there(path: Path) -> None:
    code = " ; ".join(CODE.findall((PAGES / f"{path.stem}.md").read_text(encoding="utf-8")))
    top: Any = typer.main.get_command(cli.app)
    assert set(re.findall(r"\blinewarden ([a-z][a-z-]*)", code)) - top.commands.keys() == set()
