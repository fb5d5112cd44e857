"""The dead man's switches of a service: a program that has stopped to beat halts its feed.

The program is another process, and beats over the service's socket or port (`POST /beat/FEED?by=NAME`).
Before a program counts as dead, all requests that have arrived are answered: its beat may be among them. A
round that is late judges nothing, as this process was paused. Times are those of the boot-time clock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from actors import log_queue
from actors.errors import LinewardenError
from actors.rules.dead_mans_switch import DeadMansSwitch, Rounds, Silence
from actors.runtime import Runtime
from actors.settings import FeedSettings
from actors.timers import SystemClock

log = log_queue.logger("actors.service.switches")

PERIOD: Final = 1.0  # seconds between two rounds
UNREAD: Final = 3.0  # seconds that requests which have arrived may take to be answered

Armed = dict[str, list[str]]  # programs by feed


class Switches:
    """Any thread may beat; one thread judges, from `begin` to `stop`.

    `answer_all`: waits until the requests that have arrived are answered, for so many seconds at most.
    """

    def __init__(
        self,
        runtime: Runtime,
        answer_all: Callable[[float], object],
        *,
        monotonic: Callable[[], float] = SystemClock.monotonic,
    ) -> None:
        self._runtime, self._answer_all, self._monotonic = runtime, answer_all, monotonic
        self._switches: dict[str, DeadMansSwitch] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_unwritable = False  # the file, by the log

    def begin(self) -> None:
        """Watches from now on. Programs that were armed when the former process ended count from now."""
        with self._lock:
            armed, now = self._load(), self._monotonic()
            for name, feed in self._watched().items():
                after = feed.dead_mans_switch.after
                self._switches[name] = DeadMansSwitch(after, armed.get(name, ()), now)
                text = "%s: its dead man's switch is on: %g s without a beat of an armed program halt it%s"
                programs = f"; armed: {', '.join(armed[name])}" if armed.get(name) else ""
                log.info("switch.on", text, name, after, programs, feed=name)
            if self._switches:
                self._watch()

    def stop(self) -> None:
        """Judges nothing more. Programs that are armed stay so for the next process."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(PERIOD)

    def _watch(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="service/switches", daemon=True)
            self._thread.start()

    # ── beats ──

    def beat(self, feed: str, name: str, *, last: bool = False) -> None:
        """A program is alive; `last`: it ends in good order.

        Raises:
            LinewardenError: the feed has no switch, or has too many programs.
        """
        with self._lock:
            settings = self._watched().get(feed)
            if settings is None:
                raise LinewardenError(
                    f"feed {feed!r} has no dead man's switch: it takes trading = true and "
                    f"[feeds.{feed}.dead_mans_switch]"
                )
            switch = self._switch(settings)
            self._watch()
            if last:
                has_changed = switch.disarm(name)
            else:
                try:
                    has_changed = switch.beat(name, self._monotonic())
                except ValueError as error:
                    raise LinewardenError(f"feed {feed!r}: {error}") from None
            if has_changed:
                self._save()
                if last:
                    text = "%s: the dead man's switch of %r is disarmed"
                    log.warning("switch.disarmed", text, feed, name, feed=feed)
                else:
                    text = "%s: the dead man's switch of %r is armed: it fires after %g s without a beat"
                    log.warning("switch.armed", text, feed, name, switch.after, feed=feed)

    # ── judging ──

    def _run(self) -> None:
        rounds = Rounds(PERIOD, self._monotonic())
        while not self._stopped.wait(max(0.0, rounds.due - self._monotonic())):
            try:
                self.round(rounds)
            except Exception:
                log.exception("switch.failed", "Unexpected error at the dead man's switches.")

    def round(self, rounds: Rounds) -> None:
        """One look at all programs."""
        now = self._monotonic()
        if not rounds.begin(now):
            log.info("switch.round_skipped", "A round of the dead man's switches is late and judges nothing.")
            return
        if not any(switch.overdue(now) for switch in self._present().values()):
            return
        self._answer_all(UNREAD)
        if self._monotonic() - now > UNREAD + PERIOD:
            log.info(
                "switch.round_skipped",
                "This process was paused; the dead man's switches judge nothing in this round.",
            )
            return
        for name, switch in self._present().items():
            for silence in switch.overdue(now):
                self._fire(name, silence)
                with self._lock:  # after the halt: a kill between the two fires again
                    switch.disarm(silence.name)
                    self._save()

    def _fire(self, feed: str, silence: Silence) -> None:
        settings = self._runtime.settings.feeds[feed]
        reason = f"dead man's switch: no beat of {silence.name!r} for {silence.seconds:.1f} s"
        log.error("switch.fired", "%s: %s", feed, reason, feed=feed)
        cancel = settings.dead_mans_switch.action == "halt+cancel"
        self._runtime._halts.halt(feed, reason=reason, cancel=cancel, by=f"dead man's switch of {feed}")

    # ── the config ──

    def _watched(self) -> Mapping[str, FeedSettings]:
        return {name: feed for name, feed in self._runtime.settings.feeds.items() if feed.is_watched}

    def _present(self) -> Mapping[str, DeadMansSwitch]:
        """The switches of the feeds that have one now."""
        with self._lock:
            return {name: self._switch(feed) for name, feed in self._watched().items()}

    def _switch(self, feed: FeedSettings) -> DeadMansSwitch:
        switch = self._switches.setdefault(feed.name, DeadMansSwitch(feed.dead_mans_switch.after))
        switch.after = feed.dead_mans_switch.after
        return switch

    # ── the file: which programs are armed ──

    @property
    def _path(self) -> Path:
        settings = self._runtime.settings
        return Path(settings.trading.dir) / f"armed-{settings.runtime.name}.json"

    def _load(self) -> Armed:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Armed)
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            log.warning(
                "switch.unreadable",
                "%s cannot be read (%s): programs are armed by their next beat.",
                self._path,
                error,
            )
            return {}

    def _save(self) -> None:
        armed = {name: list(switch.armed) for name, switch in self._switches.items() if switch.armed}
        beside = self._path.with_suffix(".new")
        try:
            beside.write_bytes(msgspec.json.encode(armed))
            beside.replace(self._path)
        except OSError as error:
            if not self._is_unwritable:
                text = "%s cannot be written (%s): after a restart programs are armed by their next beat."
                log.warning("switch.unwritable", text, self._path, error.strerror)
            self._is_unwritable = True
        else:
            if self._is_unwritable:
                log.info("switch.writable", "%s can be written again.", self._path)
            self._is_unwritable = False
