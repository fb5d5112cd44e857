"""What a program may count of a runtime: an interface, and a default that counts nothing.

Give `start(config, metrics=…)` an object with these three methods, over whatever library you use; an object
with `inc` and `set_gauge` goes through `IncMetrics`. `start` checks that each method can be called.
They are called on the threads of lines and of the log (`actors.log_queue`). A method that waits makes that
line, or the log, wait with it, and no other part of the runtime. What one raises is logged once a line, and
counted in `metrics_errors` of the status.

| name | kind | labels |
| --- | --- | --- |
| `linewarden_line_starts_total` | counter | feed, line |
| `linewarden_line_connects_total` | counter | feed, line |
| `linewarden_line_stops_total` | counter | feed, line, kind (of its reason) |
| `linewarden_line_errors_total` | counter | feed, line, code |
| `linewarden_events_total` | counter | feed, line |
| `linewarden_quarantined_total` | counter | feed, line |
| `linewarden_last_event_age_seconds` | gauge, at each ping | feed, line |
| `linewarden_kernel_bytes` | gauge, at each ping | feed, line |
| `linewarden_rtt_seconds` | observed, at each pong | feed, line |
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from functools import partial
from types import CodeType
from typing import Any, Final, Protocol, cast

from actors import log_queue
from actors.errors import LinewardenError

log = log_queue.logger("actors.metrics")


class Metrics(Protocol):
    """Any thread may call these; they return at once."""

    def increment(self, name: str, value: int = 1, /, **labels: str) -> None:
        """A counter goes up by `value`."""

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        """A measure is `value` now."""

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """One more sample of a distribution."""


class NoMetrics:
    """Counts nothing."""

    def increment(self, name: str, value: int = 1, /, **labels: str) -> None:
        pass

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        pass

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        pass


class IncMetrics:
    """The interface over an object with `inc(name, value)` and `set_gauge(name, value)`.

    Labels go to a parameter `labels` or `tags`, or to a third one without default, as a mapping; else to
    `**labels`. Where a method takes none, they are part of the name:
    `linewarden_events_total{feed="o2",line="o2"}`. Samples go to `observe`, if the object has it, else to
    `set_gauge`.

    Raises:
        LinewardenError: a method is missing, or cannot be called.
    """

    def __init__(self, target: object) -> None:
        check_methods(target, {"inc": 1, "set_gauge": 1.0}, "IncMetrics takes an object", labels=False)
        self._inc, self._set_gauge = _with_labels(target, "inc"), _with_labels(target, "set_gauge")
        has_observe = callable(getattr(target, "observe", None))
        self._observe = _with_labels(target, "observe") if has_observe else self._set_gauge

    def increment(self, name: str, value: int = 1, /, **labels: str) -> None:
        self._inc(name, value, labels)

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        self._set_gauge(name, value, labels)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        self._observe(name, value, labels)


Way = Callable[[str, float, dict[str, str]], tuple[tuple[object, ...], dict[str, Any]]]

# How a method may take labels: the arguments of a call. The first way in which it can be called counts.
WAYS: Final[tuple[tuple[str, Way], ...]] = (
    ("labels", lambda name, value, labels: ((name, value), {"labels": labels})),
    ("tags", lambda name, value, labels: ((name, value), {"tags": labels})),
    ("", lambda name, value, labels: ((name, value), labels)),
    ("", lambda name, value, labels: ((_named(name, labels), value), {})),
    ("", lambda name, value, labels: ((name, value, labels), {})),
)


def _with_labels(target: object, name: str) -> Callable[[str, float, dict[str, str]], object]:
    """A call of this method that hands labels over in the way that it takes them."""
    method = getattr(target, name)
    signature = _signature(method)
    for keyword, way in WAYS:
        if signature is None or _takes(signature, keyword, way):
            break
    else:
        why = f"its {name} cannot be called with a name and a value"
        raise LinewardenError(f"the metrics object {target!r} cannot be used: {why}")

    def call(text: str, value: float, labels: dict[str, str]) -> object:
        arguments, keywords = way(text, value, labels)
        return method(*arguments, **keywords)

    return call


def _takes(signature: inspect.Signature, keyword: str, way: Way) -> bool:
    """Whether a call in this way is possible; `keyword`: the parameter that it is about."""
    parameter = signature.parameters.get(keyword)
    if keyword and (parameter is None or parameter.kind is parameter.VAR_KEYWORD):
        return False
    try:
        for more in BESIDE:
            arguments, keywords = way("name", 1, {"feed": "", "line": "", **more})
            signature.bind(*arguments, **keywords)
    except TypeError:
        return False
    return True


def _named(name: str, labels: dict[str, str]) -> str:
    return name + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"


METHODS: Final = {"increment": 1, "gauge": 1.0, "observe": 1.0}
# Labels of `increment`, beside feed and line.
BESIDE: Final[tuple[dict[str, str], ...]] = ({"kind": ""}, {"code": ""})


def checked(metrics: object | None) -> Metrics:
    """The object that a program gave; None: one that counts nothing.

    Raises:
        LinewardenError: a method is missing, or cannot be called as it will be.
    """
    if metrics is None:
        return NoMetrics()
    advice = "metrics= takes an object"
    if not hasattr(metrics, "increment") and hasattr(metrics, "inc") and hasattr(metrics, "set_gauge"):
        advice = "Wrap it: metrics=actors.metrics.IncMetrics(it). Without that, metrics= takes an object"
    check_methods(metrics, METHODS, advice)
    return cast(Metrics, metrics)


def check_methods(target: object, methods: Mapping[str, float], advice: str, *, labels: bool = True) -> None:
    """Raises LinewardenError, with all that is wrong of them in one sentence."""
    wrong = [why for name, value in methods.items() if (why := _wrong(target, name, value, labels=labels))]
    if isinstance(target, type) and wrong:
        wrong.append("it is a class, and an object of it is wanted")
    if wrong:
        known = ", ".join(f"{name}(name, value{', **labels' * labels})" for name in methods)
        raise LinewardenError(
            f"the metrics object {target!r} cannot be used: {'; '.join(wrong)}. {advice} with {known}"
        )


def _wrong(target: object, name: str, value: float, *, labels: bool) -> str:
    """What is wrong with this method; empty: nothing."""
    try:
        method = getattr(target, name)
    except AttributeError:
        return f"it has no {name}"
    except Exception as error:  # of a property
        return f"its {name} cannot be read ({type(error).__name__}: {error})"
    if not callable(method):
        return f"its {name} cannot be called"
    if kind := _lazy_kind(method):
        return f"its {name} is a {kind} function, and no call runs it"
    signature = _signature(method)
    if signature is None:
        return ""
    more_labels = BESIDE if name == "increment" else ({},)
    for more in more_labels if labels else ():
        try:
            signature.bind("name", value, feed="", line="", **more)
        except TypeError as error:
            return f"its {name} cannot be called with a name, a value and labels ({error})"
    return ""


def _lazy_kind(method: Callable[..., object]) -> str:
    """Of a function whose body no call runs; empty: it is none. A mock's code is no code."""
    code = getattr(method, "__code__", None)
    if not isinstance(code, CodeType):
        return ""
    if code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
        return "generator"
    return "coroutine" if code.co_flags & inspect.CO_COROUTINE else ""


def _signature(method: Callable[..., object]) -> inspect.Signature | None:
    """None: it is not known, as with some functions in C."""
    try:
        return inspect.signature(method)
    except (TypeError, ValueError):
        return None


class UserMetrics:
    """The object that a program gave, and how often a call of it has failed. Any thread."""

    def __init__(self, metrics: Metrics) -> None:
        self.counts = type(metrics) is not NoMetrics  # False: nothing is made of what is told here
        self.errors = 0
        self._metrics = metrics
        self._lock = threading.Lock()

    def call(self, method: str, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Raises whatever the method raises; that has been counted."""
        try:
            result = getattr(self._metrics, method)(f"linewarden_{name}", value, **labels)
            if inspect.iscoroutine(result) or inspect.isgenerator(result):
                result.close()
                kind = type(result).__name__
                raise LinewardenError(f"{method} returned a {kind}, and nothing runs it")  # noqa: TRY301
        except BaseException:
            with self._lock:
                self.errors += 1
            raise


class LineMetrics:
    """A user's metrics as one line sees them: its labels, and no way to raise into an actor."""

    def __init__(self, metrics: UserMetrics, feed: str, line: str) -> None:
        self._metrics = metrics
        self.counts = metrics.counts
        self._labels = {"feed": feed, "line": line}
        self._first = threading.Lock()  # taken by the first failure, and kept

    def increment(self, name: str, value: int = 1, **labels: str) -> None:
        self._call("increment", name, value, labels)

    def increment_later(self, name: str, **labels: str) -> None:
        """The same, from an actor that must not wait for a program's object."""
        if self.counts:
            log_queue.call_later(partial(self._call, "increment", name, 1, labels))

    def gauge(self, name: str, value: float) -> None:
        self._call("gauge", name, value, {})

    def observe(self, name: str, value: float) -> None:
        self._call("observe", name, value, {})

    def _call(self, method: str, name: str, value: float, labels: dict[str, str]) -> None:
        if not self.counts:
            return
        try:
            self._metrics.call(method, name, value, self._labels | labels)
        except BaseException:  # the thread is a line's: `sys.exit()` in a metrics object must not end that
            if self._first.acquire(blocking=False):
                log.exception(
                    "metrics.failed",
                    "The metrics of %s failed; further failures are not logged.",
                    self._labels["line"],
                    line=self._labels["line"],
                    feed=self._labels["feed"],
                )
