"""`python -m tests.mutants [FILE ...]`: mutmut changes these files, such as
`rules/line.py`; without a name, all of `actors/rules/` and `actors/protocol/`.

mutmut's settings are in `pyproject.toml`. It works in `.mutants/`, on a copy of the code and its tests, and
`.mutants/survivors.txt` lists each change that no test noticed. `explained.toml` gives the reason for the
changes that alter nothing observable; exits with 1 if a change survives that is not explained there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from tests.mutants import tables

ROOT = Path(__file__).parent.parent.parent
HERE = ROOT / ".mutants"
PACKAGE = ROOT / "actors"
ROOMS = ("rules", "protocol")
COPIED = ("actors", "tests")
NOTICED = ("killed", "timeout", "segfault")  # the last: without an end, it takes memory until it is ended
ANY = "*"  # in `explained.toml`: every change of that function


class Mutant(Struct, frozen=True):
    """One change: where, the lines it puts in, and what became of it."""

    name: str
    status: str
    diff: str = ""

    @property
    def file(self) -> str:
        module = self.name.rpartition(".")[0]
        return f"{module.removeprefix('actors.').replace('.', '/')}.py"

    @property
    def function(self) -> str:
        """`Life.ask` of `actors.rules.ledger.xǁLifeǁask__mutmut_3`; `merge` of `…x_merge__mutmut_1`."""
        mangled = self.name.rpartition(".")[2].rpartition("__mutmut_")[0]
        return mangled.removeprefix("xǁ").replace("ǁ", ".") if "ǁ" in mangled else mangled.removeprefix("x_")

    @property
    def change(self) -> str:
        added = [line[1:].strip() for line in self.diff.splitlines() if re.match(r"\+(?!\+\+)", line)]
        return " ".join(added)


def copy(files: list[str]) -> None:
    """The code and the tests, and settings by which only these files are changed."""
    shutil.rmtree(HERE, ignore_errors=True)
    for name in COPIED:
        shutil.copytree(ROOT / name, HERE / name, ignore=shutil.ignore_patterns("__pycache__"))
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = ", ".join(f'"actors/{file}"' for file in files)
    settings, found = re.subn(
        r"^only_mutate = .*$", f"only_mutate = [{wanted}]", settings, flags=re.MULTILINE
    )
    assert found == 1
    (HERE / "pyproject.toml").write_text(settings, encoding="utf-8")


def mutmut(*arguments: str, quiet: bool = True) -> str:
    command = [sys.executable, "-m", "mutmut", *arguments]
    ran = subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE if quiet else None, text=True, check=quiet)
    return ran.stdout or ""


def mutants(files: list[str]) -> Iterator[Mutant]:
    for row in mutmut("results", "--all", "true").splitlines():
        name, _, status = row.strip().rpartition(": ")
        yield Mutant(name, status, "" if status in NOTICED else mutmut("show", name))
    if tables.FILE in files:
        for number, (table, status, change) in enumerate(tables.mutants()):
            yield Mutant(f"actors.rules.line.x_{table}__mutmut_{number}", status, f"# {table}\n+{change}\n")


def explained() -> dict[tuple[str, str, str], str]:
    """Why a change alters nothing, by file, function and the changed line."""
    table = tomllib.loads((Path(__file__).parent / "explained.toml").read_text(encoding="utf-8"))
    return {
        (entry["file"], entry["function"], change): entry["why"]
        for entry in table["survivor"]
        for change in entry["changes"]
    }


def report(files: list[str]) -> bool:
    """Writes what survived, prints the counts; whether each survivor is explained."""
    reasons, counts, used = explained(), Counter[tuple[str, str]](), set[tuple[str, str, str]]()
    told: dict[bool, list[str]] = {False: [], True: []}  # whether it is explained
    for mutant in mutants(files):
        place = (mutant.file, mutant.function, mutant.change)
        if place not in reasons:
            place = (mutant.file, mutant.function, ANY)
        is_explained = place in reasons
        status = mutant.status if mutant.status in NOTICED else "explained" if is_explained else "survived"
        counts[mutant.file, status] += 1
        if status not in NOTICED:
            told[is_explained].append(f"{reasons.get(place, mutant.status)}\n{mutant.diff}")
            used.add(place)
    (HERE / "survivors.txt").write_text("\n".join(told[False] + told[True]), encoding="utf-8")
    statuses = (*NOTICED, "explained", "survived")
    print("", "file".ljust(32) + "".join(each.rjust(12) for each in ("changes", *statuses)), sep="\n")
    for file in files:
        row = [counts[file, status] for status in statuses]
        print(file.ljust(32) + "".join(f"{number:12}" for number in (sum(row), *row)))
    for file, function, change in sorted(reasons.keys() - used):
        if file in files:
            print(f"{file}: no change of {function} that survived has this explanation: {change}")
    print("", "Each change that no test noticed is in .mutants/survivors.txt.", sep="\n")
    return not told[False]


def main(files: list[str]) -> int:
    copy(files)
    os.nice(10)
    mutmut("run", "--max-children", "1", quiet=False)
    return 0 if report(files) else 1


every = [
    str(path.relative_to(PACKAGE))
    for room in ROOMS
    for path in sorted((PACKAGE / room).rglob("*.py"))
    if path.name != "__init__.py"
]
sys.exit(main(sys.argv[1:] or every))
