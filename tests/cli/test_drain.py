from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from actors.errors import ServiceDeclinedError, ServiceUnreachableError
from tests.cli.running import Running
from tests.commands import PATIENCE


def test_drain_ends_a_run_with_0_and_returns_when_it_has_ended(live_run: Running) -> None:
    told = live_run.ask("drain", "--timeout", 20)
    assert (told.returncode, told.stdout, told.stderr) == (0, "The service has ended.\n", "")
    assert live_run.process.wait(PATIENCE) == 0
    live_run.logged("The service ends within 20 s, as ")
    assert live_run.ask("drain").returncode == 3


class Draining:
    """A service whose process answers so, one answer after the other; the last one for good."""

    name = "the service"

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.posted: list[str] = []

    def post(self, path: str) -> bytes:
        self.posted.append(path)
        return b'{"pid": 7}'

    def get(self, _: str) -> bytes:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return b'{"pid": %d}' % answer


def drain(service: Draining, monkeypatch: pytest.MonkeyPatch, **values: float) -> None:
    command: Any = importlib.import_module("actors.cli.drain")

    @contextmanager
    def asking(*_: object) -> Iterator[Draining]:
        yield service

    monkeypatch.setattr(command, "asking", asking)
    for name, value in {"LOOK": 0.0, **values}.items():
        monkeypatch.setattr(command, name, value)
    command.drain(timeout=20.0)


@pytest.mark.parametrize("last", [8, ServiceUnreachableError("no")], ids=["started-again", "away"])
def test_drain_waits_until_another_process_or_none_answers(
    last: int | Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    service = Draining(7, ServiceDeclinedError("it is full"), 7, last)
    drain(service, monkeypatch)
    assert service.answers == [last]
    assert service.posted == ["/drain?timeout=20"]
    assert capsys.readouterr().out == "The service has ended.\n"


def test_drain_tells_which_process_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Draining(7, 7, ZeroDivisionError())
    with pytest.raises(ServiceDeclinedError, match=r"the service still runs \(process 7\); see its log"):
        drain(service, monkeypatch, GRACE=-21.0)
