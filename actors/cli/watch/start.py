"""`linewarden status --watch`: the full-screen view, or plain text where there can be none."""

from __future__ import annotations

import asyncio
import os
import signal
from functools import partial
from typing import TYPE_CHECKING, Final, get_args

import msgspec
from msgspec import Struct

from actors.cli.arguments import complain
from actors.cli.service_client import CommandClient
from actors.cli.status_view import StatusView
from actors.cli.watch.listing import Wanted
from actors.cli.watch.looks import Look, successful
from actors.cli.watch.plain import plain
from actors.cli.watch.terminal import Ended, can_be_filled, end_if_gone, ended_by_signals
from actors.errors import LinewardenError
from actors.settings.schema import Right
from actors.status import Status

if TYPE_CHECKING:
    from actors.cli.watch.app import WatchApp

MISSING: Final = (
    "The full-screen view needs textual, which is not installed: pip install 'linewarden[watch]'. "
    "The lines follow as plain text."
)
FAILED: Final = "The full-screen view has ended with the error above. The lines follow as plain text."


def watch(service: CommandClient, wanted: Wanted, *, fresh: bool) -> None:
    """Until the user leaves it. The first look has to succeed; after that the view waits for the service.

    `fresh`: the topics that are not fresh are shown, too.

    Raises:
        LinewardenError: the first look has failed.
    """
    look = successful(service.status())
    if can_be_filled(os.environ) and _is_filled(service, wanted, look, fresh=fresh):
        return
    view = StatusView(moving=True, fresh=fresh, target=wanted.target, down=wanted.down, sort=wanted.sort)
    plain(service, view, look)


def _is_filled(service: CommandClient, wanted: Wanted, look: Look, *, fresh: bool) -> bool:
    """Whether the full-screen view was there, until the user left it. If not, a sentence says why."""
    try:
        from actors.cli.watch.app import WatchApp
    except ModuleNotFoundError as error:
        complain(MISSING if (error.name or "").partition(".")[0] == "textual" else str(error))
        return False
    app = WatchApp(partial(_ask, service), service.post, look, wanted, _rights(service), opens_fresh=fresh)
    ended = asyncio.run(_until_left(app))
    if ended.by is not None and ended.by != signal.SIGINT:
        os.kill(os.getpid(), ended.by)  # with the terminal restored, the signal does what it does to all
    if app.return_code:
        complain(FAILED)
    return not app.return_code


class _Rights(Struct):
    rights: tuple[str, ...]


def _rights(service: CommandClient) -> tuple[str, ...]:
    """Those of this user there. Where it does not say, each command is tried."""
    try:
        return msgspec.json.decode(service.get("/rights"), type=_Rights).rights
    except (LinewardenError, msgspec.MsgspecError):
        return get_args(Right)


def _ask(service: CommandClient) -> Status:
    """On the thread of the looks, which no terminal can hold up."""
    end_if_gone()
    return service.status()


async def _until_left(app: WatchApp) -> Ended:
    loop = asyncio.get_running_loop()
    with ended_by_signals(lambda: loop.call_soon_threadsafe(app.exit)) as ended:
        await app.run_async(mouse=False)  # without it, the terminal's own selection of text works
    return ended
