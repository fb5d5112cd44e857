"""A service asked as a runtime is: the same types, the same errors, from any thread and any process."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

import actors
from actors import Runtime, ServiceClient
from actors.service import Service
from actors.simulators import SimulatedAlpaca, SimulatedO2
from actors.venues import alpaca, o2
from tests.service.conftest import HERE, locked, service
from tests.service.visitor import TOKEN
from tests.support.runtimes import alpaca_runtime, until
from tests.test_stream import in_a_child, needs_fork

__all__ = ["locked", "service"]  # fixtures

ORDERS = "0x" + "c0" * 32


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LINEWARDEN_TOKEN", "LINEWARDEN_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def client(service: Service) -> ServiceClient:
    return ServiceClient(service.url)


def test_a_price_is_the_one_of_the_runtime(
    client: ServiceClient, runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    o2.trade(market, price=2**70)
    trades.get(timeout=10.0)
    price, own = client.latest("o2", market), runtime.latest("o2", market)
    assert (price.last, price.last_size, price.source) == (own.last, own.last_size, "stream")
    assert price.trade_age is not None
    with pytest.raises(actors.StalePriceError, match="from the last 0 s") as stale:
        client.latest("o2", market, max_age=0.0, timeout=0)
    assert [each.why for each in stale.value.tried][:2] == ["none", "too old"]
    with pytest.raises(actors.StalePriceError, match="from the last 1e-05 s"):
        client.latest("o2", market, max_age=0.00001, timeout=1e-9)  # a float is sent without its exponent


def test_keys_are_sent_as_they_are() -> None:
    with SimulatedAlpaca(rate=0) as venue, alpaca_runtime(venue, "crypto") as runtime:
        quotes = runtime.subscribe("crypto", alpaca.QUOTES, "BTC/USD", wait=10.0)
        venue.quote("BTC/USD", bid=100.25, ask=100.5)
        quotes.get(timeout=10.0)
        with Service(runtime, HERE) as service:
            client = ServiceClient(service.url.removeprefix("http://"))
            assert client.latest("crypto", "BTC/USD").bid == Decimal("100.25")
            assert client.fresh("crypto", alpaca.QUOTES, "BTC/USD", max_age=60)
            with pytest.raises(actors.ServiceDeclinedError, match="did you mean 'BTC/USD'"):
                client.latest("crypto", "BTC/USDT")
            with pytest.raises(actors.ServiceDeclinedError, match=r"given 'BTC\?x=1&/%2F#ä'"):
                client.latest("crypto", "BTC?x=1&/%2F#ä")


def test_a_book_waits_or_has_its_reason(client: ServiceClient, runtime: Runtime, market: str) -> None:
    book = client.book("o2", market, depth=3, wait=5.0, precision="100")
    assert book.synced
    assert (len(book.bids), book.topic.options) == (3, (("precision", "100"),))
    assert book.best_bid is not None
    assert book.spread is not None
    runtime.supervisor.pause("o2").get()
    until(runtime, lambda _: not client.book("o2", market, precision=100).synced)
    with pytest.raises(actors.Timeout, match=r"not synced within 0\.01 s: o2 is paused"):
        client.book("o2", market, wait=0.01, precision=100)


def test_freshness_is_the_one_of_the_runtime(
    client: ServiceClient, runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    found = client.fresh("o2", "trades", market, max_age=60)
    assert (bool(found), found.cause) == (False, "not_subscribed")
    trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    o2.trade(market)
    trades.get(timeout=10.0)
    assert client.fresh("o2", "trades", market, max_age=60)
    assert client.fresh("o2", max_age=60.5)
    assert client.fresh("o2", "trades", max_age=1e3)


def test_options_of_a_constant_are_sent(client: ServiceClient, runtime: Runtime, market: str) -> None:
    _stream = runtime.subscribe("o2", o2.DEPTH(precision="100"), market, wait=10.0)
    assert client.fresh("o2", o2.DEPTH(precision="100"), market, max_age=60)
    assert client.fresh("o2", o2.DEPTH(precision="10"), market, max_age=60).cause == "not_subscribed"


def test_status_is_the_tree(client: ServiceClient, runtime: Runtime) -> None:
    assert client.status().lines().keys() == runtime.status().lines().keys()


def test_what_cannot_be_asked_is_declined_with_the_reason(client: ServiceClient, market: str) -> None:
    asked: dict[str, Any] = {
        "There are: o2.": lambda: client.latest("o3", market),
        "nothing is subscribed to": lambda: client.latest("o2", market),
        "did you mean 'precision'": lambda: client.book("o2", market, precison=10),
        "depth: expected": lambda: client.book("o2", market, depth=0),
    }
    for words, ask in asked.items():
        with pytest.raises(actors.ServiceDeclinedError, match=words):
            ask()
    with pytest.raises(actors.LinewardenError, match="a key is text or an integer"):
        client.latest("o2", 1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(("keys", "options"), [(("0x1",), {}), ((), {"precision": "10"})])
def test_a_key_or_an_option_without_its_channel_is_not_ignored(
    client: ServiceClient, runtime: Runtime, keys: tuple[str, ...], options: dict[str, str]
) -> None:
    views: tuple[Any, ...] = (client, runtime)
    for view in views:
        with pytest.raises(actors.LinewardenError, match="keys and options need their channel"):
            view.fresh("o2", None, *keys, **options)


def test_times_are_those_that_a_runtime_takes(
    client: ServiceClient, runtime: Runtime, o2: SimulatedO2, market: str
) -> None:
    trades = runtime.subscribe("o2", "trades", market, wait=10.0)
    o2.trade(market)
    trades.get(timeout=10.0)
    views: tuple[Any, ...] = (client, runtime)
    for view in views:
        for much in (float("inf"), 1e12):
            assert view.latest("o2", market, max_age=much, timeout=much).last
            assert view.fresh("o2", max_age=much)
            assert view.book("o2", market, wait=much).synced
        with pytest.raises(actors.StalePriceError):
            view.latest("o2", market, max_age=-1.0, timeout=-1.0)
        assert view.book("o2", market, wait=-1.0).synced
        for none in (float("nan"), "15", None, True):
            for name in ("max_age", "timeout"):
                with pytest.raises(actors.LinewardenError, match="is a number of seconds, and"):
                    view.latest("o2", market, **{name: none})


@pytest.mark.parametrize("timeout", [0, -1.0, float("inf"), 1e12])
def test_a_timeout_that_no_socket_can_have_is_refused_at_once(timeout: float) -> None:
    with pytest.raises(ValueError, match="expected more than 0, and a day at most"):
        ServiceClient(timeout=timeout)


def test_an_address_from_a_file_or_with_a_name_of_any_language_is_one() -> None:
    assert ServiceClient(" 127.0.0.1:9700\n").url == "http://127.0.0.1:9700"
    assert ServiceClient("https://bücher.example/").url == "https://bücher.example"


def test_address_and_token_come_from_the_environment(
    locked: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINEWARDEN_URL", locked.url)
    with pytest.raises(actors.ServiceDeclinedError, match=r"requires a token: give token=, or set LINEW"):
        ServiceClient().status()
    monkeypatch.setenv("LINEWARDEN_TOKEN", TOKEN)
    client = ServiceClient()
    assert client.status().state == "live"
    assert repr(client) == f"<ServiceClient {locked.url}>"
    with pytest.raises(actors.ServiceDeclinedError, match="rejected the token"):
        ServiceClient(token="another").status()
    assert TOKEN not in repr(vars(client)) + repr(vars(client._http))


def test_a_service_that_is_gone_and_back_again(service: Service, runtime: Runtime) -> None:
    client = ServiceClient(service.url)
    assert client.status().state == "live"
    service.stop()
    with pytest.raises(actors.ServiceUnreachableError, match="cannot reach the service at unix:/"):
        client.status()
    with service:
        assert client.status().state == "live"
        runtime.stop()
        for ask in (lambda: client.latest("o2", "0x1"), lambda: client.book("o2", "0x1")):
            with pytest.raises(
                actors.ServiceUnreachableError, match="cannot answer: the runtime has stopped"
            ):
                ask()


def test_a_service_that_does_not_answer_costs_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = ServiceClient(f"127.0.0.1:{silent.getsockname()[1]}", timeout=0.1)
        with pytest.raises(actors.ServiceUnreachableError, match=r"no answer within 0\.1 s"):
            client.status()


def test_many_threads_share_a_client(client: ServiceClient, market: str) -> None:
    assert client.book("o2", market, wait=5.0).synced
    with ThreadPoolExecutor(16) as pool:
        books = list(pool.map(lambda _: client.book("o2", market, depth=1), range(64)))
    assert {book.synced for book in books} == {True}


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_may_ask_too(client: ServiceClient, market: str) -> None:
    """A worker that is forked after the client was made, while other threads ask."""
    asking = threading.Thread(target=lambda: [client.status() for _ in range(50)])
    asking.start()
    assert in_a_child(lambda: client.status().state) == "live"
    asking.join()


# ── what is no service ──

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
DEEP = b'{"error": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@contextlib.contextmanager
def answering(head: bytes, piece: bytes = b"", pause: float = 0.0) -> Iterator[str]:
    """Sends this to each client, then pieces, for as long as the client stays; its address."""
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            with contextlib.suppress(OSError), listener.accept()[0] as sock:
                sock.recv(65_536)
                sock.sendall(head)
                while piece and not ended.wait(pause):
                    sock.sendall(piece)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            ended.set()
            thread.join()


def whole(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (OK + b"Content-Length: 100000\r\n\r\n", b" "),
        (CHUNKED, b"1\r\n \r\n"),
        (CHUNKED + b"0\r\n", b"X: y\r\n"),
        (OK, b"X"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "chunks", "trailers", "head", "continue"],
)
def test_an_answer_that_never_ends_costs_the_timeout(head: bytes, piece: bytes) -> None:
    with answering(head, piece, 0.02) as url:
        client = ServiceClient(url, timeout=0.3)
        with pytest.raises(actors.ServiceUnreachableError, match=r"no answer within 0\.3 s"):
            client.latest("o2", "0x1", timeout=0)


@pytest.mark.parametrize(
    ("head", "piece", "words"),
    [
        (OK + b"\r\n", b" " * 65_536, "its answer has more than 4,194,304 bytes"),
        (CHUNKED, b"10000\r\n" + b" " * 65_536 + b"\r\n", "its answer has more than"),
        (OK + b"Content-Length: 1000000000000\r\n\r\n{}", b"", "its answer was cut off"),
        (OK + b"Content-Length: 1" + b"0" * 40 + b"\r\n\r\n{}", b"", "its answer was cut off"),
        (CHUNKED + b"ffffffffffff\r\n{}", b"", "its answer was cut off"),
        (whole(DEEP), b"", "the format of another version"),
        (whole(DEEP, b"404 X"), b"", "another program listens there"),
        (whole(b'{"feed": "\xff"}'), b"", "the format of another version"),
        (whole(b'{"error": "\xff"}', b"404 X"), b"", "another program listens there"),
    ],
    ids=["endless", "bomb", "length", "absurd", "chunk", "deep", "deeper", "bytes", "no-text"],
)
def test_an_answer_that_is_too_much_or_no_text_is_told(head: bytes, piece: bytes, words: str) -> None:
    with answering(head, piece) as url:
        client = ServiceClient(url)
        with pytest.raises(actors.ServiceUnreachableError, match=words):
            client.latest("o2", "0x1", timeout=0)


def test_a_token_goes_to_the_service_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither to a proxy of the environment nor to where an answer points."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        elsewhere = f"http://127.0.0.1:{other.getsockname()[1]}"
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, elsewhere)
        moved = b"HTTP/1.1 307 Moved\r\nLocation: %b/\r\nContent-Length: 0\r\n\r\n" % elsewhere.encode()
        with (
            answering(moved) as url,
            pytest.raises(actors.ServiceUnreachableError, match="answered with status 307"),
        ):
            ServiceClient(url, token=TOKEN).status()
        other.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            other.accept()


def test_words_of_a_service_cannot_control_a_terminal_or_fill_a_log() -> None:
    words = b'{"error": "\\u001b[31m\\n%b"}' % (b"x" * 100_000)
    with (
        answering(whole(words, b"404 X")) as url,
        pytest.raises(actors.ServiceDeclinedError, match=r"^\\x1b\[31m\\nx+…$") as told,
    ):
        ServiceClient(url).latest("o2", "0x1")
    assert len(str(told.value)) == 2_000
    assert told.value.status == 404


def test_a_wait_is_as_long_as_the_service_waits() -> None:
    """Five seconds at most: a service that hangs does not hold its caller for a minute."""
    view = b'{"topic": {"feed": "o2", "channel": "depth", "key": "0x1"}, "state": "syncing", "reason": "why"}'
    with (
        answering(whole(view, b"503 X")) as url,
        pytest.raises(actors.Timeout, match="is not synced within 5 s: why"),
    ):
        ServiceClient(url).book("o2", "0x1", wait=600.0)


@pytest.mark.parametrize(
    "url", ["http://a..b", "http://127.0.0.1:9700/a b", "http://[::1", "http://u:t0ken@ℂ℀", "http://a\x00b"]
)
def test_what_is_no_address_is_told_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"^expected an address such as unix:/run") as told:
        ServiceClient(url)
    assert told.value.__cause__ is None


def test_half_a_character_is_a_key_that_is_not_known(client: ServiceClient) -> None:
    with pytest.raises(actors.ServiceDeclinedError, match="not percent-encoded UTF-8") as told:
        client.latest("o2", "\ud800")
    assert told.value.status == 400
