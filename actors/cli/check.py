"""`linewarden check`: mistakes in a config, and its feeds, lines and topics."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from msgspec import structs

from actors.cli.arguments import Config, complain, config_of, described_venue, known_name, settings_of
from actors.cli.formatting import console, plain_table
from actors.cli.venues import channel_table
from actors.display.escaping import printable
from actors.display.status_words import login_words
from actors.events import Topic
from actors.protocol.formatting import counted
from actors.protocol.venue import Venue, VenueSettings
from actors.secret import Secret
from actors.settings import FeedSettings, Settings
from actors.settings.wording import holds_secret
from actors.trading.folder import StoreError


def check(
    config: Config = None,
    sample: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Decode the captured messages in this file, one per line."),
    ] = None,
    feed: Annotated[
        str,
        typer.Option(metavar="NAME", help="With --sample: the feed of the messages, if CONFIG has several."),
    ] = "",
    show: Annotated[
        bool, typer.Option("--show", help="Print every value of it, without secrets, and its origin.")
    ] = False,
) -> None:
    """Validate CONFIG without connecting.

    CONFIG may also be the table of a venue. With --sample the command shows how the messages of a file
    (it may be gzipped) would be routed. It exits with 78 if CONFIG has mistakes, and with 1 if a message
    would not be routed.
    """
    config = config_of(config)
    described = described_venue(config)
    if described is not None:
        if sample is not None:
            raise typer.Exit(_play(described("sample", _stand_in(described)), (), sample))
        channels = counted(len(described.channels), "channel")
        console().print(channel_table(described), "")
        console().print(f"{config}: no mistakes; venue {described.name}, {channels}.")
        return
    settings = settings_of(config)
    if show:
        _show(config)
        return
    if sample is not None:
        chosen = _chosen(settings, feed)
        wanted = [topic for topics in placed(chosen).values() for topic in topics]
        raise typer.Exit(_play(chosen.build_venue(), wanted, sample))
    table = plain_table("feed", "venue", "url", "lines", "topics")
    lines = topics = 0
    for each in settings.feeds.values():
        by_line = placed(each)
        wanted = [topic for line in by_line.values() for topic in line]
        lines, topics = lines + len(by_line), topics + len(wanted)
        url = dict(each.own.__rich_repr__())["url"] or "the venue's own"
        table.add_row(each.name, each.venue, str(url), ", ".join(by_line), _shown(wanted))
    if settings.feeds:
        console().print(table)
    for text in (*_logins(settings), *_trading(settings), *_accounts(settings)):
        console().print(text)
    counts = [counted(len(settings.feeds), "feed"), counted(lines, "line"), counted(topics, "topic")]
    console().print(f"{config}: no mistakes; {', '.join(counts)}.")


def _show(config: Path) -> None:
    from actors.cli.config_view import config_lines
    from actors.settings.loading import explained

    for line in config_lines(*explained(config)):
        typer.echo(printable(line))


def _logins(settings: Settings) -> Iterator[str]:
    for feed in settings.feeds.values():
        if feed.login_variables:
            yield f"{feed.name}: {login_words(feed.login_variables)}."


def _trading(settings: Settings) -> Iterator[str]:
    """What becomes of the orders of each feed that trades, and whether their store can be used."""
    feeds = [feed for feed in settings.feeds.values() if feed.trading]
    for feed in feeds:
        why = settings.why_no_orders(feed.name)
        state = f"are refused: {why}" if why else "are checked and not sent" if feed.dry_run else "leave"
        limits = ", ".join(
            f"{key} {most}"
            for key in feed.limits.__struct_fields__
            if (most := getattr(feed.limits, key)) is not None
        )
        yield f"{feed.name}: orders {state}; {limits}."
    if feeds:
        yield f"orders are recorded in {settings.trading.dir}{_store_mistake(settings)}."


def _accounts(settings: Settings) -> Iterator[str]:
    for feed in settings.feeds.values():
        if feed.accounts:
            yield f"{feed.name}: accounts {', '.join(map(str, feed.accounts))} are followed."


def _store_mistake(settings: Settings) -> str:
    """Why the order store cannot be used; it need not be there where a config is checked."""
    from actors.trading.store_operator import StoreOperator

    try:
        StoreOperator(Path(settings.trading.dir)).close()
    except StoreError as error:
        return f". On this machine, what adds risk is refused: {str(error).rstrip('.')}"
    return ""


def _stand_in(kind: type[Venue]) -> VenueSettings:
    """Settings for a feed without a config: required values are placeholders."""
    placeholders: dict[str, Any] = {
        field.name: Secret("x") if holds_secret(field.type) else next(iter(get_args(field.type)), "x")
        for field in structs.fields(kind.Settings)
        if field.required
    }
    return kind.Settings(**placeholders)


def _chosen(settings: Settings, name: str) -> FeedSettings:
    if name:
        return settings.feeds[known_name("--feed", name, settings.feeds)]
    if len(settings.feeds) != 1:
        known = ", ".join(settings.feeds) or "none"
        raise typer.BadParameter(f"name the feed of the messages; known: {known}.", param_hint="--feed")
    return next(iter(settings.feeds.values()))


def _play(venue: Venue, wanted: Iterable[Topic], file: Path) -> int:
    from actors.cli.replay import play, tables

    try:
        tally = play(venue, file, wanted)
    except (OSError, EOFError, zlib.error) as error:
        return complain(f"{file}: it cannot be read ({getattr(error, 'strerror', '') or error}).")
    for part in tables(tally):
        console().print(part, soft_wrap=isinstance(part, str))
    return 0 if tally.understood else 1


def placed(feed: FeedSettings) -> dict[str, list[Topic]]:
    """The lines of this feed at its start, each with its topics, as the registry places them."""
    venue = feed.build_venue()
    return venue.spread(
        venue.topic(wanted.channel, key, wanted.options)
        for wanted in feed.subscribe
        for key in wanted.keys or ("",)
    )


def _shown(topics: list[Topic]) -> str:
    counts = Counter(topic.channel for topic in topics)
    return ", ".join(f"{count} {channel}" for channel, count in counts.items())
