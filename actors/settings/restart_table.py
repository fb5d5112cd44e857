"""Reads `[feeds.NAME.restart]` and `[defaults.restart]`."""

from __future__ import annotations

from actors.rules.restarts import RestartPolicy
from actors.settings.table_reader import SettingsReader
from actors.settings.wording import has_key


def read_restart(reader: SettingsReader, where: str, raw: object) -> RestartPolicy:
    """The policy; what the table leaves out has its default."""
    before = len(reader.problems)
    restart = reader.merged(where, raw, RestartPolicy())
    given = [key for key in ("maximum", "initial") if has_key(raw, key)]
    if given and len(reader.problems) == before and restart.maximum < restart.initial:
        own = [key for key in given if not reader.places.is_taken(where, key)]
        relation = f"initial is {restart.initial:g} s, maximum {restart.maximum:g} s"
        text = f"expected maximum to be initial or more; {relation}"
        reader.complain(where, (own or given)[0], text)
    return restart
