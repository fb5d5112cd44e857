"""`linewarden cooldowns`, with a service and without one."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors import Runtime, start
from actors.service import Service
from actors.settings.schema import ServiceSettings
from actors.simulators import SimulatedO2
from actors.supervision.cooldown_file import Cooldown, Cooldowns
from tests.cli.running import written
from tests.client.answering import at_socket
from tests.commands import asked
from tests.service.visitor import ask
from tests.support.runtimes import config, until

HOUR_NS = 3_600 * 10**9


@pytest.fixture
def cooling(o2: SimulatedO2) -> Iterator[tuple[Runtime, Service]]:
    """A service whose venue has asked for a pause, and would take the next connect."""
    o2.refuse(status=403, retry_after=600, n=1)
    with start(config(o2.url)) as runtime, Service(runtime, ServiceSettings()) as service:
        until(runtime, lambda status: bool(status.cooldowns))
        yield runtime, service


def test_a_service_lists_and_clears_them(cooling: tuple[Runtime, Service]) -> None:
    runtime, service = cooling
    listed = asked("cooldowns", "--url", service.url)
    assert listed.returncode == 0
    row = listed.stdout.splitlines()[-1]
    assert row.startswith("o2@127.0.0.1:")
    assert " the venue " in row
    assert "403 Forbidden" in row
    (cooldown,) = json.loads(asked("cooldowns", "--json", "--url", service.url).stdout)
    assert (cooldown["line"], cooldown["asked_by"]) == ("o2", "venue")
    assert 590 < (cooldown["until_ns"] - time.time_ns()) / 1e9 <= 600
    line = json.loads(asked("status", "--json", "--url", service.url).stdout)["feeds"]["o2"]["lines"]["o2"]
    assert line["waiting"].endswith("(the venue asked)")
    assert line["waiting"] in asked("status", "--url", service.url).stdout

    unknown = asked("cooldowns", "clear", "o3", "--url", service.url)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr == f"there is no cool-down of 'o3'. There are: {cooldown['account']}.\n"
    cleared = asked("cooldowns", "clear", cooldown["account"], "--url", service.url)
    assert (cleared.returncode, cleared.stdout) == (0, f"cleared: {cooldown['account']}\n")
    runtime.wait_live(timeout=10.0)
    assert asked("cooldowns", "--url", service.url).stdout == "There is no cool-down.\n"
    assert asked("cooldowns", "clear", "--url", service.url).stdout == "There is no cool-down.\n"


def test_over_http_one_or_all_of_them_are_cleared(cooling: tuple[Runtime, Service]) -> None:
    runtime, service = cooling
    assert ask(service, "/cooldowns/clear/o3", "POST").status == 404
    assert ask(service, f"/cooldowns/clear/{'x' * 201}", "POST").status == 404
    assert ask(service, "/cooldowns/clear").status == 405
    told = ask(service, "/cooldowns/clear/o2", "POST")  # a feed stands for its account
    assert told.status == 200
    assert len(told.body["cleared"]) == 1
    runtime.wait_live(timeout=10.0)
    assert ask(service, "/cooldowns/clear", "POST").body == {"cleared": []}


KEPT = {
    "alpaca@a.example/77c1": Cooldown(time.time_ns() + HOUR_NS, "429 Too Many Requests", "iex", True),
    "o2@b.example/public": Cooldown(time.time_ns() + 2 * HOUR_NS, "403 Forbidden", "o2"),
    "over@c.example/public": Cooldown(1, "long ago"),
}


def kept_in(path: Path) -> Mapping[str, Any]:
    return Cooldowns(path).load(time.time_ns())


@pytest.fixture
def free_port() -> str:
    with SimulatedO2() as gone:
        return f"127.0.0.1:{gone.port}"


@pytest.fixture
def without_service(tmp_path: Path, free_port: str) -> tuple[Path, Path]:
    """A config whose service does not run, and its file."""
    file = tmp_path / "state" / "cooldowns.json"
    config = written(
        tmp_path / "desk.toml",
        service=f'socket = "none"\nlisten = "{free_port}"\ntokens = {{ act = "{"t" * 32}" }}',
    )
    text = config.read_text()
    config.write_text(text.replace('"desk"\n', '"desk"\ncooldown_file = "state/cooldowns.json"\n'))
    Cooldowns(file).write(KEPT)
    return config, file


def test_without_a_service_the_file_is_read(without_service: tuple[Path, Path]) -> None:
    config, file = without_service
    told = asked("cooldowns", "-c", config)
    assert (told.returncode, told.stderr) == (0, f"no service answers; {file} is used.\n")
    assert [row.split()[0] for row in told.stdout.splitlines()[2:]] == [*KEPT][:2]
    listed = json.loads(asked("cooldowns", "--json", "-c", config).stdout)
    assert [each["asked_by"] for each in listed] == ["venue", "linewarden"]


def test_without_a_service_the_file_is_changed(without_service: tuple[Path, Path]) -> None:
    config, file = without_service
    unknown = asked("cooldowns", "clear", "o2", "-c", config)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr.splitlines()[-1].startswith("there is no cool-down of 'o2'. There are: alpaca@")
    told = asked("cooldowns", "clear", "o2@b.example/public", "-c", config)
    assert (told.returncode, told.stdout) == (0, "cleared: o2@b.example/public\n")
    assert [*kept_in(file)] == ["alpaca@a.example/77c1"]
    assert asked("cooldowns", "clear", "-c", config).stdout == "cleared: alpaca@a.example/77c1\n"
    assert msgspec.json.decode(file.read_bytes()) == {}
    assert asked("cooldowns", "clear", "-c", config).stdout == "There is no cool-down.\n"


def test_the_usual_file_is_used_without_a_config(tmp_path: Path) -> None:
    file = tmp_path / "linewarden" / "cooldowns-linewarden.json"
    Cooldowns(file).write(KEPT)
    environ = {"XDG_STATE_HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "STATE_DIRECTORY": ""}
    told = asked("cooldowns", environ=environ)
    assert (told.returncode, "429 Too Many Requests" in told.stdout) == (0, True)


def test_a_service_that_was_named_and_does_not_answer_is_3(free_port: str) -> None:
    for command in (["cooldowns"], ["cooldowns", "clear"]):
        told = asked(*command, "--url", free_port)
        assert (told.returncode, told.stdout) == (3, "")
        assert told.stderr.startswith("cannot reach the service at")


def test_the_file_is_left_to_a_service_that_listens_and_cannot_be_asked(
    without_service: tuple[Path, Path], tmp_path: Path
) -> None:
    config, file = without_service
    before = file.read_bytes()
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    path = open_to_all / "desk.sock"
    text = re.sub("(?ms)^\\[service].*?(?=^\\[|\\Z)", "", config.read_text())
    config.write_text(f'{text}\n[service]\nsocket = "{path}"\n')
    with at_socket(path):
        for command in (["cooldowns"], ["cooldowns", "clear"]):
            told = asked(*command, "-c", config)
            assert (told.returncode, told.stdout) == (3, "")
            assert f"every user may write to the folder {open_to_all}" in told.stderr
    assert file.read_bytes() == before


def test_another_action_is_a_mistake() -> None:
    told = asked("cooldowns", "clera")
    assert told.returncode == 2
    assert "'clera' is unknown; did you mean 'clear'?" in told.stderr
