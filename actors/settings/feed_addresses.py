"""Checks where a feed connects to: its URLs, its simulator, its proxy and its certificates."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from actors.errors import ConfigError
from actors.protocol.venue import Venue
from actors.settings.addresses import hub_mistake, hub_url, is_clear, proxy_mistake, url_mistake
from actors.settings.schema import FeedSettings
from actors.settings.table_reader import RefusedError, SettingsReader
from actors.settings.toml_file import is_file

Table = Mapping[str, object]
Venues = Mapping[str, type[Venue]]


def read_doors(reader: SettingsReader, where: str, table: Table, kind: type[Venue] | None) -> tuple[str, ...]:
    """The addresses of a feed whose `url` is a list; empty: it is none, or has mistakes."""
    raw = table.get("url")
    if not isinstance(raw, list | tuple):
        return ()
    try:
        urls = reader.convert(where, "url", raw, tuple[str, ...])
    except RefusedError:
        return ()
    before = len(reader.problems)
    if not urls:
        reader.complain(where, "url", "expected at least one address in the list")
    mistakes = [venue_url_mistake(url, kind) for url in urls]
    if kind is None or kind.hub_urls:
        urls = tuple(map(hub_url, urls))
    for number, (url, told) in enumerate(zip(urls, mistakes, strict=True), 1):
        mistake = told if url.strip() else "expected a URL, found an empty text"
        if not mistake and url.startswith("sim:") and len(urls) > 1:
            mistake = 'expected one simulator alone: url = "sim://…"'
        if not mistake and urlsplit(url).scheme != urlsplit(urls[0]).scheme:
            mistake = f"expected {urlsplit(urls[0]).scheme}:// as in entry 1: all addresses are of one kind"
        if not mistake and url in urls[: number - 1]:
            mistake = "the address is there twice"
        if mistake:
            reader.complain(where, "url", f"entry {number}: {mistake}")
        elif number > 1 and is_clear(url):
            reader.warn(where, "url", f"entry {number}: ws:// sends everything in clear; wss:// does not")
    return urls if len(reader.problems) == before else ()


def check_doors(reader: SettingsReader, where: str, feed: FeedSettings, venue: Venue) -> None:
    """Reports an address at which the venue is another one."""
    for number, url in enumerate(feed.doors, 1):
        prefix = f"entry {number}: "
        other = reader.quoting(where, "url", functools.partial(feed.build_venue, url), prefix=prefix)
        if other is not None and _offered(other) != _offered(venue):
            reader.complain(where, "url", f"{prefix}the venue has other channels there than at entry 1")


def check_simulator(reader: SettingsReader, venues: Venues, where: str, url: str, kind: type[Venue]) -> None:
    """Reports a `sim://` URL whose simulator is another venue's, or does not take a setting or fault."""
    from actors.simulators import from_url  # most configs name none

    def build() -> None:
        name = urlsplit(url).hostname or ""
        if name == "table" and kind.hub_urls:
            advice = "start a hub of your own (actors.simulators.signalr), and write its url"
            raise ConfigError([f"a transcript cannot be played to the client of a SignalR hub; {advice}"])
        if not _may_play(venues, name, kind):
            own = f"sim://{kind.name} or " if kind.simulator else ""
            advice = f"write {own}sim://table?talk=FILE"
            raise ConfigError([f"there is no simulator {name!r} for venue {kind.name}; {advice}"])
        from_url(url, {kind.name: kind.simulator})

    reader.quoting(where, "url", build, prefix=f"url {url!r}: ")


def _may_play(venues: Venues, simulator: str, kind: type[Venue]) -> bool:
    """Whether a simulator may be the other end of a venue: its own, that of a base class, a transcript.

    A table or class of the user's own that names no simulator may have the protocol of any.
    """
    from actors.venues import VENUES

    if not kind.simulator and venues.get(kind.name) is not kind:
        return True
    if simulator == "table" or (kind.simulator and simulator == kind.name):
        return True
    return simulator in VENUES and issubclass(kind, VENUES[simulator])


def check_transport(reader: SettingsReader, where: str, table: Table, fields: dict[str, Any]) -> None:
    if mistake := proxy_mistake(fields.get("proxy", "none")):
        reader.complain(where, "proxy", mistake)
    if fields.get("ca_file") is not None:
        path = reader.path(where, "ca_file", fields["ca_file"]).absolute()
        fields["ca_file"] = str(path)
        if not is_file(path):
            raw = table["ca_file"]
            reader.complain(where, "ca_file", f"there is no file {raw!r} (from the config's directory)")
    if not fields.get("verify_tls", True):
        text = "certificates are not checked, so another server could impersonate the venue"
        reader.warn(where, "verify_tls", text)


def venue_url_mistake(url: str, kind: type[Venue] | None) -> str:
    return hub_mistake(url) if kind is None or kind.hub_urls else url_mistake(url)


def _offered(venue: Venue) -> set[str]:
    """The channels that it has at its address."""
    return {channel for channel in venue.channels if venue.offers(channel)}
