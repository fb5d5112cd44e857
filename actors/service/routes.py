"""The routes of the service as a table; each answer is a method.

A new page is a row in `routes` and a method.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from urllib.parse import unquote

import msgspec
from msgspec import Struct

from actors import log_queue
from actors.errors import ConfigError, LinewardenError, RuntimeStopped, Timeout
from actors.runtime import Runtime
from actors.service.commands import LINE_COMMANDS, Commands
from actors.service.followed_books import FollowedBooks
from actors.service.market_answers import MarketAnswers
from actors.service.opened import Opened
from actors.service.responses import (
    ReloadAnswer,
    RequestDeclined,
    ServiceRequest,
    ServiceResponse,
    parse_switch,
)
from actors.service.status_answers import StatusAnswers
from actors.service.switches import Switches
from actors.service.tail import Tail, open_tail
from actors.status import Status, why_not_live
from actors.trading.halting import shown

log = log_queue.logger("actors.service")

RELOADING = (
    "a reload is running already, and this request counts as the same; if the config has changed since that "
    "one began, reload again when it has ended"
)
TAIL_IS_NO_PAGE = (
    "/tail is a WebSocket, which a plain GET cannot read: use `linewarden tail FEED CHANNEL KEY`, or a "
    "WebSocket client at ws:// or wss://"
)
LONGEST_TARGET = 200  # characters; the name of a line is shorter


class ServiceRoute(Struct, frozen=True):
    """`path` ends with a slash where the rest of a request's path is its `argument`."""

    method: str  # GET includes HEAD
    path: str
    answer: Callable[[ServiceRequest], ServiceResponse | Tail]
    argument: str = ""  # its name in messages
    open: bool = False  # needs no token
    at_once: bool = False  # asks no actor: answered by the thread that listens, so it needs no place

    def __str__(self) -> str:
        return f"{self.method} {self.path}{self.argument}"

    def leads_to(self, path: str) -> bool:
        return path.startswith(self.path) and path != self.path if self.argument else path == self.path


class ServiceRoutes:
    """Answers requests about one runtime. Any thread may call."""

    def __init__(
        self,
        runtime: Runtime,
        reload: Callable[[bool], ReloadAnswer] | None,
        switches: Switches,
        books: FollowedBooks,
        commands: Commands,
        opened: Opened,
    ) -> None:
        self._runtime = runtime
        self._reload = reload
        self._switches = switches
        self._books = books
        self._commands = commands
        self._opened = opened
        self._reloading = threading.Lock()
        self._statuses = StatusAnswers(self._status, lambda: runtime._shared.change)
        market = MarketAnswers(runtime, books)
        self.routes = (
            ServiceRoute("GET", "/status", self.status),
            ServiceRoute("GET", "/healthz", self.healthz, open=True, at_once=True),
            ServiceRoute("GET", "/readyz", self.readyz, open=True),
            ServiceRoute("GET", "/latest/", market.latest, "FEED/KEY"),
            ServiceRoute("GET", "/book/", market.book, "FEED/KEY"),
            ServiceRoute("GET", "/fresh/", market.fresh, "FEED[/CHANNEL[/KEY]]"),
            *(ServiceRoute("POST", f"/{name}/", self.command, "TARGET") for name in LINE_COMMANDS),
            ServiceRoute("POST", "/cooldowns/clear", self.clear_cooldowns),
            ServiceRoute("POST", "/cooldowns/clear/", self.clear_cooldowns, "ACCOUNT"),
            ServiceRoute("POST", "/halt", self.halt),
            ServiceRoute("POST", "/halt/", self.halt, "TARGET"),
            ServiceRoute("POST", "/beat/", self.beat, "FEED"),
            ServiceRoute("POST", "/reload", self.reload),
            ServiceRoute("GET", "/journal", self.journal),
            ServiceRoute("GET", "/journal/", self.journal, "LINE"),
            ServiceRoute("GET", "/tail", self.tail),
        )

    def route(self, method: str, path: str) -> ServiceRoute:
        """Raises: RequestDeclined: no such path (404), or not with that method (405)."""
        there = [route for route in self.routes if route.leads_to(path)]
        wanted = "GET" if method == "HEAD" else method
        for route in there:
            if route.method == wanted:
                return route
        if not there:
            raise RequestDeclined(404, _nothing_at(path, self.routes))
        allowed = ", ".join(route.method.replace("GET", "GET, HEAD") for route in there)
        raise RequestDeclined(405, f"use {allowed} for this path", ("Allow", allowed))

    def is_open(self, path: str) -> bool:
        """Whether this path needs no token."""
        return any(route.open and route.leads_to(path) for route in self.routes)

    def answer(self, route: ServiceRoute, asked: ServiceRequest) -> ServiceResponse | Tail:
        """Every error becomes a response. No traceback leaves this process."""
        rest = asked.path.removeprefix(route.path)
        asked = msgspec.structs.replace(asked, argument=unquote(rest), argument_as_sent=rest)
        try:
            return route.answer(asked)
        except RequestDeclined as refused:
            return refused.answer
        except ConfigError as error:
            return ServiceResponse(400, {"error": str(error), "problems": error.problems})
        except (RuntimeStopped, Timeout) as error:
            return ServiceResponse(503, {"error": str(error)})
        except LinewardenError as error:
            return ServiceResponse(400, {"error": str(error)})
        except Exception:
            log.exception("service.request_failed", "%s could not be answered.", route)
            return ServiceResponse(500, {"error": "an unexpected error; see the log of the service"})

    # ── the answers ──

    def status(self, asked: ServiceRequest) -> ServiceResponse:
        return ServiceResponse(200, self._statuses.json())

    def _status(self) -> Status:
        """That of the runtime; a book that only requests follow is not among what is `untrusted`."""
        status, hidden = self._runtime.status(), {str(topic) for topic in self._books.of_requests()}
        if hidden.isdisjoint(status.untrusted):
            return status
        shown = {name: found for name, found in status.untrusted.items() if name not in hidden}
        return msgspec.structs.replace(status, untrusted=shown)

    def healthz(self, asked: ServiceRequest) -> ServiceResponse:
        """Whether the process runs; asks no actor and shows nothing else."""
        return ServiceResponse(200, {"ok": True})

    def readyz(self, asked: ServiceRequest) -> ServiceResponse:
        """Whether every feed is live, and with `?fresh=1` fresh; with the token, also what is not."""
        unknown = [name for name, _ in asked.query if name != "fresh"]
        if unknown:
            raise RequestDeclined(400, f"readyz takes fresh=1 and nothing else, not {unknown[0][:40]!r}")
        status = self._statuses.status()
        answer: dict[str, object] = {"live": status.state == "live"}
        reasons: dict[str, object] = {"not_live": why_not_live(status, None)}
        if parse_switch(dict(asked.query).get("fresh", "0"), "fresh"):
            answer["fresh"] = not status.untrusted
            reasons["not_fresh"] = status.untrusted
        is_ready = all(answer.values())
        shown = answer if is_ready or not asked.known else answer | reasons
        return ServiceResponse(200 if is_ready else 503, shown)

    def command(self, asked: ServiceRequest) -> ServiceResponse:
        """One of `LINE_COMMANDS`."""
        name, target = asked.path.split("/")[1], asked.argument
        if len(target) > LONGEST_TARGET:
            raise RequestDeclined(404, f"no feed or line has a name of more than {LONGEST_TARGET} characters")
        return self._commands.to_lines(name, target, asked.caller.client)

    def clear_cooldowns(self, asked: ServiceRequest) -> ServiceResponse:
        """Of one account or feed, or of all."""
        if len(asked.argument) > LONGEST_TARGET:
            raise RequestDeclined(404, f"no account has a name of more than {LONGEST_TARGET} characters")
        self._commands.count(asked.caller.client)
        try:
            return ServiceResponse(200, {"cleared": self._runtime.clear_cooldowns(asked.argument or None)})
        except (RuntimeStopped, Timeout):
            raise
        except LinewardenError as error:
            raise RequestDeclined(404, str(error)) from None

    def halt(self, asked: ServiceRequest) -> ServiceResponse:
        """Halts a feed, an account of it, or all, `?reason=TEXT`. Nothing here ends a halt.

        `&cancel=1`, `&all=1`: orders are taken back, in the background; the log tells of each.
        """
        given = _words(asked, "halt", ("reason", "cancel", "all"))
        cancel = parse_switch(given.get("cancel", "0"), "cancel")
        handle = self._runtime.halt(
            asked.argument,
            reason=given.get("reason", ""),
            cancel=cancel,
            all_orders=parse_switch(given.get("all", "0"), "all"),
        )
        return ServiceResponse(202 if cancel else 200, {"halt": shown(handle.halt)})

    def beat(self, asked: ServiceRequest) -> ServiceResponse:
        """A program that a switch watches is alive, `?by=NAME`; `&last=1`: it ends in good order."""
        given = _words(asked, "a beat", ("by", "last"))
        last = parse_switch(given.get("last", "0"), "last")
        self._switches.beat(asked.argument, given.get("by", ""), last=last)
        return ServiceResponse(200, {"ok": True})

    def reload(self, asked: ServiceRequest) -> ServiceResponse:
        """`?plan=1`: lists the changes and makes none."""
        if self._reload is None:
            raise RequestDeclined(404, "this service has no config to read again")
        unknown = [name for name, _ in asked.query if name != "plan"]
        if unknown:
            raise RequestDeclined(400, f"a reload takes plan=1 and nothing else, not {unknown[0][:40]!r}")
        plan = parse_switch(dict(asked.query).get("plan", "0"), "plan")
        if not plan:
            self._commands.count(asked.caller.client)
        if not self._reloading.acquire(blocking=False):
            if plan:
                raise RequestDeclined(409, "a reload is running; try again when it has ended")
            return ServiceResponse(202, {"answer": RELOADING, "changes": (), "problems": ()})
        try:
            return ServiceResponse(200, self._reload(plan))
        finally:
            self._reloading.release()

    def journal(self, asked: ServiceRequest) -> ServiceResponse:
        """The last endings of every line, or of one, and what its venue said of itself, oldest first."""
        lines = self._statuses.status().lines()
        if asked.argument and asked.argument not in lines:
            name = asked.argument[:LONGEST_TARGET]
            near = get_close_matches(name, lines, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f". There are: {', '.join(lines) or 'none'}."
            raise RequestDeclined(404, f"there is no line {name!r}{hint}")
        wanted = [asked.argument] if asked.argument else list(lines)
        return ServiceResponse(200, {name: lines[name].entries() for name in wanted})

    def tail(self, asked: ServiceRequest) -> Tail:
        if not asked.upgrade:
            raise RequestDeclined(426, TAIL_IS_NO_PAGE, ("Upgrade", "websocket"))
        return open_tail(self._runtime, self._opened, asked.caller.client, asked.query)


def _words(asked: ServiceRequest, name: str, known: Sequence[str]) -> dict[str, str]:
    """The query. Raises RequestDeclined for what it does not take."""
    for key, _ in asked.query:
        if key not in known:
            raise RequestDeclined(400, f"{name} takes {', '.join(known)} and nothing else, not {key[:40]!r}")
    return dict(asked.query)


def _nothing_at(path: str, routes: Sequence[ServiceRoute]) -> str:
    path = path[:LONGEST_TARGET]
    near = get_close_matches(path, [route.path for route in routes], 1)
    hint = f"; did you mean {near[0]}?" if near else "."
    return f"there is no path {path!r}{hint} There are: {', '.join(map(str, routes))}."
