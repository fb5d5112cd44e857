"""Answers what is fresh, and gives permits, for one runtime. Any thread; no actor is asked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, cast

from actors.delivery.cells import Cells
from actors.errors import Blind, LinewardenError
from actors.events import Freshness, Keys, Option, Topic
from actors.feed_spec import FeedSpec
from actors.protocol.channel import TypedChannel
from actors.rules.account.view import AccountView
from actors.rules.freshness import FreshnessPolicy, blind, worst_of
from actors.rules.order_book import BookView
from actors.rules.topics import options_of, topics_of
from actors.stream import Stream
from actors.supervision.freshness import NOT_SUBSCRIBED, FreshnessLooks
from actors.supervision.permit import (
    Account,
    AccountSource,
    Limits,
    LineSource,
    Permit,
    StreamSource,
    checked_limits,
)

Source = (
    Stream[Any] | BookView | AccountView | Topic | str | tuple[str | TypedChannel[Any] | Keys, ...]
)  # that may be required


class Permits:
    """Any thread may ask; nothing waits."""

    def __init__(
        self,
        looks: FreshnessLooks,
        cells: Cells,
        spec_of: Callable[[str], FeedSpec],
        topics_of: Callable[[Stream[Any]], Collection[Topic]],
        book_of: Callable[[Topic], tuple[Stream[Any], str] | None],
        account_of: Callable[[str, int], Account | None],
    ) -> None:
        self._looks, self._cells = looks, cells
        self._spec_of, self._topics_of, self._book_of = spec_of, topics_of, book_of
        self._account_of = account_of

    def fresh(
        self,
        feed: str,
        channel: str | TypedChannel[Any] | None,
        keys: Sequence[Keys],
        options: Mapping[str, Option],
        max_age: float | None,
    ) -> Freshness:
        """The topic that is worst off."""
        given: object = feed
        if isinstance(given, Stream):
            raise LinewardenError("fresh takes a feed's name: ask the stream itself, stream.fresh(max_age=…)")
        return self.fresh_of(self.topics(feed, channel, keys, options), max_age)

    def fresh_of(self, topics: Collection[Topic], max_age: float | None) -> Freshness:
        """The one of these that is worst off."""
        max_age = checked_limits(max_age).max_age
        return worst_of((topic, self._looks.topic(topic, None, max_age)) for topic in topics)

    def require(self, sources: Sequence[Source], limits: Limits) -> Permit:
        """A permit for all of these.

        Raises:
            Blind: some of it is not fresh; with all reasons.
            LinewardenError: a source is not known here, or there is none.
        """
        if not sources:
            raise LinewardenError("require() needs at least one stream, topic or feed")
        reasons: list[Freshness] = []
        streams: list[Stream[Any]] = []
        accounts: list[AccountSource] = []
        topics: dict[tuple[Topic, FreshnessPolicy | None], None] = {}
        for source in sources:
            wanted = self._wanted(source)
            topics.update(dict.fromkeys(wanted))
            if not wanted:
                reasons.append(NOT_SUBSCRIBED.about(_name_of(source)))
            found = self._found(source, limits)
            if isinstance(found, AccountSource):
                accounts.append(found)
            elif isinstance(found, Stream):
                streams.append(found)
            elif isinstance(found, Freshness):
                reasons.append(found)
        lines: dict[str, LineSource] = {}
        for topic, own in topics:
            placed = self._looks.placed(topic)
            if isinstance(placed, Freshness):
                reasons.append(placed.about(topic))
                continue
            name, cell, spec, holder = placed
            line = lines.get(name) or lines.setdefault(name, LineSource(name, spec, holder))
            line.add(topic, cell, own, holder)
        read = tuple(StreamSource(stream._inlet, self._cells) for stream in streams)
        permit = Permit(self._looks, tuple(lines.values()), read, limits, accounts)
        if reasons := [*reasons, *permit.reasons]:
            raise Blind(reasons)
        return permit

    def _found(self, source: Source, limits: Limits) -> object:
        """What a permit looks at beside the topics of a source; or why the source is not to be trusted."""
        if isinstance(source, BookView):
            return self._book(source, limits.max_age)
        if isinstance(source, AccountView):
            account = self._account_of(source.feed, source.account)
            if account is not None:
                return AccountSource(account, self._cells)
            about = f"{source.feed}/{source.account}"
            return blind("closed_stream", "its account is followed no longer", about)
        return source

    def _book(self, view: BookView, max_age: float | None) -> Stream[Any] | Freshness:
        """The stream by which a book is followed; or why its view is not to be trusted: it never changes."""
        followed, topic = self._book_of(view.topic), view.topic
        if not view.synced:
            return blind("unconfirmed", f"its book is syncing: {view.reason}", topic)
        if followed is None:
            return blind("closed_stream", "its book is followed no longer", topic)
        stream, trouble = followed
        if trouble:
            return blind("unconfirmed", f"its book is syncing: {trouble}", topic)
        behind = self._looks.behind(topic, view.received_ns or 0)
        if max_age is not None and behind > max_age:
            text = f"this view is {behind:.1f} s older than the book's newest event: ask for the book again"
            return Freshness("stale", "max_age", age_s=behind, text=text, topic=str(topic))
        return stream

    def _wanted(self, source: object) -> Collection[tuple[Topic, FreshnessPolicy | None]]:
        match source:
            case Stream():
                return [(topic, source._inlet.freshness) for topic in self._topics_of(source)]
            case Topic(feed=feed):
                self._spec_of(feed)
                return [(source, None)]
            case BookView():
                return [(source.topic, None)]
            case AccountView():
                account = self._account_of(source.feed, source.account)
                return [] if account is None else [(topic, None) for topic in account.topics]
            case str():
                return [(topic, None) for topic in self.topics(source, None, (), {})]
            case (str(feed), str() | TypedChannel() as channel, *keys):
                return [(topic, None) for topic in self.topics(feed, channel, cast("list[Keys]", keys), {})]
        raise LinewardenError(
            f"{source!r} cannot be required: give streams, views of books and accounts, topics, names of "
            "feeds, or tuples (feed, channel, *keys), each as an argument of its own"
        )

    def topics(
        self,
        feed: str,
        channel: str | TypedChannel[Any] | None,
        keys: Sequence[Keys],
        options: Mapping[str, Option],
    ) -> Collection[Topic]:
        """Of these keys; without keys, all of the channel or feed that are subscribed to.

        Raises:
            LinewardenError: the feed, the channel, a key or an option is not known, or has no channel.
        """
        venue = self._spec_of(feed).venue
        if channel is None and (keys or options):
            raise LinewardenError(f"{feed}: keys and options need their channel: fresh(feed, channel, key)")
        if channel is None:
            return self._cells.topics_of_feed(feed)
        declared, options = venue.channel(channel), options_of(channel, options)
        if declared.key and not keys:
            every = self._cells.topics_of_feed(feed)
            wanted = {(name, str(value)) for name, value in options.items()}
            return [topic for topic in every if topic.channel == declared.name and wanted <= _options(topic)]
        return topics_of(venue, declared, keys, options)


def _name_of(source: object) -> str:
    return "/".join(map(str, source)) if isinstance(source, tuple) else str(source)


def _options(topic: Topic) -> set[tuple[str, str]]:
    return {(name, str(value)) for name, value in topic.options}
