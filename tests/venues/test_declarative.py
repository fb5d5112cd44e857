"""A venue that a table describes: a table for each thing that a table can say."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import LinewardenError
from actors.events import Topic
from actors.http_types import Endpoint
from actors.protocol import Opening, Variable
from actors.protocol.placement import Placement
from actors.protocol.session import (
    BINARY,
    TEXT,
    Announce,
    Answered,
    Complain,
    Confirm,
    Deliver,
    Effect,
    End,
    Missed,
    Quarantine,
    Reject,
    Resent,
    Resync,
    Send,
    SessionState,
    Unrouted,
)
from actors.reasons import Fatal, Retryable, Slow
from actors.settings.venue_tables import read_venue
from actors.venues.declarative import Declared, DeclaredSession, Message
from actors.venues.declarative.messages import clock, inflate
from tests.support.line_count import effort
from tests.venues.transcript import Player, Transcript

DOCS = Path(__file__).parents[2] / "docs" / "venues.md"

HEAD = """
name = "pier"
about = "for tests"
url = "wss://pier.example"
"""
TRADES = """
[channels.trades]
about = "trades"
key = "market"
"""
ASK = """
[subscribe]
send = { op = "sub", id = "{id}", args = "{topics}" }
topic = "{wire}.{key}"
[unsubscribe]
send = { op = "unsub", id = "{id}", args = "{topics}" }
topic = "{wire}.{key}"
"""
EVENTS = """
[[events]]
wire = "ch"
key = "m"
data = "d"
"""
ANSWERS = """
[[acks]]
when = { ok = true }
id = "id"
[[errors]]
when = { ok = false }
id = "id"
code = "code"
text = "text"
"""
PIER = HEAD + TRADES + ASK + EVENTS + ANSWERS


def venue(text: str, **keys: Any) -> Declared:
    kind = read_venue(text, "pier.toml")
    made = kind("pier", kind.Settings(**keys))
    assert isinstance(made, Declared)
    return made


def opened(text: str, *keys: str, channel: str = "trades") -> tuple[DeclaredSession, list[Topic]]:
    """A session that has asked for these keys."""
    made = venue(text)
    session = made.session(Opening("pier"))
    assert isinstance(session, DeclaredSession)
    session.opened(0.0)
    topics = [made.topic(channel, key, {}) for key in keys]
    session.subscribe(topics, 0.0)
    return session, topics


def hear(session: DeclaredSession, *messages: object, now: float = 0.0) -> list[Effect]:
    texts = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in messages]
    return session.received([(TEXT, each) for each in texts], now)


def frames(effects: list[Effect]) -> list[Any]:
    """What is sent."""
    return [json.loads(each.payload) for each in effects if isinstance(each, Send)]


def trade(key: str, data: object = 1, **more: object) -> dict[str, object]:
    return {"ch": "trades", "m": key, "d": data, **more}


# ── the guide ───────────────────────────────────────────────────────────────────────────────────


def guide(heading: str) -> str:
    found = re.search(rf"<!-- {heading} -->\n```\w*\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_guides_example_says_what_it_says() -> None:
    talk = [line for line in guide("the talk").splitlines() if line]
    Player(venue(guide("the table"))).play(Transcript("harbour", tuple(talk)))


def test_the_guides_example_has_two_networks() -> None:
    assert venue(guide("the table")).endpoint(Opening("harbour")) == Endpoint(
        "wss://ws.harbour.example/stream"
    )
    test = venue(guide("the table"), network="test")
    assert test.endpoint(Opening("harbour")) == Endpoint("wss://test.harbour.example/stream")


# ── topics and lines ────────────────────────────────────────────────────────────────────────────


def test_keys_and_options_are_brought_into_one_form() -> None:
    harbour = venue(guide("the table"))
    topic = harbour.topic("candles", " btc-eur ", {})
    assert topic == Topic("pier", "candles", "BTC-EUR", (("interval", "1m"),))
    assert topic == harbour.topic("candles", "BTC-EUR", {"interval": "1m"})


@pytest.mark.parametrize(
    ("channel", "key", "options", "words"),
    [
        ("trade", "A", {}, "did you mean 'trades'?"),
        ("trades", " ", {}, "trades wants a key (market, such as BTC-EUR)"),
        (
            "candles",
            "A",
            {"intervall": "1m"},
            "no option 'intervall'; did you mean 'interval'? It takes: interval.",
        ),
        ("candles", "A", {"interval": "2h"}, "interval of candles is one of 1m, 1h, not '2h'"),
    ],
)
def test_what_is_not_a_topic(channel: str, key: str, options: Mapping[str, Any], words: str) -> None:
    with pytest.raises(LinewardenError, match=re.escape(words)):
        venue(guide("the table")).topic(channel, key, options)


def test_numbers_of_options_stay_numbers_on_the_wire() -> None:
    text = PIER.replace('args = "{topics}"', 'args = "{topics}", depth = "{depth}"') + (
        '[channels.book]\nabout = "book"\nkey = "market"\n'
        "options.depth = { values = [10, 100], default = 10 }\n"
    )
    made = venue(text)
    session = made.session(Opening("pier"))
    topics = [
        made.topic("trades", "A", {}),
        made.topic("book", "A", {"depth": "100"}),
        made.topic("book", "B", {}),
    ]
    assert frames(session.subscribe(topics, 0.0)) == [
        {"op": "sub", "id": 1, "args": ["trades.A"]},
        {"op": "sub", "id": 2, "args": ["book.A"], "depth": 100},
        {"op": "sub", "id": 3, "args": ["book.B"], "depth": 10},
    ]


def test_topics_that_messages_cannot_tell_apart_lie_on_lines_of_their_own() -> None:
    text = PIER + '[channels.book]\nabout = "book"\nkey = "market"\noptions.depth = { default = 10 }\n'
    made = venue(text)
    ten, more, other = (made.topic("book", key, {"depth": d}) for key, d in (("A", 10), ("A", 20), ("B", 20)))
    assert made.spread([ten, more, other]) == {"pier": [ten, other], "pier/2": [more]}


def test_more_topics_than_a_line_takes_open_another() -> None:
    made = venue("topics_per_line = 2\n" + PIER)
    topics = [made.topic("trades", key, {}) for key in "ABCDE"]
    spread = made.spread(topics)
    assert {line: len(each) for line, each in spread.items()} == {"pier": 2, "pier/2": 2, "pier/3": 1}
    assert "2 on one connection" in made.limits["topics"]


@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from([10, 20, 30])), max_size=12), st.integers(1, 3)
)
def test_topics_are_spread_as_they_are_placed_one_by_one(wanted: list[tuple[str, int]], most: int) -> None:
    text = f"topics_per_line = {most}\n{PIER}" + '[channels.book]\nabout = "book"\nkey = "market"\n'
    made = venue(text + "options.depth = { default = 10 }\n")
    topics = [made.topic("book", key, {"depth": depth}) for key, depth in wanted]
    placed = Placement("pier", ["pier"])
    for topic in topics:
        line = made.place(topic, placed)
        assert isinstance(line, str)
        placed.add(topic, line, made.bounds(topic))
    assert made.spread(topics) == {line: list(held) for line, held in placed.items()}
    for held in placed.values():
        assert len(held) <= most
        assert len({topic.key for topic in held}) == len(held)


def test_a_frame_for_each_channel_with_a_list_of_keys() -> None:
    ask = """
[subscribe]
send = { op = "sub", channels = [{ name = "{wire}", ids = "{topics}" }] }
topic = "{key}"
"""
    text = HEAD + TRADES + ask + EVENTS + '[channels.status]\nabout = "status"\n'
    made = venue(text)
    topics = [made.topic("trades", "A", {}), made.topic("status", "", {}), made.topic("trades", "B", {})]
    assert frames(made.session(Opening("pier")).subscribe(topics, 0.0)) == [
        {"op": "sub", "channels": [{"name": "trades", "ids": ["A", "B"]}]},
        {"op": "sub", "channels": [{"name": "status"}]},
    ]


def test_a_frame_takes_one_topic_or_at_most_so_many() -> None:
    one = PIER.replace('args = "{topics}"', 'arg = "{wire}:{key}"')
    session, topics = opened(one)
    made = venue(one)
    topics = [made.topic("trades", key, {}) for key in "AB"]
    assert [each["arg"] for each in frames(session.subscribe(topics, 0.0))] == ["trades:A", "trades:B"]
    few = venue(PIER.replace("[unsubscribe]", "at_most = 2\n[unsubscribe]"))
    topics = [few.topic("trades", key, {}) for key in "ABCDE"]
    sent = frames(few.session(Opening("pier")).subscribe(topics, 0.0))
    assert [each["args"] for each in sent] == [
        ["trades.A", "trades.B"],
        ["trades.C", "trades.D"],
        ["trades.E"],
    ]


def test_without_a_frame_to_subscribe_by_all_there_is_counts_as_confirmed() -> None:
    made = venue(HEAD + TRADES + EVENTS)
    session, topic = made.session(Opening("pier")), made.topic("trades", "A", {})
    assert session.subscribe([topic], 0.0) == [Confirm((topic,), assumed=True)]
    assert session.unsubscribe([topic], 0.0) == []


# ── events ──────────────────────────────────────────────────────────────────────────────────────


def test_numbers_are_exact() -> None:
    session, _ = opened(PIER, "A")
    _, told = hear(
        session, b'{"ch":"trades","m":"A","d":[0.1000000000000000000001, 12345678901234567890123, 1e2]}'
    )
    assert isinstance(told, Deliver)
    ((_, event),) = told.pairs
    assert event.data == [Decimal("0.1000000000000000000001"), 12345678901234567890123, Decimal(100)]


def test_an_array_is_an_event_each_with_what_stands_around_it() -> None:
    rows = """
[[events]]
wire = "ch"
each = "rows[*]"
key = "rows[*].m"
kind = "type"
time = "rows[*].t"
unit = "s"
"""
    session, (a, b) = opened(HEAD + TRADES + ASK + rows, "A", "B")
    message = {
        "ch": "trades",
        "type": "update",
        "rows": [{"m": "A", "t": 1}, {"m": "X"}, {"m": "B", "t": "2.5"}],
    }
    assert hear(session, message) == [
        Confirm((a,)),
        Deliver([(a, Message("trades", "A", {"m": "A", "t": 1}, "update", 10**9))]),
        Confirm((b,)),
        Deliver([(b, Message("trades", "B", {"m": "B", "t": "2.5"}, "update", 2_500_000_000))]),
        Unrouted(1),
    ]


def test_lists_in_lists() -> None:
    rows = """
[[events]]
each = "e[*].rows[*]"
wire = "e[*].ch"
key = "e[*].rows[*][0]"
data = "e[*].rows[*][-1]"
"""
    session, _ = opened(HEAD + TRADES + ASK + rows, "A", "B")
    effects = hear(
        session, {"e": [{"ch": "x", "rows": [["A", 1]]}, {"ch": "trades", "rows": [["A", 2], ["B", 0, 3]]}]}
    )
    events = [event.data for each in effects if isinstance(each, Deliver) for _, event in each.pairs]
    assert events == [2, 3]
    assert effects[-1] == Unrouted(1)


def test_a_positional_array() -> None:
    text = (
        HEAD
        + TRADES.replace("key", 'shown = "trades-1"\nkey')
        + ASK
        + '[[events]]\nwire = "[-2]"\nkey = "[-1]"\ndata = "[1]"\n'
    )
    session, (topic,) = opened(text, "A")
    assert hear(session, [7, {"p": 1}, "trades-1", "A"])[1] == Deliver(
        [(topic, Message("trades", "A", {"p": 1}))]
    )
    assert hear(session, "trades-1", ["A"], []) == [
        Unrouted(3)
    ]  # a text is no list, and a short list no message


def test_a_name_that_holds_the_key_in_another_case() -> None:
    text = (
        HEAD
        + TRADES
        + 'spelling = "upper"\nwire = "{key|lower}@trade"\n'
        + ASK.replace("{wire}.{key}", "{wire}")
    )
    made = venue(text + '[[events]]\nwire = "stream"\ndata = "data"\n')
    session, topic = made.session(Opening("pier")), made.topic("trades", "btcusdt", {})
    session.opened(0.0)
    assert frames(session.subscribe([topic], 0.0))[0]["args"] == ["btcusdt@trade"]
    for _ in range(2):
        for name in ("btcusdt@trade", "BTCUSDT@trade"):
            told = session.received([(TEXT, json.dumps({"stream": name, "data": 1}).encode())], 0.0)
            assert told[-1] == Deliver([(topic, Message("trades", "BTCUSDT", 1))])


def test_where_case_matters_it_matters() -> None:
    session, (lower, upper) = opened(PIER, "a", "A")
    assert [
        each.pairs[0][0] for each in hear(session, trade("A"), trade("a")) if isinstance(each, Deliver)
    ] == [upper, lower]
    assert hear(session, trade("å")) == [Unrouted(1)]


def test_a_key_may_be_a_number_in_messages() -> None:
    session, (topic,) = opened(PIER, "17")
    assert hear(session, trade(17))[-1] == Deliver([(topic, Message("trades", "17", 1))])  # type: ignore[arg-type]


def test_what_a_topic_given_up_still_brings_is_unrouted_and_comes_back_with_it() -> None:
    session, (topic,) = opened(PIER, "A")
    hear(session, trade("A"))
    assert frames(session.unsubscribe([topic], 0.0)) == [{"op": "unsub", "id": 2, "args": ["trades.A"]}]
    assert session.unsubscribe([topic], 0.0) == []
    assert hear(session, trade("A")) == [Unrouted(1)]
    session.subscribe([topic], 0.0)
    assert hear(session, trade("A"))[-1] == Deliver([(topic, Message("trades", "A", 1))])


@pytest.mark.parametrize("name", [[], {}, None, True, 1.5, "trades\x00"])
def test_a_name_that_is_none_is_unrouted(name: object) -> None:
    session, _ = opened(PIER, "A")
    assert hear(session, {"ch": name, "m": "A", "d": 1}) == [Unrouted(1)]


# ── answers ─────────────────────────────────────────────────────────────────────────────────────


def test_an_ack_by_id_confirms_its_frame() -> None:
    session, (a, b) = opened(PIER, "A", "B")
    assert hear(session, {"ok": True, "id": 9}) == []
    assert hear(session, {"ok": True, "id": "1"}) == [Confirm((a, b))]
    assert hear(session, {"ok": True, "id": 1}) == []


def test_an_ack_that_names_the_topic_confirms_that_one() -> None:
    ack = '[[acks]]\nwhen = { event = "ok" }\nwire = "ch"\nkey = "m"\nid = "id"\n'
    session, (a, b) = opened(HEAD + TRADES + ASK + EVENTS + ack, "A", "B")
    assert hear(session, {"event": "ok", "id": 1, "ch": "trades", "m": "B"}) == [Confirm((b,))]
    assert hear(session, {"event": "ok", "id": 1, "ch": "trades", "m": "A"}) == [Confirm((a,))]


def test_a_list_of_all_there_is_is_the_truth() -> None:
    ack = """
[[acks]]
when = { type = "list" }
listed = true
each = "c[*].ids[*]"
wire = "c[*].name"
key = "c[*].ids[*]"
"""
    session, (a, b) = opened(HEAD + TRADES + ASK + EVENTS + ack, "A", "B")
    told = hear(session, {"type": "list", "c": [{"name": "trades", "ids": ["A"]}]})
    assert told == [Confirm((a,)), Reject((b,), "the venue does not list it among what is subscribed to")]


def test_an_ack_that_says_nothing_is_the_oldest_frames() -> None:
    made = venue(HEAD + TRADES + ASK + EVENTS + "[[acks]]\nwhen = { ok = true }\n")
    session = made.session(Opening("pier"))
    a, b = (made.topic("trades", key, {}) for key in "AB")
    session.subscribe([a], 0.0)
    session.subscribe([b], 0.0)
    ok = [(TEXT, b'{"ok":true}')]
    assert [session.received(ok, 0.0) for _ in range(3)] == [[Confirm((a,))], [Confirm((b,))], []]


def test_one_bad_topic_does_not_take_the_others_down() -> None:
    keys = [f"K{number}" for number in range(20)]
    session, topics = opened(PIER, *keys)
    bad = topics[13]
    told: list[Effect] = []
    frame: dict[str, Any] = {"id": 1, "args": [f"trades.{key}" for key in keys]}
    asked = 0
    while True:
        fine = f"trades.{bad.key}" not in frame["args"]
        effects = hear(session, {"ok": fine, "id": frame["id"], "code": 7, "text": "bad request"})
        told += [each for each in effects if not isinstance(each, Send)]
        sent = frames(effects)
        if not sent:
            break
        (frame,) = sent  # one at a time
        asked += 1
    assert [each for each in told if isinstance(each, Reject)] == [
        Reject((bad,), "pier error 7: bad request")
    ]
    confirmed = {topic for each in told if isinstance(each, Confirm) for topic in each.topics}
    assert confirmed == set(topics) - {bad}
    assert asked < 12


def test_an_error_that_speaks_of_a_topic_refuses_that_one() -> None:
    session, (a, ab) = opened(PIER, "A", "AB")
    error = {"ok": False, "id": 1, "code": 5, "text": "no market AB here"}
    assert hear(session, error) == [Reject((ab,), "pier error 5: no market AB here")]
    assert hear(session, {"ok": True, "id": 1}) == [Confirm((a,))]


def test_where_a_frame_is_refused_as_a_whole_the_others_are_asked_for_again() -> None:
    session, (a, b, c) = opened(PIER + "whole = true\n", "A", "B", "C")
    effects = hear(session, {"ok": False, "id": 1, "text": "B is unknown"})
    assert effects[0] == Reject((b,), "pier error: B is unknown")
    assert frames(effects) == [{"op": "sub", "id": 2, "args": ["trades.A", "trades.C"]}]
    assert hear(session, {"ok": True, "id": 2}) == [Confirm((a, c))]


def test_an_error_that_speaks_of_a_channel_and_a_key_refuses_that_topic_only() -> None:
    text = PIER + '[channels.quotes]\nabout = "quotes"\nkey = "market"\n'
    made = venue(text)
    session = made.session(Opening("pier"))
    assert isinstance(session, DeclaredSession)
    topics = [made.topic(channel, key, {}) for channel in ("trades", "quotes") for key in ("A", "B")]
    session.subscribe(topics, 0.0)
    told = hear(session, {"ok": False, "id": 1, "text": "channel:quotes,id:B doesn't exist"})
    assert told == [Reject((topics[3],), "pier error: channel:quotes,id:B doesn't exist")]


@pytest.mark.parametrize("said", ["too many requests", "no market Q7/USD"])
def test_an_error_costs_little_where_many_wait_for_an_answer(said: str) -> None:
    session, topics = opened(PIER, *(f"Q{number}/USD" for number in range(1000)))
    lines = effort(lambda: hear(session, {"ok": False, "text": said}))
    assert lines < 30 * len(topics)


@pytest.mark.parametrize("key", ["A", "a", "A.B", "Ä/€", "A-B", "[a]", "ß"])
@pytest.mark.parametrize(
    ("said", "is_spoken_of"),
    [
        *[(said, True) for said in ("{}", "({}) is none", "no {}", "x{} {}")],
        *[(said, False) for said in ("{}x", "x{}", "{}_2", "-{}", "no market", "")],
    ],
)
def test_a_topic_is_spoken_of_by_its_whole_name(key: str, said: str, is_spoken_of: bool) -> None:
    session, _ = opened(PIER, key)
    [effect] = hear(session, {"ok": False, "text": said.format(key.upper(), key.lower())})
    assert isinstance(effect, Reject if is_spoken_of else Complain)


def test_an_error_about_no_topic_is_passed_on() -> None:
    session, _ = opened(PIER, "A")
    assert hear(session, {"ok": False, "code": 3, "text": "slow down"}) == [
        Complain("pier_3", "pier error 3: slow down")
    ]


def test_an_error_without_an_id_may_be_the_oldest_frames() -> None:
    session, (a,) = opened(PIER + 'blames = "oldest"\nretry_after = 60\n', "A")
    assert hear(session, {"ok": False, "text": "no"}) == [Reject((a,), "pier error: no", 60.0)]
    assert hear(session, {"ok": False, "text": "no"}) == [Complain("pier_error", "pier error: no")]


@pytest.mark.parametrize(("kind", "reason"), [("fatal", Fatal), ("slow", Slow), ("ends", Retryable)])
def test_errors_that_end_the_connection(kind: str, reason: type) -> None:
    session, _ = opened(PIER + f"{kind} = [13]\n", "A")
    *_, end = hear(session, {"ok": False, "code": "13", "text": "out"}, trade("A"))
    assert isinstance(end, End)
    assert type(end.reason) is reason
    assert (end.reason.code, end.reason.text) == ("pier_13", "pier error 13: out")
    assert session.state is SessionState.ENDED


def test_a_benign_error_confirms() -> None:
    session, (a,) = opened(PIER + "benign = [6]\n", "A")
    assert hear(session, {"ok": False, "id": 1, "code": 6, "text": "already"}) == [Confirm((a,))]


@pytest.mark.parametrize(
    ("said", "confirmed"),
    [("You are Already subscribed.", True), ("already unsubscribed", False), ("nothing", False)],
)
def test_a_venue_without_codes_is_understood_by_its_words(said: str, confirmed: bool) -> None:
    session, (a,) = opened(PIER + 'benign = ["already subscribed"]\n', "A")
    effects = hear(session, {"ok": False, "id": 1, "text": said})
    assert (effects == [Confirm((a,))]) == confirmed
    assert (type(effects[0]) is Reject) != confirmed


@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_a_gzip_message_may_have_several_members(pieces: int) -> None:
    text = b'{"two": [1, 2]}' * 10
    size = -(-len(text) // pieces)
    members = [gzip.compress(text[at : at + size]) for at in range(0, len(text), size)]
    assert inflate(b"".join(members), "gzip", 1_000) == text
    with pytest.raises(ValueError, match="more than 100 bytes"):
        inflate(b"".join(members), "gzip", 100)
    with pytest.raises(ValueError, match="gzip"):
        inflate(b"".join(members) + b"rest", "gzip", 1_000)


def test_close_codes_mean_what_the_table_says() -> None:
    session, _ = opened(PIER + "[close]\nfatal = [4001]\nslow = [4029]\n")
    assert isinstance(session.closed(4001, "banned"), Fatal)
    assert isinstance(session.closed(4029, ""), Slow)
    assert isinstance(session.closed(1006, ""), Retryable)


# ── logging in ──────────────────────────────────────────────────────────────────────────────────

LOGIN = (
    PIER
    + """
[keys.api_key]
secret = true
variable = "PIER_KEY"
about = "the key"
[login]
greeting = { hello = "{any}" }
send = [{ op = "login", key = "${api_key}" }]
answer = { login = "ok" }
refused = { login = "no" }
code = "code"
text = "why"
"""
)


def test_a_login_waits_for_the_greeting_and_for_its_answer() -> None:
    made = venue(LOGIN, api_key="k-3141592")
    session = made.session(Opening("pier"))
    assert isinstance(session, DeclaredSession)
    assert session.opened(0.0) == []
    assert frames(hear(session, {"hello": 1})) == [{"op": "login", "key": "k-3141592"}]
    assert hear(session, {"login": "ok"}) == [Announce()]
    assert session.state is SessionState.OPEN
    assert made.variables == {"PIER_KEY": Variable("the key")}  # for people alone


def test_a_refused_login_is_fatal_and_tells_no_secret() -> None:
    session = venue(LOGIN, api_key="k-3141592").session(Opening("pier"))
    assert isinstance(session, DeclaredSession)
    session.opened(0.0)
    _, end = hear(session, {"hello": 1}, {"login": "no", "code": 2, "why": "k-3141592 is unknown"})
    assert end == End(Fatal("login refused (2 … is unknown)", "pier_2", "Check api_key in [feeds.pier]."))


def test_a_sentence_in_the_place_of_a_code_is_no_label_and_tells_no_secret() -> None:
    session = venue(LOGIN, api_key="k-3141592").session(Opening("pier"))
    assert isinstance(session, DeclaredSession)
    session.opened(0.0)
    _, end = hear(session, {"hello": 1}, {"login": "no", "code": "k-3141592 is unknown"})
    assert end == End(Fatal("login refused (… is unknown)", "pier_login", "Check api_key in [feeds.pier]."))


# ── heartbeats ──────────────────────────────────────────────────────────────────────────────────


def test_a_text_ping() -> None:
    made = venue(PIER + '[ping]\ninterval = 20\nsend = "ping"\nanswer = "pong"\n')
    session = made.session(Opening("pier"))
    session.opened(0.0)
    assert made.ping_interval == 20.0
    assert session.ping(0.0) == [Send("ping", control=True)]
    assert session.received([(TEXT, b"pong")], 0.0) == [Answered()]


def test_a_ping_with_a_number() -> None:
    session, _ = opened(
        PIER + '[ping]\ninterval = 20\nsend = { ping = "{id|text}" }\nanswer = { pong = "{any}" }\n'
    )
    assert session.ping(0.0) == [Send('{"ping":"1"}', control=True)]
    assert session.ping(0.0) == [Send('{"ping":"2"}', control=True)]
    assert hear(session, {"pong": "2"}) == [Answered()]


def test_the_venues_ping_is_answered_with_what_it_holds() -> None:
    session, _ = opened(
        PIER
        + '[[replies]]\nwhen = { ping = "{any}" }\nsend = { pong = "{ping}" }\n'
        + '[[replies]]\nwhen = "PING"\nsend = "PONG"\n'
    )
    assert hear(session, {"ping": 1492420473027}, b"PING") == [
        Send('{"pong":1492420473027}', control=True),
        Send("PONG", control=True),
    ]


def test_a_reply_repeats_the_number_that_it_answers() -> None:
    reply = '[[replies]]\nwhen = { method = "heartbeat" }\nsend = { id = "{id}", method = "respond" }\n'
    session, _ = opened(PIER + reply)
    assert hear(session, {"id": 158, "method": "heartbeat"}) == [
        Send('{"id":158,"method":"respond"}', control=True)
    ]


def test_what_is_to_be_passed_over_is_passed_over() -> None:
    session, _ = opened('ignore = [{ event = ["info", "beat"] }, "o"]\n' + PIER)
    assert hear(session, {"event": "beat"}, b"o", {"event": "other"}) == [Unrouted(1)]
    assert session.heard == {"ignored": 2, "unrouted": 1}


# ── compression ─────────────────────────────────────────────────────────────────────────────────


def deflated(text: bytes, window: int) -> bytes:
    machine = zlib.compressobj(wbits=window)
    return machine.compress(text) + machine.flush()


PACKED = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "deflate": lambda text: deflated(text, -15),
}


@pytest.mark.parametrize("how", PACKED)
def test_binary_frames_are_inflated(how: str) -> None:
    session, (topic,) = opened(f'compression = "{how}"\n' + PIER, "A")
    text = json.dumps(trade("A")).encode()
    told = session.received([(BINARY, PACKED[how](text)), (TEXT, text)], 0.0)
    assert told == [Confirm((topic,)), Deliver([(topic, Message("trades", "A", 1))] * 2)]


@pytest.mark.parametrize("how", PACKED)
def test_a_bomb_is_not_unpacked(how: str) -> None:
    session, (topic,) = opened(f'compression = "{how}"\nmax_inflated = 1000\n' + PIER, "A")
    text = json.dumps(trade("A", "x" * 900)).encode()
    assert isinstance(session.received([(BINARY, PACKED[how](text))], 0.0)[-1], Deliver)
    bomb = PACKED[how](b" " * 10_000_000)
    put_aside, missed = session.received([(BINARY, bomb)], 0.0)
    assert put_aside == Quarantine(bomb, "it inflates to more than 1000 bytes")
    assert missed == Missed((topic,), "quarantine")


@pytest.mark.parametrize(
    "payload",
    [b"", b"\x1f\x8b", b"{}", gzip.compress(b"{}", mtime=0) + b"x", gzip.compress(b"\xff\xfe", mtime=0)],
)
def test_what_is_not_compressed_is_put_aside(payload: bytes) -> None:
    session, _ = opened('compression = "gzip"\n' + PIER)
    (effect,) = session.received([(BINARY, payload)], 0.0)
    assert isinstance(effect, Quarantine)


def test_json_in_binary_frames_is_json() -> None:
    session, (topic,) = opened(PIER, "A")
    assert session.received([(BINARY, json.dumps(trade("A")).encode())], 0.0)[0] == Confirm((topic,))


# ── sequences ───────────────────────────────────────────────────────────────────────────────────


def numbered(sequence: str) -> str:
    return HEAD + TRADES + f"sequence = {sequence}\n" + ASK + EVENTS


def test_a_hole_is_told_with_its_size() -> None:
    session, (topic,) = opened(numbered('{ number = "n" }'), "A")
    hear(session, trade("A", n=5), trade("A", n="6"))
    assert hear(session, trade("A", n=9))[0] == Missed((topic,), "sequence", 2)
    assert hear(session, trade("A", n=3))[0] == Missed((topic,), "sequence", None)
    assert hear(session, trade("A", n=4)) == [Deliver([(topic, Message("trades", "A", 1))])]
    assert [type(each) for each in hear(session, trade("A"), trade("A", n=5))] == [Deliver]


def test_a_hole_between_ranges() -> None:
    session, (topic,) = opened(numbered('{ first = "U", number = "u" }'), "A")
    hear(session, trade("A", U=1, u=3))
    assert [type(each) for each in hear(session, trade("A", U=4, u=8), trade("A", U=7, u=10))] == [Deliver]
    assert hear(session, trade("A", U=12, u=13))[0] == Missed((topic,), "sequence")


def test_a_hole_by_the_number_before() -> None:
    session, (topic,) = opened(numbered('{ previous = "p", number = "n" }'), "A")
    hear(session, trade("A", p=-1, n=10))
    assert [type(each) for each in hear(session, trade("A", p=10, n=10), trade("A", p=10, n=17))] == [Deliver]
    assert hear(session, trade("A", p=16, n=20))[0] == Missed((topic,), "sequence")


BOOK = (
    HEAD
    + TRADES
    + 'deltas = true\nresyncable = true\nsequence = { number = "n", start = { type = "full" } }\n'
    + ASK
    + EVENTS
    + ANSWERS
)


def test_a_book_with_a_hole_is_asked_for_anew_and_waits_for_its_snapshot() -> None:
    session, (topic,) = opened(BOOK, "A")
    assert hear(session, trade("A", n=1)) == [
        Unrouted(1)
    ]  # of an older subscription: there was no snapshot yet
    hear(session, trade("A", type="full", n=4), trade("A", n=5))
    told = hear(session, trade("A", n=7), now=1.0)
    assert told[0] == Missed((topic,), "sequence", 1)
    assert told[1:] == [Resync((topic,)), Unrouted(1)]
    told = session.resync([topic], 1.0)  # it has its gap already
    assert [each["op"] for each in frames(told)] == ["unsub", "sub"]
    assert told[2:] == [Resent((topic,))]
    assert hear(session, trade("A", n=8), now=1.0) == [Unrouted(1)]
    assert hear(session, trade("A", type="full", n=20), now=1.0)[-1] == Deliver(
        [(topic, Message("trades", "A", 1))]
    )


def test_a_venue_that_always_jumps_is_not_asked_at_the_speed_of_its_events() -> None:
    session, (topic,) = opened(BOOK, "A")
    sent = 0
    for number in range(100):
        now = 20.0 + number / 10
        effects = hear(session, trade("A", type="full", n=1), trade("A", n=3), now=now)
        if Resync((topic,)) in effects:
            effects += session.resync([topic], now)
        sent += len(frames(effects))
        assert Resent((topic,)) in effects
    assert sent == 2


# ── poison ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "poison",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"ch":' * 50_000,
        b"9" * 5000,
        b"1e" + b"9" * 20,
        b'"\\ud800"',
        b"NaN",
    ],
    ids=lambda poison: repr(poison[:12]),
)
def test_poison_is_put_aside_and_the_line_goes_on(poison: bytes) -> None:
    session, (topic,) = opened(PIER, "A")
    here = Deliver([(topic, Message("trades", "A", 1))])
    _, *effects = hear(session, trade("A"), poison, trade("A"))
    assert [type(each) for each in effects] == [Deliver, Quarantine, Missed, Deliver]
    assert effects[0] == effects[-1] == here


def test_who_may_have_lost_something_is_told() -> None:
    session, (a, b) = opened(PIER, "AAA", "BBB")
    hear(session, trade("AAA"), trade("BBB"))
    assert hear(session, b'{"ch":"trades","m":"AAA",')[1] == Missed((a,), "quarantine")
    assert hear(session, b"garbage")[1] == Missed((a, b), "quarantine")


def test_a_book_whose_change_cannot_be_read_starts_anew() -> None:
    session, (topic,) = opened(BOOK, "AAA")
    hear(session, trade("AAA", type="full", n=1))
    told = hear(session, b'{"ch":"trades","m":"AAA",', now=20.0)
    assert told[1:] == [Missed((topic,), "quarantine"), Resync((topic,))]


def test_an_element_that_is_odd_puts_its_message_aside() -> None:
    rows = '[[events]]\nchannel = "trades"\neach = "rows[*]"\nkey = "rows[*].m"\ndata = "rows[*].d"\n'
    session, _ = opened(HEAD + TRADES + ASK + rows, "A")
    told = hear(session, {"rows": [{"m": "A", "d": 1}, {"m": "A"}]})
    assert isinstance(told[0], Quarantine)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["ch", "m", "d", "ok", "id", "code", "text", "n", "type"]), inner, max_size=5
        )
    ),
    max_leaves=12,
)


@given(st.lists(json_values | st.binary(max_size=40), max_size=8))
def test_nothing_that_a_venue_sends_is_raised(messages: list[Any]) -> None:
    for text in (PIER, BOOK, LOGIN.replace("secret = true", 'default = "x"')):
        session, _ = opened(text, "A")
        for message in messages:
            payload = message if isinstance(message, bytes) else json.dumps(message).encode()
            for opcode in (TEXT, BINARY):
                effects = session.received([(opcode, payload)], 0.0)
                if session.state is SessionState.OPEN:
                    assert len(effects) < 10


# ── any course of things ────────────────────────────────────────────────────────────────────────

BAD = {"C", "F"}
steps = st.lists(
    st.tuples(
        st.sampled_from(["subscribe", "unsubscribe", "answer", "event"]), st.sets(st.sampled_from("ABCDEF"))
    ),
    max_size=25,
)


@given(steps)
def test_every_topic_is_answered_for_and_events_come_only_to_those_confirmed(
    course: list[tuple[str, set[str]]],
) -> None:
    made = venue(PIER)
    session = made.session(Opening("pier"))
    assert isinstance(session, DeclaredSession)
    session.opened(0.0)
    unanswered: list[Any] = []  # frames that the venue has not answered: it refuses those with a bad key
    wanted: set[Topic] = set()
    confirmed: set[Topic] = set()
    rejected: set[Topic] = set()

    def take(effects: list[Effect]) -> None:
        unanswered.extend(frames(effects))
        for effect in effects:
            match effect:
                case Confirm(topics=topics):
                    assert set(topics) <= wanted
                    confirmed.update(topics)
                case Reject(topics=topics):
                    assert set(topics) <= wanted
                    rejected.update(topics)
                case Deliver(pairs=pairs):
                    assert {topic for topic, _ in pairs} <= confirmed

    def answer() -> None:
        frame = unanswered.pop(0)
        fine = frame["op"] == "unsub" or not any(arg.removeprefix("trades.") in BAD for arg in frame["args"])
        take(hear(session, {"ok": fine, "id": frame["id"], "text": "bad request"}))

    for verb, names in course:
        topics = [made.topic("trades", name, {}) for name in sorted(names)]
        if verb == "subscribe":
            wanted.update(topics)
            confirmed -= set(topics)
            rejected -= set(topics)
            take(session.subscribe(topics, 0.0))
        elif verb == "unsubscribe":
            wanted -= set(topics)
            confirmed -= set(topics)
            rejected -= set(topics)
            take(session.unsubscribe(topics, 0.0))
        elif verb == "answer" and unanswered:
            answer()
        elif verb == "event":
            take(hear(session, *(trade(name) for name in sorted(names - BAD))))
    while unanswered:
        answer()
    assert confirmed | rejected == wanted
    assert {topic.key for topic in rejected} == {topic.key for topic in wanted} & BAD
    assert {topic.key for topic in confirmed} & BAD == set()


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)),
    st.from_regex(r"[0-9]{0,12}", fullmatch=True),
    st.integers(-14 * 60, 14 * 60) | st.none(),
)
def test_a_written_time_is_read_to_the_nanosecond(at: datetime, digits: str, minutes: int | None) -> None:
    offset = UTC if minutes is None else timezone(timedelta(minutes=minutes))
    whole = at.replace(microsecond=0, tzinfo=offset)
    fraction = f".{digits}" if digits else ""
    text = whole.isoformat()
    text = text[:19] + fraction + ("Z" if minutes is None else text[19:])
    seconds = (whole - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    assert clock("rfc3339")(text) == seconds * 10**9 + int(f"{digits:0<9.9}")


@given(
    st.from_regex(r"[0-9]{1,24}", fullmatch=True), st.sampled_from([("s", 10**9), ("ms", 10**6), ("ns", 1)])
)
def test_a_time_of_digits_is_read_as_a_decimal_would_be(text: str, unit: tuple[str, int]) -> None:
    name, factor = unit
    number = Decimal(text)
    assert clock(name)(text) == (int(number * factor) if number < 10**20 else None)
