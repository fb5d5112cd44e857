"""The other end of each kind of venue, in one shape, for stories that are told of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

import actors
from actors import Runtime, Stream
from actors.simulators import SimulatedAlpaca, SimulatedO2, SimulatedProjectX, SimulatedTplus, Simulator
from actors.simulators.base.client import Peer, text_frame
from actors.simulators.base.server import Message
from tests.support.runtimes import HEARTBEAT, KEY, RESTART, SECRET

VENUES = ("o2", "alpaca", "tplus", "projectx", "pier")
CONTRACT, ASSET = "CON.F.US.EP.Z26", "100"

PIER = """
name = "pier"
about = "a venue that a table describes"
url = "wss://pier.example"
[channels.trades]
about = "trades"
key = "market"
[subscribe]
send = { op = "sub", id = "{id}", args = "{topics}" }
topic = "{key}"
[unsubscribe]
send = { op = "unsub", id = "{id}", args = "{topics}" }
topic = "{key}"
[[events]]
when = { ch = "trades" }
channel = "trades"
key = "m"
[[acks]]
when = { ok = true }
id = "id"
"""


class SimulatedPier(Simulator):
    """The other end of that table: everybody gets every trade."""

    name: ClassVar[str] = "pier"
    path: ClassVar[str] = "/"

    def decode(self, message: Message) -> Any:
        return msgspec.json.decode(message)

    def kind(self, heard: Any) -> str:
        return str(heard["op"])

    def received(self, peer: Peer, message: Message) -> None:
        self.acknowledge(
            peer, [text_frame(msgspec.json.encode({"ok": True, "id": self.decode(message)["id"]}))]
        )

    def trade(self, number: int) -> None:
        self.send_frame(text_frame(msgspec.json.encode({"ch": "trades", "m": "ABC", "n": number})))


class End(Struct, frozen=True):
    """A venue's other end: what a feed of it needs, and how one event is said and known again."""

    simulator: Simulator
    feed: Mapping[str, Any]
    channel: str
    key: str
    line: str  # that of the topic
    say: Callable[[int], object]
    number: Callable[[Any], int]

    @property
    def url(self) -> str:
        return str(self.feed["url"])

    def subscribe(self, desk: Runtime) -> Stream[Any]:
        return desk.subscribe("feed", self.channel, self.key, wait=10.0)


@contextmanager
def end_of(name: str, directory: Path) -> Iterator[End]:
    """The venue of this name, on loopback, where nothing moves by itself."""
    with _ENDS[name](directory) as end:
        yield end


@contextmanager
def desk_at(end: End, *, live: bool = True, **feed: Any) -> Iterator[Runtime]:
    """A runtime with that venue as its one feed, named `feed`; its lines are live when it begins."""
    table: dict[str, Any] = {"ack_timeout": 5.0, "connect_timeout": 5.0, **end.feed, **feed}
    table["restart"] = RESTART | {"slow_initial": 0.05}
    table.setdefault("heartbeat", HEARTBEAT)
    with actors.start({"feeds": {"feed": table}}, wait=10.0 if live else None) as runtime:
        yield runtime


@contextmanager
def _o2(directory: Path) -> Iterator[End]:
    with SimulatedO2(rate=0) as o2:
        market = o2.markets[0]
        yield End(
            o2,
            {"venue": "o2", "url": o2.url},
            "trades",
            market,
            "feed",
            lambda number: o2.trade(market, trade_id=str(number)),
            lambda trade: int(trade.trade_id),
        )


@contextmanager
def _alpaca(directory: Path) -> Iterator[End]:
    with SimulatedAlpaca(rate=0) as alpaca:
        yield End(
            alpaca,
            {"venue": "alpaca", "url": alpaca.url_of("iex"), "key": KEY, "secret": SECRET},
            "quotes",
            "AAPL",
            "feed",
            lambda number: alpaca.quote("AAPL", bp=float(number)),
            lambda quote: int(quote.bid_price),
        )


@contextmanager
def _tplus(directory: Path) -> Iterator[End]:
    with SimulatedTplus(rate=0, market=False) as tplus:
        yield End(
            tplus,
            {"venue": "tplus", "url": tplus.url},
            "ticker",
            ASSET,
            f"feed/ticker-{ASSET}",
            lambda number: tplus.ticker(ASSET, last_price=str(number)),
            lambda ticker: int(ticker.last_price),
        )


@contextmanager
def _projectx(directory: Path) -> Iterator[End]:
    with SimulatedProjectX(rate=0, snapshots=False) as px:
        account = {"user_name": "trader", "api_key": SECRET}
        yield End(
            px,
            {"venue": "projectx", "url": px.url, **account},
            "trades",
            CONTRACT,
            "feed/market",
            lambda number: px.trade(CONTRACT, volume=number),
            lambda trade: int(trade.volume),
        )


@contextmanager
def _pier(directory: Path) -> Iterator[End]:
    table = directory / "pier.toml"
    table.write_text(PIER)
    with SimulatedPier(rate=0) as pier:
        yield End(
            pier,
            {"venue": str(table), "url": pier.url},
            "trades",
            "ABC",
            "feed",
            pier.trade,
            lambda message: int(message.data["n"]),
        )


_ENDS = {"o2": _o2, "alpaca": _alpaca, "tplus": _tplus, "projectx": _projectx, "pier": _pier}
