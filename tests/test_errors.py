"""What errors say to people."""

from __future__ import annotations

import pickle

import pytest

from actors import errors
from actors.errors import TOLD, LinewardenError, NotLiveError, StreamClosed, SubscribeError
from actors.events import Freshness, SubscriptionState, Topic, Tried
from actors.simulators import SimulatedO2
from tests.support.runtimes import runtime_on


def test_an_error_about_many_topics_names_some_and_counts_the_rest() -> None:
    topics = [Topic("o2", "trades", f"{number:05}") for number in range(10_000)]
    states = dict.fromkeys(topics[:-1], SubscriptionState("sent"))
    states[topics[-1]] = SubscriptionState("confirmed")
    error = SubscribeError(None, states)
    assert len(str(error)) < 1_000
    assert str(error).startswith("not confirmed: o2/trades/00000: sent; o2/trades/00001: sent; ")
    assert str(error).endswith(f"; and {9_999 - TOLD:,} more")
    assert error.results == states


def test_an_error_about_many_lines_names_some_and_counts_the_rest() -> None:
    error = NotLiveError({f"line/{number}": "connecting" for number in range(5_000)})
    assert len(str(error)) < 1_000
    assert str(error).endswith(f"; line/{TOLD - 1}: connecting; and {5_000 - TOLD:,} more")
    assert len(error.reasons) == 5_000


def test_an_error_about_few_topics_names_all_with_the_venue_s_words() -> None:
    one, two = Topic("o2", "trades", "a"), Topic("o2", "trades", "b")
    error = SubscribeError(
        None, {one: SubscriptionState("rejected", reason="paused"), two: SubscriptionState("sent")}
    )
    assert str(error) == "not confirmed: o2/trades/a: rejected (paused); o2/trades/b: sent"


def test_an_error_about_lines_names_each_or_says_that_no_answer_came() -> None:
    assert (
        str(NotLiveError({"a": "connecting", "b": "failed: 404"}))
        == "not live: a: connecting; b: failed: 404"
    )
    assert str(NotLiveError({})) == "the runtime did not answer in time"


def test_an_error_about_a_closed_stream_names_it(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2) as runtime:
        trades = runtime.subscribe("o2", "trades", market)
        trades.close()
        with pytest.raises(StreamClosed) as caught:
            trades.get(timeout=5.0)
        assert str(caught.value) == f"stream {trades.id} (o2/trades) is closed: closed by its reader"
        assert caught.value.reason == "closed by its reader"
        with pytest.raises(StreamClosed, match=r"^stream 1 \(o2/trades\) is closed: closed by its reader$"):
            trades.add(market)
        ended = runtime.subscribe("o2", "trades", market)
        runtime.reload({"feeds": {}})
        with pytest.raises(
            StreamClosed, match=r"^stream 2 \(o2/trades\) is closed: feed o2 was removed from"
        ):
            list(runtime.merge(ended))


@pytest.mark.parametrize(
    "error",
    [
        errors.ForkError(),
        errors.NotLiveError({"o2": "backoff"}),
        errors.RuntimeStopped("the supervisor has died"),
        errors.StreamClosed("its reader", "stream 1"),
        errors.ConfigError(["[feeds.a] one", "[feeds.a] two"]),
        errors.RotationFailed({"o2": "paused"}),
        errors.Blind([Freshness("stale", "nothing")]),
        errors.StalePriceError("o2: no price", (Tried("stream", "quote", "none"),)),
        errors.AskRefusedError("px", "/orders", 7, "name", "words"),
        errors.AskFailedError("px", "no answer", "timeout", 1.5),
        errors.ServiceDeclinedError("no such feed", 404),
        errors.Timeout("nothing came"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_a_pool_s_process_arrives_as_it_was(error: LinewardenError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_of_an_error_with_a_stream_the_text_arrives(o2: SimulatedO2, market: str) -> None:
    with runtime_on(o2) as runtime:
        trades = runtime.subscribe("o2", "trades", market)
        error = SubscribeError(trades, {Topic("o2", "trades", market): SubscriptionState("sent")})
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.results, again.stream) == (str(error), error.results, str(trades))
    assert error.stream is trades
