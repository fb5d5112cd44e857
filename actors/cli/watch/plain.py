"""The status again and again as plain text, where there is no full-screen view."""

from __future__ import annotations

import time
from contextlib import nullcontext, suppress

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from actors.cli.formatting import console
from actors.cli.status_view import StatusView
from actors.cli.watch.looks import LOOK, Look, Service, next_look


def plain(service: Service, view: StatusView, look: Look) -> None:
    """From this look on, until Ctrl-C. A terminal that can move its cursor has one picture in place."""
    shown = console()
    live = None
    if shown.is_terminal and not shown.is_dumb_terminal:
        live = Live(console=shown, auto_refresh=False)
    with suppress(KeyboardInterrupt), live or nullcontext():
        while True:
            picture = _picture(look, view, shown)
            if live is not None:
                live.update(picture, refresh=True)
            else:
                shown.print(picture, "")
            time.sleep(LOOK)
            look = next_look(look, service.status)


def _picture(look: Look, view: StatusView, shown: Console) -> RenderableType:
    if look.trouble:
        return Text(look.trouble, "yellow")
    size = shown.size if shown.is_terminal else (None, None)
    return view.render(look.status, look.monotonic, look.taken_at, *size)
