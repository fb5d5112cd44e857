"""The layout of the package: which module may import which, and where the clock is read.

`docs/architecture.md` draws it, and names files of it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

import actors

PACKAGE = Path(actors.__file__).parent
ARCHITECTURE = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
TESTS = Path(__file__).parent
MOST_AT_THE_TOP = 29

MACHINE = {"socket", "threading", "time", "select", "selectors", "ssl", "pykka"}
GROUND = {"errors", "events", "reasons", "http_types", "secret", "lazy", "log_events", "log_queue"}
GROUND |= {"display/escaping"}
ACTORS = {"supervisor", "connection", "heartbeat", "registry", "dispatcher", "requester"}
BESIDE_ACTORS = {"actor", "stream", "login", "market", "metrics", "supervision"}
ABOVE_ACTORS = {"venues", "settings", "feeds", "runtime", "typed_calls"}
ABOVE_ACTORS |= {"cli", "client", "service", "simulators"}

# The modules and rooms that the modules of a room may import, beside those of the room itself.
ROOMS: dict[str, set[str]] = {
    "display/escaping": set(),
    "events": {"display/escaping", "display/shown"},
    "display/shown": {"lazy"},
    "errors": {"events", "display/escaping"},
    "reasons": set(),
    "secret": set(),
    "http_types": {"reasons", "secret"},
    "metrics": {"errors", "log_queue"},
    "protocol": {"errors", "events", "reasons", "http_types", "secret", "lazy", "display/escaping"},
    "venues": {"protocol"},
    "rules": {"errors", "events", "reasons", "protocol", "display/escaping", "display/shown"},
    "timers": {"log_queue", "errors"},
    "wire": GROUND | {"timers", "messages"},
    "login": GROUND | {"timers", "protocol", "wire"},
    "delivery": {"errors", "events", "protocol", "rules"},
    "delivery/failure_log": {"events", "log_queue"},
    "delivery/merge": {"errors", "events", "rules", "stream"},
    "messages": GROUND | {"delivery", "feed_spec", "protocol", "rules"},
    "client": {
        *(
            "display/escaping",
            "display/text",
            "errors",
            "events",
            "secret",
            "protocol",
            "rules",
            "status",
            "timers",
        ),
        *("http_types", "settings/service_address", "wire/unix_peer"),
    },
    "settings/service_address": set(),
    "wire/unix_peer": set(),
    "status": GROUND | {"diagnostics", "rules", "protocol", "display/shown"},
    "display": GROUND | {"diagnostics", "rules", "protocol", "status", "stream"},
    "simulators": {"errors", "lazy", "venues"},
}


def module(path: Path) -> str:
    """`delivery/cells` of `actors/delivery/cells.py`; a package has the name of its folder."""
    inside = path.relative_to(PACKAGE).with_suffix("")
    return str(inside.parent if inside.name == "__init__" and inside.parent.name else inside)


MODULES = {module(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def names_imported(name: str) -> frozenset[str]:
    """Dotted names that a module imports, wherever in it, those for the type checker among them."""
    return frozenset(_names_imported(MODULES[name]))


def _names_imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules_imported(name: str) -> set[str]:
    inside = {each for each in names_imported(name) if each.split(".")[0] == "actors"}
    return {_module_of(each) for each in inside} - {name}


def _module_of(dotted: str) -> str:
    parts = dotted.split(".")[1:]
    while parts and "/".join(parts) not in MODULES:
        parts.pop()
    return "/".join(parts) or "__init__"


def room(name: str) -> str:
    return name.split("/", maxsplit=1)[0]


def is_in(name: str, rooms: set[str]) -> bool:
    return name in rooms or room(name) in rooms


def ruled() -> Iterator[tuple[str, set[str]]]:
    for name in MODULES:
        if (found := name if name in ROOMS else room(name)) in ROOMS:
            yield name, ROOMS[found] | {room(name)}


def test_no_import_leads_back_to_its_module() -> None:
    try:
        TopologicalSorter({name: modules_imported(name) for name in MODULES}).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize(("name", "allowed"), list(ruled()), ids=[name for name, _ in ruled()])
def test_a_room_imports_what_lies_below_it(name: str, allowed: set[str]) -> None:
    assert {each for each in modules_imported(name) if not is_in(each, allowed)} == set()


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) in {"rules", "protocol", "venues"}])
def test_rules_protocol_and_venues_meet_neither_threads_nor_sockets_nor_clocks(name: str) -> None:
    assert {each for each in names_imported(name) if each.split(".")[0] in MACHINE} == set()


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) == "delivery"])
def test_delivery_meets_locks_and_neither_actors_nor_sockets_nor_clocks(name: str) -> None:
    machine = MACHINE - {"threading"}
    assert {each for each in names_imported(name) if each.split(".")[0] in machine} == set()


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("simulators/")])
def test_a_simulator_shares_nothing_with_its_venue(name: str) -> None:
    """An error that both share would show in no test. The mapping in `simulators` itself knows both."""
    assert {room(each) for each in modules_imported(name)} <= {"simulators", "errors"}


@pytest.mark.parametrize("name", sorted(ACTORS))
def test_an_actor_imports_no_other_and_nothing_above_actors(name: str) -> None:
    others = ACTORS - {name} | ABOVE_ACTORS
    assert {each for each in modules_imported(name) if is_in(each, others)} == set()


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) in BESIDE_ACTORS])
def test_what_stands_beside_actors_is_handed_what_is_above_them(name: str) -> None:
    assert {each for each in modules_imported(name) if is_in(each, ABOVE_ACTORS)} == set()


@pytest.mark.parametrize("name", [name for name in MODULES if name != "actor"])
def test_one_module_knows_pykka(name: str) -> None:
    assert {each for each in names_imported(name) if each.split(".")[0] == "pykka"} == set()


def test_messages_import_the_ground_floor_only_when_they_run() -> None:
    """What the type checker needs of other rooms is imported under TYPE_CHECKING."""
    tree = ast.parse(MODULES["messages"].read_text("utf-8"))
    named = {node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)}
    ours = {name.removeprefix("actors.") for name in named if name.startswith("actors.")}
    assert ours <= GROUND, ours


def test_the_command_alone_imports_the_service() -> None:
    importing = {name for name in MODULES if any(room(each) == "service" for each in modules_imported(name))}
    assert {room(name) for name in importing} == {"cli", "service"}


def test_the_command_and_the_routes_of_the_owner_import_what_only_a_person_may_do() -> None:
    importing = {name for name in MODULES if "trading/store_operator" in modules_imported(name)}
    assert importing == {"cli/orders", "cli/check", "service/owner_answers"}


def test_the_top_of_the_package_can_be_read_at_a_glance() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_AT_THE_TOP


# ── the tests mirror the package ──

# A module that has no test module of its name, and the tests that cover it.
COVERED_BY = {
    "calls": "stories/test_questions",
    "client/open_socket": "client/test_unix_socket",
    "client/server_trust": "client/test_unix_socket",
    "client/configured_service": "cli/test_configured_service",
    "client/service_http": "cli/test_service_client",
    "client/timed_socket": "client/test_service_client",
    "client/unreachable": "client/test_unix_socket",
    "cli/formatting": "cli/test_kept_view",
    "cli/watch/keys": "cli/watch/test_app",
    "cli/watch/line_list": "cli/watch/test_app",
    "cli/watch/listing": "cli/watch/test_app",
    "cli/watch/pages": "cli/watch/test_app",
    "cli/watch/plain": "cli/test_service_commands",
    "cli/watch/questions": "cli/watch/test_app",
    "cli/watch/screens": "cli/watch/test_app",
    "connection": "stories/test_lives_of_lines",
    "delivery/holder": "stories/test_fresh",
    "delivery/last_events": "delivery/test_cells",
    "delivery/stale_topics": "stories/test_fresh",
    "diagnostics": "stories/test_quarantine",
    "dispatcher": "stories/test_subscriptions",
    "display/html": "display/test_pages",
    "display/line_table": "display/test_status_screen",
    "display/shown": "display/test_pages",
    "display/status_page": "display/test_pages",
    "display/stream_page": "display/test_pages",
    "display/view_pages": "display/test_pages",
    "events": "stories/test_subscriptions",
    "feed_spec": "stories/test_reload",
    "feeds/builder": "stories/test_reload",
    "feeds/feed_calls": "feeds/test_wanted",
    "heartbeat": "stories/test_mute_and_quiet",
    "http_types": "login/test_connector",
    "lazy": "venues/test_registry",
    "login/token_store": "login/test_connector",
    "market/bar_calls": "stories/test_bars",
    "market/bars": "stories/test_bars",
    "market/latest_prices": "stories/test_latest",
    "market/price_calls": "market/test_foreign_prices",
    "messages": "stories/test_lives_of_lines",
    "protocol/accounts": "trading/test_projectx_requests",
    "protocol/asked": "venues/test_o2_session",
    "protocol/backfill": "rules/test_stream_buffer",
    "protocol/bars": "venues/projectx/rest/test_bars",
    "protocol/channel": "venues/test_o2",
    "protocol/foreign_words": "venues/test_foreign_words",
    "protocol/formatting": "cli/test_stream_view",
    "protocol/prices": "rules/test_latest_price",
    "protocol/recent_ids": "venues/test_o2_session",
    "protocol/rest": "trading/test_asks",
    "protocol/session": "stories/test_rotation",
    "protocol/signalr/calls": "protocol/test_signalr_session",
    "protocol/signalr/formatting": "protocol/test_signalr_session",
    "protocol/signalr/handshake": "protocol/test_signalr_framing",
    "protocol/signalr/messages": "protocol/test_signalr_session",
    "protocol/signalr/subscriptions": "protocol/test_signalr_session",
    "protocol/variables": "stories/test_environment_login",
    "protocol/timestamps": "venues/test_projectx",
    "reasons": "stories/test_supervisor_laws",
    "registry": "stories/test_subscriptions",
    "requester": "stories/test_latest",
    "rules/bars/buckets": "rules/bars/test_keeper",
    "rules/bars/sources": "rules/bars/test_keeper",
    "rules/bars/view": "rules/bars/test_keeper",
    "rules/account/agreement": "rules/account/test_keeper",
    "rules/account/audit": "rules/account/test_keeper",
    "rules/account/differences": "rules/account/test_truth",
    "rules/account/expected": "rules/account/test_keeper",
    "rules/account/flat": "rules/account/test_keeper",
    "rules/account/kept": "rules/account/test_truth",
    "rules/account/money": "rules/account/test_defects",
    "rules/account/schedule": "rules/account/test_keeper",
    "rules/account/snapshot": "rules/account/test_truth",
    "rules/account/sums": "rules/account/test_keeper",
    "rules/line_policy": "stories/test_reload",
    "rules/stream_policy": "stories/test_subscriptions",
    "runtime": "stories/test_questions",
    "simulators/base/client": "simulators/test_misbehaviour",
    "simulators/base/connections": "simulators/test_signalr_hub",
    "simulators/base/faults": "simulators/test_faults",
    "simulators/base/history": "simulators/test_faults",
    "simulators/base/history_faults": "simulators/test_history_faults",
    "simulators/base/parameters": "simulators/test_page",
    "simulators/base/random_market": "simulators/test_random_market",
    "simulators/base/server": "simulators/test_misbehaviour",
    "simulators/base/settings": "simulators/test_page",
    "simulators/signalr/framing": "simulators/test_signalr_hub",
    "simulators/signalr/hub_client": "simulators/test_signalr_hub",
    "simulators/signalr/hub_methods": "simulators/test_signalr_hub",
    "simulators/signalr/negotiate": "simulators/test_signalr_hub",
    "simulators/signalr/server": "simulators/test_signalr_hub",
    "simulators/signalr/settings": "simulators/test_page",
    "service/owner_answers": "service/test_switches",
    "status": "stories/test_supervisor_laws",
    "streams": "stories/test_subscriptions",
    "supervision/children": "stories/test_killed_actors",
    "supervision/connect_limits": "stories/test_gates",
    "supervision/lifetime": "supervision/test_forks",
    "supervision/freshness": "stories/test_fresh",
    "supervision/health": "stories/test_health",
    "supervision/lines": "stories/test_lives_of_lines",
    "supervision/permit": "stories/test_fresh",
    "supervision/permits": "stories/test_fresh",
    "supervision/proxy": "stories/test_status",
    "supervision/topic_records": "stories/test_mute_and_quiet",
    "supervision/rotation": "stories/test_rotation",
    "supervision/shutdown": "stories/test_supervisor_laws",
    "supervision/vitals": "stories/test_health",
    "supervision/state": "stories/test_lives_of_lines",
    "supervision/token_refresh": "stories/test_token_refresh",
    "supervision/tree": "stories/test_supervisor_laws",
    "supervisor": "stories/test_supervisor_laws",
    "testing": "simulators/test_fixtures",
    "trading/account_calls": "stories/test_accounts",
    "trading/account_way": "stories/test_accounts",
    "trading/accounts": "stories/test_accounts",
    "trading/followed_account": "stories/test_accounts",
    "trading/arguments": "trading/test_projectx_requests",
    "trading/ask_messages": "trading/test_asks",
    "trading/ask_queue": "trading/test_asks",
    "trading/gathering": "trading/test_asks",
    "trading/login": "trading/test_asks",
    "trading/order_handle": "trading/test_mutation",
    "trading/requests": "trading/test_mutation",
    "trading/runtime_requests": "trading/test_mutation",
    "trading/settling": "trading/test_mutation",
    "trading/sweep": "trading/test_projectx_requests",
    "trading/halt_handle": "stories/test_halts",
    "trading/runtime_halts": "stories/test_halts",
    "trading/without_lines": "cli/test_halt_cancel",
    "trading/file_lock": "trading/test_processes",
    "trading/intents": "trading/test_order_store",
    "trading/store_operator": "cli/test_orders",
    "trading/records": "trading/test_order_store",
    "typed_calls": "typing/test_typing",
    "venues/unknown_names": "venues/test_foreign_words",
    "wire/attempt": "wire/test_http_client",
    "wire/exchanges": "stories/test_projectx",
    "wire/kernel_bytes": "wire/test_socket_inbox",
    "wire/lookups": "wire/test_connect",
    "wire/poller": "wire/test_socket_inbox",
    "wire/proxies": "wire/test_connect",
    "wire/request": "wire/test_http_client",
    "wire/tcp": "wire/test_connect",
    "wire/tls": "wire/test_connect",
    "wire/upgrade": "wire/test_connect",
}


def has_test_module(name: str) -> bool:
    """Of `venues/o2/session`: `venues/o2/test_session`, `venues/test_o2_session`, or `venues/test_o2`."""
    *rooms, own = name.split("/")
    names = ["/".join([*rooms, f"test_{own}"])]
    if rooms:
        *above, last = rooms
        names += ["/".join([*above, f"test_{last}_{own}"])] * bool(above)
        names.append("/".join([*above, f"test_{last}"]))
    return any((TESTS / f"{each}.py").is_file() for each in names)


def test_each_module_has_a_test_module_of_its_name_or_is_listed_with_the_tests_that_cover_it() -> None:
    ours = {name for name, path in MODULES.items() if not path.name.startswith("__")}
    assert {name for name in ours if not has_test_module(name)} == COVERED_BY.keys()
    assert {test for test in COVERED_BY.values() if not (TESTS / f"{test}.py").is_file()} == set()


# ── the clock ──

READS = {"monotonic", "monotonic_ns", "time", "time_ns", "perf_counter", "perf_counter_ns", "sleep"}
# Modules that read a clock of the machine, or sleep. All others are told the time by `timers`.
CLOCKS = {
    "timers",
    # They block a user's own thread.
    *(
        "calls",
        "stream",
        "runtime",
        "market/bars",
        "market/order_books",
        "supervision/token_refresh",
        "trading/gathering",
    ),
    "trading/accounts",
    "supervision/snapshot",
    "diagnostics",  # when a message was not delivered: it may have no runtime any more
    # Deadlines of blocking calls on short-lived threads, and a date in a header.
    *("wire/attempt", "wire/http_client", "wire/kept_connections", "wire/upgrade"),
    "trading/without_lines",
    "trading/request_meter",  # it waits for another process, for moments
    # Programs.
    *(
        "cli/run",
        "cli/run_view",
        "cli/simulate",
        "cli/cooldowns",
        "cli/drain",
        "cli/orders",
        "cli/service_commands",
        "cli/stream_view",
        "cli/watch/looks",
        "cli/watch/plain",
        "cli/log_folding",
        "cli/systemd",
        "service/server",
        "service/status_answers",
    ),
}


def reads_of_the_clock(name: str) -> list[str]:
    told = []
    for node in ast.walk(ast.parse(MODULES[name].read_text("utf-8"))):
        match node:
            case ast.Attribute(value=ast.Name(id="time"), attr=attribute) if attribute in READS:
                told.append(f"line {node.lineno}: time.{attribute}")
            case ast.Attribute(value=ast.Name(id="datetime"), attr="now" | "utcnow" | "today" as attribute):
                told.append(f"line {node.lineno}: datetime.{attribute}")
            case ast.ImportFrom(module="time", names=names) if READS & {alias.name for alias in names}:
                told.append(f"line {node.lineno}: from time import")
    return told


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) != "simulators"])
def test_the_clock_is_read_where_it_is_said(name: str) -> None:
    assert bool(reads_of_the_clock(name)) == (name in CLOCKS), reads_of_the_clock(name)


def test_the_public_names_are_found_and_no_others() -> None:
    typed = {
        alias.asname: node.module
        for node in ast.walk(ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    assert typed == vars(actors)["_MODULES"]
    for name, module in typed.items():
        assert name is not None
        assert module is not None
        assert getattr(actors, name) is getattr(import_module(module), name)
    assert typed.keys() == set(vars(actors)["__all__"])
    assert typed.keys() <= set(dir(actors))
    unknown = "stat"
    with pytest.raises(AttributeError, match="module 'actors' has no attribute 'stat'"):
        getattr(actors, unknown)


# ── the page ──


def test_the_drawing_shows_what_lies_at_the_top() -> None:
    drawing = ARCHITECTURE.partition("\n```\nactors/\n")[2].partition("\n```\n")[0]
    files = re.findall(r"(?<![\w/])\w+\.py\b", drawing)
    rooms = re.findall(r"── (\w+)/ ", drawing)
    assert sorted(files) == sorted(path.name for path in PACKAGE.glob("*.py"))
    assert sorted(rooms) == sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def test_every_file_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"[\w/]+\.py\b", ARCHITECTURE))
    homes = (PACKAGE, PACKAGE.parent)
    assert {name for name in named if not any((home / name).is_file() for home in homes)} == set()
