"""Whatever a venue, a client or a program brings: each view shows it, without obeying it or failing."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

import msgspec
import pytest
from msgspec import Struct, structs
from rich.console import Group

import actors
from actors import StalePriceError, Stream, SubscribeError
from actors.cli import stream_view
from actors.cli.formatting import PrintableConsole
from actors.cli.journal_view import blind_times, journal
from actors.cli.kept_view import cooldowns, dead_letters, quarantine
from actors.cli.logs import JsonFormatter, TextFormatter
from actors.cli.run_view import summary, troubles
from actors.cli.status_view import StatusView
from actors.cli.systemd import sentence
from actors.diagnostics import DeadLetter, Quarantined
from actors.display.html import page
from actors.errors import (
    AskRefusedError,
    Blind,
    ConfigError,
    NotLiveError,
    RotationFailed,
    RuntimeStopped,
    StreamClosed,
)
from actors.events import (
    Freshness,
    Gap,
    Lifecycle,
    Received,
    Repaired,
    Scope,
    Stale,
    SubscriptionState,
    Topic,
    Tried,
    VenueState,
)
from actors.protocol.accounts import AccountOrder, AccountPosition
from actors.rules.account.view import AccountView, Flat, OrderView, PositionView
from actors.rules.bars.view import BarsView, FrameView
from actors.rules.counters import StreamStatus
from actors.rules.journal import LineExit, RecoveryTimes, SilentLossEntry
from actors.rules.latest_price import LatestPrice
from actors.rules.order_book import BookView
from actors.service.responses import ServiceResponse, response, to_json
from actors.service.status_json import status_json
from actors.service.tail import Tail, TailItem
from actors.settings.schema import WantedTopics
from actors.simulators import SimulatedO2
from actors.status import (
    AccountStatus,
    Cause,
    CooldownStatus,
    DeadLettersStatus,
    FeedStatus,
    HaltStatus,
    LineGlance,
    QuarantineStatus,
    Status,
    TopicStatus,
)
from actors.venues import o2 as words
from tests.cli.statuses import line
from tests.display.test_records import BARS
from tests.support.hostile import NUMBERS, ODD, TEXTS, NoText, controls, nested, poisoned
from tests.support.runtimes import until

TOPIC = Topic("o2", "trades", "0x1", (("precision", "1"),))
GAP = Gap(TOPIC, "disconnect", 7, 0, 1_000_000_000, 2)
STATE = VenueState(Scope("trades", "0x1"), "halted", "words", 2_000_000_000, "o2", 3, 1_000_000_000)
EXIT = LineExit(2, 1_000_000_000, "retryable", "lost", "words", 3, None, RecoveryTimes(1.0), "wss://o2")
LOSS = SilentLossEntry("px/1", 2, 1_000_000_000, "words")
CAUSE = Cause("fatal", "http_401", "words", "words")
STREAM = StreamStatus(1, "o2", "trades", 1, "block", 10, 9, 8, 0, 0, 1, 1, 2, lag_s=1.0)
STALE = Freshness("stale", "nothing", text="words", topic="o2/trades")
BAD = line(
    "failed",
    reason=CAUSE,
    topics=(
        TopicStatus("o2/trades/0x1", SubscriptionState("rejected", reason="words"), None, False),
        TopicStatus("o2/trades/0x2", SubscriptionState("confirmed"), 1.0, True, 1.0, 1.0, STALE),
    ),
    last_gap=GAP,
    last_venue_error="words",
    degraded="words",
    journal=(EXIT,),
    venue_states=(STATE,),
    venue_journal=(STATE,),
    silent_losses=(LOSS,),
    paused_by_streams=(1,),
    url="wss://o2.example",
    verify_tls=False,
    waiting="words",
)
FULL = Status(
    schema_version=1,
    name="desk",
    state="degraded",
    feeds={
        "o2": FeedStatus("o2", False, {"o2": BAD, "o2/2": line()}, {"o2/x": "words"}, 1.0, "words", ("KEY",))
    },
    streams=(STREAM,),
    actors=(),
    dead_letters=DeadLettersStatus(1, (DeadLetter("o2", "words", "words"),)),
    quarantine=QuarantineStatus(1, (Quarantined("o2", 1_000_000_000, "words", 5, "words"),)),
    cooldowns=(CooldownStatus("o2", 1_000_000_000, "words", "o2", "venue"),),
    untrusted={"o2/trades/0x1": STALE},
    halts=(HaltStatus("h1", "all", "words", 1_000_000_000, "root"),),
    accounts={"px/1": AccountStatus("synced", "words", 1.0, 1, ("words",), "words")},
)  # fmt: skip


def drawn(picture: Any, width: int = 120) -> str:
    """What a terminal gets of it, without colours."""
    shown = io.StringIO()
    PrintableConsole(file=shown, width=width, markup=False, emoji=False, highlight=False).print(picture)
    return shown.getvalue()


# ── statuses ────────────────────────────────────────────────────────────────────────────────────

VIEWS: dict[str, Callable[[Status], str]] = {
    "summary": lambda status: drawn("\n".join([*summary(status, 1.0), *troubles(status)])),
    "table": lambda status: "".join(
        drawn(StatusView(moving=moving, fresh=True).render(status, 1.0, 2.0, width, height), width)
        for moving, width, height in ((False, 80, 24), (True, 160, 50), (False, 60, 24))
    ),
    "whole table": lambda status: drawn(StatusView(fresh=True).render(status, 1.0, 2.0, None, None), 10_000),
    "journal": lambda status: drawn(
        Group(
            journal({name: each.entries() for name, each in status.lines().items()}, 100),
            blind_times(status.lines()),
        )
    ),
    "kept": lambda status: "".join(
        drawn(kept)
        for kept in (
            quarantine(status.quarantine, 80),
            quarantine(status.quarantine, None),
            dead_letters(status.dead_letters, 80),
            cooldowns(status.cooldowns),
        )
    ),
    "systemd": lambda status: sentence(
        {name: LineGlance(each.state, each.reason) for name, each in status.lines().items()}
    ),
    "json": lambda status: status_json(status).decode(),
    "repr": lambda status: "\n".join(map(repr, (status, *status.feeds.values(), *status.lines().values()))),
    "html": lambda status: str(status._repr_html_()),
}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_view_of_a_status_obeys_no_text(text: str, name: str) -> None:
    shown = VIEWS[name](poisoned(FULL, text))
    assert controls(shown) == set()
    assert shown not in {"", "None"}
    assert name == "json" or len(shown) < 3_000_000
    if name == "json":
        assert json.loads(shown)["state"] == "degraded"
    if name in {"systemd"}:
        assert "\n" not in shown
    if name == "html":
        assert "<script>" not in shown


def test_each_field_for_a_text_was_reached() -> None:
    """Else the tests above would prove nothing."""
    found = to_json(poisoned(FULL, "POISON")).decode()
    assert found.count('"POISON"') > 60
    for name in ('"words"', "wss://o2.example"):
        assert name not in found


# ── events ──────────────────────────────────────────────────────────────────────────────────────


class Event(Struct, frozen=True):
    """Of a venue that has no words for its events."""

    value: Any
    text: str = "words"


VENUE = words.O2("o2", words.O2Settings())
VALUES = [*TEXTS, *NUMBERS, *ODD]


def rows(event: Any, channel: str = "trades", key: str = "0x1") -> str:
    entry = stream_view.Entry("", VENUE, WantedTopics(channel=channel, keys=()))
    for _ in range(3):
        entry.take(Received(Topic("o2", channel, key), 0, 2, event))
    shown = [drawn(cell) for row in entry.rows() for cell in row.cells(24)]
    return "".join([*shown, *(f"{row.label}: {row.words()}" for row in entry.rows())])


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_row_of_events_shows_any_value(value: Any) -> None:
    key = value if isinstance(value, str) else "0x1"
    shown = rows(Event(value), key=key[:200])
    assert controls(shown) == set()
    assert len(shown) < 4_000


@pytest.mark.parametrize("price", NUMBERS, ids=range(len(NUMBERS)))
@pytest.mark.parametrize("text", [TEXTS[0], TEXTS[2]], ids=["c0", "bidi"])
def test_a_row_of_trades_and_books_shows_any_number(price: Any, text: str) -> None:
    level = words.Level(price, price)
    for event, channel in (
        (words.DepthSnapshot("0x1", (level, level), (level,)), "depth"),
        (words.DepthSnapshot("0x1", (), ()), "depth"),
    ):
        shown = rows(event, channel)
        assert controls(shown) == set()


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_marker_obeys_no_text(text: str) -> None:
    topic = Topic(text, text, text, ((text, text),))
    gap = structs.replace(GAP, topic=topic)
    markers = (
        gap,
        Repaired(gap, 3, complete=False, text=text),
        Lifecycle(text, "disconnected", 1, 1, text, 0),
        Lifecycle(text, "reconnecting", 1, 1, text, 0),
        structs.replace(STATE, text=text, line=text, scope=Scope(text, text)),
        Stale(topic, "nothing", 1.0, text),
    )
    for when, told, _ in stream_view.marker_lines(markers):
        assert controls(when + told) == set()
    assert controls(repr(markers)) == set()
    assert controls(str(topic)) == set()


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_tail_is_json_whatever_an_event_has(value: Any) -> None:
    item = TailItem("o2/trades", 0, 1, "Event", Event(value))
    try:
        written = to_json(item)
    except RecursionError:  # the tail sends such an event without its contents
        assert isinstance(value, list)
        return
    assert controls(written.decode()) == set()
    assert json.loads(written)["type"] == "Event"


# ── bodies of errors, logs, exceptions, views in a notebook ─────────────────────────────────────


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_the_body_of_an_error_is_json_that_a_terminal_does_not_obey(text: str) -> None:
    body = response(ServiceResponse(404, {"error": text, text: [text]})).body
    assert controls(body.decode()) == set()
    msgspec.json.decode(body)


@pytest.mark.parametrize("form", [TextFormatter, JsonFormatter])
@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_log_record_obeys_no_text(text: str, form: type[logging.Formatter]) -> None:
    caught = ValueError(text)
    record = logging.makeLogRecord(
        {"msg": "o2: %s", "args": (text,), "line": text, "feed": text, "epoch": 1}
        | {"exc_info": (ValueError, caught, caught.__traceback__), "stack_info": text}
    )
    shown = form().format(record)
    assert controls(shown) == set()
    if form is JsonFormatter:
        assert "\n" not in shown
        assert json.loads(shown)["epoch"] == 1
    else:
        assert all(row.startswith("    ") for row in shown.split("\n")[1:])


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_the_text_of_an_error_controls_no_terminal(text: str) -> None:
    topic = Topic("o2", "trades", text)
    errors = (
        SubscribeError(None, {topic: SubscriptionState("rejected", reason=text)}, why=text),
        StalePriceError(text, (Tried(text, None, text),)),
        NotLiveError({text: text}),
        Blind((structs.replace(STALE, text=text, topic=text),)),
        RotationFailed({text: text}),
        StreamClosed(text, text),
        RuntimeStopped(text),
        AskRefusedError("o2", text, 3, text, text),
        ConfigError([text, text]),
    )
    for error in errors:
        assert controls(str(error)) == set()
        assert controls(repr(error)) == set()


def views(text: str, number: Any) -> tuple[Any, ...]:
    topic = Topic("o2", "depth", text)
    bars = tuple(structs.replace(bar, open=number, close=number, volume=number) for bar in BARS)
    frame = FrameView(text, bars, bars[0], synced=False, reason=text)
    order = OrderView(AccountOrder(id=7, contract=text, state="working", side="buy", size=number))
    position = PositionView(
        contract=text, net=None, average_price=number, why=text, row=AccountPosition(contract=text, net=2)
    )
    flat = Flat("no", (text,))
    return (
        BookView(topic, "synced", "", ((number, number),), ((number, number),), received_ns=1),
        BookView(topic, "syncing", text),
        frame,
        BarsView("o2", text, {text: frame}),
        AccountView(
            feed="px",
            account=1,
            state="synced",
            reasons=(text,),
            positions=(position,),
            orders=(order,),
            fills=(),
            balance=None,
            realised=number,
            unrealised=number,
            since_ns=0,
            at_ns=0,
            age_s=None,
            flat=flat,
            unproved=(text,),
        ),
        flat,
        LatestPrice(
            feed="o2",
            symbol=text,
            source="rest",
            bid=number,
            bid_size=number,
            tried=(Tried(text, None, text),),
        ),
        structs.replace(STALE, text=text, topic=text),
    )  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS, ids=range(len(NUMBERS)))
@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_view_in_a_notebook_shows_any_value(text: str, number: Any) -> None:
    for view in views(text, number):
        shown = view._repr_html_()
        assert shown is not None, type(view)
        assert controls(shown) == set()
        assert "<script>" not in shown
        assert len(shown) < 100_000
        assert controls(repr(view)) == set()


def test_what_cannot_be_shown_is_no_failure_of_the_page() -> None:
    assert "NoText" in stream_view.field_words(Event(NoText()))
    assert "words" in stream_view.field_words(Event(nested()))
    assert page("\x1b", "") != ""
    assert Decimal(to_json(10**5_000).decode()) == 10**5_000


class EndedStream:
    """A stream with these items, and no more."""

    feed, channel = "o2", "trades"

    def __init__(self, *items: Any) -> None:
        self.items = lambda: iter(items)


def test_a_tail_goes_on_after_an_event_that_json_cannot_have() -> None:
    events = (Received(TOPIC, 0, 1, Event(value)) for value in (nested(), "\ud800\x9b", 1))
    tail = Tail(cast("Stream[Any]", EndedStream(*events)), lambda: None, markers=False)
    first, second, third = map(json.loads, tail.frames())
    assert first["event"] is None
    assert first["error"] == "it cannot be written as JSON: RecursionError"
    assert second["event"] == {"value": "\\ud800\\x9b", "text": "words"}
    assert third["event"]["value"] == 1
    assert "error" not in third


def test_the_words_of_a_venue_are_escaped_where_they_come_in(o2: SimulatedO2, market: str) -> None:
    """So each view, log and error of any program has them so."""
    with actors.start({"feeds": {"o2": {"venue": "o2", "url": o2.url}}}, wait=20.0) as runtime:
        stream = runtime.subscribe("o2", "trades", market, wait=20.0)
        o2.error(4001, TEXTS[0] + TEXTS[2])
        line = until(runtime, lambda status: status.lines()["o2"].last_venue_error != "").lines()["o2"]
        assert r"\x1b]0;title\x07\x1b[2J" in line.last_venue_error
        assert controls(line.last_venue_error) == set()
        o2.close(1008, "\x1b[31m\x9b\u202e\r\nbye")
        line = until(runtime, lambda status: status.lines()["o2"].reason is not None).lines()["o2"]
        lost = next(item for item in stream.items() if isinstance(item, Lifecycle) and item.reason)
        assert line.reason is not None
        for told in (line.reason.text, lost.reason, line.journal[-1].text):
            assert r"\x1b[31m\x9b\u202e\r\nbye" in told
