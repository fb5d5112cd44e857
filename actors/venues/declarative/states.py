"""What a venue says of itself, in messages that a table names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from actors.protocol import ConnectionCloses, EffectBatch, Scope, VenueState
from actors.venues.declarative.messages import clock
from actors.venues.declarative.path import MISSING, Each, Path, Spot, spot
from actors.venues.declarative.table import VenueStateTable
from actors.venues.declarative.topics import Names

LONGEST: Final = 200  # characters of a value or of a key


class StateRule:
    """One entry of `[[venue_states]]`, ready for use."""

    def __init__(self, table: VenueStateTable, names: Mapping[str, Names]) -> None:
        self.table = table
        self.fits = table.when.fits if table.when is not None else _always
        self._each = None if table.each is None else Each(table.each)
        self._value, self._key = self._spot(table.value), self._spot(table.key)
        self._text, self._until = self._spot(table.text), self._spot(table.until)
        self._nanoseconds = clock(table.unit)
        named = [names[table.channel]] if table.channel else [*names.values()]
        self._names = [each for each in named if each.table.key]

    def read(self, message: Any) -> Iterator[VenueState]:
        """What a message that fits says."""
        found = ((message,),) if self._each is None else self._each.of(message)
        for nodes in found or ():
            word = _word(_at(self._value, nodes))
            state = self.table.state or self.table.states.get(word)
            if state is None:
                continue
            until = self._nanoseconds(_at(self._until, nodes)) if self._until is not None else None
            for scope in self._scopes(nodes):
                yield VenueState(scope, state, _word(_at(self._text, nodes)) or word, until)

    def _scopes(self, nodes: Sequence[Any]) -> Sequence[Scope]:
        """One for each spelling that our channels have of a key; none, where the key is missing."""
        if self._key is None:
            return (Scope(self.table.channel),)
        key = _word(_at(self._key, nodes))
        spelled = dict.fromkeys(each.spelled(key) for each in self._names) if key else ()
        return [Scope(self.table.channel, text) for text in spelled]

    def _spot(self, path: Path | None) -> Spot | None:
        return None if path is None else spot(path, self.table.each)


def tell_states(
    rules: Iterable[StateRule], message: Any, hide: Callable[[str], str], out: EffectBatch
) -> bool:
    """Whether the venue says something of itself in this message. `hide` takes secrets out of its words."""
    tells = False
    for rule in rules:
        if not rule.fits(message):
            continue
        words = ""
        for told in rule.read(message):
            tells, words = True, hide(told.text)
            out.add(VenueState(told.scope, told.state, words, told.until_ns))
        if rule.table.closes:
            tells = True
            out.add(ConnectionCloses(words))
    return tells


def _always(_: Any) -> bool:
    return True


def _at(where: Spot | None, nodes: Sequence[Any]) -> Any:
    return MISSING if where is None else where.of(nodes)


def _word(value: Any) -> str:
    """A value as a table writes it; empty: there is none, or it is no scalar."""
    match value:
        case bool():
            return str(value).lower()
        case str() | int():
            return str(value)[:LONGEST]
    return ""
