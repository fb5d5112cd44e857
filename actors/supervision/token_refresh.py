"""Another token for lines that are live or have failed: `Runtime.refresh_token`.

All lines or none: each live line gets a candidate that shows the new token, and each failed line is
restarted with it. Once every candidate has settled and every failed line is live, all candidates take over,
and the token is kept. If anything goes wrong before that, the candidates are dropped; the former token was
kept all the while.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from actors.actor import Reply
from actors.calls import CALL, answer_of_lines
from actors.errors import LinewardenError, NotLiveError, RotationFailed, Timeout
from actors.feed_spec import FeedSpec
from actors.messages import AbandonRotation, CommitRotation, LoginPaused, PrepareRotation
from actors.protocol.conversation import Token
from actors.reasons import Slow
from actors.supervision.proxy import SupervisorProxy
from actors.supervision.state import LineView
from actors.timers import bounded, seconds_left
from actors.wire.connect import ConnectCancel, ConnectFailed


class Operations(Protocol):
    """The operations on lines that a refresh is made of: those of `Runtime`."""

    @property
    def supervisor(self) -> SupervisorProxy: ...

    def wait_live(self, target: str | None = ..., timeout: float | None = ...) -> None: ...


def refresh_token(
    operations: Operations,
    ask: Callable[[Any], Reply],
    spec: FeedSpec,
    lines_now: Callable[[], Mapping[str, LineView]],
    token: str | None,
    timeout: float,
    refuse: Callable[[], None],
) -> None:
    """On the caller's thread. `ask` asks the supervisor; `refuse` raises if this thread may not wait."""
    deadline, feed = time.monotonic() + timeout, spec.venue.feed
    given = None if token is None else spec.venue.given_token(token)
    try:
        with spec.token_store.one_trial(timeout, given=given is not None) as is_needed:
            if is_needed:
                _Refresh(operations, ask, spec, lines_now(), timeout, deadline, refuse).run(given)
    except TimeoutError as error:
        if isinstance(error, Timeout):
            raise
        raise Timeout(f"{feed}: another refresh_token was under way for {timeout:g} s") from None


class _Refresh:
    """One trial of a token."""

    def __init__(
        self,
        operations: Operations,
        ask: Callable[[Any], Reply],
        spec: FeedSpec,
        known: Mapping[str, LineView],
        timeout: float,
        deadline: float,
        refuse: Callable[[], None],
    ) -> None:
        self._refuse = refuse
        self._operations, self._ask, self._spec = operations, ask, spec
        self._feed, self._timeout, self._deadline = spec.venue.feed, timeout, deadline
        lines = [name for name in known if spec.venue.needs_token(name)]
        if not lines:
            raise LinewardenError(f"{self._feed}: none of its lines shows a token")
        self._live = tuple(name for name in lines if known[name].live_at is not None)
        self._failed = tuple(name for name in lines if known[name].state.shown == "failed")

    def run(self, given: Token | None) -> None:
        store = self._spec.token_store
        self._begin(given)
        try:
            self._ask(AbandonRotation(self._feed, "another token was given")).get(timeout=CALL)
            for lines in (self._live[:1], self._live[1:]):  # a token that is no good costs one refusal
                self._wait(PrepareRotation(self._feed, lines))
            for line in self._failed:
                self._try_again(line)
            self._wait(CommitRotation(self._feed))
        except BaseException as error:  # out of time, interrupted, stopped: it is not proved
            store.end_trial()
            self._abandon(error)
            raise
        store.accept()

    def _begin(self, given: Token | None) -> None:
        """There is a token on trial."""
        connect_cancel = ConnectCancel()
        overdue = threading.Timer(bounded(seconds_left(self._deadline)), connect_cancel.cancel)
        overdue.daemon = True
        overdue.start()
        try:
            left = bounded(seconds_left(self._deadline))
            self._spec.token_store.begin_trial(given, connect_cancel, left, self._failed)
        except ConnectFailed as error:
            if connect_cancel.cancelled:
                raise Timeout(f"{self._feed}: no new token within {self._timeout:g} s") from None
            if isinstance(error.reason, Slow):
                self._ask(LoginPaused(self._feed, error.reason)).get(timeout=CALL)
            raise LinewardenError(f"{self._feed}: no new token: {error.reason.text}") from None
        finally:
            overdue.cancel()

    def _wait(self, message: Any) -> None:
        """Raises RotationFailed where a line cannot take over, with what the venue told of it."""
        late = f"{self._feed}: the new token was not taken by all lines within {self._timeout:g} s"
        told = answer_of_lines(self._ask(message), seconds_left(self._deadline), self._refuse, late)
        if failed := {line: why for line, why in told.items() if why}:
            raise RotationFailed(failed)

    def _try_again(self, line: str) -> None:
        """A line that has failed, with the new token."""
        self._operations.supervisor.restart(line).get(timeout=CALL)
        try:
            self._operations.wait_live(line, seconds_left(self._deadline))
        except NotLiveError as error:
            raise RotationFailed(error.reasons) from None

    def _abandon(self, error: BaseException) -> None:
        """No candidate takes over. Where one had to before that, the error says so."""
        with contextlib.suppress(LinewardenError):  # the runtime has ended
            why = "the new token was given up"
            over = self._ask(AbandonRotation(self._feed, why)).get(timeout=CALL)
            if over:
                note = "lost their connections meanwhile and show the new token until they connect again"
                error.add_note(f"{', '.join(over)} {note}; the former one is kept")
