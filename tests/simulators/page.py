"""The tables of docs/simulators.md, made of the simulators: `python -m tests.simulators.page` writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from actors.simulators import SIMULATORS, Simulator
from actors.simulators.base.faults import FaultKind, table_of
from actors.simulators.base.history_faults import HistoryFaults
from actors.simulators.base.parameters import Parameter, parameters_of
from actors.simulators.signalr import SimulatedHubs

PAGE = Path(__file__).parents[2] / "docs" / "simulators.md"
GROUPS: tuple[tuple[str, type], ...] = (
    ("Every simulator", Simulator),
    ("Pages of history, and so `alpaca`, `o2` and `table`", HistoryFaults),
    ("SignalR hubs, and so `projectx`", SimulatedHubs),
    *((f"`{name}`", kind) for name, kind in SIMULATORS.items()),
)
TOLD = {kind for _, kind in GROUPS}


def page(text: str) -> str:
    """A page with its tables as the simulators have them."""
    for mark, tables in (("settings", _tables(_settings)), ("faults", _tables(_faults))):
        parted = re.compile(rf"(<!-- {mark} -->\n).*(<!-- end of {mark} -->)", re.DOTALL)
        begin, _, rest = parted.sub(r"\1\0\2", text).partition("\0")
        text = f"{begin}{tables}{rest}"
    return text


def _tables(rows_of: Callable[[type], Iterable[str]]) -> str:
    """One table for each class, of the rows that its parent does not have."""
    text = ""
    for title, kind in GROUPS:
        parents = [parent for parent in kind.__mro__[1:] if parent in TOLD]
        known = {row for parent in parents for row in rows_of(parent)}
        head, *rows = rows_of(kind)
        if rows := [row for row in rows if row not in known]:
            columns = "|".join(" --- " for _ in range(head.count("|") - 1))
            text += "\n".join(["", f"### {title}", "", head, f"|{columns}|", *rows, ""])
    return text + "\n"


def _settings(kind: type) -> Iterator[str]:
    yield "| setting | default | meaning |"
    for each in parameters_of(kind.Settings) if issubclass(kind, Simulator) else ():
        default = "required" if each.default is None else f"`{each.default or repr(each.default)}`"
        star = "" if each.kind else " *"
        yield f"| `{each.name}`{star} | {default} | {_meaning(each)} |"


def _faults(kind: type) -> Iterator[str]:
    yield "| fault | it | parameters |"
    for row in table_of(kind):
        yield f"| `{row}` | {row.meaning} | {_parameters(row)} |"


def _parameters(row: FaultKind) -> str:
    return "<br>".join(f"`{each.name}`: {_meaning(each)}" for each in row.parameters)


def _meaning(each: Parameter) -> str:
    return each.described.replace("|", r"\|") if each.kind else each.meaning


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
