"""ProjectX' two hubs, proved by transcripts: each file is of one hub, and a line in it of one message."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.protocol import Opening
from actors.protocol.session import TEXT, Effect, Send, Session
from actors.venues.projectx import ProjectX, ProjectXSettings
from tests.venues.transcript import Player, Transcript, matched, transcripts

VENUE = ProjectX("projectx", ProjectXSettings())
RS = "\x1e"


class HubPlayer(Player):
    """Records end where the next one begins, and with the message; hands are shaken unless `* opened`."""

    def play(self, transcript: Transcript) -> None:
        session = VENUE.session(Opening(f"projectx/{transcript.title.partition(':')[0]}"))
        now, lines = 0.0, list(transcript.lines)
        if lines[0] != "* opened":
            session.opened(now)
            session.received([(TEXT, b"{}\x1e")], now)
        while lines:
            line = lines.pop(0)
            wanted: list[str] = []
            while lines and lines[0][0] in ">=":
                wanted.append(lines.pop(0))
            if line.startswith("* wait "):
                now += float(line.removeprefix("* wait "))
                continue
            told = [text for effect in self._do(session, line, now) for text in self.show(effect)]
            assert matched(told, wanted) == wanted, line

    def _do(self, session: Session, line: str, now: float) -> list[Effect]:
        if line.startswith("< "):
            line = line.replace("}{", "}" + RS + "{") + RS
        return super()._do(session, line, now)

    def show(self, effect: Effect) -> Iterator[str]:
        if isinstance(effect, Send):
            assert isinstance(effect.payload, str)
            assert effect.payload.endswith(RS)
            yield f"> {effect.payload.removesuffix(RS)}"
        else:
            yield from super().show(effect)


@pytest.mark.parametrize(
    "transcript", list(transcripts(Path(__file__).parent / "projectx")), ids=lambda each: each.title
)
def test_projectx(transcript: Transcript) -> None:
    HubPlayer(VENUE).play(transcript)
