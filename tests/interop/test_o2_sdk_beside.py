"""o2-sdk in the process of a Linewarden program, as the ports of its examples use it."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

from benchmarks.installs import O2_SDK
from tests.commands import PATIENCE
from tests.examples.running import EXAMPLES, ROOT

CALLS = """
import inspect, o2_sdk
signature = inspect.signature
signature(o2_sdk.O2Client.create_order).bind(None, "FUEL/USDC", o2_sdk.OrderSide["BUY"], 1, 1)
signature(o2_sdk.O2Client.batch_actions).bind(None, [], collect_orders=True)
signature(o2_sdk.MarketActionsBuilder.create_order).bind(None, o2_sdk.OrderSide["SELL"], 1, 1)
signature(o2_sdk.MarketActionsBuilder.cancel_order).bind(None, "0xaa")
signature(o2_sdk.MarketActionsBuilder.settle_balance).bind(None)
client = o2_sdk.O2Client()
print(type(client.actions_for("FUEL/USDC").settle_balance().build()).__name__)
"""


def run(python: Path, *arguments: str) -> list[str]:
    """Under the SDK's Python, which finds Linewarden and what that needs as well."""
    paths = os.pathsep.join((str(ROOT), sysconfig.get_paths()["purelib"]))
    environ = {**os.environ, "PYTHONPATH": paths, "NO_PROXY": "127.0.0.1"}
    ran = subprocess.run(
        [python, *arguments], capture_output=True, text=True, timeout=PATIENCE, env=environ, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def test_the_client_of_the_sdk_runs_beside_a_runtime(sdk_python: Callable[[str], Path]) -> None:
    own, theirs = run(sdk_python(O2_SDK), str(EXAMPLES / "migrating" / "o2_sdk" / "beside.py"))
    assert re.fullmatch(r"FUEL/USDC is 0x\w{8}…, with 9 and 9 decimals", own)
    assert theirs == "by o2-sdk: " + own.partition(",")[0]


def test_the_calls_of_the_ports_are_those_of_the_sdk(sdk_python: Callable[[str], Path]) -> None:
    assert run(sdk_python(O2_SDK), "-c", CALLS) == ["MarketActionGroup"]
