"""One or several instruments in a few lines: prices, bars, status.

    python examples/migrating/project_x_py/suite_demo.py

Their `TradingSuite.create([...])` is a runtime and views of it, `suite["MNQ"]` is a key of a dict of
yours, and `suite.disconnect()` is the end of the `with` block.
"""

from __future__ import annotations

from project_x_suite import trading_suite


def main() -> None:
    with trading_suite("NQ", "ES", "CL", timeframes=("1min", "5min", "15min")) as suite:
        (account,) = (each for each in suite.orders.accounts().get(timeout=30) if each.id == suite.account_id)
        print(f"connected to {account.name}, {len(suite.instruments)} instruments")
        for name, instrument in suite.instruments.items():  # `in`, len(), keys(), items(): a dict has them
            contract = instrument.contract
            print(f"{name}: {contract.name} at {instrument.price}, tick {contract.tick_size}")
        print("NQ in the suite:", "NQ" in suite.instruments)
        for timeframe, frame in suite["NQ"].bars.frames.items():
            print(f"NQ {timeframe}: {len(frame.finished)} bars")
        print(suite.runtime.status().text)


if __name__ == "__main__":
    main()
