"""The web programs of the examples, each served and ended as its reader would, beside a venue that counts."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from actors.secret import Secret
from actors.service import Service
from actors.settings import load
from actors.settings.schema import ServiceSettings, ServiceTokens
from actors.simulators import SimulatedO2
from tests.commands import ENDING, PATIENCE, child, posix
from tests.examples.running import EXAMPLES, ROOT
from tests.support.runtimes import runtime_on

pytestmark = posix

WEB = EXAMPLES / "web"
MARKET = "0xbeef"
TOKEN = "s3cr3t-of-the-workers"
SUBSCRIBED = [{"channel": "trades", "keys": [MARKET]}]
FLASK = (sys.executable, "-m", "flask", "--app", str(WEB / "flask_latest.py"), "run", "--port", "0")
GUNICORN = (sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", "--no-control-socket")
IN_PROCESS = (*GUNICORN, "--chdir", str(WEB), "--workers", "1", "--threads", "8")
WORKERS = (*GUNICORN, "--config", str(WEB / "gunicorn.conf.py"), "--workers", "2", "service_latest:app")
CELERY = (sys.executable, "-m", "celery", "--workdir", str(WEB), "--app")


@pytest.fixture
def o2() -> Iterator[SimulatedO2]:
    """A venue that trades by itself."""
    with SimulatedO2(rate=50) as simulator:
        yield simulator


class Program:
    """A process with what it has logged. A thread reads that."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.log = ""
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                with self._more:
                    self.log += line
                    self._more.notify_all()

    def logged(self, pattern: str) -> str:
        """What the group of this pattern has found, once it is in the log."""
        with self._more:
            assert self._more.wait_for(lambda: re.search(pattern, self.log), PATIENCE), self.log
            found = re.search(pattern, self.log)
            assert found is not None
            return found[1]

    def end(self, by: signal.Signals, *, group: bool = False) -> int:
        """Ends it as a terminal (the whole group) or a supervisor does; its exit code."""
        (os.killpg if group else os.kill)(self.process.pid, by)
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code


@contextmanager
def running(*command: str, environ: Mapping[str, str]) -> Iterator[Program]:
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield Program(process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)


def once(url: str) -> tuple[int, Any]:
    """Status and body of one answer; 0: there is no server, or it has hung up."""
    try:
        with urlopen(url, timeout=10.0) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)
    except (URLError, OSError) as error:
        return 0, str(error)


def asked_until(url: str, wanted: Callable[[int, Any], object], seconds: float = PATIENCE) -> Any:
    """The body of the first answer that is wanted."""
    deadline = time.monotonic() + seconds
    while True:
        status, body = once(url)
        if wanted(status, body):
            return body
        assert time.monotonic() < deadline, (status, body)
        time.sleep(0.02)


def good(status: int, _: Any) -> bool:
    return status == 200


def is_price(body: Any) -> bool:
    return body["market"] == MARKET and int(body["price"]) > 0 and 0 <= body["age"] < 15.0


# ── Flask and Django: the runtime in the process that serves ──


@pytest.mark.parametrize("options", [(), ("--debug",)])
def test_flask_serves_with_one_connection_and_gives_it_back(
    o2: SimulatedO2, options: tuple[str, ...]
) -> None:
    with running(*FLASK, *options, environ={"O2_URL": o2.url}) as program:
        url = program.logged(r"Running on (http://[\d.:]+)")
        assert is_price(asked_until(f"{url}/latest/{MARKET}", good))
        assert once(f"{url}/health") == (200, {"lines": {"o2": "live"}})
        assert once(f"{url}/latest/0xf00d")[0] == 503
        if options and (tasks := Path(f"/proc/{program.process.pid}/task")).exists():
            assert len(list(tasks.iterdir())) == 1  # the reloader's parent runs nothing
        assert (o2.lives, o2.connections) == (1, 1)
        program.end(signal.SIGINT, group=True)  # Flask's exit code is as it likes
        o2.wait_for(lambda: o2.connections == 0, ENDING)


def test_flask_in_a_process_that_was_forked_after_the_import() -> None:
    """As gunicorn does with `preload_app`."""
    code = """
        import os, sys
        sys.path.insert(0, "examples/web")
        import flask_latest
        if os.fork() == 0:
            answer = flask_latest.app.test_client().get("/latest/0xbeef")
            print(answer.status_code, answer.headers["Retry-After"], flush=True)
            flask_latest.started().wait_live(timeout=10)
            sys.exit(0)
        assert os.wait()[1] == 0
        assert flask_latest.runtime is None
    """
    code = "\n".join(line.removeprefix(" " * 8) for line in code.splitlines())
    command = [sys.executable, "-W", "error", "-c", code]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (ran.returncode, ran.stderr, ran.stdout) == (0, "", "503 1\n")


def test_djangos_server_with_its_reloader_has_one_connection(o2: SimulatedO2) -> None:
    command = (sys.executable, "-W", "error", str(WEB / "django_latest.py"), "runserver", "127.0.0.1:0")
    with running(*command, environ={"O2_URL": o2.url}) as program:
        port = program.logged(r"Starting development server at http://127.0.0.1:(\d+)/")
        url = f"http://127.0.0.1:{port}/latest"
        if port == "0":
            pytest.skip("this version of Django does not name the port that the system chose")
        assert is_price(asked_until(f"{url}/{MARKET}", good))
        status, body = once(f"{url}/0xf00d")
        assert (status, "no price of 0x" in body["error"]) == (503, True)
        assert (o2.lives, o2.connections) == (1, 1)
        program.end(signal.SIGINT, group=True)
        o2.wait_for(lambda: o2.connections == 0, ENDING)


@pytest.mark.long
@pytest.mark.parametrize("app", ["flask_latest:app", "django_latest:application"])
@pytest.mark.parametrize("options", [(), ("--preload",)])
def test_gunicorn_with_threads_in_one_worker(o2: SimulatedO2, app: str, options: tuple[str, ...]) -> None:
    with running(*IN_PROCESS, *options, app, environ={"O2_URL": o2.url}) as program:
        url = program.logged(r"Listening at: (http://[\d.:]+)")
        worker = int(program.logged(r"Booting worker with pid: (\d+)"))
        assert is_price(asked_until(f"{url}/latest/{MARKET}", good))
        assert (o2.lives, o2.connections) == (1, 1)

        os.kill(worker, signal.SIGKILL)  # gunicorn starts another, and its first request the runtime
        o2.wait_for(lambda: o2.connections == 0, ENDING)
        assert is_price(asked_until(f"{url}/latest/{MARKET}", good))
        assert (o2.lives, o2.connections) == (2, 1)

        assert program.end(signal.SIGTERM) == 0
        o2.wait_for(lambda: o2.connections == 0, ENDING)
        assert "Traceback" not in program.log


# ── several workers on one service ──


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


# What the lock of an example is for: it counts the runtimes that eight first requests at once start.
FIRST_REQUESTS = """
import importlib, sys, threading
sys.path.insert(0, sys.argv[1])
served = importlib.import_module(sys.argv[2])
begun, starts, gate = [], [], threading.Barrier(8)
all_asked = threading.Event()

def start(config):
    starts.append(config)
    all_asked.wait(10)
    return object()

def ask():
    gate.wait()
    begun.append(1)
    if len(begun) == 8:
        all_asked.set()
    served.started()

served.actors.start = start
threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(starts))
"""


@pytest.mark.parametrize("app", ["flask_latest", "django_latest"])
def test_first_requests_that_come_at_once_start_one_runtime(app: str) -> None:
    command = [sys.executable, "-c", FIRST_REQUESTS, str(WEB), app]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert ran.stdout == "1\n"


def workers_of(url: str, number: int) -> set[int]:
    """The processes that answer, once there are so many."""
    deadline, found = time.monotonic() + PATIENCE, set[int]()
    while len(found) < number:
        assert time.monotonic() < deadline
        status, body = once(f"{url}/latest/{MARKET}")
        if status == 200:
            found.add(body["worker"])
    return found


def test_two_workers_of_gunicorn_ask_one_service(o2: SimulatedO2) -> None:
    settings = ServiceSettings(socket="none", listen="127.0.0.1:0", tokens=ServiceTokens(look=Secret(TOKEN)))
    with runtime_on(o2, subscribe=SUBSCRIBED) as runtime, Service(runtime, settings) as service:
        environ = {"LINEWARDEN_URL": service.url, "LINEWARDEN_TOKEN": TOKEN}
        with running(*WORKERS, environ=environ) as program:
            url = program.logged(r"Listening at: (http://[\d.:]+)")
            latest = f"{url}/latest/{MARKET}"
            assert is_price(asked_until(latest, good))
            one, other = workers_of(url, 2)
            assert asked_until(f"{url}/book/{MARKET}", good)["bid"] is not None
            for path in ("latest/0xdead", "latest/nonsense", "latest/%F0%9F%90%8D", "book/nonsense"):
                assert once(f"{url}/{path}") == (404, {"error": "no such market"})

            os.kill(one, signal.SIGKILL)
            assert other in workers_of(url, 2)  # and the one that gunicorn has started in its place

            service.stop()
            begun = time.monotonic()
            body = asked_until(latest, lambda status, _: status == 503)
            assert time.monotonic() - begun < 5 * 2.0
            assert "cannot reach the service at http://127.0.0.1" in body["error"]
            assert TOKEN not in str(body)
            service.start()
            assert is_price(asked_until(latest, good))

            runtime.supervisor.pause("o2").get()
            o2.wait_for(lambda: o2.connections == 0, ENDING)
            assert asked_until(latest, good)["price"]  # for 15 s the last price is young enough
            assert (o2.lives, o2.connections) == (1, 0)
            assert program.end(signal.SIGTERM) == 0
            assert "Traceback" not in program.log


@pytest.mark.long
def test_four_workers_outlive_the_death_of_their_service(o2: SimulatedO2, tmp_path: Path) -> None:
    """They find its socket, also that of the next one."""
    config = tmp_path / "service.toml"
    text = (WEB / "service.toml").read_text(encoding="utf-8")
    config.write_text(text.replace("sim://o2?rate=50", o2.url), "utf-8")
    environ = {"LINEWARDEN_URL": "", "LINEWARDEN_TOKEN": "", "XDG_RUNTIME_DIR": str(tmp_path)}
    with running(*WORKERS, "--workers", "4", environ=environ) as program:
        url = program.logged(r"Listening at: (http://[\d.:]+)")
        latest = f"{url}/latest/{MARKET}"
        assert "no service was found" in asked_until(latest, lambda status, _: status == 503)["error"]
        for life in (1, 2):
            with child("run", str(config), environ=environ, stderr=subprocess.DEVNULL) as run:
                assert is_price(asked_until(latest, good))
                assert len(workers_of(url, 4)) == 4
                assert (o2.lives, o2.connections) == (life, 1)
                run.send_signal(signal.SIGKILL)
                asked_until(latest, lambda status, _: status == 503)
                o2.wait_for(lambda: o2.connections == 0, ENDING)
        assert program.end(signal.SIGTERM) == 0
        assert "Traceback" not in program.log


# ── Celery ──


def sent(script: str, environ: Mapping[str, str]) -> str:
    """What the program prints that sends the task."""
    command = [sys.executable, str(WEB / script), MARKET]
    ran = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_celery_task_asks_the_service(o2: SimulatedO2, tmp_path: Path) -> None:
    settings = ServiceSettings(socket=str(tmp_path / "web.sock"))
    with runtime_on(o2, subscribe=SUBSCRIBED) as runtime, Service(runtime, settings) as service:
        environ = {"LINEWARDEN_URL": service.url, "CELERY_FOLDER": str(tmp_path)}
        with running(*CELERY, "celery_service", "worker", "--concurrency", "2", environ=environ) as program:
            told = sent("celery_service.py", environ)
            assert re.fullmatch(r"{'market': '0xbeef', 'price': '\d+', 'worker': '\d+'}\n", told)
            assert str(program.process.pid) not in told  # a process of the pool has answered
            assert (o2.lives, o2.connections) == (1, 1)  # Celery's own end takes seconds: it is killed


@pytest.mark.long
def test_each_process_of_a_celery_pool_starts_its_runtime_and_stops_it(
    o2: SimulatedO2, tmp_path: Path
) -> None:
    environ = {"O2_URL": o2.url, "CELERY_FOLDER": str(tmp_path)}
    pool = ("--concurrency", "1", "--max-tasks-per-child", "2")
    with running(*CELERY, "celery_runtime", "worker", *pool, environ=environ) as program:
        workers = {sent("celery_runtime.py", environ).rpartition("worker")[2] for _ in range(3)}
        assert len(workers) >= 2  # a retry counts as a task, too
        o2.wait_for(lambda: o2.connections == 1, ENDING)
        assert o2.lives >= 2
        assert program.end(signal.SIGTERM) == 0
        o2.wait_for(lambda: o2.connections == 0, ENDING)


# ── the page ──


def test_the_config_of_the_service_is_sound() -> None:
    settings = load(WEB / "service.toml", {})
    assert (settings.service, list(settings.feeds)) == (ServiceSettings(), ["o2"])


def test_every_web_example_is_run_here() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    assert all(script.stem in here for script in WEB.glob("*.py") if script.stem != "celery_broker")
