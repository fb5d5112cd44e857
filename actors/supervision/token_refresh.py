"""Another token for lines that are live or have failed: `Runtime.refresh_token`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from actors.calls import CALL
from actors.errors import LinewardenError, NotLiveError, RotationFailed, RuntimeStopped, Timeout
from actors.feed_spec import FeedSpec
from actors.login.token_store import StoredToken
from actors.protocol.conversation import Token
from actors.supervision.proxy import SupervisorProxy
from actors.supervision.state import LineView
from actors.timers import bounded, seconds_left
from actors.wire.connect import ConnectCancel, ConnectFailed


class Operations(Protocol):
    """The operations on lines that a refresh is made of: those of `Runtime`."""

    @property
    def supervisor(self) -> SupervisorProxy: ...

    def rotate(self, target: str, timeout: float = ...) -> None: ...

    def wait_live(self, target: str | None = ..., timeout: float | None = ...) -> None: ...


def refresh_token(
    operations: Operations,
    spec: FeedSpec,
    lines_now: Callable[[], Mapping[str, LineView]],
    token: str | None,
    timeout: float,
) -> None:
    """On the caller's thread. Whatever goes wrong, the former token is back in its place."""
    deadline = time.monotonic() + timeout
    known = lines_now()
    lines = [name for name in known if spec.venue.needs_token(name)]
    if not lines:
        raise LinewardenError(f"{spec.venue.feed}: none of its lines shows a token")
    given = None if token is None else spec.venue.given_token(token)
    failed = [name for name in lines if known[name].state.shown == "failed"]
    former = _replace(spec, given, failed, timeout, deadline)
    try:
        for name in lines:
            if name in failed:
                _try_again(operations, name, deadline)
            elif known[name].live_at is not None:
                _rotate(operations, lines_now, name, deadline)
    except BaseException:  # out of time, interrupted, stopped: it is not proved
        spec.token_store.restore(former)
        raise
    spec.token_store.accept()


def _replace(
    spec: FeedSpec, given: Token | None, failed: Sequence[str], timeout: float, deadline: float
) -> StoredToken:
    """What was held before, once there is a new one."""
    connect_cancel = ConnectCancel()
    overdue = threading.Timer(bounded(seconds_left(deadline)), connect_cancel.cancel)
    overdue.daemon = True
    overdue.start()
    try:
        return spec.token_store.replace(given, connect_cancel, bounded(seconds_left(deadline)), failed)
    except ConnectFailed as error:
        feed = spec.venue.feed
        if connect_cancel.cancelled:
            raise Timeout(f"{feed}: no new token within {timeout:g} s") from None
        raise LinewardenError(f"{feed}: no new token: {error.reason.text}") from None
    finally:
        overdue.cancel()


def _rotate(
    operations: Operations, lines_now: Callable[[], Mapping[str, LineView]], line: str, deadline: float
) -> None:
    """A line that is live. One that is closing, or has closed meanwhile, needs no token."""
    try:
        operations.rotate(line, seconds_left(deadline))
    except RuntimeStopped:
        raise
    except LinewardenError:
        view = lines_now().get(line)
        if view is not None and not view.state.is_closing:
            raise


def _try_again(operations: Operations, line: str, deadline: float) -> None:
    """A line that has failed, with another token."""
    operations.supervisor.restart(line).get(timeout=CALL)
    try:
        operations.wait_live(line, seconds_left(deadline))
    except NotLiveError as error:
        raise RotationFailed(error.reasons) from None
