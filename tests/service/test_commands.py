"""Commands over the service: a flood of restarts is one restart."""

from __future__ import annotations

import threading
import time

import pytest
from typer.testing import CliRunner

from actors import Runtime
from actors.actor import Reply
from actors.cli import app
from actors.service import Service
from tests.service.conftest import HERE, within
from tests.service.visitor import Told, ask
from tests.support.runtimes import at_epoch, line_of, until


def together(service: Service, path: str, count: int) -> list[Told]:
    """The answers to equal requests of several threads."""
    told: list[Told] = []
    askers = [threading.Thread(target=lambda: told.append(ask(service, path, "POST"))) for _ in range(count)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    return told


def test_restarts_that_come_together_are_one(runtime: Runtime) -> None:
    epoch = line_of(runtime).epoch
    with Service(runtime, within(restart_interval=600.0)) as service:
        told = together(service, "/restart/o2", 20)
        assert [each.status for each in told] == [202] * 20
        answers = sorted(each.body["answer"] for each in told)
        assert answers[0] == "accepted"
        assert all(each.startswith("the same as the restart ") for each in answers[1:])
        until(runtime, at_epoch(epoch + 1))
        assert "not done again" in ask(service, "/restart/o2", "POST").body["answer"]
    assert line_of(runtime).epoch == epoch + 1


def test_a_line_may_be_restarted_again_after_the_interval(runtime: Runtime) -> None:
    epoch, interval = line_of(runtime).epoch, 0.05
    with Service(runtime, within(restart_interval=interval)) as service:
        ask(service, "/restart/o2", "POST")
        time.sleep(interval)  # the machine's clock has to pass it
        assert ask(service, "/restart/o2", "POST").body == {"answer": "accepted"}
        until(runtime, at_epoch(epoch + 2))


def test_a_resume_is_held_back_and_a_pause_is_not(runtime: Runtime) -> None:
    with Service(runtime, within(restart_interval=600.0)) as service:
        assert ask(service, "/resume/o2", "POST").status == 202
        for _ in range(3):
            assert ask(service, "/pause/o2", "POST").body == {"answer": "accepted"}
        told = ask(service, "/resume/o2", "POST")
        assert told.status == 429
        assert int(told.headers["retry-after"]) in range(540, 601)
        assert "commands connect a line at most once in 600 s; try again in" in told.error
        until(runtime, lambda status: status.lines()["o2"].state == "paused")


def test_a_client_has_its_number_of_commands(runtime: Runtime) -> None:
    with Service(runtime, within(commands=3, restart_interval=0.0)) as service:
        assert [ask(service, "/pause/o2", "POST").status for _ in range(3)] == [202] * 3
        for path in ("/pause/o2", "/cooldowns/clear", "/restart/o2"):
            told = ask(service, path, "POST")
            assert told.status == 429
            assert "this client has given 3 commands within a minute" in told.error
            assert 1 <= int(told.headers["retry-after"]) <= 60
        assert ask(service, "/status").status == 200


def test_the_command_line_shows_the_sentence(runtime: Runtime) -> None:
    with Service(runtime, within(commands=2, restart_interval=600.0)) as service:

        def restart() -> tuple[int, str]:
            ran = CliRunner().invoke(app, ["restart", "o2", "--url", service.url])
            return ran.exit_code, ran.output

        assert restart() == (0, "restart o2: accepted\n")
        code, said = restart()
        assert code == 0
        assert said.startswith("restart o2: the same as the restart ")
        code, said = restart()
        assert code == 1
        assert "this client has given 2 commands within a minute, as many as it may; try again in" in said


def test_a_reload_that_is_running_is_told_of_on_the_command_line(runtime: Runtime) -> None:
    with Service(runtime, HERE, reload=lambda _plan: pytest.fail("it is running")) as service:
        service._routes._reloading.acquire()
        ran = CliRunner().invoke(app, ["reload", "--url", service.url])
    assert ran.exit_code == 0
    assert ran.output.startswith("a reload is running already, and this request counts as the same")
    assert "No changes" not in ran.output


def test_a_command_that_failed_is_not_taken_for_done(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.service.commands.CALL", 0.05)
    with Service(runtime, within(restart_interval=600.0)) as service:
        with monkeypatch.context() as patch:
            patch.setattr(type(runtime.supervisor), "restart", lambda _self, _target: Reply())
            assert ask(service, "/restart/o2", "POST").status == 503
        assert ask(service, "/restart/o2", "POST").body == {"answer": "accepted"}
