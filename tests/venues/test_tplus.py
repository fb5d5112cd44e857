"""tplus' sessions, proved by transcripts: one socket each, and what comes of its snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.messages import HttpAnswer, HttpFailed
from actors.rules.session import Effect, Fetch, Missed, Session, TokenRefused
from actors.rules.venue import Venue
from actors.secret import Secret
from actors.venues.tplus import Tplus, TplusSettings
from actors.venues.tplus.streams import topic_of
from tests.venues.transcript import Player, Transcript, transcripts

SEED = Secret("07" * 32)
VENUE = Tplus("tplus", TplusSettings(private_key=SEED))
MONOTONIC = Tplus("tplus", TplusSettings(private_key=SEED, sequence="monotonic"))


class SocketPlayer(Player):
    """Plays transcripts of one socket, which say first which it is.

    * open depth-200                    the line without its feed; `monotonic` may stand behind it
    * subscribe                         its topic; also unsubscribe, resync, wait SECONDS
    * fetched snapshot/1 200 {"asks":…  an answer over HTTP; a retry-after stands as 429;30
    * failed snapshot/1 no answer
    """

    def __init__(self) -> None:
        self._now = 0.0

    def play(self, transcript: Transcript) -> None:
        verb, line, *how = transcript.lines[0].removeprefix("* ").split()
        assert verb == "open"
        venue: Venue = MONOTONIC if how == ["monotonic"] else VENUE
        self._topic = topic_of(f"tplus/{line}")
        self._defaults = {self._topic.channel: ()}
        session = venue.session(f"tplus/{line}")
        session.opened(0.0)
        self._now, lines = 0.0, list(transcript.lines[1:])
        while lines:
            line = lines.pop(0)
            wanted: list[str] = []
            while lines and lines[0][0] in ">=":
                wanted.append(lines.pop(0))
            told = [text for effect in self._do(session, line, self._now) for text in self.show(effect)]
            assert told == wanted, line

    def _do(self, session: Session, line: str, now: float) -> list[Effect]:
        mark, verb, *rest = line.split(" ", 2)
        mine = [self._topic]
        if mark == "<":  # \n stands for a line's end, so that a frame is a line here
            return super()._do(session, line.replace("\\n", "\n"), now)
        match verb:
            case "subscribe":
                return session.subscribe(mine, now)
            case "unsubscribe":
                return session.unsubscribe(mine, now)
            case "resync":
                return session.resync(mine, now)
            case "wait":
                self._now += float(rest[0])
                return []
        ticket, _, said = rest[0].partition(" ")
        if verb == "failed":
            return session.fetched(ticket, HttpFailed(said, "timeout"), now)
        status, _, body = said.partition(" ")
        code, _, wait = status.partition(";")
        headers = {"retry-after": wait} if wait else {}
        return session.fetched(ticket, HttpAnswer(int(code), body.encode(), headers), now)

    def show(self, effect: Effect) -> Iterator[str]:
        match effect:
            case Fetch(ticket=ticket, after=after):
                yield f"= fetch {ticket}" + (f" after {after:g} s" if after else "")
            case TokenRefused(text=text):
                yield f"= token refused: {text}"
            case Missed(reason=reason, missed=missed):
                yield f"= missed ({reason})" + (f" {missed}" if missed is not None else "")
            case _:
                yield from super().show(effect)


@pytest.mark.parametrize(
    "transcript", list(transcripts(Path(__file__).parent / "tplus")), ids=lambda each: each.title
)
def test_tplus(transcript: Transcript) -> None:
    SocketPlayer().play(transcript)
