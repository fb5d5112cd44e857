"""A line's life and its rotation: every row of both tables, against a reckoning that has no table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors.rules.line import (
    LIFE,
    ROTATION,
    Action,
    Event,
    LineState,
    RotationAction,
    RotationEvent,
    RotationState,
    follows,
    rotation_step,
    step,
)

E, S = Event, LineState
R, RE, RA = RotationState, RotationEvent, RotationAction

VERDICTS = (E.ENDED_RETRY, E.ENDED_PARK, E.ENDED_FAIL, E.ENDED_REST)
FOLLOWED = {  # its candidate goes on from there
    E.FOLLOWED_CONNECTING: "connecting",
    E.FOLLOWED_LOGGING_IN: "logging_in",
    E.FOLLOWED_SUBSCRIBING: "subscribing",
}


class Line:
    """Carries out what the table says, and takes no nonsense."""

    def __init__(self) -> None:
        self.state = LineState.NEW
        self.connection = self.told_to_end = self.timer = self.asking = self.dropped = False
        self.said: list[str] = []  # the actions upon the last event

    def handle(self, event: Event) -> None:
        if event in VERDICTS or event in FOLLOWED:
            self.connection = self.told_to_end = False
        elif event is E.DUE:
            self.timer = False
        elif event in (E.ADMITTED, E.DEFERRED):
            self.asking = False
        found = step(self.state, event)
        assert found is not None, f"{event} in {self.state}"
        self.state, actions = found
        self.said = []
        for action in actions:
            self.said.append(action.name.lower().replace("_", " "))
            self._do(action)

    def _do(self, action: Action) -> None:
        match action:
            case Action.ASK_LIMITER:
                assert self.is_idle()
                self.asking = True
            case Action.CONNECT | Action.PROMOTE:
                assert self.is_idle()
                self.connection = True
            case Action.END:
                assert self.connection
                assert not self.told_to_end
                self.told_to_end = True
            case Action.SET_TIMER:
                assert self.is_idle()
                self.timer = True
            case Action.CANCEL_TIMER:
                assert self.timer
                self.timer = False
            case Action.DROP:
                assert self.is_idle()
                self.dropped = True

    def is_idle(self) -> bool:
        return not (self.connection or self.timer or self.asking)

    def facts(self) -> tuple[object, ...]:
        flags = (self.connection, self.told_to_end, self.timer, self.asking, self.dropped)
        return self.state.shown, *flags, self.said


class Reckoning:
    """The same life as facts: what is wanted, how far the connection has come, what the streams know."""

    def __init__(self) -> None:
        self.wish = "new"  # up, paused, gone, stopped
        self.stage = ""  # of the connection: connecting, logging_in, subscribing, live
        self.told_to_end = self.timer = self.asking = self.dropped = False
        self.was_live = False  # in this life
        self.owes_paused = False  # to the streams
        self.knows_failed = False  # their last word is `failed`
        self.said: list[str] = []

    @property
    def reached(self) -> bool:
        return self.stage not in ("", "connecting")

    def may_be(self, event: Event) -> bool:
        """Whether it can happen at all."""
        if self.asking:
            return event in (E.ADMITTED, E.DEFERRED)
        late = self.told_to_end and self.reached  # what was on its way
        match event:
            case E.ADMITTED | E.DEFERRED:
                return False
            case E.DUE:
                return self.timer
            case E.UPGRADED:
                return self.stage == "connecting"
            case E.OPENED:
                return late or self.stage == "logging_in"
            case E.SETTLED | E.UNSETTLED:
                return late or self.stage in ("subscribing", "live")
            case _ if event in VERDICTS:
                return self.stage != ""
            case _ if event in FOLLOWED:
                return self.stage in ("subscribing", "live") and not self.told_to_end
            case _:
                return not self.dropped and (event is E.NEEDED or self.wish != "new")

    def handle(self, event: Event) -> None:
        self.said = []
        match event:
            case E.ADMITTED:
                self.asking, self.stage, self.was_live = False, "connecting", False
                self.said.append("connect")
            case E.DEFERRED:
                self.asking = False
                self._wait()
            case E.DUE:
                self.timer = False
                self._ask()
            case E.UPGRADED | E.OPENED | E.SETTLED | E.UNSETTLED:
                self._progress(event)
            case _ if event in VERDICTS:
                self._ended(event)
            case _ if event in FOLLOWED:
                self._followed(FOLLOWED[event])
            case _:
                self._wanted(event)

    def _progress(self, event: Event) -> None:
        if event is E.UPGRADED:
            self.stage = "logging_in"
            self.knows_failed = False  # its end is news
        if self.told_to_end:
            return
        if event is E.UPGRADED:
            self.said.append("note upgrade")
        elif event is E.OPENED:
            self.stage = "subscribing"
            self.said.append("open session")
        elif event is E.UNSETTLED:
            self.stage = "subscribing"
        elif self.stage != "live":
            self.said += [] if self.was_live else ["begin live"]
            self.said.append("answer waiters")
            self.stage, self.was_live = "live", True

    def _wanted(self, event: Event) -> None:
        wishes = {
            E.NEEDED: {"new": "up", "gone": "up"},
            E.PAUSE: {"up": "paused"},
            E.RESUME: {"paused": "up"},
            E.RESTART: {"paused": "up", "up": "up"},
            E.RECONFIGURE: {"up": "up"},
            E.REMOVE: {"up": "gone", "paused": "gone"},
            E.STOP: {"up": "stopped", "paused": "stopped", "gone": "stopped"},
        }[event]
        if self.wish not in wishes:
            return
        former, self.wish = self.wish, wishes[self.wish]
        knows_of_no_try = self.knows_failed or former in ("new", "paused")
        if self.wish == "paused":
            self.owes_paused = True
        elif self.wish != "up":
            self.owes_paused = False
        if self.stage and not self.told_to_end:
            is_asked_for = event in (E.RESTART, E.RECONFIGURE)
            self.said += ["tell connecting", "end"] if self.knows_failed and is_asked_for else ["end"]
            self.told_to_end = True
        elif not self.stage:
            self.said += ["cancel timer"] if self.timer else []
            self.timer = False
            self._follow(is_news=knows_of_no_try)

    def _ended(self, verdict: Event) -> None:
        if self.reached:
            self.said.append("tell disconnected")
        self.stage = ""
        if self.told_to_end:
            self.told_to_end = False
            self.said += ["log closed"] if self.wish == "gone" else []
            self._follow()
        elif verdict is E.ENDED_REST:
            self._ask()
        elif verdict is E.ENDED_RETRY:
            self.knows_failed = False
            self._wait()
            self.said.append("tell reconnecting")
        else:
            self._wait(timer=verdict is E.ENDED_PARK)
            self.said += [*([] if self.knows_failed else ["tell failed"]), "answer waiters"]
            self.knows_failed = True

    def _followed(self, stage: str) -> None:
        """By a connection that has come so far already: each step that it has taken is told at once."""
        self.stage, self.was_live = stage, False
        self.said += ["tell disconnected", "log next", "promote"]
        self.said += ["note upgrade"] if stage != "connecting" else []
        self.said += ["open session"] if stage == "subscribing" else []

    def _follow(self, *, is_news: bool = False) -> None:
        """There is no connection, and no wait for one. `is_news`: the streams know of no further try."""
        self.knows_failed = False
        if self.owes_paused:
            self.owes_paused, is_news = False, True
            self.said.append("tell paused")
        if self.wish == "up":
            self.said += ["tell connecting"] if is_news else []
            self._ask()
        elif self.wish == "gone":
            self.dropped = True
            self.said += ["drop", "answer waiters"]

    def _ask(self) -> None:
        self.asking = True
        self.said.append("ask limiter")

    def _wait(self, *, timer: bool = True) -> None:
        self.timer = timer
        self.said += [*(["set timer"] if timer else []), "log next"]

    def _shown(self) -> str:
        if self.wish == "paused":
            return "paused"
        if self.wish != "up":
            return "stopped"
        if self.told_to_end:
            return "connecting"
        if self.asking:
            return "failed" if self.knows_failed else "connecting"
        return self.stage or ("failed" if self.knows_failed else "backoff")

    def facts(self) -> tuple[object, ...]:
        flags = (self.stage != "", self.told_to_end, self.timer, self.asking, self.dropped)
        return self._shown(), *flags, self.said


# ── each row ────────────────────────────────────────────────────────────────────────────────────

CONNECTING = (E.NEEDED, E.ADMITTED)
LOGGING_IN = (*CONNECTING, E.UPGRADED)
SUBSCRIBING = (*LOGGING_IN, E.OPENED)
LIVE = (*SUBSCRIBING, E.SETTLED)
PARKED = (*CONNECTING, E.ENDED_PARK)

WAYS: Mapping[LineState, Sequence[Event]] = {
    S.NEW: (),
    S.ASKING: (E.NEEDED,),
    S.CONNECTING: CONNECTING,
    S.LOGGING_IN: LOGGING_IN,
    S.SUBSCRIBING: SUBSCRIBING,
    S.LIVE: LIVE,
    S.UNSETTLED: (*LIVE, E.UNSETTLED),
    S.BACKOFF: (*CONNECTING, E.ENDED_RETRY),
    S.PARKED: PARKED,
    S.ASKING_PROBE: (*PARKED, E.DUE),
    S.PROBING: (*PARKED, E.DUE, E.ADMITTED),
    S.FAILED: (*CONNECTING, E.ENDED_FAIL),
    S.PAUSED: (*LIVE, E.PAUSE, E.ENDED_REST),
    S.STOPPED: (*LIVE, E.STOP, E.ENDED_REST),
    S.GONE: (*LIVE, E.REMOVE, E.ENDED_REST),
    S.PAUSING: (*LIVE, E.PAUSE),
    S.PAUSING_EARLY: (*CONNECTING, E.PAUSE),
    S.RESUMING: (*LIVE, E.PAUSE, E.RESUME),
    S.RESUMING_EARLY: (*CONNECTING, E.PAUSE, E.RESUME),
    S.RESTARTING: (*LIVE, E.RESTART),
    S.RESTARTING_EARLY: (*CONNECTING, E.RESTART),
    S.REMOVING: (*LIVE, E.REMOVE),
    S.REMOVING_EARLY: (*CONNECTING, E.REMOVE),
    S.STOPPING: (*LIVE, E.STOP),
    S.STOPPING_EARLY: (*CONNECTING, E.STOP),
}


def after(events: Sequence[Event]) -> tuple[Line, Reckoning]:
    line, reckoning = Line(), Reckoning()
    for event in events:
        assert reckoning.may_be(event)
        line.handle(event)
        reckoning.handle(event)
        assert line.facts() == reckoning.facts()
    return line, reckoning


@pytest.mark.parametrize("state", LineState, ids=lambda state: state.name)
def test_each_state_is_reached_on_its_way(state: LineState) -> None:
    line, _ = after(WAYS[state])
    assert line.state is state


@pytest.mark.parametrize("event", Event, ids=lambda event: event.name)
@pytest.mark.parametrize("state", LineState, ids=lambda state: state.name)
def test_each_row(state: LineState, event: Event) -> None:
    """The table has a row for what can happen, and for nothing else; what follows agrees as well."""
    line, reckoning = after(WAYS[state])
    assert (step(state, event) is not None) == reckoning.may_be(event)
    if reckoning.may_be(event):
        for following in Event:
            line, reckoning = after((*WAYS[state], event))
            assert (step(line.state, following) is not None) == reckoning.may_be(following)
            if reckoning.may_be(following):
                after((*WAYS[state], event, following))


def test_the_table_has_a_row_for_every_case() -> None:
    assert len(LIFE) == 256
    assert {state for state, _ in LIFE} == set(LineState) - {S.GONE}
    assert {to for to, _ in LIFE.values()} == set(LineState) - {S.NEW}


@pytest.mark.parametrize("state", LineState, ids=lambda state: state.name)
def test_what_a_state_says_of_the_connection(state: LineState) -> None:
    _, reckoning = after(WAYS[state])
    assert state.is_reached == reckoning.reached
    assert state.is_open == (reckoning.stage in ("subscribing", "live") and not reckoning.told_to_end)


# ── whole lives ─────────────────────────────────────────────────────────────────────────────────


def words(*events: Event) -> list[str]:
    """What the streams are told of such a life."""
    line, told = Line(), []
    for event in events:
        line.handle(event)
        told += [said.removeprefix("tell ") for said in line.said if said.startswith("tell ")]
    return told


def test_a_loss_is_told_and_so_is_each_try() -> None:
    again = (E.DUE, E.ADMITTED)
    back = (*again, E.ENDED_RETRY, *again, E.UPGRADED, E.OPENED, E.SETTLED)
    assert words(*LIVE, E.ENDED_RETRY, *back) == [
        "connecting",
        "disconnected",
        "reconnecting",
        "reconnecting",
    ]


def test_failed_is_told_once_for_all_probes_that_do_not_reach_the_venue() -> None:
    probe = (E.DUE, E.DEFERRED, E.DUE, E.ADMITTED, E.ENDED_PARK)
    assert words(*PARKED, *probe, *probe) == ["connecting", "failed"]
    reached = (E.DUE, E.ADMITTED, E.UPGRADED, E.ENDED_PARK)
    assert words(*PARKED, *reached) == ["connecting", "failed", "disconnected", "failed"]


def test_failed_is_told_again_behind_another_word() -> None:
    """A reload may allow for more restarts, and take that back."""
    again = (E.DUE, E.ADMITTED)
    told = words(*PARKED, *again, E.ENDED_RETRY, *again, E.ENDED_PARK)
    assert told == ["connecting", "failed", "reconnecting", "failed"]


def test_failed_is_told_again_once_a_person_has_acted() -> None:
    told = words(*PARKED, E.RESTART, E.ADMITTED, E.ENDED_FAIL)
    assert told == ["connecting", "failed", "connecting", "failed"]
    told = words(*PARKED, E.PAUSE, E.RESUME, E.ADMITTED, E.ENDED_FAIL)
    assert told == ["connecting", "failed", "paused", "connecting", "failed"]


@pytest.mark.parametrize("asked", [E.RESTART, E.RECONFIGURE], ids=lambda event: event.name)
def test_a_try_that_was_asked_for_is_told_where_the_streams_know_of_none(asked: Event) -> None:
    probing = (*PARKED, E.DUE, E.ADMITTED)
    assert words(*probing, asked, E.ENDED_REST, E.ADMITTED) == ["connecting", "failed", "connecting"]
    retrying = (*CONNECTING, E.ENDED_RETRY)
    assert words(*retrying, asked, E.ADMITTED) == ["connecting", "reconnecting"]


@pytest.mark.parametrize("followed", FOLLOWED, ids=lambda event: event.name)
def test_a_loss_that_a_candidate_makes_up_for_is_told_and_no_try_is(followed: Event) -> None:
    rest = {"connecting": (E.UPGRADED, E.OPENED), "logging_in": (E.OPENED,)}.get(FOLLOWED[followed], ())
    assert words(*LIVE, followed, *rest, E.SETTLED) == ["connecting", "disconnected"]
    line, _ = after((*LIVE, followed, *rest, E.SETTLED))
    assert line.state is S.LIVE
    assert line.said == ["begin live", "answer waiters"]


@pytest.mark.parametrize("followed", FOLLOWED, ids=lambda event: event.name)
def test_a_candidate_that_took_over_and_is_lost_as_well_is_tried_again(followed: Event) -> None:
    told = words(*LIVE, followed, E.ENDED_RETRY)
    assert [word for word in told if word != "disconnected"] == ["connecting", "reconnecting"]
    line, _ = after((*LIVE, followed, E.ENDED_RETRY))
    assert line.state is S.BACKOFF


def test_a_pause_that_was_promised_is_told_also_where_it_was_undone() -> None:
    undone = (E.PAUSE, E.RESUME, E.PAUSE, E.RESUME, E.ENDED_REST, E.ADMITTED, E.UPGRADED)
    told = words(*LIVE, *undone, E.OPENED, E.SETTLED)
    assert told == ["connecting", "disconnected", "paused", "connecting"]


def test_an_upgrade_that_comes_late_is_told_as_a_loss() -> None:
    assert words(*CONNECTING, E.PAUSE, E.UPGRADED, E.ENDED_REST) == ["connecting", "disconnected", "paused"]
    assert words(*CONNECTING, E.PAUSE, E.ENDED_REST) == ["connecting", "paused"]


def test_a_line_that_is_removed_and_needed_again_is_live_again() -> None:
    """Also where it was paused before: a new wish has no memory of the old one."""
    again = (E.ENDED_REST, E.ADMITTED, E.UPGRADED, E.OPENED, E.SETTLED)
    line, _ = after((*LIVE, E.PAUSE, E.REMOVE, E.NEEDED, *again))
    assert line.state is S.LIVE


class Lives(RuleBasedStateMachine):
    """Anything that can happen, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.line, self.reckoning = Line(), Reckoning()

    @initialize()
    def begin(self) -> None:
        self.handle(E.NEEDED)

    @rule(choice=st.integers(0, 1_000))
    def go_on(self, choice: int) -> None:
        possible = [event for event in Event if self.reckoning.may_be(event)]
        if possible:
            self.handle(possible[choice % len(possible)])

    def handle(self, event: Event) -> None:
        self.line.handle(event)
        self.reckoning.handle(event)

    @invariant()
    def table_and_reckoning_agree(self) -> None:
        if self.line.state is not S.NEW:
            assert self.line.facts() == self.reckoning.facts()

    @invariant()
    def a_line_that_is_wanted_cannot_fall_silent(self) -> None:
        """It has a connection, a timer or a question to the limiter, or it waits for a person as FAILED."""
        if self.reckoning.wish == "up" and self.line.state is not S.FAILED:
            assert self.line.connection + self.line.timer + self.line.asking == 1

    @invariant()
    def what_is_not_wanted_does_not_connect(self) -> None:
        if self.reckoning.wish in ("paused", "gone", "stopped"):
            assert self.line.told_to_end or self.line.is_idle()
            assert self.line.told_to_end == self.line.connection


TestLives = Lives.TestCase

# ── rotation ────────────────────────────────────────────────────────────────────────────────────


class Rotating:
    """Carries out the table of rotation, with one question that waits for each wish."""

    def __init__(self) -> None:
        self.state = R.NONE
        self.questions = self.refused = self.answered = 0
        self.connect_rate = self.taken_over = self.followed = 0
        self.candidate = self.open = self.former = self.timer = False
        self.checking = self.asking = self.fit = False
        self.late = self.plans = self.plans_soon = 0
        self.following = False  # the candidate is the line's connection, and not live yet

    def handle(self, event: RotationEvent) -> None:
        self.questions += event is RE.WANTED
        self.fit = event is RE.FIT
        self.connect_rate += event is RE.ADMITTED
        if event in (RE.FORMER_DUE, RE.FORMER_HELD):
            self.timer = False
        found = rotation_step(self.state, event)
        assert found is not None, f"{event} in {self.state}"
        self.state, actions = found
        for action in actions:
            self._do(action, event)

    def _do(self, action: RotationAction, event: RotationEvent) -> None:
        match action:
            case RA.CHECK:
                assert not self.has_other()
                self.checking = True
            case RA.ASK_LIMITER:
                assert self.fit
                assert not self.has_other()
                self.checking, self.asking = False, True
            case RA.REFUSE:
                assert not self.has_other()
                self.questions, self.refused = 0, self.refused + self.questions
                self.checking = self.asking = self.following = False
            case RA.START:
                assert event is RE.ADMITTED
                self.candidate, self.asking = True, False
            case RA.OPEN_SESSION:
                assert self.candidate
                self.open = True
            case RA.TAKE_OVER:
                assert self.candidate
                assert self.open
                self.candidate = self.open = False
                self.former, self.taken_over = True, self.taken_over + 1
            case RA.FOLLOW:
                assert event is RE.LINE_LOST
                assert self.candidate
                self.candidate = self.open = False
                self.following, self.followed = True, self.followed + 1
            case RA.AWAIT_FORMER:
                assert self.former
                assert not self.timer
                self.timer = True
            case RA.DROP_CANDIDATE:
                assert self.candidate
                self.candidate = self.open = False
            case RA.END_FORMER:
                assert self.former
            case RA.FORGET_FORMER:
                assert self.former
                self.former = self.timer = False
            case RA.LOG_LATE:
                self.late += 1
            case RA.CONFIRM:
                assert not self.has_other()
                self.questions, self.answered = 0, self.answered + self.questions
                self.following = False
            case RA.PLAN:
                self.plans += 1
            case RA.PLAN_AGAIN:
                self.plans_soon += 1

    def has_other(self) -> bool:
        return self.candidate or self.former

    def facts(self) -> tuple[object, ...]:
        """How often it was refused, answered, taken over, late, planned, planned soon; what there is."""
        counts = (self.refused, self.answered, self.taken_over, self.late, self.plans, self.plans_soon)
        return (*counts, self.followed) if self.followed else counts, self.candidate, self.former


WANTED = (RE.WANTED, RE.FIT, RE.ADMITTED)
OPENED = (*WANTED, RE.UPGRADED, RE.OPENED)
OVER = (*OPENED, RE.SETTLED)
ROTATION_WAYS: Mapping[RotationState, Sequence[RotationEvent]] = {
    R.NONE: (),
    R.CHECKING: (RE.WANTED,),
    R.ASKING: (RE.WANTED, RE.FIT),
    R.CANDIDATE: WANTED,
    R.CANDIDATE_REACHED: (*WANTED, RE.UPGRADED),
    R.CANDIDATE_OPEN: OPENED,
    R.HANDING_OVER: OVER,
    R.FOLLOWING: (*OPENED, RE.LINE_LOST),
}
# What comes of each row: see `Rotating.facts`.
NOTHING = ((0, 0, 0, 0, 0, 0), False, False)
REFUSED = ((1, 0, 0, 0, 0, 0), False, False)
BESIDE = ((0, 0, 0, 0, 0, 0), True, False)  # a candidate stands beside the present connection
DROPPED = ((1, 0, 0, 0, 0, 0), False, False)
DROPPED_SOON = ((1, 0, 0, 0, 0, 1), False, False)
TAKEN_OVER = ((0, 0, 1, 0, 1, 0), False, True)
WHOLE = ((0, 1, 1, 0, 1, 0), False, False)
CUT_SHORT = ((0, 1, 1, 1, 1, 0), False, False)
FOLLOWS = ((0, 0, 0, 0, 0, 0, 1), False, False)  # and once followed
FOLLOWED_LIVE = ((0, 1, 0, 0, 0, 0, 1), False, False)
FOLLOWED_IN_VAIN = ((1, 0, 0, 0, 0, 0, 1), False, False)
ROTATION_ROWS: Mapping[tuple[RotationState, RotationEvent], tuple[RotationState, object]] = {
    (R.NONE, RE.WANTED): (R.CHECKING, NOTHING),
    (R.NONE, RE.LINE_LEFT): (R.NONE, NOTHING),
    (R.NONE, RE.LIVE): (R.NONE, NOTHING),
    (R.CHECKING, RE.UNFIT): (R.NONE, REFUSED),
    (R.CHECKING, RE.FIT): (R.ASKING, NOTHING),
    (R.ASKING, RE.DEFERRED): (R.NONE, REFUSED),
    (R.ASKING, RE.ADMITTED): (R.CANDIDATE, BESIDE),
    (R.CANDIDATE, RE.WANTED): (R.CANDIDATE, BESIDE),
    (R.CANDIDATE, RE.UPGRADED): (R.CANDIDATE_REACHED, BESIDE),
    (R.CANDIDATE, RE.OVERDUE): (R.NONE, DROPPED_SOON),
    (R.CANDIDATE, RE.ENDED): (R.NONE, DROPPED_SOON),
    (R.CANDIDATE, RE.LINE_LEFT): (R.NONE, DROPPED),
    (R.CANDIDATE, RE.LINE_LOST): (R.FOLLOWING, FOLLOWS),
    (R.CANDIDATE, RE.LIVE): (R.CANDIDATE, BESIDE),
    (R.CANDIDATE_REACHED, RE.WANTED): (R.CANDIDATE_REACHED, BESIDE),
    (R.CANDIDATE_REACHED, RE.OPENED): (R.CANDIDATE_OPEN, BESIDE),
    (R.CANDIDATE_REACHED, RE.OVERDUE): (R.NONE, DROPPED_SOON),
    (R.CANDIDATE_REACHED, RE.ENDED): (R.NONE, DROPPED_SOON),
    (R.CANDIDATE_REACHED, RE.LINE_LEFT): (R.NONE, DROPPED),
    (R.CANDIDATE_REACHED, RE.LINE_LOST): (R.FOLLOWING, FOLLOWS),
    (R.CANDIDATE_REACHED, RE.LIVE): (R.CANDIDATE_REACHED, BESIDE),
    (R.CANDIDATE_OPEN, RE.WANTED): (R.CANDIDATE_OPEN, BESIDE),
    (R.CANDIDATE_OPEN, RE.UNSETTLED): (R.CANDIDATE_OPEN, BESIDE),
    (R.CANDIDATE_OPEN, RE.SETTLED): (R.HANDING_OVER, TAKEN_OVER),
    (R.CANDIDATE_OPEN, RE.SETTLED_WORSE): (R.NONE, DROPPED_SOON),
    (R.CANDIDATE_OPEN, RE.OVERDUE): (R.NONE, DROPPED_SOON),
    (R.CANDIDATE_OPEN, RE.ENDED): (R.NONE, DROPPED_SOON),
    (R.CANDIDATE_OPEN, RE.LINE_LEFT): (R.NONE, DROPPED),
    (R.CANDIDATE_OPEN, RE.LINE_LOST): (R.FOLLOWING, FOLLOWS),
    (R.CANDIDATE_OPEN, RE.LIVE): (R.CANDIDATE_OPEN, BESIDE),
    (R.HANDING_OVER, RE.WANTED): (R.HANDING_OVER, TAKEN_OVER),
    (R.HANDING_OVER, RE.FORMER_HELD): (R.HANDING_OVER, TAKEN_OVER),
    (R.HANDING_OVER, RE.HANDED_OVER): (R.NONE, WHOLE),
    (R.HANDING_OVER, RE.FORMER_LOST): (R.NONE, CUT_SHORT),
    (R.HANDING_OVER, RE.FORMER_DUE): (R.NONE, CUT_SHORT),
    (R.HANDING_OVER, RE.LINE_LEFT): (R.NONE, CUT_SHORT),
    (R.HANDING_OVER, RE.LIVE): (R.HANDING_OVER, TAKEN_OVER),
    (R.FOLLOWING, RE.WANTED): (R.FOLLOWING, FOLLOWS),
    (R.FOLLOWING, RE.LIVE): (R.NONE, FOLLOWED_LIVE),
    (R.FOLLOWING, RE.LINE_LEFT): (R.NONE, FOLLOWED_IN_VAIN),
}


def test_every_row_of_rotation_has_its_case() -> None:
    assert ROTATION.keys() == ROTATION_ROWS.keys()


@pytest.mark.parametrize("row", ROTATION_ROWS, ids=lambda row: f"{row[0].name}-{row[1].name}")
def test_each_row_of_rotation(row: tuple[RotationState, RotationEvent]) -> None:
    state, event = row
    rotating = Rotating()
    for each in ROTATION_WAYS[state]:
        rotating.handle(each)
    assert rotating.state is state
    joins = event is RE.WANTED and rotating.questions
    rotating.handle(event)
    assert (rotating.state, rotating.facts()) == ROTATION_ROWS[row]
    assert rotating.timer == (rotating.state is R.HANDING_OVER)
    assert rotating.checking == (rotating.state is R.CHECKING)
    assert rotating.asking == (rotating.state is R.ASKING)
    assert rotating.open == (rotating.state is R.CANDIDATE_OPEN)
    assert rotating.following == (rotating.state is R.FOLLOWING)
    assert rotating.questions == (joins + 1 if rotating.state is not R.NONE else 0)


@pytest.mark.parametrize("ending", [RE.HANDED_OVER, RE.FORMER_LOST, RE.FORMER_DUE, RE.LINE_LEFT])
def test_the_former_connection_is_told_to_end_only_where_it_has_not(ending: RotationEvent) -> None:
    found = rotation_step(R.HANDING_OVER, ending)
    assert found is not None
    assert (RA.END_FORMER in found[1]) == (ending in (RE.FORMER_DUE, RE.LINE_LEFT))


@pytest.mark.parametrize("refusal", [(RE.UNFIT,), (RE.FIT, RE.DEFERRED)])
def test_a_rotation_that_is_refused_spends_no_connect(refusal: Sequence[RotationEvent]) -> None:
    rotating = Rotating()
    for event in (RE.WANTED, *refusal):
        rotating.handle(event)
    assert (rotating.connect_rate, rotating.refused, rotating.state) == (0, 1, R.NONE)


CANDIDATES = {  # and what a line is by it, where it takes over at once
    R.CANDIDATE: E.FOLLOWED_CONNECTING,
    R.CANDIDATE_REACHED: E.FOLLOWED_LOGGING_IN,
    R.CANDIDATE_OPEN: E.FOLLOWED_SUBSCRIBING,
}


@pytest.mark.parametrize("ended", Event, ids=lambda event: event.name)
@pytest.mark.parametrize("rotating", RotationState, ids=lambda state: state.name)
def test_weather_alone_leaves_the_line_to_its_candidate(rotating: RotationState, ended: Event) -> None:
    weather = ended in (E.ENDED_RETRY, E.ENDED_PARK)
    assert follows(rotating, ended) == (CANDIDATES.get(rotating) if weather else None)
    assert (rotation_step(rotating, RE.LINE_LOST) is not None) == (rotating in CANDIDATES)


class LineWithRotations(RuleBasedStateMachine):
    """Both tables together, as the supervisor joins them: no event is without its row."""

    def __init__(self) -> None:
        super().__init__()
        self.line, self.reckoning, self.rotating = Line(), Reckoning(), Rotating()
        self.wanted = 0

    @initialize()
    def begin(self) -> None:
        for event in LIVE:
            self.handle(event)

    @rule(choice=st.integers(0, 1_000))
    def the_line_goes_on(self, choice: int) -> None:
        possible = [event for event in Event if event not in FOLLOWED and self.reckoning.may_be(event)]
        if possible:
            self.handle(possible[choice % len(possible)])

    @rule(choice=st.integers(0, 1_000))
    def the_rotation_goes_on(self, choice: int) -> None:
        of_the_line = (RE.LINE_LEFT, RE.LINE_LOST, RE.LIVE)
        state = self.rotating.state
        possible = [event for each, event in ROTATION if each is state and event not in of_the_line]
        self.hear_of_rotation(possible[choice % len(possible)])
        if self.rotating.asking:
            self.rotating.handle((RE.ADMITTED, RE.DEFERRED)[choice % 2])

    @rule()
    def the_connection_is_lost(self) -> None:
        if self.reckoning.may_be(E.ENDED_RETRY):
            self.handle(E.ENDED_RETRY)

    def handle(self, event: Event) -> None:
        if event in VERDICTS:
            followed = follows(self.rotating.state, event)
            if followed is None:
                self.rotating.handle(RE.LINE_LEFT)
            event = followed or event
        self.line.handle(event)
        self.reckoning.handle(event)
        for said in self.line.said:
            if said in RELAYED:
                self.rotating.handle(RELAYED[said])

    def hear_of_rotation(self, event: RotationEvent) -> None:
        taken_over = self.rotating.taken_over
        self.wanted += event is RE.WANTED
        self.rotating.handle(event)
        if event is RE.WANTED and self.rotating.checking:
            self.rotating.handle(RE.FIT if self.line.state.is_open else RE.UNFIT)
        if self.rotating.taken_over > taken_over:
            self.handle(E.SETTLED)

    @invariant()
    def table_and_reckoning_agree(self) -> None:
        if self.line.state is not S.NEW:
            assert self.line.facts() == self.reckoning.facts()

    @invariant()
    def a_candidate_or_former_stands_beside_a_connection_that_is_to_stay(self) -> None:
        if self.rotating.has_other():
            assert self.line.state.is_open
        if self.rotating.following:
            assert self.line.state in (S.CONNECTING, S.LOGGING_IN, S.SUBSCRIBING)

    @invariant()
    def every_question_is_answered_once(self) -> None:
        rotating = self.rotating
        assert rotating.refused + rotating.answered + rotating.questions == self.wanted
        if rotating.state is R.NONE:
            assert not rotating.questions


RELAYED = {"promote": RE.LINE_LOST, "begin live": RE.LIVE, "end": RE.LINE_LEFT}
TestLineWithRotations = LineWithRotations.TestCase


class Rotations(RuleBasedStateMachine):
    """Anything that can happen to a line's rotations."""

    def __init__(self) -> None:
        super().__init__()
        self.rotating = Rotating()
        self.wanted = 0

    @rule(choice=st.integers(0, 1_000))
    def go_on(self, choice: int) -> None:
        possible = [event for state, event in ROTATION if state is self.rotating.state]
        event = possible[choice % len(possible)]
        self.wanted += event is RE.WANTED
        self.rotating.handle(event)

    @invariant()
    def there_is_at_most_one_other_connection_and_the_state_says_which(self) -> None:
        rotating = self.rotating
        assert rotating.candidate == (rotating.state in CANDIDATES)
        assert rotating.following == (rotating.state is R.FOLLOWING)
        assert rotating.former == rotating.timer == (rotating.state is R.HANDING_OVER)
        assert rotating.checking == (rotating.state is R.CHECKING)
        assert rotating.asking == (rotating.state is R.ASKING)

    @invariant()
    def every_question_is_answered_once(self) -> None:
        rotating = self.rotating
        assert rotating.refused + rotating.answered + rotating.questions == self.wanted
        if rotating.state is R.NONE:
            assert not rotating.questions

    @invariant()
    def each_connect_that_was_spent_had_a_candidate(self) -> None:
        rotating = self.rotating
        assert rotating.connect_rate >= rotating.taken_over + rotating.followed + rotating.candidate


TestRotations = Rotations.TestCase


@pytest.mark.parametrize("row", ROTATION, ids=lambda row: f"{row[0].name}-{row[1].name}")
def test_all_that_is_done_with_a_former_connection_is_done_before_it_is_forgotten(
    row: tuple[RotationState, RotationEvent],
) -> None:
    _, actions = ROTATION.get(row, (R.NONE, ()))
    if RA.FORGET_FORMER in actions:
        later = actions[actions.index(RA.FORGET_FORMER) :]
        assert {RA.END_FORMER, RA.LOG_LATE}.isdisjoint(later)
