"""Asks a running service for prices, books, freshness and status, as a program asks a runtime of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

from msgspec import Struct

from actors.client.open_socket import connector
from actors.client.service_http import LONGEST, OTHER_VERSION, Reply, ServiceHttp, decoded, sentence
from actors.errors import LinewardenError, StalePriceError, Timeout
from actors.events import Freshness, Key, Option, Tried
from actors.protocol.channel import TypedChannel
from actors.rules.latest_price import LatestPrice
from actors.rules.order_book import BookView
from actors.rules.topics import options_of, plain_key
from actors.secret import Secret
from actors.settings.service_address import parse_address
from actors.status import Status
from actors.timers import check_seconds

ANSWER: Final = 5.0  # seconds
OLDEST: Final = 999_999_999.0  # seconds: 31 years, as the service reads them
LONGEST_TIMEOUT: Final = 86_400.0  # seconds
LONGEST_WAIT: Final = 5.0  # seconds for which the service waits, whatever it is asked
SURROGATES: Final = "surrogatepass"  # the service declines them, as any other key that it does not know
VIEW: Final = 4 * 1_048_576  # bytes of a price, a freshness or a book of 1,000 levels

Typed = TypeVar("Typed")


class _Stale(Struct):
    error: str
    tried: tuple[Tried, ...]


class ServiceClient:
    """A running service (`linewarden run`), for programs that have no runtime: web workers and tasks.

    Making one opens nothing. Each call is one request on a connection of its own, so any thread may call,
    and any process, also one that was forked after this was made. The calls are those of `Runtime`, with its
    types and its errors.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        timeout: float = ANSWER,
        ca_file: str | os.PathLike[str] | None = None,
        service_uid: int | str | None = None,
    ) -> None:
        """`url`: `unix:/path`, `http://…` or `https://…`.

        Without it and `LINEWARDEN_URL`, each call looks for the socket of the one service of this machine.
        `token` (`LINEWARDEN_TOKEN`) goes over TCP only: by `https://`, or to this machine.
        `timeout`: seconds for the connection, and again for the whole answer; what a call waits is added.
        `ca_file` (`LINEWARDEN_CA_FILE`): the authorities that `https://` trusts, in place of the system's.
        `service_uid` (`LINEWARDEN_SERVICE_UID`): a user, by number or name, whose Unix socket is trusted as
        those of root and of this process's user.

        Raises:
            ValueError: `url` is not an address, or `timeout` no time.
        """
        check_seconds("timeout", timeout)
        if not 0 < timeout <= LONGEST_TIMEOUT:
            raise ValueError(f"a timeout of {timeout:g} s: expected more than 0, and a day at most")
        token = token or os.environ.get("LINEWARDEN_TOKEN") or None
        url = url or os.environ.get("LINEWARDEN_URL")
        self._http = ServiceHttp(
            parse_address(url) if url else None,
            None if token is None else Secret(token),
            timeout,
            connector(ca_file, service_uid),
        )
        self._timeout = timeout

    @property
    def url(self) -> str:
        """Raises: ServiceUnreachableError: none was given, and there is not one service on this machine."""
        return self._http.url

    def latest(self, feed: str, key: Key, *, max_age: float = 15.0, timeout: float = 2.0) -> LatestPrice:
        """The newest fresh price of a symbol that the service is subscribed to: see `Runtime.latest`.

        `timeout`: seconds for which the service may ask the venue, 5 at most; 0: it is not asked.

        Raises:
            StalePriceError: no price is fresh; with what was tried.
            ServiceDeclinedError: there is no such feed, nothing is subscribed to that brings this price, or
                the token is not that of the service.
            ServiceUnreachableError: no service answers, or it cannot answer now.
        """
        query = {"max_age": _seconds("max_age", max_age, OLDEST)}
        query["timeout"] = wait = _seconds("timeout", timeout, LONGEST_WAIT)
        reply = self._ask(_path("latest", feed, plain_key(feed, key)), query, wait)
        if reply.status == 503 and (stale := decoded(reply.body, _Stale)) is not None:
            raise StalePriceError(sentence(stale.error), stale.tried)
        return self._typed(reply, LatestPrice)

    def book(
        self, feed: str, key: Key, *, depth: int = 10, wait: float | None = None, **options: Option
    ) -> BookView:
        """The order book of this key as it is now: see `Runtime.book`. The service follows it for a minute.

        `depth`: levels per side, 1,000 at most. `wait`: seconds until it is synced, 5 at most; without it a
        book that is not synced is returned as well, with its reason.

        Raises:
            Timeout: `wait` is over, and it is not synced.
            ServiceDeclinedError: the feed, the key or an option is not known, or the venue rejects the book.
            ServiceUnreachableError: no service answers, or it follows as many books as it may.
        """
        wait = None if wait is None else _seconds("wait", wait, LONGEST_WAIT)
        query = {"depth": depth, **({} if wait is None else {"wait": wait}), **options}
        reply = self._ask(_path("book", feed, plain_key(feed, key)), query, wait or 0.0)
        view = self._typed(reply, BookView, also=503)
        if wait is not None and not view.synced:
            raise Timeout(f"the book {view.topic} is not synced within {wait:g} s: {view.reason}")
        return view

    def fresh(
        self,
        feed: str,
        channel: str | TypedChannel[Any] | None = None,
        key: Key | None = None,
        *,
        max_age: float | None = None,
        **options: Option,
    ) -> Freshness:
        """Whether the data of a feed, a channel or a key can be acted on now: see `Runtime.fresh`.

        Of a feed or a channel as a whole, the answer may be 0.1 s old. Channels of accounts need the right
        `account`; without it they are left out.

        Raises:
            LinewardenError: there is a key or an option, and no channel.
            ServiceDeclinedError: the feed, the channel, the key or an option is not known, or the channel
                belongs to an account and the caller has no right to see those.
            ServiceUnreachableError: no service answers, or it cannot answer now.
        """
        if channel is None and (key is not None or options):
            raise LinewardenError(f"{feed}: keys and options need their channel: fresh(feed, channel, key)")
        names = [feed] if channel is None else [feed, str(channel)]
        names += [] if key is None else [plain_key(feed, key)]
        given = {} if channel is None else options_of(channel, options)
        limit = {} if max_age is None else {"max_age": _seconds("max_age", max_age, OLDEST)}
        query = {**limit, **given}
        return self._typed(self._ask(_path("fresh", *names), query), Freshness, also=503)

    def status(self) -> Status:
        """All that the service knows now.

        Raises:
            ServiceDeclinedError: the token is not that of the service.
            ServiceUnreachableError: no service answers, or one of another version.
        """
        return self._typed(self._ask("/status", {}, longest=LONGEST), Status)

    def _ask(self, path: str, query: Mapping[str, Option], wait: float = 0.0, longest: int = VIEW) -> Reply:
        words = urlencode({name: _word(value) for name, value in query.items()}, errors=SURROGATES)
        return self._http.request("GET", f"{path}?{words}", self._timeout + wait, longest)

    def _typed(self, reply: Reply, kind: type[Typed], also: int = 200) -> Typed:
        if reply.status not in {200, also}:
            raise self._http.refusal(reply)
        found = decoded(reply.body, kind)
        if found is not None:
            return found
        if reply.status == 200:
            raise self._http.unreachable(OTHER_VERSION, reply.address)
        raise self._http.refusal(reply)

    def __repr__(self) -> str:
        return f"<ServiceClient {self._http.place}>"


def _seconds(name: str, value: float, most: float) -> float:
    """Raises LinewardenError, as `Runtime` does, where it is no time."""
    check_seconds(name, value)
    return min(max(float(value), 0.0), most)


def _path(*names: str) -> str:
    return "".join(f"/{quote(str(name), safe='', errors=SURROGATES)}" for name in names)


def _word(value: Option) -> str:
    """As a venue's option is written in a path; a number without an exponent."""
    return f"{value:.9f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
