"""What figures are of: the hardware, the system, the versions."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from benchmarks import installs

OURS = ("linewarden", "msgspec", "websockets")  # in our own virtualenv
THEIRS = (
    installs.PICOWS,
    installs.UVLOOP,
    installs.WEBSOCKET_RS,
    installs.WS4PY,
    installs.O2_SDK,
    installs.ALPACA_PY,
    installs.TPLUSPY,
    installs.PROJECT_X_PY,
    installs.SIGNALRCORE,
    installs.UBWA,
    installs.CRYPTOFEED,
)


def machine() -> list[str]:
    """A line each. The load is the last minute's."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return [
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, load {os.getloadavg()[0]:.1f}",
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        ", ".join(f"{name} {version(name)}" for name in OURS) + _commit(),
        ", ".join(each.replace("==", " ") for each in THEIRS),
    ]


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f" at {done.stdout.strip()}" if done.returncode == 0 else ""
