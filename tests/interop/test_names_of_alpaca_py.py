"""`tests/migrating/alpaca-py.txt` has all that the streaming part of alpaca-py offers.

The names of the thread manager, which is in no package, stand in the list as `manager:…`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from benchmarks.installs import ALPACA_PY
from tests.interop import names
from tests.interop.conftest import Install
from tests.migrating.test_pages import HERE, names_of

STREAMS = ("data/live/websocket", "data/live/stock", "data/live/crypto", "data/live/option", "data/live/news")
TRADING = "trading/stream"
MODELS = {
    "data/models/trades": {"Trade", "TradingStatus", "TradeCancel", "TradeCorrection"},
    "data/models/quotes": {"Quote"},
    "data/models/bars": {"Bar"},
    "data/models/orderbooks": {"Orderbook", "OrderbookQuote"},
    "data/models/news": {"News", "NewsImage"},
    "trading/models": {"TradeUpdate", "Order"},
    "common/models": {"ModelWithID"},
}
ENUMS = {
    "data/enums": {"DataFeed", "CryptoFeed", "OptionsFeed"},
    "trading/enums": {"TradeEvent"},
    "common/enums": {"BaseURL"},
}

# Of these the page has the rule by which a member becomes a text, and not each member.
TEXTS = {
    "AssetClass",
    "OrderClass",
    "OrderSide",
    "OrderStatus",
    "OrderType",
    "PositionIntent",
    "TimeInForce",
}


def parsed(package: Path, module: str) -> ast.Module:
    return ast.parse((package / f"{module}.py").read_text(encoding="utf-8"))


def arguments(tree: ast.Module) -> Iterator[str]:
    """What the constructors take."""
    for each in ast.walk(tree):
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            yield from (f"option:{argument.arg}" for argument in each.args.args if argument.arg != "self")


def channels(tree: ast.Module) -> Iterator[str]:
    for each in ast.walk(tree):
        if isinstance(each, ast.Assign) and [ast.unparse(target) for target in each.targets] == [
            "_CHANNEL_TYPES"
        ]:
            assert isinstance(each.value, ast.Dict)
            yield from (f"channel:{name}" for name in names.texts(each.value.values))


def of_classes(tree: ast.Module, wanted: set[str]) -> Iterator[str]:
    """The classes, their methods, their fields and the values of enumerations."""
    for each in tree.body:
        if isinstance(each, ast.ClassDef) and each.name in wanted:
            yield each.name
            yield from (f"{each.name}.{member}" for member in names.members(each))
            for line in each.body:
                if isinstance(line, ast.Assign):
                    yield from (f"{each.name}.{ast.unparse(target)}" for target in line.targets)


def offered(package: Path) -> Iterator[str]:
    for module in (*STREAMS, TRADING):
        tree = parsed(package, module)
        yield from (name for name in names.defined(tree))
        yield from arguments(tree)
        yield from channels(tree)
    for module, wanted in (MODELS | ENUMS).items():
        yield from of_classes(parsed(package, module), wanted)
    yield from (name for name in names.defined(parsed(package, "trading/enums")) if name in TEXTS)


def is_listed(name: str) -> bool:
    """Of `BaseURL`, the addresses of streams alone: the others are of the REST clients."""
    return not name.startswith("BaseURL.") or "STREAM" in name


def test_the_list_has_all_that_its_streaming_part_offers(sdk_source: Install) -> None:
    package = sdk_source(ALPACA_PY, version="3.11") / "alpaca"
    listed = {name for name in names_of(HERE / "alpaca-py.txt") if not name.startswith("manager:")}
    assert listed == set(filter(is_listed, offered(package)))


def test_a_member_of_an_order_s_enumerations_is_its_name_in_lower_case(sdk_source: Install) -> None:
    """And a text, so that it is equal to what events of Linewarden have."""
    tree = parsed(sdk_source(ALPACA_PY, version="3.11") / "alpaca", "trading/enums")
    kinds = [
        each for each in tree.body if isinstance(each, ast.ClassDef) and each.name in {*TEXTS, "TradeEvent"}
    ]
    assert len(kinds) == len(TEXTS) + 1
    for each in kinds:
        assert [ast.unparse(base) for base in each.bases] == ["str", "Enum"]
        for line in each.body:
            if isinstance(line, ast.Assign):
                assert ast.literal_eval(line.value) == ast.unparse(line.targets[0]).lower()
