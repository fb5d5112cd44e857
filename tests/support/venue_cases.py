"""The other end of each kind of venue, in one shape, for stories that are told of all of them.

Each venue is described in `tests/venues/NAME/cases.py`: a folder with that file is in all of these stories.
It has `end`, and what else of the names below suits it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from msgspec import Struct

import actors
from actors import Runtime, Stream
from actors.simulators import Simulator
from tests.support.runtimes import HEARTBEAT, RESTART

FOLDER = Path(__file__).parents[1] / "venues"
VENUES = tuple(sorted(path.parent.name for path in FOLDER.glob("*/cases.py")))


class End(Struct, frozen=True):
    """A venue's other end: what a feed of it needs, and how one event is said and known again."""

    simulator: Simulator
    feed: Mapping[str, Any]
    channel: str
    key: str
    line: str  # that of the topic
    say: Callable[[int], object]
    number: Callable[[Any], int]
    record_end: bytes = b""  # of each message

    @property
    def url(self) -> str:
        return str(self.feed["url"])

    def subscribe(self, runtime: Runtime) -> Stream[Any]:
        return runtime.subscribe("feed", self.channel, self.key, wait=10.0)


class Outages(Struct, frozen=True):
    """For the outage grid, `OUTAGES`: a topic, how to make the venue say something, and where newcomers can
    get stuck."""

    simulator: Callable[[], Simulator]
    keys: dict[str, Any]  # of the feed's table
    topic: tuple[str, ...]
    say: Callable[[Any], object]
    places: dict[str, str]  # of the front, by what people call it
    url: Callable[[Any], str] = lambda venue: str(venue.url)
    forget: Callable[[Any], object] = id  # what was kept of a login


class Soaked(Struct, frozen=True):
    """For the soak, `SOAKED`: of a feed on `sim://NAME`."""

    topics: Callable[[Any], tuple[str, ...]]  # a channel and keys, by the simulator
    keys: Mapping[str, str] = {}  # of the feed's table


@contextmanager
def end_of(name: str, directory: Path) -> Iterator[End]:
    """The venue of this name, on loopback, where nothing moves by itself."""
    with _cases(name).end(directory) as end:
        yield end


def by_venue(what: str) -> dict[str, Any]:
    """What the venues have under this name, by venue."""
    every = {name: getattr(_cases(name), what, None) for name in VENUES}
    return {name: each for name, each in every.items() if each is not None}


def _cases(name: str) -> Any:
    return import_module(f"tests.venues.{name}.cases")


@contextmanager
def runtime_at(end: End, *, live: bool = True, **feed: Any) -> Iterator[Runtime]:
    """A runtime with that venue as its one feed, named `feed`; its lines are live when it begins."""
    table: dict[str, Any] = {"ack_timeout": 5.0, "connect_timeout": 5.0, **end.feed, **feed}
    table["restart"] = RESTART | {"slow_initial": 0.05}
    table.setdefault("heartbeat", HEARTBEAT)
    with actors.start({"feeds": {"feed": table}}, wait=10.0 if live else None) as runtime:
        yield runtime
