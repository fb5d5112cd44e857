"""The full-screen view: what is shown where, and what each key does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from typing import ClassVar, Final

from msgspec import structs
from rich.console import RenderableType
from rich.rule import Rule
from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input, Static

from actors.cli import kept_view, status_view
from actors.cli.service_client import in_path
from actors.cli.watch import pages
from actors.cli.watch.keys import KEYS, bar
from actors.cli.watch.line_list import MARGIN, LineList
from actors.cli.watch.listing import Listing, Wanted, listing
from actors.cli.watch.looks import Look, Looks, sentence
from actors.cli.watch.questions import Question, about_pause, about_restart
from actors.cli.watch.screens import Page, QuestionScreen
from actors.display.escaping import printable
from actors.display.rows import Row, rows_of
from actors.display.status_rows import SORTS
from actors.display.status_screen import MARK, STYLES
from actors.display.status_troubles import KINDS, Trouble
from actors.display.text import day_and_clock, span
from actors.errors import ServiceDeclinedError
from actors.status import Status

TOLD: Final = 10  # looks for which the answer to a command is shown
MOST_ALARMS: Final = 3  # rows
ROOMY: Final = 30  # rows of a terminal that has one for the process
FORBIDDEN: Final = 403  # as the service answers where a right is missing
NARROWEST: Final = 30  # columns
NO_RIGHT: Final = "This key needs the right act, which you do not have at this service."


class Looked(Message):
    """The service was looked at."""

    def __init__(self, look: Look) -> None:
        super().__init__()
        self.look = look


class Acted(Message):
    """A command was answered: what to tell about it, and whether the right to act is missing."""

    def __init__(self, words: str, *, is_forbidden: bool = False) -> None:
        super().__init__()
        self.words, self.is_forbidden = words, is_forbidden


class WatchApp(App[None]):
    """A running service, second by second.

    `ask` and `post` ask the service, on threads of their own; they raise an error with a sentence. `first`: a
    look that has succeeded. `wanted`: the lines at first. `rights`: of this user at the service.
    `opens_fresh`: the page of topics that are not fresh is open at first.
    """

    CSS = """
    Static { height: auto; }
    #columns, #rule { height: 1; }
    #filter { display: none; height: 1; border: none; padding: 0; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        # The field is opened before the next key is given to a widget: keys behind the slash belong to it.
        *(Binding(key.key, key.action, key.word, priority=key.action == "filter") for key in KEYS),
        Binding("escape", "all_lines"),
        Binding("ctrl+c", "quit", priority=True),
    ]

    def __init__(
        self,
        ask: Callable[[], Status],
        post: Callable[[str], object],
        first: Look,
        wanted: Wanted,
        rights: Collection[str],
        *,
        opens_fresh: bool = False,
    ) -> None:
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"  # the colours of the terminal itself
        self._post, self._look, self._rights = post, first, rights
        self._looks = Looks(ask, lambda look: self.post_message(Looked(look)), first)
        self._wanted, self._opens_fresh = wanted, opens_fresh
        self._rates = status_view.Rates()
        self._per_second: dict[str, float] = {}  # events, by line
        self._listing: Listing | None = None
        self._said, self._looks_left = "", 0  # the answer to a command, and for how many looks it is shown
        self._failed = ""  # what could not be drawn, and why

    def compose(self) -> ComposeResult:
        self._texts = {id: Static(id=id) for id in ("head", "notices", "columns", "rule", "chosen", "bar")}
        self._lines = LineList()
        self._filter = Input(id="filter", placeholder="part of a name, a state or a trouble", compact=True)
        texts = self._texts
        yield from (texts["head"], texts["notices"], texts["columns"], self._lines, texts["rule"])
        yield from (texts["chosen"], self._filter, texts["bar"])

    def on_mount(self) -> None:
        self._lines.focus()
        self._show()
        self._looks.start()
        if self._opens_fresh:
            self.action_fresh()

    def on_unmount(self) -> None:
        self._looks.stop()

    # ── what is shown ───────────────────────────────────────────────────────────────────────────

    def on_looked(self, message: Looked) -> None:
        look, self._looks_left = message.look, self._looks_left - 1
        if not look.trouble:
            self._per_second = {
                name: self._rates.rate(name, line.counters.decoded, look.monotonic)
                for name, line in look.status.lines().items()
            }
        self._look = look
        self._show()

    def on_acted(self, message: Acted) -> None:
        if message.is_forbidden:
            self._rights = [right for right in self._rights if right != "act"]
        self._say(message.words)

    def on_resize(self) -> None:
        self._show()

    def _say(self, words: str) -> None:
        self._said, self._looks_left = words, TOLD
        self._show()

    def _show(self) -> None:
        self._failed = ""
        self._guarded(self._show_lines)
        self._guarded(self._show_notices)
        self._put("bar", bar(self._rights, self._width))
        for page in self.screen_stack:
            if isinstance(page, Page):
                page.draw()

    def _guarded(self, draw: Callable[[], None]) -> None:
        """An error leaves what was shown. It is told above the list, and the next look tries again."""
        try:
            draw()
        except Exception as error:
            self._failed = f"A part could not be drawn ({sentence(error)}). The next look draws it again."
            self._put("notices", Text(self._failed, "bold yellow"))
            self._texts["notices"].display = True

    def _show_lines(self) -> None:
        width = self._width - MARGIN
        shown = self._listing = listing(
            self._look.status, self._look.taken_at, self._per_second, self._wanted, width
        )
        process = [text for text in shown.summary[1:] if self.size.height >= ROOMY]
        head = rows_of((shown.summary[0],), "bold", self._width)
        head += [row for text in process for row in rows_of((text,), "dim", self._width)]
        self._put("head", _text(head))
        self._texts["chosen"].styles.height = self._rows_below
        self._put("columns", Text.assemble(" " * MARGIN, *shown.columns.spans))
        self._lines.show(shown.names, shown.rows_of, is_old=bool(self._look.trouble))

    def on_line_list_moved(self) -> None:
        self._guarded(self._show_chosen)

    def _show_chosen(self) -> None:
        """What depends on the cursor: where the list is, and the sentences about the chosen line."""
        shown, chosen = self._listing, self._lines.chosen
        if shown is None:
            return
        parts = (self._lines.where(), f"sort: {self._wanted.sort}", "down only" if self._wanted.down else "")
        rule = Rule(Text(" · ".join(filter(None, parts))), align="left", style="dim")
        self._texts["rule"].update(rule)
        about = [] if chosen is None else shown.troubles.get(chosen, [])
        self._put("chosen", _text(_few(about, self._width, self._rows_below, "... more: press enter")))

    @property
    def _width(self) -> int:
        """Columns for which rows are made. A terminal that has less cuts them."""
        return max(NARROWEST, self.size.width)

    @property
    def _rows_below(self) -> int:
        """Rows for the sentences about the chosen line: as many for each, so that the list stands still."""
        return min(8, self.size.height // 6)

    def _put(self, id: str, text: RenderableType) -> None:
        self._texts[id].update(text)

    def _show_notices(self) -> None:
        """What cannot wait: nothing can be read, something failed, a command was answered, an alarm."""
        rows: list[Row] = []
        look, width = self._look, self._width
        if look.trouble:
            since, taken = _clock(look.troubled_since), _clock(look.taken_at)
            away = span(max(0.0, look.at - look.troubled_since))
            rows += rows_of((f"No answer since {since} ({away}): {look.trouble}",), "bold yellow", width)
            rows += rows_of((f"Below is the picture of {taken}. Looks go on every second.",), "bold", width)
        if self._failed:
            rows += rows_of((self._failed,), "bold yellow", width)
        if self._looks_left > 0:
            rows += rows_of((self._said,), "bold", width)
        if self._listing is not None:
            rows += _few(self._listing.alarms, width, MOST_ALARMS, "... more: press t")
        self._put("notices", _text(rows))
        self._texts["notices"].display = bool(rows)

    # ── keys that choose what is listed ─────────────────────────────────────────────────────────

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A slash on a page, or in the field itself, opens no field."""
        if action == "filter":
            return len(self.screen_stack) == 1 and self.screen.focused is not self._filter
        return super().check_action(action, parameters)

    def action_filter(self) -> None:
        self._filter.styles.display = "block"
        self.screen.set_focus(self._filter)

    @on(Input.Changed, "#filter")
    def _filter_by(self, message: Input.Changed) -> None:
        self._want(text=message.value)

    @on(Input.Submitted, "#filter")
    def _leave_the_filter(self) -> None:
        self.screen.set_focus(self._lines)

    def action_all_lines(self) -> None:
        self._filter.value = ""
        self._filter.styles.display = "none"
        self.screen.set_focus(self._lines)
        self._want(text="", down=False)

    def action_sort(self) -> None:
        names = [*SORTS]
        self._want(sort=names[(names.index(self._wanted.sort) + 1) % len(names)])
        self._lines.action_to(0)  # the worst of that column

    def action_down(self) -> None:
        self._want(down=not self._wanted.down)

    def _want(self, **changes: object) -> None:
        self._wanted = structs.replace(self._wanted, **changes)
        self._show()

    # ── keys that open a page ───────────────────────────────────────────────────────────────────

    def action_details(self) -> None:
        if (name := self._lines.chosen) is not None:
            self._open(name, lambda width: pages.details(self._look, name, width))

    def action_troubles(self) -> None:
        self._open("Troubles, the worst first", lambda _: pages.troubles(self._look))

    def action_journal(self) -> None:
        self._open(
            "Journal, oldest first", lambda width: pages.journal(self._look.status, width), at_the_end=True
        )

    def action_quarantine(self) -> None:
        self._open("Quarantine", lambda width: kept_view.quarantine(self._look.status.quarantine, width))

    def action_fresh(self) -> None:
        self._open("Topics that are not fresh", lambda _: pages.not_fresh(self._look.status.untrusted))

    def action_help(self) -> None:
        self._open("Keys", lambda _: pages.keys(self._rights))

    def _open(self, title: str, build: Callable[[int], RenderableType], *, at_the_end: bool = False) -> None:
        self.push_screen(Page(title, build, at_the_end=at_the_end))

    # ── keys that act ───────────────────────────────────────────────────────────────────────────

    def action_restart(self) -> None:
        self._ask(about_restart)

    def action_pause(self) -> None:
        self._ask(about_pause)

    def _ask(self, about: Callable[[Status, str], Question]) -> None:
        """What will happen, first. The command is sent only after `y`."""
        name = self._lines.chosen
        if "act" not in self._rights:
            self._say(NO_RIGHT)
        elif name is not None:
            question = about(self._look.status, name)
            self.push_screen(QuestionScreen(question), lambda yes: self._send(question) if yes else None)

    def _send(self, question: Question) -> None:
        # A daemon: the end of the view does not wait for an answer that does not come.
        threading.Thread(target=self._run, args=(question,), name="linewarden-command", daemon=True).start()
        self._say(f"{question.command} {printable(question.line)}: sent")

    def _run(self, question: Question) -> None:
        """On a thread of its own."""
        about = f"{question.command} {printable(question.line)}"
        try:
            self._post(f"/{question.command}/{in_path(question.line)}")
            self.post_message(Acted(f"{about}: accepted"))
        except Exception as error:
            is_forbidden = isinstance(error, ServiceDeclinedError) and error.status == FORBIDDEN
            self.post_message(Acted(f"{about} failed: {sentence(error)}", is_forbidden=is_forbidden))


def _few(troubles: Sequence[Trouble], width: int, most: int, more: str) -> list[Row]:
    """Their sentences in so many rows at most. `more`: what the last row says if they have more."""
    rows: list[Row] = []
    for trouble in troubles:
        level = KINDS[trouble.kind].level
        rows += rows_of((*[MARK] * (level == "person"), *trouble.sentence), STYLES[level], width)
        if len(rows) > most:
            return [*rows[: max(0, most - 1)], *rows_of((more,), "bold", width)][:most]
    return rows


def _text(rows: Sequence[Row]) -> Text:
    return Text("\n").join(Text.assemble(*row.spans) for row in rows)


def _clock(at: float) -> str:
    """Local; `at`: seconds of the wall clock."""
    return day_and_clock(int(at * 1e9))
