"""A real kernel: the notebook of the examples, interrupts, cells that are run again, and what it shows."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from actors.simulators import SimulatedAlpaca
from benchmarks.installs import NOTEBOOK
from tests.support.runtimes import KEY, SECRET

ROOT = Path(__file__).parents[2]
START = """
import actors
from actors.venues import o2
CONFIG = {"feeds": {"o2": {"venue": "o2", "url": "sim://o2?rate=200"}}}
runtime = actors.start(CONFIG, wait=20, replace=True)
trades = runtime.subscribe("o2", o2.TRADES, "0xbeef", wait=20)
"""
INTERRUPTED = 20.0  # seconds at most; unhurried machines need a moment
WAITING = {  # calls that wait for what does not come; `quiet` is a stream without events
    "get": "quiet.get()",
    "get with a timeout": "quiet.get(timeout=600)",
    "get_many": "quiet.get_many(5)",
    "for": "[each for each in quiet]",
    "with_markers": "[each for each in quiet.with_markers()]",
    "with_meta": "[each for each in quiet.with_meta()]",
    "items": "[each for each in quiet.items(timeout=600)]",
    "take": "list(quiet.take(600))",
    "merge": "[each for each in runtime.merge(quiet)]",
    "wait_live": 'runtime.wait_live("down", timeout=600)',
    "subscribe": 'runtime.subscribe("down", o2.TRADES, "0x1", wait=600)',
    "book": 'runtime.book("down", "0x1", wait=600)',
    "bars": 'runtime.bars("down", "0x1", "1min", wait=600)',
    "account": 'runtime.account("px", 4242, wait=600)',
    "ask": 'runtime.ask("px").accounts().get(timeout=600)',
}


def requirements() -> tuple[str, ...]:
    """Linewarden's own, in the versions that are tested together, and those of a notebook."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    own = {Requirement(each).name.lower() for each in project["dependencies"]}
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return (*NOTEBOOK, *(each for each in pinned if each.partition("==")[0].lower() in own), "socksio")


@pytest.fixture(scope="session")
def python(sdk_python: Callable[..., Path]) -> Path:
    try:
        return sdk_python(*requirements())
    except pytest.skip.Exception as missing:
        if "LINEWARDEN_CI" in os.environ:
            pytest.fail(str(missing))
        raise


def environment(folder: Path) -> dict[str, str]:
    """Of a kernel: nothing of its user's home."""
    homes = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR")
    own = {name: str(folder / name.lower()) for name in homes}
    return {**os.environ, **own, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1", "MY_KEY": KEY}


class Kernel:
    """A kernel in a process of its own."""

    def __init__(self, python: Path, folder: Path) -> None:
        self._errors = (folder / "errors.txt").open("w+")
        self._process = subprocess.Popen(
            [str(python), str(Path(__file__).with_name("kernel.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment(folder),
        )

    def ask(self, do: str, **asked: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **asked}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        self._errors.seek(0)
        assert answer, self._errors.read()[-2_000:]
        told: dict[str, Any] = json.loads(answer)
        return told

    def run(self, code: str, interrupt_at: str | None = None) -> dict[str, Any]:
        """A cell; what it printed, showed and raised."""
        return self.ask("execute", code=code, interrupt_at=interrupt_at)

    def value(self, code: str) -> str:
        """The repr of the last line of a cell."""
        told = self.run(code)
        assert told["error"] is None, told["error"]
        return str(told["shown"]["text/plain"])

    def end(self) -> None:
        self._process.communicate(timeout=60)
        self._errors.close()


@pytest.fixture(scope="module")
def kernel(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    kernel = Kernel(python, tmp_path_factory.mktemp("kernel"))
    try:
        yield kernel
    finally:
        kernel.end()


def test_the_notebook_of_the_examples_runs_from_start_to_end(python: Path, tmp_path: Path) -> None:
    script, file = Path(__file__).with_name("kernel.py"), ROOT / "examples" / "notebook.ipynb"
    ran = subprocess.run(
        [str(python), str(script), str(file)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=environment(tmp_path),
        cwd=ROOT,
    )
    assert ran.returncode == 0, ran.stderr[-3_000:]
    outputs: dict[str, list[dict[str, Any]]] = json.loads(ran.stdout)
    assert all(each["output_type"] != "error" for told in outputs.values() for each in told)
    warned = [each["text"] for told in outputs.values() for each in told if each.get("name") == "stderr"]
    assert all(line.startswith("o2: ") for text in warned for line in text.splitlines())  # of the log
    shown = {cell: told[-1].get("data", {}) for cell, told in outputs.items() if told}
    for cell, words in {
        "start": "Runtime linewarden: live",
        "gaps": "Stream 1 o2/trades",
        "frame": "quantity",
        "book": "BookView o2/depth/0xbeef?precision=10: synced",
        "fresh": "Freshness: ",  # not fresh while the connection is cut
        "stop": "Runtime linewarden: stopped",
    }.items():
        assert words in shown[cell]["text/html"]
    assert len(shown["plot"]["image/png"]) > 5_000


def test_an_interrupt_ends_a_loop_and_the_next_cell_reads_on_where_it_stopped(kernel: Kernel) -> None:
    kernel.run(START)
    loop = """
seen = []
for trade in trades:
    seen.append(int(trade.trade_id))
    if len(seen) == 10:
        print("go", flush=True)
"""
    told = kernel.run(loop, interrupt_at="go")
    assert told["error"][0] == "KeyboardInterrupt"
    assert told["seconds"] < INTERRUPTED
    kernel.run("seen += [int(each.trade_id) for each in trades.get_many(50, timeout=20)]")
    assert kernel.value("seen == list(range(seen[0], seen[-1] + 1))") == "True"
    assert kernel.value("runtime.status().state, len(trades.gaps), trades.dropped") == "('live', 0, 0)"


def test_each_call_that_waits_is_ended_by_an_interrupt_and_the_runtime_goes_on(kernel: Kernel) -> None:
    kernel.run(
        START.replace(
            '{"o2": {"venue": "o2", "url": "sim://o2?rate=200"}}',
            '{"o2": {"venue": "o2", "url": "sim://o2?rate=200"}, '
            '"down": {"venue": "o2", "url": "ws://127.0.0.1:1"}, '
            '"px": {"venue": "projectx", "url": "http://127.0.0.1:1", "user_name": "u", "api_key": "k"}}',
        ).replace(", wait=20, replace", ", replace")
    )
    kernel.run('quiet = runtime.subscribe("down", o2.TRADES, "0x1")\nlist(quiet.take(0))')
    ended = {}
    for name, call in WAITING.items():
        told = kernel.run(f'print("go", flush=True)\n{call}', interrupt_at="go")
        error = told["error"] or ["nothing"]
        ended[name] = error[0] if told["seconds"] < INTERRUPTED else f"after {told['seconds']} s"
    assert ended == dict.fromkeys(WAITING, "KeyboardInterrupt")
    assert kernel.value("runtime.status().feeds['o2'].lines_live, trades.get(timeout=20).market") == (
        "('1/1 live', '0xbeef')"
    )


def test_the_start_cell_is_run_again(kernel: Kernel) -> None:
    kernel.run(START)
    kernel.run("runtime")  # `Out` keeps it from now on
    kernel.run("former, old = runtime, trades")
    assert kernel.run(START)["error"] is None
    assert kernel.value("[each is runtime for each in actors.running()]") == "[True]"
    assert "replace" in kernel.value("former.end_reason")
    told = kernel.run("for each in old:\n    pass")
    assert told["error"][0] == "StreamClosed"
    assert "subscribe" in told["error"][1]
    assert kernel.value("trades.get(timeout=20).market") == "'0xbeef'"
    kernel.run(START.replace(", replace=True", ""))
    assert kernel.value("len(actors.running())") == "2"
    kernel.run("for each in actors.running():\n    each.stop()")
    assert kernel.value("actors.running()") == "()"


def test_a_second_runtime_of_one_account_is_told_of_the_first_and_a_restart_frees_it(kernel: Kernel) -> None:
    with SimulatedAlpaca(rate=0, keys={KEY: SECRET}) as alpaca:
        feed = {"venue": "alpaca", "url": alpaca.url, "key": "${MY_KEY}", "secret": SECRET}
        start = f"import actors\nruntime = actors.start({json.dumps({'feeds': {'iex': feed}})}, wait=20)"
        assert kernel.run(start)["error"] is None
        told = kernel.run(start.replace("wait=20", "wait=1"))
        assert told["error"][0] == "NotLiveError"
        assert "start(config, replace=True)" in told["error"][1]
        kernel.ask("restart")
        assert kernel.run(start)["error"] is None
        kernel.run("runtime.stop()")


def test_tracebacks_show_no_secret_and_completion_starts_nothing(kernel: Kernel) -> None:
    kernel.run(START)
    kernel.run("%xmode Verbose")
    feed = {"venue": "alpaca", "url": "sim://alpaca", "key": "${MY_KEY}", "secret": "${MY_KEY}"}
    wrong = kernel.run(f"actors.start({ {'feeds': {'a': {**feed, 'typo': 1}}} })")
    assert wrong["error"][0] == "ConfigError"
    kernel.run(f"other = actors.start({ {'feeds': {'a': feed}} }, wait=20)")
    failing = ('other.subscribe("a", "trads", "A")', 'other.subscribe("a", "trades", "A").get(timeout=0.1)')
    shown = [kernel.run(each) for each in (*failing, "other", "other.settings", "other.status()")]
    assert [told["error"] and told["error"][0] for told in shown][:2] == ["LinewardenError", "Timeout"]
    assert KEY not in json.dumps([wrong, *shown])
    kernel.run("other.stop()")
    kernel.run("%xmode Context")
    before = kernel.value("import threading\nsorted(each.name for each in threading.enumerate())")
    names = kernel.ask("complete", code="runtime.")["matches"]
    assert {"subscribe", "status", "stop", "settings"} <= set(names)
    assert not [name for name in names if name.startswith("_")]
    for code in ("runtime.supervisor.", "trades.", "actors.", "runtime.settings."):
        assert kernel.ask("complete", code=code)["matches"], code
    assert not {"annotations", "dispatcher", "messages"} & set(
        kernel.ask("complete", code="actors.")["matches"]
    )
    assert "Stream" in kernel.ask("inspect", code="trades")["text"]
    assert kernel.value("sorted(each.name for each in threading.enumerate())") == before
    assert kernel.value("runtime.status().state, trades.get(timeout=20).market") == "('live', '0xbeef')"
    kernel.run("%load_ext autoreload\n%autoreload 2")
    assert kernel.value("runtime.status().state, trades.get(timeout=20).market") == "('live', '0xbeef')"
