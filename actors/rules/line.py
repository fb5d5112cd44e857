"""The life of a line and of its rotation, as tables: (state, event) → (next state, actions).

Sans-I/O: the supervisor reports events and carries out the actions in their order. An event that is not
in the row of a state is a defect: `step` returns None, the supervisor logs it, and the state stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum, auto
from typing import Literal, TypeAlias

ShownState = Literal[
    "connecting", "logging_in", "subscribing", "live", "backoff", "paused", "failed", "stopped"
]


class LineState(Enum):
    """Where a line stands. `*_EARLY`: told to end before the venue accepted its WebSocket."""

    NEW = auto()  # the record exists; the line was never started
    ASKING = auto()  # the connect limiter is being asked; its answer comes in the same turn
    CONNECTING = auto()
    LOGGING_IN = auto()  # the venue accepted the WebSocket
    SUBSCRIBING = auto()  # logged in; this life was not live yet
    LIVE = auto()
    UNSETTLED = auto()  # was live in this life; some topic waits for the venue's answer
    BACKOFF = auto()  # a timer starts it
    PARKED = auto()  # failed; a timer probes it
    ASKING_PROBE = auto()  # as ASKING, for a probe
    PROBING = auto()  # as CONNECTING; the streams know that the line has failed
    FAILED = auto()  # no timer: a person acts
    PAUSED = auto()
    STOPPED = auto()  # the runtime ends
    GONE = auto()  # the record is dropped
    # Told to end, and not ended yet; the name says what follows.
    PAUSING = auto()
    PAUSING_EARLY = auto()
    RESUMING = auto()  # resumed before it had ended: the streams still get `paused`
    RESUMING_EARLY = auto()
    RESTARTING = auto()
    RESTARTING_EARLY = auto()
    REMOVING = auto()
    REMOVING_EARLY = auto()
    STOPPING = auto()
    STOPPING_EARLY = auto()

    @property
    def shown(self) -> ShownState:
        """The word in status."""
        return _SHOWN[self]

    @property
    def is_reached(self) -> bool:
        """The venue accepted the WebSocket of the present connection."""
        return self in REACHED

    @property
    def is_open(self) -> bool:
        """Logged in, and not told to end."""
        return self in OPEN

    @property
    def is_leaving(self) -> bool:
        """Told to end, and not ended yet."""
        return self in EARLY or self in EARLY.values()

    @property
    def has_given_up(self) -> bool:
        """Failed: a probe at most tries it, and the venue has not accepted the WebSocket of that."""
        return self in GIVEN_UP

    @property
    def is_on_its_way(self) -> bool:
        """Between two connections, and it will be tried."""
        return self in ON_ITS_WAY

    @property
    def is_closing(self) -> bool:
        """Told to end, because the line is no longer needed."""
        return self in (LineState.REMOVING, LineState.REMOVING_EARLY)


class Event(Enum):
    NEEDED = auto()  # the config or a topic wants the line
    ADMITTED = auto()  # the connect limiter: connect now
    DEFERRED = auto()  # the connect limiter: not before its time
    DUE = auto()  # the timer of BACKOFF or PARKED
    UPGRADED = auto()  # the venue accepted the WebSocket
    OPENED = auto()  # logged in
    SETTLED = auto()  # every desired topic is confirmed or rejected
    UNSETTLED = auto()
    # The connection has ended, or did not come to be; `rules/restarts.py` has judged the reason.
    ENDED_RETRY = auto()
    ENDED_PARK = auto()  # failed, and probed
    ENDED_FAIL = auto()  # failed, and not probed
    ENDED_REST = auto()  # stopped, which the supervisor may or may not have asked for
    # It has ended, and its candidate, as far as that has come, is the line's connection from now on.
    FOLLOWED_CONNECTING = auto()
    FOLLOWED_LOGGING_IN = auto()
    FOLLOWED_SUBSCRIBING = auto()
    # What a person, the registry or a reload wants.
    PAUSE = auto()
    RESUME = auto()
    RESTART = auto()
    RECONFIGURE = auto()  # its new config holds for new connections only
    REMOVE = auto()
    STOP = auto()  # the runtime stops, or the program ends


class Action(Enum):
    ASK_LIMITER = auto()  # answered by ADMITTED or DEFERRED
    CONNECT = auto()  # start the connection of the next epoch
    PROMOTE = auto()  # the candidate is the line's connection
    END = auto()  # tell the present connection to end, and drop its candidate
    SET_TIMER = auto()  # to the seconds that come with the event
    CANCEL_TIMER = auto()
    NOTE_UPGRADE = auto()  # metrics and journal
    OPEN_SESSION = auto()  # tell registry and heartbeat; journal
    BEGIN_LIVE = auto()  # first in this life: journal, log, plans of rotation and of `stable_after`
    LOG_NEXT = auto()  # why the line is down, and what follows
    LOG_CLOSED = auto()
    TELL_CONNECTING = auto()  # TELL_*: the streams of the line, while it has no connection
    TELL_DISCONNECTED = auto()
    TELL_RECONNECTING = auto()
    TELL_FAILED = auto()
    TELL_PAUSED = auto()
    ANSWER_WAITERS = auto()  # the questions whether lines are live
    DROP = auto()  # forget the record


Step: TypeAlias = tuple[LineState, tuple[Action, ...]]
Rows: TypeAlias = dict[tuple[LineState, Event], Step]

S, E, A = LineState, Event, Action

OPEN = frozenset({S.SUBSCRIBING, S.LIVE, S.UNSETTLED})
GIVEN_UP = frozenset({S.PARKED, S.ASKING_PROBE, S.PROBING, S.FAILED})
ON_ITS_WAY = frozenset({S.ASKING, S.BACKOFF, S.CONNECTING, S.LOGGING_IN, S.SUBSCRIBING})
# With a connection that is to stay.
RUNNING = (S.CONNECTING, S.PROBING, S.LOGGING_IN, S.SUBSCRIBING, S.LIVE, S.UNSETTLED)
EARLY = {  # told to end before the venue accepted its WebSocket: the same, once it has
    S.PAUSING_EARLY: S.PAUSING,
    S.RESUMING_EARLY: S.RESUMING,
    S.RESTARTING_EARLY: S.RESTARTING,
    S.REMOVING_EARLY: S.REMOVING,
    S.STOPPING_EARLY: S.STOPPING,
}
REACHED = frozenset({S.LOGGING_IN, *EARLY.values()}) | OPEN
ENDED = (E.ENDED_RETRY, E.ENDED_PARK, E.ENDED_FAIL, E.ENDED_REST)
WISHES = (E.NEEDED, E.PAUSE, E.RESUME, E.RESTART, E.RECONFIGURE, E.REMOVE, E.STOP)

_SHOWN: Mapping[LineState, ShownState] = {
    S.NEW: "connecting",
    S.ASKING: "connecting",
    S.CONNECTING: "connecting",
    S.LOGGING_IN: "logging_in",
    S.SUBSCRIBING: "subscribing",
    S.LIVE: "live",
    S.UNSETTLED: "subscribing",
    S.BACKOFF: "backoff",
    S.PARKED: "failed",
    S.ASKING_PROBE: "failed",
    S.PROBING: "connecting",
    S.FAILED: "failed",
    S.PAUSED: "paused",
    S.STOPPED: "stopped",
    S.GONE: "stopped",
    **dict.fromkeys((S.PAUSING, S.PAUSING_EARLY), "paused"),
    **dict.fromkeys((S.RESUMING, S.RESUMING_EARLY), "connecting"),
    **dict.fromkeys((S.RESTARTING, S.RESTARTING_EARLY), "connecting"),
    **dict.fromkeys((S.REMOVING, S.REMOVING_EARLY), "stopped"),
    **dict.fromkeys((S.STOPPING, S.STOPPING_EARLY), "stopped"),
}


# These functions run at import, before mutmut chooses a change: tests/mutants changes their tables.
# pragma: no mutate start


def _row(states: Iterable[LineState], event: Event, to: LineState, *actions: Action) -> Rows:
    return {(state, event): (to, actions) for state in states}


def _stays(states: Iterable[LineState], *events: Event) -> Rows:
    """These change nothing, and are no defect."""
    return {(state, event): (state, ()) for state in states for event in events}


def _ended(state: LineState) -> Rows:
    """A connection that was to stay has ended."""
    probing = state is S.PROBING
    told = (A.TELL_DISCONNECTED,) if state in REACHED else ()
    failed = () if probing else (A.TELL_FAILED,)  # once: a probe that did not reach the venue is no news
    return {
        (state, E.ENDED_RETRY): (S.BACKOFF, (*told, A.SET_TIMER, A.LOG_NEXT, A.TELL_RECONNECTING)),
        (state, E.ENDED_PARK): (S.PARKED, (*told, A.SET_TIMER, A.LOG_NEXT, *failed, A.ANSWER_WAITERS)),
        (state, E.ENDED_FAIL): (S.FAILED, (*told, A.LOG_NEXT, *failed, A.ANSWER_WAITERS)),
        # Stopped, and not by the supervisor: the line is wanted all the same.
        (state, E.ENDED_REST): (S.ASKING_PROBE if probing else S.ASKING, (*told, A.ASK_LIMITER)),
    }


def _followed(state: LineState) -> Rows:
    """It has ended, and its candidate goes on: the streams get `disconnected`, and wait for no timer."""
    lost = (A.TELL_DISCONNECTED, A.LOG_NEXT, A.PROMOTE)
    return {
        (state, E.FOLLOWED_CONNECTING): (S.CONNECTING, lost),
        (state, E.FOLLOWED_LOGGING_IN): (S.LOGGING_IN, (*lost, A.NOTE_UPGRADE)),
        (state, E.FOLLOWED_SUBSCRIBING): (S.SUBSCRIBING, (*lost, A.NOTE_UPGRADE, A.OPEN_SESSION)),
    }


def _leaves(state: LineState) -> Rows:
    """From a connection that is to stay to one that is told to end."""
    pausing, _, restarting, removing, stopping = _told_to_end(reached=state in REACHED)
    told = (A.TELL_CONNECTING,) if state is S.PROBING else ()
    return {
        (state, E.PAUSE): (pausing, (A.END,)),
        (state, E.RESTART): (restarting, (*told, A.END)),
        (state, E.RECONFIGURE): (restarting, (*told, A.END)),
        (state, E.REMOVE): (removing, (A.END,)),
        (state, E.STOP): (stopping, (A.END,)),
        **_stays([state], E.NEEDED, E.RESUME),
    }


def _told_to_end(*, reached: bool) -> tuple[LineState, ...]:
    return tuple(EARLY.values() if reached else EARLY)


def _leaving(*, reached: bool) -> Rows:
    """Told to end: what comes of another wish, and of the end. The verdict on the end has no effect."""
    pausing, resuming, restarting, removing, stopping = _told_to_end(reached=reached)
    told = (A.TELL_DISCONNECTED,) if reached else ()
    follows: dict[LineState, Step] = {
        pausing: (S.PAUSED, (*told, A.TELL_PAUSED)),
        resuming: (S.ASKING, (*told, A.TELL_PAUSED, A.TELL_CONNECTING, A.ASK_LIMITER)),
        restarting: (S.ASKING, (*told, A.ASK_LIMITER)),
        removing: (S.GONE, (*told, A.LOG_CLOSED, A.DROP, A.ANSWER_WAITERS)),
        stopping: (S.STOPPED, told),
    }
    return {
        **_row([pausing], E.RESUME, resuming),
        **_row([pausing], E.RESTART, resuming),
        **_stays([pausing], E.NEEDED, E.PAUSE, E.RECONFIGURE),
        **_row([resuming, restarting], E.PAUSE, pausing),
        **_stays([resuming, restarting], E.NEEDED, E.RESUME, E.RESTART, E.RECONFIGURE),
        **_row([removing], E.NEEDED, restarting),
        **_stays([removing], E.PAUSE, E.RESUME, E.RESTART, E.RECONFIGURE, E.REMOVE),
        **_row([pausing, resuming, restarting], E.REMOVE, removing),
        **_row([pausing, resuming, restarting, removing], E.STOP, stopping),
        **_stays([stopping], *WISHES),
        **{(state, event): step for state, step in follows.items() for event in ENDED},
    }


# pragma: no mutate end

LIFE: Mapping[tuple[LineState, Event], Step] = {
    **_row([S.NEW], E.NEEDED, S.ASKING, A.TELL_CONNECTING, A.ASK_LIMITER),
    # ── the way in ──
    **_row([S.ASKING], E.ADMITTED, S.CONNECTING, A.CONNECT),
    **_row([S.ASKING], E.DEFERRED, S.BACKOFF, A.SET_TIMER, A.LOG_NEXT),
    **_row([S.ASKING_PROBE], E.ADMITTED, S.PROBING, A.CONNECT),
    **_row([S.ASKING_PROBE], E.DEFERRED, S.PARKED, A.SET_TIMER, A.LOG_NEXT),
    **_row([S.CONNECTING, S.PROBING], E.UPGRADED, S.LOGGING_IN, A.NOTE_UPGRADE),
    **_row([S.LOGGING_IN], E.OPENED, S.SUBSCRIBING, A.OPEN_SESSION),
    **_row([S.SUBSCRIBING], E.SETTLED, S.LIVE, A.BEGIN_LIVE, A.ANSWER_WAITERS),
    **_stays([S.SUBSCRIBING], E.UNSETTLED),
    # ── up ──
    **_row([S.LIVE], E.UNSETTLED, S.UNSETTLED),
    **_row([S.UNSETTLED], E.SETTLED, S.LIVE, A.ANSWER_WAITERS),
    **_stays([S.LIVE], E.SETTLED),
    **_stays([S.UNSETTLED], E.UNSETTLED),
    # ── told to end ──
    **{key: step for state in RUNNING for key, step in _leaves(state).items()},
    **_leaving(reached=False),
    **_leaving(reached=True),
    **{(early, E.UPGRADED): (reached, ()) for early, reached in EARLY.items()},
    **_stays(EARLY.values(), E.OPENED, E.SETTLED, E.UNSETTLED),  # they were on their way
    # ── ended ──
    **{key: step for state in RUNNING for key, step in _ended(state).items()},
    **{key: step for state in OPEN for key, step in _followed(state).items()},  # no other has a candidate
    # ── down ──
    **_row([S.BACKOFF], E.DUE, S.ASKING, A.ASK_LIMITER),
    **_row([S.PARKED], E.DUE, S.ASKING_PROBE, A.ASK_LIMITER),
    **_row([S.BACKOFF], E.RESTART, S.ASKING, A.CANCEL_TIMER, A.ASK_LIMITER),
    **_row([S.BACKOFF], E.RECONFIGURE, S.ASKING, A.CANCEL_TIMER, A.ASK_LIMITER),
    **_row([S.PARKED], E.RESTART, S.ASKING, A.CANCEL_TIMER, A.TELL_CONNECTING, A.ASK_LIMITER),
    **_row([S.PARKED], E.RECONFIGURE, S.ASKING, A.CANCEL_TIMER, A.TELL_CONNECTING, A.ASK_LIMITER),
    **_row([S.BACKOFF, S.PARKED], E.PAUSE, S.PAUSED, A.CANCEL_TIMER, A.TELL_PAUSED),
    **_row([S.BACKOFF, S.PARKED], E.REMOVE, S.GONE, A.CANCEL_TIMER, A.DROP, A.ANSWER_WAITERS),
    **_row([S.BACKOFF, S.PARKED], E.STOP, S.STOPPED, A.CANCEL_TIMER),
    **_row([S.FAILED], E.RESTART, S.ASKING, A.TELL_CONNECTING, A.ASK_LIMITER),
    **_row([S.FAILED], E.RECONFIGURE, S.ASKING, A.TELL_CONNECTING, A.ASK_LIMITER),
    **_row([S.FAILED], E.PAUSE, S.PAUSED, A.TELL_PAUSED),
    **_row([S.PAUSED], E.RESUME, S.ASKING, A.TELL_CONNECTING, A.ASK_LIMITER),
    **_row([S.PAUSED], E.RESTART, S.ASKING, A.TELL_CONNECTING, A.ASK_LIMITER),
    **_row([S.FAILED, S.PAUSED], E.REMOVE, S.GONE, A.DROP, A.ANSWER_WAITERS),
    **_row([S.FAILED, S.PAUSED], E.STOP, S.STOPPED),
    **_stays([S.BACKOFF, S.PARKED, S.FAILED], E.NEEDED, E.RESUME),
    **_stays([S.PAUSED], E.NEEDED, E.PAUSE, E.RECONFIGURE),
    **_stays([S.STOPPED], *WISHES),
}


def step(state: LineState, event: Event) -> Step | None:
    """The row of the table; None: it has none, which is a defect of the caller's."""
    return LIFE.get((state, event))


# ── rotation: a new connection takes over from the present one ──────────────────────────────────


class RotationState(Enum):
    NONE = auto()
    CHECKING = auto()  # whether the line can be rotated now; resolved in the same turn
    ASKING = auto()  # the connect limiter is being asked, last; resolved in the same turn
    CANDIDATE = auto()  # connects beside the present connection
    CANDIDATE_REACHED = auto()  # the venue accepted its WebSocket
    CANDIDATE_OPEN = auto()  # logged in; its topics wait for their answers
    HANDING_OVER = auto()  # the candidate is the line's connection; the former one reads to its end
    FOLLOWING = auto()  # the candidate is the line's connection, for the former one is lost; not live yet


class RotationEvent(Enum):
    WANTED = auto()  # by a person, by `rotate_every`, or by a token that ends soon
    FIT = auto()
    UNFIT = auto()  # the line is not up, or a full stream holds it
    ADMITTED = auto()  # the connect limiter: connect now
    DEFERRED = auto()  # the connect limiter: not before its time
    UPGRADED = auto()
    OPENED = auto()
    SETTLED = auto()
    SETTLED_WORSE = auto()  # the venue refused it a topic that the present connection has
    UNSETTLED = auto()
    OVERDUE = auto()  # the candidate had its time, or brought too much
    ENDED = auto()  # the candidate did, or did not come to be
    LINE_LEFT = auto()  # the present connection has ended, or is told to, and the candidate ends with it
    LINE_LOST = auto()  # the present connection has ended, and the candidate goes on
    LIVE = auto()  # the line is, for the first time in the life of its present connection
    HANDED_OVER = auto()  # the former connection has ended, and had read all
    FORMER_LOST = auto()  # it has ended before it had
    FORMER_DUE = auto()  # it had its time, or is wedged
    FORMER_HELD = auto()  # it had its time; a full stream or an inline handler holds it


class RotationAction(Enum):
    CHECK = auto()  # answered by FIT or UNFIT
    ASK_LIMITER = auto()  # answered by ADMITTED or DEFERRED
    REFUSE = auto()  # answer the questions with the reason why not
    START = auto()  # the candidate, and its deadline
    OPEN_SESSION = auto()  # tell the registry
    TAKE_OVER = auto()  # the candidate becomes the line's connection, once the former has read all
    FOLLOW = auto()  # the candidate becomes the line's connection at once
    AWAIT_FORMER = auto()  # set the timer of its time to hand over
    DROP_CANDIDATE = auto()
    END_FORMER = auto()  # tell the former connection to end, and cut its socket
    LOG_LATE = auto()  # what the former connection left unread may be missing
    FORGET_FORMER = auto()  # and tell the dispatcher that it is gone
    CONFIRM = auto()  # answer the questions: it has been done
    PLAN = auto()  # the next one
    PLAN_AGAIN = auto()  # the same, soon


RotationStep: TypeAlias = tuple[RotationState, tuple[RotationAction, ...]]

R, RE, RA = RotationState, RotationEvent, RotationAction

CANDIDATES = (R.CANDIDATE, R.CANDIDATE_REACHED, R.CANDIDATE_OPEN)
_DROPPED = (RA.DROP_CANDIDATE, RA.REFUSE)
_LEFT_LATE = (RA.LOG_LATE, RA.FORGET_FORMER, RA.CONFIRM)

ROTATION: Mapping[tuple[RotationState, RotationEvent], RotationStep] = {
    # The limiter comes last: a rotation that is refused for another reason spends no connect.
    (R.NONE, RE.WANTED): (R.CHECKING, (RA.CHECK,)),
    (R.CHECKING, RE.UNFIT): (R.NONE, (RA.REFUSE,)),
    (R.CHECKING, RE.FIT): (R.ASKING, (RA.ASK_LIMITER,)),
    (R.ASKING, RE.DEFERRED): (R.NONE, (RA.REFUSE,)),
    (R.ASKING, RE.ADMITTED): (R.CANDIDATE, (RA.START,)),
    # ── a candidate: whatever goes wrong, the present connection goes on ──
    (R.CANDIDATE, RE.UPGRADED): (R.CANDIDATE_REACHED, ()),
    (R.CANDIDATE_REACHED, RE.OPENED): (R.CANDIDATE_OPEN, (RA.OPEN_SESSION,)),
    (R.CANDIDATE_OPEN, RE.UNSETTLED): (R.CANDIDATE_OPEN, ()),
    (R.CANDIDATE_OPEN, RE.SETTLED): (R.HANDING_OVER, (RA.TAKE_OVER, RA.AWAIT_FORMER, RA.PLAN)),
    (R.CANDIDATE_OPEN, RE.SETTLED_WORSE): (R.NONE, (*_DROPPED, RA.PLAN_AGAIN)),
    **{
        (state, event): (R.NONE, (*_DROPPED, RA.PLAN_AGAIN))
        for state in CANDIDATES
        for event in (RE.OVERDUE, RE.ENDED)
    },
    **{(state, RE.LINE_LEFT): (R.NONE, _DROPPED) for state in CANDIDATES},
    **{(state, RE.LINE_LOST): (R.FOLLOWING, (RA.FOLLOW,)) for state in CANDIDATES},
    **{(state, RE.LIVE): (state, ()) for state in CANDIDATES},
    # ── handing over ──
    (R.HANDING_OVER, RE.FORMER_HELD): (R.HANDING_OVER, (RA.AWAIT_FORMER,)),
    (R.HANDING_OVER, RE.HANDED_OVER): (R.NONE, (RA.FORGET_FORMER, RA.CONFIRM)),
    (R.HANDING_OVER, RE.FORMER_LOST): (R.NONE, _LEFT_LATE),
    (R.HANDING_OVER, RE.FORMER_DUE): (R.NONE, (RA.END_FORMER, *_LEFT_LATE)),
    (R.HANDING_OVER, RE.LINE_LEFT): (R.NONE, (RA.END_FORMER, *_LEFT_LATE)),
    (R.HANDING_OVER, RE.LIVE): (R.HANDING_OVER, ()),
    # ── the former connection is lost: whether it is done shows when the line is live ──
    (R.FOLLOWING, RE.LIVE): (R.NONE, (RA.CONFIRM,)),
    (R.FOLLOWING, RE.LINE_LEFT): (R.NONE, (RA.REFUSE,)),
    # ── what changes nothing ──
    **{
        (state, RE.WANTED): (state, ()) for state in (*CANDIDATES, R.HANDING_OVER, R.FOLLOWING)
    },  # it waits for the one that has begun
    (R.NONE, RE.LINE_LEFT): (R.NONE, ()),
    (R.NONE, RE.LIVE): (R.NONE, ()),
}

# The present connection ends by itself beside such a candidate.
_FOLLOWS: Mapping[RotationState, Event] = {
    R.CANDIDATE: E.FOLLOWED_CONNECTING,
    R.CANDIDATE_REACHED: E.FOLLOWED_LOGGING_IN,
    R.CANDIDATE_OPEN: E.FOLLOWED_SUBSCRIBING,
}


def follows(rotating: RotationState, ended: Event) -> Event | None:
    """The event by which the candidate takes over at once; None: there is none, or it ends as well.

    What is not retried, or was asked for, is no weather: the candidate would meet the same.
    """
    return _FOLLOWS.get(rotating) if ended in (E.ENDED_RETRY, E.ENDED_PARK) else None


def rotation_step(state: RotationState, event: RotationEvent) -> RotationStep | None:
    """The row of the table; None: it has none, which is a defect of the caller's."""
    return ROTATION.get((state, event))
