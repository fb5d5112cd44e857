"""A venue's list of trades, the plain calculation of its bars, and what its REST tells of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from actors.protocol.bars import Bar, Print, Timeframe, timeframe_of
from actors.rules.bars.keeper import Keeper, Wanted
from actors.rules.bars.periods import Periods, periods_of
from actors.rules.bars.view import FrameView
from actors.rules.calendar import Calendar

SECOND = 10**9
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
NOON = 1_796_040_000 * SECOND  # 2026-11-30T12:00Z, a Monday


def ns(text: str) -> int:
    """Of such as 2026-11-30T12:00:00Z."""

    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * SECOND


def trade(at_ns: int, price: float | str = 100, size: float | str = 1, id: object = None) -> Print:
    return Print(Decimal(str(price)), Decimal(str(size)), at_ns, id)


def plain(trades: Iterable[Print], periods: Periods) -> list[Bar]:
    """All bars, by hand: sorted by time, and by their place where that is the same."""
    by_period: dict[tuple[int, int], list[Print]] = {}
    for each in sorted(trades, key=lambda each: each.at_ns):
        if (period := periods.at(each.at_ns)) is not None:
            by_period.setdefault(period, []).append(each)
    return [
        Bar(
            *period,
            open=its[0].price,
            high=max(each.price for each in its),
            low=min(each.price for each in its),
            close=its[-1].price,
            volume=sum((each.size for each in its), Decimal(0)),
            trades=len(its),
        )
        for period, its in sorted(by_period.items())
    ]


class Rest:
    """A venue's REST: finished bars of a clock, oldest first."""

    def __init__(self, trades: Sequence[Print], frames: str = "1h 30min 15min 5min 1min 15s 5s 1s") -> None:
        self.trades = list(trades)
        self.asked: list[Wanted] = []
        self._has = {timeframe_of(each) for each in frames.split()}

    def has(self, every: Timeframe) -> bool:
        return every in self._has

    def tell(self, wanted: Wanted, now_ns: int) -> tuple[Bar, ...]:
        self.asked.append(wanted)
        known = [each for each in self.trades if each.at_ns <= now_ns]
        bars = [
            bar
            for bar in plain(known, periods_of(wanted.every, None))
            if wanted.since_ns <= bar.start_ns < wanted.until_ns and bar.end_ns <= now_ns
        ]
        return tuple(bars[-wanted.limit :] if wanted.limit else bars)


class Desk:
    """A keeper, its venue's REST, and the time."""

    def __init__(
        self,
        rest: Rest | None = None,
        *frames: str,
        now_ns: int = NOON,
        history: int = 300,
        keep: int = 1_000,
    ) -> None:
        self.rest = rest or Rest([], "")
        self.now_ns = now_ns
        self.keeper = Keeper("feed", "KEY", self.rest.has)
        self.calendar: Calendar | None = None
        self._history, self._keep = history, keep
        for frame in frames:
            self.add(frame)

    def add(self, frame: str, calendar: Calendar | None = None) -> None:
        self.calendar = calendar or self.calendar
        self.keeper.add(
            timeframe_of(frame), calendar, history=self._history, keep=self._keep, now_ns=self.now_ns
        )

    def print(self, *prints: Print, epoch: int = 1) -> None:
        for each in prints:
            self.keeper.print(each, max(self.now_ns, each.at_ns), epoch)

    def pass_time(self, seconds: float = 0.0) -> None:
        """Seconds go by, and what is wanted is asked for and told."""
        self.now_ns += int(seconds * SECOND)
        self.keeper.tick(self.now_ns)
        self.ask()

    def ask(self) -> None:
        for wanted in self.keeper.wanted(self.now_ns):
            self.keeper.answered(wanted, self.rest.tell(wanted, self.now_ns), self.now_ns, self.now_ns)

    # As Any, for tests compare exact numbers with whole ones.

    def finished(self, frame: str) -> tuple[Any, ...]:
        return self._view(frame).finished

    def forming(self, frame: str) -> Any:
        return self._view(frame).forming

    def reason(self, frame: str) -> str:
        return self._view(frame).reason

    def told(self, frame: str) -> list[tuple[str, Any]]:
        return [(each.kind, each.bar) for _, each in self.keeper.take_told() if each.timeframe == frame]

    def _view(self, frame: str) -> FrameView:
        timeframe = timeframe_of(frame)
        calendar = self.calendar if timeframe.length_ns is None else None
        return self.keeper.view([(timeframe, calendar)], self.now_ns)[frame]
