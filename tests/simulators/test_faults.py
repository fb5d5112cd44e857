"""Faults as text: what is understood, and how the rest is named."""

from __future__ import annotations

from typing import Any

import pytest

from actors.errors import ConfigError
from actors.simulators import SimulatedO2, embed, from_url, start
from actors.simulators.base.faults import Fault, PendingFaults, fault, faults_of, parse, waiting
from actors.simulators.base.history import BoundedDict
from tests.simulators.plain_client import client


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("drop", Fault("drop")),
        ("drop after=500", Fault("drop", {}, after=500)),
        ("drop every=5", Fault("drop", {}, every=5.0)),
        ("close code=1013 reason='try later'", Fault("close", {"code": 1013, "reason": "try later"})),
        ("mute new=false every=2.5", Fault("mute", {"new": False}, every=2.5)),
        ("flap n=3", Fault("flap", {"n": 3})),
        (
            "refuse status=429 retry_after=2 n=3",
            Fault("refuse", {"status": 429, "retry_after": 2.0, "n": 3}),
        ),
        ("delay_ack seconds=0.5", Fault("delay_ack", {"seconds": 0.5})),
        ("reject key=0xAA", Fault("reject", {"key": "0xAA"})),
        ("garbage kind=utf8", Fault("garbage", {"kind": "utf8"})),
        ("huge size=5000000", Fault("huge", {"size": 5_000_000})),
        ("error code=1003 message='rate limited'", Fault("error", {"code": 1003, "message": "rate limited"})),
    ],
)
def test_a_text_is_a_fault_and_a_fault_a_text(text: str, fault: Fault) -> None:
    assert parse(text, SimulatedO2) == fault
    assert parse(str(fault), SimulatedO2) == fault


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["no fault ''", "drop", "mute"]),
        ("dorp every=5", ["no fault 'dorp'", "did you mean 'drop'?"]),
        ("stop", ["no fault 'stop'"]),
        ("drop evry=5", ["no 'evry'", "did you mean 'every'?"]),
        ("drop 5", ["'5' is not key=value", "after, every"]),
        ("drop every=soon", ["every takes a number, not 'soon'"]),
        ("drop every=-1", ["every is above 0"]),
        ("drop every=inf", ["every is above 0"]),
        ("drop every=nan", ["every"]),
        ("drop after=-3", ["after is above 0"]),
        ("drop after=1 every=2", ["not both"]),
        ("flap n=1 n=2", ["n is given twice"]),
        ("flap n=1.5", ["n takes a whole number, not '1.5'"]),
        ("delay_ack", ["seconds is missing", "a number"]),
        ("mute new=perhaps", ["new takes true or false, not 'perhaps'"]),
        ("garbage kind=xml", ["kind takes json or utf8", "not 'xml'"]),
        ("close reason='open", ["no closing quotation"]),
    ],
)
def test_a_mistake_is_named(text: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(text, SimulatedO2)
    [problem] = raised.value.problems
    assert problem.startswith(f"fault {text!r}: ")
    for word in words:
        assert word in problem


def test_every_fault_of_the_design_is_there() -> None:
    wanted = {"drop", "close", "mute", "deaf", "flap", "refuse", "delay_ack", "lose_ack", "reject"}
    assert wanted | {"garbage", "huge"} <= faults_of(SimulatedO2).keys()
    assert "heal" not in faults_of(SimulatedO2)


def test_a_parameter_without_a_type_is_refused_where_the_fault_is_written() -> None:
    def skip(self: object, n=1) -> None:  # type: ignore[no-untyped-def]
        """Loses prices."""

    for mark in (fault, waiting):
        with pytest.raises(TypeError, match="fault skip: n needs an annotation, such as n: int"):
            mark(skip)
    with pytest.raises(TypeError, match="fault drop: needs a parameter n, such as n: int = 1"):
        waiting(SimulatedO2.drop)


def test_a_url_starts_one() -> None:
    o2 = embed("sim://o2?fault=drop+every%3D5&fault=flap+n%3D2&rate=0&seed=7&snapshot_key=view")
    try:
        assert isinstance(o2, SimulatedO2)
        assert o2.url == f"ws://127.0.0.1:{o2.port}/v1/ws"
        assert o2.settings.rate == 0
        assert o2.settings.snapshot_key == "view"
    finally:
        o2.stop()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sim://o3", ["no simulator 'o3'", "there is ", "o2"]),
        ("sim://o2?rte=5", ["no 'rte'", "'rate'"]),
        ("sim://o2?rate=fast", ["rate takes a number, not 'fast'"]),
        ("sim://o2?fault=dorp", ["no fault 'dorp'"]),
        (
            "sim://o2?fault=refuse+times%3D2",
            ["no 'times' here. It takes status, retry_after, n, after, every."],
        ),
        ("sim://o2?faults=drop", ["no 'faults'"]),
        ("sim://o2:high", ["Port"]),
        ("sim://o2?rate=-1", ["rate is steps per second"]),
        ("sim://o2:5?port=6", ["port is given twice"]),
        ("sim://o2?fault=close+code%3D5", ["close code 5: invalid status code"]),
    ],
)
def test_a_mistake_in_a_url_is_named(url: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as raised:
        embed(url)
    for word in words:
        assert word in str(raised.value)


def test_all_mistakes_in_a_url_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        from_url("sim://o2?rte=5&fault=dorp&fault=drop+every%3D0.5+after%3D2&fault=mute")
    assert [problem.partition(": ")[0] for problem in raised.value.problems] == [
        "url 'sim://o2?rte=5&fault=dorp&fault=drop+every%3D0.5+after%3D2&fault=mute'",
        "fault 'dorp'",
        "fault 'drop every=0.5 after=2'",
    ]


def test_a_url_may_be_looked_at_without_listening() -> None:
    o2 = from_url("sim://o2:9801?inactivity=5")
    assert o2.port == 9801
    assert not o2.running


def test_start_by_name() -> None:
    o2 = start("o2", faults=["refuse status=429 n=2"], rate=0.0)
    try:
        assert o2.running
    finally:
        o2.stop()
    with pytest.raises(ConfigError, match=r"no simulator '02'; there is .*o2"):
        start("02")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rte": 5}, "no 'rte' here; did you mean 'rate'?"),
        ({"rate": "fast"}, "rate takes a number, not 'fast'"),
        ({"rate": -1}, "rate is steps per second"),
        ({"port": 70_000}, "port is 0 to 65535"),
        ({"markets": 5}, "markets takes "),
    ],
)
def test_a_wrong_setting_is_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        start("o2", **options)
    assert words in str(raised.value)


def test_what_waits_is_taken_so_many_times_and_the_oldest_first() -> None:
    pending = PendingFaults()
    pending.add("refuse", times=2, what="first")
    pending.add("refuse", what="second")
    pending.add("refuse", "elsewhere", times=0)
    assert [pending.take("refuse") for _ in range(4)] == ["first", "first", "second", "second"]
    assert (pending.get("refuse"), pending.get("refuse", "elsewhere")) == ("second", None)
    pending.set("refuse", times=1, what="third")
    assert [pending.take("refuse") for _ in range(2)] == ["third", None]
    pending.add("refuse")
    pending.clear()
    assert pending.take("refuse") is None


def test_what_was_heard_and_asked_is_remembered_up_to_a_bound() -> None:
    with SimulatedO2(rate=0, history=3) as o2:
        for _ in range(2):
            with client(o2.url) as runtime:
                for number in range(3):
                    runtime.socket.send(f"say {number}")
                runtime.socket.send("PING")
                o2.wait_for(lambda: "PING" in o2.heard)
            o2.wait_for(lambda: o2.connections == 0)
        assert o2.heard == ["say 1", "say 2", "PING"]
        with client(o2.url), client(o2.url):
            assert [request.path for request in o2.requests] == ["/v1/ws"] * 3


def test_the_newest_entries_are_kept() -> None:
    newest = BoundedDict[str, int](2)
    for key, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        newest[key] = value
    assert newest == {"b": 2, "c": 4}
