"""Hubs on loopback: negotiation, upgrades, invocations, groups, and how all of it may fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Literal

import msgspec

from actors.simulators.base.client import Later, Peer, Reply, Request
from actors.simulators.base.faults import Fault, fault
from actors.simulators.base.server import Garbage, Message, Simulator
from actors.simulators.signalr import framing, hub_methods
from actors.simulators.signalr.hub_client import Caller, Habits
from actors.simulators.signalr.hub_methods import Method
from actors.simulators.signalr.negotiate import Doorway, Ticket, bearer, json, text

Failure = Literal["hub", "server", "binding", "unknown", "forbidden"]
Door = Literal["both", "negotiate", "upgrade"]

_NEGOTIATE = "/negotiate"
_FOREVER = 1 << 62
_GARBAGE: Mapping[str, bytes] = {
    "json": b'{"type":1,"target":"Broken","arguments":[' + framing.RS,
    "utf8": b'{"type":1,"target":"\xff\xfe","arguments":[]}' + framing.RS,
    "nesting": b"[" * 100_000 + framing.RS,
}


class SimulatedHubs(Simulator):
    """SignalR hubs on loopback, all on one port: a context manager.

    A hub is named after the last part of its path. Faults that take `only_hub` leave the others alone.
    """

    name: ClassVar[str] = "signalr"

    def __init__(
        self,
        hubs: Mapping[str, Mapping[str, Method]],
        port: int = 0,
        *,
        rate: float = 0.0,
        seed: int = 0,
        faults: Iterable[str | Fault] = (),
        tokens: Callable[[str], bool] | None = None,
        transports: str = "WebSockets,ServerSentEvents,LongPolling",
        ping_interval: float = 15.0,
        client_timeout: float = 30.0,
        handshake_timeout: float = 15.0,
        negotiated_life: float = 15.0,
        packed: int = 1,
        fragment: int = 0,
        backlog: int = 1 << 20,
        send_buffer: int = 0,
    ) -> None:
        """What to serve, and how.

        Args:
            hubs: the methods of each hub, by the hub's path.
            port: 0 picks a free one, which stays the same after stop() and start().
            rate: steps a second; 0: nothing moves by itself.
            seed: the same seed makes the same market.
            faults: armed at the first start, such as `"hub_close allow_reconnect=true every=5"`.
            tokens: whether a token is good; None: nobody needs one.
            transports: what negotiation offers; only WebSockets is served.
            ping_interval: seconds of its own silence after which the server pings; 0: it never does.
            client_timeout: seconds of a client's silence, counted once he has pinged.
            handshake_timeout: seconds.
            negotiated_life: seconds in which a negotiated id must be used.
            packed: records a message, where so many come at once.
            fragment: bytes a WebSocket frame; 0: only messages over 4 KiB are in two, as with Kestrel.
            backlog: bytes that may wait for a slow reader before it is cut off.
            send_buffer: bytes that the kernel may hold for a connection; 0: as it likes.

        Raises:
            ValueError: `transports` names one that SignalR does not have.
        """
        super().__init__(port, rate=rate, seed=seed, faults=faults, backlog=backlog, send_buffer=send_buffer)
        self.habits = Habits(
            ping_interval, client_timeout, handshake_timeout, negotiated_life, max(packed, 1), fragment
        )
        self._usual = msgspec.structs.replace(self.habits)
        self._paths = {path.rstrip("/").lower(): path.rstrip("/").rpartition("/")[2] for path in hubs}
        self._methods = {self._paths[path.rstrip("/").lower()]: each for path, each in hubs.items()}
        self._tokens = tokens
        self._doorway = Doorway(negotiated_life, transports)
        self._tickets: dict[Peer, Ticket] = {}
        self._callers: dict[Peer, Caller] = {}
        self._groups: dict[str, dict[Caller, None]] = {}
        # what faults leave behind
        self._unauthorized: dict[tuple[str, str], int] = {}  # by hub and door
        self._refused: dict[str, list[tuple[Reply, int]]] = {}  # by hub: what, and how often
        self._negotiations: list[Mapping[str, Any]] = []
        self._handshakes: dict[str, list[str]] = {}
        self._failures: dict[str, list[tuple[Failure, str]]] = {}  # by method, in lower case
        self._silent: set[str] = set()
        self._frozen: set[str] = set()

    # what a test sees

    @property
    def hubs(self) -> list[str]:
        """The names of the hubs."""
        return list(self._methods)

    def hub_url(self, hub: str) -> str:
        """Where a hub is, as SignalR's own clients are told: `http://…`.

        Raises:
            ValueError: there is no such hub.
        """
        [found] = [path for path, name in self._paths.items() if name in self._named(hub)]
        return f"{self.http_url}{found}"

    def callers(self, only_hub: str = "") -> int:
        """How many clients have shaken hands."""
        with self._lock:
            return len([each for each in self._in(only_hub) if each.greeted])

    def members(self, group: str) -> int:
        """How many connections are in a group."""
        with self._lock:
            return len(self._groups.get(group, ()))

    def invocations(self, target: str = "") -> list[list[Any]]:
        """The arguments of each invocation of a method that was heard, or of all."""
        heard = [each for each in self.heard if isinstance(each, dict) and each.get("type") in (1, 4)]
        return [each["arguments"] for each in heard if target in ("", each["target"])]

    def kind(self, heard: Any) -> str:
        """`wait_heard` takes the name of a method, or handshake, ping, completion, close."""
        if not isinstance(heard, dict):
            return str(heard)
        if "type" not in heard:
            return "handshake" if "protocol" in heard else ""
        kinds = {framing.A_PING: "ping", framing.COMPLETION: "completion", framing.CLOSE: "close"}
        return kinds.get(heard["type"], str(heard.get("target", "")))

    # what a test does

    def push(self, hub: str, target: str, *arguments: object, id: str = "") -> None:
        """Invokes a method of every client of a hub; with an `id`, the server wants a completion."""
        self.say(framing.invocation(target, arguments, id), hub)

    def say(self, record: bytes, only_hub: str = "") -> None:
        """Tells every client this record, whatever it is."""
        with self._lock:
            for caller in self._in(only_hub):
                caller.say(record)

    # groups, as hubs have them

    def join_group(self, group: str, caller: Caller) -> None:
        self._groups.setdefault(group, {})[caller] = None

    def leave_group(self, group: str, caller: Caller) -> None:
        self._groups.get(group, {}).pop(caller, None)

    def tell_group(self, group: str, target: str, arguments: Iterable[object]) -> None:
        """Invokes a method of each client in a group."""
        members = self._groups.get(group)
        if members:
            record = framing.invocation(target, list(arguments))
            for caller in list(members):
                self.tell_caller(caller, record)

    def tell_caller(self, caller: Caller, record: bytes) -> None:
        """Tells one client what is no answer to him: a frozen hub does not."""
        if caller.hub not in self._frozen:
            caller.say(record)

    # faults

    @fault
    def unauthorized(self, n: int = 1, door: Door = "both", only_hub: str = "") -> None:
        """Answers the next `n` who come to a hub with 401, whatever their token; 0: all, until heal().

        `door`: at which they are turned away, when they negotiate or when they upgrade.
        """
        with self._lock:
            for hub in self._named(only_hub):
                self._unauthorized[hub, door] = n or _FOREVER

    @fault
    def refuse(self, status: int = 503, retry_after: float = 0.0, n: int = 1, only_hub: str = "") -> None:
        """Answers the next `n` negotiations or upgrades of each hub with this HTTP status.

        `n`: 0: all, until heal(). `retry_after`: seconds; 0: not said.
        """
        headers = {"Retry-After": f"{retry_after:g}"} if retry_after else {}
        with self._lock:
            for hub in self._named(only_hub):
                self._refused.setdefault(hub, []).append((Reply(status, b"refused", headers), n or _FOREVER))

    @fault
    def redirect(self, url: str = "", token: str = "", n: int = 1) -> None:
        """Sends the next `n` who negotiate elsewhere: to `url`, or back here, with another token."""
        told = {"url": url, "accessToken": token} if token else {"url": url}
        with self._lock:
            self._negotiations += [told] * n

    @fault
    def negotiate_error(self, error: str = "Not now.", n: int = 1) -> None:
        """Answers the next `n` negotiations with an error, under HTTP 200."""
        with self._lock:
            self._negotiations += [{"error": error}] * n

    @fault
    def legacy(self, n: int = 1) -> None:
        """Answers the next `n` negotiations as ASP.NET SignalR did before there was Core."""
        told = {"Url": "/signalr", "ConnectionToken": "old", "TryWebSockets": True, "ProtocolVersion": "1.5"}
        with self._lock:
            self._negotiations += [told] * n

    @fault
    def reuse_id(self, n: int = 1) -> None:
        """The next `n` ids that are negotiated are over already: 404 for whoever shows them."""
        with self._lock:
            self._doorway.dead += n

    @fault
    def handshake_error(self, error: str = "Handshake was canceled.", n: int = 1, only_hub: str = "") -> None:
        """Answers the next `n` handshakes of each hub with an error, and closes."""
        with self._lock:
            for hub in self._named(only_hub):
                self._handshakes.setdefault(hub, []).extend([error] * n)

    @fault
    def hub_close(self, allow_reconnect: bool = False, error: str = "", only_hub: str = "") -> None:
        """Says Close to every client, and closes. Without words it is what a hub's Abort() does."""
        with self._lock:
            for caller in self._in(only_hub):
                caller.end(error, allow_reconnect=allow_reconnect)

    @fault
    def completion_error(self, method: str = "", n: int = 1, kind: Failure = "hub", text: str = "no") -> None:
        """The next `n` invocations of a method fail, or of any; `text` is told where `kind` is `hub`."""
        with self._lock:
            self._failures.setdefault(method.lower(), []).extend([(kind, text)] * n)

    @fault
    def server_timeout(self, new: bool = False, only_hub: str = "") -> None:
        """Says nothing more, not even pings: a client has to notice. Its sockets stay open.

        `new`: connections made later are so as well, until heal().
        """
        self.mute(new, only_hub)

    @fault
    def frozen(self, hub: str = "") -> None:
        """Pings and answers, and pushes nothing any more: on this hub or on all, until heal()."""
        with self._lock:
            self._frozen.update(self._named(hub))

    @fault
    def packed(self, n: int = 50) -> None:
        """Puts up to `n` records into a message from now on, and the first ping beside the handshake."""
        with self._lock:
            self.habits.packed = n

    @fault
    def fragmented(self, size: int = 16) -> None:
        """Sends every message in WebSocket frames of at most `size` bytes from now on."""
        with self._lock:
            self.habits.fragment = size

    @fault
    def split(self) -> None:
        """Sends every message as two from now on, so that records span messages."""
        with self._lock:
            self.habits.split = True

    @fault
    def reset(self, only_hub: str = "") -> None:
        """Resets TCP without a word, as a host does that is shut down."""
        self.drop(only_hub)

    @fault
    def drop(self, only_hub: str = "") -> None:
        """Resets every connection: no close frame. All are closed when it returns."""
        if not only_hub:
            super().drop()
            return
        with self._lock:
            for caller in self._in(only_hub):
                caller.peer.cut()

    @fault
    def close(self, code: int = 1001, reason: str = "", only_hub: str = "") -> None:
        """Says goodbye by a WebSocket close frame alone.

        Raises:
            ValueError: RFC 6455 does not allow this code in a close frame.
        """
        if not only_hub:
            super().close(code, reason)
            return
        with self._lock:
            for caller in self._in(only_hub):
                caller.peer.close(code, reason)

    @fault
    def mute(self, new: bool = True, only_hub: str = "") -> None:
        """Answers protocol pings, says nothing else; what it would have said is lost.

        `new`: connections made later are mute as well, until heal().
        """
        with self._lock:
            if new:
                self._silent.update(self._named(only_hub))
            for caller in self._in(only_hub):
                caller.peer.muted = True

    @fault
    def deaf(self, new: bool = True, only_hub: str = "") -> None:
        """Reads nothing and says nothing, and so does not notice when a client hangs up.

        `new`: connections made later are deaf as well; not where one hub is named, for it is known too late.
        """
        if not only_hub:
            super().deaf(new)
            return
        with self._lock:
            for caller in self._in(only_hub):
                caller.peer.deaf = True
                caller.peer.watch()

    @fault
    def garbage(self, kind: Garbage = "json") -> None:
        """Sends a record that does not decode: broken JSON, bytes that are no UTF-8, binary, ...

        `opcode` and `length` break the WebSocket protocol itself.
        """
        if kind in _GARBAGE:
            self.send_frame(framing.frames(_GARBAGE[kind]))
        else:
            super().garbage(kind)

    @fault
    def huge(self, size: int = 2 << 20) -> None:
        """Sends one record of `size` bytes: a well-formed push of a method that nobody knows."""
        empty = framing.invocation("Padding", [""])
        self.say(framing.invocation("Padding", ["x" * (size - len(empty))]))

    def heal(self) -> None:
        """Ends all lasting faults, and those still to come. What was lost stays lost."""
        with self._lock:
            super().heal()
            for each in (self._unauthorized, self._refused, self._handshakes, self._failures):
                each.clear()
            self._negotiations.clear()
            self._silent.clear()
            self._frozen.clear()
            self._doorway.dead = 0
            self.habits = msgspec.structs.replace(self._usual)

    # the doors

    def serves(self, path: str) -> bool:
        return self._hub_at(path) is not None

    def objection(self, request: Request) -> Reply | None:
        hub = self._hub_at(request.path)
        assert hub is not None
        return self._turned_away(hub, "upgrade", request) or self._doorway.objection(hub, request)

    def answer(self, request: Request) -> Reply | Later:
        path = request.path.rstrip("/").lower()
        hub = self._hub_at(path.removesuffix(_NEGOTIATE))
        if hub is None:
            return self.page(request)
        if not path.endswith(_NEGOTIATE):
            return self._turned_away(hub, "", request) or text(400, b"Connection ID required")
        if request.method != "POST":
            return text(405)
        return self._turned_away(hub, "negotiate", request) or self._negotiate(hub, request)

    def page(self, request: Request) -> Reply | Later:
        """The answer to a request that is for no hub."""
        return text(404)

    def authorized(self, request: Request) -> bool:
        """Whether a request shows a token that is good for a hub."""
        return self._tokens is None or self._tokens(bearer(request))

    def _negotiate(self, hub: str, request: Request) -> Reply:
        if not self._negotiations:
            return self._doorway.negotiate(hub, request)
        told = self._negotiations.pop(0)
        return json({**told, "url": self.hub_url(hub)} if told.get("url") == "" else told)

    def _turned_away(self, hub: str, door: str, request: Request) -> Reply | None:
        if door and self._refused.get(hub):
            return self._refuse(hub)
        if (door and self._is_unauthorized(hub, door)) or not self.authorized(request):
            challenge = 'Bearer error="invalid_token"' if bearer(request) else "Bearer"
            return Reply(401, b"", {"WWW-Authenticate": challenge})
        return None

    def _is_unauthorized(self, hub: str, door: str) -> bool:
        for key in ((hub, door), (hub, "both")):
            left = self._unauthorized.get(key, 0)
            if left:
                self._unauthorized[key] = left - 1
                return True
        return False

    def _refuse(self, hub: str) -> Reply:
        reply, left = self._refused[hub].pop(0)
        if left > 1:
            self._refused[hub].insert(0, (reply, left - 1))
        return reply

    def _hub_at(self, path: str) -> str | None:
        return self._paths.get(path.rstrip("/").lower())

    def _named(self, only_hub: str) -> list[str]:
        """The hubs that are meant. Raises ValueError where there is none."""
        if only_hub and only_hub not in self._methods:
            raise ValueError(f"there is no hub {only_hub!r}; there is {', '.join(self._methods)}")
        return [only_hub] if only_hub else list(self._methods)

    def _in(self, only_hub: str) -> list[Caller]:
        hubs = self._named(only_hub)
        return [each for each in self._callers.values() if each.hub in hubs and each.peer.open]

    # the connections

    def opened(self, peer: Peer) -> None:
        assert peer.request is not None
        hub = self._hub_at(peer.request.path)
        assert hub is not None
        ticket = self._tickets[peer] = self._doorway.admit(hub, peer.request)
        peer.muted = peer.muted or hub in self._silent
        self._callers[peer] = Caller(self, peer, hub, ticket.id)

    def closed(self, peer: Peer) -> None:
        caller = self._callers.pop(peer, None)
        ticket = self._tickets.pop(peer, None)
        if ticket is not None:
            self._doorway.leave(ticket)
        if caller is not None:
            for members in self._groups.values():
                members.pop(caller, None)

    def hear(self, peer: Peer, payload: bytes, binary: bool) -> None:
        caller = self._callers.get(peer)
        if caller is not None:
            caller.hear(payload)
        self.announce()

    def received(self, peer: Peer, message: Message) -> None:
        """Never called: what a client says is records, and those are heard one by one."""

    def note(self, message: Any) -> None:
        self._heard.append(message)

    def greeting(self, hub: str, said: bytes) -> str:
        """Why a handshake fails; nothing: it does not."""
        if self._handshakes.get(hub):
            return self._handshakes[hub].pop(0)
        return framing.handshake_error(said)

    def greeted(self, caller: Caller) -> None:
        """A client has shaken hands."""

    def invoked(self, caller: Caller, message: dict[str, Any]) -> None:
        target, arguments = message.get("target"), message.get("arguments")
        if not isinstance(target, str) or not isinstance(arguments, list):
            raise framing.Broken
        id = message.get("invocationId") or ""

        def act() -> None:
            error, result = self._outcome(caller, target, arguments, message["type"])
            if id:  # without one, nothing comes back, not even of a failure
                self._complete(caller, framing.completion(id, result, error))
            self.announce()

        self.subscription_asked(caller.peer, act)

    def _outcome(
        self, caller: Caller, target: str, arguments: list[Any], kind: int
    ) -> tuple[str | None, object]:
        error = self._failure(target)
        if error is None and kind == framing.STREAM_INVOCATION:
            error = hub_methods.not_streaming(target)
        if error is not None:
            return error, None
        outcome = hub_methods.invoke(self._methods[caller.hub], caller, target, arguments)
        return outcome.error, outcome.result

    def _complete(self, caller: Caller, record: bytes) -> None:
        if self._lost_acks:
            self._lost_acks -= 1
        else:
            caller.say(record)

    def _failure(self, target: str) -> str | None:
        for name in (target.lower(), ""):
            if self._failures.get(name):
                kind, why = self._failures[name].pop(0)
                return _worded(kind, target, why)
        return None


def _worded(kind: Failure, target: str, why: str) -> str:
    match kind:
        case "hub":
            return hub_methods.failed(target, why)
        case "server":
            return hub_methods.failed(target)
        case "binding":
            return hub_methods.unbound(target)
        case "unknown":
            return f"{hub_methods.unbound(target)} HubException: Method does not exist."
        case "forbidden":
            return hub_methods.forbidden(target)
