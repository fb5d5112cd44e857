"""`linewarden orders`, `halt`, `unhalt`: what a person does to the order store, and exit codes."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.cli.arguments import user_name
from actors.protocol.trading import Accepted, Refused, Unknown
from actors.trading.folder import StoreError
from actors.trading.order_file import NAME, OrderFile
from actors.trading.order_store import OrderStore
from actors.trading.records import Begun
from actors.trading.store_operator import LAST_BYTE_NS, RESOLVABLE_NS, StoreOperator
from tests.commands import asked
from tests.trading.orders import (
    ACCOUNT,
    CANCEL,
    CLOSE,
    HOST,
    SECOND,
    Wall,
    allow,
    begun,
    intent_of,
    place,
    refused,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "trading"


@pytest.fixture
def config(tmp_path: Path, folder: Path) -> Path:
    file = tmp_path / "desk.toml"
    file.write_text(
        f'[trading]\ndir = "{folder}"\n\n'
        '[feeds.px]\nvenue = "tests.trading.venue:Exchange"\n\n[feeds.o2]\nvenue = "o2"\n'
    )
    return file


@pytest.fixture
def store(folder: Path) -> Iterator[OrderStore]:
    store = OrderStore.create(folder)
    yield store
    store.close()


def test_t5_init_alone_makes_a_store(config: Path, folder: Path) -> None:
    missing = asked("orders", "-c", config)
    assert missing.returncode == 1
    assert "linewarden orders init" in missing.stderr
    made = asked("orders", "init", "-c", config)
    assert (made.returncode, made.stdout) == (0, f"made: {folder}\n")
    assert (folder.stat().st_mode & 0o777, (folder / NAME).stat().st_mode & 0o777) == (0o700, 0o600)
    before = (folder / NAME).read_bytes()
    again = asked("orders", "init", "-c", config)
    assert (again.returncode, again.stderr) == (
        1,
        f"{folder / NAME}: there is an order store already; it was not touched.\n",
    )
    assert (folder / NAME).read_bytes() == before
    assert asked("orders", "-c", config).stdout.split("\n") == [
        "There is no halt.",
        "",
        "There is no order.",
        "",
    ]


def test_orders_and_halts_are_listed(config: Path, store: OrderStore) -> None:
    tag = begun(store, place(2), "mine")
    store.finish(Accepted(tag, 77))
    begun(store, CANCEL, "taken-back")
    halt = store.halt(HOST, ACCOUNT, reason="lunch", by="anna")
    told = asked("orders", "-c", config).stdout
    assert re.search(rf"{halt.id} +{HOST}/{ACCOUNT} .* anna +lunch", told)
    assert re.search(r"mine +api.venue.example/7 +place buy 2 CON.F.US.EP.Z26 \(order 77\) +accepted", told)
    assert re.search(rf"taken-back +api.venue.example/7 +cancel \(order {CANCEL.order}\) +no outcome", told)
    listed = json.loads(asked("orders", "--json", "-c", config).stdout)
    assert listed["halts"][0]["reason"] == "lunch"
    assert listed["orders"][0]["order_id"] == 77


def test_open_orders_are_listed_and_are_exit_code_1(config: Path, store: OrderStore) -> None:
    closed = asked("orders", "--open", "-c", config)
    assert (closed.returncode, closed.stdout) == (0, "The outcome of every order is known.\n")
    store.finish(Unknown(begun(store, place(), "mine"), "the connection was lost"))
    begun(store, CLOSE, "other")
    told = asked("orders", "--open", "-c", config)
    assert told.returncode == 1
    assert re.search(rf"mine .* {os.getpid()} +the connection was lost", told.stdout)
    assert re.search(rf"other .* {os.getpid()} +no outcome was recorded", told.stdout)
    assert len(json.loads(asked("orders", "--open", "--json", "-c", config).stdout)) == 2


# ── halt ──


def test_t4_a_halt_holds_in_every_process_and_ends_by_its_id(config: Path, store: OrderStore) -> None:
    told = asked("halt", "all", "--reason", "outage", "-c", config)
    assert told.returncode == 0
    (halt,) = store.halts()
    first, second = told.stdout.splitlines()
    assert first.startswith(f"all is halted: outage (halt {halt.id}, by ")
    assert first.endswith(f"To end it: linewarden unhalt {halt.id} -c {config}")
    assert second == f"trading: process {os.getpid()}"
    assert refused(store, place()).name == halt.id
    wrong = asked("unhalt", "nothing", "-c", config)
    assert (wrong.returncode, wrong.stderr) == (
        1,
        f"there is no halt nothing; those that stand: {halt.id}.\n",
    )
    ended = asked("unhalt", halt.id, "-c", config)
    assert (ended.returncode, ended.stdout) == (0, f"ended: {halt}\n")
    begun(store, place())


@pytest.mark.parametrize(
    ("target", "host", "account"),
    [
        ("px", "api.exchange.example", None),
        ("px/4711", "api.exchange.example", 4711),
        ("api.venue.example", "api.venue.example", None),
        ("127.0.0.1/5", "127.0.0.1", 5),
    ],
)
def test_t4_what_a_target_means(
    config: Path, store: OrderStore, target: str, host: str, account: int | None
) -> None:
    assert asked("halt", target, "-c", config).returncode == (not target.startswith("px"))
    assert [(halt.host, halt.account) for halt in store.halts()] == [(host, account)]


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("py", "'py' is no feed and no host; known: all, px, o2. Nothing is halted."),
        ("px/x", "'px/x': expected the number of an account after the slash. Nothing is halted."),
        ("o2", "feed o2 takes no orders. Nothing is halted."),
    ],
)
def test_t4_a_target_that_is_none_halts_nothing(
    config: Path, store: OrderStore, target: str, why: str
) -> None:
    told = asked("halt", target, "-c", config)
    assert (told.returncode, told.stdout, told.stderr) == (1, "", f"{why}\n")
    assert store.halts() == ()


def test_a_halt_has_a_reason_in_words(config: Path, store: OrderStore) -> None:
    told = asked("halt", "all", "--reason", " ", "-c", config)
    assert (told.returncode, "expected some words" in told.stderr) == (2, True)
    assert store.halts() == ()


def test_t4_a_halt_needs_no_secret_of_any_feed(config: Path, store: OrderStore) -> None:
    config.write_text(config.read_text() + 'url = "${NOT_SET}"\n')
    assert asked("halt", "all", "-c", config).returncode == 0
    assert len(store.halts()) == 1
    assert "NOT_SET is not set" in asked("halt", "px", "-c", config).stderr


def test_t4_a_halt_waits_for_orders_that_are_older(config: Path, store: OrderStore) -> None:
    tag = begun(store, place())
    command = [sys.executable, "-m", "actors", "halt", "all", "-c", str(config), "--timeout", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "is halted" in process.stdout.readline()
        assert refused(store, place()).code == "halted"
        assert process.poll() is None
        store.finish(Accepted(tag, 1))
        assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 0


@pytest.mark.parametrize("timeout", ["-3", "soon"])
def test_a_time_to_wait_that_is_none_halts_nothing(config: Path, store: OrderStore, timeout: str) -> None:
    told = asked("halt", "all", "--timeout", timeout, "-c", config)
    assert told.returncode == 2
    assert "--timeout" in told.stderr
    assert store.halts() == ()


def test_t4_a_halt_names_what_is_left_without_an_outcome(
    config: Path, store: OrderStore, folder: Path
) -> None:
    other = OrderStore(folder)
    left, under_way = begun(other, place()), begun(store, CANCEL)
    other.close()
    told = asked("halt", "all", "--timeout", "0.1", "-c", config)
    assert told.returncode == 1
    assert told.stderr.splitlines() == [
        f"{left} of process {os.getpid()}, which has ended has no outcome: it may be at the venue.",
        f"{under_way} of process {os.getpid()} has no outcome: it may be at the venue.",
    ]
    elsewhere = asked("halt", "elsewhere.example", "--timeout", "0.1", "-c", config)
    assert "has no outcome" not in elsewhere.stderr


def test_t7_a_halt_that_cannot_be_written_is_told_and_is_exit_code_1(
    config: Path, store: OrderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    halts = "BEFORE INSERT ON halts BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
    store._db.execute(f"CREATE TRIGGER full {halts}")
    told = asked("halt", "all", "-c", config)
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == (
        "the order store cannot be read or written (database or disk is full); nothing has changed.\n"
    )


# ── resolve ──


def test_t2_a_person_resolves_what_is_not_at_the_venue(folder: Path, config: Path) -> None:
    OrderStore.make(folder)
    wall = Wall()
    store, operator = OrderStore(folder, now_ns=wall), StoreOperator(folder, now_ns=wall)
    tag = intent_of(store, place(), now_ns=wall()).tag
    begun(store, place(), tag)
    store.finish(Unknown(tag, "lost"))
    with pytest.raises(StoreError, match=r"Look at the venue again in 301 s"):
        operator.resolve(tag, reason="looked", by="anna")
    wall.now_ns += RESOLVABLE_NS
    operator.resolve(tag, reason="looked", by="anna")
    outcome = store.outcome(tag)
    assert outcome == Refused(tag, "absent", message="not at the venue, says anna: looked")
    begun(store, place())
    with pytest.raises(StoreError, match="is known: it is resolved"):
        operator.resolve(tag, reason="looked", by="anna")
    store.finish(Accepted(tag, 5))  # it appears later
    assert store.outcome(tag) == Accepted(tag, 5)
    assert [halt.kind for halt in store.halts()] == ["late"]
    store.close()
    operator.close()


def test_t2_an_order_of_a_living_process_is_not_resolved(folder: Path) -> None:
    OrderStore.make(folder)
    wall = Wall()
    store, operator = OrderStore(folder, now_ns=wall), StoreOperator(folder, now_ns=wall)
    intent = intent_of(store, place(), now_ns=wall())
    assert store.begin(intent, HOST, allow) == Begun()
    wall.now_ns += LAST_BYTE_NS + RESOLVABLE_NS - SECOND
    with pytest.raises(StoreError, match=f"process {os.getpid()} is at work on {intent.tag}"):
        operator.resolve(intent.tag, reason="looked", by="anna")
    store.close()
    with pytest.raises(StoreError, match="again in 2 s"):
        operator.resolve(intent.tag, reason="looked", by="anna")
    wall.now_ns += SECOND
    operator.resolve(intent.tag, reason="looked", by="anna")
    assert operator.open_intents() == ()
    operator.close()


def test_resolve_wants_all_its_words(config: Path, store: OrderStore) -> None:
    for given in (["mine"], ["mine", "--absent"], ["mine", "--reason", "x"], ["--absent", "--reason", "x"]):
        assert asked("orders", "resolve", *given, "-c", config).returncode == 2
    told = asked("orders", "resolve", "mine", "--absent", "--reason", "x", "-c", config)
    assert (told.returncode, "there is no order with tag mine" in told.stderr) == (1, True)
    assert asked("orders", "resolv", "-c", config).returncode == 2


def test_t2_resolve_from_the_command_line(config: Path, store: OrderStore) -> None:
    old = time.time_ns() - LAST_BYTE_NS - RESOLVABLE_NS
    intent = intent_of(store, place(), now_ns=old)
    store.begin(intent, HOST, allow)
    store.close()
    told = asked("orders", "resolve", intent.tag, "--absent", "--reason", "looked", "-c", config)
    assert (told.returncode, told.stdout) == (0, f"resolved: {intent.tag}\n")


# ── adopt and import ──


def test_t5_adopt_ends_the_halt_of_a_restored_store(config: Path, store: OrderStore) -> None:
    assert asked("orders", "adopt", "-c", config).stdout == "There is nothing to adopt.\n"
    lost = store.new_tag()
    store.lost_tags([lost], HOST, ACCOUNT)
    (halt,) = store.halts()
    not_so = asked("unhalt", halt.id, "-c", config)
    assert (not_so.returncode, "linewarden orders adopt" in not_so.stderr) == (1, True)
    told = asked("orders", "adopt", "-c", config)
    assert (told.returncode, told.stdout) == (0, f"adopted: {lost}\n")
    assert store.halts() == ()
    assert store.lost_tags([lost, f"{lost}-SL"], HOST, ACCOUNT) == ()
    assert refused(store, place(), lost).code == "tag"
    assert store.intent(lost) is None
    begun(store, place())


def test_d7_orders_of_another_host_are_imported_and_stop_what_adds_risk(
    config: Path, store: OrderStore, tmp_path: Path
) -> None:
    other = OrderStore.create(tmp_path / "other")
    done, left = begun(other, place()), begun(other, place())
    other.finish(Accepted(done, 3))
    halt = other.halt("another.host", reason="theirs", by="bert")
    copy = tmp_path / "copy.db"
    shutil.copy(tmp_path / "other" / NAME, copy)
    assert asked("orders", "import", copy, "-c", config).stdout == "imported: 2 orders\n"
    assert store.outcome(done) == Accepted(done, 3)
    assert store.halts() == (halt,)
    assert [each.intent.tag for each in store.open_intents(of_ended_processes=True)] == [left]
    assert refused(store, place()).code == "unknown"
    assert store.lost_tags([other.new_tag()], HOST, ACCOUNT) != ()  # their tags are ours now
    other.finish(Accepted(left, 4))
    other.close()
    shutil.copy(tmp_path / "other" / NAME, copy)
    assert asked("orders", "import", copy, "-c", config).stdout == "imported: 0 orders\n"
    assert store.outcome(left) == Accepted(left, 4)


def test_import_wants_another_store(config: Path, store: OrderStore, folder: Path, tmp_path: Path) -> None:
    assert asked("orders", "import", "-c", config).returncode == 2
    told = asked("orders", "import", folder / NAME, "-c", config)
    assert (told.returncode, told.stderr) == (1, f"{folder / NAME}: this is the order store itself.\n")
    (tmp_path / "text").write_text("nothing")
    for other, why in (("text", "the order store cannot be read"), ("missing", "there is no such file")):
        told = asked("orders", "import", tmp_path / other, "-c", config)
        assert told.returncode == 1
        assert why in told.stderr
        assert "othing was imported" in told.stderr
        assert "init" not in told.stderr  # that is advice for the store itself


def test_a_config_without_a_folder_is_told(tmp_path: Path) -> None:
    config = tmp_path / "desk.toml"
    config.write_text("")
    for command in (["orders"], ["orders", "init"], ["halt", "all"], ["unhalt", "x"]):
        told = asked(*command, "-c", config)
        assert told.returncode == 78
        assert "[trading] dir is missing" in told.stderr
    config.write_text('[trading]\ndir = "here"\n')
    assert "expected an absolute path" in asked("orders", "-c", config).stderr


def test_without_a_config_the_one_of_the_variable_is_taken(config: Path, folder: Path) -> None:
    OrderFile.make(folder)
    told = asked("orders", environ={"LINEWARDEN_CONFIG": str(config)})
    assert (told.returncode, told.stderr) == (0, f"config: {config} (from LINEWARDEN_CONFIG)\n")


def test_check_tells_what_becomes_of_orders_and_whether_the_store_is_there(
    config: Path, folder: Path
) -> None:
    limits = "limits = { max_size = 2, orders_per_minute = 10, price_band = 40 }"
    text = config.read_text().replace("\n\n[feeds.o2]", f"\ntrading = true\n{limits}\n\n[feeds.o2]")
    config.write_text(text)
    told = asked("check", config)
    assert told.returncode == 0
    assert "px: orders leave; max_size 2, orders_per_minute 10, price_band 40.\n" in told.stdout
    refused = "On this machine, what adds risk is refused"
    assert f"orders are recorded in {folder}. {refused}: {folder}: there is no such folder." in told.stdout
    OrderStore.make(folder)
    config.write_text(text.replace("trading = true", "trading = true\ndry_run = true"))
    told = asked("check", config)
    assert "px: orders are checked and not sent; max_size 2" in told.stdout
    assert f"orders are recorded in {folder}.\n" in told.stdout
    config.write_text(text.replace('venue = "o2"', 'venue = "o2"\nurl = "sim://o2"'))
    told = asked("check", config)
    assert "px: orders are refused: feed o2 is no real venue" in told.stdout
    assert "px] trading: its orders are refused: feed o2 is no real venue" in told.stderr


# ── a command in bad times ──


def test_t4_a_halt_of_a_host_that_no_orders_go_to_is_told(config: Path, store: OrderStore) -> None:
    missed = asked("halt", "api.topstpx.example", "-c", config)
    assert missed.returncode == 1
    told = (
        f"No order has gone to api.topstpx.example, and no feed of {config} sends any there. Check the name."
    )
    assert missed.stderr == f"{told}\n"
    store.finish(Accepted(begun(store, CLOSE)))
    assert asked("halt", f"{HOST.upper()}/7", "-c", config).returncode == 0
    assert [halt.target for halt in store.halts()] == ["api.topstpx.example", f"{HOST}/7"]


@pytest.mark.parametrize("number", [str(2**63), "9" * 5_000])
def test_t4_a_number_that_is_no_account_is_told(config: Path, store: OrderStore, number: str) -> None:
    missed = asked("halt", f"px/{number}", "-c", config)
    assert missed.returncode == 1
    assert "expected the number of an account" in missed.stderr
    assert "Traceback" not in missed.stderr
    assert store.halts() == ()


def test_t4_a_user_without_a_name_can_halt(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert user_name() == f"uid {os.getuid()}"


def test_t4_feeds_that_cannot_be_read_leave_halt_all(config: Path, store: OrderStore) -> None:
    config.write_text(config.read_text() + '\n[feeds.x]\nvenue = "o2"\nurl = "${NEVER_SET_ANYWHERE}"\n')
    missed = asked("halt", "px", "-c", config)
    assert missed.returncode
    assert "linewarden halt all" in missed.stderr
    assert asked("halt", "all", "-c", config).returncode == 0
    assert [halt.target for halt in store.halts()] == ["all"]
