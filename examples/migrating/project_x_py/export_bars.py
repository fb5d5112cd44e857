"""Bars to CSV and JSON as they finish, and a picture of them.

    python examples/migrating/project_x_py/export_bars.py

The files go to a folder that is removed at the end. For a chart, give `actors.records(...)` to plotly
or another library; here the picture is of text.
"""

from __future__ import annotations

import csv
import json
import tempfile
import threading
from pathlib import Path
from queue import SimpleQueue

from project_x_suite import WAIT, TradingSuite, trading_suite

import actors


class CsvFile:
    """Writes each bar that is told. The runtime calls it on one thread: no lock is needed."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file)
        self._rows.writerow(("key", "kind", "start", "open", "high", "low", "close", "volume"))
        self.written = threading.Semaphore(0)

    def __call__(self, event: actors.BarEvent) -> None:
        (row,) = actors.records([event.bar])
        prices = (row[name] for name in ("open", "high", "low", "close", "volume"))
        self._rows.writerow((event.key, event.kind, row["start"].isoformat(), *prices))
        self._file.flush()
        self.written.release()

    def close(self) -> None:
        self._file.close()


def snapshot(suite: TradingSuite, path: Path) -> None:
    """The last bars of all instruments as JSON."""
    last = {name: actors.records(one.bars["1min"].finished[-5:]) for name, one in suite.instruments.items()}
    path.write_text(json.dumps(last, default=str), encoding="utf-8")


def picture(bars: tuple[actors.Bar, ...]) -> str:
    low, high = min(bar.low for bar in bars), max(bar.high for bar in bars)
    signs = "▁▂▃▄▅▆▇█"
    return "".join(signs[int((bar.close - low) / (high - low or 1) * 7)] for bar in bars)


def main() -> None:
    with tempfile.TemporaryDirectory() as home, trading_suite("NQ", "ES") as suite:
        path = Path(home) / "bars.csv"
        writing, finished = CsvFile(path), SimpleQueue[actors.BarEvent]()
        handlers = [
            suite.runtime.on_bar("projectx", suite["NQ"].contract, "1s", handler=each)
            for each in (writing, finished.put)
        ]
        finished.get(timeout=WAIT)
        writing.written.acquire(timeout=WAIT)
        for each in handlers:
            each.close()
        snapshot(suite, Path(home) / "bars.json")
        lines = path.read_text(encoding="utf-8").splitlines()
        print(f"CSV: {lines[0]}; has rows: {len(lines) > 1}")
        print("JSON:", list(json.loads((Path(home) / "bars.json").read_text(encoding="utf-8"))))
        print(picture(suite["NQ"].bars["5min"].finished[-48:]))
        for each in handlers:
            each.thread.join(WAIT)
        writing.close()


if __name__ == "__main__":
    main()
