"""What project-x-py's statistics are for: is everything well, and numbers for other programs.

    python examples/migrating/project_x_py/status_export.py

`runtime.status()` is one value with the state of everything: a look waits for nothing. `linewarden run`
shows the same as a table, as JSON over HTTP, and as an exit code.
"""

from __future__ import annotations

import csv
import io
from collections import Counter

import msgspec
from project_x_suite import WAIT, TradingSuite, trading_suite

import actors
from actors.venues import projectx


class Counts:
    """A metrics object, for `actors.start(…, metrics=Counts())`: here for a text in Prometheus' form."""

    def __init__(self) -> None:
        self.values = Counter[str]()

    def increment(self, name: str, value: int = 1, /, **labels: str) -> None:
        self.values[name] += value

    def gauge(self, name: str, value: float, /, **labels: str) -> None: ...

    def observe(self, name: str, value: float, /, **labels: str) -> None: ...


def health(status: actors.Status) -> None:
    """Their `HealthMonitor`: a score of each line with its inputs, and what cannot be trusted."""
    for name, line in status.lines().items():
        print(f"{name}: {line.state}, health {line.health.score}, restarts {line.counters.restarts}")
    print("not fresh:", len(status.untrusted), "halts:", len(status.halts))


def exports(status: actors.Status, counts: Counts) -> None:
    """Their `StatsExporter`: JSON, CSV, and Prometheus' text. Secrets are in none of it."""
    print(f"JSON: {len(msgspec.json.encode(status)) > 1000}")
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(("feed", "channel", "received", "delivered", "dropped", "conflated", "queued"))
    for each in status.streams:
        rows.writerow(
            (
                each.feed,
                each.channel,
                each.received,
                each.delivered,
                each.dropped,
                each.conflated,
                each.queued,
            )
        )
    print(f"CSV: {table.getvalue().splitlines()[0]}")
    print("\n".join(f"{name} {value}" for name, value in sorted(counts.values.items()) if "connects" in name))


def adapt(suite: TradingSuite) -> None:
    """Their strategy that trades less at a low score: here the gate before an order."""
    try:
        suite.runtime.require(
            ("projectx", projectx.QUOTES, suite["NQ"].contract.id), max_age=5.0, max_lag=1.0
        )
        print("may act")
    except actors.Blind as blind:
        print("not now:", blind)


def main() -> None:
    counts = Counts()
    with trading_suite("NQ", metrics=counts) as suite:
        suite.runtime.latest("projectx", suite["NQ"].contract.id, max_age=WAIT)
        status = suite.runtime.status()
        health(status)
        exports(status, counts)
        adapt(suite)


if __name__ == "__main__":
    main()
