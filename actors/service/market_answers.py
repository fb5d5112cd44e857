"""Answers `GET /latest`, `/book` and `/fresh`: the views of a runtime, as JSON of their public types.

The body of a 200 is a `LatestPrice`, a `BookView` or a `Freshness`. Every other answer has `error`, one
sentence; a book that is syncing and data that is not fresh (503) have the fields of their type beside it.
Channels of an account are shown to callers with the right `account`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from heapq import nsmallest
from typing import Final
from urllib.parse import unquote

from msgspec import structs

from actors.errors import LinewardenError, StalePriceError, SubscribeError, Timeout
from actors.events import Freshness, Topic
from actors.market.order_books import REJECTED
from actors.protocol.venue import Venue
from actors.rules.latest_price import EVERY, symbol_of
from actors.rules.order_book import BookView
from actors.runtime import Runtime
from actors.service.access import of_an_account
from actors.service.followed_books import FollowedBooks
from actors.service.responses import RequestDeclined, ServiceRequest, ServiceResponse
from actors.service.rights import Caller
from actors.service.shared_answers import SharedAnswers
from actors.service.venue_words import public_book, public_freshness, public_stale

LONGEST_WAIT: Final = 5.0  # seconds for which a request may wait, for a venue or for a book
WAITING: Final = 16  # requests that may wait at once; others are answered by what is there
DEPTH, DEEPEST = 10, 1_000  # levels per side
MAX_AGE: Final = 15.0  # seconds, as of `Runtime.latest`
ASK_WITHIN: Final = 2.0  # seconds, as of `Runtime.latest`
NAMED: Final = 10  # keys that an error names
COMPARED: Final = 1_000  # keys among which the nearest is looked for: 10 ms

_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?")
Query = dict[str, str]


class MarketAnswers:
    """Any thread may ask. None waits for longer than `LONGEST_WAIT` beyond the calls of the runtime."""

    def __init__(self, runtime: Runtime, books: FollowedBooks) -> None:
        self._runtime, self._books = runtime, books
        self._waiting = threading.BoundedSemaphore(WAITING)
        self._shared = SharedAnswers()

    # ── the latest price ──

    def latest(self, asked: ServiceRequest) -> ServiceResponse:
        """The venue is asked over HTTP only for what is subscribed to: others could spend its budget."""
        feed, key = _parts(asked, 2, "/latest/FEED/KEY")
        query = _query(asked)
        given, timeout = _seconds(query, "max_age"), _wait(query, "timeout", ASK_WITHIN)
        max_age = MAX_AGE if given is None else given
        _nothing_else(query, "/latest takes max_age= and timeout=")
        venue = self._venue(feed)
        with _declined(400 if venue.price_channels else 404):
            symbol = symbol_of(venue, key)
        try:
            return ServiceResponse(200, self._runtime.latest(feed, key, max_age=max_age, timeout=0))
        except StalePriceError as error:
            stale = error
        if not self._is_subscribed(venue, symbol):
            return _stale(stale, asked.caller)
        with self._may_wait(timeout) as seconds:
            try:
                price = self._runtime.latest(feed, key, max_age=max_age, timeout=seconds)
            except StalePriceError as error:
                return _stale(error, asked.caller)
        return ServiceResponse(200, price)

    def _is_subscribed(self, venue: Venue, symbol: str) -> bool:
        """Whether by its key; else (False) a topic of all symbols may bring it.

        Raises:
            RequestDeclined: no subscription can bring it.
        """

        def look() -> frozenset[str]:
            topics = self._runtime._shared.cells.topics_of_feed(venue.feed)
            return frozenset(topic.key for topic in topics if topic.channel in venue.price_channels)

        keys = self._shared.answer(f"the keys of {venue.feed}", look)
        if symbol in keys:
            return True
        if keys.intersection(EVERY):
            return False
        near = get_close_matches(symbol, keys, 1) if len(keys) <= COMPARED else ()
        few = ", ".join(nsmallest(NAMED, keys)) + (", …" if len(keys) > NAMED else "")
        hint = f"; did you mean {near[0]!r}?" if near else f". Subscribed to are: {few or 'none'}."
        why = "nothing is subscribed to that brings its price: name it in the config, or open a stream"
        raise RequestDeclined(404, f"{venue.feed}: {symbol[:200]!r}: {why}{hint}")

    # ── the order book ──

    def book(self, asked: ServiceRequest) -> ServiceResponse:
        """The first request for a book begins to follow it."""
        feed, key = _parts(asked, 2, "/book/FEED/KEY")
        query = _query(asked)
        depth, wait = _depth(query), _wait(query, "wait", 0.0)
        venue = self._venue(feed)
        with _declined(400 if venue.offers(venue.book_channel) else 404):
            topic = self._runtime._books.topic(feed, key, query)
        try:
            view = self._view(topic, key, depth, wait, query)
        except SubscribeError as error:
            raise RequestDeclined(404, str(error)) from None
        if view.reason.startswith(REJECTED):
            raise RequestDeclined(404, f"{topic}: {view.reason}")
        view = view if asked.caller.may("account") else public_book(view)
        return _typed(view, "" if view.synced else f"{topic}: no book now: {view.reason}")

    def _view(self, topic: Topic, key: str, depth: int, wait: float, options: Mapping[str, str]) -> BookView:
        def look(seconds: float | None) -> BookView:
            return self._books.view(topic, key, depth, seconds, options)

        view = look(None)
        if view.synced or view.reason.startswith(REJECTED) or not wait:
            return view
        with self._may_wait(wait) as seconds:
            try:
                return look(seconds) if seconds else view
            except Timeout:
                return look(None)

    # ── freshness ──

    def fresh(self, asked: ServiceRequest) -> ServiceResponse:
        """Of a feed, a channel, or one key: the topic that is worst off, among those the caller may see.

        Books that only requests follow count by their key alone.
        """
        feed, channel, *keys = _parts(asked, 1, "/fresh/FEED/CHANNEL/KEY", 3)
        query = _query(asked)
        max_age, venue = _seconds(query, "max_age"), self._venue(feed)
        sees_accounts = asked.caller.may("account")
        if not channel:
            _nothing_else(query, "/fresh/FEED takes max_age=")
        else:
            with _declined(404):
                declared = venue.channel(channel)
            if not (declared.is_public or sees_accounts):
                raise of_an_account(feed, declared.name)
            venue.check_options(declared, query)

        def look() -> Freshness:
            every = self._runtime._permits.topics(feed, channel or None, keys, query)
            hidden = () if keys else self._books.of_requests()
            shown = [
                topic
                for topic in every
                if (sees_accounts or venue.channels[topic.channel].is_public) and topic not in hidden
            ]
            found = self._runtime._permits.fresh_of(shown, max_age)
            return found if sees_accounts else public_freshness(found)

        many = f"{asked.path}?{max_age}{sorted(query.items())}{sees_accounts}"
        found = look() if keys else self._shared.answer(many, look)
        return _typed(found, "" if found.fresh else str(found))

    # ── finding and waiting ──

    def _venue(self, feed: str) -> Venue:
        with _declined(404):
            return self._runtime._spec_of(feed).venue

    @contextmanager
    def _may_wait(self, seconds: float) -> Iterator[float]:
        """So long; 0: too many requests wait already."""
        may = seconds > 0 and self._waiting.acquire(blocking=False)
        try:
            yield seconds if may else 0.0
        finally:
            if may:
                self._waiting.release()


def _typed(found: BookView | Freshness, error: str) -> ServiceResponse:
    if not error:
        return ServiceResponse(200, found)
    return ServiceResponse(503, {"error": error, **structs.asdict(found)})


def _stale(error: StalePriceError, caller: Caller) -> ServiceResponse:
    error = error if caller.may("account") else public_stale(error)
    return ServiceResponse(503, {"error": str(error), "tried": error.tried})


@contextmanager
def _declined(status: int) -> Iterator[None]:
    """What a venue says of a feed, channel, key or option that it does not have."""
    try:
        yield
    except LinewardenError as error:
        raise RequestDeclined(status, str(error)) from None


def _parts(asked: ServiceRequest, least: int, form: str, most: int = 2) -> list[str]:
    """The names in a path, each decoded; the last one may contain slashes. Missing ones are empty."""
    parts = asked.argument_as_sent.split("/", most - 1)
    if len([part for part in parts if part]) < max(least, len(parts)):
        raise RequestDeclined(404, f"expected {form}")
    try:
        decoded = [unquote(part, errors="strict") for part in parts]
    except UnicodeDecodeError:
        raise RequestDeclined(400, "the path is not percent-encoded UTF-8") from None
    return decoded + [""] * (2 - len(decoded))


def _query(asked: ServiceRequest) -> Query:
    query = dict(asked.query)
    if len(query) < len(asked.query):
        raise RequestDeclined(400, "a parameter is given more than once")
    return query


def _seconds(query: Query, name: str) -> float | None:
    """None: it is not given."""
    text = query.pop(name, None)
    if text is None:
        return None
    if not _SECONDS.fullmatch(text):
        raise RequestDeclined(400, f"{name}: expected seconds such as {name}=2.5, found {text[:40]!r}")
    return float(text)


def _wait(query: Query, name: str, default: float) -> float:
    """At most `LONGEST_WAIT`."""
    seconds = _seconds(query, name)
    return default if seconds is None else min(seconds, LONGEST_WAIT)


def _depth(query: Query) -> int:
    text = query.pop("depth", str(DEPTH))
    depth = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(DEEPEST)) else 0
    if not 1 <= depth <= DEEPEST:
        raise RequestDeclined(400, f"depth: expected 1 to {DEEPEST} levels per side, found {text[:40]!r}")
    return depth


def _nothing_else(query: Query, sentence: str) -> None:
    for name in query:
        raise RequestDeclined(400, f"{sentence} and nothing else, not {name[:40]!r}")
