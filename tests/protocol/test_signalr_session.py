"""One connection to a hub: what it says when, and what becomes of whatever the hub says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import Raw

from actors.events import Topic
from actors.protocol.session import (
    BINARY,
    TEXT,
    Announce,
    Complain,
    Confirm,
    Deliver,
    Effect,
    EffectBatch,
    End,
    Missed,
    Quarantine,
    Reject,
    Resent,
    Send,
    SessionState,
    Unrouted,
)
from actors.protocol.signalr import (
    PING_INTERVAL,
    Call,
    CallOutcome,
    CallRefused,
    HubSession,
    HubSubscription,
    HubTerms,
    Returned,
    Unanswered,
)
from actors.reasons import Reason, Retryable, Slow

RS = "\x1e"
REQUEST = Send('{"protocol":"json","version":1}' + RS)
PING = Send('{"type":6}' + RS, control=True)

A, B = Topic("desk", "quotes", "A"), Topic("desk", "quotes", "B")
BOTH = Topic("desk", "pairs", "A:B")  # rests on A's and on B's subscription
CONTROL = Topic("desk", "control")  # pushed unasked
FOREVER = Topic("desk", "news", "x")  # cannot be given up
UNHEARD = Topic("desk", "hints", "x")  # asked for without an id

_decode = msgspec.json.Decoder(tuple[str, float]).decode


class Desk(HubSession):
    """A hub of quotes by key."""

    def needs(self, topic: Topic) -> Sequence[HubSubscription]:
        match topic.channel:
            case "control":
                return ()
            case "news":
                return (HubSubscription(Call("News", (topic.key,))),)
            case "hints":
                call, undo = Call("Hint", (topic.key,), blocking=False), Call("Hush", (), blocking=False)
                return (HubSubscription(call, undo),)
        keys = topic.key.split(":")
        return [HubSubscription(Call("Subscribe", (key,)), Call("Unsubscribe", (key,))) for key in keys]

    def invoked(self, target: str, arguments: Raw, out: EffectBatch) -> None:
        key, price = _decode(arguments)
        topic = Topic("desk", "quotes", key)
        if topic in self.wanted:
            out.deliver(topic, price)
        else:
            out.unrouted += 1


def message(type: int, **fields: Any) -> str:
    return msgspec.json.encode({"type": type, **fields}).decode() + RS


def completion(id: int, **fields: Any) -> str:
    return message(3, invocationId=str(id), **fields)


def invocation(id: int, target: str, *arguments: Any) -> Send:
    return Send(message(1, invocationId=str(id), target=target, arguments=arguments))


def quote(key: str, price: float) -> str:
    return message(1, target="Quote", arguments=[key, price])


def frame(*texts: str, opcode: int = TEXT) -> tuple[int, bytes]:
    return opcode, "".join(texts).encode()


def hear(session: HubSession, *texts: str, now: float = 0.0) -> list[Effect]:
    """All of it in one WebSocket message."""
    return session.received([frame(*texts)], now)


def welcomed(terms: HubTerms | None = None, now: float = 0.0) -> Desk:
    session = Desk(terms)
    session.opened(now)
    hear(session, "{}" + RS, now=now)
    assert session.state is SessionState.OPEN
    return session


def subscribed(*topics: Topic) -> Desk:
    """Everything that they need has been asked for once and done."""
    session = welcomed()
    session.subscribe(topics, 0.0)
    hear(session, *(completion(id, result=None) for id in range(session.pending)))
    return session


def end_of(effects: Sequence[Effect]) -> Reason:
    """Why it ended: the last word, and the only one of its kind."""
    (end,) = [effect for effect in effects if isinstance(effect, End)]
    assert effects[-1] is end
    return end.reason


# ── the handshake ───────────────────────────────────────────────────────────────────────────────


def test_the_handshake_comes_first_and_the_first_ping_right_behind_it() -> None:
    session = Desk()
    assert session.opened(0.0) == [REQUEST]
    waiting = session.state
    assert waiting is SessionState.LOGGING_IN
    assert hear(session, "{}" + RS) == [PING, Announce()]
    assert session.state is SessionState.OPEN


def test_messages_in_the_frame_of_the_handshakes_answer_are_heard() -> None:
    session = Desk()
    session.opened(0.0)
    heard = hear(session, "{}" + RS, quote("A", 1.5), '{"ty')
    assert heard == [PING, Announce(), Unrouted(1)]
    assert end_of(hear(session, 'pe":7}' + RS)).code == "hub_dismissed"


def test_an_answer_in_pieces_and_in_binary() -> None:
    session = Desk()
    session.opened(0.0)
    assert session.received([frame("{", opcode=BINARY)], 0.0) == []
    assert session.received([frame("}"), frame(RS, opcode=BINARY)], 0.0) == [PING, Announce()]


def test_a_refused_handshake_is_a_refusal() -> None:
    session = Desk()
    session.opened(0.0)
    reason = end_of(hear(session, '{"error":"Handshake was canceled."}' + RS))
    assert reason == Slow("the hub refused the handshake: Handshake was canceled.", "handshake_refused")
    assert hear(session, "{}" + RS) == []


def test_a_message_instead_of_the_answer_breaks_the_protocol() -> None:
    session = Desk()
    session.opened(0.0)
    quarantine, end = hear(session, quote("A", 1.0))
    assert isinstance(quarantine, Quarantine)
    assert isinstance(end, End)
    assert isinstance(end.reason, Retryable)
    assert end.reason.code == "handshake"


# ── signs of life ───────────────────────────────────────────────────────────────────────────────


def looks(session: Desk, until: float, since: float = 0.0, *, answering: bool = True) -> list[float]:
    """When it pinged, of looks at the clock as often as a venue has them."""
    said = []
    for tick in range(1, int((until - since) / PING_INTERVAL) + 1):
        now = since + tick * PING_INTERVAL
        if answering:
            assert hear(session, message(6), now=now) == []
        effects = session.ping(now)
        assert effects in ([], [PING])
        said += [now] if effects else []
    return said


def test_we_are_never_silent_for_fifteen_seconds() -> None:
    session = welcomed()
    said = [0.0, *looks(session, 100.0)]
    assert len(said) > 5
    assert all(10.0 < later - earlier <= 15.0 for earlier, later in pairwise(said))


def test_whatever_is_said_counts_as_a_sign_of_life() -> None:
    session = welcomed()
    assert looks(session, 10.0) == []
    session.subscribe([A], 10.0)
    hear(session, completion(0), now=10.0)
    (first, *_) = looks(session, 30.0, since=10.0)
    assert 20.0 < first <= 25.0


def test_looks_that_come_seldom_are_pings_each() -> None:
    session = welcomed()
    assert [session.ping(now) for now in (10.0, 20.0, 29.0)] == [[PING]] * 3


def test_a_hub_that_is_silent_for_thirty_seconds_is_gone() -> None:
    session = welcomed()
    looks(session, 29.0, answering=False)
    assert end_of(session.ping(30.0)) == Retryable("the hub said nothing for 30 s", "server_timeout")
    assert session.ping(31.0) == []


def test_a_part_of_a_message_is_a_sign_of_life() -> None:
    session = welcomed()
    hear(session, '{"ty', now=29.0)
    assert session.ping(58.0) == [PING]
    assert session.state is SessionState.OPEN


def test_while_we_do_not_listen_the_hub_owes_us_nothing() -> None:
    session = welcomed()
    session.subscribe([A], 0.0)
    session.paused(5.0)
    assert session.ping(500.0) == [PING]  # but we owe it our signs of life
    session.resumed(500.0)
    assert session.ping(509.0) == [PING]
    assert hear(session, completion(0), now=510.0) == [Confirm((A,))]
    assert session.ping(539.0) == [PING]
    assert end_of(session.ping(540.0)) == Retryable("the hub said nothing for 30 s", "server_timeout")


def test_before_the_handshake_there_is_nothing_to_say() -> None:
    session = Desk()
    session.opened(0.0)
    assert session.ping(100.0) == []


# ── subscriptions ───────────────────────────────────────────────────────────────────────────────


def test_a_subscription_is_confirmed_when_the_hub_says_so() -> None:
    session = welcomed()
    assert session.subscribe([A, B], 0.0) == [
        invocation(0, "Subscribe", "A"),
        invocation(1, "Subscribe", "B"),
    ]
    assert hear(session, completion(1, result=None), completion(0)) == [Confirm((B,)), Confirm((A,))]
    assert hear(session, quote("A", 6801.25)) == [Deliver([(A, 6801.25)])]


def test_on_one_connection_nothing_is_asked_twice() -> None:
    session = welcomed()
    session.subscribe([A], 0.0)
    assert session.subscribe([A], 5.0) == []  # it is under way
    hear(session, completion(0))
    assert session.subscribe([A], 6.0) == [Confirm((A,))]
    assert session.pending == 0


def test_topics_that_need_the_same_ask_once_and_the_last_one_gives_it_up() -> None:
    session = welcomed()
    assert session.subscribe([A, BOTH], 0.0) == [
        invocation(0, "Subscribe", "A"),
        invocation(1, "Subscribe", "B"),
    ]
    assert hear(session, completion(0)) == [Confirm((A,))]
    assert hear(session, completion(1)) == [Confirm((BOTH,))]
    assert session.unsubscribe([A], 0.0) == []
    assert session.unsubscribe([BOTH], 0.0) == [
        invocation(2, "Unsubscribe", "A"),
        invocation(3, "Unsubscribe", "B"),
    ]
    assert hear(session, completion(2), completion(3)) == []


def test_a_refusal_is_told_in_the_hubs_words_and_what_else_was_made_is_given_up() -> None:
    session = welcomed()
    session.subscribe([A, BOTH], 0.0)
    assert hear(session, completion(0)) == [Confirm((A,))]
    words = "Failed to invoke 'Subscribe' because user is unauthorized"
    assert hear(session, completion(1, error=words)) == [Reject((BOTH,), words)]
    assert hear(session, quote("A", 1.0)) == [Deliver([(A, 1.0)])]
    assert session.unsubscribe([BOTH], 0.0) == []  # it rests on nothing any more
    assert session.subscribe([B], 0.0) == [invocation(2, "Subscribe", "B")]  # it may be asked again


def test_what_is_pushed_unasked_is_there_at_once() -> None:
    assert welcomed().subscribe([CONTROL], 0.0) == [Confirm((CONTROL,))]


def test_what_the_hub_does_not_answer_is_assumed() -> None:
    session = welcomed()
    said, assumed = session.subscribe([UNHEARD], 0.0)
    assert said == Send(message(1, target="Hint", arguments=["x"]))
    assert assumed == Confirm((UNHEARD,), assumed=True)
    assert session.unsubscribe([UNHEARD], 0.0) == [Send(message(1, target="Hush", arguments=[]))]
    assert session.pending == 0


def test_what_cannot_be_given_up_is_not_asked_for_again() -> None:
    session = subscribed(FOREVER)
    assert session.unsubscribe([FOREVER], 0.0) == []
    assert session.subscribe([FOREVER], 0.0) == [Confirm((FOREVER,))]


def test_who_leaves_before_the_answer_is_signed_off_after_it() -> None:
    session = welcomed()
    session.subscribe([A], 0.0)
    assert session.unsubscribe([A], 0.0) == []
    assert hear(session, completion(0)) == [invocation(1, "Unsubscribe", "A")]
    assert hear(session, quote("A", 1.0)) == [Unrouted(1)]


def test_who_comes_back_before_the_sign_off_is_answered_is_asked_for_after_it() -> None:
    session = subscribed(A)
    assert session.unsubscribe([A], 0.0) == [invocation(1, "Unsubscribe", "A")]
    assert session.subscribe([A], 0.0) == []
    assert hear(session, completion(1)) == [invocation(2, "Subscribe", "A")]
    assert hear(session, completion(2)) == [Confirm((A,))]


def test_a_sign_off_that_is_refused_is_a_complaint() -> None:
    session = subscribed(A)
    session.unsubscribe([A], 0.0)
    told = hear(session, completion(1, error="boom"))
    assert told == [Complain("hub_refusal", "the hub refused Unsubscribe: boom")]


def test_a_resync_shows_its_seam_to_all_who_share_it() -> None:
    session = subscribed(A, BOTH)
    assert session.resync([A], 0.0) == [
        Missed((A, BOTH), "unknown"),
        Resent((A, BOTH)),
        invocation(2, "Unsubscribe", "A"),
        invocation(3, "Unsubscribe", "B"),
    ]
    assert hear(session, completion(2), completion(3)) == [
        invocation(4, "Subscribe", "A"),
        invocation(5, "Subscribe", "B"),
    ]
    assert hear(session, completion(4), completion(5)) == [Confirm((A,)), Confirm((BOTH,))]


def test_a_resync_of_an_unwanted_topic_is_nothing() -> None:
    assert subscribed(A).resync([B], 0.0) == []


def test_a_resync_of_what_cannot_be_asked_again_shows_the_seam_and_goes_on() -> None:
    told = subscribed(FOREVER).resync([FOREVER], 0.0)
    assert told == [Missed((FOREVER,), "unknown"), Resent((FOREVER,)), Confirm((FOREVER,))]


def test_true_and_one_are_two_arguments() -> None:
    yes, one = (HubSubscription(Call("Subscribe", (value,))) for value in (True, 1))
    assert yes == one  # to Python
    assert yes.key != one.key


# ── answers that do not come ────────────────────────────────────────────────────────────────────


def test_a_subscription_without_an_answer_ends_the_connection_because_its_effect_is_not_known() -> None:
    session = welcomed()
    session.subscribe([A, B], 1.0)
    looks(session, 15.0)
    reason = end_of(session.ping(16.0))
    assert isinstance(reason, Retryable)
    assert reason.code == "invocation_timeout"
    assert "Subscribe" in reason.text
    assert session.pending == 0
    assert hear(session, completion(0), now=17.0) == []


def test_a_sign_off_without_an_answer_harms_nothing() -> None:
    session = subscribed(A)
    session.unsubscribe([A], 0.0)
    (complaint,) = [effect for effect in session.ping(15.0) if effect != PING]
    assert isinstance(complaint, Complain)
    assert complaint.code == "invocation_timeout"
    assert hear(session, completion(1), now=15.0) == [Unrouted(1)]  # too late
    assert session.subscribe([A], 15.0) == [invocation(2, "Subscribe", "A")]


def test_but_it_does_where_it_is_wanted_again_meanwhile() -> None:
    session = subscribed(A)
    session.unsubscribe([A], 0.0)
    session.subscribe([A], 1.0)
    assert end_of(session.ping(15.0)).code == "invocation_timeout"


def test_completions_that_answer_no_call_are_counted() -> None:
    assert hear(subscribed(A), completion(0), completion(7, error="e")) == [Unrouted(2)]


# ── invocations of a venue's own ────────────────────────────────────────────────────────────────


def outcomes(session: Desk, *calls: Call) -> list[CallOutcome]:
    """Invokes them; what they come to is put here."""
    told: list[CallOutcome] = []

    def then(outcome: CallOutcome) -> list[Effect]:
        told.append(outcome)
        return []

    for call in calls:
        session.invoke(call, then)
    return told


def test_errors_are_told_by_id() -> None:
    session = welcomed()
    told = outcomes(session, Call("First"), Call("Second"))
    hear(session, completion(1, error="boom\r\n\x00 " + "x" * 1000), completion(0, result={"a": 1}))
    refused, returned = told
    assert isinstance(refused, CallRefused)
    assert refused.words.startswith("boom xxx")
    assert len(refused.words) == 300
    assert isinstance(returned, Returned)
    assert bytes(returned.result) == b'{"a":1}'


def test_an_invocation_without_an_id_waits_for_nothing() -> None:
    session = welcomed()
    told = outcomes(session, Call("Say", ("hello",), blocking=False))
    assert session.pending == 0
    assert told == []


def test_whatever_waits_is_told_that_the_connection_has_ended() -> None:
    for ending in (message(7), message(7, allowReconnect=True)):
        session = welcomed()
        told = outcomes(session, Call("First"), Call("Second"))
        hear(session, ending)
        assert told == [Unanswered(lost=True)] * 2
    session = welcomed()
    told = outcomes(session, Call("First"))
    session.closed(1001, "going away")
    assert told == [Unanswered(lost=True)]


def test_subscriptions_that_wait_say_nothing_of_the_end() -> None:
    session = subscribed(A)
    session.unsubscribe([A], 0.0)
    session.subscribe([B], 0.0)
    assert session.pending == 2
    (told,) = hear(session, message(7))
    assert isinstance(told, End)
    assert session.pending == 0


def test_an_answer_in_time_and_one_too_late() -> None:
    session = welcomed(HubTerms(patience=5.0))
    told = outcomes(session, Call("First"))
    session.ping(3.0)
    told += outcomes(session, Call("Second"))
    session.ping(4.9)
    assert told == []
    session.ping(5.0)
    assert told == [Unanswered()]


def test_the_hub_that_wants_a_result_is_told_that_there_is_none() -> None:
    session = subscribed(A)
    told = hear(session, message(1, invocationId="h1", target="Quote", arguments=["A", 1.0]))
    answer = Send(message(3, invocationId="h1", error="this client has no result to give"))
    assert told == [Deliver([(A, 1.0)]), answer]
    assert hear(session, message(1, invocationId="", target="Quote", arguments=["A", 1.0])) == [
        Deliver([(A, 1.0)])
    ]


# ── what cannot be understood ───────────────────────────────────────────────────────────────────


def test_a_message_that_cannot_be_read_is_put_aside_and_shows_as_a_gap() -> None:
    session = subscribed(A)
    before, quarantine, missed, after = hear(session, quote("A", 1.0), "odd" + RS, quote("A", 2.0))
    assert (before, after) == (Deliver([(A, 1.0)]), Deliver([(A, 2.0)]))
    assert isinstance(quarantine, Quarantine)
    assert quarantine.raw == b"odd"
    assert missed == Missed((A,), "quarantine")


def test_so_is_one_that_the_venue_cannot_read() -> None:
    session = subscribed(A)
    quarantine, missed, after = hear(session, message(1, target="Quote", arguments=[7]), quote("A", 2.0))
    assert isinstance(quarantine, Quarantine)
    assert msgspec.json.decode(quarantine.raw) == {
        "type": 1,
        "target": "Quote",
        "arguments": [7],
        "invocationId": None,
    }
    assert missed == Missed((A,), "quarantine")
    assert after == Deliver([(A, 2.0)])


def test_messages_of_other_types_are_counted() -> None:
    session = subscribed(A)
    told = hear(session, '{"type":99}' + RS, message(8, sequenceId=1), message(2, invocationId="1", item=1))
    assert told == [Unrouted(3)]
    assert session.state is SessionState.OPEN


def test_a_record_without_an_end_ends_the_connection() -> None:
    session = welcomed(HubTerms(max_record=100))
    assert hear(session, '{"type":1' + " " * 80) == []
    assert end_of(hear(session, " " * 80)).code == "too_big"


def test_an_unending_answer_to_the_handshake_ends_it_too() -> None:
    session = Desk()
    session.opened(0.0)
    assert end_of(hear(session, " " * 100_000)).code == "handshake"


texts = st.sampled_from(
    [
        "{}" + RS,
        RS,
        "odd" + RS,
        '{"type":6',
        quote("A", 1.0),
        message(1, target="Quote", arguments=None),
        message(1, invocationId="1", target="Nothing", arguments=[]),
        completion(0, result=None),
        completion(1, error="no"),
        completion(1, error="no", result=1),
        message(7, error=[], allowReconnect=1),
        '{"type":99}' + RS,
    ]
)
payloads = st.lists(st.builds(str.encode, texts) | st.binary(max_size=30), max_size=12)


@given(payloads, st.lists(st.sampled_from([A, B, BOTH, FOREVER]), max_size=4), st.booleans())
def test_nothing_that_a_hub_sends_raises(said: list[bytes], topics: list[Topic], well: bool) -> None:
    session = welcomed() if well else Desk()
    if not well:
        session.opened(0.0)
    for number, payload in enumerate(said):
        effects = session.received([(TEXT, payload)], float(number))
        ends = [isinstance(effect, End) for effect in effects]
        assert True not in ends[:-1]
        if session.state is SessionState.ENDED:
            assert session.received([(TEXT, payload)], float(number)) == []
            assert session.ping(float(number)) == []
            return
        if session.state is SessionState.OPEN and number < len(topics):
            session.subscribe(topics[number:], float(number))


class Leaver(Desk):
    """A venue whose hub says by a push that it is over."""

    def invoked(self, target: str, arguments: Raw, out: EffectBatch) -> None:
        out.add(*self.end(Slow("logged out", "logout")))


def test_a_venue_may_end_it_at_a_push_and_that_is_the_last_word() -> None:
    session = Leaver()
    session.opened(0.0)
    hear(session, "{}" + RS)
    session.subscribe([A], 0.0)
    logout = message(1, target="Logout", arguments=[], invocationId="h1")
    assert hear(session, logout, completion(0), quote("A", 1.0)) == [End(Slow("logged out", "logout"))]


# ── the end ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("close", "reason"),
    [
        (
            message(7, error="Connection closed with an error.", allowReconnect=True),
            Retryable("the hub closed the connection: Connection closed with an error.", "hub_closed"),
        ),
        (message(7, allowReconnect=True), Retryable("the hub closed the connection", "hub_closed")),
        (
            message(7),
            Slow("the hub closed the connection and does not ask us back", "hub_dismissed"),
        ),
        (
            message(7, error="go away", allowReconnect=False),
            Slow("the hub closed the connection and does not ask us back: go away", "hub_dismissed"),
        ),
    ],
)
def test_the_hub_closes(close: str, reason: Reason) -> None:
    session = subscribed(A)
    assert hear(session, quote("A", 1.0), close, quote("A", 2.0)) == [Deliver([(A, 1.0)]), End(reason)]
    assert session.state is SessionState.ENDED


def test_a_close_frame_without_a_close_message() -> None:
    assert subscribed(A).closed(1001, "") == Retryable("the venue closed the connection (1001)", "close_1001")
    refused = subscribed(A).closed(1008, "policy")
    assert refused == Slow("the hub closed the connection (1008: policy)", "close_1008")


# ── what servers were seen to say ───────────────────────────────────────────────────────────────
# A hub of ASP.NET Core 9.0.5, if nothing else is said; RS is left out.


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("{}", ""),
        ('{"error":"The protocol \'bson\' is not supported."}', "handshake_refused"),
        (
            '{"error":"The server does not support version 99 of the \'json\' protocol."}',
            "handshake_refused",
        ),
        (
            '{"error":"An unexpected error occurred during connection handshake."}',
            "handshake_refused",
        ),
        ('{"error":"Handshake was canceled."}', "handshake_refused"),  # we sent none for 15 s
        ('{"type":0}', "handshake"),  # fakehost
    ],
)
def test_answers_to_a_handshake(answer: str, code: str) -> None:
    session = Desk()
    session.opened(0.0)
    told = hear(session, answer + RS)
    if code:
        assert end_of(told).code == code
    else:
        assert told == [PING, Announce()]


@pytest.mark.parametrize(
    "answer", ['{"type":3,"invocationId":"0","result":null}', '{"type":3,"invocationId":"0"}']
)
def test_completions_of_a_method_without_a_result(answer: str) -> None:
    session = welcomed()
    session.subscribe([A], 0.0)
    assert hear(session, answer + RS) == [Confirm((A,))]


@pytest.mark.parametrize(
    "words",
    [
        "An unexpected error occurred invoking 'FailHub' on the server. HubException: boom",
        "An unexpected error occurred invoking 'FailPlain' on the server.",
        "Failed to invoke 'NoSuch' due to an error on the server. HubException: Method does not exist.",
        "Failed to invoke 'Add' due to an error on the server.",
        "Unknown hub method 'NoSuch'",  # aiosignalr
    ],
)
def test_whatever_the_words_an_error_is_a_refusal(words: str) -> None:
    session = welcomed()
    session.subscribe([A], 0.0)
    assert hear(session, completion(0, error=words)) == [Reject((A,), words)]


@pytest.mark.parametrize(
    ("close", "code"),
    [
        # Our JSON was malformed; it had more than 32 KiB; we sent one ping and were silent then.
        ('{"type":7,"error":"Connection closed with an error.","allowReconnect":true}', "hub_closed"),
        ('{"type":7}', "hub_dismissed"),  # the hub's own Abort()
    ],
)
def test_closes(close: str, code: str) -> None:
    assert end_of(hear(subscribed(A), close + RS)).code == code


def test_a_burst_of_300_comes_in_25_websocket_messages() -> None:
    session = subscribed(A)
    burst = [frame(*(quote("A", 12.0 * group + each) for each in range(12))) for group in range(25)]
    assert session.received(burst, 0.0) == [Deliver([(A, float(number)) for number in range(300)])]


def test_a_completion_without_an_id_is_put_aside_and_no_event_is_lost_by_it() -> None:
    (told,) = hear(subscribed(A), '{"type":3}' + RS)  # fakehost, to whatever has no id itself
    assert isinstance(told, Quarantine)


def test_a_connection_id_that_is_too_old_is_closed_by_a_code_and_negotiated_anew() -> None:
    reason = welcomed().closed(4404, "Connection not found.")  # aiosignalr
    assert isinstance(reason, Retryable)
    assert reason.code == "close_4404"


# ── a hub that takes its time ───────────────────────────────────────────────────────────────────


class Hub(RuleBasedStateMachine):
    """People come and go, and the hub answers in any order: once it is quiet, all agree.

    What the hub does to a call it does when it answers it.
    """

    topics = st.lists(st.sampled_from([A, B, BOTH]), min_size=1, max_size=3, unique=True)

    def __init__(self) -> None:
        super().__init__()
        self.session = welcomed()
        self.open: dict[str, tuple[str, str]] = {}  # id: method and key
        self.members: set[str] = set()
        self.wanted: set[Topic] = set()
        self.confirmed: set[Topic] = set()

    def take(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(payload=payload):
                    assert isinstance(payload, str)
                    said = msgspec.json.decode(payload.removesuffix(RS))
                    self.open[said["invocationId"]] = (said["target"], said["arguments"][0])
                case Confirm(topics=topics, assumed=assumed):
                    assert not assumed
                    self.confirmed |= self.wanted & set(topics)
                case Reject(topics=topics):
                    assert not self.confirmed & set(topics)
                    self.wanted -= set(topics)
                case Resent(topics=topics):
                    self.confirmed -= set(topics)
                case Missed() | Complain():
                    pass
                case _:
                    raise AssertionError(effect)

    @rule(topics=topics)
    def come(self, topics: list[Topic]) -> None:
        self.wanted |= set(topics)
        self.take(self.session.subscribe(topics, 0.0))

    @rule(topics=topics)
    def go(self, topics: list[Topic]) -> None:
        self.wanted -= set(topics)
        self.confirmed -= set(topics)
        self.take(self.session.unsubscribe(topics, 0.0))

    @rule(topics=topics)
    def resync(self, topics: list[Topic]) -> None:
        self.take(self.session.resync(topics, 0.0))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), well=st.sampled_from([True, True, False]))
    def answer(self, data: st.DataObject, well: bool) -> None:
        id = data.draw(st.sampled_from(sorted(self.open)))
        method, key = self.open.pop(id)
        well = well or method == "Unsubscribe"
        if well and method == "Subscribe":
            assert key not in self.members, "subscribed twice"
            self.members.add(key)
        elif well:
            self.members.remove(key)
        self.take(hear(self.session, completion(int(id), **({} if well else {"error": "no"}))))

    @invariant()
    def no_two_calls_about_the_same_are_under_way(self) -> None:
        assert all(count == 1 for count in Counter(key for _, key in self.open.values()).values())

    @invariant()
    def what_is_confirmed_is_there(self) -> None:
        leaving = {key for method, key in self.open.values() if method == "Unsubscribe"}
        for topic in self.confirmed:
            assert set(topic.key.split(":")) <= self.members - leaving

    @invariant()
    def once_it_is_quiet_all_agree(self) -> None:
        assert set(self.session.wanted) == self.wanted
        if not self.open:
            assert self.members == {key for topic in self.wanted for key in topic.key.split(":")}
            assert self.confirmed == self.wanted


TestAHubThatTakesItsTime = Hub.TestCase
