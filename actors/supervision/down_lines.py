"""Which lines are not live and which have failed, kept with each change: no question walks all lines."""

from __future__ import annotations

from actors.rules.line import LineState
from actors.supervision.state import LineRecord

Lines = dict[str, set[str]]  # by feed


class DownLines:
    """Of every line that there is. One thread."""

    def __init__(self) -> None:
        self._away: Lines = {}
        self._failed: Lines = {}

    def note(self, line: LineRecord) -> None:
        """Its state has changed, or it is new."""
        _put(self._away, line, line.state is not LineState.LIVE)
        _put(self._failed, line, line.state is LineState.FAILED)

    def forget(self, line: LineRecord) -> None:
        _put(self._away, line, False)
        _put(self._failed, line, False)

    def are_live(self, target: str | None) -> bool | None:
        """Of a feed or a line, or of all lines: True: all are. False: one has failed. None: not yet."""
        if _has(self._failed, target):
            return False
        return None if _has(self._away, target) else True


def _put(lines: Lines, line: LineRecord, belongs: bool) -> None:
    if belongs:
        lines.setdefault(line.feed, set()).add(line.name)
    elif (mine := lines.get(line.feed)) is not None:
        mine.discard(line.name)
        if not mine:
            del lines[line.feed]


def _has(lines: Lines, target: str | None) -> bool:
    if target is None or target in lines:
        return bool(lines)
    return target in lines.get(target.partition("/")[0], ())
