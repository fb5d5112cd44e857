"""Sells a stock when its price falls to a stop, but never on data that may be old.

    python examples/stop_loss.py
    python examples/stop_loss.py CONFIG SYMBOL

Without arguments it reads a market simulated inside this process, whose connection is cut, and which is
halted while the price falls below the stop. With them it reads the feeds `stocks` and `account` of a config
file. It ends when it has sold. Linewarden places no orders: the call to the broker belongs into `sell`.
"""

import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import actors
from actors.events import Marker
from actors.venues import alpaca

KEYS = {"venue": "alpaca", "key": "any", "secret": "will do"}
FAULTS = "fault=drop+after%3D20&fault=halt+symbol%3DAAPL+after%3D70"  # messages
SIMULATED: Mapping[str, Any] = {
    "feeds": {
        "stocks": {**KEYS, "url": f"sim://alpaca?rate=50&seed=3&{FAULTS}"},
        "account": {**KEYS, "url": "sim://alpaca", "stream": "account"},
    },
}
SYMBOL = "AAPL"
MAY_FALL = Decimal("0.0005")  # of the highest price
MAX_AGE = 2.0  # seconds
WAIT = 10.0  # seconds


class StopLoss:
    """A position in one stock, and the stop that follows its price upwards."""

    def __init__(self, runtime: actors.Runtime, symbol: str) -> None:
        self.runtime = runtime
        self.halts = runtime.subscribe("stocks", alpaca.STATUSES, symbol, wait=WAIT)
        self.trades = runtime.subscribe("stocks", alpaca.TRADES, symbol, wait=WAIT)
        self.quotes = runtime.subscribe("stocks", alpaca.QUOTES, symbol, wait=WAIT)
        self.orders = runtime.subscribe("account", alpaca.TRADE_UPDATES, wait=WAIT)
        self.price = self.highest = Decimal(0)
        self.refused = ""
        self.sold = False

    def run(self) -> None:
        """Read until the position is sold."""
        streams = (self.halts, self.trades, self.quotes, self.orders)
        items = self.runtime.merge(*streams, markers=True, timeout=MAX_AGE)
        while not self.sold:
            try:
                self.handle(next(items))
            except actors.Timeout:
                print(f"-- nothing for {MAX_AGE} s")

    def handle(self, item: actors.Received[Any] | actors.Marked) -> None:
        match item:
            case actors.Received(event=alpaca.Trade(price=price)):
                self.price, self.highest = price, max(price, self.highest)
            case actors.Received(event=alpaca.TradeUpdate(event=event, order=order)):
                print(f"order to {order.side} {order.symbol}: {event}")
            case actors.Marked(stream=stream, marker=marker):
                print(f"-- {stream.channel}: {words_about(marker)}")
        self.decide()

    def decide(self) -> None:
        if self.sold or not 0 < self.price <= self.highest * (1 - MAY_FALL):
            return
        try:
            self.runtime.require(self.trades, self.quotes, self.orders, max_age=MAX_AGE, max_queue=0)
        except actors.Blind as blind:
            self.refuse(blind)
        else:
            self.sold = True
            self.sell()

    def refuse(self, blind: actors.Blind) -> None:
        why = f"not at {self.price}: {blind.reasons[0]}"
        if why != self.refused:
            print(why)
        self.refused = why

    def sell(self) -> None:
        print(f"sell at {self.price}, the highest was {self.highest}")


def words_about(marker: Marker) -> str:
    match marker:
        case actors.Lifecycle(state=state, reason=reason):
            return f"the line is {state}" + (f": {reason}" if reason else "")
        case actors.Gap(reason=reason):
            return f"events are missing ({reason})"  # orders: read those that are open over REST now
        case actors.VenueState(state=state, text=text):
            return f"the market is {state}: {text}"
    return str(marker)


if __name__ == "__main__":
    if len(sys.argv) not in {1, 3}:
        sys.exit(__doc__)
    config, symbol = sys.argv[1:] or (SIMULATED, SYMBOL)
    with actors.start(config, wait=WAIT) as runtime:
        StopLoss(runtime, symbol).run()
