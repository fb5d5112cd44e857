"""A program on a host that misbehaves: a process of its own, with a venue and a line in it."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from tests.commands import PATIENCE

BEGIN = """
    import logging, os, sys, threading, time
    import actors
    from actors.simulators import SimulatedO2
    from actors.dispatcher import Dispatcher
    from tests.support.runtimes import config, until
    from tests.stories.test_killed_actors import kill

    logging.lastResort.setLevel(logging.ERROR)  # a line that is lost is no error

    o2 = SimulatedO2(rate=0)
    o2.start()
    market = o2.markets[0]
    runtime = actors.start(config(o2.url, **FEED), wait=20.0)
    trades = runtime.subscribe("o2", "trades", market, wait=20.0)

    def hears(number):
        o2.trade(market, trade_id=str(number))
        assert trades.get(timeout=20).trade_id == str(number)

    hears(1)
"""


def program(code: str, **feed: object) -> subprocess.Popen[str]:
    """Runs `code` behind that beginning; it dies of any warning, as all our tests do."""
    written = f"FEED = {feed!r}\n" + textwrap.dedent(BEGIN) + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning:os", "-c", written],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ran(code: str, **feed: object) -> str:
    """What it printed; it ended well and said nothing on stderr."""
    with program(code, **feed) as process:
        told, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, ""), f"{process.returncode}, having said: {errors}"
    return told
