"""Simulated venues on real loopback sockets, for trials and tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from actors.errors import ConfigError
from actors.lazy import imported
from actors.simulators.alpaca import SimulatedAlpaca
from actors.simulators.base.client import HttpReply, Peer, Request, binary_frame, json_frame, text_frame
from actors.simulators.base.faults import Fault, fault, parse, waiting
from actors.simulators.base.parameters import nearest, read
from actors.simulators.base.server import Simulator
from actors.simulators.base.settings import SimulatorSettings
from actors.simulators.faulty_proxy import FaultyProxy
from actors.simulators.o2 import SimulatedO2
from actors.simulators.projectx import SimulatedProjectX
from actors.simulators.table import SimulatedTable
from actors.simulators.tplus import SimulatedTplus
from actors.venues import VENUES

__all__ = [
    "SIMULATORS",
    "Fault",
    "FaultyProxy",
    "HttpReply",
    "Peer",
    "Request",
    "SimulatedAlpaca",
    "SimulatedO2",
    "SimulatedProjectX",
    "SimulatedTable",
    "SimulatedTplus",
    "Simulator",
    "SimulatorSettings",
    "binary_frame",
    "embed",
    "fault",
    "from_url",
    "json_frame",
    "start",
    "text_frame",
    "waiting",
]


# By the name of the venue, whose class says where its simulator is; `table` is for venues of a table.
_PLACES = {name: venue.simulator for name, venue in VENUES.items() if venue.simulator}
_PLACES["table"] = "actors.simulators.table:SimulatedTable"
SIMULATORS: Mapping[str, type[Simulator]] = {name: imported(at) for name, at in sorted(_PLACES.items())}


def start(name: str, port: int = 0, faults: Iterable[str] = (), **options: Any) -> Simulator:
    """A simulator that listens already; its caller must stop() it. `options` are its settings.

    Raises:
        ConfigError: there is no such simulator, setting or fault, or a setting of another type.
        OSError: the port is taken.
    """
    where = f"simulator {name!r}"
    kind = _kind(name, where)
    return _started(where, made(where, kind, faults, {"port": port, **options}.items(), texts=False))


def embed(
    url: str, others: Mapping[str, str] = {}, made: Callable[[Simulator], object] = lambda _: None
) -> Simulator:
    """Starts what a URL like `sim://o2?rate=20&fault=drop+every%3D5` asks for.

    `others` are simulators that are not built in: name → `module:Class`. `made` is called with the simulator
    before it starts, so that it can be stopped if an exception comes between.

    Raises:
        ConfigError: each thing in the URL that is not understood.
        OSError: the port is taken.
    """
    simulator = from_url(url, others)
    made(simulator)
    return _started(f"url {url!r}", simulator)


def from_url(url: str, others: Mapping[str, str] = {}) -> Simulator:
    """The simulator that `embed` starts, not started. The query's keys are the simulator's settings;
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
    return made(where, kind, faults, pairs)


def made(
    where: str,
    kind: type[Simulator],
    faults: Iterable[str],
    settings: Iterable[tuple[str, Any]],
    *,
    texts: bool = True,
) -> Simulator:
    """A simulator with these settings, not started; `texts`: as `read` takes them. `where` is for people.

    Raises:
        ConfigError: each setting and each fault that is not understood.
    """
    fields: dict[str, Any] = {}
    parsed: list[Fault] = []
    problems: list[str] = []
    try:
        fields = read(where, kind.Settings, settings, texts=texts)
    except ConfigError as error:
        problems += error.problems
    for each in faults:
        try:
            parsed.append(parse(each, kind))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    try:
        return kind(faults=parsed, **fields)
    except ValueError as error:
        raise ConfigError([f"{where}: {error}."]) from None


def _started(where: str, simulator: Simulator) -> Simulator:
    try:
        simulator.start()
    except ValueError as error:  # of a fault that is played at once
        raise ConfigError([f"{where}: {error}."]) from None
    return simulator


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
