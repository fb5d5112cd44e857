"""`linewarden orders`, `halt`, `unhalt`: the order store of a config, with or without a running service."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from actors.cli.arguments import complain, config_of, known_name, report, user_name
from actors.cli.configured_service import read_settings
from actors.cli.formatting import plain_table
from actors.cli.halt_cancel import halt_and_cancel
from actors.cli.service_commands import AsJson, show
from actors.display.escaping import printable
from actors.display.text import day_and_clock
from actors.errors import ConfigError, LinewardenError
from actors.protocol.formatting import counted
from actors.settings import load
from actors.trading.folder import StoreError
from actors.trading.halt_target import ALL, halt_target, names_host
from actors.trading.order_file import OrderFile
from actors.trading.records import Halt, OpenIntent
from actors.trading.store_operator import OrderRow, StoreOperator

ACTIONS = ("init", "resolve", "adopt", "import")
NEWEST = 50  # orders that are listed
POLL = 0.05  # seconds

Config = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--config",
        metavar="CONFIG",
        help="The config; [trading] has the folder. Without it: the one that `run` takes without CONFIG.",
    ),
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded.")]


def orders(
    action: Annotated[
        str,
        typer.Argument(
            metavar="[init|resolve|adopt|import]", help="What to do; by default orders are listed."
        ),
    ] = "",
    argument: Annotated[
        str, typer.Argument(metavar="[TAG|FILE]", help="For resolve: a tag; for import: a file.")
    ] = "",
    is_open: Annotated[
        bool, typer.Option("--open", help="List the orders whose outcome is not known; exit with 1 for any.")
    ] = False,
    absent: Annotated[
        bool, typer.Option("--absent", help="With resolve: the order is not at the venue.")
    ] = False,
    reason: Reason = "",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List recorded orders, or settle them by hand.

    The store is in the folder that [trading] of CONFIG names. `init` makes it. `resolve TAG --absent --reason
    TEXT` records that an order whose outcome is unknown is not at the venue: look there first. `adopt` takes
    over the orders that a restored store lacks, and ends the halts for them. `import FILE` takes over the
    orders and halts of another host, from a copy of its store.
    """
    if action:
        known_name("ACTION", action, ACTIONS)
    config = config_of(config)
    match action:
        case "init":
            _init(config)
        case "resolve":
            _resolve(config, argument, reason, absent=absent)
        case "adopt":
            _adopt(config)
        case "import":
            _import(config, argument)
        case _:
            _list(config, is_open=is_open, as_json=as_json)


def halt(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="all, a feed, FEED/ACCOUNT, a host, or HOST/ACCOUNT.")
    ],
    reason: Reason = "halted by hand",
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", min=0.0, metavar="SECONDS", help="How long to wait for orders on their way."
        ),
    ] = 15.0,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Then cancel the orders that can open a position.")
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="With --cancel: also those that protect a position.")
    ] = False,
    config: Config = None,
) -> None:
    """Refuse every order that adds risk.

    It holds in all processes that trade from the folder, until `unhalt`. A feed stands for its venue: all
    accounts there are halted. The command lists the processes that trade, and waits for orders that were on
    their way before. It exits with 1 if the halt could not be written, if no orders go to that host, or if an
    order is left without an outcome; its tag and process are named.
    """
    if not reason.strip():
        raise typer.BadParameter("expected some words", param_hint="--reason")
    if every and not cancel:
        raise typer.BadParameter("expected --cancel with it", param_hint="--all")
    config = config_of(config)
    if cancel and (code := halt_and_cancel(config, target, reason, every=every)) is not None:
        raise typer.Exit(code)
    with _store(config) as store:
        host, account = _target(config, target)
        begun, older = store.halt(host, account, reason=reason, by=user_name())
        typer.echo(printable(f"{begun}. To end it: linewarden unhalt {begun.id} -c {config}"))
        for process in store.processes():
            typer.echo(f"trading: process {process.pid or 'of unknown number'}")
        left = _wait(store, older, timeout)
        is_known = not host or host in store.hosts() or _is_of_a_feed(config, host)
    for each in left:
        state = ", which has ended" if each.process_ended else ""
        complain(f"{each.intent.tag} of process {each.pid}{state} has no outcome: it may be at the venue.")
    if not is_known:
        complain(f"No order has gone to {host}, and no feed of {config} sends any there. Check the name.")
    raise typer.Exit(1 if left or cancel or not is_known else 0)


def unhalt(
    id: Annotated[str, typer.Argument(metavar="ID", help="The id of the halt, as `orders` lists it.")],
    config: Config = None,
) -> None:
    """End a halt."""
    with _store(config_of(config)) as store:
        typer.echo(printable(f"ended: {store.unhalt(id, by=user_name())}"))


# ── the store ───────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _store(config: Path) -> Iterator[StoreOperator]:
    """The store of this config. Errors are printed and end the command with 1."""
    try:
        with closing(StoreOperator(_folder(config))) as store:
            yield store
    except ConfigError as error:
        raise typer.Exit(report(error)) from None
    except (LinewardenError, OSError) as error:
        raise typer.Exit(complain(printable(f"{error}"))) from None
    except sqlite3.Error as error:
        text = f"the order store cannot be read or written ({error}); nothing has changed"
        raise typer.Exit(complain(printable(f"{text}."))) from None


def _folder(config: Path) -> Path:
    """Raises ConfigError."""
    folder = read_settings(config, "trading").trading.dir
    if not folder:
        raise ConfigError([f"{config}: [trading] dir is missing: it names the folder of the order store."])
    return Path(folder)


def _init(config: Path) -> None:
    try:
        folder = _folder(config)
        OrderFile.make(folder)
        typer.echo(f"made: {folder}")
    except ConfigError as error:
        raise typer.Exit(report(error)) from None
    except StoreError as error:
        raise typer.Exit(complain(str(error))) from None


def _resolve(config: Path, tag: str, reason: str, *, absent: bool) -> None:
    if not (tag and absent and reason.strip()):
        raise typer.BadParameter("resolve takes a TAG, --absent and --reason TEXT", param_hint="ACTION")
    with _store(config) as store:
        store.resolve(tag, reason=reason, by=user_name())
        typer.echo(f"resolved: {printable(tag)}")


def _adopt(config: Path) -> None:
    with _store(config) as store:
        adopted = store.adopt(by=user_name())
    for tag in adopted:
        typer.echo(f"adopted: {printable(tag)}")
    if not adopted:
        typer.echo("There is nothing to adopt.")


def _import(config: Path, file: str) -> None:
    if not file:
        raise typer.BadParameter("import takes a FILE, a copy of another orders.db", param_hint="ACTION")
    with _store(config) as store:
        typer.echo(f"imported: {counted(store.import_from(Path(file)), 'order')}")


def _target(config: Path, target: str) -> tuple[str, int | None]:
    """Host and account. Raises ConfigError; LinewardenError for what is no target."""
    try:
        found = halt_target(target, {} if target == ALL or names_host(target) else _hosts(config))
    except ConfigError:
        complain("The feeds cannot be read: nothing is halted. This needs none of them: linewarden halt all")
        raise
    return found.host, found.account


def _is_of_a_feed(config: Path, host: str) -> bool:
    """False also where the feeds cannot be read."""
    with suppress(ConfigError):
        return host in _hosts(config).values()
    return False


def _hosts(config: Path) -> dict[str, str | None]:
    """Of the venue's REST, by feed; None: it takes no orders. Raises ConfigError."""
    apis = {name: feed.build_venue().trading() for name, feed in load(config).feeds.items()}
    return {name: None if api is None else api.host for name, api in apis.items()}


def _wait(store: StoreOperator, older: tuple[OpenIntent, ...], timeout: float) -> list[OpenIntent]:
    """Those that have no outcome after so many seconds, or whose process cannot give one any more."""
    deadline = time.monotonic() + timeout
    tags = {each.intent.tag for each in older}
    while True:
        left = [each for each in store.open_intents() if each.intent.tag in tags and each.outcome is None]
        if all(each.process_ended for each in left) or not time.monotonic() < deadline:
            return left
        time.sleep(POLL)


# ── tables ──────────────────────────────────────────────────────────────────────────────────────


def _list(config: Path, *, is_open: bool, as_json: bool) -> None:
    with _store(config) as store:
        standing = store.halts()
        if is_open:
            left = store.open_intents()
            show(left, _open_table(left), as_json=as_json)
            raise typer.Exit(1 if left else 0)
        rows = store.orders(NEWEST)
        listed = {"halts": standing, "orders": rows}
        show(listed, Group(_halt_table(standing), Text(), _order_table(rows)), as_json=as_json)


def _halt_table(standing: tuple[Halt, ...]) -> RenderableType:
    if not standing:
        return Text("There is no halt.")
    table = plain_table("halt", "target", "since", "by", "reason", unfolded=("halt", "since"))
    for each in standing:
        words = (each.id, each.target, day_and_clock(each.begun_ns), each.by, each.reason)
        table.add_row(*map(printable, words))
    return table


def _order_table(rows: tuple[OrderRow, ...]) -> RenderableType:
    if not rows:
        return Text("There is no order.")
    table = plain_table("begun", "tag", "account", "order", "state", unfolded=("begun", "tag"))
    for each in rows:
        parts = (each.kind, each.side, each.size, each.contract, each.order_id and f"(order {each.order_id})")
        order = " ".join(str(part) for part in parts if part is not None)
        state = "no outcome" if each.state == "open" else each.state
        words = (day_and_clock(each.begun_ns), each.tag, f"{each.host}/{each.account}", order, state)
        table.add_row(*map(printable, words))
    return table


def _open_table(left: tuple[OpenIntent, ...]) -> RenderableType:
    if not left:
        return Text("The outcome of every order is known.")
    table = plain_table("begun", "tag", "account", "process", "why", unfolded=("begun", "tag"))
    for each in left:
        process = f"{each.pid} (ended)" if each.process_ended else str(each.pid)
        why = each.outcome.why if each.outcome else "no outcome was recorded"
        account = f"{each.host}/{each.intent.mutation.account}"
        words = (day_and_clock(each.intent.begun_ns), each.intent.tag, account, process, why)
        table.add_row(*map(printable, words))
    return table
