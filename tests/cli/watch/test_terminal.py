"""Which terminals can show the view, and what a signal does to it."""

from __future__ import annotations

import os
import signal

import pytest

from actors.cli.watch.terminal import can_be_filled, ended_by_signals
from tests.commands import posix


@pytest.mark.parametrize(
    ("term", "terminals", "fits"),
    [
        ("xterm", {0, 1, 2}, True),
        ("dumb", {0, 1, 2}, False),
        ("", {0, 1, 2}, False),
        ("xterm", {1, 2}, False),
        ("xterm", {0, 2}, False),
        ("xterm", {0, 1}, False),
    ],
)
def test_keys_and_picture_need_one_terminal(
    term: str, terminals: set[int], fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "isatty", terminals.__contains__)
    assert can_be_filled({"TERM": term}) is fits


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_the_first_signal_asks_for_the_end_and_a_second_would_end_the_process(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.cli.watch.terminal.is_gone", lambda _: False)
    number = getattr(signal, name)
    before = signal.getsignal(number)
    ends: list[str] = []
    with ended_by_signals(lambda: ends.append(name)) as ended:
        signal.raise_signal(number)
        assert (ended.by, ends) == (number, [name])
        assert signal.getsignal(number) is signal.SIG_DFL
    assert signal.getsignal(number) is before
    assert signal.alarm(0) == 0  # nothing is left that would kill the process


@posix
def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with ended_by_signals(lambda: None) as ended:
            signal.raise_signal(signal.SIGHUP)
            assert ended.by is None
    finally:
        signal.signal(signal.SIGHUP, before)
