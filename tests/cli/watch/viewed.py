"""The full-screen view without a terminal, and a service that a test makes up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from msgspec import structs
from textual.pilot import Pilot

from actors.cli.watch.app import Looked, WatchApp
from actors.cli.watch.listing import Wanted
from actors.cli.watch.looks import Look, next_look, successful
from actors.status import FeedStatus, LineStatus, Status
from tests.cli import statuses
from tests.commands import PATIENCE

RIGHTS: Final = ("look", "account", "act")
ALL: Final = Wanted()


class Desk:
    """A service: what it answers, and what it was told to do."""

    def __init__(self, **lines: LineStatus) -> None:
        self.shown = status(**lines)
        self.error: Exception | None = None
        self.posts: list[str] = []

    def ask(self) -> Status:
        if self.error is not None:
            raise self.error
        return self.shown

    def post(self, path: str) -> None:
        self.posts.append(path)
        if self.error is not None:
            raise self.error

    def show(self, **lines: LineStatus) -> None:
        self.shown = status(**lines)


def status(**lines: LineStatus) -> Status:
    """Every line is one of its feed."""
    feeds = {name: FeedStatus("o2", line.state == "live", {name: line}) for name, line in lines.items()}
    return structs.replace(statuses.status(), feeds=feeds)


class View:
    """The view, and the keys that a user presses. It looks at the service when the test says so."""

    def __init__(self, app: WatchApp, pilot: Pilot[None], desk: Desk, first: Look) -> None:
        self.app, self._pilot, self._desk, self._look = app, pilot, desk, first

    async def press(self, *keys: str) -> None:
        await self._pilot.press(*keys)
        await self._pilot.pause()

    async def look(self) -> None:
        self._look = next_look(self._look, self._desk.ask)
        self.app.post_message(Looked(self._look))
        await self._pilot.pause()

    async def resize(self, width: int, height: int) -> None:
        await self._pilot.resize_terminal(width, height)
        await self._pilot.pause()

    @property
    def rows(self) -> list[str]:
        """What the terminal shows."""
        return [strip.text.rstrip() for strip in self.app.screen._compositor.render_strips()]

    @property
    def text(self) -> str:
        """Its words; where they are folded does not matter."""
        return " ".join(" ".join(self.rows).split())

    @property
    def listed(self) -> list[str]:
        """The names of the lines that are visible."""
        rows = self.rows
        heading = next(number for number, row in enumerate(rows) if row.split()[:2] == ["line", "state"])
        below = rows[heading + 1 :]
        end = next(number for number, row in enumerate(below) if "sort: " in row)
        return [row[3:].split()[0] for row in below[:end] if row.strip()]

    @property
    def chosen(self) -> str:
        """The name of the line under the cursor; empty: there is none."""
        return next((row[3:].split()[0] for row in self.rows if row.startswith(">")), "")

    @property
    def question(self) -> str:
        """The words of the box above the list; empty: there is none."""
        inside = [row.split("│")[1] for row in self.rows if row.count("│") == 2]
        return " ".join(" ".join(inside).split())

    async def seen(self, words: str) -> None:
        """Waits until the terminal shows these words."""
        deadline = time.monotonic() + PATIENCE
        while words not in self.text:
            assert time.monotonic() < deadline, self.text
            await self._pilot.pause(0.01)


def viewing(
    desk: Desk,
    story: Callable[[View], Awaitable[None]],
    *,
    rights: Collection[str] = RIGHTS,
    wanted: Wanted = ALL,
    size: tuple[int, int] = (80, 24),
    opens_fresh: bool = False,
) -> None:
    """Runs the story. An error in the view fails it."""

    async def run() -> None:
        first = successful(desk.shown)
        app = WatchApp(desk.ask, desk.post, first, wanted, rights, opens_fresh=opens_fresh)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await story(View(app, pilot, desk, first))

    asyncio.run(run())
