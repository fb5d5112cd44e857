"""What a notebook shows of a value: a small table that is escaped, bounded and free of secrets."""

from __future__ import annotations

import re
import threading
from decimal import Decimal
from html.parser import HTMLParser
from types import MappingProxyType
from typing import Any

import pytest
from msgspec import structs

from actors import Runtime, Topic
from actors.display import html
from actors.display.shown import html_of
from actors.events import Freshness, Gap, SubscriptionState
from actors.protocol.accounts import AccountOrder, AccountPosition
from actors.rules.account.view import AccountView, Flat, OrderView, PositionView
from actors.rules.bars.view import BarsView, FrameView
from actors.rules.latest_price import LatestPrice
from actors.rules.order_book import BookView
from actors.simulators import SimulatedAlpaca, SimulatedO2
from actors.status import Cause, HaltStatus, Status, TopicStatus
from tests.display.test_records import BARS
from tests.supervision.test_forks import held
from tests.support.runtimes import KEY, SECRET, alpaca_runtime, until
from tests.test_stream import in_a_child, needs_fork

HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e\ud800$x$\n&quot;'\"" + "long " * 1_000
TAGS = {"div", "b", "table", "thead", "tbody", "tr", "th", "td"}
ATTRIBUTES = {"class", "style"}
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Shown(HTMLParser):
    """Reads HTML as a browser does. Any other tag or attribute than those of a table is a mistake."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        told = value if isinstance(value, str) else value._repr_html_()
        assert told is not None
        assert len(told) < 50_000
        assert CONTROL.search(told) is None
        self.cells: list[str] = []
        self.bold: list[str] = []
        self._open: list[str] = []
        self.feed(told)
        self.close()
        assert self._open == []
        self.text = " ".join(self.cells)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        if not self._open:  # notebooks read $…$ as formulas, except in these
            assert {"tex2jax_ignore", "mathjax_ignore"} <= set(str(dict(attributes)["class"]).split())
        assert {name for name, _ in attributes} <= ATTRIBUTES
        assert all("color" not in str(value) and "background" not in str(value) for _, value in attributes)
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.cells.append(data)
        if self._open[-1] == "b":
            self.bold.append(data)


def until_live(runtime: Runtime) -> Status:
    return until(runtime, lambda status: status.state == "live")


# ── runtime and status ──────────────────────────────────────────────────────────────────────────


def test_a_runtime_shows_its_lines_and_streams(o2: SimulatedO2, runtime: Runtime, market: str) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    o2.trade(market)
    trades.get(timeout=10.0)
    until_live(runtime)
    shown = Shown(runtime)
    assert shown.cells[0] == "Runtime linewarden: live · 1 of 1 line live"
    assert shown.cells[1].startswith("up ")
    for cell in ("o2", "1/1", "o2/trades", "drop_oldest"):
        assert cell in shown.cells
    assert shown.bold == [shown.cells[0]]
    assert Shown(runtime.status()).cells[0] == "Status linewarden: live · 1 of 1 line live"


def test_a_runtime_shows_its_end_and_one_that_was_not_started_its_repr(runtime: Runtime) -> None:
    runtime.stop()
    assert Shown(runtime).cells[0].startswith("Runtime linewarden: stopped · 0 of 1 line live")
    assert Shown(Runtime.__new__(Runtime)).text == "<Runtime that was not started>"


def test_what_needs_a_look_comes_first_in_bold_and_the_rest_is_counted(runtime: Runtime, market: str) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    status = until(runtime, lambda status: bool(status.streams))
    feed, line = status.feeds["o2"], status.lines()["o2"]
    failed = structs.replace(line, state="failed", reason=Cause("fatal", "auth", HOSTILE))
    lines = {f"line-{number}": line for number in range(199)} | {"bad": failed}
    stream = status.streams[0]
    assert stream.id == trades.id
    streams = [structs.replace(stream, id=number, feed=HOSTILE) for number in range(300)]
    streams.append(structs.replace(stream, id=999, dropped=5))
    stale = Freshness("stale", "pongs", text=HOSTILE)
    many = structs.replace(
        status,
        feeds={"o2": structs.replace(feed, lines=lines)},
        streams=tuple(streams),
        untrusted={f"o2/trades/{number}{HOSTILE}": stale for number in range(10_000)},
        halts=(HaltStatus("h1", "all", HOSTILE, 1, "ann"),),
    )
    shown = Shown(many)
    assert shown.bold[1] == "bad"
    assert "… and 180 more lines" in shown.cells
    assert "… and 281 more streams" in shown.cells
    assert "… and 9,990 more" in shown.cells
    last_heading = len(shown.cells) - shown.cells[::-1].index("lag") - 1
    assert shown.cells[last_heading + 1] == "999"
    assert "999" in shown.bold
    (halted,) = [cell for cell in shown.cells if cell.startswith("HALTED: all: <script>")]
    assert halted.endswith("To end it: linewarden unhalt h1")


def test_a_long_reason_of_a_line_leaves_its_advice(runtime: Runtime) -> None:
    status = runtime.status()
    reason = Cause("fatal", "auth", "no " * 100, "Check key and secret")
    failed = structs.replace(status.lines()["o2"], state="failed", reason=reason)
    feeds = {"o2": structs.replace(status.feeds["o2"], lines={"o2": failed})}
    (told,) = [cell for cell in Shown(structs.replace(status, feeds=feeds)).cells if "failed;" in cell]
    assert "; auth: no no" in told
    assert told.endswith(", or linewarden reload")
    assert ". Check key and secret. Then: linewarden restart o2, or" in told


def test_the_variables_that_a_login_was_taken_from_are_named(runtime: Runtime) -> None:
    status = runtime.status()
    feed = structs.replace(status.feeds["o2"], login_variables=("ALPACA_API_KEY", "ALPACA_SECRET_KEY"))
    told = Shown(structs.replace(status, feeds={"o2": feed})).cells
    assert "o2: its login was taken from ALPACA_API_KEY and ALPACA_SECRET_KEY of the environment" in told


def test_a_status_with_ten_thousand_topics_is_as_short(runtime: Runtime) -> None:
    status = runtime.status()
    topics = tuple(
        TopicStatus(f"o2/trades/{number}", SubscriptionState("confirmed"), None, stale=False)
        for number in range(10_000)
    )
    line = structs.replace(status.lines()["o2"], topics=topics)
    feeds = {"o2": structs.replace(status.feeds["o2"], lines={"o2": line})}
    assert "10000/10000" in Shown(structs.replace(status, feeds=feeds)).cells


def test_no_secret_is_shown() -> None:
    with (
        SimulatedAlpaca(rate=0, keys={KEY: "other"}) as alpaca,
        alpaca_runtime(alpaca, live=False) as runtime,
    ):
        status = until(runtime, lambda status: status.lines()["iex"].state == "failed")
        for value in (runtime, status):
            assert "auth failed" in Shown(value).text
            assert KEY not in Shown(value).text
            assert SECRET not in Shown(value).text


def test_what_is_shown_asks_no_actor(runtime: Runtime, market: str) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    runtime._tree.ask = None  # type: ignore[assignment,method-assign]
    assert Shown(runtime).text
    assert Shown(trades).text
    del runtime._tree.ask


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_shows_its_parents_values_while_their_locks_are_held(
    o2: SimulatedO2, runtime: Runtime, market: str
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    o2.trade(market)
    trades.get(timeout=10.0)
    permit, status, shown = runtime.require(trades, max_age=60.0), runtime.status(), Shown(trades).text
    with held(runtime, trades):
        assert (
            in_a_child(lambda: Shown(runtime).text)
            == "<Runtime linewarden: of the parent process, see ForkError>"
        )
        assert in_a_child(lambda: Shown(trades).text) == shown
        assert "of another process" in in_a_child(lambda: Shown(permit).text)
        assert in_a_child(lambda: Shown(status).text) == Shown(status).text


def test_values_are_shown_while_other_threads_change_them(o2: SimulatedO2, runtime: Runtime) -> None:
    """A drop, trades and a reader at a time: what is shown then is a page each time, and never a failure."""
    markets = o2.markets[:1]
    trades = runtime.subscribe("o2", "trades", markets[0], wait=10.0)
    over = threading.Event()

    def change() -> None:
        try:
            for number in range(60):
                o2.trade(markets[0])
                list(trades.take(0))
                if number % 20 == 19:
                    o2.drop()
        finally:
            over.set()

    thread = threading.Thread(target=change)
    thread.start()
    looks = 0
    while not over.is_set() or not looks:
        assert Shown(trades).cells
        assert Shown(runtime).cells
        looks += 1
    thread.join()


def test_a_value_that_cannot_be_shown_shows_its_repr() -> None:
    assert html_of(object(), "view_pages:of_book") is None
    assert html_of(object(), "view_pages:missing") is None


# ── a stream ────────────────────────────────────────────────────────────────────────────────────


def test_a_stream_shows_its_counters_and_gaps_and_gives_up_no_event(
    o2: SimulatedO2, runtime: Runtime, market: str
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    o2.trade(market, trade_id="1")
    until(runtime, lambda _: trades.queued == 1)
    o2.drop()
    until(runtime, lambda status: status.lines()["o2"].counters.restored == 1)
    o2.trade(market, trade_id="2")
    until(runtime, lambda _: trades.queued == 2)
    shown = Shown(trades)
    assert shown.cells[0] == "Stream 1 o2/trades"
    told = dict(zip(shown.cells[1::2], shown.cells[2::2], strict=False))
    assert (told["state"], told["received"], told["delivered"]) == ("open", "2", "0")
    assert told["topics"] == f"1: o2/trades/{market}"
    assert re.fullmatch(r"2, the oldest for [\d.]+ s", told["queued"])
    assert [trade.trade_id for trade in trades.get_many(2, timeout=10.0)] == ["1", "2"]
    assert "disconnect" in Shown(trades).cells
    trades._passed.extend(Gap(Topic("o2", "trades", key), "sequence", None, 0, 0, 2) for key in ("a", "b"))
    cells = Shown(trades).cells  # the newest first
    assert cells.index("trades b") < cells.index("trades a") < cells.index("disconnect")
    trades.close()
    assert "closed: closed by its reader" in Shown(trades).cells


def test_rejected_topics_of_a_stream_come_first(o2: SimulatedO2, runtime: Runtime, market: str) -> None:
    trades = runtime.subscribe("o2", "trades", market)
    topics = {Topic("o2", "trades", f"{number:03}") for number in range(1_000)}
    bad = Topic("o2", "trades", "zzz")
    trades._topics = {*topics, bad}  # type: ignore[assignment]
    states = MappingProxyType({bad: SubscriptionState("rejected", reason="no such market")})
    trades._control = type("Control", (), {"states": lambda *_: states})()
    try:
        cell = next(cell for cell in Shown(trades).cells if cell.startswith("1,001: "))
    finally:
        trades._topics = trades._inlet.wanted
        trades._control = runtime._streams
    assert cell.startswith("1,001: o2/trades/zzz (rejected: no such market), ")
    assert cell.endswith(" and 996 more")


# ── views ───────────────────────────────────────────────────────────────────────────────────────

BOOK = Topic("o2", "depth", HOSTILE)
LEVELS = tuple((Decimal(number), 1) for number in range(5_000, 0, -1))


def test_a_book_shows_its_best_levels_and_how_many_more_there_are() -> None:
    view = BookView(BOOK, "synced", "", LEVELS, ((Decimal("5000.5"), 2),), received_ns=1)
    shown = Shown(view)
    assert shown.cells[1].startswith("5,000 bids · 1 ask · spread 0.5 · received ")
    assert shown.cells[6:10] == ["1", "5,000", "5,000.5", "2"]
    assert shown.cells[-1] == "… and 4,990 more levels"
    assert Shown(BookView(BOOK, "syncing", HOSTILE)).cells[1].startswith("<script>")


def test_bars_show_the_newest_and_whether_they_are_synced() -> None:
    frame = FrameView("1min", BARS * 100, BARS[1], synced=False, reason=HOSTILE)
    shown = Shown(frame)
    assert "190 earlier bars are not shown" in shown.cells
    assert "6,800.25" in shown.cells
    assert "forms" in shown.cells
    assert "1min" in Shown(BarsView("px", HOSTILE, {"1min": frame})).bold


def test_an_account_shows_positions_orders_and_what_is_missing() -> None:
    position = PositionView(
        contract="ENQ", net=-2, average_price=None, why=HOSTILE, row=AccountPosition(contract="ENQ", net=-2)
    )
    order = OrderView(AccountOrder(id=7, contract=HOSTILE, state="working", side="buy", size=3))
    view = AccountView(
        feed="px",
        account=1,
        state="synced",
        reasons=(HOSTILE,),
        positions=(position,) * 100,
        orders=(order,) * 500,
        fills=(),
        balance=None,
        realised=Decimal("12.5"),
        unrealised=None,
        since_ns=0,
        at_ns=0,
        age_s=None,
        flat=Flat("no", (HOSTILE,)),
        unproved=(),
    )
    shown = Shown(view)
    assert {"no", "12.5", "-2", "7", "… and 80 more positions", "… and 480 more orders"} <= set(shown.cells)
    assert Shown(view.flat).cells[0] == "Flat: no"
    unknown = structs.replace(view, positions=(structs.replace(position, net=None),))
    cells = Shown(unknown).cells
    assert cells[cells.index("ENQ") + 1] == "unknown"


def test_the_repr_of_a_view_does_not_obey_the_words_of_a_venue() -> None:
    hostile = f"{HOSTILE} \u202e \x1b[31m \x00 \n"
    frame = FrameView("1min", (), None, synced=False, reason=hostile)
    views = (
        BookView(Topic("o2", "depth", "0xbeef"), "syncing", hostile),
        frame,
        BarsView("o2", "0xbeef", {"1min": frame}),
    )
    for view in views:
        assert "script" in repr(view)
        assert repr(view).isprintable()


def test_prices_and_freshness_are_shown_in_words(o2: SimulatedO2, runtime: Runtime, market: str) -> None:
    price = LatestPrice(feed="o2", symbol=HOSTILE, source="rest", bid=Decimal("99.5"), bid_size=3)
    assert "99.5 × 3" in Shown(price).cells
    assert "not fresh" in Shown(Freshness("blind", "no_event", text=HOSTILE)).cells[0]
    trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    o2.trade(market)
    until(runtime, lambda _: trades.queued == 1)
    permit = runtime.require(trades, max_age=60.0)
    assert Shown(permit).cells == ["Permit for 1 topic: valid"]
    runtime.stop()
    assert Shown(permit).cells[0] == "Permit for 1 topic: not valid"


@pytest.mark.parametrize("size", [0, 1, html.NOTES, html.NOTES + 1])
def test_notes_are_counted_beyond_the_first(size: int) -> None:
    cells = Shown(html.page("t", html.notes(map(str, range(size))))).cells[1:]
    assert cells == [str(number) for number in range(size)][: html.NOTES] + ["… and 1 more"] * (
        size > html.NOTES
    )
