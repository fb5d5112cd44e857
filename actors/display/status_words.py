"""A status in words, for the terminal and for notebooks: of its lines, gaps and topics, and what is odd."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from actors.display.escaping import printable
from actors.display.text import clock, day_and_clock, span, times
from actors.events import Gap, Topic, VenueState
from actors.protocol.formatting import counted, short
from actors.rules.journal import JournalEntry, LineExit
from actors.status import LineGlance, LineStatus, Status, TopicStatus

TROUBLED = ("backoff", "failed")  # states that `reason` explains; in the others it is history
EXPLAINED = ("closed", "halted", "maintenance")  # causes of being quiet that are counted


def how_many_live(lines: Mapping[str, LineStatus | LineGlance]) -> str:
    """`2 of 3 lines live`."""
    return f"{sum(line.state == 'live' for line in lines.values())} of {counted(len(lines), 'line')} live"


def login_words(variables: Sequence[str]) -> str:
    """Of a feed: which environment variables its login was taken from."""
    return f"its login was taken from {' and '.join(variables)} of the environment"


def outage(line: LineStatus) -> tuple[LineExit, ...]:
    """The endings since it was last live: the one that began the outage, and the tries that failed."""
    if line.down_since_ns is None:
        return ()
    lives = [number for number, ending in enumerate(line.journal) if ending.lived_s is not None]
    return line.journal[max(lives, default=0) :]


def failed_tries(line: LineStatus) -> int:
    """Those of its outage."""
    return sum(ending.times for ending in outage(line) if ending.lived_s is None)


def attempt(line: LineStatus) -> int:
    """The number of the present try, or of the next; 0: the line is live.

    The policy's own count begins again at a restart.
    """
    if line.state in {"live", "stopped"}:
        return 0
    return max(line.attempt, failed_tries(line) + (line.next_attempt_s is not None))


def state(line: LineStatus) -> str:
    """In words, with the next try."""
    if line.state == "backoff" and not line.waiting and line.next_attempt_s is not None:
        seconds = line.next_attempt_s
        return f"backoff, try {attempt(line)} in {seconds:.{0 if seconds >= 9.95 else 1}f} s"
    return bare_state(line)


def bare_state(line: LineStatus) -> str:
    """Beside columns that have the next try."""
    words: list[str] = [] if line.state == "backoff" and line.waiting else [line.state]
    words += ["degraded"] if line.degraded else []
    words += ["held by a full stream"] if line.paused_by_streams else []
    return ", ".join([*words, line.waiting] if line.waiting else words)


def topics(wanted: tuple[TopicStatus, ...]) -> str:
    """Confirmed and desired, and what is wrong with the rest."""
    confirmed = sum(topic.state.state == "confirmed" for topic in wanted)
    others = {
        "rejected": sum(topic.state.state == "rejected" for topic in wanted),
        "stale": sum(topic.stale for topic in wanted),
        "quiet": sum(topic.freshness is not None and topic.freshness.cause in EXPLAINED for topic in wanted),
    }
    parts = [f"{number} {what}" for what, number in others.items() if number]
    return ", ".join([f"{confirmed}/{len(wanted)}", *parts])


def cause(line: LineStatus) -> str:
    """The code and text of a line's reason, with the advice that belongs to it."""
    if line.reason is None:
        return ""
    words = f"{line.reason.code}: {line.reason.text}"
    return printable(f"{words}. {line.reason.advice}" if line.reason.advice else words)


def last_gap(line: LineStatus) -> str:
    """When it ended (local time), its length, its topic, and why: the ending that began its outage."""
    gap = line.last_gap
    if gap is None:
        return ""
    length = f"{gap_length(gap)} of " if gap_length(gap) else ""
    missed = "" if gap.missed is None else f", {gap.missed:,} missed"
    why = f": {text}" if gap.reason == "disconnect" and (text := _began(line.journal, gap)) else ""
    return printable(f"{clock(gap.until_ns)} {length}{topic_words(gap.topic)} ({gap.reason}{missed}{why})")


def _began(journal: Sequence[JournalEntry], gap: Gap) -> str:
    """The text of the first ending within the gap; empty where the journal has none."""
    endings = (entry for entry in journal if isinstance(entry, LineExit))
    return next((one.text for one in endings if gap.since_ns <= one.at_ns <= gap.until_ns), "")


def gap_length(gap: Gap) -> str:
    """In seconds; empty where a gap has no length."""
    return f"{(gap.until_ns - gap.since_ns) / 1e9:.2f} s" if gap.until_ns > gap.since_ns else ""


def state_words(told: VenueState) -> str:
    """What the venue says of itself, until when, and since when."""
    until = "" if told.until_ns is None else f" until {day_and_clock(told.until_ns)}"
    return f"{told}{until} (since {clock(told.at_ns)})"


def topic_words(topic: Topic) -> str:
    return " ".join(part for part in (topic.channel, short(topic.key)) if part)


def oddities(status: Status) -> Iterator[str]:
    """Everything else that deserves a look."""
    if status.quarantine.count:
        yield f"{counted(status.quarantine.count, 'message')} in quarantine"
    if status.dead_letters.count:
        yield counted(status.dead_letters.count, "dead letter")
    if status.metrics_errors:
        yield f"the metrics object failed {times(status.metrics_errors)}"
    for feed, known in status.feeds.items():
        if known.token_error:
            left = span(max(0.0, known.token_expires_in_s or 0.0))
            yield printable(f"{feed}: the token ends in {left} and was not renewed: {known.token_error}")
        if known.refused:
            yield printable(f"{feed}: no line takes {_first(known.refused)}")
    for name, line in status.lines().items():
        if line.degraded:
            yield printable(f"{name} is degraded: {line.degraded}")
        stale = {
            topic.topic: topic.freshness.text
            for topic in line.topics
            if topic.freshness is not None and topic.stale
        }
        if stale:
            yield printable(f"{name}: stale: {_first(stale)}")
    for actor in status.actors:
        # The row of a line shows that its connection is to be started again.
        if actor.state == "wedged" or (actor.state != "running" and not actor.id.startswith("connection/")):
            yield f"{actor.id} is {actor.state}"


def first_and_more(reasons: Mapping[str, str]) -> tuple[str, str]:
    """The first of these with the number of the others, and why."""
    first, why = next(iter(reasons.items()))
    more = f" and {len(reasons) - 1:,} more" if len(reasons) > 1 else ""
    return f"{first}{more}", why


def _first(reasons: Mapping[str, str]) -> str:
    first, why = first_and_more(reasons)
    return f"{first} ({why})"
