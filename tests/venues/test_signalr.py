"""A hub that a table describes: what it is asked, what it pushes, and what may be wrong with its table."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.cli.replay import play
from actors.errors import ConfigError, LinewardenError
from actors.events import Scope, Topic, VenueState
from actors.http_types import Endpoint, HttpRequest
from actors.protocol import Opening
from actors.protocol.conversation import Token
from actors.protocol.session import (
    TEXT,
    Complain,
    Confirm,
    Deliver,
    Effect,
    End,
    Missed,
    Reject,
    Resent,
    Send,
    Session,
    Unrouted,
)
from actors.reasons import Fatal
from actors.secret import Secret
from actors.settings import FeedSettings, load
from actors.settings.hub_tables import HubReader
from actors.settings.venue_tables import read_venue
from actors.venues.declarative import Message
from actors.venues.signalr import DeclarativeHub
from tests.venues.transcript import Player, Transcript, resynced

DOCS = Path(__file__).parents[2] / "docs" / "venues.md"
RS = "\x1e"


def guide(heading: str) -> str:
    found = re.search(rf"<!-- {heading} -->\n```\w*\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


QUAY = guide("the hub")


def hub(text: str = QUAY, **keys: str) -> DeclarativeHub:
    kind = read_venue(text, "quay.toml")
    settings = msgspec.convert({"token": "t0ken-c4nary", **keys}, kind.Settings, dec_hook=lambda k, v: k(v))
    made = kind("quay", settings)
    assert isinstance(made, DeclarativeHub)
    return made


def opened(made: DeclarativeHub, *topics: Topic) -> Session:
    """A session that has shaken hands, and asked for these."""
    session = made.session(Opening("quay"))
    session.opened(0.0)
    hear(session, {})
    session.subscribe(topics, 0.0)
    return session


def hear(session: Session, *records: object, now: float = 0.0) -> list[Effect]:
    text = "".join((each if isinstance(each, str) else json.dumps(each)) + RS for each in records)
    return session.received([(TEXT, text.encode())], now)


def push(target: str, *arguments: object) -> dict[str, object]:
    return {"type": 1, "target": target, "arguments": arguments}


def done(id: int, error: str = "") -> dict[str, object]:
    return {"type": 3, "invocationId": str(id), **({"error": error} if error else {"result": None})}


def calls(effects: list[Effect]) -> list[tuple[str, list[Any]]]:
    said = [json.loads(str(each.payload).strip(RS)) for each in effects if isinstance(each, Send)]
    return [(each["target"], each["arguments"]) for each in said if each["type"] == 1]


def events(effects: list[Effect]) -> list[tuple[Topic, Message]]:
    return [pair for each in effects if isinstance(each, Deliver) for pair in each.pairs]


# ── the guide ───────────────────────────────────────────────────────────────────────────────────


def test_the_guides_hub_says_what_it_says() -> None:
    talk = [line.replace("␞", RS) for line in guide("the hub's talk").split("\n") if line]
    Player(hub()).play(Transcript("quay", tuple(talk)))


def test_the_guides_feed_is_a_config(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "quay.toml").write_text(QUAY)
    section = DOCS.read_text().partition("### A SignalR hub")[2]
    feed = re.findall(r"^```toml\n(.*?)^```$", section, re.DOTALL | re.M)[1]
    (tmp_path / "desk.toml").write_text(feed)
    settings = load(tmp_path / "desk.toml", {"QUAY_TOKEN": "t0ken-c4nary"})
    assert settings.feeds["quay"].venue == "quay"
    assert "t0ken-c4nary" not in repr(settings)


# ── a hub in the config itself ──────────────────────────────────────────────────────────────────

DESK = guide("the feed's own hub")
TOKEN = {"QUAY_TOKEN": "t0ken-c4nary"}


def desk_of(tmp_path: Path, text: str = DESK) -> FeedSettings:
    (tmp_path / "desk.toml").write_text(text)
    return load(tmp_path / "desk.toml", TOKEN).feeds["quay"]


def test_a_feed_may_describe_its_hub_itself(tmp_path: Path) -> None:
    feed = desk_of(tmp_path)
    made = feed.build_venue()
    assert isinstance(made, DeclarativeHub)
    assert log_in(made) == Token(Secret("t0ken-c4nary"))
    assert made.endpoint(Opening("quay")) == Endpoint("wss://rtc.quay.example/hubs/market")
    topic = made.topic("quotes", "ESZ6", {})
    session = opened(made, topic)
    assert [pair[0] for pair in events(hear(session, push("Quotes", "ESZ6", [{}])))] == [topic]
    assert "t0ken" not in repr(feed)


def test_a_reload_leaves_a_described_hub_alone_unless_it_changed(tmp_path: Path) -> None:
    assert desk_of(tmp_path).kind is desk_of(tmp_path).kind
    assert desk_of(tmp_path).kind is not desk_of(tmp_path, DESK.replace("header", "query")).kind


def test_mistakes_in_a_described_hub_are_told_with_those_of_its_config(tmp_path: Path) -> None:
    text = DESK.replace('"{key}"', '"{kye}"').replace('"Quotes"', "1").replace("token_in", "token")
    with pytest.raises(ConfigError) as caught:
        desk_of(tmp_path, text.replace('url = "', 'ulr = "'))
    told = [problem.removeprefix(f"{tmp_path / 'desk.toml'}: ") for problem in caught.value.problems]
    assert told == [
        "[feeds.quay] url: missing; expected the hub's address, such as wss://host/hubs/market.",
        "[feeds.quay.hub] token: it has no place here; it belongs in [feeds.quay].",
        "[feeds.quay.hub]: [[events]] entry 1 target: expected text that is not empty, found 1.",
        "[feeds.quay.hub]: [channels.quotes.subscribe] arguments[0]: nothing is known of {kye}; "
        "did you mean {key}?",
        "[feeds.quay.hub]: [channels.quotes.unsubscribe] arguments[0]: nothing is known of {kye}; "
        "did you mean {key}?",
        "[feeds.quay] ulr: there is no such key; did you mean 'url'?",
    ]


def test_a_feed_that_does_not_describe_its_hub_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[feeds.quay\] hub: missing; expected a table with the hub's"):
        desk_of(tmp_path, DESK.partition("[feeds.quay.hub]")[0])


# ── the way in ──────────────────────────────────────────────────────────────────────────────────


def approach(made: DeclarativeHub) -> HttpRequest | Endpoint:
    conversation = made.approach(Opening("quay", Token(Secret("t0ken"))))
    try:
        return next(conversation)
    except StopIteration as told:
        return cast(Endpoint, told.value)


def test_a_hub_is_negotiated_with_unless_that_is_skipped() -> None:
    asked = approach(hub(host="h.example"))
    assert isinstance(asked, HttpRequest)
    assert asked.url == "https://h.example/hubs/market/negotiate?negotiateVersion=1"
    assert ("Authorization", "Bearer t0ken") in asked.headers
    skipped = approach(hub("skip_negotiation = true\n" + QUAY))
    assert skipped == Endpoint("wss://rtc.quay.example/hubs/market?access_token=t0ken")


def test_a_token_goes_where_the_table_says_and_headers_too() -> None:
    text = 'skip_negotiation = true\ntoken_in = "header"\nheaders = { X-Desk = "one" }\n' + QUAY
    assert approach(hub(text)) == Endpoint(
        "wss://rtc.quay.example/hubs/market", (("X-Desk", "one"), ("Authorization", "Bearer t0ken"))
    )


def log_in(made: DeclarativeHub) -> object:
    with pytest.raises(StopIteration) as told:
        next(made.login(0))
    return told.value.value


def test_a_token_is_the_feeds_own_and_a_hub_may_do_without() -> None:
    made = hub()
    assert made.needs_token("quay")
    assert log_in(made) == Token(Secret("t0ken-c4nary"))
    assert not hub(QUAY.replace('token = "${token}"', "")).needs_token("quay")
    assert not hub(token=" ").needs_token("quay")
    broken = log_in(hub(token="t0ken\nX: y"))
    assert isinstance(broken, Fatal)
    assert "t0ken" not in str(broken)


# ── topics ──────────────────────────────────────────────────────────────────────────────────────

ACCOUNTS = QUAY + (
    "[channels.orders]\n"
    'about = "orders"\nkey = "account, a number"\n'
    'options.kind = { about = "of order" }\n'
    'subscribe = { method = "Subscribe{kind}Orders", arguments = ["{key|number}", true] }\n'
    '[[events]]\ntarget = "Order"\nchannel = "orders"\nkey = "[0].accountId"\ndata = "[0]"\n'
)


def test_an_argument_has_the_type_that_the_hub_wants() -> None:
    made = hub(ACCOUNTS)
    session = opened(made)
    topic = made.topic("orders", "4242", {"kind": "Open"})
    assert calls(session.subscribe([topic], 0.0)) == [("SubscribeOpenOrders", [4242, True])]
    book = made.topic("book", "esz6", {"depth": "50"})
    assert calls(session.subscribe([book], 0.0)) == [("SubscribeBook", ["ESZ6", 50])]
    heard = hear(session, push("order", {"accountId": 4242, "size": 1}))
    assert events(heard) == [(topic, Message("orders", "4242", {"accountId": 4242, "size": 1}))]


@pytest.mark.parametrize(
    ("key", "options", "words"),
    [
        ("PRAC-1", {"kind": "Open"}, "cannot be subscribed to: invalid literal for int() with base 10"),
        ("4242", {}, "cannot be subscribed to: it wants kind"),
    ],
)
def test_a_topic_that_makes_no_call_is_told(key: str, options: Mapping[str, Any], words: str) -> None:
    with pytest.raises(LinewardenError, match=re.escape(words)):
        hub(ACCOUNTS).topic("orders", key, options)


# ── a session ───────────────────────────────────────────────────────────────────────────────────


def test_an_event_before_its_answer_confirms_its_topic() -> None:
    made = hub()
    topic = made.topic("quotes", "ESZ6", {})
    session = opened(made, topic)
    heard = hear(session, push("QUOTES", "esz6", [{"bid": 1}, {"bid": 2}]))
    assert heard[0] == Confirm((topic,))
    assert [event.data["bid"] for _, event in events(heard)] == [1, 2]


def test_a_call_without_an_answer_counts_as_confirmed() -> None:
    made = hub(QUAY.replace('about = "best bid and ask"', 'about = "quotes"\nacknowledged = false'))
    session = opened(made)
    topic = made.topic("quotes", "ESZ6", {})
    sent, confirmed = session.subscribe([topic], 0.0)
    assert isinstance(sent, Send)
    assert "invocationId" not in str(sent.payload)
    assert confirmed == Confirm((topic,), assumed=True)


def test_what_was_refused_or_given_up_is_not_heard() -> None:
    made = hub("retry_after = 60\n" + QUAY)
    one, other = made.topic("quotes", "ESZ6", {}), made.topic("quotes", "NQZ6", {})
    session = opened(made, one, other)
    heard = hear(session, done(0, "not t0ken-c4nary's"), done(1))
    assert Reject((one,), "not …'s", 60.0) in heard
    assert calls(session.unsubscribe([other], 0.0)) == [("UnsubscribeQuotes", ["NQZ6"])]
    late = hear(session, push("Quotes", "ESZ6", [{}]), push("Quotes", "NQZ6", [{}]), done(2, "t0ken-c4nary"))
    assert events(late) == []
    assert Unrouted(2) in late
    assert Complain("hub_refusal", "the hub refused UnsubscribeQuotes: …") in late


def test_a_hole_makes_a_book_begin_anew_and_not_at_the_speed_of_its_events() -> None:
    made = hub()
    topic = made.topic("book", "ESZ6", {})
    session = opened(made, topic)
    snapshot, jump = (
        push("Book", "ESZ6", 5, {"n": n, "kind": kind}) for n, kind in ((1, "snapshot"), (9, "change"))
    )
    hear(session, done(0), snapshot)
    torn = resynced(session, hear(session, jump), 0.0)
    assert [each for each in torn if isinstance(each, Missed)] == [Missed((topic,), "sequence", 7)]
    assert calls(torn) == [("UnsubscribeBook", ["ESZ6", 5])]
    assert calls(hear(session, done(1))) == [("SubscribeBook", ["ESZ6", 5])]
    assert len(events(hear(session, done(2), snapshot))) == 1
    again = hear(session, jump, now=5.0)
    assert again == [Missed((topic,), "sequence", 7), Resent((topic,)), Unrouted(1)]
    assert calls(resynced(session, session.ping(9.0), 9.0)) == []
    assert calls(resynced(session, session.ping(10.0), 10.0)) == [("UnsubscribeBook", ["ESZ6", 5])]
    assert calls(resynced(session, session.ping(11.0), 11.0)) == []


def test_a_push_that_cannot_be_read_is_missing_where_it_is_named() -> None:
    made = hub()
    topics = [made.topic("quotes", key, {}) for key in ("ESZ6", "NQZ6")]
    session = opened(made, *topics)
    hear(session, done(0), done(1))
    named = hear(session, push("Quotes", "NQZ6", [{"t": 1}, {"t": 2}], "x"), push("Quotes", ["NQZ6"], 1))
    assert len(events(named)) == 2
    broken = hear(session, '{"type":1,"target":"Quotes","arguments":["NQZ6",')
    assert [each for each in broken if isinstance(each, Missed)] == [Missed((topics[1],), "quarantine")]
    nobodys = hear(session, '{"type":1,')
    missed = [each.topics for each in nobodys if isinstance(each, Missed)]
    assert missed == [(topics[0],), (topics[1],)]


def test_what_was_not_asked_for_is_counted_and_what_means_nothing_is_not() -> None:
    made = hub('ignore = ["Heartbeat"]\n' + QUAY)
    session = opened(made, made.topic("quotes", "ESZ6", {}))
    heard = hear(session, push("heartbeat"), push("Quotes", "NQZ6", [{}]), push("Strange"), push("Quotes"))
    assert heard == [Unrouted(3)]


def test_secrets_are_in_no_reason() -> None:
    session = opened(hub())
    (end,) = hear(session, {"type": 7, "error": "bye t0ken-c4nary"})
    assert isinstance(end, End)
    assert end.reason.text.endswith("bye …")
    assert "t0ken" not in opened(hub()).closed(1008, "no t0ken-c4nary").text


# ── samples ─────────────────────────────────────────────────────────────────────────────────────


def test_a_sample_is_routed_with_and_without_the_ends_of_its_records(tmp_path: Path) -> None:
    quote, book = json.dumps(push("Quotes", "ESZ6", [{}])), json.dumps(push("Book", "ESZ6", 50, {"n": 1}))
    talk = ['{"type":6}', json.dumps(done(0)) + RS]
    lines = ["{}" + RS, quote + RS + quote + RS, quote, book, *talk, json.dumps(push("Strange"))]
    file = tmp_path / "captured.jsonl"
    file.write_bytes("\n".join(lines).encode())
    made = hub()
    tally = play(made, file)
    assert (tally.messages, tally.events, tally.unrouted, tally.bad) == (7, {"quotes": 3, "book": 1}, 1, 0)
    assert tally.other == {"ping": 1, "completion": 1}
    assert tally.topics["book"] == {made.topic("book", "ESZ6", {"depth": 50})}
    assert play(made, file, [made.topic("quotes", "ESZ6", {})]).unrouted == 2


# ── mistakes ────────────────────────────────────────────────────────────────────────────────────


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_venue(text, "quay.toml")
    assert all(problem.startswith("quay.toml: ") for problem in caught.value.problems)
    return [problem.removeprefix("quay.toml: ") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ('"signalr"', '"signalR"', "protocol: expected one of: "),
        ("https:", "ftp:", "url: expected a URL that starts with wss://"),
        ("${host}", "${hots}", "url: nothing is known of ${hots}; did you mean ${host}?"),
        ('token = "${token}"', 'token = "abc"', "token: a token has no place in a table; expected a feed's"),
        ('token = "${token}"', 'token = "${tokn}"', "token: nothing is known of ${tokn}; did you mean"),
        (
            "secret = true",
            "secret = false",
            "[keys.token] secret: it is shown as a token; add secret = true.",
        ),
        ("SubscribeQuotes", "Subscribe{wrie}", "[channels.quotes.subscribe] method: nothing is known of"),
        (
            '["{key}"]',
            '["{kye}"]',
            "[channels.quotes.subscribe] arguments[0]: nothing is known of {kye}; did",
        ),
        (
            '["{key}"]',
            '"{key}"',
            '[channels.quotes.subscribe] arguments: expected a list such as ["{key}", 5]',
        ),
        (
            '["{key}"]',
            "[]",
            "[channels.quotes.subscribe] arguments: nothing tells the hub the key of channel",
        ),
        ("method =", "metod =", "[channels.quotes.subscribe] metod: there is no such key; did you mean"),
        ("subscribe = {", "subscirbe = {", "[channels.quotes] subscirbe: there is no such key; did you mean"),
        ('target = "Quotes"\n', "", "[[events]] entry 1 target: missing; expected text that is not empty."),
        ('key = "[0]"', 'key = "0]"', "[[events]] entry 1 key: expected a path such as"),
        ('each = "[1][*]"\n', "", '[[events]] entry 1 time: [*] means each of several; add each = "[1][*]".'),
        (
            'channel = "quotes"',
            'channel = "quote"',
            "[[events]] entry 1 channel: there is no channel 'quote';",
        ),
        ('key = "[0]"\ntime', "time", "[[events]] entry 1 key: missing: nothing tells the key of channel"),
        ("[keys.host]", "server_timeout = 0\n[keys.host]", "server_timeout: expected seconds, more than 0"),
        (
            "[keys.host]",
            "[ping]\ninterval = 1\n[keys.host]",
            "ping: there is no such key; expected one of: ",
        ),
        (
            "[keys.host]",
            "[send_rat]\nbatch = 1\n[keys.host]",
            "send_rat: there is no such key; did you mean 'send_rate'?",
        ),
    ],
)
def test_a_mistake_in_a_hubs_table_is_told_with_its_place(right: str, wrong: str, told: str) -> None:
    assert right in QUAY
    problems = mistakes(QUAY.replace(right, wrong, 1))
    assert any(problem.startswith(told) for problem in problems), problems


def test_all_mistakes_of_a_hub_are_told_at_once() -> None:
    text = QUAY.replace("${host}", "${hots}").replace("secret = true", "").replace('"{depth}"', '"{dept}"')
    text = text.replace('target = "Notice"', "target = 1")
    assert [problem.partition(": ")[0] for problem in mistakes(text)] == [
        "[[events]] entry 3 target",
        "url",
        "[keys.token] secret",
        "[channels.book.subscribe] arguments[1]",
        "[channels.book.unsubscribe] arguments[1]",
    ]


def test_what_is_never_subscribed_to_cannot_be_given_up() -> None:
    text = QUAY.replace('subscribe = { method = "SubscribeQuotes", arguments = ["{key}"] }\n', "", 1)
    assert mistakes(text) == [
        "[channels.quotes] subscribe: missing: what is not subscribed to cannot be given up."
    ]


raw = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(st.data(), raw)
def test_whatever_stands_in_a_hubs_table_is_told_in_sentences(data: st.DataObject, value: Any) -> None:
    source = tomllib.loads(QUAY)
    node: Any = source
    while True:  # somewhere in the table, something else
        where = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else list(range(len(node)))))
        deeper = node[where]
        if not isinstance(deeper, dict | list) or not deeper or data.draw(st.booleans()):
            break
        node = deeper
    node[where] = value
    problems = ["quay.toml: none."]
    try:
        HubReader("quay.toml").read(source)
    except ConfigError as error:
        problems = list(error.problems)
    assert problems
    assert all(each.startswith("quay.toml: ") and each[-1] in ".?" for each in problems)


arguments = st.lists(
    st.sampled_from(["ESZ6", 5, [{"t": 1}], {"n": 1, "kind": "snapshot"}, None]) | raw, max_size=4
)
pushes = st.builds(
    lambda target, given: {"type": 1, "target": target, "arguments": given},
    st.sampled_from(["Quotes", "Book", "Notice", "Strange"]),
    arguments,
)


@given(st.lists(pushes | st.integers(0, 4).map(done) | raw, max_size=8))
def test_nothing_that_a_hub_pushes_is_raised_and_nothing_is_heard_unconfirmed(records: list[Any]) -> None:
    made = hub()
    topics = [made.topic("quotes", "ESZ6", {}), made.topic("book", "ESZ6", {}), made.topic("notices", "", {})]
    session = opened(made, *topics)
    confirmed = {topics[2]}  # at once: nothing is called for it
    for record in records:
        for effect in hear(session, record):
            match effect:
                case Confirm(topics=told):
                    confirmed |= set(told)
                case Missed(topics=told):
                    assert confirmed >= set(told)
                case Deliver(pairs=pairs):
                    assert confirmed >= {topic for topic, _ in pairs}


def test_a_push_may_be_what_the_hub_says_of_itself() -> None:
    states = """
[[venue_states]]
target = "MarketState"
value = "[0].state"
states = { closed = "halted", open = "open" }
key = "[0].contract"
text = "[0].words"

[[venue_states]]
target = "Notice"
when = { "[0]" = "Maintenance" }
state = "maintenance"
text = "[0]"
"""
    session = opened(hub(QUAY + states))
    closed = {"state": "closed", "contract": "ESZ6", "words": "holiday"}
    halted = VenueState(Scope(key="ESZ6"), "halted", "holiday")
    assert hear(session, push("marketstate", closed)) == [halted]
    said = hear(session, push("Notice", "Maintenance"))
    assert VenueState(Scope(), "maintenance", "Maintenance") in said
    assert hear(session, push("MarketState", {"state": "odd", "contract": "ESZ6"})) == [Unrouted(1)]
    assert cast(Any, session).heard["state"] == 1
    with pytest.raises(ConfigError) as caught:
        hub(QUAY + states.replace('target = "MarketState"', ""))
    assert "[[venue_states]] entry 1 target: missing" in str(caught.value)
