"""Simulated venues on real loopback sockets, for trials and tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from actors.errors import ConfigError
from actors.lazy import imported
from actors.simulators.alpaca import SimulatedAlpaca
from actors.simulators.base.faults import Fault, nearest, read
from actors.simulators.base.server import Simulator
from actors.simulators.faulty_proxy import FaultyProxy
from actors.simulators.o2.simulator import SimulatedO2
from actors.simulators.projectx import SimulatedProjectX
from actors.simulators.tplus import SimulatedTplus
from actors.venues import VENUES

__all__ = [
    "SIMULATORS",
    "Fault",
    "FaultyProxy",
    "SimulatedAlpaca",
    "SimulatedO2",
    "SimulatedProjectX",
    "SimulatedTplus",
    "Simulator",
    "embed",
    "from_url",
    "start",
]


class _BuiltIn(Mapping[str, type[Simulator]]):
    """By the name of the venue, whose class says where its simulator is."""

    def __getitem__(self, name: str) -> type[Simulator]:
        if place := VENUES[name].simulator:
            return cast("type[Simulator]", imported(place))
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, venue in VENUES.items() if venue.simulator)

    def __len__(self) -> int:
        return sum(1 for _ in self)


SIMULATORS: Mapping[str, type[Simulator]] = _BuiltIn()


def start(name: str, port: int = 0, faults: Iterable[str] = (), **options: Any) -> Simulator:
    """Returns a simulator that listens; its caller stops it with `stop()`.

    Raises:
        ConfigError: there is no such simulator, or no such fault.
        OSError: the port is taken.
    """
    kind = _kind(name, f"simulator {name!r}")
    simulator = kind(port, faults=faults, **options)
    simulator.start()
    return simulator


def embed(url: str, others: Mapping[str, str] = {}) -> Simulator:
    """Starts what a URL like `sim://o2?rate=20&fault=drop+every%3D5` asks for.

    `others` are simulators that are not built in: name → `module:Class`.

    Raises:
        ConfigError: each thing in the URL that is not understood.
        OSError: the port is taken.
    """
    simulator = from_url(url, others)
    simulator.start()
    return simulator


def from_url(url: str, others: Mapping[str, str] = {}) -> Simulator:
    """What `embed` starts, not started. The query's keys are the arguments of the simulator's class;
    `fault` may be given many times.

    Raises:
        ConfigError: each thing in the URL that is not understood.
    """
    where = f"url {url!r}"
    try:
        parts = urlsplit(url)
        port = parts.port or 0
    except ValueError as error:
        raise ConfigError([f"{where}: {error}."]) from None
    kind = _kind(parts.hostname or "", where, others)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    faults = [value for key, value in pairs if key == "fault"]
    pairs = [("port", str(port))] * bool(port) + [pair for pair in pairs if pair[0] != "fault"]
    options = read(where, kind.__init__, pairs)
    try:
        return kind(faults=faults, **options)
    except ValueError as error:
        raise ConfigError([f"{where}: {error}."]) from None


def _kind(name: str, where: str, others: Mapping[str, str] = {}) -> type[Simulator]:
    if place := others.get(name):
        try:
            return cast("type[Simulator]", imported(place))
        except (ImportError, AttributeError, ValueError) as error:
            cause = f"{place!r} cannot be imported ({type(error).__name__})"
            raise ConfigError([f"{where}: the simulator {cause}."]) from None
    if name not in SIMULATORS:
        raise ConfigError([f"{where}: there is no simulator {name!r}{nearest(name, SIMULATORS)}"])
    return SIMULATORS[name]
