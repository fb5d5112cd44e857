"""The table "At 3 a.m." of docs/operating.md, followed literally over injected troubles.

Each trouble is made by a simulator, a file or a program. What the table's first column says must be on a
screen of 24 rows of 80 columns, the first row must say whether a person has to act, and the commands of the
third column, run as they stand there, must end the trouble, or the trouble must end as the table says.

The long form asks `linewarden run` in a process of its own, on a real terminal.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import actors
from actors import Runtime
from actors.simulators import SimulatedAlpaca, SimulatedO2
from actors.simulators.projectx import SimulatedProjectX
from actors.trading.order_store import OrderStore
from actors.venues.o2 import O2Session
from tests.commands import PATIENCE, asked, posix, ran
from tests.stories.test_account_audits import contradict, lose_three
from tests.stories.test_wedged import WATCHDOG, Trap
from tests.support.night import Desk, entries, entry, in_a_process, served
from tests.support.runtimes import config as config_of_o2
from tests.support.runtimes import runtime_on
from tests.trading.followed import account_clock
from tests.trading.halts import ACCOUNT

pytestmark = posix

# The beginnings of the rows that no test here follows, with the reason.
NOT_FOLLOWED = {
    "`! FEED: no line takes": "no venue of ours has such a limit; tests/display has the sentence",
    "`! FEED: the token ends": "tests/stories/test_token_refresh.py",
    "`LINE: … s behind": "tests/stories/test_lag.py",
    "`LINE: the venue says": "tests/stories/test_venue_states.py",
    "`the metrics object failed": "tests/display has the sentence",
}


def config(folder: Path, *feeds: str, head: str = "", restart: str = "") -> Path:
    """A config of these feeds, quick to come back."""
    file = folder / "desk.toml"
    runtime = f'[runtime]\nname = "desk"\ncooldown_file = "{folder}/cooldowns.json"\n'
    quick = f"[defaults.restart]\ninitial = 0.05\nmaximum = 0.2\n{restart}"
    file.write_text("".join((runtime, head, quick, *feeds)))
    return file


def o2_feed(url: str, *keys: str, name: str = "o2", more: str = "", topic: str = "") -> str:
    listed = ", ".join(f'"{key}"' for key in keys)
    return (
        f'[feeds.{name}]\nvenue = "o2"\nurl = "{url}"\n{more}\n'
        f'subscribe = [{{ channel = "trades", keys = [{listed}]{topic} }}]\n'
    )


def alpaca_feed(url: str, secret: str, *symbols: str) -> str:
    listed = ", ".join(f'"{symbol}"' for symbol in symbols)
    return (
        f'[feeds.alpaca]\nvenue = "alpaca"\nurl = "{url}"\nkey = "me"\nsecret = "{secret}"\n'
        f'subscribe = [{{ channel = "trades", keys = [{listed}] }}]\n'
    )


def projectx_feed(url: str) -> str:
    return (
        f'[feeds.px]\nvenue = "projectx"\nurl = "{url}"\nuser_name = "me"\n'
        'api_key = "a-key-of-the-gateway"\ntrading = true\n'
        "limits = { max_size = 10, orders_per_minute = 1000 }\n"
        f'subscribe = [{{ channel = "orders", keys = ["{ACCOUNT}"] }}]\n'
    )


def test_every_row_of_the_table_is_followed_here_or_names_its_test() -> None:
    here = Path(__file__).read_text(encoding="utf-8").partition("# ── in this process")[2]
    followed = re.findall(r"""(?:sees|entry)\((?:'([^'\n]+)'|"([^"\n]+)")\)""", here)
    begins = [one or other for one, other in followed]
    for row in entries():
        known = [each for each in (*begins, *NOT_FOLLOWED) if row.sees.startswith(each)]
        assert known, row.sees


# ── in this process ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def desk(runtime: Runtime, tmp_path: Path) -> Iterator[Desk]:
    with served(runtime, tmp_path) as desk:
        yield desk


def test_a_line_that_a_person_has_paused(desk: Desk) -> None:
    desk.succeeds("linewarden pause o2")
    desk.does(desk.sees("`LINE: paused"), LINE="o2")
    desk.is_well()


def test_a_venue_that_is_away(desk: Desk, o2: SimulatedO2) -> None:
    o2.stop()
    assert desk.sees("`LINE: backoff").action.startswith("None.")
    o2.start()
    desk.is_well()


def test_messages_that_cannot_be_decoded(desk: Desk, runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    o2.garbage()
    o2.trade(market)
    trades.get(timeout=10)
    row = desk.sees("`n messages in quarantine")
    assert row.action.startswith("None at once.")
    (told,) = desk.does(row)
    assert re.search(r"o2 +Input data was truncated", told)
    for _ in range(60):
        o2.garbage()
    (told,) = desk.does(desk.sees("`! LINE: live, degraded"))
    assert len(re.findall(r"o2 +Input data was truncated", told)) >= 50
    o2.trade(market)
    desk.is_well()


def test_a_reader_that_does_not_read(o2: SimulatedO2, market: str, tmp_path: Path) -> None:
    with runtime_on(o2, block_timeout=60.0) as runtime, served(runtime, tmp_path) as desk:
        trades = runtime.subscribe("o2", "trades", market, wait=5.0, policy="block", capacity=10)
        o2.number_trades(market, 50)
        desk.sees("`LINE: live, held")
        for _ in range(50):
            trades.get(timeout=10)
        desk.is_well()


@pytest.mark.long
def test_a_program_whose_handler_fails(desk: Desk, runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    def fail(_: object) -> None:
        raise ValueError("no")

    failing = runtime.on("o2", "trades", market, handler=fail)
    o2.wait_for(lambda: o2.subscribers("trades", market) == 1)
    o2.trade(market)
    desk.sees("`! stream")
    failing.close()  # the program is mended
    desk.is_well()


@pytest.mark.long
def test_an_actor_that_hangs(o2: SimulatedO2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config_of_o2(o2.url, runtime={"watchdog_timeout": WATCHDOG})
    with actors.start(settings, wait=10.0) as runtime, served(runtime, tmp_path) as desk:
        trap = Trap(monkeypatch, O2Session, "received")
        assert trap.caught.wait(PATIENCE)
        assert desk.sees("`ACTOR is wedged").action.startswith("None at once.")
        trap.released.set()
        desk.is_well()


@pytest.mark.long
def test_dead_letters(desk: Desk, runtime: Runtime) -> None:
    runtime.supervisor.pause("nothing")  # its failure is not read
    row = desk.sees("`n dead letters")
    (told,) = desk.does(row)
    assert "PauseLines" in told
    desk.is_well()


@pytest.mark.long
@pytest.mark.parametrize("trouble", ["disputed", "untrusted"])
def test_an_account_that_cannot_be_trusted(tmp_path: Path, trouble: str) -> None:
    OrderStore.create(tmp_path / "orders").close()
    with (
        SimulatedProjectX(rate=0, snapshots=False, rest_limit=0) as venue,
        account_clock(tmp_path / "orders", venue) as clock,
        served(clock.runtime, tmp_path) as desk,
    ):
        clock.synced()
        if trouble == "disputed":
            contradict(clock, venue)
            clock.advance(120.0)
            row = desk.sees("`! account …: disputed")
            assert "`runtime.resync_account`" in row.action
            clock.runtime.resync_account("projectx", ACCOUNT)
            clock.rest()
            clock.advance(2.0)
        else:
            venue.delay_ack(30.0)
            lose_three(clock, venue)
            row = desk.sees("`account …: untrusted")
            (told,) = desk.does(row)
            assert told.count("lost in silence: projectx/4242: fill") == 3
            venue.heal()
            clock.advance(60.0)
        desk.is_well()


# ── `linewarden run` in a process of its own ────────────────────────────────────────────────────


@pytest.mark.long
def test_a_wrong_key(tmp_path: Path) -> None:
    with SimulatedAlpaca(rate=0, keys={"me": "right"}) as venue:
        url = venue.url_of("iex")
        with in_a_process(config(tmp_path, alpaca_feed(url, "wrong", "AAPL"))) as desk:
            row = desk.sees('`! LINE: failed`, "Then')
            assert "Check key and secret in this feed's table" in " ".join(desk.screen().split())
            config(tmp_path, alpaca_feed(url, "right", "AAPL"))
            desk.does(row, "linewarden reload", LINE="alpaca")
            desk.is_well()


@pytest.mark.long
def test_a_login_that_the_venue_refuses_and_then_takes_again(tmp_path: Path) -> None:
    with SimulatedAlpaca(rate=0, keys={"me": "right"}) as venue:
        venue.refuse_keys(n=1)
        with in_a_process(config(tmp_path, alpaca_feed(venue.url_of("iex"), "right", "AAPL"))) as desk:
            row = desk.sees('`! LINE: failed`, "Then')
            desk.does(row, "linewarden restart", LINE="alpaca")
            desk.is_well()


@pytest.mark.long
def test_a_venue_that_accepts_and_drops(tmp_path: Path) -> None:
    with SimulatedO2(rate=0) as venue:
        venue.arm("flap n=1000")
        feed = o2_feed(venue.url, venue.markets[0])
        with in_a_process(config(tmp_path, feed, restart="probe_interval = 1.0\n")) as desk:
            row = desk.sees('`! LINE: failed`, "died')
            assert "comes back by itself" in row.action
            venue.heal()
            desk.is_well()


@pytest.mark.long
def test_a_topic_that_the_venue_refuses(tmp_path: Path) -> None:
    with SimulatedAlpaca(rate=0, symbols=1) as venue:
        url = venue.url_of("iex")
        with in_a_process(config(tmp_path, alpaca_feed(url, "any", "AAPL", "MSFT"))) as desk:
            row = desk.sees("`! TOPIC: rejected")
            config(tmp_path, alpaca_feed(url, "any", "AAPL"))
            desk.does(row)
            desk.is_well()


@pytest.mark.long
def test_a_format_that_the_venue_has_changed(tmp_path: Path) -> None:
    with (
        SimulatedO2(rate=0) as venue,
        in_a_process(config(tmp_path, o2_feed(venue.url, venue.markets[0]))) as desk,
    ):
        desk.is_well()
        for _ in range(60):
            venue.garbage()
        (told,) = desk.does(desk.sees("`! LINE: live, degraded"))
        assert "Input data was truncated" in told
        venue.trade(venue.markets[0])
        desk.is_well()


@pytest.mark.long
def test_a_halt(tmp_path: Path) -> None:
    with SimulatedProjectX(rate=0, snapshots=False) as venue:
        file = config(tmp_path, projectx_feed(venue.url), head=f'[trading]\ndir = "{tmp_path}/orders"\n')
        assert asked("orders", "init", "-c", file).returncode == 0
        with in_a_process(file) as desk:
            desk.is_well()
            desk.succeeds(f'linewarden halt px -c {file} --reason "exchange outage"')
            row = desk.sees("`! HALTED")
            shown = " ".join(desk.run("linewarden status").stdout.split())
            found = re.search(r"\(halt (\S+), by .*To end it: (linewarden unhalt .+?) line ", shown)
            assert found is not None, shown
            assert found[2] == row.commands(ID=found[1], CONFIG=str(file), TARGET="px")[0]
            desk.does(row, "linewarden unhalt", ID=found[1], TARGET="px")
            desk.is_well()


@pytest.mark.long
def test_a_venue_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    with (
        SimulatedO2(rate=0) as venue,
        in_a_process(config(tmp_path, o2_feed(venue.url, venue.markets[0]))) as desk,
    ):
        desk.is_well()
        venue.stop()
        desk.sees("`LINE: backoff")
        venue.start()
        desk.is_well()


@pytest.mark.long
def test_names_that_cannot_be_looked_up(tmp_path: Path) -> None:
    feeds = [o2_feed(f"ws://{name}.invalid", "0x1", name=name) for name in ("one", "two")]
    with in_a_process(config(tmp_path, *feeds)) as desk:
        row = desk.sees("lines of several venues")
        assert "Nothing has to be restarted" in row.action


@pytest.mark.long
def test_a_venue_that_asks_for_patience(tmp_path: Path) -> None:
    with SimulatedO2(rate=0) as venue:
        venue.refuse(status=429, retry_after=20, n=1)
        feed = o2_feed(venue.url, venue.markets[0])
        (tmp_path / "cooldowns.json").mkdir()  # it cannot be written
        with in_a_process(config(tmp_path, feed, restart="slow_initial = 1.0\n")) as desk:
            assert desk.sees("`LINE: waiting until").action.startswith("None.")
            desk.process.logged("cannot be written")
            assert entry("in the log:").is_seen("".join(desk.process.log))
            desk.is_well()


@pytest.mark.long
def test_a_venue_that_answers_pings_and_sends_nothing(tmp_path: Path) -> None:
    with SimulatedO2(rate=50) as venue:
        beat = "heartbeat = { ping_interval = 0.3 }"
        feed = o2_feed(venue.url, venue.markets[0], topic=", stale_after = 1.5", more=beat)
        with in_a_process(config(tmp_path, feed)) as desk:
            desk.is_well()
            venue.mute(new=False)
            row = desk.sees("`LINE: 2 stale")
            desk.does(row, "linewarden restart", LINE="o2")
            desk.is_well()


@pytest.mark.long
def test_a_connection_that_is_not_answered(tmp_path: Path) -> None:
    with SimulatedO2(rate=0) as venue:
        venue.deaf()
        with in_a_process(config(tmp_path, o2_feed(venue.url, venue.markets[0]))) as desk:
            assert desk.sees("`LINE: connecting").action == "None."
            venue.heal()
            desk.is_well()


@pytest.mark.long
def test_a_service_that_is_not_there(tmp_path: Path) -> None:
    with (
        SimulatedO2(rate=0) as venue,
        in_a_process(config(tmp_path, o2_feed(venue.url, venue.markets[0]))) as desk,
    ):
        desk.is_well()
        desk.process.process.send_signal(signal.SIGKILL)
        desk.process.process.wait(PATIENCE)
        told = desk.run(entry("`linewarden status` exits with 3").sees.split("`")[1])
        assert told.returncode == 3
        assert "no process listens: the service has ended" in told.stderr


@pytest.mark.long
def test_a_service_whose_config_has_a_mistake(tmp_path: Path) -> None:
    file = config(tmp_path, o2_feed("http://nowhere", "0x1"))
    row = entry("the unit is `failed`")
    assert "status 78" in row.cause
    began = ran("run", file)
    (command,) = row.commands(CONFIG=str(file))
    checked = asked(*command.split()[1:])
    assert began.returncode == checked.returncode == 78
    assert "[feeds.o2] url: expected" in began.stderr
    assert "[feeds.o2] url: expected" in checked.stderr
