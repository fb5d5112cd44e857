"""The calls of a runtime about prices and order books."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from actors.events import Key, Option
from actors.market.foreign_prices import ForeignPrices
from actors.market.latest_prices import LatestPrices
from actors.market.order_books import OrderBooks
from actors.rules.foreign_price import Exact, GivenPrice
from actors.rules.latest_price import LatestPrice
from actors.rules.order_book import BookView
from actors.streams import Streams
from actors.supervision.tree import Tree


class PriceCalls:
    """A part of `Runtime`, which has its tree, its streams and its views."""

    _tree: Tree
    _streams: Streams
    _prices: LatestPrices
    _foreign: ForeignPrices
    _books: OrderBooks

    def latest(self, feed: str, key: Key, *, max_age: float = 15.0, timeout: float = 2.0) -> LatestPrice:
        """The newest quote and trade of a symbol, those of them that are fresh; one is an answer, too.

        `latest()` does not subscribe: a subscription of the config or a stream must exist. Where that holds
        nothing fresh, what `put_price` has put is looked at, and then the venue is asked over HTTP, if it can
        be, for at most `timeout` seconds in all (0: it is not asked), within the venue's budget; equal
        questions share an answer. `price_sources` of the feed sets another order. The first question of a
        process imports the HTTP client before its `timeout` begins.

        A part is fresh if both its ages, since its receipt and by the venue's own timestamp, are
        `max_age` seconds at most. So last Friday's trade is not fresh because it was fetched now. A
        venue that names no time is judged by the receipt alone. Any thread may call; each waits alone.

        Raises:
            StalePriceError: no price is; its text names what was tried and how old it was.
            LinewardenError: the feed or the key is not known here, or its venue tells no prices.
            RuntimeStopped: the runtime has ended.
        """
        self._tree.check()
        spec, foreign = self._streams.spec_of(feed), self._foreign
        put = partial(foreign.candidates, spec)
        return self._prices.latest(spec.venue, key, max_age, timeout, foreign.order(spec), put)

    def put_price(
        self,
        feed: str,
        key: Key,
        *,
        source: str,
        bid: Exact | None = None,
        bid_size: Exact | None = None,
        ask: Exact | None = None,
        ask_size: Exact | None = None,
        last: Exact | None = None,
        last_size: Exact | None = None,
        ttl: float | None = None,
        at: datetime | int | None = None,
    ) -> None:
        """Puts a price that your program has from elsewhere, for `latest` alone. Asks no actor.

        `source` names the poller or vendor, and is what `latest(...).source` says. `bid` and `ask` are one
        quote: they replace the former quote of this source, and a side that is not given is empty. `last`
        replaces its former trade. 0 means that there is no price, as venues write it. Numbers are kept as
        `Decimal`: a Decimal, an int and a text exactly, a float as it is written.

        `ttl`: seconds from now for which the source stands by it; None: `max_age` of `latest` alone counts.
        `at`: the venue's time of it, as a datetime with a zone or as nanoseconds since 1970. With it, the
        price is as old as that says, and replaces none of a later time.

        It is not an event: it is in no stream, bar, book, fill or mark, and makes no topic fresh. Prices are
        kept of 16,384 symbols and 8 sources per feed, until the feed is removed. Any thread may call.

        Raises:
            LinewardenError: the feed or the key is not known here, its venue tells no prices, or a value is
                invalid. Nothing was put.
            RuntimeStopped: the runtime has ended.
        """
        self._tree.check()
        given = GivenPrice(
            bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size, last=last, last_size=last_size, at=at
        )
        self._foreign.put(feed, key, given, source, ttl)

    def book(
        self, feed: str, key: Key, *, depth: int | None = None, wait: float | None = None, **options: Option
    ) -> BookView:
        """The order book of this key as it is now. The first call begins to follow it.

        `depth`: at most so many levels per side; None: all. `wait`: seconds that may be spent until it is
        synced; without it the answer comes at once, and the first ones are `syncing`. `options` are
        those of the venue's book channel.

        Raises:
            Timeout: `wait` is over; what is missing is named, and the book is followed all the same.
            SubscribeError: `wait` was given, and the venue has rejected the subscription.
            StreamClosed: its feed was removed, or the book forgotten, while this call waited.
            LinewardenError: the feed, the key or an option is not known here, or the venue makes no
                order books.
            RuntimeError: the machine is out of threads. Nothing was subscribed.
            RuntimeStopped: the runtime has ended.
        """
        self._tree.check()
        self._streams.refuse_wait(wait, feed)
        return self._books.view(feed, key, options, depth, wait)

    def forget_book(self, feed: str, key: Key, **options: Option) -> None:
        """Follow this book no longer; one that is not followed is no mistake.

        Raises:
            LinewardenError: as `book` does.
        """
        self._tree.check()
        self._books.forget(feed, key, options)
