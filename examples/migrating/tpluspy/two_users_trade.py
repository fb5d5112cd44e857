"""Follows the fills of two accounts, as tpluspy's two_users_trade.py reads them after its orders.

    python examples/migrating/tpluspy/two_users_trade.py
    python examples/migrating/tpluspy/two_users_trade.py CONFIG

Without arguments both accounts are simulated, and act by themselves. With a config file it follows its feeds
`alice` and `bob`. An account is a feed, with a login of its own. Orders are placed with tpluspy.
"""

import sys
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import actors
from actors.venues import tplus

SIMULATED: Mapping[str, Any] = {
    "feeds": {
        "alice": {"venue": "tplus", "url": "sim://tplus?rate=50", "private_key": "0a" * 32},
        "bob": {"venue": "tplus", "url": "sim://tplus?rate=50&seed=1", "private_key": "0b" * 32},
    },
}
WAIT = 30.0  # seconds
ENOUGH = 3  # final fills of each


def follow(config: str | Mapping[str, Any]) -> None:
    signed: dict[str, Decimal] = {"alice": Decimal(), "bob": Decimal()}
    final: Counter[str] = Counter()
    with actors.start(config, wait=WAIT) as runtime:
        streams = [runtime.subscribe(feed, tplus.USER_TRADES, wait=WAIT) for feed in signed]
        for received in runtime.merge(*streams, timeout=WAIT):
            fill, feed = received.event, received.topic.feed
            if not isinstance(fill, tplus.UserTrade):
                continue  # a kind of event that tplus has added
            # A fill comes as Pending, and again as Confirmed or Rollbacked. Only the second one counts.
            print(f"{feed}: {fill.trade_id} {fill.status}")
            if fill.status == "Confirmed":
                signed[feed] += fill.quantity if fill.is_buyer else -fill.quantity
                final[feed] += 1
            if min(final[each] for each in signed) >= ENOUGH:
                break
    for feed, quantity in signed.items():
        print(f"{feed}: {final[feed]} fills, {quantity:+} in all")


if __name__ == "__main__":
    if len(sys.argv) not in {1, 2}:
        sys.exit(__doc__)
    follow(*(sys.argv[1:] or (SIMULATED,)))
