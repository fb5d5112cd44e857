"""Mailbox, roles and base class of the six actors; the one file that knows Pykka.

Four things that OTP does and bare Pykka does not: mail is kept while a role passes from one actor to the
next, a message to an actor that has ended does no harm, every end is reported once with its reason, and
an actor that was given up can no longer take mail or write.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Generic, Protocol, Self, TypeAlias, TypeVar

import pykka
from msgspec import Struct
from pykka._envelope import Envelope
from pykka.messages import ProxyCall, _ActorStop

from actors import log_queue
from actors.diagnostics import DeadLetters
from actors.errors import LinewardenError, Timeout
from actors.messages import ChildExited
from actors.reasons import Crashed, Reason, Stopped
from actors.timers import Timer, Timers

log = log_queue.logger("actors")
_pykka_log = log_queue.queued("pykka")
_here = threading.local()  # `_here.actor`: this thread is an actor of ours


def _put_aside(record: logging.LogRecord) -> bool:
    """Pykka logs in the actor's thread. That does not wait for handlers, either."""
    if not getattr(_here, "actor", False):
        return True
    _pykka_log.handle(record)  # comes by again on the queue's thread
    return False


logging.getLogger("pykka").addFilter(_put_aside)

STUCK = 0.2  # seconds that a keeper's change of its role's state may take, when it is replaced

Future = pykka.Future  # what a program gets for a question
Letter: TypeAlias = Envelope[Any]
Queue = queue.SimpleQueue[Letter]


class LeaseLostError(Exception):
    """This keeper's role has gone to another: what it was about to change stays as it is."""


class ActorGoneError(LinewardenError, pykka.ActorDeadError):
    """The actor that was asked has ended."""


class ReplyTimeout(Timeout, pykka.Timeout):
    """An actor did not answer within the time that the caller gave."""


Box = TypeVar("Box")


class Inbox(Protocol):
    """Pykka's inbox, an end to it, and what the watchdog judges its reader by. Any thread looks at that."""

    serial: int  # raised by the reader with each letter that it has dealt with
    given: Letter | None  # the letter in hand, as its reader has it

    @property
    def busy(self) -> bool:
        """A letter is in hand, or mail waits."""

    def put(self, envelope: Letter, /) -> None: ...
    def get(self) -> Letter: ...
    def empty(self) -> bool: ...
    def close(self) -> None:
        """From the actor's own thread, its last use of it."""


class Reply(pykka.ThreadingFuture[Any]):
    """The answer to one question. It is set once; whatever comes later is dropped.

    A failure that is never read becomes a dead letter, where `notice_unread` says whose.
    """

    def __init__(self, role: str = "actor") -> None:  # Pykka makes some of its own, with no arguments
        super().__init__()
        self._role = role  # of the actor that was asked
        self._once = threading.Lock()
        self._done = False
        self._forget: Callable[[Reply], object] | None = None
        self._notice: Callable[[str], None] | None = None
        self._unread = ""

    @property
    def open(self) -> bool:
        """Whether an answer is still waited for."""
        return not self._done

    def when_done(self, forget: Callable[[Reply], object]) -> None:
        """`forget` is called when it is answered, failed or given up, in the thread that does so."""
        self._forget = forget

    def notice_unread(self, notice: Callable[[str], None]) -> None:
        """`notice` is called with the text of a failure that is never read."""
        self._notice = notice

    def set(self, value: Any = None) -> None:
        if self._finish():
            super().set(value)

    def set_exception(self, exc_info: Any = None) -> None:
        exc_info = exc_info or sys.exc_info()
        if self._finish(f"failed with {type(exc_info[1]).__name__}, and the failure was not read"):
            super().set_exception(exc_info)

    def fail(self, error: BaseException) -> None:
        self.set_exception((type(error), error, None))

    def abandon(self) -> None:
        """The asker waits no longer: its deadline is over, or it has the answer."""
        self._finish()
        self._unread = ""

    def get(self, *, timeout: float | None = None) -> Any:
        """The answer.

        Raises:
            ReplyTimeout: none came within `timeout` seconds.
        """
        try:
            return super().get(timeout=timeout)
        except pykka.Timeout:
            raise ReplyTimeout(f"the {self._role} did not answer within {timeout:g} s") from None
        except BaseException:
            self._unread = ""
            raise

    def _finish(self, unread: str = "") -> bool:
        """Whether this call is the one that ends it; `unread` is noted with that."""
        with self._once:
            done, self._done = self._done, True
            if not done:
                self._unread = unread
        if not done and self._forget is not None:
            self._forget(self)
        return not done

    def __del__(self) -> None:
        if self._unread and self._notice is not None:
            self._notice(self._unread)


class KeptReply:
    """A reply as one keeper of a role holds it: dropped, once the role has gone to another keeper."""

    __slots__ = ("_lease", "_reply")

    def __init__(self, reply: Reply, lease: Lease | None = None) -> None:
        self._reply, self._lease = reply, lease

    @property
    def open(self) -> bool:
        """Whether an answer is still waited for."""
        return self._reply.open

    def set(self, value: Any = None) -> None:
        if not self._is_revoked():
            self._reply.set(value)

    def set_exception(self, exc_info: Any = None) -> None:
        if not self._is_revoked():
            self._reply.set_exception(exc_info)

    def fail(self, error: BaseException) -> None:
        self.set_exception((type(error), error, None))

    def _is_revoked(self) -> bool:
        return self._lease is not None and self._lease.revoked


class Mailbox:
    """A role's mail. It outlives the actors that read it: each reads through a `Lease`.

    Questions belong to the role: the mailbox keeps each one until a keeper has answered it.
    """

    def __init__(self, role: str, dead_letters: DeadLetters) -> None:
        self.role = role
        self._dead_letters = dead_letters
        # Re-entrant: a signal handler, or the garbage collector, may put in the middle of a put.
        self._lock = threading.RLock()
        self._queue: Queue = queue.SimpleQueue()
        self._lease: Lease | None = None
        self._questions: dict[Reply, Letter] = {}  # not answered yet
        self._again: list[Letter] = []  # the last keeper's death was not these letters' first
        self._closed: BaseException | None = None
        self.state = threading.RLock()  # of the role: held while a keeper changes it

    def put(self, envelope: Letter) -> None:
        """Any thread; never blocks. After `close` a question fails at once."""
        with self._lock:
            if self._closed is None:
                if isinstance(reply := envelope.reply_to, Reply):
                    self._questions[reply] = envelope
                    reply.when_done(self._forget)
                self._queue.put(envelope)
                return
        refuse(envelope, self._closed, self.role, self._dead_letters)

    def lease(self, first: Any) -> Lease:
        """The right to read, taken from the keeper that had it.

        After `first` come the questions that a former keeper took and did not answer, then the letter
        that it had in hand, then unread mail.
        """
        is_stuck = not self.state.acquire(timeout=STUCK)
        try:
            return self._lease_anew(first, is_stuck=is_stuck)
        finally:
            if not is_stuck:
                self.state.release()

    def _lease_anew(self, first: Any, *, is_stuck: bool) -> Lease:
        with self._lock:
            if is_stuck:  # its keeper hangs in the middle of a change
                self.state = threading.RLock()
            former, self._queue = self._queue, queue.SimpleQueue()
            self._queue.put(Envelope(first))
            unread = list(_drain(former))
            if self._lease is not None:
                self._lease.revoked = True
                self._hand_on(self._lease.in_hand, unread)
            for envelope in unread:
                self._queue.put(envelope)
            former.put(Envelope(_ActorStop()))
            self._lease = Lease(self, self._queue, self.state, needs_copy=is_stuck)
            return self._lease

    def _hand_on(self, in_hand: Letter | None, unread: list[Letter]) -> None:
        """What a dead keeper took and did not finish is read again, if that is harmless.

        A letter that two keepers died of is given up.
        """
        waiting = {id(envelope) for envelope in unread}
        taken = [each for each in self._questions.copy().values() if id(each) not in waiting]
        if in_hand is not None and in_hand.reply_to is None and not isinstance(in_hand.message, _ActorStop):
            taken.append(in_hand)
        former, self._again = self._again, []
        for envelope in taken:
            if envelope is in_hand and envelope in former:
                self._give_up(envelope, "two incarnations failed on it")
            elif not getattr(envelope.message, "again", False):
                self._give_up(envelope, "")
            else:
                if envelope is in_hand:
                    self._again.append(envelope)
                self._queue.put(envelope)

    def _give_up(self, envelope: Letter, why: str) -> None:
        if isinstance(reply := envelope.reply_to, Reply):
            text = f"the {self.role} failed while it handled this request; whether it took effect is unknown"
            reply.fail(LinewardenError(text))
        if why:
            self._dead_letters.add(self.role, envelope.message, why)

    def _forget(self, reply: Reply) -> None:
        self._questions.pop(reply, None)

    def stop_reader(self) -> None:
        """The present reader ends once it has read the mail that is here now."""
        self.put(Envelope(_ActorStop()))

    def close(self, error: BaseException) -> None:
        """The role ends: every question that is open, read or not, and every later one gets `error`."""
        with self._lock:
            self._closed = error
            unread = list(_drain(self._queue))
            self._queue.put(Envelope(_ActorStop()))
            questions = list(self._questions.copy())
        for envelope in unread:
            if not isinstance(envelope.reply_to, Reply):
                refuse(envelope, error, self.role, self._dead_letters)
        for reply in questions:
            reply.fail(error)


class Lease:
    """One keeper's right to read a mailbox. Once the role has gone to another, it gives out a stop only."""

    def __init__(self, mailbox: Mailbox, letters: Queue, state: threading.RLock, *, needs_copy: bool) -> None:
        self.put = mailbox.put
        self._mailbox = mailbox
        self._letters = letters
        self._state = state
        self.needs_copy = needs_copy  # a former keeper hangs over the role's state: a copy is to be used
        self.serial = 0  # see `Inbox`
        self.in_hand: Letter | None = None  # the last letter taken; None: it was dealt with
        self.given: Letter | None = None  # the same letter, as its reader has it
        self.revoked = False  # the role has gone to another

    def get(self) -> Letter:
        self.serial += 1
        with self._mailbox._lock:
            self.in_hand = None
        envelope = self._letters.get()
        reply = envelope.reply_to
        with self._mailbox._lock:
            if self.revoked:  # just now: the letter was neither in hand nor unread
                if not isinstance(envelope.message, _ActorStop) and not isinstance(reply, Reply):
                    self.put(envelope)  # questions have been handed on
                return Envelope(_ActorStop())
            self.in_hand = envelope
        self.given = envelope
        if isinstance(reply, Reply):  # Pykka sets it or fails it, and asks no more of a future
            self.given = Envelope(envelope.message, KeptReply(reply, self))  # type: ignore[arg-type]
        return self.given

    def __enter__(self) -> None:
        """The role's state may be changed inside.

        Raises:
            LeaseLostError: the role has gone to another keeper.
        """
        self._state.acquire()
        try:
            self.check()
        except LeaseLostError:
            self._state.release()
            raise

    def __exit__(self, *_: object) -> None:
        self._state.release()

    def check(self) -> None:
        """Raises LeaseLostError where the role has gone to another keeper."""
        if self.revoked:
            raise LeaseLostError(f"the {self._mailbox.role} has been replaced")

    @property
    def busy(self) -> bool:
        return self.in_hand is not None or not self._letters.empty()

    def empty(self) -> bool:
        return True  # the teardown of a keeper must not empty the mailbox of its role

    def close(self) -> None:
        pass  # the mail stays for the next keeper


def _drain(letters: Queue) -> Iterator[Letter]:
    while True:
        try:
            yield letters.get_nowait()
        except queue.Empty:
            return


def _shown(message: Any) -> Any:
    """A call by Pykka's own proxy is shown by the name that it calls."""
    return ".".join(message.attr_path) if isinstance(message, ProxyCall) else message


def letter(message: object) -> Letter:
    """A message on its way to an inbox."""
    return Envelope(message)


def refuse(envelope: Letter, error: BaseException | None, to: str, dead_letters: DeadLetters) -> None:
    """Answer a letter that no actor will read."""
    if envelope.reply_to is None:
        if not isinstance(envelope.message, _ActorStop):  # that is no loss
            dead_letters.add(to, envelope.message, "its actor has ended")
        return
    if isinstance(envelope.message, _ActorStop):
        envelope.reply_to.set(None)
        return
    error = error or ActorGoneError(f"{to} is gone")
    envelope.reply_to.set_exception((type(error), error, None))


Pointed = tuple[Callable[[Letter], None] | None, int]  # where to put letters, and for which life
NOT_THERE: Pointed = (None, 0)


class Address:
    """A role's name, pointed at the actor that plays it. Any thread may tell or ask; one thread points it."""

    def __init__(self, role: str, dead_letters: DeadLetters) -> None:
        self.role = role
        self._dead_letters = dead_letters
        # The one that plays it, a candidate, the former one: one value, for a reader needs all of one moment.
        self._lives: tuple[Pointed, Pointed, Pointed] = (NOT_THERE, NOT_THERE, NOT_THERE)

    def point(self, put: Callable[[Letter], None] | None, life: int = 0) -> None:
        """`life` is the number of the one that is pointed at, where its lives are told apart."""
        _, candidate, former = self._lives
        self._lives = (put, life), candidate, former

    def point_candidate(self, put: Callable[[Letter], None] | None, life: int = 0) -> None:
        """An actor that may take over: it gets the messages for its own life only."""
        target, _, former = self._lives
        self._lives = target, (put, life), former

    def promote(self) -> None:
        """The candidate plays the role from now on; the former actor still gets what is for its own life."""
        target, candidate, _ = self._lives
        self._lives = candidate, NOT_THERE, target

    def forget_former(self) -> None:
        """The actor that was replaced has ended."""
        target, candidate, _ = self._lives
        self._lives = target, candidate, NOT_THERE

    def tell(self, message: Any, life: int | None = None) -> None:
        """Returns at once. A message without a reader becomes a dead letter.

        A message for one `life` is not delivered to another: it is dropped, as a report of a past epoch is.
        """
        (put, present), *others = self._lives
        if life is not None and life != present:
            put = next((each for each, lived in others if lived == life), None)
            if put is None:
                return
        if put is None:
            self._dead_letters.add(self.role, message, "its actor has ended")
        else:
            put(Envelope(message))

    def ask(self, message: Any, reply: Reply | None = None) -> Reply:
        """A question; the asker abandons its reply when it waits no longer. `reply`: its own one."""
        reply = Reply(self.role) if reply is None else reply
        envelope = Envelope(message, reply_to=reply)
        put, _ = self._lives[0]
        if put is None:
            refuse(envelope, None, self.role, self._dead_letters)
        else:
            put(envelope)
        return reply


class FencedAddress(Address):
    """An address as a keeper uses it. Messages that it sends after it lost its role are dropped."""

    def __init__(self, address: Address, lease: Lease) -> None:
        super().__init__(address.role, address._dead_letters)
        self._address, self._lease = address, lease

    def tell(self, message: Any, life: int | None = None) -> None:
        if not self._lease.revoked:
            self._address.tell(message, life)


class Roles:
    """Every address in the tree by the name of its role. Any thread.

    `keepers`: the roles whose mail outlives the actors that read it.
    """

    def __init__(self, keepers: Iterable[str]) -> None:
        self.dead_letters = DeadLetters()
        self._addresses: dict[str, Address] = {}
        self._lock = threading.RLock()
        self.mailboxes = {role: Mailbox(role, self.dead_letters) for role in keepers}
        for role, mailbox in self.mailboxes.items():
            self.named(role).point(mailbox.put)

    def named(self, role: str) -> Address:
        with self._lock:
            if role not in self._addresses:
                self._addresses[role] = Address(role, self.dead_letters)
            return self._addresses[role]

    def connection(self, line: str) -> Address:
        return self.named(f"connection/{line}")


class Ref(pykka.ActorRef["Actor"]):
    """Pykka's reference. After its actor has ended, its inbox answers messages: none is lost in a race."""

    def __init__(self, actor: Actor) -> None:
        super().__init__(actor)
        self._id = actor.id
        self._dead_letters = actor._dead_letters

    def tell(self, message: Any) -> None:
        self.actor_inbox.put(Envelope(message))

    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any:
        future = Reply(self._id)
        future.notice_unread(lambda why: self._dead_letters.add(self._id, _shown(message), why))
        self.actor_inbox.put(Envelope(message, reply_to=future))
        return future.get(timeout=timeout) if block else future


class ActorContext(Struct, Generic[Box], frozen=True):
    """What each actor is given."""

    id: str  # its role; its thread and its log lines have this name
    incarnation: int
    inbox: Box
    roles: Roles
    timers: Timers
    parent: str | None = "supervisor"  # the role that is told how it ended; None: the root of the tree


class Actor(pykka.ThreadingActor):
    """Base class: a subclass handles messages and decides by its rules.

    `on_start` is not used: a failure there reaches no hook of Pykka's. An actor's first work is
    its first message, which it sends to itself.
    """

    use_daemon_thread: ClassVar[bool] = True

    def __init__(self, context: ActorContext[Any]) -> None:
        self._inbox: Inbox = context.inbox
        super().__init__()
        self.id, self.incarnation = context.id, context.incarnation
        self._roles, self._timers, self._clock = context.roles, context.timers, context.timers.clock
        self._parent, self._dead_letters = context.parent, context.roles.dead_letters
        self._ending: Reason = Stopped()
        self._cleaned = False
        self._thread = threading.Thread(target=self._actor_loop, name=self.id, daemon=True)
        self._actor_ref = Ref(self)

    # ── for subclasses ──

    def tell_self(self, message: Any) -> None:
        self._inbox.put(Envelope(message))

    def keep_reply(self) -> KeptReply:
        """The reply to the letter in hand, for a handler that answers later; what it returns is not sent."""
        envelope = self._inbox.given
        assert envelope is not None
        reply, envelope.reply_to = envelope.reply_to, None
        if isinstance(reply, KeptReply):
            return reply
        return KeptReply(reply if isinstance(reply, Reply) else Reply())  # told: the answer goes nowhere

    def address(self, role: str) -> Address:
        """The way to this role, for as long as this actor plays its own."""
        address = self._roles.named(role)
        return FencedAddress(address, self._inbox) if isinstance(self._inbox, Lease) else address

    def connection(self, line: str) -> Address:
        """The same to the connection of this line."""
        return self.address(f"connection/{line}")

    def send_later(self, seconds: float, message: Any) -> Timer:
        """A message in so many seconds to its own role, whichever actor plays it by then."""
        return self._timers.send_after(seconds, self._roles.named(self.id), message)

    # ── for the supervisor ──

    def launch(self) -> Self:
        """Pykka's `start`, for an actor that has been made already.

        Raises:
            RuntimeError: the system is out of threads.
        """
        pykka.ActorRegistry.register(self.actor_ref)
        self._start_actor_loop()
        return self

    @property
    def thread(self) -> threading.Thread:
        return self._thread

    def exit(self, reason: Reason) -> None:
        """End after the message at hand, for this reason. Mail behind it is not read.

        The first reason counts: what comes of the ending itself is no other.
        """
        if self.actor_stopped.is_set():
            return
        self._ending = reason
        self._stop()

    def cleanup(self) -> None:
        """OTP's `terminate`: give back what is held. Runs in this actor's thread, however it ended."""

    def unknown(self, message: object) -> None:
        """A message that this actor does not understand is a dead letter, never a crash."""
        self._dead_letters.add(self.id, _shown(message), "not understood")

    # ── the methods that Pykka calls ──

    def _create_actor_inbox(self) -> Inbox:  # type: ignore[override]
        return self._inbox

    def _start_actor_loop(self) -> None:
        try:
            self._thread.start()
        except BaseException:  # no thread to be had: Pykka registered this actor already
            pykka.ActorRegistry.unregister(self.actor_ref)
            self.actor_stopped.set()
            raise

    def _actor_loop(self) -> None:
        """The end is reported from here, once, as the last act, whatever ended the loop."""
        _here.actor = True
        try:
            super()._actor_loop()
        except BaseException as error:
            log.exception("actor.failed", "%s: its inbox failed.", self.id)
            self._crash(error)
        finally:
            self.actor_stopped.set()
            pykka.ActorRegistry.unregister(self.actor_ref)
            try:
                self._inbox.close()
            finally:
                if self._parent is not None:
                    exited = ChildExited(self.id, self.incarnation, self._ending)
                    self._roles.named(self._parent).tell(exited)

    def _handle_receive(self, message: Any) -> Any:
        try:
            return super()._handle_receive(message)
        except LeaseLostError as lost:
            self.exit(Stopped(str(lost)))
            return None
        except Exception:
            raise
        except BaseException as error:
            # Pykka would stop every actor of the process and leave the asker waiting.
            self._crash(error)
            raise RuntimeError(f"{type(error).__name__} in {self.id}: {error}") from error

    def on_stop(self) -> None:
        self._clean_up()

    def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
        self._crash(exception_value)

    def _crash(self, error: BaseException) -> None:
        """End for this error."""
        self._ending = Crashed(f"{type(error).__name__}: {error}")
        self.actor_stopped.set()
        self._clean_up()

    def _clean_up(self) -> None:
        """Once: an actor may meet its second failure on its way out."""
        if self._cleaned:
            return
        self._cleaned = True
        try:
            self.cleanup()
        except Exception:
            log.exception("actor.failed", "%s: its cleanup failed.", self.id)
