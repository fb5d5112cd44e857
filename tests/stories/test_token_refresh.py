"""Another token for a feed: one trial at a time, all lines or none; the venue's words if it makes none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from actors import LinewardenError, RotationFailed, Runtime, Timeout
from actors.actor import letter
from actors.login import token_store
from actors.simulators.projectx import SimulatedProjectX
from actors.status import Status
from tests.stories.test_killed_actors import POISON
from tests.stories.test_projectx import (
    HUBS,
    MARKET,
    USER,
    line,
    live_again,
    runtime_on,
    streams,
    tell,
    told,
)
from tests.stories.test_projectx_rotation import px, runtime
from tests.support.runtimes import fresh, until

__all__ = ["px", "runtime"]


def shown_since(px: SimulatedProjectX, before: int) -> set[str]:
    """The tokens that clients have shown to hubs since so many requests."""
    return {each.query["access_token"] for each in px.requests[before:] if "access_token" in each.query}


def check_untouched(px: SimulatedProjectX, runtime: Runtime, token: str, epochs: int = 1) -> None:
    """The present connections go on, and the token that they show is the one for later connections."""
    assert [(line(runtime, hub).epoch, line(runtime, hub).state) for hub in HUBS] == [(epochs, "live")] * 2
    assert [line(runtime, hub).rotations for hub in HUBS] == [0, 0]
    before = len(px.requests)
    px.drop()
    until(runtime, live_again(epochs + 1))
    assert shown_since(px, before) == {token}


# ── the API makes no token ──

REFUSALS: dict[str, tuple[Callable[[SimulatedProjectX], Any], str]] = {
    "404": (lambda px: px.refuse_page(404, n=100, page="Auth/validate"), "HTTP 404"),
    "500": (lambda px: px.refuse_page(500, n=100, page="Auth/validate"), "HTTP 500"),
    "403": (lambda px: px.refuse_page(403, n=100, page="Auth/validate"), "HTTP 403"),
    "a refusal": (lambda px: px.refuse_login(3, n=100, page="validate"), r"3 ExpiredToken: Refused\."),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refresh_for_which_the_venue_makes_no_token_is_an_error_with_its_words(
    px: SimulatedProjectX, name: str
) -> None:
    fault, words = REFUSALS[name]
    token = px.token()
    with runtime_on(px, token=token) as runtime:
        fault(px)
        for _ in range(2):  # the second one asks as well
            with pytest.raises(LinewardenError, match=words):
                runtime.refresh_token("projectx", timeout=10.0)
        px.heal()
        check_untouched(px, runtime, token)


def test_a_token_that_cannot_be_renewed_shows_why_before_it_ends(
    px: SimulatedProjectX, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No connection is replaced by one with the same token; once the venue renews it, all are."""
    monkeypatch.setattr(token_store, "SHARE", 0.6)
    px.refuse_login(2, n=1_000, page="validate")
    with runtime_on(px, token=px.token(life=10.0)) as runtime:
        before = len(px.requests)
        assert fresh(runtime).feeds["projectx"].token_error == ""
        status = until(runtime, lambda status: bool(status.feeds["projectx"].token_error))
        assert "2 SessionNotFound: Refused." in status.feeds["projectx"].token_error
        assert (status.feeds["projectx"].token_expires_in_s or 0.0) > 4.0
        assert [(line(runtime, hub).state, line(runtime, hub).epoch) for hub in HUBS] == [("live", 1)] * 2
        assert shown_since(px, before) == set()
        px.heal()
        until(runtime, lambda status: all(each.rotations == 1 for each in status.lines().values()))
        assert fresh(runtime).feeds["projectx"].token_error == ""
        assert len(shown_since(px, before)) == 1


# ── one trial at a time ──


Refreshing = tuple[threading.Thread, list[Any]]  # and what came of it


def refreshing(runtime: Runtime, token: str | None, timeout: float) -> Refreshing:
    came_of: list[Any] = []

    def run() -> None:
        try:
            runtime.refresh_token("projectx", token=token, timeout=timeout)
            came_of.append(None)
        except LinewardenError as error:
            came_of.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, came_of


def joined(under_way: list[Refreshing]) -> list[Refreshing]:
    for thread, _ in under_way:
        thread.join(30.0)
    return under_way


def test_two_trials_of_bad_tokens_leave_the_good_one(px: SimulatedProjectX, runtime: Runtime) -> None:
    (good,) = shown_since(px, 0)
    under_way = [refreshing(runtime, token, 20.0) for token in ("bad-token-1", "bad-token-2")]
    for thread, (error,) in joined(under_way):
        assert not thread.is_alive()
        assert isinstance(error, RotationFailed)
        assert "401" in str(error)
    check_untouched(px, runtime, good)


def test_a_trial_waits_for_another_one_within_its_time(px: SimulatedProjectX, runtime: Runtime) -> None:
    new = px.token()
    px.delay_ack(1.0)
    before = len(px.requests)
    thread, came_of = refreshing(runtime, new, 20.0)
    px.wait_for(lambda: new in shown_since(px, before))
    with pytest.raises(Timeout, match="another refresh_token was under way"):
        runtime.refresh_token("projectx", token="another", timeout=0.2)
    thread.join(30.0)
    assert came_of == [None]
    assert shown_since(px, before) == {new}


def test_those_that_wait_for_a_new_token_share_it(px: SimulatedProjectX, runtime: Runtime) -> None:
    px.delay_ack(0.5)
    under_way = [refreshing(runtime, None, 20.0) for _ in range(5)]
    assert [came_of for _, came_of in joined(under_way)] == [[None]] * 5
    assert [line(runtime, hub).rotations for hub in HUBS] == [2, 2]  # of the first, and of all others


# ── all lines or none ──


@pytest.mark.parametrize("given", [True, False])
def test_a_hub_that_is_late_costs_the_other_no_token(
    px: SimulatedProjectX, runtime: Runtime, given: bool
) -> None:
    heard = streams(runtime)
    (former,) = shown_since(px, 0)
    px.mute(new=True, only_hub="market")
    new = px.token() if given else None
    with pytest.raises(Timeout, match="the new token was not taken by all lines within 1 s"):
        runtime.refresh_token("projectx", token=new, timeout=1.0)
    px.heal()
    for hub in HUBS:
        number = tell(px, hub)
        assert told(heard[hub].get(timeout=10)) == number
        assert heard[hub].gap_count == 0
    check_untouched(px, runtime, former)
    runtime.refresh_token("projectx", token=new, timeout=20.0)


def test_a_hub_that_refuses_costs_the_other_no_token(px: SimulatedProjectX, runtime: Runtime) -> None:
    (former,) = shown_since(px, 0)
    px.unauthorized(n=0, only_hub="market")
    with pytest.raises(RotationFailed, match="401") as failed:
        runtime.refresh_token("projectx", token=px.token(), timeout=20.0)
    assert list(failed.value.lines) == [MARKET]
    px.heal()
    check_untouched(px, runtime, former)


def test_a_rotation_that_has_begun_with_the_former_token_does_not_count(
    px: SimulatedProjectX, runtime: Runtime
) -> None:
    px.delay_ack(1.0)
    rotating = threading.Thread(target=rotate_in_vain, args=(runtime,))
    rotating.start()
    px.wait_heard("SubscribeOrders", 2)
    px.wait_heard("SubscribeContractTrades", 2)
    before, new = len(px.requests), px.token()
    runtime.refresh_token("projectx", token=new, timeout=20.0)
    rotating.join(20.0)
    assert shown_since(px, before) == {new}
    px.heal()
    px.drop()
    until(runtime, live_again(2))
    assert shown_since(px, before) == {new}


def rotate_in_vain(runtime: Runtime) -> None:
    with pytest.raises(RotationFailed, match="another token is to be shown"):
        runtime.rotate("projectx", timeout=20.0)


def failed_and_live(status: Status) -> bool:
    return {name: each.state for name, each in status.lines().items()} == {USER: "live", MARKET: "failed"}


@pytest.mark.parametrize("healed", [True, False])
def test_a_line_that_has_failed_is_tried_with_the_token_before_the_others_take_over(
    px: SimulatedProjectX, healed: bool
) -> None:
    px.unauthorized(n=0, only_hub="market")
    with runtime_on(px, live=False) as runtime:
        until(runtime, failed_and_live)
        epoch, new = line(runtime, "user").epoch, px.token()
        if healed:
            px.heal()
            runtime.refresh_token("projectx", token=new, timeout=20.0)
            assert {each.state for each in runtime.status().lines().values()} == {"live"}
            assert line(runtime, "user").epoch == epoch + 1
        else:
            with pytest.raises(RotationFailed, match="401"):
                runtime.refresh_token("projectx", token=new, timeout=20.0)
            assert failed_and_live(fresh(runtime))
            assert line(runtime, "user").epoch == epoch


def test_a_line_that_is_lost_during_the_trial_goes_over_and_the_error_says_so(
    px: SimulatedProjectX, runtime: Runtime
) -> None:
    heard = streams(runtime)
    px.mute(new=True, only_hub="market")
    thread, came_of = refreshing(runtime, px.token(), 3.0)
    px.wait_heard("SubscribeOrders", 2)
    present = runtime._roles.connection(USER)._lives[0][0]
    assert present is not None
    present(letter(POISON))
    until(runtime, lambda status: status.lines()[USER].state == "live" and status.lines()[USER].epoch == 2)
    thread.join(20.0)
    (error,) = came_of
    assert isinstance(error, Timeout)
    assert any("projectx/user" in note for note in error.__notes__)
    number = tell(px, "user")
    assert next(told(each) for each in heard["user"] if told(each) == number) == number
