"""A program on Linewarden as its users write one: it uses the public surface alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import actors
from benchmarks.clients.feeds import Subscription, subscription
from benchmarks.clients.tally import Tally, Wanted, wanted


def books(runtime: actors.Runtime, stream: actors.Stream[Any]) -> dict[str, Any]:
    """What became of everything that came."""
    counters = next(each.counters for each in runtime.status().lines().values() if each.counters.routed)
    told = {name: getattr(counters, name) for name in ("decoded", "unrouted", "quarantined", "duplicates")}
    told |= {name: getattr(stream, name) for name in ("received", "delivered", "dropped", "queued")}
    return told | {"missed": sum(gap.missed or 0 for gap in stream.gaps)}


def with_the_book(runtime: actors.Runtime, stream: actors.Stream[Any]) -> dict[str, Any]:
    """The same, and whether the order book kept up, which has a stream of its own."""
    own = next(each for each in runtime.status().streams if each.id != stream.id)
    note = f"the stream of its order book dropped {own.dropped:,} of {own.received:,} events"
    return books(runtime, stream) | {"note": note}


def one_by_one(stream: actors.Stream[Any], mark: Callable[[Any], Any], saw: Callable[[Any], None]) -> None:
    for event in stream:
        saw(mark(event))


def many(stream: actors.Stream[Any], mark: Callable[[Any], Any], saw: Callable[[Any], None]) -> None:
    while True:
        for event in stream.get_many(1_000):
            saw(mark(event))


READ = {"iteration": one_by_one, "get_many": many}


def inline(runtime: actors.Runtime, wants: Subscription, asked: Wanted) -> None:
    """The thread of the line calls the handler. The tally begins first: an event may come during `on`."""
    mark = wants.mark()
    tally = Tally(wants.last(asked.last), asked.timed, lambda: books(runtime, stream))
    tally.begin()
    stream = runtime.on(
        "bench",
        wants.channel,
        *asked.address["keys"],
        handler=lambda event: tally.saw(mark(event)),
        inline=True,
        wait=10.0,
    )
    threading.Event().wait()  # the tally ends the process


def main() -> None:
    asked = wanted()
    read, terms = READ[asked.options.pop("read", "iteration")], asked.options
    with_book, is_inline = asked.options.pop("book", False), asked.options.pop("inline", False)
    wants = subscription(asked.address)
    with actors.start({"feeds": {"bench": wants.feed}}, wait=10.0) as runtime:
        if is_inline:
            inline(runtime, wants, asked)
        stream = runtime.subscribe("bench", wants.channel, *asked.address["keys"], wait=10.0, **terms)
        for _ in range(wants.passed_over * len(asked.address["keys"])):
            stream.get(timeout=10.0)
        if with_book:  # kept from here on, on a thread of its own
            runtime.book("bench", asked.address["keys"][0], wait=10.0)
        tell = with_the_book if with_book else books
        tally = Tally(wants.last(asked.last), asked.timed, lambda: tell(runtime, stream))
        tally.begin()
        read(stream, wants.mark(), tally.saw)


main()
