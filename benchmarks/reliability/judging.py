"""From what a program said to the words of a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.reliability.program import Said

MOST = 5  # different things that are repeated in a table
WORDS = 70  # characters of each


def since(said: Sequence[Said], at: float) -> Sequence[Said]:
    return [each for each in said if each.at >= at]


def told(said: Iterable[Said]) -> str:
    """What the program itself was told, in its order; or that only the log knew; or that nobody did."""
    said = list(said)
    words = dict.fromkeys(_words(each) for each in said if each.kind in ("told", "ended"))
    if words:
        more = [f"{len(words) - MOST} more"] if len(words) > MOST else []
        return "told: " + ", ".join([*list(words)[:MOST], *more])
    return "told: no, logged" if any(each.kind == "logged" for each in said) else "told: no"


def missing(said: Iterable[Said], after: int, until: int) -> int:
    """How many of the events between these two, both excluded, were not heard."""
    heard = {each.what for each in said if each.kind == "heard"}
    return sum(number not in heard for number in range(after + 1, until))


def ended(said: Iterable[Said]) -> bool:
    return any(each.kind == "ended" for each in said)


def _words(said: Said) -> str:
    words = str(said.what).replace("|", "/").replace("\n", " ")
    words = words if len(words) <= WORDS else f"{words[:WORDS]}…"
    return f"ended ({words})" if said.kind == "ended" else words
