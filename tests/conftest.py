from __future__ import annotations

import gc
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

from actors import Runtime, log_queue
from actors.simulators import SimulatedO2
from tests.support.examples import THOROUGH
from tests.support.runtimes import runtime_on

# No deadlines: machines are busy, and no test is about that.
settings.register_profile("brief", deadline=None, max_examples=THOROUGH // 3)
settings.register_profile("thorough", deadline=None, max_examples=THOROUGH)
settings.register_profile(
    "mutants",
    deadline=None,
    max_examples=THOROUGH,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
settings.load_profile("brief")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what it runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # else no child process would hear a Ctrl-C


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("chaos", "faults from a seed")
    group.addoption("--seeds", default="1", help="which seeds to play: 1,2,3; or how many: x20")
    group.addoption("--rounds", type=int, default=4, help="rounds of each")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "rounds" in metafunc.fixturenames:
        rounds = metafunc.config.getoption("rounds")
        metafunc.parametrize(("seed", "rounds"), [(seed, rounds) for seed in seeds_of(metafunc.config)])


def pytest_collection_finish() -> None:
    """The thousands of tests stay to the end: the garbage collector need not walk them again and again."""
    gc.collect()
    gc.freeze()


def seeds_of(config: pytest.Config) -> list[int]:
    asked = str(config.getoption("seeds"))
    return [*(range(1, int(asked[1:]) + 1) if asked.startswith("x") else map(int, asked.split(",")))]


@pytest.fixture(scope="session", autouse=True)
def own_sockets() -> Iterator[None]:
    """Services of tests have their sockets in a folder of this run, with a path that is short enough."""
    with tempfile.TemporaryDirectory(prefix="lw-") as folder, pytest.MonkeyPatch.context() as environ:
        environ.setenv("XDG_RUNTIME_DIR", folder)
        for name in ("RUNTIME_DIRECTORY", "LINEWARDEN_URL", "LINEWARDEN_TOKEN", "LINEWARDEN_CONFIG"):
            environ.delenv(name, raising=False)
        yield


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """Pytest's own, which waits for the records that are on their way whenever it is looked at."""

    def handler(self: pytest.LogCaptureFixture) -> Any:
        assert log_queue.flush(20.0)
        return own(self)

    own = pytest.LogCaptureFixture.handler.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(pytest.LogCaptureFixture, "handler", property(handler))
    assert log_queue.flush(20.0)  # of tests before this one
    return caplog


@pytest.fixture
def o2() -> Iterator[SimulatedO2]:
    """A venue on loopback where nothing moves by itself."""
    with SimulatedO2(rate=0) as simulator:
        yield simulator


@pytest.fixture
def market(o2: SimulatedO2) -> str:
    return o2.markets[0]


@pytest.fixture
def runtime(o2: SimulatedO2) -> Iterator[Runtime]:
    """A runtime whose one line is live on that venue."""
    with runtime_on(o2) as runtime:
        yield runtime


class Baseline:
    """What this process held when the test began."""

    def __init__(self) -> None:
        self.threads, self.descriptors = _threads(), _descriptors()

    def check(self) -> None:
        """Threads and descriptors are back; the last of them may be on its way out."""
        deadline = time.monotonic() + 20.0
        while _threads() - self.threads or _descriptors() > self.descriptors:
            if time.monotonic() > deadline:
                left = {thread.name for thread in _threads() - self.threads}
                raise AssertionError(
                    f"left behind: {left}, descriptors {self.descriptors} > {_descriptors()}"
                )
            gc.collect()
            time.sleep(0.02)


@pytest.fixture
def baseline() -> Baseline:
    gc.collect()
    return Baseline()


def _threads() -> set[threading.Thread]:
    """The log's own is not among them: it ends a second after the last record, see `test_log_queue`."""
    return {thread for thread in threading.enumerate() if thread.name != log_queue.THREAD}


def _descriptors() -> int:
    here = Path("/proc/self/fd")
    return sum(1 for _ in here.iterdir()) if here.exists() else 0
