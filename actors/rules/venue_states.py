"""What a venue says of itself on one line: the newest word of each scope, and what follows for silence."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from actors.events import ALL_KEYS, WHOLE_LINE, Scope, Topic, VenueState

MOST: Final = 20_000  # scopes of one line; beyond that, the one that was told of longest ago is forgotten
RECENT: Final = 20  # words that the journal keeps
MOMENTARY: Final = frozenset({"open", "data_lost"})  # they leave no state behind
YEAR: Final = 366 * 86_400 * 1_000_000_000  # nanoseconds


class VenueStates(Struct):
    """One thread writes; any thread may read. An entry of a former life holds until that is settled."""

    _newest: dict[Scope, VenueState] = {}
    _resumed: dict[Scope, int] = {}  # when a state that explained silence ended, wall-clock ns
    _epoch: int = 0  # no entry is of a former one
    recent: tuple[VenueState, ...] = ()  # oldest first

    def __bool__(self) -> bool:
        return bool(self._newest)

    def copy(self) -> VenueStates:
        return VenueStates(self._newest.copy(), self._resumed.copy(), self._epoch, self.recent)

    # ── for the one that writes ──

    def note(self, told: VenueState) -> bool:
        """Returns whether it is news: `open` where nothing else was told is none, nor is the same again."""
        former = self._newest.get(told.scope)
        if former is None and told.state == "open":
            return False
        if former is not None and told.state != "data_lost" and _says(former) == _says(told):
            return False
        if former is not None and former.explains_silence:
            self._note_end(former, told.at_ns)
        self._newest.pop(told.scope, None)  # the newest is last
        self._newest[told.scope] = told
        while len(self._newest) > MOST:
            oldest = next(iter(self._newest))
            self._resumed.pop(oldest, None)
            del self._newest[oldest]
        self.recent = (*self.recent, told)[-RECENT:]
        return True

    def _note_end(self, former: VenueState, now_ns: int) -> None:
        until_ns = former.until_ns
        self._resumed[former.scope] = now_ns if until_ns is None else min(now_ns, until_ns)

    def take_over(self, epoch: int, *, keep_narrow: bool) -> list[VenueState]:
        """A new epoch has told all that it tells by itself. Returns the states of former ones that end now.

        `keep_narrow`: those of a channel or a key go on, as the market's; what was told of the whole line was
        said of the connection before.
        """
        if self._epoch == epoch:
            return []
        self._epoch = epoch
        ended: list[VenueState] = []
        for scope, told in list(self._newest.items()):
            if told.epoch == epoch or (keep_narrow and scope != WHOLE_LINE):
                continue
            if told.state in MOMENTARY:
                del self._newest[scope]
            else:
                ended.append(told)
        return ended

    # ── for any thread ──

    def present(self, now_ns: int) -> tuple[VenueState, ...]:
        """Those that hold, oldest first."""
        return tuple(told for told in self._newest.copy().values() if _holds(told, now_ns))

    def reaching(self, topic: Topic, now_ns: int) -> list[VenueState]:
        """Those that a new reader of this topic is told: the present ones, and what it may have missed."""
        newest = self._newest
        scopes = [*newest.copy()] if topic.key in ALL_KEYS else _scopes_of(topic)
        return [
            told
            for scope in scopes
            if (told := newest.get(scope)) and scope.reaches(topic) and not told.is_over(now_ns)
        ]

    def explaining(self, topic: Topic, now_ns: int) -> VenueState | None:
        """The state that explains the silence of this topic; the one of the narrowest scope."""
        if not self._newest:
            return None
        for scope in _scopes_of(topic):
            told = self._newest.get(scope)
            if told is not None and told.explains_silence and not told.is_over(now_ns):
                return told
        return None

    def resumed_ns(self, topic: Topic, now_ns: int) -> int:
        """When such a state ended last; 0: none has."""
        if not self._newest:
            return 0
        ends = [0]
        for scope in _scopes_of(topic):
            ends.append(self._resumed.get(scope, 0))
            told = self._newest.get(scope)
            if told is not None and told.explains_silence and told.is_over(now_ns):
                ends.append(told.until_ns or 0)
        return max(ends)


def completed(state: VenueState, text: str, line: str, epoch: int, at_ns: int) -> VenueState:
    """What a session has returned, as streams get it. An end that is past or years away is not known."""
    until_ns = state.until_ns
    if until_ns is not None and not at_ns < until_ns < at_ns + YEAR:
        until_ns = None
    return VenueState(state.scope, state.state, text, until_ns, line, epoch, at_ns)


def _scopes_of(topic: Topic) -> tuple[Scope, ...]:
    """Those to which all events of a topic belong, the narrowest first; of a `*`, none of one symbol."""
    wide = (Scope(topic.channel), WHOLE_LINE)
    if topic.key in ALL_KEYS:
        return wide
    return (Scope(topic.channel, topic.key), Scope(key=topic.key), *wide)


def _says(told: VenueState) -> tuple[object, ...]:
    """In another life the same is news."""
    return told.state, told.text, told.until_ns, told.epoch


def _holds(told: VenueState, now_ns: int) -> bool:
    return told.state not in MOMENTARY and not told.is_over(now_ns)
