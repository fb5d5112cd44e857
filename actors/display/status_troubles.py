"""What is wrong in a status, and what else is to be told: one list, the worst first."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct

from actors.display.escaping import printable
from actors.display.rows import Part, Quote, plain
from actors.display.status_words import (
    failed_tries,
    first_and_more,
    last_gap,
    login_words,
    outage,
    state,
    state_words,
)
from actors.display.text import day_and_clock, span, times, unbroken
from actors.protocol.formatting import counted
from actors.rules.counters import StreamStatus
from actors.status import AccountStatus, Cause, FeedStatus, LineStatus, Status

EVERYTHING = "linewarden status --all"

# person: does not end by itself. trouble: may do so. note: worth knowing. extra: where there is room.
Level = Literal["person", "trouble", "note", "extra"]


class Kind(Struct, frozen=True):
    """How troubles of one kind are counted, and where all of them are shown."""

    level: Level
    noun: str
    what: str
    command: str = EVERYTHING


# The order is that of the screen: what needs a person first.
KINDS: dict[str, Kind] = {
    "halted": Kind("person", "halt", "in force"),
    "disputed": Kind("person", "account", "disputed"),
    "failed": Kind("person", "line", "failed"),
    "refused": Kind("person", "topic", "that no line takes"),
    "rejected": Kind("person", "topic", "rejected"),
    "degraded": Kind("person", "line", "degraded", "linewarden quarantine"),
    "token": Kind("person", "token", "not renewed"),
    "handler": Kind("person", "stream", "with a handler that failed"),
    "untrusted": Kind("trouble", "account", "not trusted"),
    "paused": Kind("trouble", "line", "paused"),
    "held": Kind("trouble", "line", "held by a full stream"),
    "waiting": Kind("trouble", "line", "waiting as the venue asked"),
    "backoff": Kind("trouble", "line", "in backoff"),
    "opening": Kind("trouble", "line", "not live yet"),
    "stopped": Kind("trouble", "line", "stopped"),
    "stale": Kind("trouble", "topic", "stale", "linewarden status --fresh"),
    "not_fresh": Kind("trouble", "topic", "not fresh", "linewarden status --fresh --all"),
    "behind": Kind("trouble", "line", "behind"),
    "actor": Kind("trouble", "actor", "wedged or restarting"),
    "venue": Kind("trouble", "state", "told by a venue", "linewarden journal"),
    "quarantine": Kind("trouble", "message", "in quarantine", "linewarden quarantine"),
    "dead_letter": Kind("trouble", "dead letter", "", "linewarden dead-letters"),
    "metrics": Kind("trouble", "call", "of the metrics object failed"),
    "silent_loss": Kind("trouble", "event", "lost in silence", "linewarden journal"),
    "venue_key": Kind("note", "state", "told by a venue of one key", "linewarden journal"),
    "unfilled": Kind("note", "gap", "not filled completely"),
    "unchecked": Kind("note", "line", "without a check of certificates"),
    "login": Kind("note", "feed", "with a login from the environment"),
    "account": Kind("extra", "account", "followed"),
    "venue_error": Kind("extra", "error", "told by a venue"),
    "last_gap": Kind("extra", "line", "with a gap"),
}
NAME = 80  # characters of a subject that is never cut
_COMMAND = re.compile(r"linewarden [a-z-]+ [^ ]+")


class Trouble(Struct, frozen=True):
    """One of them. `subject` is what it is about: a line, a topic, an account, an actor."""

    kind: str  # of `KINDS`
    subject: str
    parts: tuple[Part, ...]
    feed: str = ""  # empty: of the whole process
    line: str = ""
    count: int = 1  # of the kind's noun
    code: str = ""  # of the cause, for a line that is down

    @property
    def sentence(self) -> tuple[Part, ...]:
        """With its subject, which is cut if it is very long."""
        if not self.subject:
            return self.parts
        subject = self.subject if len(self.subject) <= NAME else Quote(self.subject)
        return (subject, ": ", *self.parts)

    @property
    def text(self) -> str:
        """All of it."""
        return plain(self.sentence)


def troubles(status: Status, at: float, *, fresh: bool = False) -> list[Trouble]:
    """Every one, in the order of `KINDS`. `at`: seconds of the wall clock.

    `fresh`: each topic that is not fresh is one, in place of the stale ones of a line.
    """
    order = {kind: number for number, kind in enumerate(KINDS)}
    every = list(_all(status, at))
    if fresh:
        every = [each for each in every if each.kind != "stale"] + list(_not_fresh(status))
    return sorted(every, key=lambda each: order[each.kind])


def counts(kind: str, number: int) -> str:
    """`3 lines failed`."""
    known = KINDS[kind]
    return " ".join(filter(None, (counted(number, known.noun), known.what)))


def _all(status: Status, at: float) -> Iterator[Trouble]:
    yield from _of_process(status)
    streams = {stream.id: stream for stream in status.streams}
    for name, feed in status.feeds.items():
        yield from _of_feed(printable(name), feed)
        for line, found in feed.lines.items():
            yield from of_line(name, line, found, streams, at)


def _not_fresh(status: Status) -> Iterator[Trouble]:
    """One for each topic, the worst first."""
    lines = {topic.topic: name for name, line in status.lines().items() for topic in line.topics}
    for topic, found in sorted(status.untrusted.items(), key=lambda item: (item[1].state, item[0])):
        parts = (f"not fresh ({found.cause}): ", _quote(found.text))
        feed = topic.partition("/")[0]
        yield Trouble("not_fresh", printable(topic), parts, feed, lines.get(topic, ""))


def _of_process(status: Status) -> Iterator[Trouble]:
    for halt in status.halts:
        alone = "" if halt.is_written else "; it is not written"
        yield Trouble(
            "halted",
            "",
            (
                *("HALTED: ", _quote(halt.target), ": ", _quote(halt.reason)),
                *(f" (halt {printable(halt.id)}, by ", _quote(halt.by), f"{alone}), "),
                f"since {unbroken(day_and_clock(halt.since_ns))}. ",
                f"To end it: {_unhalt(halt.id, status.process.config)}",
            ),
        )
    for name, account in status.accounts.items():
        yield from _of_account(printable(name), account)
    for stream in status.streams:
        if stream.handler_errors:
            text = f"its handler failed {times(stream.handler_errors)}; the log has the error"
            yield Trouble("handler", _stream_name(stream), (text,), stream.feed)
    for actor in status.actors:
        # The row of a line shows that its connection is to be started again.
        if actor.state == "wedged" or (actor.state != "running" and not actor.id.startswith("connection/")):
            more = "; the log has its stack" if actor.state == "wedged" else ""
            yield Trouble("actor", "", (f"{printable(actor.id)} is {actor.state}{more}",))
    yield from _put_aside(status)


def _unhalt(id: str, config: str) -> str:
    """The command as it can be typed in any folder."""
    named = f" -c {shlex.quote(printable(config))}" if Path(config).is_absolute() else ""
    return f"{unbroken(f'linewarden unhalt {printable(id)}')}{named}"


def _put_aside(status: Status) -> Iterator[Trouble]:
    quarantine, letters = status.quarantine, status.dead_letters
    if quarantine.count:
        parts: list[Part] = [f"{counted(quarantine.count, 'message')} in quarantine"]
        for last in quarantine.newest[-1:]:
            parts += [
                f", the newest of {printable(last.line)} at {day_and_clock(last.at_ns)}: ",
                _quote(last.error),
            ]
        parts.append(f"; see: {unbroken('linewarden quarantine')}")
        yield Trouble("quarantine", "", tuple(parts), count=quarantine.count)
    if letters.count:
        text = f"{counted(letters.count, 'dead letter')}; see: {unbroken('linewarden dead-letters')}"
        yield Trouble("dead_letter", "", (text,), count=letters.count)
    if status.metrics_errors:
        text = f"the metrics object failed {times(status.metrics_errors)}"
        yield Trouble("metrics", "", (text,), count=status.metrics_errors)


def _of_account(name: str, account: AccountStatus) -> Iterator[Trouble]:
    feed = name.partition("/")[0]
    looked = "no look yet" if account.age_s is None else f"looked at {span(account.age_s)} ago"
    lost = [f"{counted(account.silent_losses, 'event')} lost in silence"] if account.silent_losses else []
    untrusted = ["untrusted"] if account.untrusted else []
    parts: list[Part] = ["; ".join([*untrusted, printable(account.state), looked, *lost])]
    for text in filter(None, (account.untrusted, account.reason, *account.disputed)):
        parts += ["; ", _quote(text)]
    kind = "untrusted" if account.untrusted or account.reason else "silent_loss" if lost else "account"
    if account.disputed or account.state == "disputed":
        kind = "disputed"
    count = account.silent_losses if kind == "silent_loss" else 1
    yield Trouble(kind, f"account {name}", tuple(parts), feed, count=count)


def _of_feed(name: str, feed: FeedStatus) -> Iterator[Trouble]:
    if feed.token_error:
        left = span(max(0.0, feed.token_expires_in_s or 0.0))
        text = f"the token ends in {left} and was not renewed: "
        yield Trouble("token", name, (text, _quote(feed.token_error)), name)
    if feed.refused:
        first, why = first_and_more(feed.refused)
        parts = ("no line takes ", _quote(first), " (", _quote(why), ")")
        yield Trouble("refused", name, parts, name, count=len(feed.refused))
    if feed.login_variables:
        yield Trouble("login", name, (printable(login_words(feed.login_variables)),), name)


def of_line(
    feed: str, name: str, line: LineStatus, streams: dict[int, StreamStatus], at: float
) -> Iterator[Trouble]:
    """All of one line. `at`: seconds of the wall clock."""
    shown = printable(name)

    def trouble(kind: str, *parts: Part, subject: str = shown, count: int = 1, code: str = "") -> Trouble:
        return Trouble(kind, subject, parts, feed, name, count, code)

    if line.state != "live":
        cause = _cause_of_outage(line)
        code = "" if cause is None else printable(cause.code)
        yield trouble(_kind_of_state(line), *_why_down(name, line, at), code=code)
    if line.degraded:
        yield trouble("degraded", f"{line.state}, degraded: ", _quote(line.degraded))
    if line.paused_by_streams:
        held = " and ".join(stream_words(streams.get(each), each) for each in line.paused_by_streams)
        yield trouble("held", f"{line.state}, held by a full stream: waits for {held}")
    rejected = [topic for topic in line.topics if topic.state.state == "rejected"]
    for topic in rejected:
        why: tuple[Part, ...] = (": ", _quote(topic.state.reason)) if topic.state.reason else ()
        yield trouble("rejected", "rejected by the venue", *why, subject=printable(topic.topic))
    stale = {
        topic.topic: topic.freshness.text if topic.freshness is not None else ""
        for topic in line.topics
        if topic.stale
    }
    if stale:
        first, text = first_and_more(stale)
        yield trouble(
            "stale", f"{len(stale):,} stale: ", _quote(first), " (", _quote(text), ")", count=len(stale)
        )
    if line.lag.cause:
        yield trouble("behind", _quote(line.lag.text))
    for told in line.venue_states:
        kind = "venue" if told.is_alarming else "venue_key"
        yield trouble(kind, "the venue says: ", _quote(state_words(told)))
    if left := line.counters.unrepaired:
        yield trouble("unfilled", f"{counted(left, 'gap')} not filled completely", count=left)
    if not line.verify_tls:
        yield trouble("unchecked", "certificates are not checked (verify_tls = false)")
    if line.last_venue_error:
        yield trouble("venue_error", "last error of the venue: ", _quote(line.last_venue_error))
    if line.last_gap is not None:
        yield trouble("last_gap", f"last gap {last_gap(line)}")


def _kind_of_state(line: LineStatus) -> str:
    if line.state in {"failed", "paused", "stopped"}:
        return line.state
    if line.state == "backoff":
        return "waiting" if line.waiting else "backoff"
    return "opening"


def _why_down(name: str, line: LineStatus, at: float) -> Iterator[Part]:
    """Its state, since when, how often it was tried, the newest cause and the first, and advice."""
    yield state(line)
    yield from _outage_words(line, at)
    newest, ended = _cause_of_outage(line), outage(line)
    if newest is None:
        return
    yield from (f"; {printable(newest.code)}: ", _quote(newest.text))
    first = ended[0] if ended else None
    if first is not None and (first.code, first.text) != (newest.code, newest.text):
        yield from (f"; began with {printable(first.code)}: ", _quote(first.text))
    yield from _next_step(line, name, newest)


def _next_step(line: LineStatus, name: str, reason: Cause) -> Iterator[str]:
    """What a person can do, with the commands."""
    advice = _COMMAND.sub(lambda found: unbroken(found.group()), printable(reason.advice))
    if line.state != "failed":
        yield f". {advice}" if advice else ""
    elif reason.kind == "fatal":
        restart = unbroken(f"linewarden restart {printable(name)}")
        yield f". {advice.rstrip('.')}" if advice else ""
        yield f". Then: {restart}, or {unbroken('linewarden reload')}"
    else:
        yield "; it died more often than max_restarts allows"
        yield "" if line.next_attempt_s is None else f", and is tried again in {span(line.next_attempt_s)}"


def _cause_of_outage(line: LineStatus) -> Cause | None:
    """The newest; None: it has none that matters."""
    return None if line.state in {"paused", "stopped"} else line.reason


def _outage_words(line: LineStatus, at: float) -> Iterator[str]:
    since = line.down_since_ns
    if since is not None:
        tried = failed_tries(line)
        more = f", {tried:,} failed {'try' if tried == 1 else 'tries'}" if tried else ""
        long = unbroken(span(max(0.0, at - since / 1e9)))
        yield f"; down since {unbroken(day_and_clock(since))} ({long}{more})"


def stream_words(stream: StreamStatus | None, number: int) -> str:
    """A stream that holds its line; None: it is not in the status any more."""
    if stream is None:
        return f"stream {number}"
    queued = f"{stream.queued:,} of {stream.capacity:,} queued"
    return f"{_stream_name(stream)}, policy {stream.policy}, {queued}"


def _stream_name(stream: StreamStatus) -> str:
    return printable(f"stream {stream.id} ({stream.feed}/{stream.channel})")


def _quote(text: str) -> Quote:
    return Quote(printable(text))
