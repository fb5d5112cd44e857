"""The list of o2-sdk's names is complete: what it exports, what its clients do, what its streams bring."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.installs import O2_SDK
from tests.interop.names import defined, enumerated, members, texts
from tests.migrating.test_pages import HERE, names_of

# Files of which everything counts. Of the others: what the package exports.
CLIENTS = (
    "api",
    "bridge/client",
    "ccxt/exchange",
    "client",
    "config",
    "crypto",
    "errors",
    "nonce",
    "websocket",
)
# Data that a program reads from a stream, or that an answer of its market data has.
DATA = frozenset(
    {
        "Balance",
        "BalanceUpdate",
        "Bar",
        "DepthBook",
        "DepthChange",
        "DepthChanges",
        "DepthLevel",
        "DepthSnapshot",
        "DepthUpdate",
        "Market",
        "MarketAsset",
        "NonceUpdate",
        "Order",
        "OrderBookBalance",
        "OrderUpdate",
        "Trade",
        "TradeUpdate",
    }
)


def test_every_name_of_o2_sdk_is_listed(sdk_source: Callable[..., Path]) -> None:
    package = sdk_source(O2_SDK, version="3.11") / "o2_sdk"
    assert names_of(HERE / "o2-sdk.txt") == sorted(names_in(package))


def names_in(package: Path) -> set[str]:
    parsed = {
        path: ast.parse((package / f"{path}.py").read_text()) for path in ("__init__", "models", *CLIENTS)
    }
    names = set(exported(parsed["__init__"]))
    names |= {name for path in CLIENTS for name in defined(parsed[path])}
    names |= {name for name in defined(parsed["models"]) if name.partition(".")[0] in DATA}
    names |= {f"event:{state}" for state in states(parsed["websocket"])}
    names |= {name for path in ("config", "models", "websocket") for name in enumerated(parsed[path])}
    return names | {f"option:{name}" for path in ("client", "websocket") for name in options(parsed[path])}


def exported(tree: ast.Module) -> Iterator[str]:
    for each in tree.body:
        if isinstance(each, ast.Assign) and isinstance(each.value, ast.List):
            yield from texts(each.value.elts)


def classes(tree: ast.Module) -> Iterator[ast.ClassDef]:
    return (each for each in tree.body if isinstance(each, ast.ClassDef))


def states(tree: ast.Module) -> Iterator[str]:
    """The values of the enum of what the lifecycle stream tells."""
    for each in classes(tree):
        if each.name == "ConnectionState":
            yield from texts(line.value for line in each.body if isinstance(line, ast.Assign))


def options(tree: ast.Module) -> Iterator[str]:
    """The arguments of the clients and of their streams."""
    for owner in classes(tree):
        for each in owner.body if owner.name in {"O2Client", "O2WebSocket"} else ():
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and is_of_streams(each.name):
                yield from (argument.arg for argument in each.args.args[1:])


def is_of_streams(name: str) -> bool:
    return name == "__init__" or name.startswith("stream_")


def test_the_data_that_counts_is_there(sdk_source: Callable[..., Path]) -> None:
    tree = ast.parse((sdk_source(O2_SDK, version="3.11") / "o2_sdk" / "models.py").read_text())
    found = {each.name: list(members(each)) for each in classes(tree)}
    assert found.keys() >= DATA
    assert all(found[name] for name in DATA)
