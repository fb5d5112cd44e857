"""The pages are run: their Python, configs, commands and links; and reference pages name all there is."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import typer
from msgspec import structs

import actors
from actors import cli
from actors.service import Service
from actors.service.routes import ServiceRoutes
from actors.settings import load, schema
from actors.settings.feed_keys import FEED_KEYS
from actors.settings.schema import ServiceSettings
from actors.settings.subscriptions import ENTRY_KEYS
from actors.settings.venue_tables import read_venue
from actors.settings.wording import keys_of
from actors.trading.order_store import OrderStore
from actors.venues import VENUES, o2
from benchmarks.__main__ import app as benchmarks
from tests.commands import PATIENCE, posix

ROOT = Path(__file__).parent.parent
README = "README.md"
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [
        *sorted(ROOT.glob("*.md")),
        *sorted(ROOT.glob("docs/**/*.md")),
        ROOT / "examples/deploy/README.md",
    ]
}
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
RUN = {"console", "python", "toml"}
# Blocks that are not run from here, and what tests them instead.
ELSEWHERE = {
    ("docs/architecture.md", ""): "tests/test_layout.py",  # drawings that name files
    ("docs/command-line.md", "json"): "tests/service/test_market_answers.py",  # answers of the service
    ("docs/configuration.md", ""): "tests/test_settings_env_file.py",  # a file of variables
    ("docs/simulators.md", "text"): "tests/simulators/test_page.py",  # a transcript, and a mistake in it
    ("docs/simulators.md", "python"): "tests/simulators/test_page.py",  # run beside the transcript
    ("docs/venues.md", ""): "tests/venues/test_declarative.py",  # transcripts, which are played
    ("docs/venues.md", "text"): "tests/venues/test_guide.py",  # a transcript of the venue in Python
    ("docs/venues.md", "python"): "tests/venues/test_guide.py",  # one venue, put together
}
# Programs that are not run here, and why.
NOT_OURS = {
    "systemctl": "systemd",
    "systemd-run": "systemd",
    "journalctl": "systemd",
    "docker": "a container engine",
    "kubectl": "a cluster",
    "install": "root",
    "groupadd": "root",
    "python3": "root",
    "/opt/linewarden/bin/pip": "root",
    "pip": "a package index",
    "export": "a shell",
    "curl": "a server of its own",
}
MARKET = "0xbeef"
ACCOUNT = "0xc0de"
ENVIRONMENT = {
    "O2_MARKET": MARKET,
    "O2_TRADE_ACCOUNT": ACCOUNT,
    "ALPACA_API_KEY": "K",
    "ALPACA_API_SECRET": "S",
    "PROJECT_X_USERNAME": "trader",
    "PROJECT_X_API_KEY": "K",
    "TPLUS_SEED": "17" * 32,
    "TPLUS_PASSWORD": "correct horse battery staple",  # of tests/venues/tplus/keystores/alice
    "QUAY_TOKEN": "T",
    "LINEWARDEN_TOKEN": "t" * 32,
}
CONFIG = {"feeds": {"o2": {"venue": "o2", "url": "sim://o2?rate=50"}}}


def blocks(language: str) -> list[Any]:
    """The fenced blocks of one language that are run here, each named by its page and line."""
    return [
        pytest.param(found[2], id=f"{page}:{text[: found.start()].count(chr(10)) + 1}")
        for page, text in PAGES.items()
        for found in FENCED.finditer(text)
        if found[1] == language and (page, language) not in ELSEWHERE
    ]


def test_every_block_is_run_or_listed() -> None:
    kinds = {(page, found[1]) for page, text in PAGES.items() for found in FENCED.finditer(text)}
    assert {kind for kind in kinds if kind[1] not in RUN} <= ELSEWHERE.keys()
    assert ELSEWHERE.keys() <= kinds
    for (page, _), file in ELSEWHERE.items():
        assert Path(page).name in (ROOT / file).read_text(encoding="utf-8")


# ── python ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def names() -> Iterator[dict[str, Any]]:
    """What the pages assume: a runtime that is live, and a stream of trades."""
    with actors.start(CONFIG, wait=10.0) as runtime:
        yield {
            "__name__": "page",
            "actors": actors,
            "o2": o2,
            "runtime": runtime,
            "trades": runtime.subscribe("o2", o2.TRADES, MARKET, wait=10.0),
            "MARKET": MARKET,
            "ACCOUNT": ACCOUNT,
        }


class Printer:
    """Stands for `print`. Loops of the pages go on for as long as there are events: this ends them."""

    ENOUGH = 20  # lines: nothing but such a loop prints so many

    def __init__(self, names: dict[str, Any]) -> None:
        self._names, self._thread, self._lines = names, threading.current_thread(), 0

    def __call__(self, *words: object) -> None:
        sys.stdout.write(" ".join(map(str, words)) + "\n")
        self._lines += threading.current_thread() is self._thread  # a handler prints on its own
        if self._lines == self.ENOUGH:
            for each in [each for each in self._names.values() if isinstance(each, actors.Stream)]:
                each.close()


@contextmanager
def trading(folder: Path) -> Iterator[actors.Runtime]:
    """A runtime with a feed that trades, on a simulator."""
    OrderStore.create(folder / "orders").close()
    limits = {"max_size": 3, "orders_per_minute": 30}
    feed = {"venue": "projectx", "url": "sim://projectx", "user_name": "trader", "api_key": "K"}
    feeds = {"projectx": {**feed, "trading": True, "limits": limits}}
    with actors.start({"trading": {"dir": str(folder / "orders")}, "feeds": feeds}, wait=10.0) as runtime:
        runtime.ask("projectx").wait_settled(10.0)
        yield runtime


@pytest.mark.parametrize("code", blocks("python"))
def test_python(code: str, names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "pytest_plugins" in code:
        run_as_test(code, tmp_path)
        return
    names["print"] = Printer(names)
    if "px." in code or "handle." in code or '"projectx"' in code:
        with trading(tmp_path) as runtime:
            px = runtime.ask("projectx")
            names |= {"px": px, "handle": px.place(4242, "ENQ", "buy", 1), "runtime": runtime}
            exec(compile(code, "page", "exec"), names)
        return
    if "ServiceClient" in code:
        names["trades"].get(timeout=10.0)
        with Service(names["runtime"], ServiceSettings()) as service:
            monkeypatch.setenv("LINEWARDEN_URL", service.url)
            exec(compile(code, "page", "exec"), names)
        return
    exec(compile(code, "page", "exec"), names)


def run_as_test(code: str, directory: Path) -> None:
    """In a directory and a pytest of its own, as its reader would."""
    file = directory / "test_mine.py"
    file.write_text(code, encoding="utf-8")
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        command, cwd=directory, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout


# ── configs and commands ────────────────────────────────────────────────────────────────────────


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory like a reader's: the repository's files, the tables of the pages and a transcript."""
    for name in ("config", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "tables").mkdir()
    for text in [block.values[0] for block in blocks("toml")]:
        source = tomllib.loads(cast(str, text))
        if "name" in source and "feeds" not in source:
            (tmp_path / "tables" / f"{source['name']}.toml").write_text(cast(str, text), encoding="utf-8")
    user = tmp_path / ".tplus" / "users" / "alice"
    user.parent.mkdir(parents=True)
    user.write_bytes((ROOT / "tests" / "venues" / "tplus" / "keystores" / "alice").read_bytes())
    user.chmod(0o600)
    for name, text in {
        "keys.env": "ALPACA_API_KEY=k\n",
        "feeds.d/other.toml": '[feeds.other]\nvenue = "o2"\n',
        "credentials/alpaca_key": "k\n",
        "credentials/alpaca_secret": "s\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o600)
    (tmp_path / "talks").mkdir()
    (tmp_path / "talks" / "binance.txt").write_text('< {"result":null,"id":1}\n', encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("text", blocks("toml"))
def test_config(text: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(place))  # what ~ means
    source = tomllib.loads(text)
    if "feeds" in source:
        file = place / "page.toml"
        file.write_text(text, encoding="utf-8")
        settings = load(file, ENVIRONMENT | {"CREDENTIALS_DIRECTORY": str(place / "credentials")})
        assert settings.feeds
        assert not settings.warnings
    elif "name" in source:
        assert read_venue(text, "page.toml").channels
    else:
        assert source  # a part of a table


@pytest.mark.parametrize(("config", "environment"), [("demo", {}), ("desk", ENVIRONMENT)])
def test_configs_that_are_shipped(config: str, environment: dict[str, str]) -> None:
    assert load(ROOT / "config" / f"{config}.toml", environment).feeds


def commands() -> list[Any]:
    """Each once. A line goes on behind a backslash; `#` is the prompt of root."""
    found = {}
    for block in blocks("console"):
        for line in re.sub(r" *\\\n *", " ", cast(str, block.values[0])).splitlines():
            assert line[:2] in {"$ ", "# "}, line
            command = shlex.join(shlex.split(line[2:], comments=True))
            found[command] = pytest.param(command, id=command)
    return list(found.values())


@pytest.mark.parametrize("command", commands())
def test_command(command: str, place: Path) -> None:
    match shlex.split(command):
        case ["linewarden", *arguments]:
            check_command(arguments, place)
        case ["make", target, *variables]:
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            assert re.search(rf"^{target}:.*##", makefile, re.MULTILINE)
            assert all(f"$({variable.partition('=')[0]})" in makefile for variable in variables)
        case ["gunicorn", *_, app]:
            assert (ROOT / "examples/web" / f"{app.partition(':')[0]}.py").is_file()  # the same
        case ["celery", "--workdir", folder, "--app", app, "worker", *_]:
            assert (ROOT / folder / f"{app}.py").is_file()
        case ["python", script, *_] | ["flask", "--app", script, *_]:
            assert (ROOT / script).is_file()  # tests/examples runs them
        case [".venv/bin/python", "-m", "benchmarks", *arguments]:
            understand(benchmarks, arguments)
        case [program, *_]:
            assert program in NOT_OURS


def check_command(arguments: list[str], place: Path) -> None:
    """Run where it ends by itself and its files are there; else it must be understood."""
    files = [word for word in arguments if "/" in word or word.endswith((".toml", ".jsonl"))]
    ends = arguments[0] in {"check", "venues"} or "--list-faults" in arguments
    if not ends or not all((place / file).exists() for file in files):
        understand(cli.app, arguments)
        return
    ran = subprocess.run(
        [sys.executable, "-m", "actors", *arguments],
        cwd=place,
        env=os.environ | ENVIRONMENT | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout


def understand(app: typer.Typer, arguments: list[str]) -> None:
    top: Any = typer.main.get_command(app)
    context = top.make_context("linewarden", list(arguments))
    name, command, rest = top.resolve_command(context, list(arguments))
    command.make_context(name, rest, parent=context)


# ── links ───────────────────────────────────────────────────────────────────────────────────────


def links(page: str) -> list[str]:
    return re.findall(r"\]\((?!https?:)([^)\s]+)\)", FENCED.sub("", PAGES[page]))


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = (ROOT / page).parent / file if file else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@cache
def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_each_defect_that_the_suite_page_names_has_its_test() -> None:
    named = re.findall(r"`(test_\w+)`", PAGES["docs/suite.md"])
    tests = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(named) > 40
    assert set(named) - tests == set()


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    assert PAGES[README].count("\n") <= 250
    index = "docs/migrating/README.md"
    known = {link.partition("#")[0] for link in links(README)}
    known |= {f"docs/migrating/{link}" for link in links(index)} if index in known else set()
    others = {page for page in PAGES if page.startswith("docs/") or "/" not in page} - {README}
    assert {page for page in others if page not in known} == set()


PICTURES = sorted((ROOT / "docs").rglob("*.svg"))


@pytest.mark.parametrize("file", PICTURES, ids=[file.stem for file in PICTURES])
def test_a_picture_is_small_names_no_place_and_is_shown(file: Path) -> None:
    picture = file.read_text(encoding="utf-8")
    assert len(picture.encode()) < 60_000
    assert "linewarden" in picture
    assert any(link.endswith(f"/{file.name}") for page in PAGES for link in links(page))
    assert re.findall(r"/(?:home|root|tmp|Users|work)/|@font-face|url\(http", picture) == []


# ── reference pages name all there is, and nothing else ─────────────────────────────────────────

DEFAULTS = {field.name: field.default for field in structs.fields(schema.FeedSettings)}
RESTART, HEARTBEAT, HEALTH, LIMITS = (
    type(DEFAULTS[key]) for key in ("restart", "heartbeat", "health", "limits")
)


def section(page: str, heading: str) -> str:
    """What stands below a heading, up to the next one of its level."""
    found = re.search(rf"^(#+) {heading}\n(.*?)(?=^\1 |\Z)", PAGES[page], re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[2]


def keys_in(text: str) -> dict[str, str]:
    """The keys that tables of a page explain, each with the cell of its default."""
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (.*?) \|", text, re.MULTILINE)
    return {key: default for keys, default in rows for key in re.findall(r"\w+", keys)}


@pytest.mark.parametrize(
    ("heading", "struct", "keys"),
    [
        ("The runtime", schema.RuntimeSettings, None),
        ("The service", schema.ServiceSettings, None),
        ("The log", schema.LogSettings, None),
        ("Feeds", schema.FeedSettings, FEED_KEYS | {"url"}),
        ("Subscriptions", schema.WantedTopics, ENTRY_KEYS),
        ("Calendars", schema.CalendarSettings, None),
        ("Restarts", RESTART, None),
        ("Heartbeat", HEARTBEAT, None),
        ("Health", HEALTH, None),
        ("Limits of the service", schema.ServiceLimits, None),
        ("Trading", schema.TradingSettings, None),
        ("Limits", LIMITS, None),
        ("Dead man's switch", schema.DeadMansSwitchSettings, None),
        ("Rates", schema.SendRateSettings, {"batch", "frames", "burst", "interval"}),
        ("Rates", schema.ConnectRateSettings, {"batch", "frames", "burst", "interval"}),
    ],
)
def test_every_key_of_a_config_is_explained(
    heading: str, struct: type[msgspec.Struct], keys: set[str] | None
) -> None:
    explained = keys_in(section("docs/configuration.md", heading))
    assert explained.keys() == (keys or keys_of(struct))
    for field in structs.fields(struct):
        if field.required and field.encode_name in explained:
            assert explained[field.encode_name] == "required"
        elif isinstance(field.default, int | float | str):
            told = explained[field.encode_name]
            assert tomllib.loads(f"value = {told.strip('`')}")["value"] == field.default, field.name


def test_the_config_of_a_desk_shows_every_key() -> None:
    text = (ROOT / "config" / "desk.toml").read_text(encoding="utf-8")
    tables: list[type] = [schema.RuntimeSettings, schema.ServiceSettings, schema.TradingSettings]
    tables += [schema.LogSettings]
    tables += [RESTART, HEARTBEAT, HEALTH]
    keys = FEED_KEYS.union(ENTRY_KEYS, schema.CalendarSettings.__struct_fields__, *map(keys_of, tables))
    shown = set(re.findall(r"^(?:# )?(\w+) = ", text, re.MULTILINE)) | set(re.findall(r"\.(\w+)\]", text))
    assert keys - shown == set()


@pytest.mark.parametrize("name", [name for name in VENUES if name != "signalr"])
def test_every_key_of_a_venue_is_explained(name: str) -> None:
    heading = next(each for each in ("Alpaca", "O2", "ProjectX", "tplus") if each.lower() == name)
    tables = section("docs/exchanges.md", heading).split("\n\n")
    keys = next(table for table in tables if table.startswith("| key | default |"))
    assert keys_in(keys).keys() == keys_of(VENUES[name].Settings) - {"url"}


def test_every_command_and_option_is_explained() -> None:
    page = "docs/command-line.md"
    top: Any = typer.main.get_command(cli.app)
    parameters = [*top.params, *(each for command in top.commands.values() for each in command.params)]
    options = {option for each in parameters for option in each.opts if option.startswith("--")}
    told = set(re.findall(r"(?<!\w)--[a-z][a-z-]*", PAGES[page]))
    assert told - {"--help"} == options - {"--help", "--show-completion"}
    asking = re.findall(r"^\| `([a-z-]+)", section(page, "Commands that ask a running service"), re.MULTILINE)
    assert {*re.findall(r"^### (\S+)$", PAGES[page], re.MULTILINE), *asking} == top.commands.keys()


def test_every_endpoint_is_explained() -> None:
    nothing = cast(Any, None)
    told = re.findall(
        r"^\| `([A-Z]+ /[^`]*)` \| (\w+) \|", section("docs/command-line.md", "HTTP endpoints"), re.MULTILINE
    )
    routes = ServiceRoutes(nothing, None, *[nothing] * 6).routes
    needed = {str(route): route.needed.replace("nothing", "none") for route in routes}
    assert dict(told) == needed
    assert len(told) == len(routes)


def test_every_metric_is_explained() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in Path(actors.__file__).parent.rglob("*.py"))
    used = re.findall(r"metrics\.(?:increment|increment_later|gauge|observe)\(\"(\w+)\"", code)
    assert set(re.findall(r"^\| `linewarden_(\w+)` \|", PAGES["docs/metrics.md"], re.MULTILINE)) == set(used)


# ── what it says of processes ───────────────────────────────────────────────────────────────────


def child(code: str) -> subprocess.Popen[str]:
    """A process of its own, with a runtime in it; it dies of any warning."""
    begin = f"""
        import os, sys
        import actors
        from actors.venues import o2

        runtime = actors.start({CONFIG!r}, wait=10.0)
        trades = runtime.subscribe("o2", o2.TRADES, {MARKET!r}, wait=10.0)
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(begin) + textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@posix
def test_ctrl_c_ends_a_loop_that_waits() -> None:
    with child(
        """
        quiet = runtime.subscribe("o2", "orders", "0xc0de", wait=10.0)
        try:
            print("waiting", flush=True)
            for _ in quiet:
                pass
        except KeyboardInterrupt:
            print("interrupted")
        """
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        told, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, told, errors) == (0, "interrupted\n", "")


def test_a_program_that_just_ends_is_stopped() -> None:
    with child("trades.get(timeout=10)") as process:
        assert process.communicate(timeout=PATIENCE) == ("", "")
    assert process.returncode == 0


@posix
def test_a_forked_child_is_told_so_and_can_start_its_own() -> None:
    with child(
        f"""
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork among threads, since 3.12
        if os.fork() == 0:
            calls = (
                runtime.status,
                trades.get,
                lambda: runtime.subscribe("o2", "trades", "0x1"),
                lambda: runtime.latest("o2", "0x1"),
            )
            for call in calls:
                try:
                    call()
                except actors.ForkError as error:
                    print("ForkError:", "after the fork" in str(error))
            with actors.start({CONFIG!r}, wait=10.0) as mine:
                mine.subscribe("o2", "trades", {MARKET!r}).get(timeout=10)
            print("its own", flush=True)
            os._exit(0)
        assert os.wait()[1] == 0
        trades.get(timeout=10)
        """
    ) as process:
        told, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    assert told == "ForkError: True\n" * 4 + "its own\n"


def test_a_handler_that_raises_is_counted_and_goes_on(
    names: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    twice = threading.Semaphore(0)

    def fail(trade: o2.Trade) -> None:
        twice.release()
        raise ZeroDivisionError("on purpose")

    with names["runtime"].on("o2", o2.TRADES, MARKET, handler=fail) as stream:
        assert twice.acquire(timeout=10)
        assert twice.acquire(timeout=10)
        assert stream.handler_errors >= 1
    assert f"The handler of o2/trades/{MARKET} failed" in caplog.text
