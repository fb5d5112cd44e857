"""A program on Linewarden as its users write one: it uses the public surface alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import actors
from benchmarks.clients.feeds import subscription
from benchmarks.clients.tally import Tally, wanted


def books(runtime: actors.Runtime, stream: actors.Stream[Any]) -> dict[str, Any]:
    """What became of everything that came."""
    counters = next(each.counters for each in runtime.status().lines().values() if each.counters.routed)
    told = {name: getattr(counters, name) for name in ("decoded", "unrouted", "quarantined", "duplicates")}
    told |= {name: getattr(stream, name) for name in ("received", "delivered", "dropped", "queued")}
    return told | {"missed": sum(gap.missed or 0 for gap in stream.gaps)}


def one_by_one(stream: actors.Stream[Any], mark: Callable[[Any], Any], saw: Callable[[Any], None]) -> None:
    for event in stream:
        saw(mark(event))


def many(stream: actors.Stream[Any], mark: Callable[[Any], Any], saw: Callable[[Any], None]) -> None:
    while True:
        for event in stream.get_many(1_000):
            saw(mark(event))


READ = {"iteration": one_by_one, "get_many": many}


def main() -> None:
    asked = wanted()
    read, terms = READ[asked.options.pop("read", "iteration")], asked.options
    wants = subscription(asked.address)
    with actors.start({"feeds": {"bench": wants.feed}}, wait=10.0) as runtime:
        stream = runtime.subscribe("bench", wants.channel, *asked.address["keys"], wait=10.0, **terms)
        for _ in range(wants.passed_over * len(asked.address["keys"])):
            stream.get(timeout=10.0)
        tally = Tally(wants.last(asked.last), asked.timed, lambda: books(runtime, stream))
        tally.begin()
        read(stream, wants.mark(), tally.saw)


main()
