"""What can be asked of a running service, as a table; each answer is a method.

A new page is a row in `routes` and a method beside the others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from urllib.parse import unquote

import msgspec
from msgspec import Struct

from actors import log_queue
from actors.calls import CALL
from actors.errors import ConfigError, LinewardenError, RuntimeStopped, Timeout
from actors.runtime import Runtime
from actors.service.responses import ReloadAnswer, RequestRefused, ServiceRequest, ServiceResponse, the_switch
from actors.service.tail import Tail, open_tail

log = log_queue.logger("actors.service")

LONGEST_TARGET = 200  # characters; the name of a line is shorter


class Route(Struct, frozen=True):
    """`path` ends with a slash where the rest of a request's path is its `argument`."""

    method: str  # GET is HEAD, too
    path: str
    answer: Callable[[ServiceRequest], ServiceResponse | Tail]
    argument: str = ""  # what people call it
    open: bool = False  # asked without a token

    def __str__(self) -> str:
        return f"{self.method} {self.path}{self.argument}"

    def leads_to(self, path: str) -> bool:
        return path.startswith(self.path) and path != self.path if self.argument else path == self.path


class ServiceRoutes:
    """The runtime as others may ask it. Any thread may call."""

    def __init__(self, runtime: Runtime, reload: Callable[[bool], ReloadAnswer] | None) -> None:
        self._runtime = runtime
        self._reload = reload
        self._reloading = threading.Lock()
        self.routes = (
            Route("GET", "/status", self.status),
            Route("GET", "/healthz", self.healthz, open=True),
            Route("GET", "/readyz", self.readyz, open=True),
            Route("POST", "/restart/", self.command, "TARGET"),
            Route("POST", "/pause/", self.command, "TARGET"),
            Route("POST", "/resume/", self.command, "TARGET"),
            Route("POST", "/reload", self.reload),
            Route("GET", "/journal", self.journal),
            Route("GET", "/journal/", self.journal, "LINE"),
            Route("GET", "/tail", self.tail),
        )

    def route(self, method: str, path: str) -> Route:
        """Raises: RequestRefused: nothing is there (404), or not by that method (405)."""
        there = [route for route in self.routes if route.leads_to(path)]
        wanted = "GET" if method == "HEAD" else method
        for route in there:
            if route.method == wanted:
                return route
        if not there:
            raise RequestRefused(404, _nothing_at(path, self.routes))
        allowed = ", ".join(route.method.replace("GET", "GET, HEAD") for route in there)
        raise RequestRefused(405, f"this is asked by {allowed}", ("Allow", allowed))

    def is_open(self, path: str) -> bool:
        """Whether this is told to everybody."""
        return any(route.open and route.leads_to(path) for route in self.routes)

    def answer(self, route: Route, asked: ServiceRequest) -> ServiceResponse | Tail:
        """Whatever happens is an answer. No traceback leaves this process."""
        rest = asked.path.removeprefix(route.path)
        asked = msgspec.structs.replace(asked, argument=unquote(rest))
        try:
            return route.answer(asked)
        except RequestRefused as refused:
            return refused.answer
        except ConfigError as error:
            return ServiceResponse(400, {"error": str(error), "problems": error.problems})
        except (RuntimeStopped, Timeout) as error:
            return ServiceResponse(503, {"error": str(error)})
        except LinewardenError as error:
            return ServiceResponse(400, {"error": str(error)})
        except Exception:
            log.exception("%s could not be answered.", route)
            return ServiceResponse(
                500, {"error": "something failed while this was answered; the log says what"}
            )

    # ── what is asked ──

    def status(self, asked: ServiceRequest) -> ServiceResponse:
        return ServiceResponse(200, self._runtime.status())

    def healthz(self, asked: ServiceRequest) -> ServiceResponse:
        """Whether the process lives; asks no actor, and tells nothing else."""
        return ServiceResponse(200, {"ok": True})

    def readyz(self, asked: ServiceRequest) -> ServiceResponse:
        """Whether every feed is live; and what is not, for those who bear the token."""
        status = self._runtime.status()
        if status.state == "live":
            return ServiceResponse(200, {"live": True})
        if not asked.known:
            return ServiceResponse(503, {"live": False})
        not_live = {
            name: f"{line.state}: {line.reason.text}" if line.reason else line.state
            for name, line in status.lines().items()
            if line.state != "live"
        }
        return ServiceResponse(503, {"live": False, "not_live": not_live})

    def command(self, asked: ServiceRequest) -> ServiceResponse:
        """restart, pause or resume: the supervisor's methods of those names."""
        name, target = asked.path.split("/")[1], asked.argument
        if len(target) > LONGEST_TARGET:
            raise RequestRefused(404, f"no feed or line has a name of more than {LONGEST_TARGET} characters")
        try:
            return ServiceResponse(
                202, {"answer": getattr(self._runtime.supervisor, name)(target).get(timeout=CALL)}
            )
        except (RuntimeStopped, Timeout):
            raise
        except LinewardenError as error:
            raise RequestRefused(404, str(error)) from None

    def reload(self, asked: ServiceRequest) -> ServiceResponse:
        """`?plan=1`: say what would change, and change nothing."""
        if self._reload is None:
            raise RequestRefused(404, "this service has no config that it could read again")
        unknown = [name for name, _ in asked.query if name != "plan"]
        if unknown:
            raise RequestRefused(400, f"a reload takes plan=1 and nothing else, not {unknown[0][:40]!r}")
        plan = the_switch(dict(asked.query).get("plan", "0"), "plan")
        if not self._reloading.acquire(blocking=False):
            raise RequestRefused(409, "another reload is under way; ask again when it is done")
        try:
            return ServiceResponse(200, self._reload(plan))
        finally:
            self._reloading.release()

    def journal(self, asked: ServiceRequest) -> ServiceResponse:
        """The last endings of every line, or of one, oldest first."""
        lines = self._runtime.status().lines()
        if asked.argument and asked.argument not in lines:
            near = get_close_matches(asked.argument[:LONGEST_TARGET], lines, 1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise RequestRefused(404, f"there is no line {asked.argument[:LONGEST_TARGET]!r}{hint}")
        wanted = [asked.argument] if asked.argument else list(lines)
        return ServiceResponse(200, {name: lines[name].journal for name in wanted})

    def tail(self, asked: ServiceRequest) -> Tail:
        if not asked.upgrade:
            raise RequestRefused(426, "/tail is a WebSocket: ask with an upgrade", ("Upgrade", "websocket"))
        return open_tail(self._runtime, asked.query)


def _nothing_at(path: str, routes: Sequence[Route]) -> str:
    near = get_close_matches(path[:LONGEST_TARGET], [route.path for route in routes], 1)
    hint = f"; did you mean {near[0]}?" if near else "."
    return f"there is nothing at {path[:LONGEST_TARGET]!r}{hint} There are: {', '.join(map(str, routes))}."
