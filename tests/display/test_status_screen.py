"""What `linewarden status` shows on a terminal: no trouble is below its edge."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from actors.display.escaping import UNSAFE
from actors.display.status_rows import COLUMNS, SORTS, status_rows
from actors.display.status_screen import screen
from actors.display.status_troubles import KINDS, counts
from actors.display.text import width_of
from actors.status import Status
from tests.cli.statuses import ADVICE, LINES, NOW, OTHERS, line, status, stream, topic, troubled

SIZES = [(60, 24), (80, 24), (120, 40), (160, 50)]
MANUAL_PAGE = (Path(__file__).parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
CONTROL = re.compile(rf"[\x00-\x1f{UNSAFE}]")
# The words of a trouble that has a row of its own. The 3 a.m. table of docs/operating.md points at them.
WORDS = {
    "halted": r"! HALTED: api\.venue\.example/7: .*\(halt h1, by ann\), since",
    "disputed": r"! account o2/4242: disputed",
    "failed": rf"! failed/\d+: failed; down since .*began with lost.*{re.escape(ADVICE)} Then: ",
    "refused": r"! \w+: no line takes o2/trades/C and 1 more",
    "rejected": r"! o2/trades/B: rejected by the venue",
    "degraded": r"! degraded/\d+: live, degraded: .*see linewarden quarantine",
    "token": r"! \w+: the token ends in 1 m and was not renewed",
    "handler": r"! stream 9 \(o2/trades\): its handler failed twice",
    "untrusted": r"account o2/4242: untrusted.*lost in silence",
    "paused": r"paused/\d+: paused; down since",
    "held": r"held/\d+: live, held by a full stream: waits for stream 3 \(o2/trades\)",
    "waiting": r"waiting/\d+: waiting until 14:05 \(the venue asked\); down since .*; http_429: .*began with",
    "backoff": r"backoff/\d+: backoff, try 51 in 12 s; down since .* 50 failed tries\); dns: .*began with",
    "opening": r"opening/\d+: connecting; down since",
    "stopped": r"stopped/\d+: stopped",
    "stale": r"stale/\d+: 1 stale: o2/trades/A \(",
    "behind": r"behind/\d+: the reader of stream 3",
    "actor": r"dispatcher is wedged",
    "venue": r"venue/\d+: the venue says: maintenance",
    "quarantine": r"7 messages in quarantine, the newest of o2 at .*; see: linewarden quarantine",
    "dead_letter": r"2 dead letters; see: linewarden dead-letters",
    "metrics": r"the metrics object failed twice",
    "silent_loss": r"account o2/4242: synced; looked at 3.0 s ago; 3 events lost in silence",
    "venue_key": r"venue_key/\d+: the venue says: A is halted",
    "unfilled": r"unfilled/\d+: 2 gaps not filled completely",
    "unchecked": r"unchecked/\d+: certificates are not checked",
    "login": r"\w+: its login was taken from A_KEY and A_SECRET",
}


def drawn(told: Status, width: int | None, height: int | None, **options: object) -> list[str]:
    return [row.text for row in screen(status_rows(told, NOW, **options), width, height)]  # type: ignore[arg-type]


def sentences(rows: list[str]) -> list[str]:
    """The rows above the table, each sentence in one."""
    above = rows[: next((number for number, row in enumerate(rows) if row.startswith("line ")), len(rows))]
    joined: list[str] = []
    for row in above:
        if row.startswith("  ") and joined:
            joined[-1] += f" {row.strip()}"
        else:
            joined.append(row)
    return joined


def counted_by_kind(rows: list[str]) -> dict[str, int]:
    """How many of each kind are counted, and not shown one by one."""
    found: dict[str, int] = {}
    for row in sentences(rows):
        if row.startswith("also "):
            for kind, known in KINDS.items():
                words = re.escape(f" {known.what}") if known.what else ""
                words += r"(?: \([^)]*\))?"  # causes
                match = re.search(rf"\b([\d,]+) (?:more )?{known.noun}s?{words}[,:].*?{known.command}\b", row)
                if match:
                    found[kind] = int(match[1].replace(",", ""))
    return found


def assert_all_is_told(told: Status, width: int, height: int) -> None:
    rows = drawn(told, width, height)
    assert len(rows) <= height
    assert all(width_of(row) <= width for row in rows)
    assert not any(CONTROL.search(row) for row in rows)
    assert rows[0].startswith("desk: ")
    beside = counted_by_kind(rows)
    above = sentences(rows)
    for kind, words in WORDS.items():
        every = [each for each in status_rows(told, NOW).troubles if each.kind == kind]
        shown = sum(bool(re.match(words, row)) for row in above)
        rest = sum(each.count for each in every[shown:])
        assert beside.get(kind, 0) == rest, (kind, shown, rows)


def assert_one_is_told_in_full(kind: str, healthy: int, size: tuple[int, int]) -> None:
    told = troubled({kind: 1}, healthy)
    rows = drawn(told, *size)
    assert any(re.match(WORDS[kind], row) for row in sentences(rows)), rows
    assert_all_is_told(told, *size)


@pytest.mark.parametrize("kind", WORDS)
def test_one_trouble_is_told_in_full_beside_any_number_of_healthy_lines(kind: str) -> None:
    assert_one_is_told_in_full(kind, 199, (80, 24))
    assert_one_is_told_in_full(kind, 4, (60, 24))


@pytest.mark.parametrize("kind", LINES)
def test_two_hundred_lines_in_the_same_trouble_are_told_or_counted(kind: str) -> None:
    assert_all_is_told(troubled({kind: 200}), 80, 24)


@pytest.mark.long
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", WORDS)
def test_each_trouble_is_told_or_counted_on_each_terminal(kind: str, size: tuple[int, int]) -> None:
    for healthy in (0, 4, 199):
        assert_one_is_told_in_full(kind, healthy, size)
    for number in (5, 200):
        assert_all_is_told(troubled({kind: number}), *size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("number", [1, 40])
def test_all_troubles_at_once_are_told_or_counted(number: int, size: tuple[int, int]) -> None:
    assert_all_is_told(troubled(dict.fromkeys((*LINES, *OTHERS), number), 100), *size)


@settings(max_examples=50)
@given(
    st.dictionaries(st.sampled_from([*LINES, *OTHERS]), st.integers(1, 30)),
    st.integers(0, 40),
    st.integers(1, 5),
    st.integers(60, 200),
    st.integers(24, 80),
)
def test_every_trouble_is_within_the_first_screen_or_counted_with_the_command_that_shows_it(
    kinds: Mapping[str, int], healthy: int, feeds: int, width: int, height: int
) -> None:
    assert_all_is_told(troubled(kinds, healthy, feeds), width, height)


def test_lines_that_are_counted_have_their_causes_counted_too() -> None:
    """An outage of the machine's network is known by its code, which no column has."""
    told = troubled({"backoff": 150, "waiting": 30})
    assert "150 lines in backoff (dns)" in flat(drawn(told, 80, 24))
    names = [f"dead/{number}" for number in range(100)]
    codes = ["dns"] * 40 + ["refused"] * 30 + ["http_503"] * 20 + ["lost", "tls"] * 5
    down = LINES["backoff"]()
    assert down.reason is not None
    lines = {
        name: structs.replace(down, reason=structs.replace(down.reason, code=code))
        for name, code in zip(names, codes, strict=True)
    }
    rows = drawn(status(**lines), 80, 24)
    assert "in backoff (40 dns, 30 refused, 20 http_503, 10 others)" in flat(rows)


def flat(rows: list[str]) -> str:
    return " ".join(row.strip() for row in rows)


@given(st.text(min_size=1, max_size=300), st.integers(60, 120))
def test_names_and_texts_of_any_kind_keep_to_the_width(text: str, width: int) -> None:
    lost = structs.replace(LINES["failed"](), last_venue_error=text, degraded=text)
    told = status(**{text: lost, "a": line(topics=(topic(text, "rejected"),))})
    told = structs.replace(told, name=text, streams=(stream(channel=text),))
    for height in (24, None):
        rows = drawn(told, width, height)
        assert all(width_of(row) <= width for row in rows)
        assert not any(CONTROL.search(row) for row in rows)


def test_what_is_not_well_stands_first_and_healthy_lines_are_counted_by_feed() -> None:
    rows = drawn(troubled({"held": 1, "backoff": 1, "failed": 1}, 197, feeds=3), 80, 23)
    first = next(number for number, row in enumerate(rows) if row.startswith("line "))
    assert [row.split()[0] for row in rows[first + 1 : first + 4]] == ["failed/0", "held/0", "backoff/0"]
    assert re.split("  +", rows[first + 2])[1] == "live, held by a full stream"
    assert len(rows) == 23
    last = " ".join(" ".join(rows[-2:]).split())
    hidden = re.search(
        r"not shown: (\d+) lines live \(feed0 (\d+), feed1 (\d+), feed2 (\d+)\), and 1 stream: "
        r"linewarden status --all$",
        last,
    )
    assert hidden is not None, last
    numbers = [int(number) for number in hidden.groups()]
    healthy = sum(row.startswith("well/") for row in rows)
    assert numbers[0] == sum(numbers[1:]) == 197 - healthy
    assert healthy > 0


def test_a_pipe_and_all_have_every_row_whole() -> None:
    told = troubled(dict.fromkeys((*LINES, *OTHERS), 3), 10)
    piped = drawn(told, None, None)
    assert not any("…" in row for row in piped if not row.startswith("last_gap/"))
    for each in status_rows(told, NOW).troubles:
        assert any(row.removeprefix("! ") == each.text for row in piped)
    header = piped.index(next(row for row in piped if row.startswith("line ")))
    assert piped[header].split() == [name for name in COLUMNS if name != "events/s"]
    lines = len(told.lines())
    assert [row.split()[0] for row in piped[header + 1 : header + 1 + lines]] == [
        each.name for each in status_rows(told, NOW).lines
    ]
    assert all(row.startswith(("stream ", "  ")) for row in piped[header + 1 + lines :])
    on_screen = drawn(told, 80, None)
    assert all(width_of(row) <= 80 for row in on_screen)
    assert not any(row.startswith(("also ", "not shown: ")) for row in (*piped, *on_screen))


def test_on_a_wide_terminal_all_columns_are_shown() -> None:
    (header,) = [row for row in drawn(troubled({}, 2), 120, 40) if row.startswith("line ")]
    assert header.split() == [name for name in COLUMNS if name != "events/s"]


def test_on_a_narrow_one_the_state_is_whole() -> None:
    for kind, words in (
        ("held", "live, held by a full stream"),
        ("waiting", "waiting until 14:05 (the venue asked)"),
    ):
        rows = drawn(troubled({kind: 1}), 60, 24)
        assert any(row.startswith(f"{kind}/0") and words in row for row in rows), rows


def test_streams_stand_below_the_lines_if_there_is_room() -> None:
    told = structs.replace(
        troubled({}, 2), streams=(stream(queued=100), stream(id=4, policy="inline", capacity=0))
    )
    pictured = screen(status_rows(told, NOW), 120, 24)
    rows = [" ".join(row.text.split()) for row in pictured]
    assert rows[-3:] == [
        "stream of policy queued received dropped gaps lag topics delivered conflated",
        "3 o2/trades block 100/100 0 0 0 0.0s 0 0 0",
        "4 o2/trades inline 0/0 0 0 0 0.0s 0 0 0",
    ]
    styles = [
        dict(row.spans).get(text) for row, text in zip(pictured[-2:], ("100/100", "    0/0"), strict=True)
    ]
    assert styles == ["yellow", ""]  # only a stream that has a buffer can be full
    assert drawn(told, 120, 6)[-1] == "not shown: 2 streams: linewarden status --all"


@pytest.mark.parametrize("sort", SORTS)
def test_lines_in_another_order_hide_no_trouble(sort: str) -> None:
    told = troubled({"failed": 2, "stale": 3}, 100)
    above = sentences(drawn(told, 80, 24, sort=sort))
    assert sum(bool(re.match(WORDS["failed"], row)) for row in above) == 2


# As the first column of the 3 a.m. table has them; without their subject.
MANUAL = {
    "halted": "! HALTED: ",
    "disputed": "disputed",
    "failed": ": failed",
    "refused": ": no line takes ",
    "rejected": ": rejected by the venue: ",
    "degraded": ": live, degraded",
    "token": ": the token ends in ",
    "handler": ": its handler failed ",
    "untrusted": "untrusted",
    "paused": ": paused",
    "held": ": live, held by a full stream: ",
    "waiting": ": waiting until ",
    "backoff": ": backoff, try ",
    "opening": ": connecting",
    "stale": " stale: ",
    "behind": " s behind ",
    "actor": " is wedged",
    "venue": ": the venue says: ",
    "quarantine": " messages in quarantine",
    "dead_letter": " dead letters",
    "metrics": "the metrics object failed ",
    "silent_loss": "lost in silence",
}


@pytest.mark.parametrize("kind", MANUAL)
def test_the_manual_has_the_words_that_are_shown(kind: str) -> None:
    table = MANUAL_PAGE.partition("| you see | cause | action |")[2].partition("\n\n")[0]
    seen = [row.split(" | ")[0] for row in table.splitlines()]
    assert any(MANUAL[kind].strip() in each for each in seen), kind
    rows = drawn(troubled({kind: 1}), None, None)
    assert any(MANUAL[kind] in row for row in rows), rows


def test_each_trouble_is_in_the_manual() -> None:
    troubling = {kind for kind, known in KINDS.items() if known.level in {"person", "trouble"}}
    assert troubling - MANUAL.keys() == {"stopped", "not_fresh"}


def test_a_count_has_its_noun() -> None:
    assert counts("failed", 1) == "1 line failed"
    assert counts("dead_letter", 1_200) == "1,200 dead letters"
