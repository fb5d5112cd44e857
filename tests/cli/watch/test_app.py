"""Each key of the view, and what it survives."""

from __future__ import annotations

import os
from typing import Any

import pytest
from msgspec import structs
from textual import events

from actors.cli.watch.listing import Wanted
from actors.diagnostics import Quarantined
from actors.errors import ServiceDeclinedError, ServiceUnreachableError
from actors.events import Freshness
from actors.rules.journal import LineExit, RecoveryTimes
from actors.status import Cause, HaltStatus, LineStatus, QuarantineStatus
from tests.cli.statuses import line, topic
from tests.cli.watch.viewed import Desk, View, viewing

REFUSED = Cause("retryable", "connect_refused", "api.example.org refused the connection")
BAD_KEY = Cause("fatal", "http_401", "login refused", "Check key and secret, then restart the line.")
ENDED = LineExit(3, 10**18, "retryable", "pong_timeout", "no pong", 0, 4.2, RecoveryTimes())


def down(cause: Cause = REFUSED, state: Any = "backoff", **changes: Any) -> LineStatus:
    changes = {"live_for_s": None, "data_age_s": None, "rtt_ms": None, "attempt": 3} | changes
    return line(state, reason=cause, **changes)


def desk() -> Desk:
    """Three lines: one live, one that was lost, and one that has failed."""
    return Desk(alpaca=line(data_age_s=5.0), o2=down(), zeta=down(BAD_KEY, "failed"))


# ── the list ────────────────────────────────────────────────────────────────────────────────────


def test_lines_in_trouble_stand_first_and_the_chosen_one_is_explained_below() -> None:
    async def story(view: View) -> None:
        assert view.rows[0].startswith("desk: live · 1 needs a person (!) · 1 of 3 lines live")
        assert view.listed == ["zeta", "o2", "alpaca"]
        assert view.chosen == "zeta"
        assert "Check key and secret, then restart the line." in view.text
        await view.press("down")
        assert view.chosen == "o2"
        assert "connect_refused: api.example.org refused the connection" in view.text
        await view.press("down")
        assert view.chosen == "alpaca"
        assert "refused" not in view.text

    viewing(desk(), story)


def test_s_sorts_by_the_next_column_and_d_shows_lines_that_are_down() -> None:
    async def story(view: View) -> None:
        assert "sort: trouble" in view.text
        await view.press("s")
        assert "sort: line" in view.text
        assert view.listed == ["alpaca", "o2", "zeta"]
        assert view.chosen == "alpaca"
        await view.press("d")
        assert "sort: line · down only" in view.text
        assert view.listed == ["o2", "zeta"]
        await view.press("d")
        assert view.listed == ["alpaca", "o2", "zeta"]

    viewing(desk(), story)


def test_a_filter_finds_names_states_and_troubles_until_escape() -> None:
    async def story(view: View) -> None:
        for typed, found in (("ALP", ["alpaca"]), ("backoff", ["o2"]), ("secret", ["zeta"])):
            await view.press("slash", *typed)
            assert view.listed == found
            await view.press("escape")
            assert view.listed == ["zeta", "o2", "alpaca"]
        await view.press("slash", *"qqq", "enter")
        assert "No line to show." in view.text
        await view.press("slash", "backspace", "backspace", "backspace", *"o2", "enter", "s", "d")
        assert view.listed == ["o2"]  # the keys act on the list again
        assert "down only" in view.text

    viewing(desk(), story)


def test_keys_that_come_with_the_slash_belong_to_the_field_and_send_no_command() -> None:
    """A terminal far away sends several at once; `r` and `y` would restart the chosen line."""

    async def story(view: View) -> None:
        for key in ("slash", "r", "y", "d"):
            view.app.post_message(events.Key(key, "/" if key == "slash" else key))
        await view.press()
        assert view.app._wanted.text == "ryd"
        assert not view.app._wanted.down
        assert it.posts == []
        await view.press("slash")  # a name of a line may have one
        assert view.app._wanted.text == "ryd/"
        await view.press("escape", "d")
        assert view.app._wanted.down
        await view.press("escape")
        assert (view.app._wanted.down, view.app._wanted.text) == (False, "")

    it = desk()
    viewing(it, story)


def test_the_cursor_stays_on_its_line_when_the_order_changes() -> None:
    async def story(view: View) -> None:
        await view.press("down")
        assert view.chosen == "o2"
        it.show(alpaca=down(), o2=line(), zeta=line())
        await view.look()
        assert view.listed == ["alpaca", "o2", "zeta"]
        assert view.chosen == "o2"
        it.show(alpaca=down())
        await view.look()
        assert view.chosen == "alpaca"
        it.show()
        await view.look()
        assert "No line to show." in view.text
        await view.press("enter", "r", "p", "down", "pagedown", "end")  # there is no line to do it with
        assert it.posts == []

    it = desk()
    viewing(it, story)


def test_the_options_of_the_command_choose_the_lines_at_first() -> None:
    async def story(view: View) -> None:
        assert view.listed == ["o2"]
        assert "sort: since · down only" in view.text

    viewing(desk(), story, wanted=Wanted(down=True, sort="since", target="o2"))


# ── pages ───────────────────────────────────────────────────────────────────────────────────────


def test_enter_shows_a_line_with_its_topics_in_trouble_its_journal_and_its_last_gap() -> None:
    async def story(view: View) -> None:
        await view.press("enter")
        for words in ("state", "connect_refused", "last gap", "o2/trades/B", "rejected", "pong_timeout"):
            assert words in view.text
        assert "o2/trades/A" not in view.text
        it.show(o2=line())
        await view.look()
        assert "connect_refused" not in view.text  # a page follows the looks
        it.show()
        await view.look()
        assert "o2 is not among the lines" in view.text
        await view.press("escape")
        assert "No line to show." in view.text

    topics = (topic("o2/trades/A", "confirmed"), topic("o2/trades/B", "rejected"))
    it = Desk(o2=down(topics=topics, journal=(ENDED,)))
    viewing(it, story)


def test_each_page_has_a_key_and_q_leaves_the_page_before_the_view() -> None:
    it = Desk(o2=down(journal=(ENDED,)))
    raw = Quarantined("o2", 10**18, "expected `int`", 17, '{"price": "many"}')
    unfresh = {"o2/trades/A": Freshness("stale", "nothing", text="nothing for 5 s")}
    it.shown = structs.replace(it.shown, quarantine=QuarantineStatus(1, (raw,)), untrusted=unfresh)
    pages = {
        "j": "pong_timeout",
        "u": "expected `int`",
        "f": "nothing for 5 s",
        "t": "refused the connection",
    }

    async def story(view: View) -> None:
        for key, words in (pages | {"question_mark": "Messages that could not be decoded."}).items():
            await view.press(key)
            assert words in view.text
            assert "Esc back" in view.text
            await view.press("q")
            assert "sort: trouble" in view.text
        await view.press("q")
        assert not view.app.is_running

    viewing(it, story)


def test_fresh_opens_the_page_of_topics_that_are_not_fresh() -> None:
    async def story(view: View) -> None:
        assert "Topics that are not fresh" in view.text
        assert "Every topic is fresh." in view.text

    viewing(desk(), story, opens_fresh=True)


# ── commands ────────────────────────────────────────────────────────────────────────────────────


def test_a_restart_names_the_gap_and_is_sent_after_y_alone() -> None:
    async def story(view: View) -> None:
        for no in ("n", "escape", "enter", "q"):
            await view.press("r")
            assert "Restart o2?" in view.question
            assert "Each of its 2 topics gets a gap" in view.question
            await view.press(no)
            assert view.question == ""
        assert it.posts == []
        await view.press("r", "y")
        await view.seen("restart o2: accepted")
        assert it.posts == ["/restart/o2"]
        for _ in range(10):
            await view.look()
        assert "accepted" not in view.text

    it = Desk(o2=line(topics=(topic("o2/trades/A", "confirmed"), topic("o2/trades/B", "confirmed"))))
    viewing(it, story)


def test_p_pauses_a_line_and_resumes_one_that_is_paused() -> None:
    async def story(view: View) -> None:
        await view.press("p")
        assert "Pause o2?" in view.question
        assert "linewarden status exits with 1" in view.question
        await view.press("y")
        await view.seen("pause o2: accepted")
        it.show(o2=line("paused", live_for_s=None))
        await view.look()
        await view.press("p")
        assert "Resume o2?" in view.question
        await view.press("y")
        await view.seen("resume o2: accepted")
        assert it.posts == ["/pause/o2", "/resume/o2"]

    it = Desk(o2=line())
    viewing(it, story)


def test_a_command_that_is_declined_says_why() -> None:
    async def story(view: View) -> None:
        it.error = ServiceDeclinedError("o2 was restarted 1.2 s ago.")
        await view.press("r", "y")
        await view.seen("restart o2 failed: o2 was restarted 1.2 s ago.")

    it = Desk(o2=line())
    viewing(it, story)


def test_a_service_that_refuses_a_command_for_want_of_the_right_is_asked_once() -> None:
    async def story(view: View) -> None:
        it.error = ServiceDeclinedError("this needs the right act", 403)
        await view.press("r", "y")
        await view.seen("restart o2 failed: this needs the right act")
        assert "r p: not without the right act" in view.text
        await view.press("r", "y")
        assert view.question == ""
        assert it.posts == ["/restart/o2"]

    it = Desk(o2=line())
    viewing(it, story)


def test_without_the_right_to_act_its_keys_do_nothing_and_name_the_right() -> None:
    async def story(view: View) -> None:
        assert "r p: not without the right act" in view.text
        assert "pause/resume" not in view.text
        for key in ("r", "p"):
            await view.press(key)
            assert "needs the right act" in view.text
            await view.press("y")
        assert it.posts == []
        await view.press("question_mark")
        assert "Not now: you do not have the right act." in view.text

    it = desk()
    viewing(it, story, rights=("look",))


# ── what it survives ────────────────────────────────────────────────────────────────────────────


def test_a_service_that_goes_away_keeps_the_last_picture_and_says_since_when() -> None:
    async def story(view: View) -> None:
        it.error = ServiceUnreachableError("cannot reach the service at unix:/run/x: Connection refused")
        await view.look()
        assert "No answer since" in view.text
        assert "unix:/run/x" in view.text
        assert "Below is the picture of" in view.text
        assert view.listed == ["zeta", "o2", "alpaca"]
        await view.press("s", "enter", "q", "t", "q")  # all keys go on
        assert view.listed == ["alpaca", "o2", "zeta"]
        it.error = None
        await view.look()
        assert "No answer since" not in view.text

    it = desk()
    viewing(it, story)


def test_a_status_that_cannot_be_drawn_is_told_and_the_next_one_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    async def story(view: View) -> None:
        with monkeypatch.context() as patched:
            patched.setattr("actors.cli.watch.app.listing", broken)
            patched.setattr("actors.cli.watch.pages.details", broken)
            await view.look()
            assert "could not be drawn (ZeroDivisionError: a defect)" in view.text
            assert view.listed == ["zeta", "o2", "alpaca"]
            await view.press("enter")
            assert "could not be drawn (ZeroDivisionError: a defect)" in view.text
            await view.press("q")
        await view.look()
        assert "could not be drawn" not in view.text

    viewing(desk(), story)


@pytest.mark.parametrize("size", [(160, 50), (80, 24), (60, 20), (30, 8), (10, 3), (1, 1)])
def test_any_size_of_the_terminal_will_do(size: tuple[int, int]) -> None:
    async def story(view: View) -> None:
        await view.resize(*size)
        await view.press("down", "pagedown", "end", "r", "n", "enter", "q", "question_mark", "q", "home")
        assert all(len(row) <= size[0] for row in view.rows)
        await view.resize(80, 24)
        assert view.listed == ["zeta", "o2", "alpaca"]

    viewing(desk(), story, size=(100, 30))


def test_two_thousand_lines_are_paged_through() -> None:
    async def story(view: View) -> None:
        shown = len(view.listed)
        assert shown >= 10
        assert f"1-{shown} of 2,000" in view.text
        await view.press("end")
        assert view.listed[-1] == "line-1999"
        await view.press("pageup")
        assert "line-1999" in view.listed  # the cursor is on the first row
        await view.press("pageup")
        assert "line-1999" not in view.listed
        await view.press("home", "slash", *"1234", "enter")
        assert view.listed == ["line-1234"]

    viewing(Desk(**{f"line-{number:04}": line() for number in range(2_000)}), story)


def test_a_mark_says_which_lines_need_a_person_and_which_are_in_trouble() -> None:
    async def story(view: View) -> None:
        marks = {row[3:].split()[0]: row[1] for row in view.rows if row[3:].split()[:1] and row[2] == " "}
        assert {name: marks[name] for name in view.listed} == {"zeta": "!", "o2": "*", "alpaca": " "}

    viewing(desk(), story)


def test_a_halt_stands_above_the_lines() -> None:
    it = desk()
    halt = HaltStatus("7", "all", "a strange fill", 10**18, "alice")
    it.shown = structs.replace(it.shown, halts=(halt,))

    async def story(view: View) -> None:
        above, _, _ = view.text.partition(" line state ")
        assert "! HALTED: all: a strange fill" in above

    viewing(it, story)


def test_no_colour_is_drawn_if_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def story(view: View) -> None:
        strips = view.app.screen._compositor.render_strips()
        styles = [segment.style for strip in strips for segment in strip if segment.style is not None]
        assert all(style.color is None or style.color.is_default for style in styles)
        assert any(style.reverse for style in styles)  # the cursor

    viewing(desk(), story)
    assert os.environ["NO_COLOR"] == "1"
