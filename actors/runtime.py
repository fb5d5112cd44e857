"""What start() returns: settings in, the tree up; subscribe, on, status, stop."""

from __future__ import annotations

import math
import random
import time
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from actors import log_queue
from actors.calls import CALL, OwnMessage, answer_of, answer_of_lines, ask, send, send_later
from actors.delivery.waits import calls_handlers, refuse_inline
from actors.display.shown import html_of
from actors.errors import LinewardenError, NotLiveError, RotationFailed, Timeout
from actors.events import Freshness, Keys, Option
from actors.feeds.feed_calls import FeedCalls
from actors.feeds.wanted import WantedFeeds
from actors.market.bar_calls import BarCalls
from actors.market.bars import Bars
from actors.market.foreign_prices import ForeignPrices
from actors.market.latest_prices import LatestPrices
from actors.market.order_books import OrderBooks
from actors.market.price_calls import PriceCalls
from actors.messages import AwaitAnswers, AwaitLive, ClearCooldowns, Rotate
from actors.metrics import Metrics, UserMetrics, checked
from actors.protocol.channel import TypedChannel
from actors.settings import Settings, load
from actors.status import HOPELESS, Status, why_not_fresh, why_not_live
from actors.streams import Streams
from actors.supervision.cooldown_file import Cooldowns
from actors.supervision.freshness import FreshnessLooks, LookAtAll
from actors.supervision.lifecycle_calls import LifecycleCalls
from actors.supervision.lifetime import Lifetime
from actors.supervision.permit import Permit, checked_limits
from actors.supervision.permits import Permits, Source
from actors.supervision.proxy import SupervisorProxy
from actors.supervision.running import enter, present
from actors.supervision.snapshot import SharedStatus
from actors.supervision.state import Environment, LineView
from actors.supervision.token_refresh import refresh_token
from actors.supervision.tree import Tree
from actors.timers import SystemClock, ThreadTimers, Timers, check_seconds, seconds_left
from actors.trading.account_calls import AccountCalls
from actors.trading.accounts import Accounts
from actors.trading.halt_handle import HaltHandle
from actors.trading.line_reads import LineReads
from actors.trading.runtime_halts import RuntimeHalts
from actors.trading.runtime_requests import RuntimeRequests
from actors.typed_calls import TypedCalls

if TYPE_CHECKING:
    from actors.trading.projectx_requests import ProjectXRequests


log = log_queue.logger("actors.runtime")

ANSWER = 0.1  # seconds that actors have for an answer about what is so now
FRESH_AGAIN = 0.05  # seconds between two looks whether all is fresh
STOP = 5.0  # seconds that a runtime that is replaced has for its end
GRACE = 1.0  # seconds that stop() may take beyond its budget: for handlers, and to go on alone


def start(
    config: str | Path | Mapping[str, Any] | Settings,
    *,
    wait: float | None = None,
    metrics: Metrics | None = None,
    replace: bool = False,
) -> Runtime:
    """Start the actors of a config; returns at once, or when all lines are live.

    `wait`: seconds to wait for that. `metrics` counts what happens (`actors.metrics`). `replace`: the
    runtimes of this process with the same name are stopped first, as a notebook needs whose cell is run
    again; that waits until their connections have been given back, for 5 s at most. Who reads one of their
    streams gets `StreamClosed`, which says so. Opens no port and installs no log handler.

    Raises:
        ConfigError: the config has mistakes; every one of them is named.
        LinewardenError: `metrics` lacks a method, or one of them cannot be called; or `replace` was given
            inside an inline handler.
        NotLiveError: `wait` is over, or a line has failed for good; the runtime has been stopped again.
    """
    check_seconds("wait", wait, optional=True)
    settings, _ = load(config), checked(metrics)
    if replace:
        _stop_namesakes(settings.runtime.name)
    runtime = Runtime(settings, metrics=metrics)
    if wait is not None:
        try:
            runtime.wait_live(timeout=wait)
        except BaseException:
            runtime.stop()
            raise
    return runtime


def running() -> tuple[Runtime, ...]:
    """The runtimes of this process that have not ended, in the order of their start.

    They are held weakly until then: one that no name, no stream in use and no handler holds is not among
    them. Nor are those of the parent in a forked child.
    """
    found = (each.runtime() for each in present())
    return tuple(runtime for runtime in found if runtime is not None)


def _stop_namesakes(name: str) -> None:
    refuse_inline("start(replace=True)")
    deadline = time.monotonic() + STOP + GRACE
    for each in present():
        if each.name == name and (left := each.replace(STOP, deadline)):
            log.warning(
                "runtime.left_behind",
                "runtime %r was replaced; of the former one is left: %s.",
                name,
                ", ".join(left),
            )


class Runtime(AccountCalls, BarCalls, FeedCalls, LifecycleCalls, PriceCalls, TypedCalls):
    """What `actors.start` returns: the lines of a config, and the calls that open streams and views of them.

    Any thread may call. Leaving it as a context manager stops it, as `stop` does.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        timers: Timers | None = None,
        chance: random.Random | None = None,
        metrics: Metrics | None = None,
        cooldown_file: Path | None = None,  # the file for them where the config names none
    ) -> None:
        if not isinstance(settings, Settings):
            raise LinewardenError(
                "a Runtime takes settings: call actors.start(config) with a file or mapping"
            )
        user_metrics = UserMetrics(checked(metrics))
        clock = timers.clock if timers else SystemClock()
        self._wanted = WantedFeeds(settings, clock)
        timers = timers or ThreadTimers(f"{settings.runtime.name}/timers")
        tree = self._tree = Tree(
            self._wanted.specs,
            Environment(
                timers=timers,
                watchdog=settings.runtime.watchdog_timeout,
                chance=chance or random.Random(),  # jitter, no secret
                cooldowns=Cooldowns(
                    Path(kept) if (kept := settings.runtime.cooldown_file) else cooldown_file
                ),
                metrics=user_metrics,
            ),
            _weakly(self),
        )
        self._roles, self._shared = tree.roles, tree.shared
        self._prices = LatestPrices(tree.shared.cells, tree.roles.named("requester"), clock)
        self._foreign = ForeignPrices(self._wanted.spec_of, clock)
        looks = FreshnessLooks(tree.shared, timers)
        timers.on_resume = LookAtAll(tree.shared, tree.roles)
        self._streams = Streams(tree, self._spec_of, looks)
        self._books = OrderBooks(self._streams, self.status)
        self._requests = RuntimeRequests(
            tree.roles.named("requester"), timers, lambda: tree.shared.specs, self._prices
        )
        self._accounts = Accounts(
            self._streams, self._requests, self._prices, tree.shared, tree.roles, tree.check
        )
        weakref.finalize(self, self._accounts.abandon).atexit = False
        self._permits = Permits(
            looks,
            tree.shared.cells,
            self._spec_of,
            self._streams.topics_of,
            self._books.look,
            self._accounts.look,
        )
        self._status = SharedStatus(
            settings.runtime.name,
            self._shared,
            self._streams.inlets,
            tree.roles.dead_letters,
            timers,
            user_metrics,
            settings.path,
        )
        tree.shared.ask_venue = LineReads(self._requests)
        self._bars = Bars(self._streams, self._requests, tree.check, clock)
        self._halts = RuntimeHalts(self._requests, tree.shared, tree.check)
        weakref.finalize(self, self._halts.stop).atexit = False
        tree.launch()
        self._requests.begin()
        self._halts.begin()
        self._accounts.begin()
        enter(settings.runtime.name, tree, weakref.ref(self))
        self._lifetime = Lifetime(
            self, tree.home, tree.roles, self._wanted.builder.simulators, self._requests.abandon
        )

    def send(self, feed: str, message: OwnMessage, *, line: str | None = None) -> None:
        """Send one message of your own, for what a venue's protocol does not foresee.

        Text goes as a text message and bytes as a binary one, both unchanged. A mapping or list is written
        as the venue's messages are: as JSON; to a SignalR hub as a record with its end; as msgpack where the
        feed has that encoding. `line` names one of the feed's connections, where it has several. An answer
        of the venue is routed as any other message. A subscription made in this way belongs to no stream
        and is not restored after a loss. Inside an inline handler the message is sent after the call; if the
        line is not logged in by then, that is logged.

        Raises:
            LinewardenError: the feed or line is not there, or it is not connected and logged in; or the
                message cannot be written: it is of another type or holds such a value, or it has halves of
                surrogate pairs, which no text on the wire may have.
        """
        self._tree.check()
        name = self._line(feed, line)
        send_now_or_later = send_later if calls_handlers() else send
        send_now_or_later(self._roles.connection(name), name, message)

    def _line(self, feed: str, line: str | None) -> str:
        """That line of the feed, or its only one."""
        lines = tuple(self._lines_of(feed))
        if line in lines or (line is None and len(lines) == 1):
            return line or lines[0]
        which = "name one with line=" if line is None else f"there is no {line!r}"
        raise LinewardenError(f"feed {feed!r} has the lines {', '.join(lines) or '(none yet)'}: {which}")

    def _lines_of(self, feed: str) -> Mapping[str, LineView]:
        self._spec_of(feed)
        return {name: line for name, line in self._shared.lines.copy().items() if line.feed == feed}

    def rotate(self, target: str, timeout: float = 30.0) -> None:
        """Replace the connections of a feed or line, make before break: streams see no gap.

        Each new connection logs in and has every subscription confirmed before the old one is closed;
        if it cannot, the old one goes on. Where a venue's events have a key, what both brought comes
        once; where not, some events may come twice. `linewarden venues NAME` calls the former unique.

        Raises:
            RotationFailed: some line was not live, or the venue did not take the new connection. A line of
                the feed that is just closing, because its last topic is gone, is left out.
            Timeout: that takes longer than `timeout` seconds; it goes on.
            LinewardenError: there is no such feed or line.
        """
        check_seconds("timeout", timeout)
        self._tree.check()
        feed = self._feed_of(target)
        refuse = partial(self._streams.refuse_to_wait, "rotate", feed)
        refuse()
        try:
            too_late = f"{target} was not rotated within {timeout:g} s; it goes on"
            told = answer_of_lines(self._tree.ask(Rotate(target)), timeout, refuse, too_late)
        finally:
            self._shared.note_change()
        if failed := {line: why for line, why in told.items() if why}:
            raise RotationFailed(failed)

    def refresh_token(self, feed: str, token: str | None = None, timeout: float = 30.0) -> None:
        """Give the lines of a feed another token: this one, or one that a new login makes.

        Lines that are live are rotated, all together or none; those that have failed for their token are
        tried again. If the venue does not take it on every line, or not in time, the former token is kept,
        and the connections that showed it go on. One call at a time tries a token of the feed: others wait,
        and those that give none share a token that was made after they were called.

        Raises:
            RotationFailed: the venue did not take it; why, line by line.
            LinewardenError: the feed is not there, shows no token, or no token could be made; with the
                words of the venue.
            Timeout: that takes longer than `timeout` seconds. No line shows the new token.
        """
        check_seconds("timeout", timeout)
        self._tree.check()
        refuse = partial(self._streams.refuse_to_wait, "refresh_token", feed)
        refuse()
        lines_now = partial(self._lines_of, feed)
        try:
            refresh_token(self, self._tree.ask, self._spec_of(feed), lines_now, token, timeout, refuse)
        finally:
            self._shared.note_change()

    # ── may I act now? ──

    def fresh(
        self,
        feed: str,
        channel: str | TypedChannel[Any] | None = None,
        *keys: Keys,
        max_age: float | None = None,
        **options: Option,
    ) -> Freshness:
        """Whether the data of these topics can be acted on now: truthy if all are fresh. Asks no actor.

        Without keys it is about all topics of the channel that the runtime is subscribed to, without a
        channel about all of the feed. The answer is about the topic that is worst off.

        A topic is fresh while its subscription is confirmed, its line is read, its venue is open, and the
        freshness policies of all who follow it hold; without a policy, only within `max_age`. That is in
        seconds since the last event, and for prices and books by the venue's time, too. An account channel
        without a policy is fresh while its line shows signs of life.

        Raises:
            LinewardenError: the feed, the channel, a key or an option is not known here.
        """
        self._tree.home.check()
        return self._permits.fresh(feed, channel, keys, options, max_age)

    def require(
        self,
        *sources: Source,
        max_age: float | None = None,
        live_for: float = 0.0,
        max_queue: int | None = None,
        max_lag: float | None = None,
    ) -> Permit:
        """A permit to act on these sources, which all are fresh now. Asks no actor.

        A source is a stream, the view of a book or of an account, a `Topic`, a feed's name, or
        `(feed, channel, *keys)`. Of a stream, no gap may wait unread; a book has to be synced; of an account,
        flat or not, the evidence has to be complete that `flat` asks for. `max_age` as in `fresh`; of an
        account, seconds since the last look at its lists. `live_for`: seconds that each line must have been
        up. `max_queue`: events that may wait in each stream. `max_lag`: seconds that the oldest of them, and
        what a line has received, may have waited.

        Raises:
            Blind: something is not fresh; `reasons` says what and why. Ask again before the next order.
            LinewardenError: a source is not known here, or a limit is no number.
        """
        self._tree.check()
        return self._permits.require(sources, checked_limits(max_age, live_for, max_queue, max_lag))

    # ── asking ──

    def ask(self, feed: str) -> ProjectXRequests:
        """The requests of this feed's venue over HTTP: each call returns a future or a handle at once.

        Reads wait for a connection and for the venue's budget. Mutations do not: they are sent at once, once,
        or not at all. What is returned keeps the runtime in use. `actors.gather` waits for several at once.

        Raises:
            LinewardenError: there is no such feed, or its venue has no requests that can be asked here.
            RuntimeStopped: the runtime has ended.
        """
        self._tree.check()
        return cast("ProjectXRequests", self._requests.requests(feed, self, self._tree.check))

    def halt(
        self, target: str = "", *, reason: str, cancel: bool = False, all_orders: bool = False
    ) -> HaltHandle:
        """Halt at once: what adds risk is refused in every process of the folder, until a person ends it.

        `target`: a feed, which means all accounts at its venue; `FEED/ACCOUNT`; or empty for all. When this
        returns the halt is in the file. If it could not be written it holds in this process alone, which is
        logged and told by `handle.halt.is_written`. A program cannot end a halt: `linewarden unhalt ID` does.

        `cancel`: then takes back the orders that can open a position, each with an intent of its own, until
        two looks at the venue show none, for a minute at most. What protects a position stays, unless
        `all_orders`. `handle.cancels` has the outcomes one by one, `handle.get()` what is left.

        Raises:
            LinewardenError: the target is not known, `reason` is empty, or the config has no [trading] dir.
            RuntimeStopped: the runtime has ended.
        """
        self._tree.check()
        return self._halts.halt(target, reason=reason, cancel=cancel, every=all_orders)

    def beat(self, feed: str = "", *, last: bool = False) -> None:
        """Tells the service that watches this program that it is alive (`[feeds.FEED.dead_mans_switch]`).

        Call it in the loop of your program, where its work is done; it returns at once. The first beat arms
        the switch, and the service halts the feed when none has come for too long. `last`: the program ends
        in good order, and the switch is disarmed; that waits for the answer, 2 s at most. `stop()` disarms
        nothing. The service is another process, at the address in [service]. `feed` may be left out where
        one feed alone has a switch.

        Raises:
            LinewardenError: there is no such feed, it has no switch, or the last beat was not taken.
            RuntimeStopped: the runtime has ended.
        """
        self._tree.check()
        self._halts.beat(feed, last=last)

    @property
    def supervisor(self) -> SupervisorProxy:
        """The supervisor's proxy: `status()`, `restart(t)`, `pause(t)`, `resume(t)` give futures.

        After the end every future fails with `RuntimeStopped`, but for that of `status()`.
        """
        self._tree.home.check()
        return SupervisorProxy(self.status, self._tree.command)

    def status(self) -> Status:
        """All that is known now. After the end: what was known then, with the state `stopped`.

        It waits for no actor. All who look within 0.1 s share one value, unless a call or a line has
        changed something meanwhile. In a forked child it raises `ForkError`, and nothing else anywhere.
        """
        self._tree.home.check()
        return self._status.look()

    @property
    def end_reason(self) -> str | None:
        """Why it has ended; None: it has not."""
        self._tree.home.check()
        return self._tree.ended

    def clear_cooldowns(self, account: str | None = None) -> tuple[str, ...]:
        """End the cool-down of an account, or of the account of a feed; None: all of them.

        Lines that wait for its end connect at once. `status().cooldowns` lists them. Answers the accounts.

        Raises:
            LinewardenError: there is no such cool-down.
            Timeout: the supervisor does not answer.
            RuntimeStopped: the runtime has ended.
        """
        self._tree.check()
        self._streams.refuse_to_wait("clear_cooldowns")
        return cast(tuple[str, ...], answer_of(self._tree.ask(ClearCooldowns(account or "")), CALL))

    def wait_live(
        self, target: str | None = None, timeout: float | None = None, *, fresh: bool = False
    ) -> None:
        """Wait until a feed or a line is live; None: every line. `fresh`: and every topic of it is fresh.

        `timeout`: 0 asks how it is now, which takes 0.1 s at most; None waits as long as it takes.

        Raises:
            NotLiveError: `timeout` seconds are over, or a line has failed for good; or a topic cannot become
                fresh, because it is rejected, or nothing says how old is too old. With the reasons.
            Timeout: the registry does not answer, and there was time left.
            LinewardenError: there is no such feed or line.
            RuntimeStopped: the runtime ended meanwhile.
        """
        check_seconds("timeout", timeout, optional=True)
        self._tree.check()
        feed = self._feed_of(target)
        self._streams.refuse_to_wait("wait_live", feed)
        deadline = math.inf if timeout is None else time.monotonic() + max(timeout, ANSWER)
        try:
            # Once the registry answers, it has asked for the lines that what is wanted needs.
            ask(self._roles.named("registry"), AwaitAnswers(()), min(CALL, seconds_left(deadline)))
        except Timeout:
            if seconds_left(deadline):
                raise
        if not self._is_live(target, deadline):
            raise NotLiveError(why_not_live(self.status(), target))
        while fresh and (reasons := why_not_fresh(self.status(), target)):
            left = seconds_left(deadline) if deadline < math.inf else math.inf
            if not left or any(found.cause in HOPELESS for found in reasons.values()):
                raise NotLiveError({topic: found.text for topic, found in reasons.items()})
            time.sleep(min(FRESH_AGAIN, left))
            if not self._is_live(target, max(deadline, time.monotonic() + ANSWER)):
                raise NotLiveError(why_not_live(self.status(), target))

    def _is_live(self, target: str | None, deadline: float) -> bool:
        try:
            question = self._tree.ask(AwaitLive(target))
            refuse = partial(self._streams.refuse_to_wait, "wait_live", self._feed_of(target))
            return cast(bool, answer_of_lines(question, seconds_left(deadline), refuse))
        except Timeout:
            return False

    def stop(self, timeout: float = 5.0) -> tuple[str, ...]:
        """End everything within `timeout` seconds; the second time it does nothing.

        Streams get `Closed` and their iteration ends quietly, and what was logged is handled. Answers the
        names of what did not end: a handler that never returns, a DNS look-up, or the thread of the log. From
        a handler it may be called too; inside an inline handler it begins, and returns at once.
        """
        check_seconds("timeout", timeout)
        self._tree.home.check()
        if calls_handlers():
            self._requests.stop()
            self._tree.begin_stop(timeout)
            return ()
        return self._stop(timeout)

    def _stop(self, timeout: float, *, replaced: bool = False) -> tuple[str, ...]:
        deadline = time.monotonic() + timeout + GRACE
        self._requests.stop()
        left = self._tree.stop(timeout, deadline, replaced=replaced)
        self._halts.stop(seconds_left(deadline))
        self._requests.close(deadline)
        self._wanted.end(seconds_left(deadline))
        self._lifetime.close()
        threads = (*self._wanted.builder.lookups.running(), *self._bars.threads())
        left = (*left, *self._streams.join(deadline, threads))
        return left if log_queue.flush(seconds_left(deadline)) else (*left, log_queue.THREAD)

    def __enter__(self) -> Runtime:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._tree.home.is_left:  # a forked child that ends stops nothing of its parent's
            self.stop()

    def __repr__(self) -> str:
        """Its state and how many lines of each feed are live. Raises nothing, also in a forked child."""
        if (status := getattr(self, "_status", None)) is None:
            return "<Runtime that was not started>"
        if self._tree.home.is_left:
            return f"<Runtime {status.name}: of the parent process, see ForkError>"
        return f"<Runtime {status.look().text}>"

    if not TYPE_CHECKING:  # a type checker would take every name

        def __getattr__(self, name: str) -> object:
            from actors.venues.unknown_names import unknown_name

            wanted = vars(self).get("_wanted")  # there is none while it is made
            venues = [] if wanted is None else [type(spec.venue) for spec in wanted.feeds.values()]
            raise unknown_name("'Runtime' object", name, self, venues)

    def _repr_html_(self) -> str | None:
        return html_of(self, "status_page:of_runtime")

    # ── how it is done ──

    def _end(self, reason: str, wanted: bool) -> None:
        """The supervisor has ended, or is given up: every stream gets `Closed`."""
        self._status.end()
        self._streams.end(reason, quiet=wanted)


def _weakly(runtime: Runtime) -> Callable[[str, bool], None]:
    reference = weakref.ref(runtime)

    def end(reason: str, wanted: bool) -> None:
        if (runtime := reference()) is not None:
            runtime._end(reason, wanted)

    return end
