"""One connection to a venue that a table describes: frames in, events and commands out.

What asks is kept until it is answered, by its number and in its order. A frame for several topics that is
refused without a word about which of them is at fault is asked again in halves, one after the other, so
that one bad symbol does not take the others down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from actors.protocol import (
    BINARY,
    Announce,
    Answered,
    Complain,
    Confirm,
    Effect,
    EffectBatch,
    Fatal,
    Frame,
    GapReason,
    Missed,
    Reason,
    Resent,
    Resync,
    Retryable,
    Send,
    Session,
    SessionState,
    Slow,
    Topic,
    code_of,
    confirm,
    refuse,
    topics_of,
)
from actors.venues.declarative.asked import (
    CONFIRMED,
    REFUSED,
    REST,
    WAITING,
    Parts,
    SentFrame,
    TableIndex,
    TableTopic,
    TableTopics,
)
from actors.venues.declarative.beginning import whole
from actors.venues.declarative.messages import decode, inflate
from actors.venues.declarative.path import MISSING, Condition, Path
from actors.venues.declarative.protocol import Ask, Nodes, TableProtocol
from actors.venues.declarative.states import tell_states
from actors.venues.declarative.table import AckTable, ErrorTable, Value
from actors.venues.declarative.usual import LONGEST_WORD, UNREAD, UsualMessages

MAX_WORDS = 500  # characters of an error
UNANSWERED = 1000  # requests that are waited for; where a venue answers none, older ones are forgotten


LOGGING_IN, OPEN, ENDED = SessionState.LOGGING_IN, SessionState.OPEN, SessionState.ENDED


class DeclaredSession(Session):
    """`takes_all`: every topic that the table can make out counts as asked for. `heard` counts messages
    by what they were: event, ack, error, pong, heartbeat, state, ignored, login, unrouted, undecodable."""

    def __init__(self, protocol: TableProtocol, *, takes_all: bool = False) -> None:
        super().__init__()
        self._protocol = protocol
        self.asks_one_by_one = protocol.ask is not None and protocol.ask.table.at_most == 1
        self.heard: Counter[str] = Counter()
        self._asked = TableTopics(protocol, self._heal, takes_all=takes_all)
        self._events = [(rule, self._asked.index(rule.places)) for rule in protocol.events]
        self._usual = UsualMessages(protocol, self._events, self._asked)
        self._acks = [(table, self._asked.index(places)) for table, places in protocol.acks]
        self._errors = [(table, self._asked.index(places)) for table, places in protocol.errors]
        self._requests: dict[str, SentFrame] = {}  # by id, oldest first
        self._number = 0
        self._greeted = False
        self._now = 0.0

    # ── asking ──────────────────────────────────────────────────────────────────────────────────

    def opened(self, now: float) -> list[Effect]:
        login = self._protocol.table.login
        if login is None:
            return super().opened(now)
        self._move("upgraded")
        return [] if login.greeting is not None else self._log_in()

    def _log_in(self) -> list[Effect]:
        login = self._protocol.table.login
        assert login is not None
        self._greeted = True
        frames: list[Effect] = [Send(each.render(self._fixed())) for each in login.send]
        if login.answer is None:
            self._move("welcomed")
            frames.append(Announce())
        return frames

    def subscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        asked = [self._asked.enter(topic) for topic in dict.fromkeys(topics)]
        for each in asked:
            self._asked.begin(each)
        ask = self._protocol.ask
        if ask is None:  # the venue sends all there is
            for each in asked:
                each.answer = CONFIRMED
            return [Confirm(tuple(topics), assumed=True)] if topics else []
        return self._ask(asked)

    def unsubscribe(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        held = [topic for topic in dict.fromkeys(topics) if self._asked.leave(topic)]
        give_up = self._protocol.give_up
        if give_up is None:
            return []
        return [self._send(give_up, group, []) for group in give_up.groups(held, self._protocol.values)]

    def resync(self, topics: Sequence[Topic], now: float) -> list[Effect]:
        """A topic that waits for the message with which it begins delivers nothing: it has its `Missed`."""
        seam = tuple(topic for topic in topics if topic in self._asked and not self._asked[topic].count.lost)
        effects: list[Effect] = [Missed(seam, "unknown")] if seam else []
        effects += [*self.unsubscribe(topics, now), *self.subscribe(topics, now), Resent(tuple(topics))]
        for topic in topics:
            self._asked[topic].healed_at = now
        return effects

    def ping(self, now: float) -> list[Effect]:
        ping = self._protocol.table.ping
        return [Send(ping.send.render(self._fixed()), control=True)] if ping is not None else []

    def _ask(self, asked: Sequence[TableTopic], rest: Parts | None = None) -> list[Effect]:
        ask = self._protocol.ask
        assert ask is not None
        groups = ask.groups([each.topic for each in asked], self._protocol.values)
        return [self._send(ask, group, [self._asked[topic] for topic in group], rest) for group in groups]

    def _send(
        self, ask: Ask, group: Sequence[Topic], asked: list[TableTopic], rest: Parts | None = None
    ) -> Send:
        fixed = self._fixed()
        frame = ask.frame([self._protocol.values(topic) for topic in group], fixed)
        request = self._requests[str(fixed["id"])] = SentFrame(fixed["id"], asked, rest)
        for each in asked:
            each.request = request
        if len(self._requests) > UNANSWERED:
            del self._requests[next(iter(self._requests))]
        return Send(frame)

    def _fixed(self) -> dict[str, Any]:
        self._number += 1
        return {**self._protocol.own, "id": self._number}

    # ── hearing ─────────────────────────────────────────────────────────────────────────────────

    def received(self, frames: Sequence[Frame], now: float) -> list[Effect]:
        self._now = now
        out, rest = EffectBatch(), iter(frames)
        if not self._usual.possible:
            for opcode, payload in rest:
                if self.state is ENDED:
                    break
                self._handle_frame(opcode, payload, UNREAD, out)
        while (state := self.state) is not ENDED:
            odd = self._usual.take(rest, out, is_open=state is OPEN)
            if odd is None:
                break
            self._handle_frame(*odd, out)
        if self._usual.told:
            self.heard["event"] += self._usual.told
            self._usual.told = 0
        return out.effects()

    def _handle_frame(self, opcode: int, payload: bytes, message: Any, out: EffectBatch) -> None:
        """The careful path; `message` may be decoded already."""
        table, words = self._protocol.table, self._protocol.words
        text = payload
        try:
            if message is not UNREAD:
                self._handle(message, out)
                return
            if opcode == BINARY and table.compression != "none":
                text = inflate(payload, table.compression, table.max_inflated)
            if len(text) <= LONGEST_WORD and text in words:
                self._handle_word(*words[text], out)
            else:
                self._handle(decode(text), out)
        except Exception as error:  # whatever a venue sends: recursion, digits, exponents without end
            self._put_aside(text, error, out)

    def _handle_word(self, kind: str, reply: Any, out: EffectBatch) -> None:
        self.heard[kind] += 1
        if reply is not None:
            out.add(Send(reply.render(self._fixed()), control=True))
        elif kind == "pong":
            out.add(Answered())

    def _handle(self, message: Any, out: EffectBatch) -> None:
        if self.state is LOGGING_IN and self._handle_login(message, out):
            return
        protocol = self._protocol
        tells = tell_states(protocol.states_in_events, message, protocol.hide, out)
        for rule, index in self._events:
            told = rule.read(message)
            if told is None:
                continue
            self._asked.deliver(rule, index, told, out)
            self._usual.told += 1  # a Counter is slow
            return
        tells = tells or tell_states(protocol.states, message, protocol.hide, out)
        self.heard["state" if tells else self._handle_other(message, out)] += 1

    def _handle_other(self, message: Any, out: EffectBatch) -> str:
        table = self._protocol.table
        for ack, acked in self._acks:
            found = acked.places.elements(message)
            if found is not None:
                self._handle_ack(ack, acked, message, found, out)
                return "ack"
        for error, blamed in self._errors:
            found = blamed.places.elements(message)
            if found is not None:
                self._handle_error(error, blamed, message, found, out)
                return "error"
        for reply in table.replies:
            if reply.when.fits(message):
                out.add(Send(reply.send.render(_Inside(message, self._protocol.own)), control=True))
                return "heartbeat"
        if table.ping is not None and _fits(table.ping.answer, message):
            out.add(Answered())
            return "pong"
        if any(each.fits(message) for each in table.ignore):
            return "ignored"
        out.unrouted += 1
        return "unrouted"

    def _heal(self, asked: TableTopic, why: GapReason, missed: int | None, out: EffectBatch) -> bool:
        """Events are missing: the topic gets a `Missed`, and is resubscribed if its channel is resyncable.

        A venue whose numbers always jump is not to be asked at the speed of its events.
        """
        topics = (asked.topic,)
        out.add(Missed(topics, why, missed))
        if not self._asked.heals(asked):
            return True
        if self._now - asked.healed_at < REST:  # the registry's ack timeout asks again, in its time
            self._asked.begin(asked)
            out.add(Resent(topics))
        else:
            out.add(Resync(topics))
            self._asked.begin(asked)  # nothing is delivered until its next beginning
            asked.healed_at = self._now
        return False

    # ── answers ──

    def _handle_ack(
        self, ack: AckTable, index: TableIndex, message: Any, found: Sequence[Nodes], out: EffectBatch
    ) -> None:
        id, names_topics = _at(ack.id, message), bool(index.places.parts)
        request = self._request(id)
        if request is None and (ack.listed or not (names_topics or id is not MISSING)):
            request = next(iter(self._requests.values()), None)
        named = self._asked.named(index, found) if names_topics else []
        if names_topics:
            confirm(named, out)
        elif request is not None:
            confirm(request.waiting(), out)
        if ack.listed and request is not None:
            refuse(request.waiting(), "the venue does not list it among what is subscribed to", out)
        for each in [request] if request is not None else dict.fromkeys(one.request for one in named):
            if each is not None and not each.waiting():
                self._answered(each, out)

    def _handle_error(
        self, error: ErrorTable, index: TableIndex, message: Any, found: Sequence[Nodes], out: EffectBatch
    ) -> None:
        name = self._protocol.table.name
        code, words = self._words(error.code, message), self._words(error.text, message)
        text = f"{name} error {code}".rstrip() + (f": {words}" if words else "")
        if (reason := self._ending(error, code, words, text)) is not None:
            out.add(self._end(reason))
            return
        request = self._request(_at(error.id, message))
        if request is None and error.blames == "oldest":
            request = next((each for each in self._requests.values() if each.waiting()), None)
        waiting = request.waiting() if request is not None else self._waiting()
        named = self._asked.named(index, found) if index.places.parts else []
        named = [each for each in named if each.answer is not REFUSED]
        named = named or _spoken_of(waiting, words)
        blamed = named or (waiting if request is not None else [])
        if not blamed:
            out.add(Complain(code_of(name, code), text))
        elif _lists(error.benign, code, words):
            confirm(blamed, out)
        elif named or request is None or request.is_only(blamed):
            refuse(blamed, text, out, error.retry_after)
        else:
            self._again(request, blamed[: len(blamed) // 2], blamed[len(blamed) // 2 :])
            self._answered(request, out)
            return
        if request is not None:
            if error.whole:
                self._again(request, request.waiting())
            if error.whole or not request.waiting():  # else the others have answers of their own
                self._answered(request, out)

    def _ending(self, error: ErrorTable, code: str, words: str, text: str) -> Reason | None:
        name = code_of(self._protocol.table.name, code)
        if _lists(error.fatal, code, words):
            return Fatal(text, name, self._advice())
        if _lists(error.slow, code, words):
            return Slow(text, name, shared=True)
        return Retryable(text, name) if _lists(error.ends, code, words) else None

    def _again(self, request: SentFrame, *parts: list[TableTopic]) -> None:
        """These are asked for again, one part after the other, before the requests that wait."""
        request.rest.extendleft(reversed(parts))

    def _answered(self, request: SentFrame, out: EffectBatch) -> None:
        if self._requests.pop(str(request.id), None) is None:
            return  # it was answered before
        while request.rest:
            part = [each for each in request.rest.popleft() if each.answer is WAITING]
            if part:
                later = [each for rest in request.rest for each in rest if each.answer is WAITING]
                out.add(*self._ask(part, request.rest), Resent(topics_of([*part, *later])))
                return

    def _request(self, id: Any) -> SentFrame | None:
        return self._requests.get(str(id)) if isinstance(id, str | int) else None

    def _waiting(self) -> list[TableTopic]:
        return [each for each in self._asked.values() if each.answer is WAITING]

    # ── logging in ──

    def _handle_login(self, message: Any, out: EffectBatch) -> bool:
        login = self._protocol.table.login
        assert login is not None
        if not self._greeted and login.greeting is not None:
            if login.greeting.fits(message):
                self.heard["login"] += 1
                out.add(*self._log_in())
                return True
        elif _fits(login.refused, message):
            code, words = self._words(login.code, message), self._words(login.text, message)
            text = f"login refused ({' '.join((code, words)).strip() or 'no words'})"
            name = code_of(self._protocol.table.name, code, "login")
            out.add(self._end(Fatal(text, name, self._advice())))
            return True
        elif _fits(login.answer, message):
            self.heard["login"] += 1
            self._move("welcomed")
            out.add(Announce())
            return True
        return False

    def _advice(self) -> str:
        login = self._protocol.table.login
        if login is not None and login.advice:
            return login.advice
        keys = ", ".join(self._protocol.table.keys)
        return f"Check {keys} in [feeds.{self._protocol.feed}]." if keys else ""

    def _words(self, path: Path | None, message: Any) -> str:
        """What a message says there, without the feed's secrets."""
        return self._protocol.hide(_text(_at(path, message)))

    def closed(self, code: int, words: str) -> Reason:
        close = self._protocol.table.close
        said = f": {words}" if words else ""
        text = f"the venue closed the connection ({code}{said})"
        if code in close.fatal:
            return Fatal(text, f"close_{code}", self._advice())
        return Slow(text, f"close_{code}") if code in close.slow else super().closed(code, words)

    # ── what cannot be read ──

    def oversized(self, head: Frame) -> Sequence[Topic]:
        """As its beginning tells, which is decoded as a message of its own."""
        try:
            message = decode(whole(head[1].decode(errors="ignore")).encode())
            found = [
                each
                for rule, index in self._events
                for _, marks, _ in rule.read(message) or ()
                for each in index.find(marks)
            ]
        except Exception:  # compressed, or cut before it says anything
            return ()
        return topics_of(dict.fromkeys(found))

    def _put_aside(self, payload: bytes, error: Exception, out: EffectBatch) -> None:
        """It may have been an event: of the topics that it names, or of any."""
        self.heard["undecodable"] += 1
        out.quarantine(payload, error)
        named = self._asked.named_in(payload)
        for each in named:
            self._heal(each, "quarantine", None, out)
        if (up := self._asked.up()) and not named:
            out.add(Missed(topics_of(up), "quarantine"))


class _Inside(dict[str, Any]):
    """Values for a reply: the feed's own keys, and what stands at a path of the message."""

    def __init__(self, message: Any, own: Mapping[str, str]) -> None:
        super().__init__(own)
        self._message = message

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else Path.parse(name).get(self._message)


def _spoken_of(asked: list[TableTopic], words: str) -> list[TableTopic]:
    """Those whose key stands in the venue's words; of these, those whose wire name does as well, if any."""
    named, exact = [], []
    words = words.casefold()
    for each in asked:
        if _stands_in(each.wire, words):
            exact.append(each)
        if _stands_in(each.key, words):
            named.append(each)
    whole = [each for each in exact if each.key in each.wire]  # without a key, a name is all there is
    return whole or [each for each in exact if each in named] or named


def _stands_in(name: str, words: str) -> bool:
    """Whether it stands there as a word of its own.

    Thousands may wait for an answer when an error comes, and few are spoken of: a pattern for each
    of them would keep the connection busy for a tenth of a second.
    """
    at = words.find(name) if name else -1
    while at >= 0:
        end = at + len(name)
        if not (_goes_on(words[at - 1 : at]) or _goes_on(words[end : end + 1])):
            return True
        at = words.find(name, at + 1)
    return False


def _goes_on(character: str) -> bool:
    """Whether a word goes on with it; nothing: it stands at an end."""
    return character.isalnum() or character in ("_", "-")


def _fits(condition: Condition | None, message: Any) -> bool:
    return condition is not None and condition.fits(message)


def _at(path: Path | None, message: Any) -> Any:
    return MISSING if path is None else path.get(message)


def _lists(codes: Sequence[Value], code: str, words: str) -> bool:
    """Whether the code is listed; or words are, and stand in those of the venue, for some name no code."""
    if code in map(str, codes):
        return True
    spoken = [each.casefold() for each in codes if isinstance(each, str) and " " in each.strip()]
    return bool(spoken) and any(_stands_in(each, words.casefold()) for each in spoken)


def _text(value: Any) -> str:
    if value is MISSING or value is None:
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
    return text[:MAX_WORDS]
