"""What requests may open: tails and topics of a client, and lines of a feed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlencode

import pytest
from msgspec import json
from websockets.exceptions import InvalidStatus

import actors
from actors import Runtime
from actors.service import Service
from actors.simulators import SimulatedO2, SimulatedTplus
from tests.service.conftest import within
from tests.service.test_tail import streams
from tests.service.visitor import ask, tail, tail_path
from tests.support.runtimes import until
from tests.support.virtual_time import Clock


def refusal(service: Service, path: str) -> str:
    with pytest.raises(InvalidStatus) as declined, tail(service, path):
        pass
    response = declined.value.response
    assert response.status_code == 429
    return str(json.decode(response.body)["error"])


def test_a_client_has_so_many_tails(runtime: Runtime, market: str) -> None:
    path = tail_path("trades", market)
    with Service(runtime, within(tails=2)) as service, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(tail(service, path))
        assert refusal(service, path) == "this client has 2 tails open, as many as it may; end some of them"
        stack.close()
        until(runtime, streams(0))
        with tail(service, path):
            pass
        until(runtime, streams(0))
    assert service._opened._topics._tails == {}


def test_a_client_opens_so_many_tails_in_a_minute(runtime: Runtime, market: str) -> None:
    """Each changes the status; one that is refused does not, and does not count."""
    path = tail_path("trades", market)
    with Service(runtime, within(tails=1, tail_openings=2)) as service:
        service._opened._monotonic = clock = Clock()
        with tail(service, path):
            assert "this client has 1 tails open" in refusal(service, path)
        until(runtime, streams(0))
        with tail(service, path):
            pass
        until(runtime, streams(0))
        clock.now += 58.5
        with pytest.raises(InvalidStatus) as declined, tail(service, path):
            pass
        response = declined.value.response
        assert (response.status_code, response.headers["Retry-After"]) == (429, "2")
        assert b"this client has opened 2 tails within a minute" in response.body
        clock.now += 1.5
        with tail(service, path):
            pass


def test_a_client_has_so_many_topics(runtime: Runtime, o2: SimulatedO2) -> None:
    first, second, third, *_ = o2.markets
    with Service(runtime, within(topics=2)) as service:
        assert "would have 3 topics, and 2 are allowed" in refusal(
            service, tail_path("trades", first, second, third)
        )
        with tail(service, tail_path("trades", first, second)):
            assert "would have 3 topics" in refusal(service, tail_path("trades", third))


def test_a_tail_that_is_refused_counts_for_none(runtime: Runtime, market: str) -> None:
    with Service(runtime, within(tails=1)) as service:
        for path in (tail_path("trades", market, nonsense=1), tail_path("nowhere", market)):
            with pytest.raises(InvalidStatus) as declined, tail(service, path):
                pass
            assert declined.value.response.status_code == 400
        with tail(service, tail_path("trades", market)):
            pass


@pytest.fixture
def tplus() -> Iterator[SimulatedTplus]:
    with SimulatedTplus(rate=0) as simulator:
        yield simulator


def test_sixty_tails_do_not_open_sixty_lines(tplus: SimulatedTplus) -> None:
    subscribe = [{"channel": "market_trades", "keys": ["200"]}]
    config = {"feeds": {"tplus": {"venue": "tplus", "url": tplus.url, "subscribe": subscribe}}}

    def path(*keys: str) -> str:
        words = [("feed", "tplus"), ("channel", "market_trades"), *(("key", key) for key in keys)]
        return f"/tail?{urlencode(words)}"

    with (
        actors.start(config, wait=20.0) as runtime,
        Service(runtime, within(lines=2)) as service,
        ExitStack() as stack,
    ):
        stack.enter_context(tail(service, path("300")))
        assert ask(service, "/book/tplus/301").status in {200, 503}
        assert "would have 3; name the topic under subscribe" in refusal(service, path("302"))
        told = ask(service, "/book/tplus/303")
        assert (told.status, "tplus: requests may open 2 lines" in told.error) == (429, True)
        for keys in (("200",), ("300",), ("200", "300")):  # lines that are there
            with tail(service, path(*keys)):
                pass
        assert len(runtime.status().lines()) == 3
        stack.close()
        until(runtime, lambda status: len(status.lines()) == 2)
        with tail(service, path("302")):
            assert len(runtime.status().lines()) == 3
