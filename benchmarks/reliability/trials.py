"""The trials, each with a market and a program of its own that hears it already."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.reliability.judging import ended, missing, since, told
from benchmarks.reliability.market import Market
from benchmarks.reliability.program import Program

AWAY = 4.0  # seconds
PATIENCE = 25.0  # seconds until it has come back
DROPS = 50
PACE = 1.0  # seconds of data between two drops
DROP_BOUND = 200.0  # seconds for all of them
MUTE = 30.0  # seconds
GOES_ON = 10.0  # seconds until the next event after one whose handler raised
RAISE_AT = 20  # the event at which it raises: it is under way by then
SETTLE = 1.0  # seconds in which what is told is told


def broken_off(market: Market, program: Program) -> str:
    """Every connection is reset, and the venue is away for some seconds."""
    return _outage(market, program, market.break_off)


def shut_down(market: Market, program: Program) -> str:
    """The venue says goodbye to every connection, and is away for some seconds."""
    return _outage(market, program, market.say_goodbye)


def _outage(market: Market, program: Program, leave: Callable[[], None]) -> str:
    gone = time.monotonic()
    leave()
    before = market.number
    time.sleep(AWAY)
    market.come_back()
    back = program.wait_heard(market.number, PATIENCE)
    time.sleep(SETTLE)
    said = since(program.said, gone)
    if back is None:
        return f"did not come back within {PATIENCE:g} s; {told(said)}"
    lost, took = missing(program.said, before, back.what), back.at - gone
    return f"came back after {took:.1f} s, {lost} of {back.what - before - 1} events missing; {told(said)}"


def drops(market: Market, program: Program) -> str:
    """One reset after the other in the life of one process."""
    begun = time.monotonic()
    for number in range(1, DROPS + 1):
        market.drop()
        if program.wait_heard(market.number, PATIENCE) is None:
            why = told(each for each in program.said if each.kind != "told") if ended(program.said) else ""
            return f"{number - 1} of {DROPS}: not after the next within {PATIENCE:g} s; {why}".rstrip("; ")
        time.sleep(PACE)
        if time.monotonic() - begun > DROP_BOUND:
            return f"{number} of {number} in {DROP_BOUND:g} s"
    return f"{DROPS} of {DROPS}"


def mute(market: Market, program: Program) -> str:
    """Connected, pings answered, and no data."""
    silent, lives = time.monotonic(), market.shape.venue.lives
    market.fall_silent()
    notice = program.wait_for(lambda said: said.at > silent and said.kind in ("told", "ended"), MUTE)
    if notice is not None:
        return f"noticed after {notice.at - silent:.1f} s; {told([notice])}"
    again = market.shape.venue.lives - lives
    words = f"connected anew {again} times; " if again else ""
    return f"not noticed within {MUTE:g} s; {words}{told(since(program.said, silent))}"


def raising(market: Market, program: Program) -> str:
    """The program's own handler raises once."""
    raised = program.wait_for(lambda said: said.kind == "raised", PATIENCE)
    if raised is None:
        return f"was not asked to raise within {PATIENCE:g} s"
    lives = market.shape.venue.lives
    after = program.wait_heard(raised.what, GOES_ON)
    time.sleep(SETTLE)
    said = since(program.said, raised.at)
    if after is None:
        return f"no event within {GOES_ON:g} s; {told(said)}"
    lost = missing(program.said, raised.what, after.what)
    anew = ", on a new connection" if market.shape.venue.lives > lives else ""
    words = f", {lost} more events missing" if lost else ""
    logged = ", logged" if any(each.kind == "logged" for each in said) else ""
    return f"went on{anew}{words}; {told(said)}".replace("no, logged", "no") + logged
