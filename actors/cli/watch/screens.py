"""The screens above the list: a page of text that scrolls, and a question that names what will happen."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.console import Group, RenderableType
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from actors.cli.watch.looks import sentence
from actors.cli.watch.questions import Question
from actors.display.escaping import printable


class Page(Screen[None]):
    """Text that scrolls. `build` gives it for a width in columns; it is called again after each look."""

    CSS = """
    Page VerticalScroll { height: 1fr; }
    Page .title { text-style: bold; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,backspace", "back"),
        Binding("space", "forward"),
    ]

    def __init__(
        self, title: str, build: Callable[[int], RenderableType], *, at_the_end: bool = False
    ) -> None:
        super().__init__()
        self._title, self._build, self._at_the_end = title, build, at_the_end
        self._text = Static()

    def compose(self) -> ComposeResult:
        yield Static(Text(printable(self._title)), classes="title")
        with VerticalScroll():
            yield self._text
        yield Static(Text("Esc back  ↑ ↓ PgUp PgDn Home End scroll", "dim"))

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        if self._at_the_end:
            self.call_after_refresh(self.query_one(VerticalScroll).scroll_end, animate=False)

    def on_resize(self) -> None:
        self.draw()

    def draw(self) -> None:
        """With what is known now. An error in it is shown in its place."""
        try:
            text = self._build(max(20, self.size.width - 2))
        except Exception as error:
            text = Text(
                f"This page could not be drawn ({sentence(error)}). The next look draws it again.", "bold"
            )
        self._text.update(text)

    def action_back(self) -> None:
        self.dismiss()

    def action_forward(self) -> None:
        self.query_one(VerticalScroll).scroll_page_down(animate=False)


class QuestionScreen(ModalScreen[bool]):
    """Asks before something is done. Only `y` does it."""

    CSS = """
    QuestionScreen { align: center middle; }
    QuestionScreen Vertical {
        width: 72; max-width: 100%; height: auto; max-height: 100%; border: round $foreground; padding: 0 1;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)"),
        Binding("n,escape,q,enter", "answer(False)"),
    ]

    def __init__(self, question: Question) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        command, line = self._question.command, printable(self._question.line)
        head = Text(f"{command.capitalize()} {line}?", "bold")
        keys = Text.assemble(("y", "bold reverse"), f" {command}   ", ("n", "bold reverse"), " do nothing")
        with Vertical():
            yield Static(Group(head, *map(Text, self._question.effects), Text(), keys))

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
