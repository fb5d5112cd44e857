"""Which processes trade from a folder: as long as each holds its lock, and no longer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from actors.trading.processes import Membership, forget_ended, is_alive, living

MEMBER = """
import sys, time
from pathlib import Path
from actors.trading.processes import Membership
member = Membership(Path(sys.argv[1]))
if len(sys.argv) > 2:
    import os
    if os.fork():
        time.sleep(60)
print(member.process.token, flush=True)
time.sleep(60)
"""


def member(folder: Path, *more: str) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-c", MEMBER, str(folder), *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_a_process_is_alive_until_it_leaves(tmp_path: Path) -> None:
    assert living(tmp_path) == ()
    here = Membership(tmp_path)
    assert living(tmp_path) == (here.process,)
    assert here.process.pid == os.getpid()
    forget_ended(tmp_path)
    assert is_alive(tmp_path, here.process.token)
    here.close()
    here.close()
    assert not is_alive(tmp_path, here.process.token)
    assert not is_alive(tmp_path, "never there")
    assert living(tmp_path) == ()


def test_t5_a_killed_process_has_ended_whatever_has_its_number_now(tmp_path: Path) -> None:
    process, token = member(tmp_path)
    assert [each.pid for each in living(tmp_path)] == [process.pid]
    process.kill()
    process.communicate()
    (tmp_path / "processes" / token).write_bytes(b'{"token": "%s", "pid": 1}' % token.encode())  # it lives
    assert not is_alive(tmp_path, token)
    forget_ended(tmp_path)
    assert [*(tmp_path / "processes").iterdir()] == []


def test_t5_a_forked_child_does_not_keep_its_dead_parent_alive(tmp_path: Path) -> None:
    process, token = member(tmp_path, "with a child")
    assert is_alive(tmp_path, token)
    process.kill()
    process.wait()
    assert not is_alive(tmp_path, token)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_a_stopped_process_is_alive(tmp_path: Path) -> None:
    process, token = member(tmp_path)
    process.send_signal(signal.SIGSTOP)
    assert is_alive(tmp_path, token)
    process.kill()
    process.communicate()
