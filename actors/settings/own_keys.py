"""Reads the keys of a feed that are of its venue alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from actors.protocol.venue import Venue, VenueSettings
from actors.settings.addresses import hub_url, is_clear, with_talk
from actors.settings.environment_login import EnvironmentLogin, login_keys
from actors.settings.feed_addresses import Venues, check_simulator, venue_url_mistake
from actors.settings.table_reader import SettingsReader
from actors.settings.wording import keys_of, plain

Table = Mapping[str, object]


def read_own(
    reader: SettingsReader,
    venues: Venues,
    where: str,
    table: Table,
    kind: type[Venue],
    login: EnvironmentLogin,
) -> VenueSettings | None:
    """The venue's own keys of a feed's table."""
    before = len(reader.problems)
    missing = _check_login(reader, where, kind, login)
    fields = reader.some_fields(where, table, kind.Settings, keys_of(kind.Settings) - missing)
    _reject_empty(reader, where, table, kind.Settings, fields)
    url = fields.get("url", "")
    mistake = venue_url_mistake(url, kind) if url.strip() else ""
    if not mistake and kind.hub_urls and url:
        url = fields["url"] = hub_url(url)
    if mistake:
        reader.complain(where, "url", mistake)
    elif is_clear(url):
        reader.warn(where, "url", "ws:// sends everything in clear, also keys; wss:// does not")
    is_sound = len(reader.problems) == before and not missing
    if url.startswith("sim://") and not mistake:
        fields["url"] = with_talk(url, reader.places.of(where, "url").directory)
        check_simulator(reader, venues, where, fields["url"], kind)
    return reader.quoting(where, "", lambda: kind.Settings.of(fields)) if is_sound else None


def _check_login(reader: SettingsReader, where: str, kind: type[Venue], login: EnvironmentLogin) -> set[str]:
    """Reports a feed without the login that its venue requires; returns the keys that are missing."""
    if login.names or not login.advice + login.mistake:
        return set()
    keys = login_keys(kind)
    required = {field.encode_name for field in structs.fields(kind.Settings) if field.required} & keys
    if required and login.advice:
        reader.complain(where, "", f"there is no login: {login.advice}{login.hint}")
    return required


def _reject_empty(
    reader: SettingsReader, where: str, table: Table, kind: type[VenueSettings], fields: Mapping[str, Any]
) -> None:
    """Reports an empty text, such as that of an empty variable."""
    for field in structs.fields(kind):
        key = field.encode_name
        if key not in table or plain(field.type) is not str or str(fields.get(field.name, "x")).strip():
            continue
        if key == "url" or key.endswith("_url"):
            text = "expected a URL, found an empty text; leave the key out for the venue's own"
        else:
            text = "expected text that is not empty"
            text += "" if field.required else "; leave the key out if the feed has none"
        reader.complain(where, key, text)
