"""What the synchronous SDK of old (project-x-py 1.1) got wrong with bars, where it needs a hub or threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal

import pytest

import actors
from actors import BarEvent, Runtime
from actors.simulators.projectx import SimulatedProjectX
from actors.simulators.projectx.payloads import MarketShape
from tests.stories.test_bars import EP, config, until


@pytest.fixture
def px() -> Iterator[SimulatedProjectX]:
    with SimulatedProjectX(rate=0, contracts=(EP,), past=1.0) as simulator:
        yield simulator


@pytest.fixture
def runtime(px: SimulatedProjectX) -> Iterator[Runtime]:
    with actors.start(config(px), wait=10.0) as runtime:
        yield runtime


@pytest.mark.parametrize("shape", ["list", "data_list"])
def test_defect_9_4_3_of_a_message_with_three_trades_all_count(
    runtime: Runtime, px: SimulatedProjectX, shape: MarketShape
) -> None:
    """Of a message with 3, 4 and 5 contracts the second was counted alone."""
    runtime.bars("px", EP, "1day", history=2, wait=20.0)

    def volume() -> Decimal | None:
        forming = runtime.bars("px", EP, "1day")["1day"].forming
        return forming.volume if forming is not None and forming.complete else None

    px.trade(EP)
    until(lambda: volume() is not None)
    before = volume()
    assert before is not None
    px.tell_market("trades", EP, *[px.listings[EP].trade(volume=each) for each in (3, 4, 5)], shape=shape)
    until(lambda: volume() == before + 12)


def test_defect_9_4_4_a_quote_makes_no_bar(runtime: Runtime, px: SimulatedProjectX) -> None:
    """A mid of quotes became high and close of the bar, though nothing was traded."""
    with runtime.subscribe("px", "quotes", EP, wait=10.0) as quotes:
        runtime.bars("px", EP, "1s", "1day", history=3, wait=20.0)
        for price in (Decimal("9000.00"), Decimal("9500.25")):
            px.quote(EP, bestBid=price, bestAsk=price + 1, lastPrice=price)
            while quotes.get(timeout=10.0).best_bid != price:
                pass
        px.trade(EP, Decimal("6800.25"), volume=2)
        until(lambda: any(bar.volume == 2 for bar in runtime.bars("px", EP, "1s")["1s"].finished))
        view = runtime.bars("px", EP, "1s", "1day")
        shown = [*view["1s"].finished, *([view["1day"].forming] if view["1day"].forming else [])]
        assert max(bar.high for bar in shown) < 9000


def test_defect_9_4_5_a_root_takes_the_trades_of_its_product(runtime: Runtime, px: SimulatedProjectX) -> None:
    """For `ES` none of the trades of F.US.EP counted, for it was compared as a text."""
    assert runtime.bars("px", "ES", "1s", history=3, wait=20.0).key == EP
    px.trade(EP, Decimal("6800.25"), volume=7)
    until(lambda: any(bar.volume == 7 for bar in runtime.bars("px", "ES", "1s")["1s"].finished))


def test_defect_9_4_7_a_handler_holds_no_lock_of_the_bars(runtime: Runtime, px: SimulatedProjectX) -> None:
    """Handlers were called with the lock held, and what they asked for waited for it."""
    inside, go = threading.Event(), threading.Event()

    def handler(_: BarEvent) -> None:
        inside.set()
        assert go.wait(30.0)

    runtime.on_bar("px", EP, "1s", handler=handler, history=3)

    def is_inside() -> bool:
        px.trade(EP, Decimal("6800.25"), volume=1)
        return inside.is_set()

    until(is_inside)
    before = len(runtime.bars("px", EP, "1s", wait=20.0)["1s"].finished)

    def goes_on() -> bool:
        px.trade(EP, Decimal("6800.25"), volume=1)
        return len(runtime.bars("px", EP, "1s")["1s"].finished) > before

    until(goes_on)
    go.set()


@pytest.mark.parametrize("frame", ["1day", "1week", "1month"])
def test_defect_9_4_2_long_bars_follow_trades(px: SimulatedProjectX, frame: str) -> None:
    with actors.start(config(px), wait=10.0) as runtime:
        runtime.bars("px", EP, frame, history=2, wait=20.0)
        px.trade(EP, Decimal("7000.25"), volume=9)

        def is_in() -> bool:
            forming = runtime.bars("px", EP, frame)[frame].forming
            return forming is not None and forming.close == Decimal("7000.25")

        until(is_in)
