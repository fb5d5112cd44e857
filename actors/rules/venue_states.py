"""What a venue says of itself on one line: the newest word of each scope, and what follows for silence."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from actors.events import ALL_KEYS, Scope, Topic, VenueState

MOST: Final = 20_000  # scopes of one line; beyond that, the one that was told of longest ago is forgotten
RECENT: Final = 20  # words that the journal keeps
MOMENTARY: Final = frozenset({"open", "data_lost"})  # they leave no state behind
Pair = tuple[str, str]  # channel and key of a scope: made and looked up faster than a Struct
WHOLE_LINE: Final = ("", "")
YEAR: Final = 366 * 86_400 * 1_000_000_000  # nanoseconds


class VenueStates(Struct):
    """One thread writes; any thread may read. An entry of a former life holds until that is settled."""

    _newest: dict[Pair, VenueState] = {}
    _order: dict[Pair, None] = {}  # of its keys, the one that was told of last at the end
    _resumed: dict[Pair, int] = {}  # when a state that explained silence ended, wall-clock ns
    _epoch: int = 0  # no entry is of a former one
    recent: tuple[VenueState, ...] = ()  # oldest first
    number: int = 0  # of all that were news

    def __bool__(self) -> bool:
        return bool(self._newest)

    def copy(self) -> VenueStates:
        return VenueStates(
            self._newest.copy(),
            self._order.copy(),
            self._resumed.copy(),
            self._epoch,
            self.recent,
            self.number,
        )

    # ── for the one that writes ──

    def note(self, told: VenueState) -> bool:
        """Returns whether it is news: `open` where nothing else was told is none, nor is the same again."""
        pair = _pair(told.scope)
        former = self._newest.get(pair)
        if former is None and told.state == "open":
            return False
        if former is not None and told.state != "data_lost" and _says(former) == _says(told):
            return False
        if former is not None and former.explains_silence:
            until_ns = told.at_ns if former.until_ns is None else former.until_ns
            self._resumed[pair] = min(told.at_ns, until_ns)
        self._newest[pair] = told  # replaced in one step: a reader between two would take the scope for open
        self._order.pop(pair, None)
        self._order[pair] = None
        while len(self._newest) > MOST:
            self._forget(next(iter(self._order)))
        self.recent = (*self.recent, told)[-RECENT:]
        self.number += 1
        return True

    def _forget(self, pair: Pair) -> None:
        self._resumed.pop(pair, None)
        self._order.pop(pair, None)
        del self._newest[pair]

    def take_over(self, epoch: int, *, keep_narrow: bool) -> list[VenueState]:
        """A new epoch has told all that it tells by itself. Returns the states of former ones that end now.

        `keep_narrow`: those of a channel or a key go on, as the market's; what was told of the whole line was
        said of the connection before.
        """
        if self._epoch == epoch:
            return []
        self._epoch = epoch
        ended: list[VenueState] = []
        for pair in list(self._order):
            told = self._newest[pair]
            if told.epoch == epoch or (keep_narrow and pair != WHOLE_LINE):
                continue
            if told.state in MOMENTARY:
                del self._newest[pair], self._order[pair]
            else:
                ended.append(told)
        return ended

    # ── for any thread ──

    def present(self, now_ns: int) -> tuple[VenueState, ...]:
        """Those that hold, oldest first."""
        newest = (self._newest.get(pair) for pair in self._order.copy())
        return tuple(told for told in newest if told is not None and _holds(told, now_ns))

    def reaching(self, topic: Topic, now_ns: int) -> list[VenueState]:
        """Those that a new reader of this topic is told: the present ones, and what it may have missed."""
        newest = self._newest
        pairs = [*newest.copy()] if topic.key in ALL_KEYS else _pairs_of(topic)
        found = [told for pair in pairs if (told := newest.get(pair)) is not None]
        return [told for told in found if told.scope.reaches(topic) and not told.is_over(now_ns)]

    def explaining(self, topic: Topic, now_ns: int) -> VenueState | None:
        """The state that explains the silence of this topic; the one of the narrowest scope."""
        newest = self._newest
        if newest:
            for pair in _pairs_of(topic):
                told = newest.get(pair)
                if told is not None and told.explains_silence and not told.is_over(now_ns):
                    return told
        return None

    def resumed_ns(self, topic: Topic, now_ns: int) -> int:
        """When such a state ended last; 0: none has."""
        last = 0
        if self._newest or self._resumed:
            for pair in _pairs_of(topic):
                last = max(last, self._resumed.get(pair, 0))
                told = self._newest.get(pair)
                if told is not None and told.explains_silence and told.is_over(now_ns):
                    last = max(last, told.until_ns or 0)
        return last


def completed(state: VenueState, text: str, line: str, epoch: int, at_ns: int) -> VenueState:
    """What a session has returned, as streams get it. An end that is past or years away is not known."""
    until_ns = state.until_ns
    if until_ns is not None and not at_ns < until_ns < at_ns + YEAR:
        until_ns = None
    return VenueState(state.scope, state.state, text, until_ns, line, epoch, at_ns)


def _pair(scope: Scope) -> Pair:
    return scope.channel, scope.key


def _pairs_of(topic: Topic) -> tuple[Pair, ...]:
    """Of the scopes to which all events of a topic belong, the narrowest first; of a `*`, none of one key."""
    channel, key = topic.channel, topic.key
    if key in ALL_KEYS:
        return ((channel, ""), WHOLE_LINE)
    return ((channel, key), ("", key), (channel, ""), WHOLE_LINE)


def _says(told: VenueState) -> tuple[object, ...]:
    """In another life the same is news."""
    return told.state, told.text, told.until_ns, told.epoch


def _holds(told: VenueState, now_ns: int) -> bool:
    return told.state not in MOMENTARY and not told.is_over(now_ns)
