"""What a process remembers of what venues asked for."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from actors import log_queue
from actors.supervision.cooldown_file import Cooldown, Cooldowns, usual_file

NOW = 1_700_000_000_000_000_000
LATER = Cooldown(NOW + 60 * 10**9, "429 Too Many Requests")


def written(cooldowns: Cooldowns, **kept: Cooldown) -> None:
    cooldowns.save(kept)
    for thread in threading.enumerate():
        if thread.name == "cooldowns":
            thread.join(10)


def test_what_was_saved_is_there_for_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "not yet there" / "cooldowns.json"
    written(Cooldowns(path), a=LATER)
    assert Cooldowns(path).load(NOW) == {"a": LATER}
    written(Cooldowns(path))
    assert Cooldowns(path).load(NOW) == {}
    assert list(path.parent.iterdir()) == [path]


def test_what_is_over_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "cooldowns.json"
    written(Cooldowns(path), over=Cooldown(NOW, ""), a=LATER)
    assert Cooldowns(path).load(NOW) == {"a": LATER}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": {"until_ns": "soon"}}', "\0"])
def test_a_file_that_cannot_be_read_is_as_good_as_none(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "cooldowns.json"
    path.write_text(text)
    assert Cooldowns(path).load(NOW) == {}
    assert "cannot be read" in caplog.text


def test_a_file_that_cannot_be_written_is_told_and_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    written(Cooldowns(blocker / "cooldowns.json"), a=LATER)
    assert "cannot be written" in caplog.text


def test_a_folder_that_may_not_be_entered_is_told_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    for method in ("stat", "read_bytes", "mkdir", "write_bytes"):
        monkeypatch.setattr(Path, method, refuse)
    cooldowns = Cooldowns(tmp_path / "kept.json")
    assert cooldowns.load(0) == {}
    cooldowns._write()
    log_queue.flush(10)
    assert "cannot be read" in caplog.text
    assert "cannot be written" in caplog.text


def test_without_a_thread_it_is_told_and_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        written(Cooldowns(tmp_path / "cooldowns.json"), a=LATER)
    assert "cannot be written (can't start new thread)" in caplog.text


def test_without_a_file_nothing_is_kept() -> None:
    cooldowns = Cooldowns(None)
    written(cooldowns, a=LATER)
    assert cooldowns.load(NOW) == {}


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"STATE_DIRECTORY": "/var/lib/linewarden", "HOME": "/root"}, "/var/lib/linewarden"),
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, "/var/lib/a"),
        ({"XDG_STATE_HOME": "/home/me/state", "HOME": "/home/me"}, "/home/me/state/linewarden"),
        ({"HOME": "/home/me"}, "/home/me/.local/state/linewarden"),
    ],
)
def test_a_service_has_a_place_for_it(environ: dict[str, str], path: str) -> None:
    assert usual_file("desk", environ) == Path(path, "cooldowns-desk.json")
