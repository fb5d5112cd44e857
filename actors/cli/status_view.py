"""Tables of a runtime's status: its lines, its streams, its journal and what it put aside."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from actors.cli.formatting import one_row, plain_table
from actors.display.escaping import printable
from actors.display.status_words import (
    EXPLAINED,
    TROUBLED,
    cause,
    how_many_live,
    last_gap,
    login_words,
    oddities,
    state,
    state_words,
    topics,
)
from actors.display.text import day_and_clock, span, times
from actors.events import Freshness, VenueState
from actors.protocol.formatting import counted
from actors.rules.counters import StreamStatus
from actors.rules.journal import KEPT, JournalEntry, LineExit, RecoveryTimes, SilentLossEntry
from actors.status import (
    AccountStatus,
    CooldownStatus,
    DeadLettersStatus,
    FeedStatus,
    HaltStatus,
    LineStatus,
    QuarantineStatus,
    Status,
)

WINDOW = 3.0  # seconds over which events are counted
# Columns of a terminal: from here on with round trip, data age and score, and with the last gap or reason.
ROOMY, WIDE = 112, 150
STATE = 23  # characters, at least: the other columns move when this one grows and shrinks
BESIDE, BESIDE_ROOMY = 46, 73  # columns of the terminal beside those of line, state and topics
LAG = 8  # columns of the terminal for `lag`, which is there if a line is behind, or there is room
REJECTED = 5  # rejected topics that are named
MOST_TOPICS = 50  # that are listed
STATES = 5  # of those that a venue tells of itself: they are named
STEPS = ("detect", "wait", "connect", "login", "subscribe", "first_data")
COLOURS = {"live": "green", "backoff": "yellow", "paused": "blue", "failed": "bold red", "stopped": "dim"}


class StatusView:
    """Draws one status after the other. Times are seconds: `now` monotonic, `at` of the wall clock.

    `moving`: several will follow, so events are shown per second; otherwise in all. `brief`: last gaps and
    streams are shown elsewhere. `fresh`: the topics that are not fresh are listed.
    """

    def __init__(self, *, moving: bool = False, brief: bool = False, fresh: bool = False) -> None:
        self._rates = Rates() if moving else None
        self._brief, self._fresh = brief, fresh

    def render(self, status: Status, now: float, at: float, width: int) -> RenderableType:
        """Halts first; then one row per line, and notes below."""
        lines = status.lines()
        head = [f"{status.name}: {status.state}", how_many_live(lines)]
        parts: list[RenderableType] = [*halts(status.halts)]
        parts += [self._lines(lines, now, at, width)] if lines else []
        parts += _notes(lines, explained=width >= WIDE, gaps=not self._brief)
        parts += logins(status.feeds)
        parts += accounts(status.accounts)
        if status.streams and not self._brief:
            parts += [Text(), _streams(status.streams, width)]
        parts += [
            Text(f"stream {stream.id}: its handler failed {times(stream.handler_errors)}", "yellow")
            for stream in status.streams
            if stream.handler_errors
        ]
        if self._fresh:
            parts += [Text(), *_not_fresh(status.untrusted)]
        return Group(*parts, one_row(" · ".join([*head, *oddities(status)]), "bold"))

    def _lines(self, lines: Mapping[str, LineStatus], now: float, at: float, width: int) -> Table:
        roomy, wide = width >= ROOMY, width >= WIDE
        events = "events" if self._rates is None else "events/s"
        behind = wide or any(line.lag.cause for line in lines.values())
        measures = ("lag",) * behind + ("rtt", "age", "score") * roomy
        headings = ("line", "state", "for", events, "topics", "restored", "gaps", *measures)
        table = plain_table(*headings, right={*headings[2:]} - {"topics"}, unfolded=headings)
        names = max(map(len, ("line", *lines)))
        counts = max(map(len, ("topics", *(topics(line.topics) for line in lines.values()))))
        beside = (BESIDE_ROOMY if roomy else BESIDE) + LAG * behind
        words = [state(line) for line in lines.values() if line.waiting]  # of these, nothing is cut
        states = max((STATE, *map(len, words)))
        table.columns[1].width = max(7, min(states, width - beside - names - counts))
        if words:
            table.columns[1].no_wrap, table.columns[1].overflow = False, "fold"
        if wide:
            moving = self._rates is not None
            table.add_column("reason or last gap", no_wrap=moving, overflow="ellipsis" if moving else "fold")
        for name, line in lines.items():
            table.add_row(
                name,
                Text(state(line), COLOURS.get(line.state, "cyan")),
                _since(line, at),
                self._events(name, line, now),
                topics(line.topics),
                f"{line.counters.restored:,}/{line.counters.restarts:,}",
                f"{line.counters.gaps:,}",
                *[_lag(line)] * behind,
                *_measures(line) * roomy,
                *[_reason_or_gap(line)] * wide,
            )
        return table

    def _events(self, name: str, line: LineStatus, now: float) -> str:
        count = line.counters.decoded
        return f"{count if self._rates is None else self._rates.rate(name, count, now):,.0f}"


class Rates:
    """Events per second of each line, over the last seconds. `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._counts: dict[str, deque[tuple[float, int]]] = {}

    def rate(self, name: str, count: int, now: float) -> float:
        """`count` is the total so far. It falls when another process counts."""
        counts = self._counts.setdefault(name, deque())
        if counts and count < counts[-1][1]:
            counts.clear()
        counts.append((now, count))
        while len(counts) > 2 and counts[1][0] <= now - WINDOW:
            counts.popleft()
        (since, before), (until, after) = counts[0], counts[-1]
        return (after - before) / (until - since) if until > since else 0.0


def halts(standing: Sequence[HaltStatus]) -> Iterator[Text]:
    """One row per halt. Times are local."""
    for each in standing:
        yield Text(printable(f"{each}, since {day_and_clock(each.since_ns)}"), "bold red")


def accounts(followed: Mapping[str, AccountStatus]) -> Iterator[Text]:
    """One row per account that is followed."""
    for name, each in followed.items():
        parts = [each.state, "no look yet" if each.age_s is None else f"looked at {span(each.age_s)} ago"]
        parts += [f"{counted(each.silent_losses, 'event')} lost in silence"] if each.silent_losses else []
        parts += filter(None, (each.untrusted, each.reason, *each.disputed))
        yield Text(printable(f"account {name}: {'; '.join(parts)}"), "" if each.is_well else "yellow")


def logins(feeds: Mapping[str, FeedStatus]) -> Iterator[Text]:
    """One row per feed whose login was taken from the environment."""
    for name, feed in feeds.items():
        if feed.login_variables:
            yield Text(printable(f"{name}: {login_words(feed.login_variables)}"), "dim")


# ── one line ────────────────────────────────────────────────────────────────────────────────────


def _not_fresh(untrusted: Mapping[str, Freshness]) -> Iterator[Text]:
    """One row per topic, the worst first."""
    if not untrusted:
        yield Text("every topic is fresh", "green")
        return
    rows = sorted(untrusted.items(), key=lambda row: (row[1].state, row[0]))
    for topic, found in rows[:MOST_TOPICS]:
        words = f"{topic} is not fresh ({found.cause}): {found.text}"
        yield Text(printable(words), "" if found.cause in EXPLAINED else "yellow")
    if len(rows) > MOST_TOPICS:
        yield Text(f"... and {len(rows) - MOST_TOPICS:,} more", "yellow")


def _reason_or_gap(line: LineStatus) -> Text:
    if line.state in TROUBLED:
        return Text(cause(line), COLOURS[line.state])
    return Text(last_gap(line) or cause(line), "dim")


def _measures(line: LineStatus) -> list[str]:
    rtt = "" if line.rtt_ms is None else f"{line.rtt_ms:,.1f} ms"
    age = "" if line.data_age_s is None else span(line.data_age_s)
    return [rtt, age, str(line.health.score)]


def _lag(line: LineStatus) -> Text:
    return Text(span(line.lag.seconds), "yellow" if line.lag.cause else "")


def _since(line: LineStatus, at: float) -> str:
    """How long it has been live; or not live, as far back as its journal goes."""
    if line.live_for_s is not None:
        return span(line.live_for_s)
    lives = [number for number, ending in enumerate(line.journal) if ending.lived_s is not None]
    down = line.journal[max(lives, default=0) :]  # entries after the last life are attempts
    more = ">" if len(down) == KEPT else ""
    return more + span(max(0.0, at - down[0].at_ns / 1e9)) if down else ""


# ── below the table ─────────────────────────────────────────────────────────────────────────────


def _notes(lines: Mapping[str, LineStatus], *, explained: bool, gaps: bool) -> Iterator[Text]:
    """`explained`: the table has the reasons and gaps already."""
    for name, line in lines.items():
        if not explained and line.state != "live" and line.reason is not None:
            yield Text(f"{name}: {cause(line)}", COLOURS[line.state] if line.state in TROUBLED else "dim")
        if not explained and gaps and line.last_gap is not None:
            yield one_row(f"{name}: last gap {last_gap(line)}", "dim")
        if gaps and (left := line.counters.unrepaired):
            yield one_row(f"{name}: {counted(left, 'gap')} not filled completely", "dim")
        if line.lag.cause:
            yield Text(printable(f"{name}: {line.lag.text}"), "yellow")
        for stream in line.paused_by_streams:
            yield Text(f"{name}: waits for stream {stream}, which is full", "yellow")
        rejected = [topic for topic in line.topics if topic.state.state == "rejected"]
        for topic in rejected[:REJECTED]:
            why = f": {topic.state.reason}" if topic.state.reason else ""
            yield Text(printable(f"{topic.topic}: rejected by the venue{why}"), "yellow")
        if more := rejected[REJECTED:]:
            yield Text(f"{name}: {counted(len(more), 'more rejected topic')}; --json has all", "yellow")
        for told in line.venue_states[-STATES:]:
            yield Text(printable(f"{name}: the venue says: {state_words(told)}"), "yellow")
        if more_states := line.venue_states[:-STATES]:
            yield Text(
                f"{name}: {counted(len(more_states), 'more state')} of the venue; --json has all", "yellow"
            )
        if line.last_venue_error:
            yield Text(printable(f"{name}: last error of the venue: {line.last_venue_error}"), "dim")
        if not line.verify_tls:
            yield Text(f"{name}: certificates are not checked (verify_tls = false)", "yellow")


def _streams(streams: Iterable[StreamStatus], width: int) -> Table:
    more = width >= ROOMY
    counts = ("queued", "received", "dropped", "gaps", *("topics", "delivered", "conflated", "lag") * more)
    headings = ("stream", "of", "policy", *counts)
    table = plain_table(*headings, right=("stream", *counts), unfolded=headings)
    for stream in streams:
        numbers = [stream.received, stream.dropped, stream.gaps]
        numbers += [stream.topics, stream.delivered, stream.conflated] * more
        full = stream.queued >= stream.capacity > 0  # an inline handler has no buffer
        table.add_row(
            str(stream.id),
            f"{stream.feed}/{stream.channel}",
            stream.policy,
            Text(f"{stream.queued:,}/{stream.capacity:,}", "yellow" if full else ""),
            *(f"{number:,}" for number in numbers),
            *[span(stream.lag_s)] * more,
        )
    return table


# ── the journal ─────────────────────────────────────────────────────────────────────────────────


def journal(entries: Mapping[str, Sequence[JournalEntry]], width: int) -> RenderableType:
    """Every ending of these lines and all that their venues said of themselves, oldest first.

    Times of the day are local.
    """
    every = [(name, entry) for name, mine in entries.items() for entry in mine]
    every.sort(key=lambda pair: pair[1].at_ns)
    if not every:
        return Text("No line has been lost.")
    if width < WIDE:
        return Group(*(row for name, entry in every for row in _rows(name, entry)))
    numbers = ("try", "lived", *map(_heading, STEPS))
    headings = ("when", "line", "epoch", "kind", "code", *numbers)
    table = plain_table(*headings, "what happened", right=("epoch", *numbers), unfolded=headings)
    for name, ending in every:
        if isinstance(ending, VenueState):
            said = (day_and_clock(ending.at_ns), name, str(ending.epoch), "venue", ending.state)
            table.add_row(*said, *[""] * len(numbers), printable(str(ending)))
            continue
        if isinstance(ending, SilentLossEntry):
            found = (day_and_clock(ending.at_ns), name, str(ending.epoch), "audit", "silent_loss")
            table.add_row(*found, *[""] * len(numbers), printable(_loss_words(ending)))
            continue
        table.add_row(
            day_and_clock(ending.at_ns),
            name,
            str(ending.epoch),
            ending.kind,
            printable(ending.code),
            str(ending.attempt),
            "" if ending.lived_s is None else span(ending.lived_s),
            *(_ms(ending.split, step) for step in STEPS),
            printable(_what_happened(ending)),
        )
    return Group(table, Text("detect to first data: the way back, in ms", "dim"))


def _loss_words(loss: SilentLossEntry) -> str:
    return f"lost in silence: {loss.account}: {loss.text}"


def blind_times(lines: Mapping[str, LineStatus]) -> RenderableType:
    """How long each topic of these lines was without data that could be trusted; days are UTC's."""
    blind = [topic for line in lines.values() for topic in line.topics if topic.blind_s]
    if not blind:
        return Group()
    times = ("blind today", "since the start")
    table = plain_table("subscription", *times, right=times)
    for topic in blind:
        table.add_row(printable(topic.topic), span(topic.blind_today_s), span(topic.blind_s))
    return Group(Text(), table)


def _rows(name: str, ending: JournalEntry) -> Iterator[Text]:
    """Where a table has no room."""
    if not isinstance(ending, LineExit):
        told = f"the venue says: {ending}" if isinstance(ending, VenueState) else _loss_words(ending)
        yield Text(printable(f"{day_and_clock(ending.at_ns)}  {name}#{ending.epoch}  {told}"))
        return
    why = f"{ending.kind} {ending.code}: {_what_happened(ending)}"
    yield Text(printable(f"{day_and_clock(ending.at_ns)}  {name}#{ending.epoch}  {why}"))
    lived = "never live" if ending.lived_s is None else f"lived {span(ending.lived_s)}"
    steps = [f"{_heading(step)} {_ms(ending.split, step)}" for step in STEPS if _ms(ending.split, step)]
    yield Text(f"    try {ending.attempt}, {lived}; ms: {', '.join(steps)}", "dim")


def _what_happened(ending: LineExit) -> str:
    """With the address, where the feed has several; and how often, where it did more than once."""
    often = f"{ending.times:,} times until {day_and_clock(ending.last_at_ns)}: " if ending.times > 1 else ""
    return f"{often}{ending.text} (at {ending.url})" if ending.url else f"{often}{ending.text}"


def _heading(step: str) -> str:
    return step.replace("_", " ")


def _ms(split: RecoveryTimes, step: str) -> str:
    milliseconds: float | None = getattr(split, step)
    if milliseconds is None:
        return ""
    return f"{milliseconds:,.1f}" if milliseconds < 100 else f"{milliseconds:,.0f}"


# ── what was put aside ──────────────────────────────────────────────────────────────────────────


def quarantine(kept: QuarantineStatus) -> RenderableType:
    headings = ("when", "line", "bytes", "why", "begins with")
    table = plain_table(*headings, right=("bytes",), unfolded={*headings} - {"why"})
    for each in kept.newest:
        words = (printable(each.error), printable(each.raw))
        table.add_row(day_and_clock(each.at_ns), each.line, f"{each.size:,}", *words)
    return _kept(table, kept.count, len(kept.newest), "message", " in quarantine")


def cooldowns(known: Sequence[CooldownStatus]) -> RenderableType:
    """Times are local."""
    if not known:
        return Text("There is no cool-down.")
    table = plain_table("account", "until", "asked by", "line", "why", unfolded=("account", "until"))
    for each in known:
        table.add_row(
            printable(each.account),
            day_and_clock(each.until_ns),
            "the venue" if each.asked_by == "venue" else "linewarden (slow_initial)",
            printable(each.line),
            printable(each.why),
        )
    return table


def dead_letters(kept: DeadLettersStatus) -> RenderableType:
    table = plain_table("to", "message", "why")
    for letter in kept.newest:
        table.add_row(*(printable(text) for text in (letter.to, letter.message, letter.why)))
    return _kept(table, kept.count, len(kept.newest), "dead letter")


def _kept(table: Table, count: int, kept: int, noun: str, where: str = "") -> RenderableType:
    if not count:
        return Text(f"There is no {noun}{where}.")
    newest = f"; the newest {kept:,} are kept" if kept < count else ""
    return Group(table, Text(f"{counted(count, noun)}{newest}.", "dim"))
