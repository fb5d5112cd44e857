"""What a caller without the right `account` is shown: everything but what an account would be known by."""

from __future__ import annotations

import msgspec
from msgspec import structs

from actors.diagnostics import DeadLetter, Quarantined
from actors.events import Freshness, Gap, Scope, SubscriptionState, Topic, VenueState
from actors.rules.counters import StreamStatus
from actors.rules.journal import LineExit, RecoveryTimes, SilentLossEntry
from actors.rules.liveness import HealthInputs, health
from actors.service.venue_words import HIDDEN
from actors.service.without_account import without_account
from actors.status import (
    AccountStatus,
    Cause,
    CooldownStatus,
    Counters,
    DeadLettersStatus,
    FeedStatus,
    HaltStatus,
    LineStatus,
    QuarantineStatus,
    Status,
    TopicStatus,
)

SECRET = "77341"  # stands at each place where an account, an order or a payload could be
CONFIRMED = SubscriptionState("confirmed")
EXIT = LineExit(
    1, 1, "retryable", "lost", "the connection was lost", 1, 2.0, RecoveryTimes(), f"wss://v/{SECRET}"
)
REFUSED = LineExit(
    2, 2, "fatal", "alpaca_402", f"login refused: {SECRET}", 1, None, RecoveryTimes(), f"wss://v/{SECRET}"
)
DOWN = Freshness("blind", "not_live", text=f"its line is failed (login refused: {SECRET})")
HALTED = VenueState(Scope("quotes"), "halted", "no trading")
STATES = (HALTED, VenueState(Scope("orders", SECRET), "halted", SECRET), VenueState(Scope(), "open", ""))
LOSS = SilentLossEntry(f"desk/{SECRET}", 1, 1, SECRET)
HEALTHY = HealthInputs(
    live=True,
    rtt_ms=None,
    missed_pongs=0,
    restarts=0,
    quarantined=0,
    stale_topics=0,
    decodes_nothing=False,
)
LINE = LineStatus(
    state="live",
    reason=Cause("fatal", "alpaca_402", f"login refused: {SECRET}", "Check key and secret."),
    epoch=1,
    attempt=0,
    next_attempt_s=None,
    live_for_s=1.0,
    rtt_ms=None,
    data_age_s=None,
    health=health(HEALTHY),
    topics=(
        TopicStatus("desk/quotes/A", CONFIRMED, 1.0, stale=False, freshness=DOWN),
        TopicStatus(f"desk/orders/{SECRET}", CONFIRMED, 1.0, stale=False),
        TopicStatus("desk/orders", CONFIRMED, 1.0, stale=False),
        TopicStatus(f"desk/orders?account={SECRET}", CONFIRMED, 1.0, stale=False),
    ),
    counters=Counters(*range(14)),
    last_gap=Gap(Topic("desk", "orders", SECRET), "disconnect", None, 1, 2, 1),
    paused_by_streams=(),
    url=f"wss://v.example/user/{SECRET}",
    verify_tls=True,
    last_venue_error=f"no order {SECRET}",
    journal=(EXIT, REFUSED),
    venue_states=STATES,
    venue_journal=STATES,
    silent_losses=(LOSS,),
)
STREAM = StreamStatus(1, "desk", "quotes", 1, "block", 10, *([0] * 7))
STALE = Freshness("stale", "max_age")
STATUS = Status(
    schema_version=1,
    name="desk",
    state="degraded",
    feeds={
        "desk": FeedStatus(
            "desk",
            True,
            {"desk": LINE},
            refused={"desk/quotes/B": "full", f"desk/orders/{SECRET}": "full"},
            token_error=f"not renewed: {SECRET}",
        )
    },
    streams=(STREAM, structs.replace(STREAM, id=2, channel="orders")),
    actors=(),
    dead_letters=DeadLettersStatus(3, (DeadLetter("a", f"text of {SECRET}", f"why {SECRET}"),)),
    quarantine=QuarantineStatus(2, (Quarantined("desk", 1, f"no {SECRET}", 9, f'{{"account": {SECRET}}}'),)),
    cooldowns=(CooldownStatus("desk@v/public", 1, f"too many logins of {SECRET}", "desk", "venue"),),
    untrusted={"desk/quotes/A": STALE, "desk/quotes/B": DOWN, f"desk/orders/{SECRET}": STALE},
    halts=(
        HaltStatus("h1", f"v.example/{SECRET}", f"order {SECRET}", 1, "alice"),
        HaltStatus("h2", "all", f"order {SECRET}", 1, "alice"),
    ),
    accounts={f"desk/{SECRET}": AccountStatus("synced", SECRET, 1.0, 1)},
)


def is_public(feed: str, channel: str) -> bool:
    return (feed, channel) == ("desk", "quotes")


SHOWN = without_account(STATUS, is_public)


def test_nothing_of_an_account_is_left_at_any_place() -> None:
    assert SECRET in msgspec.json.encode(STATUS).decode()
    assert SECRET not in msgspec.json.encode(SHOWN).decode()
    assert SECRET not in repr(SHOWN)


def test_each_field_is_judged() -> None:
    """Whether a field that is added can name an account is to be decided in `without_account`."""
    of_status = """schema_version name state feeds streams actors dead_letters quarantine metrics_errors
        cooldowns untrusted halts accounts process redacted"""
    of_feed = "venue live lines refused token_expires_in_s token_error login_variables"
    of_line = """state reason epoch attempt next_attempt_s live_for_s rtt_ms data_age_s health topics counters
        last_gap paused_by_streams url verify_tls compressed rotations degraded last_venue_error journal
        waiting venue_states venue_journal lag receive_lag_s kernel_bytes event_lag_s silent_losses since_ns
        down_since_ns"""
    for kind, names in ((Status, of_status), (FeedStatus, of_feed), (LineStatus, of_line)):
        assert set(kind.__struct_fields__) == set(names.split())


def test_that_something_is_left_out_is_told() -> None:
    assert (STATUS.redacted, SHOWN.redacted) == (False, True)


def test_what_is_public_is_shown_as_it_is() -> None:
    line = SHOWN.feeds["desk"].lines["desk"]
    assert [topic.topic for topic in line.topics] == ["desk/quotes/A"]
    assert line.counters == LINE.counters
    assert (line.venue_states, line.venue_journal) == ((HALTED, STATES[2]), (HALTED, STATES[2]))
    assert line.url == "wss://v.example/…"
    assert SHOWN.untrusted["desk/quotes/A"] == STALE
    assert SHOWN.feeds["desk"].refused == {"desk/quotes/B": "full"}
    assert SHOWN.streams == (STREAM,)


def test_of_words_that_may_be_the_venues_the_code_is_left() -> None:
    feed = SHOWN.feeds["desk"]
    line = feed.lines["desk"]
    assert line.reason == Cause("fatal", "alpaca_402", HIDDEN, "Check key and secret.")
    assert [(entry.code, entry.text) for entry in line.journal] == [
        ("lost", "the connection was lost"),
        ("alpaca_402", HIDDEN),
    ]
    assert (feed.token_error, SHOWN.cooldowns[0].why) == (HIDDEN, HIDDEN)
    assert SHOWN.untrusted["desk/quotes/B"].text == "its line is failed"


def test_counts_and_halts_are_shown_without_their_words() -> None:
    assert (SHOWN.dead_letters.count, SHOWN.dead_letters.newest) == (3, ())
    assert SHOWN.quarantine.count == 2
    assert [(kept.line, kept.size) for kept in SHOWN.quarantine.newest] == [("desk", 9)]
    assert [(halt.id, halt.target, halt.reason) for halt in SHOWN.halts] == [
        ("h1", "v.example/…", "…"),
        ("h2", "all", "…"),
    ]
