"""The routes of the service as a table; each answer is a method.

A new page is a row in `routes` and a method.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from urllib.parse import unquote

import msgspec
from msgspec import Struct

from actors import log_queue
from actors.errors import ConfigError, LinewardenError, RuntimeStopped, Timeout
from actors.runtime import Runtime
from actors.service.access import without_right, without_rights
from actors.service.commands import LINE_COMMANDS, Commands
from actors.service.draining import LONGEST as LONGEST_DRAIN
from actors.service.draining import USUAL as USUAL_DRAIN
from actors.service.draining import Draining
from actors.service.followed_books import FollowedBooks
from actors.service.log_levels import LONGEST, ROOT, LogLevels
from actors.service.market_answers import MarketAnswers
from actors.service.opened import Opened
from actors.service.owner_answers import OwnerAnswers
from actors.service.readiness import Readiness
from actors.service.responses import (
    ReloadAnswer,
    RequestDeclined,
    ServiceRequest,
    ServiceResponse,
    parse_seconds,
    parse_switch,
    parse_words,
)
from actors.service.rights import Caller, Needed
from actors.service.status_answers import StatusAnswers
from actors.service.switches import Switches
from actors.service.tail import Tail, open_tail
from actors.service.without_account import without_account
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
READY, UNREADY, DRAINING = "ready", "unready", "draining"
LONGEST_TARGET = 200  # characters; the name of a line is shorter


class ServiceRoute(Struct, frozen=True):
    """`path` ends with a slash where the rest of a request's path is its `argument`."""

    method: str  # GET includes HEAD
    path: str
    needed: Needed  # without it the request is refused
    answer: Callable[[ServiceRequest], ServiceResponse | Tail]
    argument: str = ""  # its name in messages
    # An answer without an actor and without a wait: it needs no thread and no place. None: there is none now.
    at_once: Callable[[ServiceRequest], ServiceResponse | None] = lambda _: None
    in_turn: bool = False  # one thread answers all of these, one after the other; any other has its own

    def __str__(self) -> str:
        return f"{self.method} {self.path}{self.argument}"

    def leads_to(self, path: str) -> bool:
        return path.startswith(self.path) and path != self.path if self.argument else path == self.path


class ServiceRoutes:
    """Answers requests about one runtime. Any thread may call; one at a time routes that are `in_turn`."""

    def __init__(
        self,
        runtime: Runtime,
        reload: Callable[[bool], ReloadAnswer] | None,
        switches: Switches,
        books: FollowedBooks,
        commands: Commands,
        opened: Opened,
        log_levels: LogLevels,
        draining: Draining,
    ) -> None:
        self._runtime = runtime
        self._reload = reload
        self._switches = switches
        self._books = books
        self._commands = commands
        self._opened = opened
        self._log_levels = log_levels
        self._draining = draining
        self._reloading = threading.Lock()
        self._readiness = Readiness(lambda: runtime._shared.change)
        self._statuses = StatusAnswers(self._status, lambda: runtime._shared.change)
        market, owner = MarketAnswers(runtime, books), OwnerAnswers(runtime)
        self.routes = (
            ServiceRoute("GET", "/status", "look", self.status, in_turn=True),
            ServiceRoute("GET", "/healthz", "nothing", self.healthz, at_once=self.healthz),
            ServiceRoute(
                "GET", "/readyz", "nothing", self.readyz, at_once=self._recent_readiness, in_turn=True
            ),
            ServiceRoute("GET", "/latest/", "look", market.latest, "FEED/KEY"),
            ServiceRoute("GET", "/book/", "look", market.book, "FEED/KEY"),
            ServiceRoute("GET", "/fresh/", "look", market.fresh, "FEED[/CHANNEL[/KEY]]"),
            *(ServiceRoute("POST", f"/{name}/", "act", self.command, "TARGET") for name in LINE_COMMANDS),
            ServiceRoute("POST", "/cooldowns/clear", "act", self.clear_cooldowns),
            ServiceRoute("POST", "/cooldowns/clear/", "act", self.clear_cooldowns, "ACCOUNT"),
            ServiceRoute("POST", "/halt", "act", self.halt),
            ServiceRoute("POST", "/halt/", "act", self.halt, "TARGET"),
            ServiceRoute("POST", "/unhalt/", "owner", owner.unhalt, "ID"),
            ServiceRoute("POST", "/orders/resolve/", "owner", owner.resolve, "TAG"),
            ServiceRoute("POST", "/orders/adopt", "owner", owner.adopt),
            ServiceRoute("POST", "/beat/", "act", self.beat, "FEED"),
            ServiceRoute("POST", "/reload", "act", self.reload),
            ServiceRoute("GET", "/drain", "look", self.drain_progress),
            ServiceRoute("POST", "/drain", "act", self.drain),
            ServiceRoute("GET", "/log-level", "look", self.log_levels),
            ServiceRoute("POST", "/log-level/", "act", self.change_log_level, "LEVEL"),
            ServiceRoute("GET", "/rights", "look", self.rights),
            ServiceRoute("GET", "/journal", "look", self.journal, in_turn=True),
            ServiceRoute("GET", "/journal/", "look", self.journal, "LINE", in_turn=True),
            ServiceRoute("GET", "/tail", "look", self.tail),
        )

    def route(self, method: str, path: str, caller: Caller) -> ServiceRoute:
        """Which paths there are is told to a caller with some right.

        Raises:
            RequestDeclined: the caller has no right, or not the one that this needs (401, 403); no such path
                (404), or not with that method (405).
        """
        there = [route for route in self.routes if route.leads_to(path)]
        if not (caller.rights or any(route.needed == "nothing" for route in there)):
            raise without_rights(caller)
        wanted = "GET" if method == "HEAD" else method
        for route in there:
            if route.method == wanted:
                if not caller.may(route.needed):
                    raise without_right(caller, route.needed)
                return route
        if not there:
            raise RequestDeclined(404, _nothing_at(path, self.routes))
        allowed = ", ".join(route.method.replace("GET", "GET, HEAD") for route in there)
        raise RequestDeclined(405, f"use {allowed} for this path", ("Allow", allowed))

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
        if asked.caller.may("account"):
            return ServiceResponse(200, self._statuses.json())
        return ServiceResponse(200, self._statuses.json("without account", self._without_account))

    def _status(self) -> Status:
        """That of the runtime; a book that only requests follow is not among what is `untrusted`."""
        status, hidden = self._runtime.status(), {str(topic) for topic in self._books.of_requests()}
        if hidden.isdisjoint(status.untrusted):
            return status
        shown = {name: found for name, found in status.untrusted.items() if name not in hidden}
        return msgspec.structs.replace(status, untrusted=shown)

    def _status_for(self, caller: Caller) -> Status:
        status = self._statuses.status()
        return status if caller.may("account") else self._without_account(status)

    def _without_account(self, status: Status) -> Status:
        return without_account(status, self._is_public)

    def _is_public(self, feed: str, channel: str) -> bool:
        """No, where it is not known."""
        spec = self._runtime._shared.specs.feeds.get(feed)
        found = None if spec is None else spec.venue.channels.get(channel)
        return found is not None and found.is_public

    def healthz(self, asked: ServiceRequest) -> ServiceResponse:
        """Whether the process runs; asks no actor and shows nothing else."""
        return ServiceResponse(200, "ok")

    def readyz(self, asked: ServiceRequest) -> ServiceResponse:
        """Whether every feed is live, and with `?fresh=1` fresh; with the right to look, also what is not."""
        is_about_freshness, change = _is_about_freshness(asked), self._runtime._shared.change
        if self._draining.is_on:
            return ServiceResponse(503, {"draining": True} if asked.caller.may("look") else DRAINING)
        status = self._statuses.status()
        answer: dict[str, object] = {"live": status.state == "live"}
        if is_about_freshness:
            answer["fresh"] = not status.untrusted
        is_ready = all(answer.values())
        code = 200 if is_ready else 503
        if not asked.caller.may("look"):
            told = ServiceResponse(code, READY if is_ready else UNREADY)
            self._readiness.note(is_about_freshness, told, change)
            return told
        if not is_ready:
            shown = self._status_for(asked.caller)
            answer["not_live"] = why_not_live(shown, None)
            answer |= {"not_fresh": shown.untrusted} if is_about_freshness else {}
        return ServiceResponse(code, answer)

    def _recent_readiness(self, asked: ServiceRequest) -> ServiceResponse | None:
        question = _is_about_freshness(asked)
        if asked.caller.may("look"):
            return None
        return ServiceResponse(503, DRAINING) if self._draining.is_on else self._readiness.recent(question)

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
        given = parse_words(asked, "halt", ("reason", "cancel", "all"))
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
        given = parse_words(asked, "a beat", ("by", "last"))
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

    def drain(self, asked: ServiceRequest) -> ServiceResponse:
        """`?timeout=SECONDS`: the process ends when no client is left, and then at the latest."""
        given = parse_words(asked, "drain", ("timeout",))
        timeout = parse_seconds(given["timeout"], "timeout", LONGEST_DRAIN) if given else USUAL_DRAIN
        self._draining.begin(timeout, asked.caller.name)
        return self.drain_progress(asked)

    def drain_progress(self, asked: ServiceRequest) -> ServiceResponse:
        """`clients`: that are left, this one among them."""
        progress = {"draining": self._draining.is_on, "clients": self._draining.left, "pid": os.getpid()}
        return ServiceResponse(200, progress)

    def log_levels(self, asked: ServiceRequest) -> ServiceResponse:
        """Of the loggers that have a level of their own."""
        return ServiceResponse(200, {"levels": log_queue.levels()})

    def change_log_level(self, asked: ServiceRequest) -> ServiceResponse:
        """`?logger=NAME&for=SECONDS`."""
        given = parse_words(asked, "log-level", ("logger", "for"))
        seconds = parse_seconds(given["for"], "for", LONGEST) if "for" in given else None
        self._commands.count(asked.caller.client)
        self._log_levels.change(asked.argument, given.get("logger", ROOT), seconds, asked.caller.name)
        return self.log_levels(asked)

    def rights(self, asked: ServiceRequest) -> ServiceResponse:
        """What the caller may do: a view offers nothing else."""
        return ServiceResponse(200, {"rights": sorted(asked.caller.rights)})

    def journal(self, asked: ServiceRequest) -> ServiceResponse:
        """The last endings of every line, or of one, and what its venue said of itself, oldest first."""
        lines = self._status_for(asked.caller).lines()
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
        return open_tail(self._runtime, self._opened, asked.caller, asked.query)


def _is_about_freshness(asked: ServiceRequest) -> bool:
    return parse_switch(parse_words(asked, "readyz", ("fresh",)).get("fresh", "0"), "fresh")


def _nothing_at(path: str, routes: Sequence[ServiceRoute]) -> str:
    path = path[:LONGEST_TARGET]
    near = get_close_matches(path, [route.path for route in routes], 1)
    hint = f"; did you mean {near[0]}?" if near else "."
    return f"there is no path {path!r}{hint} There are: {', '.join(map(str, routes))}."
