"""The bars of a key at one moment, as a program gets them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from actors.display.escaping import printable
from actors.display.shown import html_of
from actors.protocol.bars import Bar, timeframe_of
from actors.protocol.formatting import counted


class FrameView(Struct, frozen=True):
    """The bars of one timeframe. A period without trades has no bar.

    `finished`: oldest first. `forming`: of the present period; None: nothing was traded in it. `synced`: the
    stream brings all trades, and REST has been asked for all that it did not bring. Otherwise `reason` says
    what is missing, and bars that it concerns are not `exact`.
    """

    timeframe: str
    finished: tuple[Bar, ...]
    forming: Bar | None
    synced: bool
    reason: str = ""

    def __repr__(self) -> str:
        forming = "" if self.forming is None else " and one that forms"
        reason = "" if self.synced else f"; {self.reason}"
        bars = counted(len(self.finished), "bar")
        return printable(f"<FrameView {self.timeframe}: {bars}{forming}{reason}>")

    def _repr_html_(self) -> str | None:
        return html_of(self, "view_pages:of_frame")


class BarsView(Struct, frozen=True):
    """The bars of a key at one moment: `view["5min"].finished`.

    `key` is the venue's spelling. The counts are of trades since the beginning: `left_out` are older than all
    bars that are kept, `duplicates` had the id of an earlier one, and `ahead` have a time in the future.
    """

    feed: str
    key: str
    frames: Mapping[str, FrameView]
    left_out: int = 0
    duplicates: int = 0
    ahead: int = 0

    def __getitem__(self, timeframe: str) -> FrameView:
        """Raises KeyError where it was not asked for, LinewardenError where it is no timeframe."""
        name = str(timeframe_of(timeframe))
        if name not in self.frames:
            raise KeyError(f"{name} was not asked for; this view has {', '.join(self.frames)}")
        return self.frames[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.frames)

    def __len__(self) -> int:
        return len(self.frames)

    def __contains__(self, timeframe: object) -> bool:
        return timeframe in self.frames

    @property
    def synced(self) -> bool:
        """Whether all of its timeframes are."""
        return all(frame.synced for frame in self.frames.values())

    @property
    def reason(self) -> str:
        """Why not, of the first timeframe that is not."""
        return next((f"{name}: {each.reason}" for name, each in self.frames.items() if not each.synced), "")

    def __str__(self) -> str:
        bars = ", ".join(f"{name} {counted(len(each.finished), 'bar')}" for name, each in self.frames.items())
        return f"{self.feed}/{self.key}: {bars}" + ("" if self.synced else f"; {self.reason}")

    def _repr_html_(self) -> str | None:
        return html_of(self, "view_pages:of_bars")

    def __repr__(self) -> str:
        return printable(f"<BarsView {self}>")
