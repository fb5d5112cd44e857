"""Reads `[calendars]`, and the calendars that subscriptions name."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from actors.rules.calendar import Calendar, read_closure, read_session, read_zone
from actors.settings.schema import CalendarSettings
from actors.settings.table_reader import RefusedError, SettingsReader
from actors.settings.wording import key_name, suggested

Calendars = Mapping[str, Calendar | None]  # None: it has mistakes, which are reported


def read_calendar(reader: SettingsReader, name: str, raw: object) -> Calendar | None:
    where, before = f"[calendars.{key_name(name)}]", len(reader.problems)
    fields = reader.fields(where, raw, CalendarSettings)
    zone = reader.each(where, "zone", [fields.get("zone", "UTC")], read_zone)
    sessions = reader.each(where, "sessions", fields.get("sessions", ()), read_session)
    closed = reader.each(where, "closed", fields.get("closed", ()), read_closure)
    if len(reader.problems) > before:
        return None
    return Calendar(name, zone[0], sessions, closed)


def named_calendar(
    reader: SettingsReader, calendars: Calendars, where: str, table: Mapping[str, object]
) -> Calendar | None:
    """That which an entry of `subscribe` names."""
    with suppress(RefusedError):
        name = reader.convert(where, "calendar", table["calendar"], str)
        if name not in calendars:
            none = "; describe its hours in [calendars.NAME]"
            known = suggested(name, calendars) if calendars else none
            shown = repr(str(table["calendar"]))  # as it was written: a variable's value is not shown
            reader.complain(where, "calendar", f"there is no calendar {shown}{known}")
        return calendars.get(name)
    return None
