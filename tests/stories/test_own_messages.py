"""Messages of a program's own: each venue gets them in the form of its protocol."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

import actors
from actors import LinewardenError
from actors.protocol import Secret
from actors.protocol.signalr import JsonCodec
from actors.simulators import SimulatedAlpaca, SimulatedO2, SimulatedProjectX
from actors.venues.alpaca.session import AlpacaSession
from tests.support.runtimes import KEY, SECRET, alpaca_runtime, line_of, runtime_on

CALL: Mapping[str, Any] = {"type": 1, "target": "SubscribeAccounts", "arguments": []}


def test_a_mapping_goes_to_a_hub_as_a_record_with_its_end() -> None:
    with SimulatedProjectX(rate=0) as px:
        feed = {"venue": "projectx", "url": px.url, "user_name": "u", "api_key": "k"}
        with actors.start({"feeds": {"px": feed}}, wait=10.0) as runtime:
            runtime.send("px", CALL, line="px/user")
            assert px.wait_heard("SubscribeAccounts") == [CALL]
            accounts = runtime.subscribe("px", "accounts", wait=10.0)  # the hub has read on
            assert not accounts.closed
            assert line_of(runtime, "px/user").epoch == 1


def test_text_for_a_hub_goes_as_it_was_given() -> None:
    with SimulatedProjectX(rate=0) as px:
        feed = {"venue": "projectx", "url": px.url, "user_name": "u", "api_key": "k"}
        with actors.start({"feeds": {"px": feed}}, wait=10.0) as runtime:
            runtime.send("px", '{"type":1,"target":"Subscribe', line="px/user")  # half of a record
            runtime.send("px", 'Accounts","arguments":[]}\x1e', line="px/user")
            assert px.wait_heard("SubscribeAccounts") == [CALL]


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_a_mapping_goes_to_alpaca_in_the_encoding_of_its_feed(encoding: str) -> None:
    message = {"action": "subscribe", "trades": ["AAPL"]}
    with SimulatedAlpaca(rate=0) as alpaca, alpaca_runtime(alpaca, encoding=encoding) as runtime:
        runtime.send("iex", message)
        assert alpaca.wait_heard("subscribe") == [message]


def test_a_session_of_alpaca_writes_msgpack_where_it_reads_msgpack() -> None:
    key, secret = Secret(KEY), Secret(SECRET)
    assert AlpacaSession(key, secret).written({"a": 1}) == '{"a":1}'
    assert AlpacaSession(key, secret, encoding="msgpack").written({"a": 1}) == b"\x81\xa1a\x01"


def test_a_codec_of_hubs_ends_each_message() -> None:
    assert JsonCodec(100).message({"type": 6}) == '{"type":6}\x1e'


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (None, "is text, bytes, a mapping or a list, and NoneType is none of them"),
        (bytearray(b"{}"), "is text, bytes, a mapping or a list, and bytearray is none of them"),
        ({"a": object()}, "cannot be written: Encoding objects of type object is unsupported"),
        ({"a": {"b": {1, "x"}, "c": print}}, "cannot be written: "),
        ({"half": "\udc80"}, "is no Unicode text: "),
    ],
    ids=["nothing", "bytearray", "object", "function", "half-a-pair"],
)
def test_what_is_no_message_is_refused_in_a_sentence(message: Any, why: str) -> None:
    with SimulatedO2(rate=0) as o2, runtime_on(o2) as runtime:
        with pytest.raises(LinewardenError, match=f"^o2: nothing was sent: the message {why}"):
            runtime.send("o2", message)
        assert line_of(runtime).epoch == 1


def test_a_number_that_the_encoding_lacks_costs_no_connection() -> None:
    with SimulatedAlpaca(rate=0) as alpaca, alpaca_runtime(alpaca, encoding="msgpack") as runtime:
        with pytest.raises(LinewardenError, match="iex: nothing was sent: the message cannot be written for"):
            runtime.send("iex", {"large": 2**70})
        assert line_of(runtime, "iex").epoch == 1


def test_lists_and_other_mappings_are_written_too() -> None:
    with SimulatedO2(rate=0) as o2, runtime_on(o2) as runtime:
        runtime.send("o2", MappingProxyType({"action": "hello"}))
        runtime.send("o2", [{"action": "list"}])
        assert o2.wait_heard("hello") == [{"action": "hello"}]
        runtime.send("o2", {"action": "after"})
        assert o2.wait_heard("after") == [{"action": "after"}]
        assert '[{"action":"list"}]' in o2.heard
