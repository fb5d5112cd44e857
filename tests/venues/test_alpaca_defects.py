"""What clients of Alpaca are known to get wrong, and ours does not: as far as a session can show it.

The numbers are those of alpaca-py 0.44.0's weaknesses as we count them, the letters those of the market
data layer that this project grew from. What needs a running runtime to be seen (lifecycle events, slow
and failing handlers, deadlocks, timeouts, backoff, stopping) belongs to `tests/stories`.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec
import pytest

from actors.events import Topic
from actors.protocol import Opening
from actors.protocol.session import (
    BINARY,
    TEXT,
    Announce,
    Complain,
    Confirm,
    Deliver,
    Effect,
    End,
    Missed,
    Quarantine,
    Reject,
    Send,
    Session,
    SessionState,
    Unrouted,
)
from actors.reasons import Fatal, Slow
from actors.secret import Secret
from actors.venues.alpaca import Alpaca, AlpacaSettings, CancelError, Correction, Luld, Quote, Trade

T = "2026-03-02T15:04:05.120000045Z"
QUOTE = {"T": "q", "S": "AAPL", "bp": 10.01, "bs": 3, "ap": 10.02, "as": 1, "t": T}


def alpaca(**settings: object) -> Alpaca:
    return Alpaca("alpaca", AlpacaSettings(key=Secret("K"), secret=Secret("S"), **settings))  # type: ignore[arg-type]


def heard(session: Session, *messages: object) -> list[Effect]:
    return session.received([(TEXT, msgspec.json.encode(message)) for message in messages], 0.0)


def logged_in(venue: Alpaca) -> Session:
    session = venue.session(Opening("alpaca"))
    session.opened(0.0)
    for said in ("connected", "authenticated"):
        heard(session, [{"T": "success", "msg": said}])
    assert session.state is SessionState.OPEN
    return session


def topics(venue: Alpaca, *names: str) -> list[Topic]:
    return [venue.topic(name.partition("/")[0], name.partition("/")[2], {}) for name in names]


def live(*names: str) -> tuple[Session, list[Topic]]:
    """Stocks, with these topics confirmed."""
    venue = alpaca()
    session, wanted = logged_in(venue), topics(venue, *names)
    listed: dict[str, list[str]] = {}
    for topic in wanted:
        listed.setdefault(topic.channel, []).append(topic.key)
    session.subscribe(wanted, 0.0)
    heard(session, [{"T": "subscription", **listed}])
    return session, wanted


def account() -> tuple[Session, Topic]:
    venue = alpaca(stream="account")
    session = venue.session(Opening("alpaca"))
    session.opened(0.0)
    heard(session, {"stream": "authorization", "data": {"status": "authorized"}})
    return session, venue.topic("trade_updates", "", {})


def delivered(effects: Sequence[Effect]) -> list[object]:
    return [event for effect in effects if isinstance(effect, Deliver) for _, event in effect.pairs]


# ── alpaca-py ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", [402, 408, 409, 411, 412])
def test_1_what_cannot_be_mended_by_trying_again_is_fatal_and_says_what_to_do(code: int) -> None:
    session = alpaca().session(Opening("alpaca"))
    session.opened(0.0)
    [_, end] = heard(
        session, [{"T": "success", "msg": "connected"}], [{"T": "error", "code": code, "msg": "x"}]
    )
    assert isinstance(end, End)
    assert isinstance(end.reason, Fatal)
    assert end.reason.advice


def test_1_an_account_that_is_not_authorized_is_not_asked_again() -> None:
    session = alpaca(stream="account").session(Opening("alpaca"))
    session.opened(0.0)
    [end] = heard(session, {"stream": "authorization", "data": {"status": "unauthorized"}})
    assert isinstance(end, End)
    assert isinstance(end.reason, Fatal)
    assert all(word in end.reason.advice for word in ("key", "secret", "paper"))


@pytest.mark.parametrize("code", [400, 405, 406, 407, 410, 413, 499])
def test_2_no_error_after_the_login_is_dropped(code: int) -> None:
    venue = alpaca()
    session = logged_in(venue)
    session.subscribe(topics(venue, "quotes/AAPL"), 0.0)
    effects = heard(session, [{"T": "error", "code": code, "msg": "told"}])
    assert len(effects) == 1
    assert isinstance(effects[0], Reject | End | Complain)
    assert "told" in str(effects[0])


def test_3_a_subscription_that_the_venue_did_not_make_is_seen() -> None:
    venue = alpaca()
    session = logged_in(venue)
    there, missing = topics(venue, "quotes/AAPL", "quotes/XYZ")
    session.subscribe([there, missing], 0.0)
    confirmed, rejected = heard(session, [{"T": "subscription", "quotes": ["AAPL"]}])
    assert confirmed == Confirm((there,))
    assert isinstance(rejected, Reject)
    assert rejected.topics == (missing,)


def test_8_giving_up_what_was_not_asked_for_does_nothing() -> None:
    session, _ = live("quotes/AAPL")
    assert session.unsubscribe(topics(alpaca(), "quotes/XYZ", "trades/AAPL"), 0.0) == []


def test_11_control_messages_may_stand_anywhere() -> None:
    session = alpaca().session(Opening("alpaca"))
    session.opened(0.0)
    mixed = [QUOTE, {"T": "success", "msg": "connected"}, {"T": "success", "msg": "authenticated"}, QUOTE]
    effects = heard(session, mixed)
    assert [type(effect) for effect in effects] == [Send, Announce, Unrouted]


@pytest.mark.parametrize(
    ("name", "element", "kind"),
    [
        ("lulds/AAPL", {"T": "l", "S": "AAPL", "u": 11.02, "d": 9.02, "i": "B", "t": T, "z": "C"}, Luld),
        ("imbalances/AAPL", {"T": "i", "S": "AAPL", "p": 10.5, "t": T, "z": "C"}, None),
    ],
)
def test_14_bands_and_imbalances_are_channels_with_types(
    name: str, element: dict[str, object], kind: type | None
) -> None:
    session, [topic] = live(name)
    [effect] = heard(session, [element])
    assert isinstance(effect, Deliver)
    assert [where for where, _ in effect.pairs] == [topic]
    assert kind is None or isinstance(effect.pairs[0][1], kind)


def test_15_times_have_their_nanoseconds_and_prices_their_decimals() -> None:
    session, _ = live("quotes/AAPL", "trades/AAPL")
    trade = (
        b'[{"T":"t","S":"AAPL","i":1,"p":0.1000000000000000055,"s":100,"t":"2026-03-02T15:04:05.335689322Z"}]'
    )
    [quote] = delivered(heard(session, [QUOTE]))
    [exact] = delivered(session.received([(TEXT, trade)], 0.0))
    assert isinstance(quote, Quote)
    assert isinstance(exact, Trade)
    assert (quote.ts_ns, quote.bid_price) == (1_772_463_845_120_000_045, Decimal("10.01"))
    assert (exact.ts_ns, exact.price) == (1_772_463_845_335_689_322, Decimal("0.1000000000000000055"))
    assert exact.size == 100


def test_16_corrections_and_cancellations_are_told_whether_they_come_or_not() -> None:
    venue = alpaca()
    session, wanted = logged_in(venue), topics(venue, "corrections/AAPL", "cancel_errors/AAPL")
    session.subscribe(wanted, 0.0)
    listed = {"trades": ["AAPL"], "corrections": ["AAPL"], "cancelErrors": ["AAPL"]}
    assert heard(session, [{"T": "subscription", **listed}]) == [Confirm(tuple(wanted))]
    correction = {"T": "c", "S": "AAPL", "oi": 1, "op": 10.02, "os": 1, "ci": 2, "cp": 10, "cs": 1, "t": T}
    cancelled = {"T": "x", "S": "AAPL", "i": 2, "p": 10, "s": 1, "a": "C", "t": T}
    kinds = [type(event) for event in delivered(heard(session, [correction, cancelled]))]
    assert kinds == [Correction, CancelError]


def test_17_a_place_that_is_taken_is_asked_for_slowly() -> None:
    session = alpaca().session(Opening("alpaca"))
    session.opened(0.0)
    [end] = heard(session, [{"T": "error", "code": 406, "msg": "connection limit exceeded"}])
    assert isinstance(end, End)
    assert isinstance(end.reason, Slow)


def test_18_the_account_streams_list_is_compared_with_what_was_asked() -> None:
    session, topic = account()
    session.subscribe([topic], 0.0)
    [rejected] = heard(session, {"stream": "listening", "data": {"streams": []}})
    assert isinstance(rejected, Reject)


def test_18_a_login_answer_without_data_is_a_failure_and_no_exception() -> None:
    session = alpaca(stream="account").session(Opening("alpaca"))
    session.opened(0.0)
    [end] = heard(session, {"stream": "authorization", "data": None})
    assert isinstance(end, End)


def test_18_an_error_within_the_account_stream_ends_it() -> None:
    session, topic = account()
    session.subscribe([topic], 0.0)
    [end] = heard(session, {"action": "error", "data": {"error_message": "internal server error"}})
    assert isinstance(end, End)
    assert "internal server error" in end.reason.text


def test_20_all_topics_of_an_endpoint_share_one_connection() -> None:
    venue = alpaca()
    every = topics(
        venue, *(f"{channel}/S{n}" for channel in ("trades", "quotes", "bars") for n in range(500))
    )
    assert venue.spread(every) == {"alpaca": every}


# ── the layer that this project grew from ───────────────────────────────────────────────────────


def test_b_wrong_keys_let_go_of_the_connection_at_once() -> None:
    session = alpaca().session(Opening("alpaca"))
    session.opened(0.0)
    effects = heard(
        session, [{"T": "success", "msg": "connected"}], [{"T": "error", "code": 402, "msg": "x"}]
    )
    assert isinstance(effects[-1], End)
    assert session.state is SessionState.ENDED


def test_c_an_error_frame_is_an_error() -> None:
    venue = alpaca()
    session, wanted = logged_in(venue), topics(venue, "quotes/AAPL")
    session.subscribe(wanted, 0.0)
    [rejected] = heard(session, [{"T": "error", "code": 405, "msg": "symbol limit exceeded"}])
    assert isinstance(rejected, Reject)


@pytest.mark.parametrize("welcome", [[{"T": "success", "msg": "hello"}], [{"T": "subscription"}], [], {}])
def test_d_the_keys_are_told_to_a_venue_that_says_it_is_one(welcome: object) -> None:
    session = alpaca().session(Opening("alpaca"))
    assert session.opened(0.0) == []
    assert not [effect for effect in heard(session, welcome) if isinstance(effect, Send)]
    assert session.state is SessionState.LOGGING_IN


def test_g_the_venues_time_is_kept() -> None:
    session, _ = live("quotes/AAPL")
    [quote] = delivered(heard(session, [QUOTE]))
    price = alpaca().price(quote)
    assert price is not None
    assert price.quoted_ns == 1_772_463_845_120_000_045


def test_h_a_trade_says_nothing_of_bid_and_ask_and_a_quote_nothing_of_last() -> None:
    session, _ = live("quotes/AAPL", "trades/AAPL")
    events = delivered(heard(session, [QUOTE, {"T": "t", "S": "AAPL", "p": 10.02, "s": 1, "t": T}]))
    quoted, traded = (alpaca().price(event) for event in events)
    assert quoted is not None
    assert traded is not None
    assert (quoted.quotes, quoted.last) == (True, None)
    assert (traded.quotes, traded.bid, traded.ask, traded.last) == (False, None, None, Decimal("10.02"))


def test_i_a_quote_of_one_side_makes_no_price_of_the_other() -> None:
    session, _ = live("quotes/AAPL")
    [quote] = delivered(heard(session, [{**QUOTE, "ap": 0, "as": 0}]))
    price = alpaca().price(quote)
    assert price is not None
    assert (price.bid, price.ask, price.last) == (Decimal("10.01"), None, None)


def test_j_a_null_costs_its_own_element_alone() -> None:
    session, wanted = live("quotes/AAPL")
    effects = heard(session, [QUOTE, {**QUOTE, "bp": None}, QUOTE])
    assert [type(effect) for effect in effects] == [Deliver, Quarantine, Missed, Deliver]
    assert effects[2] == Missed(tuple(wanted), "quarantine")
    assert session.state is SessionState.OPEN


def test_m_msgpack_is_read_and_written() -> None:
    venue = alpaca(encoding="msgpack")
    session = venue.session(Opening("alpaca"))
    session.opened(0.0)
    for said in ("connected", "authenticated"):
        session.received([(BINARY, msgspec.msgpack.encode([{"T": "success", "msg": said}]))], 0.0)
    [send] = session.subscribe(topics(venue, "quotes/AAPL"), 0.0)
    assert isinstance(send, Send)
    assert isinstance(send.payload, bytes)
    assert msgspec.msgpack.decode(send.payload) == {"action": "subscribe", "quotes": ["AAPL"]}


def test_n_topics_come_and_go_on_a_connection_that_is_up() -> None:
    venue = alpaca()
    session, [former] = live("quotes/AAPL")
    [new] = topics(venue, "trades/MSFT")
    assert [type(effect) for effect in session.subscribe([new], 0.0)] == [Send]
    assert heard(session, [{"T": "subscription", "quotes": ["AAPL"], "trades": ["MSFT"]}]) == [
        Confirm((new,))
    ]
    assert [type(effect) for effect in session.unsubscribe([former], 0.0)] == [Send]
