"""A forked child has a runtime's data and none of its threads: a call is refused before it takes a lock."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from operator import attrgetter
from typing import Any

import pytest

from actors import ForkError, Runtime, Stream
from actors.simulators import SimulatedO2
from actors.streams import _forget
from actors.supervision.lifetime import abandon, stop_at_exit
from tests.test_stream import in_a_child, needs_fork

pytestmark = [needs_fork, pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")]

RUNTIME: dict[str, Callable[[Runtime, Stream[Any]], object]] = {
    "add_feed": lambda runtime, _: runtime.add_feed("other", {"venue": "o2"}),
    "account": lambda runtime, _: runtime.account("projectx", 1),
    "ask": lambda runtime, _: runtime.ask("o2"),
    "bars": lambda runtime, _: runtime.bars("o2", "0x1", "1min"),
    "beat": lambda runtime, _: runtime.beat("o2"),
    "book": lambda runtime, _: runtime.book("o2", "0x1"),
    "clear_cooldowns": lambda runtime, _: runtime.clear_cooldowns(),
    "end_reason": lambda runtime, _: runtime.end_reason,
    "flat": lambda runtime, _: runtime.flat("projectx", 1),
    "fresh": lambda runtime, _: runtime.fresh("o2"),
    "forget_account": lambda runtime, _: runtime.forget_account("projectx", 1),
    "forget_bars": lambda runtime, _: runtime.forget_bars("o2", "0x1"),
    "forget_book": lambda runtime, _: runtime.forget_book("o2", "0x1"),
    "halt": lambda runtime, _: runtime.halt("o2", reason="r"),
    "latest": lambda runtime, _: runtime.latest("o2", "0x1"),
    "lifecycle": lambda runtime, _: runtime.lifecycle(),
    "merge": lambda runtime, stream: runtime.merge(stream),
    "on": lambda runtime, _: runtime.on("o2", "trades", "0x1", handler=print),
    "on_account": lambda runtime, _: runtime.on_account("projectx", 1, handler=print),
    "on_bar": lambda runtime, _: runtime.on_bar("o2", "0x1", "1min", handler=print),
    "put_price": lambda runtime, _: runtime.put_price("o2", "0x1", last=1, source="poller"),
    "on_restored": lambda runtime, _: runtime.on_restored(handler=print),
    "refresh_token": lambda runtime, _: runtime.refresh_token("o2"),
    "require": lambda runtime, stream: runtime.require(stream),
    "reload": lambda runtime, _: runtime.reload({"feeds": {}}),
    "remove_feed": lambda runtime, _: runtime.remove_feed("o2"),
    "resync_account": lambda runtime, _: runtime.resync_account("projectx", 1),
    "rotate": lambda runtime, _: runtime.rotate("o2"),
    "send": lambda runtime, _: runtime.send("o2", "text"),
    "settings": lambda runtime, _: runtime.settings,
    "simulator": lambda runtime, _: runtime.simulator("o2"),
    "status": lambda runtime, _: runtime.status(),
    "stop": lambda runtime, _: runtime.stop(),
    "subscribe": lambda runtime, _: runtime.subscribe("o2", "trades", "0x1"),
    "supervisor": lambda runtime, _: runtime.supervisor,
    "wait_live": lambda runtime, _: runtime.wait_live(),
}
READING = ("get", "get_many", "items", "take", "with_markers", "with_meta")
CHANGING = ("add", "close", "remove")
LOOKING = (
    *("closed", "conflated", "delivered", "dropped", "end_reason", "gap_count", "gaps", "handler_errors"),
    *("is_cut", "lag_s", "queued", "received", "topics"),
)
DATA = {"capacity", "channel", "feed", "id", "policy"}  # of each stream
STREAM: dict[str, Callable[[Stream[Any]], object]] = {
    "get": lambda stream: stream.get(),
    "get_many": lambda stream: stream.get_many(0),
    "items": lambda stream: next(stream.items()),
    "take": lambda stream: next(stream.take(1.0)),
    "with_markers": lambda stream: next(stream.with_markers()),
    "with_meta": lambda stream: next(stream.with_meta()),
    "add": lambda stream: stream.add("0x2"),
    "close": lambda stream: stream.close(),
    "remove": lambda stream: stream.remove("0x1"),
    "fresh": lambda stream: stream.fresh(),
    **{name: attrgetter(name) for name in LOOKING},
}


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


@pytest.fixture
def trades(runtime: Runtime, market: str) -> Stream[Any]:
    return runtime.subscribe("o2", "trades", market, wait=10.0)


@contextmanager
def held(runtime: Runtime, stream: Stream[Any]) -> Iterator[None]:
    """Another thread is at it with every lock that there is, while this one forks."""
    roles = runtime._roles
    locks: list[Any] = [
        runtime._streams._lock,
        runtime._wanted.changing,
        runtime._status._building,
        runtime._books._opening,
        runtime._foreign.lock,
        runtime._bars._opening,
        runtime._accounts._opening,
    ]
    locks += [roles.dead_letters._lock, roles._lock, runtime._shared.cells._lock]
    locks += [stream._inlet.ready, stream._changing]
    locks += [mailbox._lock for mailbox in roles.mailboxes.values()]
    taken, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            taken.set()
            assert go_on.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(10)
    try:
        yield
    finally:
        go_on.set()
        thread.join()


def refused(calls: Mapping[str, Callable[[], object]]) -> str:
    """Those of these calls that raise ForkError; the child dies where one hangs."""
    found = []
    signal.alarm(20)
    for name, call in calls.items():
        try:
            call()
        except ForkError:
            found.append(name)
        except Exception as error:
            found.append(f"{name}: {error!r}")
    return " ".join(found)


def test_every_call_of_a_runtime_is_refused(runtime: Runtime, trades: Stream[Any]) -> None:
    assert set(RUNTIME) == public(Runtime)
    calls = {name: partial(call, runtime, trades) for name, call in RUNTIME.items()}
    with held(runtime, trades):
        told = in_a_child(lambda: refused(calls))
    assert told == " ".join(RUNTIME)


def test_every_call_of_a_stream_is_refused(runtime: Runtime, trades: Stream[Any]) -> None:
    assert set(STREAM) == public(Stream) == {*READING, *CHANGING, *LOOKING, "fresh"}
    assert public(type(trades)) | DATA == {name for name in dir(trades) if not name.startswith("_")}
    calls = {name: partial(call, trades) for name, call in STREAM.items()}
    calls["iter"] = partial(next, iter(trades))
    with held(runtime, trades):
        told = in_a_child(lambda: refused(calls))
    assert told == " ".join(calls)


def test_every_call_of_a_stream_that_has_ended_is_refused(trades: Stream[Any]) -> None:
    trades.close()
    list(trades)
    calls = {name: partial(call, trades) for name, call in STREAM.items()}
    calls["iter"] = partial(next, iter(trades))
    assert in_a_child(lambda: refused(calls)) == " ".join(calls)


def test_a_look_at_a_permit_is_refused(runtime: Runtime, o2: SimulatedO2, market: str) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    o2.trade(market)
    trades.get(timeout=10.0)
    permit = runtime.require(trades, max_age=600.0)
    calls = {"valid": lambda: permit.valid, "check": permit.check, "reasons": lambda: permit.reasons}
    with held(runtime, trades):
        assert in_a_child(lambda: refused(calls)) == " ".join(calls)
        assert in_a_child(lambda: repr(permit)) == "<Permit for 1 topic: of another process>"


def test_every_call_of_the_proxy_is_refused(runtime: Runtime, trades: Stream[Any]) -> None:
    proxy = runtime.supervisor
    calls = {name: partial(getattr(proxy, name), "o2") for name in ("pause", "restart", "resume")}
    calls["status"] = partial(proxy.status)
    with held(runtime, trades):
        assert in_a_child(lambda: refused(calls)) == " ".join(calls)


def test_finalisers_do_nothing_in_a_child(runtime: Runtime, trades: Stream[Any], o2: SimulatedO2) -> None:
    """What is collected there, or left as a context manager, or ends with the program."""
    asked: list[object] = []

    class Told:
        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            raise AssertionError(name)

    def end() -> str:
        signal.alarm(20)
        nothing: Any = Told()
        abandon(runtime._tree.home, nothing, nothing, nothing)
        _forget(runtime._tree.home, trades.id, nothing, nothing, nothing)
        stop_at_exit(runtime._tree.home, lambda: runtime)
        with runtime, trades:
            pass
        return f"{asked} {os.getpid() != parent}"

    parent = os.getpid()
    with held(runtime, trades):
        assert in_a_child(end) == "[] True"
    assert runtime.status().state == "live"
    assert o2.connections == 1
