"""Days on which the clock changes.

    python examples/migrating/project_x_py/clock_changes.py

Bars are aligned to UTC, so no hour is missing and none comes twice: there is nothing to detect or to
correct. Sessions and days go by the clock of their zone.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from actors.settings import load

CHICAGO = ZoneInfo("America/Chicago")
CALENDARS = {"globex": {"zone": "America/Chicago", "sessions": ["Sun-Thu 17:00-16:00", "Sun 00:00-12:00"]}}


def lengths(day: datetime) -> list[str]:
    """The open times that begin on a Sunday, by the clock of Chicago, with their hours."""
    calendar = load({"calendars": CALENDARS}).calendars["globex"]
    since = int(day.timestamp()) * 10**9
    found = []
    for opened, closed in calendar.spans(since, since + 48 * 3600 * 10**9):
        hours = (closed - opened) / 3.6e12
        if calendar.local(opened).date() == day.date():
            since_until = f"{calendar.local(opened):%a %H:%M} to {calendar.local(closed):%a %H:%M}"
            found.append(f"{since_until}: {hours:g} h")
    return found


def hours_of(day: datetime) -> list[str]:
    """The starts of the bars of an hour around the change, in UTC and in Chicago."""
    starts = [day.astimezone(UTC) + timedelta(hours=hours) for hours in range(4)]
    return [f"{each:%H:%M} UTC is {each.astimezone(CHICAGO):%H:%M %Z}" for each in starts]


def main() -> None:
    days = {"spring": datetime(2026, 3, 8, tzinfo=CHICAGO), "autumn": datetime(2026, 11, 1, tzinfo=CHICAGO)}
    for name, day in days.items():
        print(f"{name}: {'; '.join(lengths(day))}")
        for line in hours_of(day):
            print(" ", line)


if __name__ == "__main__":
    main()
