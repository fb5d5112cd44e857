"""Every error that Linewarden raises to users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from actors.display.escaping import printable_rows

if TYPE_CHECKING:
    from actors.events import Freshness, SubscriptionState, Topic, Tried


TOLD = 20  # topics or lines that the text of an error names


class LinewardenError(Exception):
    """The root of all errors that Linewarden raises on purpose.

    Another process gets it as it was, by pickle: the pools of Celery, `multiprocessing` and
    `concurrent.futures` send errors so. A stream in it becomes its text.
    """

    def __str__(self) -> str:
        """Its text, which may quote a venue or a client, without characters that control a terminal."""
        return printable_rows(super().__str__())

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (type(self), self.args), self._state()

    def _state(self) -> dict[str, Any]:
        """The attributes that another process can have."""
        return self.__dict__


class ConfigError(LinewardenError):
    """A config has mistakes: `problems` holds one sentence for each of them.

    Every sentence names the file, the table, the key, what was expected and, where there is
    one, the nearest known name.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class SubscribeError(LinewardenError):
    """Not every topic was confirmed in time. The stream is open all the same.

    `stream` is the open stream; `results` has the state of each topic. `why` is told where the wait was cut
    short, or a line is down.
    """

    def __init__(self, stream: object, results: Mapping[Topic, SubscriptionState], why: str = "") -> None:
        self.stream = stream
        self.results = dict(results)
        missing = [(topic, state) for topic, state in results.items() if state.state != "confirmed"]
        told = [
            f"{topic}: {state.state}" + (f" ({state.reason})" if state.reason else "")
            for topic, state in missing[:TOLD]
        ]
        more = f"; and {len(missing) - TOLD:,} more" if len(missing) > TOLD else ""
        super().__init__("not confirmed: " + "; ".join(told) + more + (f"; {why}" if why else ""))

    def _state(self) -> dict[str, Any]:
        return self.__dict__ | {"stream": str(self.stream)}


class RotationFailed(LinewardenError):
    """Some line was not rotated: its connection is the one that it was, and goes on.

    `lines` has the reason of each line.
    """

    def __init__(self, lines: Mapping[str, str]) -> None:
        self.lines = dict(lines)
        super().__init__("not rotated: " + "; ".join(f"{line}: {why}" for line, why in lines.items()))


class StreamClosed(LinewardenError):
    """`Closed` was delivered: nothing follows it in this stream."""

    def __init__(self, reason: str, stream: object = "the stream") -> None:
        self.reason = reason
        super().__init__(f"{stream} is closed: {reason}")


class RuntimeStopped(LinewardenError):
    """The runtime has ended and cannot answer this call."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__("the runtime has stopped" + (f": {reason}" if reason != "stopped" else ""))


class Blind(LinewardenError):
    """Something that was required is not fresh: `reasons` says what and why, one `Freshness` for each."""

    def __init__(self, reasons: Sequence[Freshness]) -> None:
        self.reasons = tuple(reasons)
        more = f"; and {len(reasons) - TOLD:,} more" if len(reasons) > TOLD else ""
        super().__init__("not fresh: " + "; ".join(map(str, reasons[:TOLD])) + more)


class NotLiveError(LinewardenError):
    """Lines that are not live yet, each with its reason in `reasons`. They go on trying."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self.reasons = dict(reasons)
        told = [f"{line}: {reason}" for line, reason in islice(self.reasons.items(), TOLD)]
        more = f"; and {len(reasons) - TOLD:,} more" if len(reasons) > TOLD else ""
        text = f"not live: {'; '.join(told)}{more}"
        super().__init__(text if told else "the runtime did not answer in time")


class StalePriceError(LinewardenError):
    """No price of this symbol is fresh enough. `tried`: what was looked at, and why it was not taken."""

    def __init__(self, message: str, tried: Sequence[Tried] = ()) -> None:
        self.tried = tuple(tried)
        super().__init__(message)


class AskError(LinewardenError):
    """A read of a venue brought nothing: `AskRefusedError` or `AskFailedError`."""


class AskRefusedError(AskError):
    """The venue refused a read. `code` has a meaning for this `endpoint`; `words` are the venue's."""

    def __init__(self, feed: str, endpoint: str, code: int | None, name: str = "", words: str = "") -> None:
        self.feed, self.endpoint, self.code, self.name, self.words = feed, endpoint, code, name, words
        named = " ".join(filter(None, ("" if code is None else str(code), name)))
        super().__init__(f"{feed}: {endpoint} was refused ({': '.join(filter(None, (named, words)))})")


class AskFailedError(AskError):
    """A read has no answer, or none that can be read. `code` is short and stable.

    `retry_after`: seconds after which it may be asked for again; None: not known.
    """

    def __init__(self, feed: str, why: str, code: str, retry_after: float | None = None) -> None:
        self.feed, self.why, self.code, self.retry_after = feed, why, code, retry_after
        super().__init__(f"{feed}: {why}")


class ServiceUnreachableError(LinewardenError):
    """No service answers at an address, or it cannot answer now. The message says which, and what to do.

    `is_absent`: no process listens there.
    """

    def __init__(self, message: str, *, is_absent: bool = False) -> None:
        self.is_absent = is_absent
        super().__init__(message)


class ServiceDeclinedError(LinewardenError):
    """A service declines a request; the message has its reason. The same request will be declined again.

    `status`: that of HTTP, such as 404 for a feed or key that is not known, 400 for a parameter or key that
    is not understood, 401 for the token, 403 for a right that is missing; 429: too often, so it may succeed
    later; None: the request was not sent.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


class ForkError(LinewardenError):
    """A runtime was used in a forked child: its threads stayed behind in the parent."""

    def __init__(self) -> None:
        super().__init__(
            "this runtime was started before a fork, and its threads are not in this process. "
            "Call actors.start() after the fork (gunicorn: in post_fork, without preload_app)."
        )


class Timeout(LinewardenError, TimeoutError):
    """Nothing came within the time that the caller gave. The stream or runtime is unaffected."""


def _made_again(kind: type[LinewardenError], words: tuple[object, ...]) -> LinewardenError:
    """Without `__init__`, whose arguments are not those of the text."""
    return kind.__new__(kind, *words)
