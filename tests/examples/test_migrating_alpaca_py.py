"""The ports of alpaca-py's examples run as they stand, and what they print is true."""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.examples.running import EXAMPLES, ROOT, run

FOLDER = "migrating/alpaca_py"
CONTRACT = "AAPL281215C00200000"

Ported = Callable[..., list[str]]


@pytest.fixture(params=["here", pytest.param("process", marks=pytest.mark.long)])
def ported(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Ported:
    """Runs a port and returns the lines that it prints. In a process of its own that takes a second."""

    def run_here(name: str, *arguments: str) -> list[str]:
        script = str(EXAMPLES / FOLDER / f"{name}.py")
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        runpy.run_path(script, run_name="__main__")
        return capsys.readouterr().out.splitlines()

    def run_process(name: str, *arguments: str) -> list[str]:
        return run(f"{FOLDER}/{name}.py", *arguments)

    return run_here if request.param == "here" else run_process


def test_every_port_is_run_here_and_named_on_the_page() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    page = (ROOT / "docs" / "migrating" / "alpaca-py.md").read_text(encoding="utf-8")
    ports = [script.stem for script in (EXAMPLES / FOLDER).glob("*.py")]
    assert [port for port in ports if f'ported("{port}"' not in here] == []
    assert [port for port in ports if f"{FOLDER}/{port}.py" not in page] == []


def test_quotes(ported: Ported) -> None:
    told = ported("quotes")
    assert len(told) == 5
    assert all(re.fullmatch(r"SPY [\d.]+ [\d.]+", each) for each in told)


def test_quotes_of_a_config(ported: Ported, tmp_path: Path) -> None:
    config = tmp_path / "stocks.toml"
    config.write_text(
        '[feeds.stocks]\nvenue = "alpaca"\nurl = "sim://alpaca?rate=50"\nkey = "K"\nsecret = "S"\n'
    )
    assert len(ported("quotes", str(config))) == 5


def test_stock_stream(ported: Ported) -> None:
    *quotes, trade, last = ported("stock_stream")
    assert all(re.fullmatch(r"Quote SPY [\d.]+", each) for each in quotes)
    assert re.fullmatch(r"Trade SPY [\d.]+", trade)
    assert last == "no more quotes"


def test_crypto_stream(ported: Ported) -> None:
    trade, book = ported("crypto_stream")
    assert re.fullmatch(r"trade BTC/USD [\d.]+ [\d.]+", trade)
    assert re.fullmatch(r"book \(Decimal.*\) [\d.]+", book)


def test_option_stream(ported: Ported) -> None:
    *quotes, trade = ported("option_stream")
    assert set(quotes) <= {f"Quote {CONTRACT}"}
    assert trade == f"Trade {CONTRACT}"


def test_several_streams(ported: Ported) -> None:
    assert sorted(ported("several_streams")) == ["crypto Quote", "news News", "options Quote", "stocks Quote"]


def test_trade_updates(ported: Ported) -> None:
    assert ported("trade_updates") == [
        "new SPY buy None None",
        "partial_fill SPY buy 1 500.10",
        "fill SPY buy 2 500.20",
    ]


def test_positions_of_fills(ported: Ported) -> None:
    before, interrupted, after = ported("positions_of_fills")
    assert before == "position of SPY: 5"
    assert interrupted.startswith("account was interrupted: ")
    assert after == "position of SPY: 8"


def test_thread_manager(ported: Ported) -> None:
    streamed, put, asked, *changes, status, stopped = ported("thread_manager")
    assert re.fullmatch(r"AAPL: [\d.]+ / [\d.]+, last ([\d.]+|None), from stream", streamed)
    assert put == "TSLA: None / None, last 250.10, from vendor"
    assert re.fullmatch(r"NVDA: [\d.]+ / [\d.]+, last [\d.]+, from rest", asked)
    assert changes == ["feed alpaca wants 1 more and 2 fewer topics; sockets stay open"]
    assert status == "alpaca live no error"
    assert stopped == "providers: []"
