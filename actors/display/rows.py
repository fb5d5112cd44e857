"""Rows of a terminal: texts with styles, folded to a width. Quoted texts are cut first."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from actors.display.text import STAYS, cut_middle, folded, width_of

MOST = 3  # rows of one sentence, as far as what was quoted can be cut
SHORTEST = 24  # columns that are left of a quoted text


class Quote(Struct, frozen=True):
    """A text that is cut in its middle where it is too long, such as that of a venue."""

    text: str


Part = str | Quote


class Row(Struct, frozen=True):
    """One row, in spans of a text and its style (of `rich`)."""

    spans: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.spans)


def plain(parts: Sequence[Part]) -> str:
    """All of it."""
    return "".join(part.text if isinstance(part, Quote) else part.replace(STAYS, " ") for part in parts)


def rows_of(
    parts: Sequence[Part], style: str, width: int | None, most: int = MOST, indent: str = "  "
) -> list[Row]:
    """The sentence in rows. `width` None: in one row, and nothing is cut.

    Where it takes more than `most` rows, what is quoted is cut; what is not, never.
    """
    if width is None:
        return [Row(((plain(parts), style),))]
    room = most * width
    parts = [Quote(cut_middle(part.text, room)) if isinstance(part, Quote) else part for part in parts]
    ours = sum(width_of(part) for part in parts if isinstance(part, str))
    if ours > room:
        return _styled(folded(_joined(_cut(parts, 0)), width, indent), style)
    rows = folded(_joined(parts), width, indent)
    # A row is left half empty where a long word begins the next one.
    while len(rows) > most and room > 0 and any(isinstance(part, Quote) for part in parts):
        room -= width // 4
        rows = folded(_joined(_cut(parts, room)), width, indent)
    return _styled(rows, style)


def _styled(rows: Sequence[str], style: str) -> list[Row]:
    return [Row(((row, style),)) for row in rows]


def _joined(parts: Sequence[Part]) -> str:
    return "".join(part.text if isinstance(part, Quote) else part for part in parts)


def _cut(parts: Sequence[Part], room: int) -> list[Part]:
    """With quotes that share what our own words leave of the room: short ones stay as they are."""
    quotes = [part.text for part in parts if isinstance(part, Quote)]
    room -= sum(width_of(part) for part in parts if not isinstance(part, Quote))
    share = 0
    for number, length in enumerate(sorted(map(width_of, quotes))):
        share = max(SHORTEST, room // (len(quotes) - number))
        room -= min(length, share)
    return [cut_middle(part.text, share) if isinstance(part, Quote) else part for part in parts]
