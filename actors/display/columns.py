"""Cells in columns: which columns fit into a width, and the rows that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from actors.display.rows import Row
from actors.display.text import cut_middle, folded, width_of

BETWEEN = "  "  # columns
LEAST = 12  # columns of the terminal for a name that is cut


class Layout(Struct, frozen=True):
    """The columns that fit, by their headings: how wide each is, and which begin at the right."""

    widths: Mapping[str, int]
    right: frozenset[str]

    def header(self) -> Row:
        cells = [self._aligned(heading, heading) for heading in self.widths]
        return Row(((BETWEEN.join(cells).rstrip(), "bold"),))

    def rows(self, cells: Mapping[str, str], styles: Mapping[str, str]) -> list[Row]:
        """Those of one entry: its first cell is cut in the middle, its others are folded."""
        first, *_ = self.widths
        parts = {
            heading: [cut_middle(cells[heading], width)]
            if heading == first
            else folded(cells[heading], width, "")
            for heading, width in self.widths.items()
        }
        return [self._row(parts, number, styles) for number in range(max(map(len, parts.values())))]

    def _row(self, parts: Mapping[str, Sequence[str]], number: int, styles: Mapping[str, str]) -> Row:
        spans: list[tuple[str, str]] = []
        for heading, texts in parts.items():
            text = texts[number] if number < len(texts) else ""
            spans += [(BETWEEN, "")] * bool(spans)
            spans.append((self._aligned(heading, text), styles.get(heading, "")))
        last, style = spans[-1]
        return Row((*spans[:-1], (last.rstrip(), style)))

    def _aligned(self, heading: str, text: str) -> str:
        room = " " * (self.widths[heading] - width_of(text))
        return f"{room}{text}" if heading in self.right else f"{text}{room}"


def fit(
    widths: Mapping[str, int],
    shorter: Mapping[str, int],
    keep: Mapping[str, int],
    right: frozenset[str],
    width: int | None,
) -> tuple[Layout, frozenset[str]]:
    """The columns that fit, and those in their short form.

    Where there is no room, the first column is cut (to a quarter of the width), then cells take their
    `shorter` form, then columns go, the one with the least `keep` first. Two stay: the first, and the second,
    which is folded.
    """
    first, second, *others = widths
    if width is None:
        return Layout(widths, right), frozenset()
    most = max(LEAST, width // 4)
    widths = {**widths, first: min(widths[first], most)}
    short: set[str] = set()
    for heading in shorter:
        if _total(widths) > width:
            widths = {**widths, heading: shorter[heading]}
            short.add(heading)
    for heading in sorted(others, key=lambda each: keep[each]):
        if _total(widths) > width:
            widths = {name: each for name, each in widths.items() if name != heading}
    if (over := _total(widths) - width) > 0:
        widths = {**widths, second: max(LEAST, widths[second] - over)}
    return Layout(widths, right), frozenset(short)


def _total(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + len(BETWEEN) * (len(widths) - 1)
