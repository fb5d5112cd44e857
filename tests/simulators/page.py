"""The tables of docs/simulators.md, made of the simulators: `python -m tests.simulators.page` writes them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from actors.simulators import SIMULATORS, Simulator
from actors.simulators.base.faults import FaultKind, faults_of, table_of
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
HOOKS = {  # what a subclass of `Simulator` overrides or uses, see docs/venues.md
    *("opened", "received", "closed", "step", "answer", "serves", "objection", "refusal", "decode", "kind"),
    "kinds",
    *("canonical", "numbering", "subscription_asked", "acknowledge", "rejects", "feed", "call_later"),
    *("hear", "pinged", "ponged", "serve", "join", "left", "forget", "announce", "watch", "count", "set_up"),
    *(
        "set_up_hubs",
        "join_group",
        "leave_group",
        "tell_caller",
        "tell_group",
        "methods",
        "accepts",
        "greeting",
        "note",
        "invoked",
    ),
}
TOLD = {kind for _, kind in GROUPS}


def page(text: str) -> str:
    """A page with its tables as the simulators have them."""
    made = {"methods": _tables(_methods), "settings": _tables(_settings), "faults": _tables(_faults)}
    for mark, tables in made.items():
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


def _methods(kind: type) -> Iterator[str]:
    """Its public methods and properties, but the faults and what a subclass overrides."""
    yield "| method | it |"
    for name in sorted(vars(kind)):
        member = inspect.getattr_static(kind, name)
        call: Any = member.fget if isinstance(member, property) else member
        is_one = inspect.isfunction(call) and name not in faults_of(kind).keys() | HOOKS
        if not is_one or name.startswith("_") or not call.__doc__:  # without it: of the simulator's own
            continue
        meaning = " ".join(call.__doc__.partition("\n\n")[0].split())
        yield f"| `{name}{'' if isinstance(member, property) else _signature(call)}` | {meaning} |"


def _signature(call: Callable[..., object]) -> str:
    """Its parameters and defaults, without their types."""
    given = inspect.signature(call).parameters.values()
    shown = [each.replace(annotation=inspect.Parameter.empty) for each in given if each.name != "self"]
    return str(inspect.Signature(shown))


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
