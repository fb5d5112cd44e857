"""What a config says of orders, and what it cannot say by accident."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.errors import ConfigError
from actors.feed_spec import Specs
from actors.feeds.builder import FeedBuilder
from actors.protocol.venue import Venue
from actors.settings import Settings, load
from actors.settings.added_feeds import with_feed, without_feed
from actors.settings.diff import compare, without_new_orders
from actors.timers import SystemClock
from actors.trading.limits import Limits
from actors.venues.o2.venue import O2
from tests.trading.venue import Exchange

VENUES: dict[str, type[Venue]] = {"exchange": Exchange, "o2": O2}
LIMITS = {"max_size": 2, "orders_per_minute": 10}
FEED = {"venue": "exchange", "trading": True, "limits": LIMITS}
TRADING = {"dir": "/var/lib/linewarden/orders"}


def read(px: dict[str, Any] = FEED, trading: dict[str, Any] = TRADING, **feeds: Any) -> Settings:
    return load({"trading": trading, "feeds": {"px": px} | feeds}, {}, venues=VENUES)


def mistakes(*given: Any, **feeds: Any) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        read(*given, **feeds)
    return [problem.removeprefix("<config>: ") for problem in raised.value.problems]


def test_a_feed_that_trades() -> None:
    settings = read()
    feed = settings.feeds["px"]
    assert settings.trading.dir == "/var/lib/linewarden/orders"
    assert settings.trading.require_durable
    assert (feed.trading, feed.dry_run, feed.align, feed.order_deadline) == (True, False, "refuse", 5.0)
    assert feed.limits == Limits(max_size=2, orders_per_minute=10)
    assert feed.sends_orders
    assert settings.why_no_orders("px") == ""
    assert settings.warnings == ()
    assert not read(FEED | {"dry_run": True}).feeds["px"].sends_orders


def test_t16_without_a_word_of_it_no_feed_trades() -> None:
    settings = read({"venue": "exchange"}, {})
    assert not settings.feeds["px"].trading
    assert settings.why_no_orders("px") == (
        "trading is off: write trading = true into [feeds.px], and start again"
    )


def test_t4_a_feed_that_trades_needs_the_folder_of_all_its_processes() -> None:
    needs = "[trading] dir: missing; feed px has trading = true, and its orders are recorded in a folder."
    assert mistakes(FEED, {}) == [needs]
    (told,) = mistakes(FEED, {"dir": "orders"})
    assert told.startswith("[trading] dir: expected an absolute path, the same for every process")
    assert mistakes(FEED, TRADING | {"dirr": 1}) == [
        "[trading] dirr: there is no such key; did you mean 'dir'?"
    ]
    home = read(FEED, {"dir": "~/orders"}).trading.dir
    assert Path(home).is_absolute()


@pytest.mark.parametrize("key", ["max_size", "orders_per_minute"])
def test_t15_a_feed_that_trades_has_these_limits(key: str) -> None:
    fewer = {name: value for name, value in LIMITS.items() if name != key}
    needs = f"[feeds.px.limits] {key}: missing; a feed with trading = true has this limit."
    assert mistakes(FEED | {"limits": fewer}) == [needs]
    assert mistakes(FEED | {"dry_run": True, "limits": fewer}) == [needs]
    read(FEED | {"trading": False, "limits": fewer})


@pytest.mark.parametrize("key", Limits.__struct_fields__)
def test_t15_a_limit_is_a_number_from_one_on(key: str) -> None:
    assert mistakes(FEED | {"limits": LIMITS | {key: 0}}) == [
        f"[feeds.px.limits] {key}: expected a whole number, 1 or more, found 0."
    ]


def test_t15_a_limit_in_the_feed_itself_is_told_where_it_belongs() -> None:
    assert mistakes(FEED | {"max_net": 3}) == [
        "[feeds.px] max_net: there is no such key; it belongs in [feeds.px.limits]."
    ]


def test_t16_a_venue_without_orders_cannot_trade() -> None:
    for limits in (LIMITS, {}):
        assert mistakes(FEED | {"venue": "o2", "limits": limits}) == [
            "[feeds.px] trading: venue o2 takes no orders from Linewarden."
        ]


@pytest.mark.parametrize("key", ["trading", "limits", "token", "user_name", "api_key"])
def test_t16_nothing_of_orders_or_logins_stands_in_the_defaults(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"\[defaults\] {key}: .* cannot be a default: "):
        load({"defaults": {key: True}, "feeds": {}}, {})


@pytest.mark.parametrize(("deadline", "fits"), [(0, False), (60, True), (60.5, False)])
def test_an_order_has_a_minute_at_most_to_leave(deadline: float, fits: bool) -> None:
    feed = FEED | {"order_deadline": deadline}
    if fits:
        read(feed)
    else:
        assert "expected seconds, more than 0 and at most 60" in mistakes(feed)[0]


# ── T13: no mixed worlds ──


def test_t13_real_orders_are_refused_beside_a_simulator() -> None:
    settings = read(FEED, demo={"venue": "o2", "url": "sim://o2"})
    why = settings.why_no_orders("px")
    assert why.startswith("feed demo is no real venue, and px is one")
    assert settings.warnings == (f"<config>: [feeds.px] trading: its orders are refused: {why}.",)


def test_t13_a_simulator_takes_orders_beside_simulators_and_real_venues() -> None:
    simulated = FEED | {"url": "sim://o2"}
    for beside in ({"venue": "o2", "url": "sim://o2"}, {"venue": "o2"}):
        assert read(simulated, demo=beside).why_no_orders("px") == ""


def test_dry_run_alone_is_told_to_mean_nothing() -> None:
    (told,) = read({"venue": "exchange", "dry_run": True}).warnings
    assert told == "<config>: [feeds.px] dry_run: it has no effect without trading = true."


# ── T16: a reload ──

OFF = FEED | {"trading": False}
DRY = FEED | {"dry_run": True}


@pytest.mark.parametrize(
    ("before", "after"), [(OFF, FEED), (DRY, FEED), (None, FEED)], ids=["off", "dry", "new"]
)
def test_t16_a_reload_does_not_turn_trading_on(before: dict[str, Any] | None, after: dict[str, Any]) -> None:
    other = {"venue": "o2"}
    old = read(before, other=other) if before else load({"feeds": {"other": other}}, {}, venues=VENUES)
    new = read(after, other=other)
    told = [change.text for change in compare(old, new).changes if change.kind == "next start"]
    assert "feed px sends no orders before the next start: a reload does not turn them on" in told
    builder = FeedBuilder(SystemClock())
    specs = builder.build(new, builder.build(old, Specs()))
    assert isinstance(specs.settings, Settings)
    assert not specs.settings.feeds["px"].sends_orders
    assert isinstance(specs.feeds["px"].policy, type(new.feeds["px"]))
    assert not specs.feeds["px"].policy.sends_orders
    again = builder.build(new, specs)  # and another reload of the same
    assert isinstance(again.settings, Settings)
    assert not again.settings.feeds["px"].sends_orders


@pytest.mark.parametrize("after", [OFF, DRY], ids=["off", "dry"])
def test_t16_a_reload_turns_it_off_and_sockets_stay_open(after: dict[str, Any]) -> None:
    plan = compare(read(), read(after))
    assert [change.kind for change in plan.changes] == ["adjusted"]
    builder = FeedBuilder(SystemClock())
    specs = builder.build(read(after), builder.build(read(), Specs()))
    assert isinstance(specs.settings, Settings)
    assert not specs.settings.feeds["px"].sends_orders


def test_other_limits_are_taken_over_by_a_reload() -> None:
    plan = compare(read(), read(FEED | {"limits": LIMITS | {"max_net": 4}, "order_deadline": 2.0}))
    (change,) = plan.changes
    assert change.text == "feed px takes over order_deadline and limits; sockets stay open"


def test_another_folder_counts_from_the_next_start_on() -> None:
    (change,) = compare(read(), read(FEED, {"dir": "/elsewhere"})).changes
    assert (change.where, change.kind) == ("trading", "next start")


# ── T13, T16: what a reload would let out, and one feed in two worlds ──

SIMULATED = FEED | {"url": "sim://o2"}


@pytest.mark.parametrize(
    "before", [{"px": SIMULATED}, {"px": FEED, "demo": {"venue": "o2", "url": "sim://o2"}}]
)
def test_t16_a_reload_sends_no_orders_to_a_real_venue_that_had_none(before: dict[str, Any]) -> None:
    """They went to a simulator, or one beside it was in their way."""
    old = load({"trading": TRADING, "feeds": before}, {}, venues=VENUES)
    new = read()
    told = [change.text for change in compare(old, new).changes if change.kind == "next start"]
    assert told == ["feed px sends no orders before the next start: a reload does not turn them on"]
    taken = without_new_orders(old, new)
    assert taken.why_no_orders("px").startswith("trading is off")
    assert without_new_orders(taken, new).why_no_orders("px") == taken.why_no_orders("px")
    assert without_new_orders(old, old) == old


def test_t16_a_reload_may_send_orders_to_a_simulator_instead() -> None:
    taken = without_new_orders(read(), read(SIMULATED))
    assert taken.feeds["px"].sends_orders


def test_t16_a_reload_moves_no_orders_to_another_gateway() -> None:
    feed = {"venue": "projectx", "trading": True, "limits": LIMITS, "user_name": "anna", "api_key": "k"}
    demo, real = (
        load({"trading": TRADING, "feeds": {"px": feed | {"platform": name}}}, {})
        for name in ("demo", "topstepx")
    )
    assert without_new_orders(demo, real).why_no_orders("px").startswith("trading is off")
    assert without_new_orders(demo, demo).feeds["px"].sends_orders


@pytest.mark.parametrize(
    "more", [{"api_url": "https://api.topstepx.com"}, {"market_url": "wss://rtc.topstepx.com/hubs/market"}]
)
def test_t13_a_simulator_is_all_of_its_gateway(more: dict[str, str]) -> None:
    feed = {"venue": "projectx", "url": "sim://projectx", "user_name": "anna", "api_key": "k"} | more
    with pytest.raises(ConfigError, match="url is a simulator of all of the gateway"):
        load({"feeds": {"px": feed}}, {})


# ── T16: a feed that is added while the program runs ──

EXCHANGE = "tests.trading.venue:Exchange"
ADDED = FEED | {"venue": EXCHANGE}
REFUSED = "add_feed: [feeds.px] trading: a feed that is added to a running program sends no orders."


def refused(settings: Settings, table: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as raised:
        with_feed(settings, "px", table)
    (told,) = raised.value.problems
    return told


@pytest.mark.parametrize("before", [OFF, DRY, None], ids=["off", "dry", "new"])
def test_t16_a_feed_that_is_added_does_not_begin_to_send_orders(before: dict[str, Any] | None) -> None:
    beside = {"other": {"venue": "o2"}}
    old = load({"trading": TRADING, "feeds": beside | ({"px": before} if before else {})}, {}, venues=VENUES)
    assert refused(old, ADDED).startswith(REFUSED)
    change = with_feed(old, "px", ADDED | {"dry_run": True})
    assert not change.settings.feeds["px"].sends_orders
    with_feed(old, "px", ADDED | {"trading": False})


def test_t16_one_that_was_removed_does_not_send_orders_again() -> None:
    removed = without_feed(read(), "px").settings
    assert refused(removed, ADDED).startswith(REFUSED)


def test_t16_one_that_sends_orders_goes_on_at_its_gateway_and_at_no_other() -> None:
    old = load({"trading": TRADING, "feeds": {"px": ADDED}}, {})
    change = with_feed(old, "px", ADDED | {"block_timeout": 1.0})
    assert change.settings.feeds["px"].sends_orders
    assert refused(old, ADDED | {"url": "wss://elsewhere.example"}).startswith(REFUSED)


def test_t4_one_without_a_folder_for_orders_is_a_mistake() -> None:
    old = load({"feeds": {}}, {})
    told = "add_feed: [trading] dir: missing; feed px has trading = true, and its orders are recorded in "
    assert refused(old, ADDED | {"dry_run": True}) == f"{told}a folder."


def test_t13_a_simulator_that_is_added_ends_real_orders_and_the_plan_says_so() -> None:
    old = load({"trading": TRADING, "feeds": {"px": ADDED}}, {})
    change = with_feed(old, "demo", {"venue": "o2", "url": "sim://o2"})
    added, ended = change.plan.changes
    assert added.text.startswith("feed px sends no orders from now on: feed demo is no real venue")
    assert ended.text == "feed demo is added"
    # Without the simulator, its orders do not leave again before the next start.
    back = without_feed(change.settings, "demo")
    assert [each.text for each in back.plan.changes if each.kind == "next start"] == [
        "feed px sends no orders before the next start: a reload does not turn them on"
    ]
