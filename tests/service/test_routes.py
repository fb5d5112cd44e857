"""The answers of a running service: status, health, commands, reload, and what it does not know."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import msgspec
import pytest

from actors import Runtime
from actors.errors import ConfigError
from actors.runtime import start
from actors.service import ReloadAnswer, Service
from actors.settings.diff import Plan, PlannedChange
from actors.simulators import SimulatedO2
from actors.status import Status
from actors.supervision.state import LineRecord
from tests.service.conftest import HERE, within
from tests.service.visitor import Told, ask
from tests.support.runtimes import at_epoch, config, line_of, until


def assert_well_said(told: Told) -> None:
    assert told.headers["content-type"] == "application/json"
    assert told.headers["cache-control"] == "no-store"
    assert told.headers["connection"] == "close"


def test_status_is_the_tree(service: Service, runtime: Runtime) -> None:
    told = ask(service, "/status")
    assert told.status == 200
    assert_well_said(told)
    status = msgspec.json.decode(told.raw, type=Status)
    assert status.schema_version == 1
    assert status.lines().keys() == runtime.status().lines().keys()
    assert status.lines()["o2"].state == "live"


def test_health_says_that_the_process_lives(service: Service, runtime: Runtime) -> None:
    assert (ask(service, "/healthz").status, ask(service, "/healthz").body) == (200, "ok")
    runtime.stop()
    assert ask(service, "/healthz").status == 200


def test_ready_is_when_every_feed_is_live(service: Service, runtime: Runtime) -> None:
    told = ask(service, "/readyz")
    assert (told.status, told.body) == (200, {"live": True})

    runtime.supervisor.pause("o2").get()
    until(runtime, lambda status: status.lines()["o2"].state == "paused")
    told = ask(service, "/readyz")
    assert (told.status, told.body) == (503, {"live": False, "not_live": {"o2": "paused"}})
    assert_well_said(told)


def test_ready_may_ask_for_fresh_data(
    service: Service, runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    assert ask(service, "/readyz?fresh=1").body == {"live": True, "fresh": True}
    trades = runtime.subscribe("o2", "trades", market, stale_after=60.0, wait=10.0)
    assert ask(service, "/readyz").status == 200
    told = ask(service, "/readyz?fresh=1")
    assert (told.status, told.body["live"], told.body["fresh"]) == (503, True, False)
    (found,) = told.body["not_fresh"].values()
    assert (found["state"], found["cause"]) == ("unknown", "no_event")
    o2.trade(market)
    trades.get(timeout=10.0)
    until(runtime, lambda status: not status.untrusted)
    assert ask(service, "/readyz?fresh=1").status == 200
    assert ask(service, "/readyz?fresh=maybe").status == 400
    assert ask(service, "/readyz?fesh=1").status == 400


def test_ready_names_the_reason() -> None:
    with start(config("ws://127.0.0.1:1")) as runtime, Service(runtime, HERE) as service:
        until(runtime, lambda status: status.lines()["o2"].reason is not None)
        not_live = ask(service, "/readyz").body["not_live"]["o2"]
        assert "refused" in not_live


def test_the_journal_of_every_line_and_of_one(service: Service, runtime: Runtime) -> None:
    assert ask(service, "/journal").body == {"o2": []}
    runtime.supervisor.restart("o2").get()
    until(runtime, at_epoch(2))
    (ending,) = ask(service, "/journal/o2").body["o2"]
    assert (ending["kind"], ending["epoch"]) == ("stopped", 1)
    told = ask(service, "/journal/o3")
    assert told.status == 404
    assert told.body["error"] == "there is no line 'o3'. There are: o2."


@pytest.fixture
def prompt(runtime: Runtime) -> Iterator[Service]:
    """Restarts a line as often as it is asked to."""
    with Service(runtime, within(restart_interval=0.0)) as service:
        yield service


def test_pause_resume_and_restart(prompt: Service, runtime: Runtime) -> None:
    service = prompt
    told = ask(service, "/pause/o2", "POST")
    assert (told.status, told.body) == (202, {"answer": "accepted"})
    assert_well_said(told)
    until(runtime, lambda status: status.lines()["o2"].state == "paused")

    assert ask(service, "/resume/o2", "POST").status == 202
    epoch = until(runtime, lambda status: status.lines()["o2"].state == "live").lines()["o2"].epoch

    assert ask(service, "/restart/o2", "POST", Content_Length="0").status == 202
    until(runtime, at_epoch(epoch + 1))


@pytest.mark.parametrize("target", ["o2/2", "o2%2F2", "%6f2%2f2"])
def test_a_line_is_named_with_its_slash(service: Service, runtime: Runtime, market: str, target: str) -> None:
    _stream = runtime.subscribe("o2", "depth", market, precision="10")
    _stream2 = runtime.subscribe(
        "o2", "depth", market, precision="100", wait=5.0
    )  # O2: one depth per market and connection
    first = line_of(runtime).epoch
    assert ask(service, f"/restart/{target}", "POST").status == 202
    until(runtime, at_epoch(2, "o2/2"))
    assert line_of(runtime).epoch == first


@pytest.mark.parametrize("command", ["restart", "pause", "resume"])
def test_an_unknown_target_is_told_in_the_runtimes_words(service: Service, command: str) -> None:
    told = ask(service, f"/{command}/o3", "POST")
    assert told.status == 404
    assert told.error == "there is no feed or line 'o3'. There are: o2."


@pytest.mark.parametrize("target", ["%ff", "%00", "x" * 201, "%2e%2e%2fstatus", "o2/", "o2?x=1"])
def test_strange_targets_restart_nothing(service: Service, runtime: Runtime, target: str) -> None:
    epoch = line_of(runtime).epoch
    status = ask(service, f"/restart/{target}", "POST").status
    assert status == (202 if target == "o2?x=1" else 404)  # a query is no part of a name
    if status == 404:
        assert line_of(runtime).epoch == epoch


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/restart/o2", "POST"),
        ("GET", "/pause/o2", "POST"),
        ("GET", "/resume/o2", "POST"),
        ("GET", "/reload", "POST"),
        ("POST", "/status", "GET, HEAD"),
        ("DELETE", "/status", "GET, HEAD"),
        ("OPTIONS", "/healthz", "GET, HEAD"),
        ("POST", "/tail", "GET, HEAD"),
    ],
)
def test_the_wrong_method_is_told_the_right_one(
    service: Service, method: str, path: str, allowed: str
) -> None:
    told = ask(service, path, method)
    assert (told.status, told.headers["allow"]) == (405, allowed)
    assert allowed in told.error
    assert_well_said(told)


@pytest.mark.parametrize("path", ["/", "/statu", "/status/", "/restart", "/restart/", "//status", "*"])
def test_unknown_paths_are_told_the_known_ones(service: Service, path: str) -> None:
    told = ask(service, path)
    assert told.status == 404
    for known in ("GET /status", "GET /readyz", "POST /restart/TARGET", "GET /tail"):
        assert known in told.error
    if path == "/statu":
        assert "did you mean /status?" in told.error


def test_a_tail_without_an_upgrade_is_told_so(service: Service) -> None:
    told = ask(service, "/tail?feed=o2&channel=trades")
    assert (told.status, told.headers["upgrade"]) == (426, "websocket")
    assert "WebSocket" in told.error


def test_a_stopped_runtime_is_told_of(service: Service, runtime: Runtime) -> None:
    runtime.stop()
    told = ask(service, "/restart/o2", "POST")
    assert (told.status, told.error) == (503, "the runtime has stopped")
    assert ask(service, "/status").body["state"] == "stopped"
    ready = ask(service, "/readyz")
    assert (ready.status, ready.body["live"], ready.body["not_live"]) == (503, False, {"o2": "stopped"})


def test_a_supervisor_that_does_not_answer_is_told_of(
    service: Service, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What people look at needs no answer of it."""
    begun, go_on = threading.Event(), threading.Event()
    targets, asked = runtime._tree._supervisor._targets, runtime._tree._supervisor

    def hang(target: str) -> list[LineRecord]:
        begun.set()
        go_on.wait(30)
        return targets(target)

    monkeypatch.setattr(asked, "_targets", hang)
    monkeypatch.setattr("actors.service.commands.CALL", 0.1)
    try:
        told = ask(service, "/pause/o2", "POST")
        assert (told.status, told.error) == (503, "the supervisor did not answer within 0.1 s")
        assert begun.is_set()
        for path in ("/status", "/readyz", "/healthz"):
            assert ask(service, path).status == 200
    finally:
        go_on.set()


def test_a_service_without_a_config_reloads_nothing(service: Service) -> None:
    assert ask(service, "/reload", "POST").status == 404


def test_reload_is_asked_with_and_without_plan(runtime: Runtime) -> None:
    asked: list[bool] = []

    def reload(plan: bool) -> ReloadAnswer:
        asked.append(plan)
        return Plan((PlannedChange("feeds.o2", "adjusted", "feed o2 wants 1 more"),))

    with Service(runtime, HERE, reload=reload) as service:
        told = ask(service, "/reload?plan=1", "POST")
        assert (told.status, told.body["changes"][0]["kind"]) == (200, "adjusted")
        assert ask(service, "/reload", "POST").status == 200
        assert ask(service, "/reload?plan=0", "POST").status == 200
        for wrong in ("plan=yes", "plans=1", "plan=%ff"):
            assert ask(service, f"/reload?{wrong}", "POST").status == 400
    assert asked == [True, False, False]


def test_a_config_with_mistakes_is_told_problem_by_problem(runtime: Runtime) -> None:
    def reload(plan: bool) -> ReloadAnswer:
        raise ConfigError(["desk.toml: one", "desk.toml: two"])

    with Service(runtime, HERE, reload=reload) as service:
        told = ask(service, "/reload", "POST")
        assert (told.status, told.body["problems"]) == (400, ["desk.toml: one", "desk.toml: two"])


def test_one_reload_at_a_time(runtime: Runtime) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def reload(plan: bool) -> ReloadAnswer:
        begun.set()
        go_on.wait(20.0)
        return Plan(())

    with Service(runtime, HERE, reload=reload) as service:
        first = threading.Thread(target=ask, args=(service, "/reload", "POST"))
        first.start()
        assert begun.wait(20.0)
        told = ask(service, "/reload", "POST")
        assert told.status == 202
        assert told.body["answer"].startswith("a reload is running already, and this request counts as the")
        assert ask(service, "/reload?plan=1", "POST").status == 409
        go_on.set()
        first.join()
        assert ask(service, "/reload", "POST").status == 200


def test_no_traceback_reaches_a_client(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    def reload(plan: bool) -> ReloadAnswer:
        raise ZeroDivisionError("in the depths")

    with Service(runtime, HERE, reload=reload) as service:
        told = ask(service, "/reload", "POST")
    assert told.status == 500
    assert b"Traceback" not in told.raw
    assert b"depths" not in told.raw
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.name == "actors.service"
