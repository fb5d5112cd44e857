"""Defects of tpluspy 0.6.0 that we do not share, as far as a venue and its sessions can show it.

What takes a runtime is in test_tplus_live.py: that a line comes back and tells of it (1), that a token
is replaced once for all lines (9), and by no reconnect (10). A silent line (1) and a slow reader (15)
are the same for every venue, and told in tests/stories. Order entry (13) has no counterpart here.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from actors.events import Topic
from actors.http_types import HttpAnswer
from actors.protocol import Opening
from actors.protocol.conversation import Token
from actors.protocol.session import (
    TEXT,
    Confirm,
    Deliver,
    Effect,
    Fetch,
    Missed,
    Quarantine,
    Resent,
    Session,
    SessionState,
    TokenRefused,
)
from actors.protocol.venue import Refusal
from actors.reasons import Retryable
from actors.secret import Secret
from actors.venues.tplus import DepthSnapshot, Timebar, Tplus, TplusSettings
from actors.venues.tplus.paths import STREAMS, line_of, topic_of
from tests.venues.test_tplus_login import OTHER, SEED, USER

VENUE = Tplus("tplus", TplusSettings(private_key=Secret(SEED)))
DEPTH = VENUE.topic("depth", "200", {})
WELCOME = b'{"type":"subscriptions","channels":[{"name":"x"}],"errors":null}'
UNAUTHORIZED = b'{"type":"subscriptions","channels":[],"errors":"unauthorized"}'
BAR = (
    '{"open":"1","high":"1","low":"1","close":"1","volume":"1","open_timestamp_ns":1,"close_timestamp_ns":2}'
)
ACCOUNT_LINES = [line_of(Topic("tplus", name)) for name, stream in STREAMS.items() if stream.oms]


def opened(line: str) -> Session:
    session = VENUE.session(Opening(line))
    session.opened(0.0)
    session.subscribe([topic_of(line)], 0.0)
    return session


def heard(session: Session, *payloads: bytes) -> list[Effect]:
    return session.received([(TEXT, payload) for payload in payloads], 0.0)


def events(effects: list[Effect]) -> list[Any]:
    return [event for effect in effects if isinstance(effect, Deliver) for _, event in effect.pairs]


def book(sequence: int, price: str = "1") -> bytes:
    return msgspec.json.encode({"asks": [], "bids": [[price, "1"]], "sequence_number": sequence})


def standing_book() -> Session:
    session = opened("tplus/depth-200")
    heard(session, book(5))
    session.fetched("snapshot/1", HttpAnswer(200, book(5)), 0.0)
    return session


@pytest.mark.parametrize("code", [1000, 1001])
def test_defect_2_a_clean_close_is_a_loss_like_any_other(code: int) -> None:
    for line in ("tplus/trades", "tplus/depth-200", "tplus/orders"):
        assert isinstance(opened(line).closed(code, "deploy"), Retryable)


@pytest.mark.parametrize("line", ACCOUNT_LINES)
@pytest.mark.parametrize("after_data", [False, True])
def test_defect_3_unauthorized_in_the_welcome_is_no_empty_stream(line: str, after_data: bool) -> None:
    session = opened(line)
    if after_data:
        heard(session, WELCOME)
    [refused] = heard(session, UNAUTHORIZED)
    assert isinstance(refused, TokenRefused)
    assert session.state is SessionState.ENDED


def test_defect_4_a_malformed_diff_leaves_no_silent_hole() -> None:
    session = standing_book()
    effects = heard(session, b'{"asks":[["x","1"]],"bids":[],"sequence_number":6}', book(7))
    assert [type(effect) for effect in effects] == [Quarantine, Missed, Resent, Fetch]
    again = session.fetched("snapshot/2", HttpAnswer(200, book(6)), 0.0)
    assert [event.sequence for event in events(again)] == [6, 7]


def test_defect_5_a_bar_is_a_bar_alone_or_in_a_list() -> None:
    for frame, count in ((BAR, 1), (f"[{BAR}]", 1), (f"[{BAR},{BAR}]", 2)):
        bars = events(heard(opened("tplus/klines-200"), frame.encode()))
        assert [type(bar) for bar in bars] == [Timebar] * count


def test_defect_5_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    heard(opened("tplus/klines-200"), BAR.encode(), b"nonsense")
    assert capsys.readouterr() == ("", "")


def test_defect_6_a_level_is_exact() -> None:
    session = standing_book()
    [change] = events(heard(session, book(6, "9007199254740993.12")))
    assert change.bids[0].price == Decimal("9007199254740993.12")


def test_defect_7_the_snapshot_is_asked_for_once_the_stream_runs() -> None:
    session = VENUE.session(Opening("tplus/depth-200"))
    session.opened(0.0)
    assert session.subscribe([DEPTH], 0.0) == []
    [now] = heard(session, WELCOME)
    assert isinstance(now, Fetch)
    assert now.after == 0.0
    heard(session, book(9001), book(9002))  # while it is on its way
    effects = session.fetched(now.ticket, HttpAnswer(200, book(9001)), 0.0)
    assert effects[0] == Confirm((DEPTH,))
    snapshot, change = events(effects)
    assert isinstance(snapshot, DepthSnapshot)
    assert (snapshot.sequence, change.sequence) == (9001, 9002)


def test_defect_7_a_gap_is_seen() -> None:
    missed, resent, fetch = heard(standing_book(), book(9))
    assert missed == Missed((DEPTH,), "sequence", 3)
    assert resent == Resent((DEPTH,))
    assert isinstance(fetch, Fetch)


def test_defect_8_sockets_are_bounded() -> None:
    placed: dict[str, list[Topic]] = {}
    refused = 0
    for asset in range(2 * TplusSettings().max_lines):
        topic = VENUE.topic("depth", str(asset), {})
        line = VENUE.place(topic, placed)
        if isinstance(line, Refusal):
            refused += 1
        else:
            placed[line] = [topic]
    assert len(placed) == refused == TplusSettings().max_lines


def test_defect_9_a_token_that_ends_in_mid_stream_is_seen() -> None:
    session = opened("tplus/user-trades")
    heard(session, WELCOME)
    [refused] = heard(session, b'{"type":"error","error":{"code":"UNAUTHORIZED","message":"token expired"}}')
    assert isinstance(refused, TokenRefused)


def test_defect_10_a_token_serves_every_line_and_a_new_session_asks_for_none() -> None:
    token = Token(Secret("tok-1"), 10**19)
    shown = {dict(VENUE.endpoint(Opening(line, token)).headers)["Authorization"] for line in ACCOUNT_LINES}
    assert shown == {"Bearer tok-1"}
    for line in ACCOUNT_LINES:
        session = VENUE.session(Opening(line))
        effects = [*session.opened(0.0), *session.subscribe([topic_of(line)], 0.0)]
        assert not any(isinstance(effect, Fetch) for effect in effects)


def test_defect_11_headers_of_one_connection_do_not_leak_into_another() -> None:
    VENUE.endpoint(Opening("tplus/orders", Token(Secret("tok-1"))))
    for line in ("tplus/orders", "tplus/depth-200"):
        assert [name for name, _ in VENUE.endpoint(Opening(line)).headers] == ["Origin"]


def test_defect_12_a_token_is_shown_with_the_user_it_was_made_for() -> None:
    other = Tplus("other", TplusSettings(user=OTHER, token=Secret("tok-2")))
    for venue, user in ((VENUE, USER), (other, OTHER)):
        endpoint = venue.endpoint(Opening(f"{venue.feed}/positions", Token(Secret("tok"))))
        assert dict(endpoint.headers)["User-Id"] == user
        assert endpoint.url.endswith(f"/positions/ws/{user}")
        first = next(venue.login(0), None)  # one has a token, and asks for none
        assert first is None or first.url.endswith(f"/nonce/{user}")


def test_defect_14_drift_of_a_schema_is_counted_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    session = opened("tplus/orders")
    drifted = b'{"Canceled":{"id":"o-1"}}'
    effects = heard(session, WELCOME, *[drifted] * 1000)
    assert sum(isinstance(effect, Quarantine) for effect in effects) == 1000
    assert caplog.records == []


def test_defect_16_the_path_of_a_gateway_is_kept() -> None:
    behind = Tplus("tplus", TplusSettings(url="wss://gate.x/t", market_url="wss://gate.x/market-data"))
    assert behind.endpoint(Opening("tplus/depth-200")).url == "wss://gate.x/market-data/marketdepth/diff/200"
    assert behind.endpoint(Opening("tplus/orders")).url == "wss://gate.x/t/orders"
    fetch = behind.session(Opening("tplus/depth-200"))
    fetch.opened(0.0)
    fetch.subscribe([DEPTH], 0.0)
    [asked] = heard(fetch, WELCOME)
    assert isinstance(asked, Fetch)
    assert asked.request.url == "https://gate.x/market-data/marketdepth/200"
