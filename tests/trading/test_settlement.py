"""What former processes left open, and what has become unknown, is looked for at the venue."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import actors
from actors import Accepted, Unknown
from actors.protocol.trading import Intent, Place
from actors.trading import settlement
from actors.trading.order_store import OrderStore
from actors.trading.settlement import Settlement
from tests.trading.shop import ACCOUNT, Shop, asking


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as shop:
        yield shop


def left_open(folder: Path, shop: Shop) -> str:
    """The tag of an intent of a process that has ended."""
    store = OrderStore.create(folder)
    place = Place(account=ACCOUNT, contract="CON.A", side="buy", size=1, type="market")
    intent = Intent(tag=store.new_tag(), mutation=place, begun_ns=time.time_ns())
    store.begin(intent, shop.host, lambda _: None)
    store.close()
    return intent.tag


def outcome_of(folder: Path, tag: str) -> object:
    store = OrderStore(folder)
    try:
        return store.outcome(tag)
    finally:
        store.close()


def until_settled(runtime: actors.Runtime) -> None:
    while runtime._requests.settlement.is_under_way("shop"):
        threading.Event().wait(0.01)


def test_t2_every_login_at_the_venue_is_asked(tmp_path: Path, shop: Shop) -> None:
    """Two users of one gateway: only one of them sees the account."""
    tag = left_open(tmp_path / "trading", shop)
    shop.orders.append(tag)

    def find(path: str) -> tuple[int, object] | None:
        if path.startswith("/find/"):
            with shop.lock:
                blind.append(path)
                return (200, {"id": None}) if len(blind) == 1 else None
        return None

    for _ in range(2):  # whichever of the two is asked first
        blind: list[str] = []
        shop.before = find
        with asking(tmp_path, shop, shop, login="one") as (runtime, _):
            until_settled(runtime)
    assert isinstance(outcome_of(tmp_path / "trading", tag), Accepted)


def test_what_becomes_unknown_later_is_looked_for_as_well(
    tmp_path: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal of the next order says so."""
    monkeypatch.setattr(settlement, "AGAIN", 0.05)
    with asking(tmp_path, shop) as (_, px):
        px.page("first").get()

        def lose(path: str) -> None:
            if path == "/order":
                shop.after = lambda _: None
                raise ConnectionError

        shop.after = lose
        outcome = px.place().get(5.0)
        assert isinstance(outcome, Unknown)
        while not isinstance(px.place(outcome.tag).get(5.0), Accepted):
            threading.Event().wait(0.02)
        assert isinstance(px.place().get(5.0), Accepted)
    assert shop.count(outcome.tag) == 1


def test_a_look_that_fails_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settlement, "SOON", 0.01)
    looks = threading.Semaphore(0)

    def store() -> None:
        looks.release()
        raise OSError("the disk")

    its = Settlement(
        {"shop": "a host"},
        store,
        settle=lambda *_: pytest.fail("nothing to settle"),
        tags=lambda _: {},
        is_at=lambda *_: True,
    )
    try:
        for _ in range(3):
            assert looks.acquire(timeout=5.0)
        assert its.is_under_way("shop")
    finally:
        its.stop()


def test_a_runtime_that_has_ended_opens_no_store(tmp_path: Path, shop: Shop) -> None:
    """It would be among the living processes of the folder for ever."""
    with asking(tmp_path, shop) as (runtime, _):
        requests = runtime._requests
    requests._store = None  # as if the settling had not come to it
    assert requests.order_store() == (None, "the runtime has ended.")


@pytest.mark.parametrize("tag", ["", "x" * 49, "tag-SL", "lw-of another"])
def test_t5_a_tag_that_cannot_be_used_is_refused_and_not_replaced(
    tmp_path: Path, shop: Shop, tag: str
) -> None:
    with asking(tmp_path, shop) as (runtime, px):
        until_settled(runtime)
        handle = px.place(tag)
        assert (handle.tag, handle.get(5.0).code) == (tag, "tag")
        with pytest.raises(actors.LinewardenError, match="a tag is a text, and 5 is none"):
            px.place(5)  # type: ignore[arg-type]
    assert shop.orders == []
