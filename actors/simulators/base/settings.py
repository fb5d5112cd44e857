"""What a simulator can be told: one Struct per venue, and what they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Annotated, Any, Concatenate, Literal, ParamSpec, TypeVar

from msgspec import Struct

from actors.simulators.base.faults import Fault

Compression = Literal["none", "deflate"]

P = ParamSpec("P")
S = TypeVar("S", bound="SimulatorSettings")


class SimulatorSettings(Struct, kw_only=True):
    """The settings of every simulator.

    Each one that a text can give is a key of `sim://` URLs and an option of `linewarden sim`. A test may
    change them while the simulator runs.

    Raises:
        ValueError: `rate` is below 0, or `port` is none.
    """

    port: Annotated[int, "on loopback; 0: a free one, the same after stop() and start()"] = 0
    faults: Annotated[Iterable[str | Fault], 'armed at the first start, such as `"drop every=5"`'] = ()
    rate: Annotated[float, "market steps per second; 0: it moves only when a method is called"] = 10.0
    seed: Annotated[int, "the same seed makes the same market"] = 0
    market: Annotated[bool, "false: books are empty and nothing moves, except by methods"] = True
    inactivity: Annotated[float, "seconds without a message until a client is closed; 0: never"] = 0.0
    pings_count: Annotated[bool, "whether protocol pings are a sign of life too"] = True
    backlog: Annotated[int, "bytes that may wait for a slow reader until it is cut off"] = 1 << 20
    send_buffer: Annotated[int, "bytes that the kernel may hold for a connection; 0: its default"] = 0
    compression: Annotated[Compression, "deflate: for clients that offer permessage-deflate"] = "none"
    history: Annotated[int, "messages that `heard` keeps, and `requests`; older ones are forgotten"] = 10_000

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"port is 0 to 65535, not {self.port}")
        if not self.rate >= 0:
            raise ValueError(f"rate is steps per second, 0 or more, not {self.rate!r}")


def given(
    settings: Callable[P, S],
) -> Callable[[Callable[[Any, S], None]], Callable[Concatenate[Any, P], None]]:
    """Makes a constructor that takes a Struct take the Struct's fields: `SimulatedO2(rate=0)`.

    A subclass that inherits the constructor and names a Struct of its own in `Settings` is given that one.
    """

    def own(simulator: Any) -> Callable[P, S]:
        kind: Any = type(simulator).Settings
        return kind if isinstance(settings, type) and issubclass(kind, settings) else settings

    def decorate(init: Callable[[Any, S], None]) -> Callable[Concatenate[Any, P], None]:
        @wraps(init)
        def construct(self: Any, /, *args: P.args, **fields: P.kwargs) -> None:
            init(self, own(self)(*args, **fields))

        return construct

    return decorate
