"""tplus from the client's side: what its documents tell, and each way in which it may fail."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Literal

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as some
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from actors.simulators import SimulatedTplus, from_url
from actors.simulators.base.faults import faults_of
from actors.simulators.base.server import Simulator
from actors.simulators.tplus import endpoints
from actors.simulators.tplus.instruments import Level, spell, whole
from tests.simulators.plain_client import Client
from tests.support.examples import examples

pytest_plugins = ["actors.testing"]

DEPTH = "/marketdepth/diff/200"
ADDRESS = "ab" * 32 + "@" + "00" * 7 + "a4b1"
WELCOME = {"type": "subscriptions", "channels": [{"name": "marketdepth"}], "errors": None}
DENIED = {"type": "subscriptions", "channels": [], "errors": "unauthorized"}


class User:
    """Somebody with a key, who logs in as the documents say."""

    def __init__(self, seed: int) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.id = self.key.public_key().public_bytes_raw().hex()

    def login(self, tplus: SimulatedTplus, prefix: str = "") -> dict[str, str]:
        """The headers that his streams and pages need."""
        nonce = get(tplus, f"{prefix}/nonce/{self.id}")["value"]
        token = get(tplus, f"{prefix}/auth", body=self.signed(nonce))
        return {"Authorization": f"Bearer {token['token']}", "User-Id": self.id}

    def signed(self, nonce: str, **over: Any) -> dict[str, Any]:
        signature = list(self.key.sign(nonce.encode()))
        return {"user_id": self.id, "nonce": nonce, "signature": signature, "additional_signers": []} | over


ALICE, BOB = User(1), User(2)
PRIVATE = [each for each in endpoints.KINDS if each.access != "public"]


@contextmanager
def opened(
    tplus: SimulatedTplus, path: str, headers: dict[str, str] | None = None, *, welcome: bool = True
) -> Iterator[Client]:
    """A stream, after its welcome."""
    url = tplus.url.removesuffix("/") + path
    with connect(url, additional_headers=headers, ping_interval=None, proxy=None, open_timeout=5) as each:
        client = Client(each)
        if welcome:
            assert client.hear()["errors"] is None
        yield client


def ask(
    tplus: SimulatedTplus, path: str, headers: dict[str, str] | None = None, *, body: Any = None
) -> tuple[int, Any]:
    """The status and the JSON of a page."""
    connection = http.client.HTTPConnection("127.0.0.1", tplus.port, timeout=5)
    try:
        said = None if body is None else msgspec.json.encode(body)
        prefix = tplus.http_url.removeprefix(f"http://127.0.0.1:{tplus.port}")
        connection.request("GET" if said is None else "POST", prefix + path, said, headers or {})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def get(tplus: SimulatedTplus, path: str, headers: dict[str, str] | None = None, *, body: Any = None) -> Any:
    status, told = ask(tplus, path, headers, body=body)
    assert status == 200, told
    return told


def hears_nothing(client: Client) -> bool:
    """Whether nothing stands between here and the answer to a ping."""
    assert client.socket.ping().wait(5)
    with pytest.raises(TimeoutError):
        client.hear(timeout=0)
    return True


def refused(tplus: SimulatedTplus, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """The status and the JSON of an upgrade that is none."""
    with pytest.raises(InvalidStatus) as raised, opened(tplus, path, headers, welcome=False):
        pass
    answer = raised.value.response
    return answer.status_code, json.loads(answer.body or b"null")


class Book:
    """What a correct client makes of a snapshot and diffs."""

    def __init__(self, snapshot: dict[str, Any]) -> None:
        self.sides: tuple[dict[Decimal, Decimal], ...] = ({}, {})
        self.sequence = int(snapshot["sequence_number"])
        self.put(snapshot)

    def hear(self, diff: dict[str, Any]) -> None:
        if diff["sequence_number"] > self.sequence:
            assert diff["sequence_number"] == self.sequence + 1
            self.sequence += 1
            self.put(diff)

    def put(self, told: dict[str, Any]) -> None:
        for mine, key in zip(self.sides, ("bids", "asks"), strict=True):
            for price, quantity in told[key]:
                mine[Decimal(price)] = Decimal(quantity)
                if not mine[Decimal(price)]:
                    del mine[Decimal(price)]


# ── logging in ──────────────────────────────────────────────────────────────────────────────────


def test_a_signed_nonce_opens_every_stream_of_its_user(simulated_tplus: SimulatedTplus) -> None:
    headers = ALICE.login(simulated_tplus)
    for kind in PRIVATE:
        path = kind.path.format(user=ALICE.id)
        with opened(simulated_tplus, path, headers, welcome=False) as runtime:
            told = runtime.hear()
            assert told["channels"] == [{"name": kind.channel}]
            assert told["type"] == ("control" if path == "/control" else "subscriptions")
            assert simulated_tplus.subscribers(path) == 1
    assert simulated_tplus.auth_requests == 2


@pytest.mark.parametrize("kind", [each for each in endpoints.KINDS if each.access == "public"])
def test_public_streams_need_no_token(simulated_tplus: SimulatedTplus, kind: endpoints.Kind) -> None:
    path = kind.path.format(asset=ADDRESS)
    with opened(simulated_tplus, path.replace("@", "%40"), welcome=False) as runtime:
        assert runtime.hear()["channels"] == [{"name": kind.channel.format(asset=ADDRESS)}]
        assert simulated_tplus.subscribers(path) == 1
    simulated_tplus.wait_for(lambda: not simulated_tplus.subscribers(path))


def test_a_nonce_stays_the_same_while_it_has_ten_seconds() -> None:
    path = f"/nonce/{ALICE.id}"
    with SimulatedTplus(rate=0) as tplus:
        assert get(tplus, path) == get(tplus, path)
        assert get(tplus, f"/nonce/{BOB.id}") != get(tplus, path)
    with SimulatedTplus(rate=0, nonce_life=10) as tplus:
        assert get(tplus, path) != get(tplus, path)


def test_what_does_not_log_in(simulated_tplus: SimulatedTplus) -> None:
    nonce = get(simulated_tplus, f"/nonce/{ALICE.id}")["value"]
    decoded = list(ALICE.key.sign(bytes.fromhex(nonce)))  # the text is to be signed, not its bytes
    wrong: Sequence[tuple[dict[str, Any], int, str]] = [
        (ALICE.signed(nonce, signature=decoded), 401, "INVALID_SIGNATURE"),
        (ALICE.signed(nonce, signature=BOB.signed(nonce)["signature"]), 401, "INVALID_SIGNATURE"),
        (ALICE.signed(nonce, signature=[256] * 64), 401, "INVALID_SIGNATURE"),
        (ALICE.signed(nonce, signature=[]), 401, "INVALID_SIGNATURE"),
        (ALICE.signed("00" * 32), 401, "NONCE_NOT_FOUND"),
        (BOB.signed(nonce), 401, "NONCE_NOT_FOUND"),
        (ALICE.signed(nonce, user_id="0x" + ALICE.id), 400, "INVALID_REQUEST"),
        ({"user_id": ALICE.id}, 400, "INVALID_REQUEST"),
    ]
    for body, status, code in wrong:
        told = ask(simulated_tplus, "/auth", body=body)
        assert (told[0], told[1]["error"]["code"]) == (status, code)
        assert not told[1]["error"]["retryable"]
    assert ask(simulated_tplus, "/auth", body=ALICE.signed(nonce))[0] == 200


def test_a_nonce_expires() -> None:
    with SimulatedTplus(rate=0, nonce_life=0) as tplus:
        nonce = get(tplus, f"/nonce/{ALICE.id}")["value"]
        status, told = ask(tplus, "/auth", body=ALICE.signed(nonce))
        assert (status, told["error"]["code"]) == (401, "NONCE_EXPIRED")


def test_a_delegate_signs_for_an_account(simulated_tplus: SimulatedTplus) -> None:
    nonce = get(simulated_tplus, f"/nonce/{ALICE.id}")["value"]
    key = {"Ed25519": list(bytes.fromhex(BOB.id))}
    signer = {"signer": key, "signature": BOB.signed(nonce)["signature"]}
    body = ALICE.signed(nonce, signature=[], additional_signers=[signer])
    assert ask(simulated_tplus, "/auth", body=body)[0] == 401
    simulated_tplus.delegate(ALICE.id, BOB.id)
    assert ask(simulated_tplus, "/auth", body=body)[0] == 200


def test_the_meter_counts_nonces_and_tokens_together() -> None:
    with SimulatedTplus(rate=0, auth_limit=4, auth_window=1800) as tplus:
        ALICE.login(tplus)
        ALICE.login(tplus)
        status, told = ask(tplus, f"/nonce/{ALICE.id}")
        assert (status, told["error"]["code"], told["error"]["retryable"]) == (429, "RATE_LIMITED", True)
        assert tplus.auth_requests == 5
    with SimulatedTplus(rate=0, auth_limit=1, auth_window=0) as tplus:
        ALICE.login(tplus)  # the window is over at once


def test_logins_are_refused_so_often(simulated_tplus: SimulatedTplus) -> None:
    simulated_tplus.refuse_auth(429, n=2, retry_after=3)
    assert [ask(simulated_tplus, f"/nonce/{ALICE.id}")[0] for _ in range(3)] == [429, 429, 200]
    simulated_tplus.arm("refuse_auth status=503 n=5")
    simulated_tplus.heal()
    ALICE.login(simulated_tplus)


def test_logging_out_and_running_out(simulated_tplus: SimulatedTplus) -> None:
    headers = ALICE.login(simulated_tplus)
    assert get(simulated_tplus, f"/positions/{ALICE.id}", headers)["positions"] == []
    get(simulated_tplus, "/logout", headers, body={})
    assert ask(simulated_tplus, f"/positions/{ALICE.id}", headers)[0] == 401
    with SimulatedTplus(rate=0, token_life=0) as tplus:
        assert refused(tplus, "/orders", ALICE.login(tplus))[0] == 401


@pytest.mark.parametrize(
    "change", [{"User-Id": BOB.id}, {"Authorization": "Bearer x"}, {"Authorization": ""}]
)
def test_a_token_is_good_for_its_user_alone(simulated_tplus: SimulatedTplus, change: dict[str, str]) -> None:
    headers = ALICE.login(simulated_tplus) | change
    assert refused(simulated_tplus, "/orders", headers)[0] == 401
    assert ask(simulated_tplus, f"/orders/user/{ALICE.id}", headers)[0] == 401


def test_what_is_not_yours_is_forbidden(simulated_tplus: SimulatedTplus) -> None:
    headers = ALICE.login(simulated_tplus)
    assert refused(simulated_tplus, f"/positions/ws/{BOB.id}", headers)[0] == 403
    assert ask(simulated_tplus, f"/positions/{BOB.id}", headers)[0] == 403
    with SimulatedTplus(rate=0, market_maker=False) as tplus:
        assert refused(tplus, "/intent/ws", ALICE.login(tplus))[0] == 403


@pytest.mark.parametrize("flat", [False, True])
def test_errors_have_two_shapes(flat: bool) -> None:
    with SimulatedTplus(rate=0, flat_errors=flat) as tplus:
        text = "Invalid or missing auth token"
        coded = {"code": "UNAUTHORIZED", "message": text, "details": None, "retryable": False}
        assert refused(tplus, "/orders") == (401, {"error": text if flat else coded})
        assert ask(tplus, f"/orders/user/{ALICE.id}") == (401, {"error": text if flat else coded})


@pytest.mark.parametrize("status", [401, 403])
def test_refused_and_let_in_after_another_login(simulated_tplus: SimulatedTplus, status: int) -> None:
    headers = ALICE.login(simulated_tplus)
    if status == 401:
        simulated_tplus.expire_tokens()
    else:
        simulated_tplus.refuse(403)
    url = simulated_tplus.url + "orders"
    with pytest.raises(InvalidStatus) as raised, connect(url, additional_headers=headers, proxy=None):
        pass
    assert raised.value.response.status_code == status
    with opened(simulated_tplus, "/orders", ALICE.login(simulated_tplus)):
        pass


@pytest.mark.parametrize("denial", ["stay", "close"])
def test_a_welcome_may_be_none(denial: Literal["stay", "close"]) -> None:
    with (
        SimulatedTplus(rate=0, denial=denial) as tplus,
        opened(tplus, "/orders", welcome=False) as runtime,
    ):
        assert runtime.hear() == DENIED
        assert not tplus.subscribers("/orders")
        tplus.order(ALICE.id)
        if denial == "stay":
            assert hears_nothing(runtime)
        else:
            assert runtime.hear_until_closed() == []
            assert runtime.socket.close_code == 1008


@pytest.mark.parametrize("close", [0, 1000])
def test_the_next_welcome_is_none_whatever_the_token(simulated_tplus: SimulatedTplus, close: int) -> None:
    headers = ALICE.login(simulated_tplus)
    simulated_tplus.arm(f"unauthorized n=1 close={close}")
    with (
        opened(simulated_tplus, DEPTH),
        opened(simulated_tplus, "/orders", headers, welcome=False) as runtime,
    ):
        assert runtime.hear() == DENIED
        if close:
            assert runtime.hear_until_closed() == []
            assert runtime.socket.close_code == close
        else:
            simulated_tplus.order(ALICE.id)
            assert hears_nothing(runtime)
    with opened(simulated_tplus, "/orders", headers):
        pass


def test_no_welcome_but_data(simulated_tplus: SimulatedTplus) -> None:
    simulated_tplus.no_welcome()
    with opened(simulated_tplus, DEPTH, welcome=False) as runtime:
        simulated_tplus.wait_for(lambda: simulated_tplus.subscribers(DEPTH))
        assert runtime.socket.ping().wait(5)
        told = simulated_tplus.depth_change("200", bids=[("1.5", 1)])
        assert runtime.hear() == told
    with opened(simulated_tplus, DEPTH):
        pass


@pytest.mark.parametrize("close", [0, 1008])
def test_tokens_expire_under_open_streams(simulated_tplus: SimulatedTplus, close: int) -> None:
    headers = ALICE.login(simulated_tplus)
    with opened(simulated_tplus, "/orders", headers) as runtime, opened(simulated_tplus, DEPTH) as public:
        simulated_tplus.expire_tokens(close)
        told = simulated_tplus.order(ALICE.id)
        if close:
            assert runtime.hear_until_closed() == []
            assert runtime.socket.close_code == close
        else:
            assert runtime.hear() == {"Created": told}
        assert hears_nothing(public)
        assert refused(simulated_tplus, "/orders", headers)[0] == 401


def test_an_old_server_asks_no_client_for_its_identity() -> None:
    with SimulatedTplus(rate=0, login=False) as tplus, opened(tplus, "/orders") as runtime:
        for user in (ALICE, BOB):
            tplus.order(user.id)
            assert runtime.hear()["Created"]["user_order"]["signer"] == user.id
        assert len(get(tplus, f"/orders/user/{BOB.id}")["orders"]) == 1


@pytest.mark.parametrize("auth_prefix", ["", "/market-data"])
def test_behind_a_gateway_everything_has_its_prefix(auth_prefix: str) -> None:
    with SimulatedTplus(rate=0, prefix="/gate/v1/", auth_prefix=auth_prefix) as tplus:
        assert tplus.url == f"ws://127.0.0.1:{tplus.port}/gate/v1/"
        headers = ALICE.login(tplus, auth_prefix)
        with opened(tplus, "/orders", headers), opened(tplus, DEPTH):
            assert tplus.subscribers("/orders") == tplus.subscribers(DEPTH) == 1
        assert get(tplus, "/health") == {"status": "ok"}
        bare = http.client.HTTPConnection("127.0.0.1", tplus.port, timeout=5)
        bare.request("GET", "/health")
        assert bare.getresponse().status == 404
        bare.close()


# ── books ───────────────────────────────────────────────────────────────────────────────────────


@given(seed=some.integers(0, 1 << 16), before=some.integers(0, 20), after=some.integers(0, 60))
@settings(max_examples=examples(20), deadline=None)
def test_snapshot_and_diffs_are_the_book(seed: int, before: int, after: int) -> None:
    with SimulatedTplus(rate=0, seed=seed, assets=["200"]) as tplus, opened(tplus, DEPTH) as runtime:
        tplus.steps(before)
        book = Book(get(tplus, "/marketdepth/200"))
        tplus.steps(after)
        tplus.send_raw("that is all")
        while (told := runtime.hear()) != "that is all":
            book.hear(told)
        assert (*book.sides, book.sequence) == tplus.book("200")
        assert tplus.snapshots == 1


def test_a_snapshot_is_sorted_best_first(simulated_tplus: SimulatedTplus) -> None:
    told = get(simulated_tplus, "/marketdepth/200")
    bids, asks = ([Decimal(price) for price, _ in told[side]] for side in ("bids", "asks"))
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    assert told["sequence_number"] == simulated_tplus.book("200").sequence


def test_a_diff_has_new_sizes_exact_to_the_last_digit(simulated_tplus: SimulatedTplus) -> None:
    with opened(simulated_tplus, DEPTH) as runtime:
        before = simulated_tplus.book("200").sequence
        asks: list[Level] = [(Decimal("9007199254740993.12"), "0.000000000000000001"), (2, 3)]
        simulated_tplus.depth_change("200", bids=[("101.5", "2.50")], asks=asks)
        assert runtime.hear() == {
            "asks": [["9007199254740993.12", "0.000000000000000001"], ["2.00", "3"]],
            "bids": [["101.50", "2.5"]],
            "sequence_number": before + 1,
        }
        simulated_tplus.depth_change("200", asks=[(2, 0)])
        assert runtime.hear()["asks"] == [["2.00", "0"]]
    assert Decimal(2) not in simulated_tplus.book("200").asks


@pytest.mark.parametrize(
    "level", [("0.0000000000000000001", 1), ("x", 1), (-1, 1), (1, -1), (1, "NaN"), (1, "inf")]
)
def test_a_level_that_cannot_be(simulated_tplus: SimulatedTplus, level: tuple[Any, Any]) -> None:
    before = simulated_tplus.book("200")
    with pytest.raises(ValueError, match=r"decimal|above 0"):
        simulated_tplus.depth_change("200", bids=[(5, 5), level])
    assert simulated_tplus.book("200") == before


@given(some.integers(-(10**40), 10**40), some.integers(0, 18))
def test_a_number_is_spelled_and_read_again(units: int, places: int) -> None:
    assert whole(spell(units, places)) == units


def test_an_empty_market() -> None:
    with SimulatedTplus(rate=100, market=False) as tplus, opened(tplus, DEPTH) as runtime:
        assert get(tplus, "/marketdepth/200")["bids"] == []
        tplus.skip()
        tplus.unknown_level()
        assert runtime.hear()["bids"] == []
        assert (len(tplus.book("200").bids), tplus.book("200").asks) == (1, {})
        assert get(tplus, "/ticker/200")["best_ask"] is None


def test_diffs_come_before_the_snapshot_that_has_them(simulated_tplus: SimulatedTplus) -> None:
    simulated_tplus.hold_snapshot()
    served: list[dict[str, Any]] = []
    asking = threading.Thread(target=lambda: served.append(get(simulated_tplus, "/marketdepth/200")))
    with opened(simulated_tplus, DEPTH) as runtime:
        asking.start()
        simulated_tplus.wait_for(lambda: simulated_tplus.held)
        told = simulated_tplus.depth_change("200", bids=[("1.5", 1)])
        assert runtime.hear() == told
        assert not served
        simulated_tplus.release_snapshots()
        asking.join(5)
    assert served[0]["sequence_number"] == told["sequence_number"]
    assert get(simulated_tplus, "/marketdepth/200") == served[0]  # only the next one is held


def test_a_snapshot_held_for_a_while_is_of_the_moment_it_is_served(simulated_tplus: SimulatedTplus) -> None:
    simulated_tplus.arm("hold_snapshot seconds=0.05 n=2")
    for number in (1, 2):
        assert get(simulated_tplus, "/marketdepth/200")["bids"]
        assert (simulated_tplus.held, simulated_tplus.snapshots) == (0, number)


def test_a_client_that_leaves_while_its_snapshot_is_held(simulated_tplus: SimulatedTplus) -> None:
    simulated_tplus.hold_snapshot()
    gone = http.client.HTTPConnection("127.0.0.1", simulated_tplus.port, timeout=5)
    gone.request("GET", "/marketdepth/200")
    simulated_tplus.wait_for(lambda: simulated_tplus.held)
    simulated_tplus.drop()
    gone.close()
    simulated_tplus.heal()
    assert simulated_tplus.held == 0
    assert get(simulated_tplus, "/health") == {"status": "ok"}


def test_a_page_asked_for_behind_a_held_one_waits_its_turn(simulated_tplus: SimulatedTplus) -> None:
    simulated_tplus.hold_snapshot()
    page = http.client.HTTPConnection("127.0.0.1", simulated_tplus.port, timeout=5)
    page.connect()
    asked = b"".join(
        b"GET %s HTTP/1.1\r\nHost: t\r\n\r\n" % path for path in (b"/marketdepth/200", b"/health")
    )
    page.sock.sendall(asked)
    simulated_tplus.wait_for(lambda: simulated_tplus.held)
    simulated_tplus.release_snapshots()
    heard = b""
    while not heard.endswith(b'{"status":"ok"}'):
        heard += page.sock.recv(65_536)
    assert heard.index(b"sequence_number") < heard.index(b'{"status":"ok"}')
    page.close()


def test_a_snapshot_older_than_the_first_diff(simulated_tplus: SimulatedTplus) -> None:
    simulated_tplus.depth_change("200", bids=[("1.5", 1)])
    simulated_tplus.stale_snapshot(n=2)
    old = simulated_tplus.book("200")
    simulated_tplus.depth_change("200", bids=[("1.5", 0)])
    with opened(simulated_tplus, DEPTH) as runtime:
        first = simulated_tplus.depth_change("200", bids=[("1.6", 1)])
        assert runtime.hear() == first
        for _ in range(2):
            told = get(simulated_tplus, "/marketdepth/200")
            assert told["sequence_number"] == old.sequence == first["sequence_number"] - 2
            assert ["1.50", "1"] in told["bids"]
        assert get(simulated_tplus, "/marketdepth/200")["sequence_number"] == first["sequence_number"]


def test_a_snapshot_that_is_refused(simulated_tplus: SimulatedTplus) -> None:
    simulated_tplus.arm("snapshot_error status=500 n=2")
    statuses = [ask(simulated_tplus, "/marketdepth/200")[0] for _ in range(3)]
    assert (statuses, simulated_tplus.snapshots) == ([500, 500, 200], 1)


def test_a_skipped_diff_is_a_jump_and_a_hole(simulated_tplus: SimulatedTplus) -> None:
    with opened(simulated_tplus, DEPTH) as runtime:
        book = Book(get(simulated_tplus, "/marketdepth/200"))
        simulated_tplus.arm("skip asset=200")
        simulated_tplus.depth_change("200", bids=[("1.5", 1)])
        diff = runtime.hear()
        assert diff["sequence_number"] == book.sequence + 2
        book.put(diff)
        assert book.sides[0] != simulated_tplus.book("200").bids


def test_a_diff_again_and_a_sequence_from_the_start(simulated_tplus: SimulatedTplus) -> None:
    with opened(simulated_tplus, DEPTH) as runtime:
        simulated_tplus.repeat()  # of nothing
        simulated_tplus.depth_change("200", bids=[("1.5", 1)])
        simulated_tplus.repeat("200")
        assert runtime.hear() == runtime.hear()
        simulated_tplus.restart_sequence()
        assert get(simulated_tplus, "/marketdepth/200")["sequence_number"] == 0
        simulated_tplus.depth_change("200", bids=[("1.5", 2)])
        assert runtime.hear()["sequence_number"] == 1


def test_a_malformed_diff_takes_its_number_with_it(simulated_tplus: SimulatedTplus) -> None:
    with opened(simulated_tplus, DEPTH) as runtime:
        before = simulated_tplus.book("200")
        simulated_tplus.malformed_diff()
        assert runtime.hear()["bids"] is None
        assert simulated_tplus.book("200").sequence == before.sequence + 1
        assert simulated_tplus.book("200").bids != before.bids


def test_a_level_that_is_not_there_is_taken_away(simulated_tplus: SimulatedTplus) -> None:
    with opened(simulated_tplus, DEPTH) as runtime:
        before = simulated_tplus.book("200")
        simulated_tplus.unknown_level()
        [[price, quantity]] = runtime.hear()["asks"]
        assert Decimal(price) not in before.asks
        assert quantity == "0"
        assert simulated_tplus.book("200") == before._replace(sequence=before.sequence + 1)


@pytest.mark.parametrize("form", ["lines", "array"])
def test_two_documents_in_one_frame(simulated_tplus: SimulatedTplus, form: str) -> None:
    with opened(simulated_tplus, DEPTH) as runtime, opened(simulated_tplus, "/trades") as tape:
        simulated_tplus.arm(f"two_documents form={form}")
        for client, key in ((runtime, "sequence_number"), (tape, "trade_id")):
            message = client.socket.recv(timeout=5)
            documents = (
                json.loads(message) if form == "array" else list(map(json.loads, message.splitlines()))
            )
            first, second = (each[key] for each in documents)
            assert second == first + 1


# ── trades, bars, tickers ───────────────────────────────────────────────────────────────────────


def test_a_trade_is_pending_and_then_confirmed_or_undone(simulated_tplus: SimulatedTplus) -> None:
    with (
        opened(simulated_tplus, "/trades") as final,
        opened(simulated_tplus, "/trades/events/200") as events,
        opened(simulated_tplus, "/trades/events/201") as others,
    ):
        told = simulated_tplus.trade("200", status="Pending", price="102.5")
        simulated_tplus.trade("200", **(told | {"status": "Confirmed"}))
        simulated_tplus.rollback()
        stages = [next(iter(events.hear().items())) for _ in range(4)]
        assert [stage for stage, _ in stages] == ["Pending", "Confirmed", "Pending", "Rollbacked"]
        assert [trade["trade_id"] for _, trade in stages] == [1, 1, 2, 2]
        assert final.hear() == told | {"status": "Confirmed"}
        assert hears_nothing(final)
        assert hears_nothing(others)
    assert [each["trade_id"] for each in get(simulated_tplus, "/trades/200")] == [1]
    assert get(simulated_tplus, "/ticker/200")["last_price"] == "102.50"


def test_numbered_trades_wait_for_their_reader(simulated_tplus: SimulatedTplus) -> None:
    with opened(simulated_tplus, "/trades") as runtime:
        numbers = simulated_tplus.number_trades("200", 5_000, background=True)
        assert [runtime.hear()["trade_id"] for _ in numbers] == list(numbers)
        assert list(simulated_tplus.number_trades("200", 2, per_second=100)) == [5001, 5002]
        assert [runtime.hear()["trade_id"] for _ in range(2)] == [5001, 5002]
    page = get(simulated_tplus, "/trades?limit=2&page=1")
    assert [each["trade_id"] for each in page] == [5000, 4999]


@pytest.mark.parametrize("objects", [False, True])
def test_bars_come_in_lists_or_alone(objects: bool) -> None:
    with SimulatedTplus(rate=0, kline_objects=objects) as tplus, opened(tplus, "/klines/diff/200") as runtime:
        tplus.trade("200", price="103.25", quantity="2.5")
        [told] = tplus.kline("200", low="99")
        assert (told["high"], told["low"]) == ("103.25", "99")
        assert json_of(runtime) == (told if objects else [told])
        both = tplus.kline("200", told, {**told, "open_timestamp_ns": 7})
        assert ([json_of(runtime), json_of(runtime)] if objects else json_of(runtime)) == both
        page = get(tplus, "/klines/200?interval=1")
        assert (page if objects else page["items"])[0]["close"] == "103.25"


def json_of(client: Client) -> Any:
    """One frame, which may be a list."""
    return json.loads(client.socket.recv(timeout=5))


def test_tickers_are_told_where_they_changed(simulated_tplus: SimulatedTplus) -> None:
    with opened(simulated_tplus, "/ticker/ws/200") as one, opened(simulated_tplus, "/tickers/ws") as every:
        told = simulated_tplus.ticker("200", mark_price=None)
        assert one.hear() == told
        assert json_of(every) == [told]
        several = simulated_tplus.tickers("201", "200")
        assert json_of(every) == several
        assert one.hear()["asset_id"] == "200"
        assert len(get(simulated_tplus, "/tickers")) == len(simulated_tplus.assets)


# ── what is a user's own ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("inner", [False, True])
def test_order_events_are_tagged_outside_or_inside(inner: bool) -> None:
    with (
        SimulatedTplus(rate=0, inner_tags=inner) as tplus,
        opened(tplus, "/orders", ALICE.login(tplus)) as runtime,
    ):
        tplus.order(BOB.id)
        created = tplus.order(ALICE.id)
        assert runtime.hear() == ({"type": "created", **created} if inner else {"Created": created})
        failed = tplus.order(ALICE.id, "CancelFailed")
        assert failed.keys() == {"order_id", "user_id", "reason"}
        assert failed["order_id"] == created["user_order"]["order_id"]
        assert runtime.hear() == ({"type": "cancel_failed", **failed} if inner else {"CancelFailed": failed})
        tplus.unknown_variant()
        told = runtime.hear()
        assert told["type"] == "teleported" if inner else told.keys() == {"Teleported"}


def test_an_unknown_variant_goes_where_there_are_variants(simulated_tplus: SimulatedTplus) -> None:
    headers = ALICE.login(simulated_tplus)
    with (
        opened(simulated_tplus, f"/account/events/{ALICE.id}", headers) as activity,
        opened(simulated_tplus, "/trades/events") as events,
        opened(simulated_tplus, "/trades") as trades,
    ):
        simulated_tplus.arm("unknown_variant")
        assert activity.hear().keys() == events.hear().keys() == {"Teleported"}
        assert hears_nothing(trades)


def test_pages_know_the_orders_that_are_open(simulated_tplus: SimulatedTplus) -> None:
    headers = ALICE.login(simulated_tplus)
    first = simulated_tplus.order(ALICE.id, asset="200")["user_order"]["order_id"]
    second = simulated_tplus.order(ALICE.id, asset=ADDRESS, order_id="mine", side="Sell")["user_order"][
        "order_id"
    ]
    simulated_tplus.order(ALICE.id, "Removed", order_id=first)
    told = get(simulated_tplus, f"/orders/user/{ALICE.id}", headers)
    assert [(each["order_id"], each["status"]) for each in told["orders"]] == [
        (second, "open"),
        (first, "closed"),
    ]
    assert get(simulated_tplus, f"/orders/user/{ALICE.id}/200?open_only=true", headers) == []
    [row] = get(simulated_tplus, f"/orders/user/{ALICE.id}/{ADDRESS}?open_only=true", headers)
    assert (row["order_id"], row["side"], row["quantity"]) == ("mine", "Sell", "0.750")
    page = get(simulated_tplus, f"/orders/user/{ALICE.id}?limit=1", headers)
    assert (len(page["orders"]), page["has_next_page"], page["next_page"]) == (1, True, 1)


def test_fills_evolve_and_the_confirmed_have_a_stream_of_their_own(simulated_tplus: SimulatedTplus) -> None:
    headers = ALICE.login(simulated_tplus)
    with (
        opened(simulated_tplus, f"/trades/user/events/{ALICE.id}", headers) as events,
        opened(simulated_tplus, f"/trades/user/{ALICE.id}", headers) as final,
    ):
        pending = simulated_tplus.user_trade(ALICE.id, "200", status="Pending")
        simulated_tplus.user_trade(BOB.id)
        confirmed = simulated_tplus.user_trade(ALICE.id, **(pending | {"status": "Confirmed"}))
        simulated_tplus.rollback()
        assert [events.hear(), events.hear()] == [pending, confirmed]
        assert [events.hear()["status"] for _ in range(2)] == ["Pending", "Rollbacked"]
        assert final.hear() == confirmed
        assert hears_nothing(final)
    rows = get(simulated_tplus, f"/trades/user/{ALICE.id}", headers)["trades"]
    assert [each["status"] for each in rows] == ["Rollbacked", "Confirmed"]
    assert all("trade_id" not in each for each in rows)


def test_each_event_of_a_fill_is_of_the_same_order(simulated_tplus: SimulatedTplus) -> None:
    first = simulated_tplus.order(ALICE.id)["user_order"]["order_id"]
    pending = simulated_tplus.user_trade(ALICE.id, "200", status="Pending")
    second = simulated_tplus.order(ALICE.id)["user_order"]["order_id"]
    confirmed = simulated_tplus.user_trade(ALICE.id, "200", trade_id=pending["trade_id"])
    other = simulated_tplus.user_trade(ALICE.id, "200")
    assert [each["order_id"] for each in (pending, confirmed, other)] == [first, first, second]


def test_positions_are_told_all_at_once(simulated_tplus: SimulatedTplus) -> None:
    headers = ALICE.login(simulated_tplus)
    with opened(simulated_tplus, f"/positions/ws/{ALICE.id}", headers) as runtime:
        simulated_tplus.position(ALICE.id, "200")
        simulated_tplus.position(ALICE.id, "201", side="short")
        simulated_tplus.position(ALICE.id, "200", side="closed", size="0")
        simulated_tplus.position(ALICE.id, "201", size="9")
        sides = [[each["side"] for each in runtime.hear()["positions"]] for _ in range(4)]
    assert sides == [["long"], ["long", "short"], ["closed", "short"], ["long"]]
    page = get(simulated_tplus, f"/positions/{ALICE.id}/201", headers)
    assert (page["total_positions"], page["positions"][0]["size"]) == (1, "9")


def test_account_events_and_intents(simulated_tplus: SimulatedTplus) -> None:
    headers = ALICE.login(simulated_tplus)
    with (
        opened(simulated_tplus, f"/account/events/{ALICE.id}", headers) as activity,
        opened(simulated_tplus, "/intent/ws", headers) as intents,
    ):
        told = simulated_tplus.account_event(ALICE.id, "WithdrawalCompleted", "201", amount="5")
        assert activity.hear() == {"WithdrawalCompleted": told}
        assert (told["asset"], told["amount"]) == ("201", "5")
        assert simulated_tplus.intent(quantity="8") == intents.hear()


def test_a_market_that_moves_tells_a_story_that_fits() -> None:
    with SimulatedTplus(rate=0, seed=7, assets=["200"]) as tplus:
        headers = ALICE.login(tplus)
        with (
            opened(tplus, "/trades/events") as events,
            opened(tplus, "/trades") as final,
            opened(tplus, "/orders", headers) as orders,
            opened(tplus, f"/trades/user/events/{ALICE.id}", headers) as fills,
            opened(tplus, "/klines/diff/200") as bars,
        ):
            tplus.steps(600)
            tplus.send_raw("that is all")

            def all_of(client: Client) -> list[Any]:
                return list(iter(client.hear, "that is all"))

            stages: dict[int, list[str]] = {}
            for event in all_of(events):
                [(stage, trade)] = event.items()
                stages.setdefault(trade["trade_id"], []).append(stage)
            lives = set(map(tuple, stages.values()))
            assert {("Pending", "Confirmed"), ("Pending", "Rollbacked")} <= lives
            assert lives <= {("Pending",), ("Pending", "Confirmed"), ("Pending", "Rollbacked")}
            confirmed = [number for number, told in stages.items() if told[-1] == "Confirmed"]
            assert [each["trade_id"] for each in all_of(final)] == confirmed
            kinds = [next(iter(each)) for each in all_of(orders)]
            assert kinds[:4] == ["Created", "Removed"] * 2
            filled = {each["order_id"] for each in all_of(fills) if each["status"] == "Confirmed"}
            assert filled <= {f"o-{number}" for number in range(1, len(kinds))}
            assert filled
            assert all_of(bars)


# ── paths, pages, the rest ──────────────────────────────────────────────────────────────────────


def test_pages_of_the_markets(simulated_tplus: SimulatedTplus) -> None:
    told = get(simulated_tplus, "/markets?limit=2")
    assert [each["asset_id"] for each in told["markets"]] == simulated_tplus.assets[:2]
    assert (told["total_markets"], told["next_page"]) == (3, 1)
    assert get(simulated_tplus, "/market/200")["book_price_decimals"] == 2
    assert ask(simulated_tplus, "/markets?page=x")[0] == 400
    assert ask(simulated_tplus, "/nowhere")[0] == 404
    assert ask(simulated_tplus, "/auth")[0] == 404  # it is POSTed


@pytest.mark.parametrize(
    "path", ["/", "/klines/diff/", "/klines/diff/BTC", "/positions/ws/0xab", "/ticker/ws/0x" + ADDRESS]
)
def test_paths_that_lead_nowhere(simulated_tplus: SimulatedTplus, path: str) -> None:
    assert refused(simulated_tplus, path)[0] == 404


def test_an_asset_in_its_other_spellings(simulated_tplus: SimulatedTplus) -> None:
    evm = "0x" + "AB" * 20
    stands_for = "ab" * 20 + "00" * 12 + "@" + "00" * 7 + "a4b1"
    with opened(simulated_tplus, f"/marketdepth/diff/{stands_for}") as runtime:
        simulated_tplus.depth_change(f"{evm}@0x{'00' * 7}A4B1", bids=[(1, 1)])
        assert runtime.hear()["bids"] == [["1.00", "1"]]
    with pytest.raises(ValueError, match="no asset"):
        simulated_tplus.trade("BTC-USD")


def test_markets_that_are_not_listed() -> None:
    with SimulatedTplus(rate=0, assets=["0x" + ADDRESS]) as tplus:
        assert tplus.assets == [ADDRESS]
        assert refused(tplus, DEPTH)[0] == 404
        assert ask(tplus, "/marketdepth/200")[1]["error"]["code"] == "MARKET_NOT_FOUND"
        tplus.reject(ADDRESS)
        assert refused(tplus, f"/marketdepth/diff/{ADDRESS}")[0] == 404
        tplus.heal()
        with opened(tplus, f"/marketdepth/diff/{ADDRESS}"):
            pass


@pytest.mark.parametrize("code", [1000, 1001, 0])
def test_one_stream_is_closed_and_the_others_stay(simulated_tplus: SimulatedTplus, code: int) -> None:
    with opened(simulated_tplus, DEPTH) as runtime, opened(simulated_tplus, "/trades") as other:
        simulated_tplus.arm(f"close_stream path={DEPTH} code={code}")
        with pytest.raises(ConnectionClosed) as raised:
            runtime.hear()
        assert (raised.value.rcvd.code if raised.value.rcvd else 0) == code
        assert hears_nothing(other)
        assert simulated_tplus.subscribers(DEPTH) == 0


@pytest.mark.parametrize("code", [1000, 1001])
def test_a_clean_close_between_two_messages(simulated_tplus: SimulatedTplus, code: int) -> None:
    with opened(simulated_tplus, "/trades") as runtime:
        simulated_tplus.arm(f"close code={code} after=3")
        simulated_tplus.number_trades("200", 10)
        assert [each["trade_id"] for each in runtime.hear_until_closed()] == [1, 2, 3]
        assert runtime.socket.close_code == code


def test_a_slow_reader_is_cut_off() -> None:
    with (
        SimulatedTplus(rate=0, backlog=50_000, send_buffer=4096) as tplus,
        connect(tplus.url + "trades", ping_interval=None, proxy=None, max_queue=1),
    ):
        tplus.wait_for(lambda: tplus.connections)
        for _ in range(400):
            tplus.send_raw("x" * 50_000)
        assert tplus.connections == 0


def test_a_client_that_owes_a_pong_is_cut_off() -> None:
    with SimulatedTplus(rate=0, ping_interval=0.05, pong_timeout=0.5) as tplus:
        with opened(tplus, DEPTH) as runtime:
            tplus.wait_for(lambda: tplus.pongs >= 3)
            assert hears_nothing(runtime)
        silent = http.client.HTTPConnection("127.0.0.1", tplus.port, timeout=5)
        key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}
        silent.request("GET", DEPTH, headers={"Connection": "Upgrade", "Upgrade": "websocket", **key})
        assert b"\x89\x00" in b"".join(iter(lambda: silent.sock.recv(4096), b""))  # up to the end
        silent.close()


def test_a_text_ping_is_no_protocol_ping(simulated_tplus: SimulatedTplus) -> None:
    with opened(simulated_tplus, DEPTH) as runtime:
        simulated_tplus.ping_text()
        assert runtime.hear() == {"type": "ping"}


def test_the_faults_have_names() -> None:
    own = faults_of(SimulatedTplus).keys() - faults_of(Simulator).keys()
    assert own == {
        *("unauthorized", "no_welcome", "expire_tokens", "refuse_auth", "snapshot_error", "hold_snapshot"),
        *("stale_snapshot", "skip", "repeat", "restart_sequence", "malformed_diff", "unknown_level"),
        *("two_documents", "unknown_variant", "rollback", "ping_text", "close_stream"),
    }


def test_by_url_it_takes_what_a_url_can_say() -> None:
    url = "sim://tplus?rate=0&denial=close&prefix=/gate&auth_limit=7&fault=skip+asset%3D200+every%3D5"
    simulator = from_url(url)
    assert isinstance(simulator, SimulatedTplus)
    assert simulator.settings.denial == "close"
    assert simulator.url.endswith("/gate/")
