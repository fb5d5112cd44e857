"""Views in a notebook: order books, bars, accounts, prices; and whether one may act on them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, zip_longest
from typing import Any

from actors.display.html import NOTES, Row, facts, notes, page, table
from actors.display.text import clock, day_and_clock, span
from actors.events import Freshness
from actors.protocol.bars import Bar
from actors.protocol.formatting import counted, exact
from actors.protocol.prices import Number
from actors.rules.account.view import AccountView, Flat, PositionView
from actors.rules.bars.view import BarsView, FrameView
from actors.rules.latest_price import LatestPrice
from actors.rules.order_book import BookView, Level

LEVELS = 10  # of each side of a book that are shown
BARS = 10  # that are shown, the newest
BOOK = ("bid quantity", "bid", "ask", "ask quantity")
BAR = ("start", "open", "high", "low", "close", "volume", "trades", "")
FRAME = ("timeframe", "finished", "newest", "")
POSITION = ("contract", "net", "average price", "unrealised", "mark")
ORDER = ("order", "contract", "side", "size", "filled", "type", "limit", "stop", "state")


def number(value: Number | None) -> str:
    """Returns all of its digits; empty: it is not known."""
    return "" if value is None else exact(value)


# ── order books ─────────────────────────────────────────────────────────────────────────────────


def of_book(view: BookView) -> str:
    """Returns the best levels of both sides."""
    title = f"BookView {view.topic}: {view.state}"
    if not view.synced:
        return page(title, notes([view.reason]))
    bids, asks = view.bids[:LEVELS], view.asks[:LEVELS]
    rows = [Row((*_level(bid)[::-1], *_level(ask))) for bid, ask in zip_longest(bids, asks)]
    left = max(len(view.bids), len(view.asks)) - len(rows)
    received = "" if view.received_ns is None else f"received {clock(view.received_ns)}"
    sides = f"{counted(len(view.bids), 'bid')} · {counted(len(view.asks), 'ask')}"
    spread = _spread(view)
    words = " · ".join(filter(None, (sides, spread, received)))
    return page(title, notes([words]), table(BOOK, rows, "levels", right=BOOK, left_out=left))


def _spread(view: BookView) -> str:
    """Empty where there is none, or the prices are no numbers to subtract."""
    try:
        return "" if view.spread is None else f"spread {number(view.spread)}"
    except ArithmeticError:
        return ""


def _level(level: Level | None) -> tuple[str, str]:
    return ("", "") if level is None else (number(level[0]), number(level[1]))


# ── bars ────────────────────────────────────────────────────────────────────────────────────────


def of_bars(view: BarsView) -> str:
    """Returns one row per timeframe."""
    rows = [
        Row(
            (name, f"{len(each.finished):,}", _newest(each), "" if each.synced else each.reason),
            troubled=not each.synced,
        )
        for name, each in view.frames.items()
    ]
    return page(f"BarsView {view.feed}/{view.key}", table(FRAME, rows, "timeframes", right=FRAME[1:2]))


def _newest(frame: FrameView) -> str:
    bar = frame.forming or (frame.finished[-1] if frame.finished else None)
    return "" if bar is None else f"{day_and_clock(bar.start_ns)}: {number(bar.close)}"


def of_frame(view: FrameView) -> str:
    """Returns its newest bars, and the one that forms."""
    shown: Sequence[Bar] = view.finished[-BARS:]
    rows = [_bar(bar, "") for bar in shown]
    rows += [] if view.forming is None else [_bar(view.forming, "forms")]
    earlier = len(view.finished) - len(shown)
    title = f"FrameView {view.timeframe}: {counted(len(view.finished), 'finished bar')}"
    told = [f"{earlier:,} earlier bars are not shown"] if earlier else []
    told += [] if view.synced else [view.reason]
    return page(title, notes(told), table(BAR, rows, "bars", right=BAR[1:7]))


def _bar(bar: Bar, note: str) -> Row:
    prices = (bar.open, bar.high, bar.low, bar.close, bar.volume)
    trades = "" if bar.trades is None else f"{bar.trades:,}"
    words = ", ".join(filter(None, (note, "" if bar.exact or note else "not exact")))
    return Row((day_and_clock(bar.start_ns), *map(number, prices), trades, words))


# ── accounts ────────────────────────────────────────────────────────────────────────────────────


def of_account(view: AccountView) -> str:
    """Returns what is missing, then positions and working orders."""
    money = facts(
        (
            ("flat", view.flat.answer),
            ("balance", number(view.balance.balance) if view.balance else ""),
            ("realised", number(view.realised)),
            ("unrealised", number(view.unrealised)),
            ("looked at", "" if view.age_s is None else f"{span(view.age_s)} ago"),
        )
    )
    orders = [
        Row(
            (
                str(order.id),
                order.contract,
                order.side or "",
                number(order.size),
                number(order.filled),
                order.type,
                number(order.limit_price),
                number(order.stop_price),
                order.state,
            )
        )
        for order in (each.order for each in islice(view.orders, 20))
    ]
    more = len(view.orders) - len(orders)
    return page(
        f"AccountView {view.feed}/{view.account}: {view.state}",
        notes((*view.reasons, *view.unproved)),
        money,
        table(POSITION, [*map(_position, view.positions)], "positions", right=POSITION[1:]),
        table(ORDER, orders, "orders", right=(*ORDER[3:5], *ORDER[6:8]), left_out=more),
    )


def _position(position: PositionView) -> Row:
    unrealised = number(position.unrealised) or position.why
    net = "unknown" if position.net is None else f"{position.net:+,}"
    name = position.name or position.contract
    return Row((name, net, number(position.average_price), unrealised, number(position.mark)))


def of_flat(flat: Flat) -> str:
    """Returns the answer and what makes it, or what is missing for one."""
    return page(f"Flat: {flat.answer}", notes(flat.reasons))


# ── prices, freshness ───────────────────────────────────────────────────────────────────────────


def of_price(price: LatestPrice) -> str:
    """Returns the quote and the trade, each with its age."""
    quote = [("bid", price.bid, price.bid_size), ("ask", price.ask, price.ask_size)]
    sides = [
        (name, number(level) + (f" × {number(size)}" if size is not None else ""))
        for name, level, size in (*quote, ("last", price.last, price.last_size))
    ]
    ages = [("quote age", price.quote_age), ("trade age", price.trade_age)]
    told = [(name, "" if age is None else span(age)) for name, age in ages]
    tried = [f"{each.source}{' ' + each.part if each.part else ''}: {each.why}" for each in price.tried]
    title = f"LatestPrice {price.feed}/{price.symbol} ({price.source})"
    return page(title, facts((*sides, *told)), notes(tried))


def of_freshness(found: Freshness) -> str:
    """Returns the same words as `str`."""
    return page(f"Freshness: {'fresh' if found.fresh else 'not fresh'}", notes([str(found)]))


def of_permit(permit: Any) -> str:
    """Returns whether it holds now, and why not."""
    if permit._home.is_left:
        return page(repr(permit))
    reasons = permit.reasons
    told = [*map(str, reasons[:NOTES])]
    title = f"Permit for {counted(len(permit.topics), 'topic')}: {'valid' if not reasons else 'not valid'}"
    return page(title, notes(told, more=len(reasons) - len(told)))
