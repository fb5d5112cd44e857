"""Where each value of a config was written: in which file and table, so that a mistake is named there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, structs


class Place(Struct, frozen=True):
    """A table of a file. Relative paths in it start at `directory`."""

    file: str  # as people call it
    directory: Path
    where: str = ""  # such as "[defaults.restart]"; empty: the table that was asked for

    def at(self, where: str) -> Place:
        return structs.replace(self, where=where)


class Places:
    """The main file, tables of other files, and values that tables take from other tables."""

    def __init__(self, main: Place) -> None:
        self.main = main
        self._tables: dict[str, Place] = {}  # by name, such as `feeds.desk`
        self._taken: dict[tuple[str, str], Place] = {}  # by table and key
        self._written: dict[str, Mapping[str, object]] = {}  # by name: what a config holds of a table

    def add_table(self, where: str, place: Place) -> None:
        """This table, such as `[feeds.desk]`, and those inside it are written there."""
        self._tables[_name(where)] = place

    def keep(self, where: str, table: Mapping[str, object]) -> None:
        """This is what the table holds, with what it takes from others."""
        self._written[_name(where)] = table

    def written(self, where: str, key: str) -> object:
        """The value as it is written; None: it is not."""
        name, outside = _name(where), _name(where).rpartition(".")
        table: object = self._written.get(name)
        if table is None and outside[0] in self._written:
            table = self._written[outside[0]].get(outside[2])
        return table.get(key) if isinstance(table, Mapping) else None

    def take(self, where: str, key: str, place: Place) -> None:
        """This value of the table is written there: `place` has its own `where`."""
        self._taken[where, key] = place

    def is_taken(self, where: str, key: str) -> bool:
        """Whether the value is another table's."""
        return self._place_taken(where, key) is not None

    def of(self, where: str, key: str) -> Place:
        """Where this value is written."""
        taken = self._place_taken(where, key)
        return self._table(where).at(where) if taken is None else taken

    def _place_taken(self, where: str, key: str) -> Place | None:
        """Of `[feeds.desk] subscribe entry 2`, the key `subscribe` decides."""
        head, bracket, rest = where.partition("]")
        if not rest:
            return self._taken.get((where, key))
        place = self._taken.get((head + bracket, rest.split()[0]))
        return None if place is None else place.at(place.where + rest)

    def _table(self, where: str) -> Place:
        name = _name(where)
        while name:
            if name in self._tables:
                return self._tables[name]
            name = name.rpartition(".")[0]
        return self.main


def _name(where: str) -> str:
    return where.partition("]")[0].removeprefix("[")
