"""A transcript on loopback, from the client's side."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import msgpack

from actors.errors import ConfigError, Timeout
from actors.simulators import SimulatedTable, from_url, start
from tests.simulators.plain_client import Client, client

TALK = """
# a comment
< {"event": "welcome"}
> {"op": "subscribe", "args": ["a", "b"], "id": 1}
< {"ok": 1}
= confirmed
< {"n": 1}
> ping
< pong

* ping
> ping
<b {"n": 2}
<m {"n": 3}
"""


def talk(directory: Path, text: str = TALK) -> str:
    file = directory / "talk.txt"
    file.write_text(text, encoding="utf-8")
    return str(file)


def hears(desk: Client, *messages: object) -> None:
    assert [desk.hear() for _ in messages] == list(messages)


def test_it_says_each_frame_in_its_turn(tmp_path: Path) -> None:
    with SimulatedTable(talk=talk(tmp_path)) as table, client(table.url + "any/path") as desk:
        hears(desk, {"event": "welcome"})
        desk.socket.send('{"id":1,"args":["a","b"],"op":"subscribe"}')  # by value: no spaces, another order
        hears(desk, {"ok": 1}, {"n": 1})
        desk.socket.send("ping")
        hears(desk, "pong")
        assert table.played == 0
        desk.socket.send("ping")
        hears(desk, b'{"n": 2}', msgpack.encode({"n": 3}))
        assert table.played == 1
        desk.socket.send("ping")
        table.wait_heard("ping", 3)
        assert table.connections == 1  # it stays open


def test_a_message_is_found_by_a_text_of_any_member(tmp_path: Path) -> None:
    with SimulatedTable(talk=talk(tmp_path)) as table, client(table.url) as desk:
        desk.socket.send('{"id":1,"op":"subscribe","args":["a","b"]}')
        desk.socket.send("ping")
        assert table.wait_heard("subscribe") == [{"id": 1, "op": "subscribe", "args": ["a", "b"]}]
        assert table.wait_heard("ping") == ["ping"]
        missing = r"^1 of 2 messages of kind 'subscribe', and kinds \['subscribe', 'ping'\] after 0\.01 s; "
        with pytest.raises(Timeout, match=missing):
            table.wait_heard("subscribe", 2, timeout=0.01)


def test_another_frame_changes_nothing_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with SimulatedTable(talk=talk(tmp_path)) as table, client(table.url) as desk:
        hears(desk, {"event": "welcome"})
        desk.socket.send("ping")
        desk.socket.send("pong")
        desk.say("subscribe", id=1)
        desk.socket.send('{"op":"subscribe","args":["a","b"],"id":1}')
        hears(desk, {"ok": 1}, {"n": 1})
        assert table.heard[:3] == ["ping", "pong", {"action": "subscribe", "id": 1}]
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'talk.txt'}:4: waits for the frame of this line, and got 'ping'"
    ]


def test_each_connection_begins_at_the_top(tmp_path: Path) -> None:
    with SimulatedTable(talk=talk(tmp_path, "< hello\n> a\n< b\n")) as table:
        for _ in range(2):
            with client(table.url) as desk:
                hears(desk, "hello")
                desk.socket.send("a")
                hears(desk, "b")


def test_it_repeats_what_stands_behind_the_last_request(tmp_path: Path) -> None:
    with (
        SimulatedTable(talk=talk(tmp_path, "> a\n< 1\n< 2\n"), rate=0, repeat=True) as table,
        client(table.url) as desk,
        client(table.url) as waiting,
    ):
        desk.socket.send("a")
        hears(desk, "1", "2")
        table.steps(3)
        hears(desk, "1", "2", "1")
        waiting.socket.send("a")
        hears(waiting, "1", "2")


def test_faults_are_played_as_by_any_other(tmp_path: Path) -> None:
    faults = ["lose_ack n=1"]
    with SimulatedTable(talk=talk(tmp_path, "> a\n< 1\n< 2\n"), faults=faults) as table:
        with client(table.url) as desk:
            desk.socket.send("a")
            hears(desk, "2")  # the first frame is its acknowledgement
            table.drop()
        table.delay_ack(0.05)
        with client(table.url) as desk:
            desk.socket.send("a")
            hears(desk, "1", "2")


def test_by_url_and_by_name(tmp_path: Path) -> None:
    file = talk(tmp_path)
    table = from_url(f"sim://table?talk={file}&repeat=true")
    assert isinstance(table, SimulatedTable)
    assert table.settings.repeat
    started = start("table", talk=file)
    started.stop()
    with pytest.raises(ConfigError, match="talk is missing; it takes text"):
        from_url("sim://table")


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["{file}: there is no frame in it."]),
        ("# nothing\n= said\n", ["{file}: there is no frame in it."]),
        ("< 1\n\n<\n>\n", ["{file}:3: no frame follows the mark.", "{file}:4: no frame follows the mark."]),
        ("? 1", ["{file}:1: a line begins with <, <b, <m, >, =, * or #, not with '?'."]),
        (
            '> {"a":1\n',
            ["{file}:1: this is not JSON (Input data was truncated)."],
        ),
        ("<m pong", ["{file}:1: this is not JSON (JSON is malformed: invalid character (byte 0))."]),
    ],
)
def test_a_file_that_cannot_be_played_is_told_by_its_lines(
    tmp_path: Path, text: str, problems: list[str]
) -> None:
    file = talk(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        SimulatedTable(talk=file)
    assert list(raised.value.problems) == [each.format(file=file) for each in problems]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "none.txt"
    with pytest.raises(ConfigError, match=r"none\.txt: no such file or directory\."):
        SimulatedTable(talk=str(file))
    file.write_bytes(b"< \xff")
    with pytest.raises(ConfigError, match=r"none\.txt: it is not UTF-8 text\."):
        SimulatedTable(talk=str(file))
