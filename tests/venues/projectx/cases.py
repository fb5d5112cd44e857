"""ProjectX in the stories that are told of all venues."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actors.secret import Secret
from actors.simulators import SimulatedProjectX
from tests.support.runtimes import SECRET
from tests.support.venue_cases import End, Outages, Soaked

CONTRACT, ACCOUNT = "CON.F.US.EP.Z26", "4242"
RECORD_END = b"\x1e"  # of a SignalR hub

OWN = {"user_name": "trader", "api_key": Secret(SECRET)}
OUTAGES = Outages(
    lambda: SimulatedProjectX(rate=0, token_life=1e9),
    {
        "user_name": "trader",
        "api_key": "canary-9c1f70aa",
        "subscribe": [{"channel": "orders", "keys": [ACCOUNT]}],
    },
    ("trades", CONTRACT),
    lambda venue: venue.number_trades(CONTRACT, 1),
    {"during auth": "POST", "half a hub's handshake": "frame 1", "mid-replay": "frame 2"},
    forget=lambda venue: venue.expire_tokens(),
)
SOAKED = Soaked(lambda venue: ("quotes", *venue.contracts[:2]), {"user_name": "demo", "api_key": "demo"})


@contextmanager
def end(directory: Path) -> Iterator[End]:
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
            RECORD_END,
        )
