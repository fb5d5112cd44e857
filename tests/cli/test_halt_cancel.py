"""`linewarden halt --cancel`: a halt, and the way out, without a service and without a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors import Bracket, Runtime
from actors.simulators.projectx import SimulatedProjectX
from actors.trading import halt_sweep
from actors.trading.order_file import NAME
from actors.trading.order_store import OrderStore
from actors.trading.projectx_requests import ProjectXRequests
from tests.commands import asked
from tests.trading import halts
from tests.trading.halts import ACCOUNT, THIS, accepted, resting, until, working

pytestmark = pytest.mark.usefixtures("soon")
venue, folder, runtime, px, soon = halts.venue, halts.folder, halts.runtime, halts.px, halts.soon


@pytest.fixture
def file(tmp_path: Path, folder: Path, venue: SimulatedProjectX) -> Path:
    file = tmp_path / "desk.toml"
    file.write_text(
        f'[trading]\ndir = "{folder}"\n\n'
        f'[feeds.projectx]\nvenue = "projectx"\nurl = "{venue.url}"\nuser_name = "me"\n'
        'api_key = "a-key-of-the-gateway"\ntrading = true\n'
        "limits = { max_size = 10, orders_per_minute = 1000 }\n"
        f'subscribe = [{{ channel = "orders", keys = ["{ACCOUNT}"] }}]\n'
    )
    return file


def test_t8_it_halts_takes_entries_back_and_leaves_what_protects_a_position(
    px: ProjectXRequests, runtime: Runtime, venue: SimulatedProjectX, file: Path
) -> None:
    accepted(px.place(ACCOUNT, "ENQ", "buy", 1, bracket=Bracket(stop=40, target=80)))
    legs = working(px)
    entry = resting(px, venue)
    told = asked("halt", THIS, "-c", file, "--cancel", "--reason", "the market is mad")
    assert told.returncode == 0, told
    assert told.stderr == ""
    halt, *rows = told.stdout.splitlines()
    assert "is halted: the market is mad" in halt
    assert f"{THIS}: cancel of order {entry} (buy 1 " in told.stdout
    assert "accepted; it is cancelled, 0 filled of 1" in told.stdout
    for leg in legs:
        assert f"stays: {THIS}: order {leg} " in told.stdout
    assert rows[-1] == "Two looks at the venue show no order that can open a position."
    assert working(px) == legs
    until(lambda: len(runtime.status().halts) == 1)
    assert f"linewarden unhalt {runtime.status().halts[0].id} -c {file}" in halt


def test_t8_all_takes_what_protects_as_well(
    px: ProjectXRequests, venue: SimulatedProjectX, file: Path
) -> None:
    accepted(px.place(ACCOUNT, "ENQ", "buy", 1, bracket=Bracket(stop=40, target=80)))
    told = asked("halt", "projectx", "-c", file, "--cancel", "--all")
    assert told.returncode == 0, told
    assert working(px) == set()


def test_it_opens_no_line(venue: SimulatedProjectX, file: Path) -> None:
    told = asked("halt", "all", "-c", file, "--cancel")
    assert told.returncode == 0, told
    assert venue.lives == 0
    assert venue.logins == 1


def test_t8_what_is_left_is_named_and_the_exit_code_is_1(
    px: ProjectXRequests, venue: SimulatedProjectX, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(halt_sweep, "MOST_LOOKS", 7)
    entry = resting(px, venue)
    venue.refuse_mutation(page="Order/cancel", n=1_000)
    told = asked("halt", THIS, "-c", file, "--cancel")
    assert told.returncode == 1
    assert told.stdout.count(f"cancel of order {entry}") == halt_sweep.MOST_CANCELS
    assert f"left: {THIS}: order {entry} " in told.stderr
    assert f"works still, after {halt_sweep.MOST_CANCELS} cancels" in told.stderr
    assert told.stderr.splitlines()[-1].endswith("look at the venue.")


def test_t7_with_a_store_that_is_gone_it_gets_flat_all_the_same_and_exits_with_1(
    px: ProjectXRequests, venue: SimulatedProjectX, file: Path, folder: Path
) -> None:
    entry = resting(px, venue)
    (folder / NAME).unlink()
    told = asked("halt", THIS, "-c", file, "--cancel")
    assert told.returncode == 1
    assert "it could not be written, and no other process is halted" in told.stderr
    assert f"cancel of order {entry}" in told.stdout
    assert working(px) == set()


def test_a_config_with_mistakes_halts_and_cancels_nothing_which_is_said(
    venue: SimulatedProjectX, file: Path, folder: Path
) -> None:
    file.write_text(file.read_text() + '[feeds.o2]\nvenue = "o2"\nurl = "nowhere"\n')
    told = asked("halt", "all", "-c", file, "--cancel")
    assert told.returncode == 1
    assert "[feeds.o2] url" in told.stderr
    assert "Nothing can be cancelled with this config." in told.stderr
    assert "all is halted" in told.stdout
    store = OrderStore(folder)
    assert [halt.target for halt in store.halts()] == ["all"]
    store.close()


def test_all_without_cancel_is_no_command(file: Path) -> None:
    told = asked("halt", THIS, "-c", file, "--all")
    assert told.returncode == 2


@pytest.mark.parametrize("target", ["nowhere", "projectx/market"])
def test_a_target_that_is_none_halts_and_cancels_nothing(
    px: ProjectXRequests, venue: SimulatedProjectX, file: Path, target: str
) -> None:
    entry = resting(px, venue)
    told = asked("halt", target, "-c", file, "--cancel")
    assert told.returncode == 1
    assert "Nothing is halted." in told.stderr
    assert working(px) == {entry}


def test_a_venue_that_does_not_answer_is_named_while_the_halt_stands(
    venue: SimulatedProjectX, file: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(halt_sweep, "MOST_LOOKS", 1)
    venue.refuse_login(n=100)
    told = asked("halt", "projectx", "-c", file, "--cancel")
    assert told.returncode == 1
    assert "its accounts are not known" in told.stderr
    store = OrderStore(folder)
    assert len(store.halts()) == 1
    store.close()
