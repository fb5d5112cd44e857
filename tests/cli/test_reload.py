from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.cli.reload import Reloader, ReloadResult
from actors.cli.systemd import Systemd
from actors.errors import LinewardenError, RuntimeStopped
from actors.settings import Settings
from actors.settings.diff import Change, Plan


class Fake:
    """A runtime that does what it is told to."""

    def __init__(self, *, error: Exception | None = None) -> None:
        self.asked: list[bool] = []
        self._error = error

    def reload(self, settings: Settings, *, plan_only: bool) -> Plan:
        self.asked.append(plan_only)
        if self._error is not None:
            raise self._error
        return Plan((Change("feeds.b", "added", "feed b is added"),))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "desk.toml"
    file.write_text("")
    return file


def reloader(runtime: Any, config: Path) -> tuple[Reloader, list[Settings]]:
    prepared: list[Settings] = []
    return Reloader(runtime, config, Systemd({}), prepared.append), prepared


def test_a_plan_prepares_nothing_and_logs_nothing(config: Path, caplog: pytest.LogCaptureFixture) -> None:
    fake = Fake()
    reload, prepared = reloader(fake, config)
    assert reload(True) == ReloadResult(applied=False, changes=("feed b is added",))
    assert (fake.asked, prepared, caplog.messages) == ([True], [], [])
    with caplog.at_level("INFO", "actors.cli.reload"):
        assert reload(False) == ReloadResult(applied=True, changes=("feed b is added",))
    assert (fake.asked, len(prepared)) == ([True, False], 1)
    assert caplog.messages == [
        f"{config}: [feeds]: there is no feed in this config.",
        "Reloaded: feed b is added",
    ]


def test_mistakes_do_not_come_as_far_as_the_runtime(config: Path) -> None:
    config.write_text("[runtme]\n[servce]\n")
    fake = Fake()
    told = reloader(fake, config)[0](False)
    assert (told.applied, len(told.problems), fake.asked) == (False, 2, [])


@pytest.mark.parametrize(
    ("error", "words"),
    [(LinewardenError("no such market"), "no such market"), (KeyError("x"), "see the log")],
)
def test_what_fails_ends_nothing(config: Path, error: Exception, words: str) -> None:
    told = reloader(Fake(error=error), config)[0](False)
    assert not told.applied
    assert words in told.problems[0]


def test_where_there_is_no_runtime_there_is_no_reload(config: Path) -> None:
    with pytest.raises(RuntimeStopped):
        reloader(Fake(error=RuntimeStopped("stop")), config)[0](False)
