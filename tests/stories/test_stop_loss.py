"""The example of a stop-loss over faults of its venue, in virtual time: it never sells on what may be old.

The simulators know what they have sent, and when. Each sale is compared with that at its very moment.
"""

from __future__ import annotations

import importlib.util
import math
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors import Blind, Runtime, Timeout
from actors.calls import ask
from actors.messages import BeatDue, ReadMail
from actors.rules.line import LineState
from actors.settings import load
from actors.simulators import SimulatedAlpaca
from actors.supervision.state import LineView
from actors.timers import Entry
from tests.support.runtimes import KEY, SECRET, feed_at, until
from tests.support.virtual_time import VirtualTimers

SYMBOL = "AAPL"
PING = 5.0  # seconds; the pong's timeout, too
SIGN_OF_LIFE = 2 * PING  # seconds without one after which an account channel is not fresh
BEAT = {"ping_interval": PING, "pong_timeout": PING}
RESTART = {"initial": 1.0, "maximum": 4.0, "slow_initial": 1.0, "stable_after": 1.0}
HIGH, LOW = 100.0, 99.0  # prices above and below the stop
MOVING = {"connecting", "logging_in", "subscribing"}
EVER = 20.0  # seconds of ours
TINY = 1e-6  # seconds; times are rounded to nanoseconds


def _example() -> Any:
    path = Path(__file__).parent.parent.parent / "examples" / "stop_loss.py"
    spec = importlib.util.spec_from_file_location("stop_loss", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXAMPLE = _example()
MAX_AGE: float = EXAMPLE.MAX_AGE


class Timers(VirtualTimers):
    """Virtual time that stands still until each ping is answered and each line has come to rest."""

    def __init__(self) -> None:
        super().__init__()
        self.pinged: list[BeatDue] = []  # pings that are under way

    def _pop(self, until: float) -> Entry | None:
        entry = super()._pop(until)
        if entry is not None and isinstance(entry.message, BeatDue):
            self.pinged.append(entry.message)
        return entry


class Desk:
    """The bot, its two venues, and what is true of them."""

    def __init__(self, bot: Any, timers: Timers, market: SimulatedAlpaca, account: SimulatedAlpaca) -> None:
        self.bot, self.timers = bot, timers
        self.runtime: Runtime = bot.runtime
        self.venues = {"stocks": market, "account": account}
        self.market, self.account = market, account
        self.streams = (bot.halts, bot.trades, bot.quotes, bot.orders)
        self.items = self.runtime.merge(*self.streams, markers=True, timeout=0)
        self.sent: dict[Decimal, float] = {}  # when each trade happened, by its price
        self.came_at: dict[Decimal, float] = {}  # when it was told
        self.opened_at = 0.0  # when a resumption was told that may have come
        self.quoted_at = 0.0  # when the last quote was made that may have come
        self.deaf_since = math.inf  # of the account's venue
        self.halted = False
        self.halt_told_in: int | None = None  # the epoch; Alpaca does not tell a halt to a new connection
        self.silent: set[str] = set()  # lines whose venue sends nothing but pongs
        self.deaf: set[str] = set()  # lines whose venue does not even send pongs
        self.was_silent: set[str] = set()
        self.resting: set[tuple[str, LineState, int]] = set()
        self.sales: list[Decimal] = []
        self.refusals: list[str] = []
        bot.sell, bot.refuse = self.sell, self.refuse
        self.bytes = dict.fromkeys(self.venues, 0)
        timers._settle = self.settle

    # ── what the venues do ──

    def trade(self, price: float, *, late: float = 0.0) -> None:
        """A trade that happened `late` seconds ago. No other has its price."""
        exact = Decimal(f"{price:.2f}{len(self.sent):05d}")
        self.sent[exact], self.came_at[exact] = self.now - late, self.now
        with self.coming(self.bot.trades):
            self.market.trade(SYMBOL, float(exact), t=self.wall_ns(late))

    def quote(self, *, late: float = 0.0) -> None:
        with self.coming(self.bot.quotes):
            self.market.quote(SYMBOL, t=self.wall_ns(late))
        if "stocks" not in self.silent and self.market.subscribers("quotes", SYMBOL):
            self.quoted_at = self.now - late

    def halt(self) -> None:
        self.halted = True
        self.halt_told_in = self.lines()["stocks"].epoch if self.can_come else None
        with self.coming(self.bot.halts):
            self.market.halt(SYMBOL)

    def resume(self) -> None:
        if self.can_come and self.halted and self.is_halt_known:
            self.opened_at = self.now
        self.halted = False
        with self.coming(self.bot.halts):
            self.market.resume(SYMBOL)

    def drop(self, line: str) -> None:
        """Returns when the loss is known."""
        was = self.lines()[line]
        self.venues[line].drop()
        while self.is_live(line) and self.lines()[line].epoch == was.epoch:
            time.sleep(0.0005)

    def mute(self, line: str) -> None:
        self.silent.add(line)
        self.was_silent.add(line)
        self.venues[line].mute()

    def deafen(self, line: str) -> None:
        self.silent.add(line)
        self.was_silent.add(line)
        if line == "account":
            self.deaf_since = min(self.deaf_since, self.now)
        self.deaf.add(line)
        self.venues[line].deaf()

    def heal(self) -> None:
        for venue in self.venues.values():
            venue.heal()
        self.silent.clear()
        self.deaf.clear()
        self.deaf_since = math.inf

    def update(self) -> None:
        self.account.trade_update("new")

    @property
    def is_halt_known(self) -> bool:
        return self.halt_told_in == self.lines()["stocks"].epoch

    @property
    def can_come(self) -> bool:
        return "stocks" not in self.silent and self.is_live("stocks")

    @contextmanager
    def coming(self, stream: Any) -> Iterator[None]:
        """What is sent meanwhile is in the stream at the end, if it can come."""
        before, comes = stream.received, self.can_come
        yield
        deadline = time.monotonic() + EVER
        while comes and stream.received == before and self.is_live("stocks"):
            assert time.monotonic() < deadline, "it does not come"
            time.sleep(0.0002)

    # ── time ──

    @property
    def now(self) -> float:
        return self.timers.monotonic()

    def wall_ns(self, late: float = 0.0) -> int:
        return self.timers.wall_ns() - round(late * 1e9)

    def pass_by(self, seconds: float) -> None:
        self.timers.advance(seconds)
        self.settle()

    def settle(self) -> None:
        """Pings are answered; lines are up, or wait for their time."""
        for beat in self.timers.pinged:
            self.wait_for_pong(beat)
        self.timers.pinged.clear()
        self.come_to_rest()
        self.bytes = {name: line.counters.bytes for name, line in self.lines().items()}

    def wait_for_pong(self, beat: BeatDue) -> None:
        """A venue that was silent may owe the pong before: then no ping was sent."""
        before, since = self.bytes[beat.line], time.monotonic()
        while beat.line not in self.deaf:
            line = self.lines()[beat.line]
            if line.counters.bytes > before or line.state.shown != "live" or line.epoch != beat.epoch:
                break
            if beat.line in self.was_silent and time.monotonic() > since + 0.02:
                break
            assert time.monotonic() < since + EVER, "no pong comes"
            time.sleep(0.0005)

    def come_to_rest(self) -> None:
        """A line whose venue was silent may rest before it is live; it is waited for once."""
        since = time.monotonic()
        while moving := {(name, line.state, line.epoch) for name, line in self.moving().items()}:
            if moving == self.resting:
                break
            if self.moving().keys() <= self.was_silent and time.monotonic() > since + 0.05:
                self.resting = moving
                break
            assert time.monotonic() < since + EVER, f"{moving} do not come to rest"
            time.sleep(0.001)

    def moving(self) -> Mapping[str, LineView]:
        return {name: line for name, line in self.lines().items() if line.state.shown in MOVING}

    def lines(self) -> Mapping[str, LineView]:
        """As they are once the supervisor has read its mail. A whole status costs more."""
        ask(self.runtime._roles.named("supervisor"), ReadMail(), EVER)
        return self.runtime._shared.lines

    def is_live(self, line: str) -> bool:
        return self.lines()[line].state.shown == "live"

    def come_back(self) -> None:
        """Time goes on until both lines are up."""
        while not all(self.is_live(line) for line in self.venues):
            self.pass_by(0.5)

    def stand_still(self, seconds: float) -> None:
        """The process is paused; its reader is the first that runs again."""
        pulse = self.timers.pulse
        pulse.beat_at = self.now
        self.timers._move(self.now + seconds)
        self.read()
        was_paused = pulse.beat(self.now)
        pulse.beat_at = math.inf
        self.bot.decide()
        if was_paused:
            assert self.timers.on_resume is not None
            self.timers.on_resume.tell(None)

    # ── what the bot does ──

    def read(self) -> None:
        """All that has come; then it looks once more, as after a time of silence."""
        while any(stream._peek() is not None for stream in self.streams):
            with suppress(Timeout):
                self.bot.handle(next(self.items))
        self.bot.decide()

    def sell(self) -> None:
        """Nothing is sold at a price that is too old, in a halted market, or while a line is lost."""
        price = self.bot.price
        assert self.now - self.sent[price] <= MAX_AGE + TINY, (
            f"{price} is {self.now - self.sent[price]} s old"
        )
        assert self.now - self.quoted_at <= MAX_AGE + TINY
        assert self.now - self.deaf_since <= SIGN_OF_LIFE + TINY
        assert not (self.halted and self.is_halt_known)
        assert self.came_at[price] >= self.opened_at
        assert self.market.subscribers("trades", SYMBOL) == 1
        assert self.account.subscribers("trade_updates") == 1
        self.sales.append(price)

    def refuse(self, blind: Blind) -> None:
        self.refusals.append(str(blind))

    @property
    def refused(self) -> str:
        """Why the bot has not acted last."""
        return self.refusals[-1]


@pytest.fixture
def desk() -> Iterator[Desk]:
    with new_desk() as desk:
        yield desk


@contextmanager
def new_desk() -> Iterator[Desk]:
    timers = Timers()
    with SimulatedAlpaca(rate=0) as market, SimulatedAlpaca(rate=0) as account:
        urls = {"stocks": market.url_of("iex"), "account": account.url_of("account")}
        keys: dict[str, Any] = {
            "venue": "alpaca",
            "key": KEY,
            "secret": SECRET,
            "restart": RESTART,
            "heartbeat": BEAT,
        }
        feeds = {name: feed_at(url, **keys) for name, url in urls.items()}
        with Runtime(load({"runtime": {"watchdog_timeout": 0.0}, "feeds": feeds}), timers=timers) as runtime:
            runtime.wait_live(timeout=10.0)
            yield Desk(EXAMPLE.StopLoss(runtime, SYMBOL), timers, market, account)


def healthy(desk: Desk) -> None:
    """The price stands above the stop, and everything is fresh."""
    desk.quote()
    desk.trade(HIGH)
    desk.read()
    assert not desk.sales


# ── one fault after the other ──


def test_a_healthy_fall_to_the_stop_is_sold_at_once(desk: Desk) -> None:
    healthy(desk)
    for price in (99.99, 99.98, LOW):
        desk.pass_by(0.5)
        desk.quote()
        desk.trade(price)
        desk.read()
        assert bool(desk.sales) == (price == LOW)
    assert desk.refusals == []


def test_nothing_is_sold_at_the_price_before_a_drop(desk: Desk) -> None:
    healthy(desk)
    desk.pass_by(0.5)
    desk.trade(LOW)  # it comes, and is not read before the line is lost
    desk.drop("stocks")
    desk.read()
    assert "not_live" in desk.refused
    desk.trade(LOW)  # it is lost
    desk.come_back()
    desk.read()  # the gap is read, and no price has come since
    desk.quote()
    desk.read()
    assert "unknown (gap)" in desk.refused or "no_event" in desk.refused
    assert not desk.sales
    desk.trade(LOW)
    desk.read()
    assert len(desk.sales) == 1


def test_the_gap_of_a_drop_has_to_be_read_first(desk: Desk) -> None:
    healthy(desk)
    desk.trade(LOW)
    desk.drop("stocks")
    desk.come_back()
    desk.quote()
    desk.trade(LOW)
    while desk.bot.price > LOW + 0.5:
        desk.bot.handle(next(desk.items))  # that of before the drop
    assert "gap_unread" in desk.refused
    assert not desk.sales
    desk.read()
    assert len(desk.sales) == 1


def test_a_mute_feed_whose_prices_stand_still_sells_nothing(desk: Desk) -> None:
    healthy(desk)
    desk.mute("stocks")
    desk.pass_by(60.0)  # pings are answered
    desk.bot.price = min(desk.sent)  # the stop is moved above the last price
    desk.bot.highest *= 2
    desk.bot.decide()
    assert "stale (max_age)" in desk.refused
    assert desk.is_live("stocks")
    assert not desk.sales


def test_trades_without_quotes_sell_nothing(desk: Desk) -> None:
    healthy(desk)
    desk.pass_by(3.0)
    desk.trade(LOW)
    desk.read()
    assert "stocks/quotes/AAPL: stale (max_age)" in desk.refused
    assert "stocks/trades" not in desk.refused
    desk.quote()
    desk.read()
    assert len(desk.sales) == 1


def test_nothing_is_sold_while_the_symbol_is_halted_nor_at_a_price_from_before_the_end(desk: Desk) -> None:
    healthy(desk)
    desk.halt()
    desk.quote()
    desk.trade(LOW)
    desk.read()
    assert "quiet (halted)" in desk.refused
    desk.pass_by(0.1)
    desk.resume()
    desk.read()
    assert "quiet (not_due)" in desk.refused
    desk.pass_by(0.1)
    desk.quote()
    desk.trade(LOW)
    desk.read()
    assert len(desk.sales) == 1


def test_nothing_is_sold_at_a_price_that_has_waited_while_newer_ones_came(desk: Desk) -> None:
    healthy(desk)
    desk.trade(LOW)
    desk.pass_by(5.0)
    desk.quote()
    desk.trade(HIGH)
    while desk.bot.price > LOW + 0.5:
        desk.bot.handle(next(desk.items))
    assert "queue" in desk.refused
    desk.read()
    assert not desk.sales


def test_nothing_is_sold_at_an_old_price_while_the_line_is_about_to_put_a_newer_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The topic is fresh by the newer one already, and nothing waits in the stream."""
    healthy(desk)
    desk.trade(LOW)
    price = desk.bot.trades.get().price
    desk.pass_by(5.0)
    desk.quote()
    desk.read()
    inlet, arrived, goes_on = desk.bot.trades._inlet, threading.Event(), threading.Event()
    put = inlet.put

    def late_put(*given: Any) -> Any:
        arrived.set()
        assert goes_on.wait(EVER)
        return put(*given)

    monkeypatch.setattr(inlet, "put", late_put)
    desk.market.trade(SYMBOL, HIGH, t=desk.wall_ns())
    assert arrived.wait(EVER)
    desk.bot.price = price
    desk.bot.decide()
    goes_on.set()
    assert "about to get" in desk.refused
    assert not desk.sales


def test_nothing_is_sold_while_a_full_stream_holds_the_line(desk: Desk) -> None:
    healthy(desk)
    full = desk.runtime.subscribe("stocks", "quotes", SYMBOL, policy="block", capacity=1, wait=10.0)
    desk.trade(LOW)
    desk.quote()
    until(desk.runtime, lambda status: bool(status.lines()["stocks"].paused_by_streams))
    desk.read()
    assert "not_reading" in desk.refused
    full.close()
    until(desk.runtime, lambda status: not status.lines()["stocks"].paused_by_streams)
    desk.read()
    assert len(desk.sales) == 1


def test_nothing_is_sold_while_the_line_of_the_account_is_down(desk: Desk) -> None:
    healthy(desk)
    desk.account.refuse(n=3)
    desk.drop("account")
    desk.quote()
    desk.trade(LOW)
    desk.read()
    assert "account: blind (not_live)" in desk.refused or "trade_updates" in desk.refused
    desk.come_back()
    desk.quote()
    desk.trade(LOW)
    desk.read()
    assert len(desk.sales) == 1  # the gap of the account has been read, and its venue is heard


def test_nothing_is_sold_while_the_account_shows_no_sign_of_life(desk: Desk) -> None:
    healthy(desk)
    desk.deafen("account")
    desk.pass_by(PING)
    for _ in range(8):
        desk.pass_by(1.0)
        desk.quote()
        desk.trade(HIGH)
        desk.read()
    desk.trade(LOW)
    desk.read()
    assert not desk.sales


def test_nothing_is_sold_at_a_price_that_is_old_by_the_venues_time(desk: Desk) -> None:
    healthy(desk)
    desk.quote()
    desk.trade(LOW, late=2.5)
    desk.read()
    assert "stale (venue_time)" in desk.refused
    desk.trade(LOW, late=1.5)
    desk.read()
    assert len(desk.sales) == 1


def test_nothing_is_sold_after_a_pause_of_the_process_before_the_lines_are_read(desk: Desk) -> None:
    healthy(desk)
    desk.trade(LOW)
    desk.stand_still(1.5)
    assert desk.refusals
    assert all("process_paused" in why for why in desk.refusals)
    until(desk.runtime, lambda _: desk.bot.decide() or bool(desk.sales))


def test_a_halt_ends_with_the_connection_that_was_told_of_it(desk: Desk) -> None:
    """Alpaca does not tell what is halted already. A trade after the return is the only sign there is."""
    healthy(desk)
    desk.halt()
    desk.drop("stocks")
    desk.come_back()
    desk.read()
    desk.quote()
    desk.read()
    assert not desk.sales
    desk.trade(LOW)
    desk.read()
    assert len(desk.sales) == 1


# ── any faults, in any order ──

HAPPENS = {
    "trade": 30,
    "quote": 20,
    "late": 4,
    "time": 30,
    "silence": 3,
    "drop": 2,
    "outage": 1,
    "mute": 1,
    "deaf": 1,
    "heal": 3,
    "halt": 1,
    "resume": 3,
    "update": 2,
    "pause": 1,
    "skip": 4,
}  # what happens, and how often


class Schedule:
    """What happens to the desk, by chance. A stop is near the price, so the bot often wants to sell."""

    def __init__(self, desk: Desk, seed: int) -> None:
        self.desk, self.chance = desk, random.Random(seed)

    def run(self, seconds: float) -> None:
        until, kinds = self.desk.now + seconds, [*HAPPENS]
        while self.desk.now < until:
            (kind,) = self.chance.choices(kinds, [*HAPPENS.values()])
            getattr(self, kind)()
            if kind != "skip":
                self.desk.read()
            self.begin_again()

    def begin_again(self) -> None:
        """Another position, as soon as this one is sold."""
        bot = self.desk.bot
        if bot.sold:
            bot.sold, bot.highest = False, bot.price

    @property
    def line(self) -> str:
        return self.chance.choice(["stocks", "account"])

    def trade(self) -> None:
        self.desk.trade(self.chance.uniform(LOW, HIGH))

    def quote(self) -> None:
        self.desk.quote()

    def late(self) -> None:
        self.desk.quote(late=self.chance.uniform(0.0, 4.0))
        self.desk.trade(LOW, late=self.chance.uniform(0.0, 4.0))

    def time(self) -> None:
        self.desk.pass_by(self.chance.uniform(0.05, 1.5))

    def silence(self) -> None:
        self.desk.pass_by(self.chance.uniform(2.0, 12.0))

    def drop(self) -> None:
        self.desk.drop(self.line)

    def outage(self) -> None:
        line = self.line
        self.desk.venues[line].refuse(n=self.chance.randint(1, 3))
        self.desk.drop(line)

    def mute(self) -> None:
        self.desk.mute(self.line)

    def deaf(self) -> None:
        self.desk.deafen(self.line)

    def heal(self) -> None:
        self.desk.heal()

    def halt(self) -> None:
        self.desk.halt()

    def resume(self) -> None:
        self.desk.resume()

    def update(self) -> None:
        self.desk.update()

    def pause(self) -> None:
        self.desk.stand_still(self.chance.uniform(0.5, 5.0))

    def skip(self) -> None:
        """The reader is slow: several things come before it looks again, and it does not read all of them."""
        for _ in range(self.chance.randint(1, 4)):
            self.desk.trade(self.chance.uniform(LOW, HIGH))
            self.desk.pass_by(self.chance.uniform(0.05, 1.5))
        with suppress(Timeout):
            for _ in range(self.chance.randint(1, 4)):
                self.desk.bot.handle(next(self.desk.items))


def over(seconds: float, seed: int) -> Desk:
    with new_desk() as desk:
        Schedule(desk, seed).run(seconds)
        return desk


@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens_nothing_is_sold_on_what_may_be_old(seed: int) -> None:
    desk = over(600.0, seed)
    assert len(desk.sales) > 20
    assert len(desk.refusals) > 20


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 112))
def test_whatever_happens_for_hours_nothing_is_sold_on_what_may_be_old(seed: int) -> None:
    assert over(3_600.0, seed).sales
