"""Simulated hubs from the client's side: they behave as ASP.NET Core 9 was seen to behave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from actors.errors import ConfigError
from actors.simulators.base.faults import faults_of
from actors.simulators.signalr import Caller, HubError, Method, SimulatedHubs
from actors.simulators.signalr.framing import LIMIT, Broken, Records, frames
from tests.simulators.hub_client import (
    HELLO,
    RS,
    HubClient,
    dialled,
    fetch,
    joined,
    negotiate,
    refused,
)

CANNOT = "Failed to invoke '{}' due to an error on the server."
CLOSED = {"type": 7, "error": "Connection closed with an error.", "allowReconnect": True}
UNREADABLE = {"error": "An unexpected error occurred during connection handshake."}


def fail_plainly(caller: Caller) -> None:
    raise RuntimeError("secret")


def fail_loudly(caller: Caller) -> None:
    raise HubError("boom")


class Chat(SimulatedHubs):
    """Two hubs with methods of every kind."""

    def methods(self) -> Mapping[str, Mapping[str, Method]]:
        methods = {
            "Echo": Method(lambda _, said: said, (str,)),
            "Add": Method(lambda _, one, other: one + other, (int, int)),
            "Nothing": Method(lambda _: None),
            "Fail": Method(fail_plainly),
            "FailLoudly": Method(fail_loudly),
            "Join": Method(lambda caller, room: self.join_group(room, caller), (str,)),
            "Leave": Method(lambda caller, room: self.leave_group(room, caller), (str,)),
        }
        return {"/hubs/one": methods, "/hubs/two": methods}


@pytest.fixture
def hubs() -> Iterator[Chat]:
    with Chat(ping_interval=0.0) as each:
        yield each


@pytest.fixture
def client(hubs: Chat) -> Iterator[HubClient]:
    with joined(hubs.hub_url("one")) as each:
        yield each


def still_there(client: HubClient) -> bool:
    """Whether the connection lives, and nothing stands between here and an answer."""
    return client.invoke("Echo", "still here") == {"result": "still here"}


def heard_so_far(client: HubClient) -> list[Any]:
    heard = []
    with suppress(TimeoutError):
        while True:
            heard.append(client.hear(timeout=0))
    return heard


# negotiation


def test_a_negotiation_gives_an_id_and_a_secret(hubs: Chat) -> None:
    told = negotiate(hubs.hub_url("one"), negotiateVersion="1")
    assert told.keys() == {"availableTransports", "connectionId", "connectionToken", "negotiateVersion"}
    assert told["negotiateVersion"] == 1
    assert told["connectionId"] != told["connectionToken"]
    offered = [(each["transport"], each["transferFormats"]) for each in told["availableTransports"]]
    assert offered[0] == ("WebSockets", ["Text", "Binary"])
    assert [name for name, _ in offered] == ["WebSockets", "ServerSentEvents", "LongPolling"]


@pytest.mark.parametrize("query", [{}, {"negotiateVersion": "0"}])
def test_a_negotiation_of_old_has_the_id_alone(hubs: Chat, query: dict[str, str]) -> None:
    url = hubs.hub_url("one")
    told = negotiate(url, **query)
    assert told["negotiateVersion"] == 0
    assert "connectionToken" not in told
    with joined(url, id=told["connectionId"]) as client:
        assert still_there(client)


def test_a_version_that_is_not_there_yet_is_the_newest(hubs: Chat) -> None:
    assert negotiate(hubs.hub_url("one"), NEGOTIATEVERSION="7")["negotiateVersion"] == 1


@pytest.mark.parametrize("version", ["one", "-1"])
def test_a_version_that_cannot_be_meant_is_an_error(hubs: Chat, version: str) -> None:
    told = negotiate(hubs.hub_url("one"), negotiateVersion=version)
    assert told["error"].startswith("The client requested")
    assert "connectionId" not in told


def test_a_hub_may_offer_no_websockets() -> None:
    with Chat(transports="LongPolling") as hubs:
        (offered,) = negotiate(hubs.hub_url("one"))["availableTransports"]
        assert offered["transport"] == "LongPolling"
    with pytest.raises(ValueError, match="ForeverFrame"):
        Chat(transports="WebSockets,ForeverFrame")


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/hubs/one/negotiate", 405, b""),
        ("GET", "/hubs/one", 400, b"Connection ID required"),
        ("POST", "/hubs/three/negotiate", 404, b""),
        ("GET", "/", 404, b""),
    ],
)
def test_what_is_asked_wrongly(hubs: Chat, method: str, path: str, status: int, words: bytes) -> None:
    answered, _, body = fetch(method, hubs.http_url + path)
    assert (answered, body) == (status, words)


# upgrades


def test_an_id_opens_one_connection_once(hubs: Chat) -> None:
    url = hubs.hub_url("one")
    told = negotiate(url, negotiateVersion="1")
    assert refused(url, id=told["connectionId"])[0] == 404  # the public one is no token
    assert refused(hubs.hub_url("two"), id=told["connectionToken"])[0] == 404
    with joined(url, id=told["connectionToken"]) as client:
        assert still_there(client)
        assert refused(url, id=told["connectionToken"])[0] == 409
    hubs.wait_for(lambda: hubs.connections == 0)
    assert refused(url, id=told["connectionToken"]) == (404, b"No Connection with that ID")


def test_an_unknown_id_opens_nothing_and_none_is_needed(hubs: Chat) -> None:
    assert refused(hubs.hub_url("one"), id="guess")[0] == 404
    assert refused(hubs.http_url + "/hubs/three")[0] == 404
    with joined(hubs.hub_url("one")) as client:
        assert still_there(client)


def test_an_id_that_was_not_used_in_time_is_forgotten() -> None:
    with Chat(negotiated_life=-1.0) as hubs:
        url = hubs.hub_url("one")
        assert refused(url, id=negotiate(url)["connectionId"])[0] == 404


def test_a_token_comes_by_query_or_by_header() -> None:
    with Chat(tokens=lambda token: token == "good") as hubs:
        url = hubs.hub_url("one")
        for headers, query in (
            ({}, {}),
            ({}, {"access_token": "bad"}),
            ({"Authorization": "Bearer bad"}, {}),
        ):
            assert refused(url, headers, **query)[0] == 401
            status, told, _ = fetch(
                "POST", f"{url}/negotiate?{'&'.join(map('='.join, query.items()))}", headers=headers
            )
            assert (status, told["www-authenticate"].partition(" ")[0]) == (401, "Bearer")
        for headers, query in (({}, {"access_token": "good"}), ({"Authorization": "Bearer good"}, {})):
            told = negotiate(url, headers, **query)
            with dialled(url, headers, id=told["connectionId"], **query) as client:
                assert still_there(client.shake_hands())


# handshakes


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ('{"protocol":"bson","version":1}', {"error": "The protocol 'bson' is not supported."}),
        ('{"protocol":"messagepack","version":1}', {"error": "The protocol 'messagepack' is not supported."}),
        (
            '{"protocol":"json","version":99}',
            {"error": "The server does not support version 99 of the 'json' protocol."},
        ),
        ("hello", UNREADABLE),
        ("[]", UNREADABLE),
        ('{"protocol":"json"}', UNREADABLE),
        ('{"type":1,"target":"Echo","arguments":["x"],"invocationId":"1"}', UNREADABLE),
        ("x" * (LIMIT + 1), UNREADABLE),
    ],
)
def test_a_handshake_that_fails_is_answered_and_closed(hubs: Chat, said: str, error: dict[str, str]) -> None:
    with dialled(hubs.hub_url("one")) as client:
        client.say_text(said + RS)
        assert client.hear_until_closed() == [error]
        assert client.close_code == 1000


def test_a_handshake_may_come_in_pieces_and_with_company(hubs: Chat) -> None:
    with dialled(hubs.hub_url("one")) as client:
        client.say_text(HELLO[:9])
        client.socket.send(
            HELLO[9:].encode() + b'{"type":1,"target":"Echo","arguments":["x"],"invocationId":"1"}\x1e'
        )
        assert client.hear() == {}
        assert client.hear() == {"type": 3, "invocationId": "1", "result": "x"}


def test_who_does_not_shake_hands_is_turned_away() -> None:
    with Chat(handshake_timeout=0.02) as hubs, dialled(hubs.hub_url("one")) as client:
        assert client.hear_until_closed() == [{"error": "Handshake was canceled."}]
        assert client.close_code == 1000


# invocations


@pytest.mark.parametrize(
    ("target", "arguments", "completion"),
    [
        ("Echo", ["x"], {"result": "x"}),
        ("echo", ["x"], {"result": "x"}),  # whatever the case
        ("Add", [1, 2], {"result": 3}),
        ("Nothing", [], {"result": None}),
        ("Fail", [], {"error": "An unexpected error occurred invoking 'Fail' on the server."}),
        (
            "FailLoudly",
            [],
            {"error": "An unexpected error occurred invoking 'FailLoudly' on the server. HubException: boom"},
        ),
        ("NoSuch", [], {"error": CANNOT.format("NoSuch") + " HubException: Method does not exist."}),
        ("Add", [1], {"error": CANNOT.format("Add")}),
        ("Add", [1, "2"], {"error": CANNOT.format("Add")}),
        ("Add", [1, True], {"error": CANNOT.format("Add")}),
        ("Add", [1, {}], {"error": CANNOT.format("Add")}),
        ("Echo", [7], {"error": CANNOT.format("Echo")}),
    ],
)
def test_a_blocking_call_is_completed(
    client: HubClient, target: str, arguments: list[Any], completion: dict[str, Any]
) -> None:
    assert client.invoke(target, *arguments) == completion
    client.say(type=1, target=target, arguments=arguments)  # without an id nothing comes back
    assert still_there(client)


def test_a_method_that_does_not_stream_says_so(client: HubClient) -> None:
    client.say(type=4, invocationId="s", target="Echo", arguments=["x"])
    assert "non-streaming 'Echo'" in client.hear()["error"]


def test_a_call_may_span_messages(client: HubClient) -> None:
    client.say_text('{"type":1,"invocationId":"1","tar')
    client.say_text('get":"Echo","arguments":["split"]}' + RS + RS)
    assert client.hear()["result"] == "split"
    assert still_there(client)


@pytest.mark.parametrize(
    "said", ["{]", "[]", "null", '{"type":1,"target":5,"arguments":[]}', "{}", "x" * (LIMIT + 1)]
)
def test_what_cannot_be_read_ends_the_connection(client: HubClient, said: str) -> None:
    client.say_text(said + RS)
    assert client.hear_until_closed() == [CLOSED]
    assert client.close_code == 1000


def test_a_close_is_answered(client: HubClient) -> None:
    client.say(type=7)
    assert client.hear_until_closed() == [{"type": 7}]
    assert client.close_code == 1000


def test_an_unknown_type_leaves_the_connection_alive_and_deaf_to_calls() -> None:
    with Chat(ping_interval=0.01) as hubs, joined(hubs.hub_url("one")) as client:
        client.say(type=99)
        client.ask("Echo", "hello?")
        hubs.wait_heard("Echo")
        assert [client.hear() for _ in range(3)] == [{"type": 6}] * 3


def test_a_client_may_be_asked_too(hubs: Chat, client: HubClient) -> None:
    hubs.push("one", "WhatTime", "zone", id="q")
    assert client.hear() == {"type": 1, "invocationId": "q", "target": "WhatTime", "arguments": ["zone"]}
    client.say(type=3, invocationId="q", result="late")
    assert hubs.wait_heard("completion") == [{"type": 3, "invocationId": "q", "result": "late"}]
    assert still_there(client)


def test_a_group_hears_what_is_for_it(hubs: Chat, client: HubClient) -> None:
    with joined(hubs.hub_url("two")) as other:
        for each in (client, other):
            each.invoke("Join", "tea")
        other.invoke("Leave", "tea")
        hubs.tell_group("tea", "Said", ["milk?"])
        assert client.hear_push() == ("Said", ["milk?"])
        assert still_there(other)
    assert hubs.members("tea") == 1
    client.socket.close()
    hubs.wait_for(lambda: hubs.members("tea") == 0)


# silences


def test_a_hub_pings_when_it_has_nothing_to_say() -> None:
    with Chat(ping_interval=0.01) as hubs, joined(hubs.hub_url("one")) as client:
        assert [client.hear() for _ in range(3)] == [{"type": 6}] * 3


def test_a_client_who_pinged_and_falls_silent_is_let_go() -> None:
    with Chat(client_timeout=0.05, ping_interval=0.0) as hubs, joined(hubs.hub_url("one")) as client:
        client.say(type=6)
        assert client.hear_until_closed() == [CLOSED]
        assert client.close_code == 1000


def test_a_client_who_never_pinged_may_be_silent() -> None:
    with Chat(client_timeout=0.01, ping_interval=0.02) as hubs, joined(hubs.hub_url("one")) as client:
        assert [client.hear() for _ in range(5)] == [{"type": 6}] * 5
        assert still_there(client)


# messages and frames


def test_records_come_many_a_message(hubs: Chat) -> None:
    hubs.packed(7)
    with dialled(hubs.hub_url("one")) as client:
        client.say_text(HELLO)
        assert [client.hear(), client.hear()] == [{}, {"type": 6}]
        assert client.messages == ["{}" + RS + '{"type":6}' + RS]
        client.ask("Join", "tea")
        assert client.hear()["result"] is None
        for number in range(14):
            hubs.tell_group("tea", "Said", [number])
        assert [client.hear_push() for _ in range(14)] == [("Said", [number]) for number in range(14)]
    assert max(message.count(RS) for message in client.messages) > 1


def test_messages_come_in_small_frames(hubs: Chat, client: HubClient) -> None:
    hubs.fragmented(10)
    client.ask("Echo", "a text of some length")
    pieces = list(client.socket.recv_streaming())
    assert max(map(len, pieces)) == 10
    assert "a text of some length" in "".join(map(str, pieces))


def test_a_large_message_comes_in_two_frames(hubs: Chat, client: HubClient) -> None:
    hubs.huge(60_000)
    sizes = [len(piece) for piece in client.socket.recv_streaming()]
    assert len(sizes) == 2
    assert sum(sizes) == 60_000


def test_records_may_span_messages(hubs: Chat, client: HubClient) -> None:
    hubs.split()
    assert still_there(client)
    assert all(message.count(RS) < 2 for message in client.messages)
    assert client.messages[1][-1] != RS
    hubs.heal()
    assert still_there(client)


@given(some.lists(some.text('abc{}\\"', max_size=8)), some.lists(some.integers(1, 30)))
def test_however_records_are_cut_they_are_the_same(said: list[str], cuts: list[int]) -> None:
    stream = b"".join(each.encode() + b"\x1e" for each in said)
    records, heard, at = Records(), list[bytes](), 0
    for size in [*cuts, len(stream) + 1]:
        heard += records.feed(stream[at : at + size])
        at += size
    assert heard == [each.encode() for each in said]


def test_a_record_without_an_end_is_broken_off() -> None:
    records = Records(limit=10)
    assert list(records.feed(b"x" * 10)) == []
    with pytest.raises(Broken):
        list(records.feed(b"x"))


@given(some.binary(max_size=9000), some.integers(0, 300))
def test_however_a_message_is_cut_it_is_the_same(payload: bytes, most: int) -> None:
    reader = StreamReader()
    reader.feed_data(frames(payload, most))
    reader.feed_eof()
    heard: list[Frame] = []
    while not ended(reader):
        parsing = Frame.parse(reader.read_exact, mask=False)
        with pytest.raises(StopIteration) as parsed:
            next(parsing)
        heard.append(parsed.value.value)
    assert b"".join(bytes(frame.data) for frame in heard) == payload
    assert [frame.fin for frame in heard] == [False] * (len(heard) - 1) + [True]
    assert [frame.opcode for frame in heard] == [Opcode.TEXT, *[Opcode.CONT] * (len(heard) - 1)]
    assert not most or all(len(frame.data) <= most for frame in heard)


def ended(reader: StreamReader) -> bool:
    try:
        next(reader.at_eof())
    except StopIteration as answer:
        return bool(answer.value)
    return False


# faults


def test_401_comes_as_often_as_asked_on_one_hub_alone(hubs: Chat) -> None:
    hubs.arm("unauthorized n=2 door=negotiate only_hub=one")
    one, two = hubs.hub_url("one"), hubs.hub_url("two")
    assert [fetch("POST", f"{one}/negotiate?")[0] for _ in range(3)] == [401, 401, 200]
    assert negotiate(two)
    hubs.unauthorized(n=2)
    assert [refused(one)[0], fetch("POST", f"{one}/negotiate?")[0]] == [401, 401]
    assert "connectionId" in negotiate(one)
    hubs.unauthorized(n=0, door="upgrade", only_hub="one")
    assert negotiate(one)
    assert [refused(one)[0] for _ in range(3)] == [401] * 3
    hubs.heal()
    with joined(one) as client:
        assert still_there(client)


def test_a_hub_may_be_out_of_order_while_the_other_serves(hubs: Chat) -> None:
    hubs.arm("refuse status=503 retry_after=2 n=2 only_hub=one")
    status, headers, _ = fetch("POST", f"{hubs.hub_url('one')}/negotiate?")
    assert (status, headers["retry-after"]) == (503, "2")
    assert refused(hubs.hub_url("one"))[0] == 503
    with joined(hubs.hub_url("one")) as client:
        assert still_there(client)
    hubs.refuse(502, n=0, only_hub="one")
    assert [refused(hubs.hub_url("one"))[0] for _ in range(3)] == [502] * 3
    with joined(hubs.hub_url("two")) as client:
        assert still_there(client)
    hubs.heal()
    for hub in hubs.hubs:
        with joined(hubs.hub_url(hub)) as client:
            assert still_there(client)


def test_negotiation_has_other_answers(hubs: Chat) -> None:
    url = hubs.hub_url("one")
    hubs.redirect(token="another")
    assert negotiate(url) == {"url": url, "accessToken": "another"}
    hubs.redirect(url="http://elsewhere/hub")
    assert negotiate(url) == {"url": "http://elsewhere/hub"}
    hubs.negotiate_error("not today")
    assert negotiate(url) == {"error": "not today"}
    hubs.legacy()
    assert "ProtocolVersion" in negotiate(url)
    assert "connectionId" in negotiate(url)


def test_an_id_may_be_over_when_it_is_given_out(hubs: Chat) -> None:
    url = hubs.hub_url("one")
    hubs.reuse_id()
    assert refused(url, id=negotiate(url)["connectionId"])[0] == 404
    with joined(url, id=negotiate(url)["connectionId"]) as client:
        assert still_there(client)


def test_a_handshake_fails_to_order(hubs: Chat) -> None:
    hubs.arm("handshake_error error='no such luck' only_hub=one")
    with dialled(hubs.hub_url("one")) as client:
        client.say_text(HELLO)
        assert client.hear_until_closed() == [{"error": "no such luck"}]
    for hub in hubs.hubs:
        with joined(hubs.hub_url(hub)) as client:
            assert still_there(client)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("hub_close", {"type": 7}),
        ("hub_close allow_reconnect=true", {"type": 7, "allowReconnect": True}),
        ("hub_close error=enough", {"type": 7, "error": "enough"}),
        (
            "hub_close allow_reconnect=true error=enough",
            {"type": 7, "error": "enough", "allowReconnect": True},
        ),
    ],
)
def test_a_hub_closes_while_the_other_goes_on(hubs: Chat, fault: str, told: dict[str, Any]) -> None:
    with joined(hubs.hub_url("one")) as one, joined(hubs.hub_url("two")) as two:
        hubs.arm(f"{fault} only_hub=one")
        assert one.hear_until_closed() == [told]
        assert one.close_code == 1000
        assert still_there(two)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("hub", "An unexpected error occurred invoking 'Echo' on the server. HubException: no"),
        ("server", "An unexpected error occurred invoking 'Echo' on the server."),
        ("binding", CANNOT.format("Echo")),
        ("unknown", CANNOT.format("Echo") + " HubException: Method does not exist."),
        ("forbidden", "Failed to invoke 'Echo' because user is unauthorized"),
    ],
)
def test_a_call_fails_to_order(hubs: Chat, client: HubClient, kind: str, error: str) -> None:
    hubs.arm(f"completion_error method=Echo kind={kind}")
    assert client.invoke("Add", 1, 2) == {"result": 3}
    assert client.invoke("Echo", "x") == {"error": error}
    assert still_there(client)


def test_a_completion_may_be_lost_or_late(hubs: Chat, client: HubClient) -> None:
    hubs.lose_ack()
    client.ask("Echo", "lost")
    assert still_there(client)
    hubs.delay_ack(0.02)
    assert client.invoke("Echo", "late") == {"result": "late"}


def test_a_server_that_times_out_says_nothing_at_all() -> None:
    with (
        Chat(ping_interval=0.005) as hubs,
        joined(hubs.hub_url("one")) as one,
        joined(hubs.hub_url("two")) as two,
    ):
        hubs.server_timeout(only_hub="one")
        one.ask("Echo", "hello?")
        hubs.wait_heard("Echo")
        assert still_there(two)
        assert one.socket.ping().wait(5)  # of the WebSocket: it is answered, and all before it has come
        assert all(each == {"type": 6} for each in heard_so_far(one))  # from before it fell silent


def test_one_hub_is_deaf_while_the_other_listens(hubs: Chat) -> None:
    with joined(hubs.hub_url("one")) as one, joined(hubs.hub_url("two")) as two:
        hubs.arm("deaf only_hub=one")
        one.ask("Echo", "hello?")
        assert still_there(two)
        assert [each["arguments"] for each in hubs.wait_heard("Echo")] == [["still here"]]
        hubs.heal()
        assert one.hear()["result"] == "hello?"


def test_a_frozen_hub_pings_and_answers_and_pushes_nothing() -> None:
    with Chat(ping_interval=0.01) as hubs, joined(hubs.hub_url("one")) as client:
        client.invoke("Join", "tea")
        hubs.frozen("one")
        hubs.tell_group("tea", "Said", ["lost"])
        assert client.hear() == {"type": 6}
        assert still_there(client)
        hubs.heal()
        hubs.tell_group("tea", "Said", ["heard"])
        assert client.hear_push() == ("Said", ["heard"])


@pytest.mark.parametrize("end", ["reset", "drop"])
def test_tcp_is_reset_under_one_hub_alone(hubs: Chat, end: str) -> None:
    with joined(hubs.hub_url("one")) as one, joined(hubs.hub_url("two")) as two:
        hubs.arm(f"{end} only_hub=one")
        assert one.hear_until_closed() == []
        assert one.close_code is None
        assert still_there(two)


def test_a_websocket_closes_under_one_hub_alone(hubs: Chat) -> None:
    with joined(hubs.hub_url("one")) as one, joined(hubs.hub_url("two")) as two:
        hubs.close(1011, "oh", only_hub="one")
        assert one.hear_until_closed() == []
        assert one.close_code == 1011
        assert still_there(two)


def test_a_host_that_stops_resets_without_a_word(hubs: Chat, client: HubClient) -> None:
    hubs.stop()
    assert client.hear_until_closed() == []
    assert client.close_code is None
    hubs.start()
    with joined(hubs.hub_url("one")) as again:
        assert still_there(again)


@pytest.mark.parametrize("kind", ["json", "utf8", "nesting", "binary"])
def test_garbage_comes_and_the_next_record_is_whole(hubs: Chat, client: HubClient, kind: Any) -> None:
    hubs.garbage(kind)
    garbage = client.socket.recv(timeout=5, decode=False)
    assert garbage
    assert still_there(client)


@pytest.mark.parametrize("name", sorted(faults_of(SimulatedHubs)))
def test_every_fault_heals(hubs: Chat, client: HubClient, name: str) -> None:
    needs = {"delay_ack": " seconds=0.01", "reject": " key=x"}
    try:
        hubs.arm(name + needs.get(name, ""))
        client.ask("Echo", "x")
    except ConnectionClosed:
        pass
    hubs.heal()
    with joined(hubs.hub_url("two")) as other:
        assert still_there(other)


def test_a_hub_that_is_not_there_is_named(hubs: Chat) -> None:
    with pytest.raises(ValueError, match="no hub 'three'; there is one, two"):
        hubs.drop(only_hub="three")
    with pytest.raises(ValueError, match="no hub 'three'"):
        hubs.hub_url("three")
    with pytest.raises(ConfigError, match="did you mean 'hub_close'"):
        hubs.arm("hub_clos")
