"""The unit and the Containerfile: what can be said of them where neither runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

import actors
from actors import cli
from actors.cli import run
from actors.rules.line import ShownState
from actors.service.server import Service
from actors.settings import load
from actors.settings.schema import ServiceSettings
from actors.simulators import SimulatedO2
from tests.commands import ENDING, PATIENCE, child
from tests.deploy import DEPLOY, DESK, INSTALLED, ROOT, entries_of
from tests.support.runtimes import config

# ── the unit ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def unit() -> dict[str, list[str]]:
    return entries_of("linewarden.service")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here")
def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    # Every command has to be there, so they are put where they are on this machine.
    here = tmp_path / "linewarden"
    here.write_text(f'#!/bin/sh\nexec {sys.executable} -m actors "$@"\n')
    here.chmod(0o755)
    text = (DEPLOY / "linewarden.service").read_text().replace(INSTALLED, str(here))
    unit = tmp_path / "linewarden.service"
    unit.write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    it = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    complaints = [row for row in it.stderr.splitlines() if "linewarden" in row]
    if it.returncode and not complaints:
        pytest.skip(f"systemd-analyze cannot work here: {it.stderr.strip()[:200]}")
    assert complaints == []
    unit.write_text(text.replace("Type=notify", "Type=notfy").replace("ProtectHome=", "ProtectHone="))
    it = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert "notfy" in it.stderr, "what it says about nothing is worth something"
    assert "ProtectHone" in it.stderr


def test_the_unit_runs_commands_that_there_are(unit: dict[str, list[str]]) -> None:
    assert unit["ExecStart"] == [f"{INSTALLED} run {DESK}"]
    assert unit["ExecReload"] == [f"{INSTALLED} check {DESK}", "/bin/kill -HUP $MAINPID"]
    assert {"run", "check"} <= cli.COMMANDS.keys()


def test_the_unit_gives_what_the_process_promises_to_use(unit: dict[str, list[str]]) -> None:
    assert (unit["Type"], unit["NotifyAccess"]) == (["notify"], ["main"])
    assert "AF_UNIX" in unit["RestrictAddressFamilies"][0], "it tells systemd through one"
    assert unit["Restart"] == ["on-failure"]
    assert float(unit["WatchdogSec"][0].removesuffix("s")) > 2 * actors.calls.CALL
    assert float(unit["TimeoutStopSec"][0].removesuffix("s")) > 5.0
    assert int(unit["LimitNOFILE"][0]) >= run.DESCRIPTORS + 1_000 * run.DESCRIPTORS_A_LINE


@pytest.mark.parametrize(
    "entry",
    [
        *("DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "LimitCORE=0"),
        *("CapabilityBoundingSet=", "EnvironmentFile=/etc/linewarden/keys.env"),
        *("RuntimeDirectory=linewarden", "RuntimeDirectoryMode=0700", "RestartPreventExitStatus=78"),
    ],
)
def test_the_unit_keeps_keys_and_the_machine_apart(unit: dict[str, list[str]], entry: str) -> None:
    name, _, value = entry.partition("=")
    assert unit[name] == [value]


@pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")
def test_the_watchdog_s_signal_leaves_every_stack_in_the_log(
    unit: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import resource

    (variable,) = unit["Environment"]
    monkeypatch.setenv(*variable.split("="))
    # A quiet market: the interpreter walks the stacks of threads that go on running meanwhile.
    quiet = tmp_path / "quiet.toml"
    quiet.write_text('[feeds.o2]\nvenue = "o2"\nurl = "sim://o2?rate=0"\n')
    with child("run", str(quiet)) as it:
        resource.prlimit(it.pid, resource.RLIMIT_CORE, (0, 0))
        assert it.stderr is not None
        while "live" not in it.stderr.readline():  # it runs, and has nothing to do
            pass
        it.send_signal(signal.SIGABRT)
        _, told = it.communicate(timeout=ENDING)
    assert it.returncode == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in told
    assert re.search(r"actors/cli/run\.py.* in _watch", told)
    assert told.count("Thread 0x") >= 5


# ── the unit of a web program ───────────────────────────────────────────────────────────────────


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here")
def test_systemd_finds_nothing_wrong_with_the_web_program(tmp_path: Path) -> None:
    text = (DEPLOY / "linewarden-web.service").read_text()
    for installed, here in (("/opt/linewarden/bin/gunicorn", sys.executable), ("/opt/web", str(tmp_path))):
        assert installed in text
        text = text.replace(installed, here)
    unit = tmp_path / "linewarden-web.service"
    unit.write_text(text)
    (tmp_path / "linewarden.service").write_text("[Service]\nExecStart=/bin/true\n")
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    it = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    complaints = [row for row in it.stderr.splitlines() if "linewarden-web" in row]
    if it.returncode and not complaints:
        pytest.skip(f"systemd-analyze cannot work here: {it.stderr.strip()[:200]}")
    assert complaints == []


def test_gunicorn_understands_the_command_of_the_unit() -> None:
    text = (DEPLOY / "linewarden-web.service").read_text()
    (start,) = re.findall(r"^ExecStart=/opt/linewarden/bin/gunicorn (.*)$", text, re.MULTILINE)
    arguments = start.replace("/opt/web", str(ROOT / "examples" / "web")).split()
    command = [sys.executable, "-m", "gunicorn", "--check-config", *arguments]
    it = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert (it.returncode, it.stderr) == (0, "")
    assert "\nWants=linewarden.service\n" in text
    name = tomllib.loads((ROOT / "config" / "desk.toml").read_text())["runtime"]["name"]
    assert f"\nEnvironment=LINEWARDEN_URL=unix:/run/linewarden/{name}.sock\n" in text


def test_the_service_gives_its_socket_to_the_group_of_the_web_program() -> None:
    for name in ("linewarden-web.service", "linewarden-users.conf"):
        assert "\nSupplementaryGroups=linewarden-web\n" in (DEPLOY / name).read_text()
    assert '\n"@linewarden-web" = ["look"]\n' in (DEPLOY / "README.md").read_text()


# ── the container ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def steps() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "Containerfile").read_text())
    rows = [row for row in text.splitlines() if row and not row.startswith("#")]
    return [(name, value) for name, _, value in (row.partition(" ") for row in rows)]


def of(steps: list[tuple[str, str]], name: str) -> Any:
    """The last one of this name, for it is the one that counts."""
    return [value for step, value in steps if step == name][-1]


def test_no_shell_stands_between_a_signal_and_the_process(steps: list[tuple[str, str]]) -> None:
    assert json.loads(of(steps, "ENTRYPOINT")) == ["linewarden"]
    assert json.loads(of(steps, "CMD")) == ["run", DESK]
    assert of(steps, "STOPSIGNAL") == "SIGTERM"


def test_it_runs_unprivileged(steps: list[tuple[str, str]]) -> None:
    user, _, group = of(steps, "USER").partition(":")
    assert int(user) >= 10_000
    assert int(group) >= 10_000


def test_the_folder_of_its_socket_can_be_written_in_a_read_only_container(
    steps: list[tuple[str, str]],
) -> None:
    folder = of(steps, "ENV").removeprefix("RUNTIME_DIRECTORY=")
    assert json.loads(of(steps, "VOLUME")) == [folder]
    user, _, group = of(steps, "USER").partition(":")
    made = ("RUN", f"install -d -m 0700 -o {user} -g {group} {folder}")
    assert steps.index(made) < steps.index(("VOLUME", of(steps, "VOLUME"))), (
        "a volume begins as the folder was"
    )
    assert "--read-only" in (DEPLOY / "README.md").read_text()


def test_what_it_copies_is_there_and_is_enough(steps: list[tuple[str, str]]) -> None:
    copied = {
        source
        for name, value in steps
        if name == "COPY" and not value.startswith("--from")
        for source in shlex.split(value)[:-1]
    }
    assert [source for source in copied if not (ROOT / source).exists()] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    wanted = {project["project"]["readme"], *project["project"]["license-files"], *wheel["packages"]}
    assert wanted | {"pyproject.toml", "constraints.txt"} <= copied


def test_its_python_is_one_of_ours(steps: list[tuple[str, str]]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    images = {value.split()[0] for name, value in steps if name == "FROM"}
    assert len(images) == 1
    version = re.fullmatch(r"python:([\d.]+)-slim", images.pop())
    assert version is not None
    assert f"Programming Language :: Python :: {version[1]}" in project["classifiers"]


def test_the_health_check_asks_whether_the_process_lives(
    steps: list[tuple[str, str]], tmp_path: Path
) -> None:
    options, _, words = of(steps, "HEALTHCHECK").partition("CMD ")
    assert "--interval=30s" in options
    folder = of(steps, "ENV").removeprefix("RUNTIME_DIRECTORY=")
    command = json.loads(words)
    assert command[0] == "python"
    assert f"'{folder}/*.sock'" in command[-1]
    with SimulatedO2() as gone:
        url = gone.url
    with actors.start(config(url)) as runtime, Service(runtime, ServiceSettings()) as it:
        own = str(Path(it.url.removeprefix("unix:")).parent)
        here = [sys.executable, *(word.replace(folder, own) for word in command[1:])]
        environ = os.environ | {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
        healthy = subprocess.run(here, check=False, timeout=PATIENCE, env=environ)
        assert healthy.returncode == 0  # though its one line is down
    gone_too = subprocess.run(here, check=False, timeout=PATIENCE, capture_output=True)
    assert gone_too.returncode == 1


# ── Kubernetes ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def manifests() -> dict[str, Any]:
    text = (DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")
    return {each["kind"]: each for each in yaml.safe_load_all(text)}


@pytest.fixture
def pod(manifests: dict[str, Any]) -> Any:
    return manifests["Deployment"]["spec"]["template"]["spec"]


@pytest.fixture
def container(pod: Any) -> Any:
    (only,) = pod["containers"]
    return only


def test_one_pod_at_a_time_holds_the_connections(manifests: dict[str, Any], pod: Any) -> None:
    spec = manifests["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    assert pod["securityContext"]["runAsUser"] == 10_001


def test_the_config_of_the_pod_has_no_mistake(
    manifests: dict[str, Any], container: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = manifests["ConfigMap"]["data"]
    *_, file = container["args"][1].split("/")
    text = data[file]
    for name in re.findall(r'credential = "([a-z-]+)"', text):
        (tmp_path / name).write_text("s3cr3t")
    settings = load(tomllib.loads(text), {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert settings.feeds.keys() == {"crypto"}


def test_the_probes_ask_whether_the_process_lives_and_whether_it_is_ready(
    manifests: dict[str, Any], container: Any, tmp_path: Path
) -> None:
    file = tmp_path / "probe.py"
    file.write_text(manifests["ConfigMap"]["data"]["probe.py"])

    def probed(name: str) -> int:
        *command, path = container[name]["exec"]["command"]
        assert command == ["python", "/etc/linewarden/probe.py"]
        here = [sys.executable, str(file), path]
        environ = os.environ | {"RUNTIME_DIRECTORY": str(tmp_path)}
        return subprocess.run(
            here, check=False, timeout=PATIENCE, env=environ, capture_output=True
        ).returncode

    with SimulatedO2() as gone:
        url = gone.url
    settings = ServiceSettings(socket=str(tmp_path / "linewarden.sock"))
    with actors.start(config(url)) as runtime, Service(runtime, settings):
        assert [probed(name) for name in ("startupProbe", "livenessProbe", "readinessProbe")] == [0, 0, 1]
    assert probed("livenessProbe") == 1


def test_its_commands_are_there(container: Any) -> None:
    commands = [container["args"], container["lifecycle"]["preStop"]["exec"]["command"][1:]]
    assert {command[0] for command in commands} <= cli.COMMANDS.keys()


def test_a_pod_ends_within_its_time(pod: Any, container: Any) -> None:
    *_, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    assert pod["terminationGracePeriodSeconds"] > float(seconds) + 5.0


def test_each_folder_of_the_pod_is_mounted(pod: Any, container: Any) -> None:
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
    mounted = [Path(each["mountPath"]) for each in container["volumeMounts"]]
    for variable in container["env"]:
        assert any(Path(variable["value"]).is_relative_to(path) for path in mounted), variable
    own = next(each["value"] for each in container["env"] if each["name"] == "RUNTIME_DIRECTORY")
    assert Path(own) not in mounted, "every user may write into the folder of a volume"


# ── the page ───────────────────────────────────────────────────────────────────────────────────


def test_the_page_knows_every_state() -> None:
    tables = (ROOT / "docs/operating.md").read_text().split("\n\n")
    states = next(table for table in tables if "| `backoff` |" in table)
    assert re.findall(r"^\| `(\w+)` \| ", states, re.MULTILINE) == list(get_args(ShownState))
