"""The pictures of the operator's commands, at two sizes, of a real service with troubles."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.text import Text

from actors.cli.service_client import CommandClient
from actors.cli.watch.app import WatchApp
from actors.cli.watch.listing import Wanted
from actors.cli.watch.looks import successful
from actors.service import Service
from actors.settings.schema import ServiceSettings
from tests.pictures.drawing import ROOT, decoded, draw, written
from tests.pictures.troubles import troubled

PICTURES = ROOT / "docs" / "pictures"
SIZES = ((80, 24), (160, 50))
KEYS = {"watch": (), "details": ("enter",), "restart": ("end", "r")}  # pressed before the picture is taken
LOOKS = 3.0  # seconds of events per second


def draw_operator() -> None:
    PICTURES.mkdir(exist_ok=True)
    with troubled() as runtime, Service(runtime, ServiceSettings()) as service:
        client = CommandClient(service.url)
        client.post("/pause/o2-backup")
        for columns, rows in SIZES:
            for command in ("status", "journal"):
                _draw_command(command, service.url, columns, rows)
            _draw_view(client, columns, rows)


def _picture(name: str, columns: int, rows: int) -> Path:
    return PICTURES / f"{name}-{columns}x{rows}.svg"


def _draw_command(name: str, url: str, columns: int, rows: int) -> None:
    told = written(name, columns=columns, rows=rows, environ={"LINEWARDEN_URL": url})
    last = [*decoded(told.rstrip("\n"))][-(rows - 1) :]  # what is above has been scrolled away
    draw(_picture(name, columns, rows), [*last, Text("$")], columns=columns, title=f"linewarden {name}")


def _draw_view(service: CommandClient, columns: int, rows: int) -> None:
    """Without a terminal: textual draws the same rows as on one."""
    for name, keys in KEYS.items():
        app = WatchApp(service.status, service.post, successful(service.status()), Wanted(), ("look", "act"))
        visible = asyncio.run(_rows(app, keys, columns, rows))
        draw(_picture(name, columns, rows), visible, columns=columns, title="linewarden status --watch")


async def _rows(app: WatchApp, keys: tuple[str, ...], columns: int, rows: int) -> list[Text]:
    async with app.run_test(size=(columns, rows)) as pilot:
        await pilot.pause(LOOKS)
        await pilot.press(*keys)
        await pilot.pause()
        strips = app.screen._compositor.render_strips()
        return [
            Text.assemble(*((segment.text, segment.style or "") for segment in strip)) for strip in strips
        ]
