"""A venue with orders and no lines: its REST part on loopback counts what it was sent, and misbehaves."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, cast

import actors
from actors import Runtime
from actors.events import Option, Topic
from actors.http_types import Endpoint, HttpAnswer, HttpRequest
from actors.protocol.accounts import Side
from actors.protocol.conversation import Conversation, Token
from actors.protocol.limits import FrameLimit, RateLimit
from actors.protocol.rest import Call, CallRefused
from actors.protocol.session import Session
from actors.protocol.trading import (
    Accepted,
    AccountLook,
    Align,
    AnyMutation,
    Cancel,
    Contract,
    Exposure,
    FinalRow,
    Intent,
    OrderOutcome,
    Place,
    Refused,
    TradingApi,
    Unknown,
)
from actors.protocol.venue import Channel, Opening, Venue, VenueSettings
from actors.reasons import Fatal, Retryable
from actors.secret import Secret
from actors.trading.order_store import OrderStore
from actors.trading.requests import Requests
from tests.wire.proxies import Loopback, read_exactly, read_head

ACCOUNT = 7
DATE = "Date: Mon, 30 Nov 2026 03:00:00 GMT"
CONTRACT = Contract("CON.A", "A", Decimal("0.25"), Decimal(5))
Answer = tuple[int, object]


class Shop(Loopback):
    """The other end. `before` is called with the path of each request, on the thread of its connection.

    What it returns is sent in place of the answer. An OSError that it raises ends the connection.
    """

    def __init__(self) -> None:
        super().__init__(self._serve)
        self.orders: list[str] = []  # tags, as they came
        self.requests: list[tuple[str, Any]] = []
        self.connections = 0
        self.logins = 0
        self.before: Callable[[str], Answer | None] = nothing
        self.after: Callable[[str], None] = nothing
        self.retry_after = 0.0  # seconds, in every answer; 0: none
        self.lock = threading.Lock()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def count(self, tag: str) -> int:
        return self.orders.count(tag)

    def _serve(self, sock: socket.socket) -> None:
        with self.lock:
            self.connections += 1
        while True:
            head = read_head(sock).decode()
            _, path, _ = head.split(" ", 2)
            fields = {
                name.lower(): value
                for name, _, value in (line.partition(": ") for line in head.split("\r\n"))
            }
            body = read_exactly(sock, int(fields.get("content-length", "0")))
            asked = json.loads(body) if body else None
            with self.lock:
                self.requests.append((path, asked))
            status, answer = self.before(path) or self._answer(path, asked, fields.get("authorization", ""))
            self.after(path)
            text = json.dumps(answer).encode()
            pause = f"Retry-After: {self.retry_after}\r\n" if self.retry_after else ""
            head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n{pause}{DATE}\r\n\r\n"
            sock.sendall(head.encode() + text)

    def _answer(self, path: str, asked: Any, token: str) -> Answer:
        with self.lock:
            if path == "/login":
                self.logins += 1
                return 200, f"token-{self.logins}-of-the-shop"
            if token != f"token-{self.logins}-of-the-shop":
                return 401, None
            if path == "/order":
                self.orders.append(asked["tag"])
                return 200, {"id": len(self.orders)}
            if path.startswith("/find/"):
                tag = path.removeprefix("/find/")
                return 200, {"id": self.orders.index(tag) + 1 if tag in self.orders else None}
            return 200, path


class ShopApi(TradingApi):
    def __init__(self, rest: str) -> None:
        self._rest = rest
        self.host = rest.removeprefix("http://")
        self.meters: Mapping[str, FrameLimit] = {"rest": FrameLimit(200, 60.0), "bars": FrameLimit(5, 30.0)}

    def page(self, name: str, meter: str = "rest", timeout: float = 10.0) -> Call[str]:
        """The read of this page: its name."""
        return Call(name, lambda secret: self._page(name, secret), meter, timeout)

    def pages(self, *names: str, meter: str = "rest") -> Call[list[str]]:
        """Of several, one after another, in one conversation."""

        def converse(secret: Secret) -> Conversation[list[str] | CallRefused]:
            told: list[str] = []
            for name in names:
                one = yield from self._page(name, secret)
                if not isinstance(one, str):
                    return one
                told.append(one)
            return told

        return Call("pages", converse, meter)

    def contract(self, text: str) -> Call[Contract]:
        def converse(secret: Secret) -> Conversation[Contract | CallRefused]:
            page = yield from self._page(f"contract/{text}", secret)
            if not isinstance(page, str):
                return page
            return (
                CONTRACT
                if text in {"A", "CON.A"}
                else CallRefused("contract", None, "NotFound", f"no {text}")
            )

        return Call("contract", converse)

    def prepare(
        self,
        mutation: AnyMutation,
        contract: Contract | None,
        *,
        align: Align = "refuse",
        side: Side | None = None,
    ) -> AnyMutation | str:
        if isinstance(mutation, Place) and mutation.size < 1:
            return "size is a whole number from 1 on"
        return mutation

    def send(self, mutation: AnyMutation, tag: str, secret: Secret) -> Conversation[OrderOutcome]:
        body = json.dumps({"tag": tag, "kind": type(mutation).__name__}).encode()
        answer = yield self._request("POST", "order", secret, body)
        match answer.status:
            case 200:
                return Accepted(tag, json.loads(answer.body)["id"])
            case 409:
                return Refused(tag, "409", message=json.loads(answer.body), by_venue=True)
            case 401:
                return Refused(tag, "http_401", message="the token was not taken", by_venue=True)
        return Unknown(tag, f"the shop answered {answer.status}")

    def find(self, intent: Intent) -> Call[OrderOutcome]:
        def converse(secret: Secret) -> Conversation[OrderOutcome | CallRefused]:
            answer = yield self._request("GET", f"find/{intent.tag}", secret)
            if answer.status != 200:
                return _reason(answer)
            id = json.loads(answer.body)["id"]
            return Unknown(intent.tag, "absent so far") if id is None else Accepted(intent.tag, id)

        return Call("find", converse)

    def exposure(self, account: int, contract: str) -> Call[Exposure]:
        def converse(secret: Secret) -> Conversation[Exposure | CallRefused]:
            page = yield from self._page("exposure", secret)
            return Exposure(position=0, buys=0, sells=0, orders=0) if isinstance(page, str) else page

        return Call("exposure", converse)

    def is_protective(self, account: int, order: int) -> Call[bool]:
        def converse(secret: Secret) -> Conversation[bool | CallRefused]:
            page = yield from self._page("protective", secret)
            return order % 2 == 1 if isinstance(page, str) else page

        return Call("is_protective", converse)

    def account_ids(self) -> Call[tuple[int, ...]]:
        raise NotImplementedError

    def working(self, account: int) -> Call[AccountLook]:
        raise NotImplementedError

    def final_row(self, account: int, order: int) -> Call[FinalRow]:
        raise NotImplementedError

    def _page(self, name: str, secret: Secret) -> Conversation[str | CallRefused]:
        answer = yield self._request("GET", name, secret)
        if answer.status == 409:
            return CallRefused(name, 3, "NotThatOne", json.loads(answer.body))
        if answer.status != 200:
            return _reason(answer)
        return cast(str, json.loads(answer.body)).removeprefix("/")

    def _request(self, method: str, page: str, secret: Secret, body: bytes = b"") -> HttpRequest:
        return HttpRequest(method, f"{self._rest}/{page}", (("Authorization", secret.reveal()),), body)


def _reason(answer: HttpAnswer) -> Fatal | Retryable:
    if answer.status == 401:
        return Fatal("the token was not taken", "http_401")
    return Retryable(f"the shop answered {answer.status}", f"http_{answer.status}")


class ShopRequests:
    """The facade: pages, orders and cancels."""

    def __init__(self, requests: Requests) -> None:
        self.core = requests

    @property
    def api(self) -> ShopApi:
        return cast(ShopApi, self.core.api)

    def page(self, name: str, meter: str = "rest", timeout: float | None = None) -> Any:
        return self.core.read(self.api.page(name, meter), timeout)

    def place(
        self, tag: str | None = None, *, deadline: float = 5.0, size: int = 1, contract: str = "CON.A"
    ) -> Any:
        place = Place(account=ACCOUNT, contract=contract, side="buy", size=size, type="market")
        return self.core.mutate(place, tag=tag, deadline=deadline)

    def cancel(self, order: int = 2, *, deadline: float = 5.0) -> Any:
        return self.core.mutate(Cancel(account=ACCOUNT, order=order), deadline=deadline)


class ShopSettings(VenueSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    login: str = "one"


class ShopVenue(Venue):
    """`url` is the shop's."""

    name: ClassVar[str] = "shop"
    about: ClassVar[str] = "a shop"
    Settings: ClassVar[type[VenueSettings]] = ShopSettings
    channels: ClassVar[Mapping[str, Channel]] = {}
    requests: ClassVar[str] = "tests.trading.shop:ShopRequests"
    login_budget: ClassVar[RateLimit] = RateLimit(1_000, 0.001)

    def topic(self, channel: str, key: str, options: Mapping[str, Option]) -> Topic:
        raise self.mistake("it has no channels")

    def first_lines(self) -> tuple[str, ...]:
        return ()

    def endpoint(self, opening: Opening) -> Endpoint:
        return Endpoint(self.settings.url)

    def session(self, opening: Opening) -> Session:
        raise NotImplementedError

    def needs_token(self, line: str) -> bool:
        return True

    def account(self) -> str:
        return f"shop/{cast(ShopSettings, self.settings).login}"

    def login(self, now_ns: int) -> Conversation[Token]:
        answer = yield HttpRequest("POST", f"{self._rest}/login")
        if answer.status != 200:
            return _reason(answer)
        return Token(Secret(json.loads(answer.body)))

    def trading(self) -> ShopApi:
        return ShopApi(self._rest)

    @property
    def _rest(self) -> str:
        return self.settings.url.replace("ws://", "http://")


def nothing(_: str) -> None:
    """The shop does as it does."""


def wait_for(go: threading.Event, start: str = "/") -> Callable[[str], None]:
    """Requests of paths that begin so wait for `go`; logins never do."""

    def wait(path: str) -> None:
        if path.startswith(start) and path != "/login":
            go.wait(5.0)

    return wait


def without_meter(px: ShopRequests) -> None:
    """Its login may ask as often as it likes."""

    def take(_meter: str, _lane: str) -> float:
        return 0.0

    px.core._way().access(lambda: 5.0).login.meter.take = take  # type: ignore[assignment,method-assign]


def shop_feed(url: str, **feed: Any) -> dict[str, Any]:
    limits = {"max_size": 10, "orders_per_minute": 10_000} | feed.pop("limits", {})
    return {"venue": "tests.trading.shop:ShopVenue", "url": url, "trading": True, "limits": limits} | feed


@contextmanager
def asking(
    folder: Path,
    *shops: Shop,
    url: str = "",
    runtime: Mapping[str, Any] | None = None,
    settled: bool = True,
    **feed: Any,
) -> Iterator[tuple[Runtime, ShopRequests]]:
    """A runtime on these shops, with an order store in the folder; each feed is named `shop`, `shop2`, …"""
    trading = folder / "trading"
    if not trading.exists():
        OrderStore.create(trading).close()
    names = ["shop", *(f"shop{number}" for number in range(2, len(shops) + 1))]
    feeds = {
        name: shop_feed(url or f"ws://{shop.host}", **feed) for name, shop in zip(names, shops, strict=True)
    }
    config = {"runtime": dict(runtime or {}), "trading": {"dir": str(trading)}, "feeds": feeds}
    with actors.start(config) as started:
        px = cast(ShopRequests, started.ask("shop"))
        if settled:
            px.core.wait_settled(10.0)
        yield started, px
