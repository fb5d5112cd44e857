"""Hubs on loopback: negotiation, upgrades, invocations, groups, and how all of it may fail."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from actors.simulators.base.client import HttpReply, Later, Peer, Request, retry_header
from actors.simulators.base.connections import Groups
from actors.simulators.base.faults import FOREVER, New, RetryAfter, Status, Text, Times, TimesOrAll, fault
from actors.simulators.base.parameters import one_of
from actors.simulators.base.server import CloseCode, GarbageKind, Message, Reason, Simulator
from actors.simulators.base.settings import given
from actors.simulators.signalr import framing
from actors.simulators.signalr.hub_client import Caller
from actors.simulators.signalr.hub_methods import Failure, InvocationFailed, Methods, invoke
from actors.simulators.signalr.negotiate import Doorway, bearer, json, text
from actors.simulators.signalr.settings import SimulatedHubSettings

FailureKind = Annotated[Failure, "what fails it, and so the error's words"]
Door = Annotated[Literal["both", "negotiate", "upgrade"], "where a client is refused"]
Url = Annotated[str, "of the other server; empty: this one"]
Token = Annotated[str, "for the other server; empty: none"]
HubText = Annotated[str, "what the hub says"]
HubMethod = Annotated[str, "its name; empty: any"]
OnlyHub = Annotated[str, "the name of a hub; empty: all"]

_CANCELED = "Handshake was canceled."
_NEGOTIATE = "/negotiate"
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
    Settings = SimulatedHubSettings

    settings: SimulatedHubSettings

    @given(SimulatedHubSettings)
    def __init__(self, settings: SimulatedHubSettings) -> None:
        self.set_up_hubs(settings)

    def set_up_hubs(self, settings: SimulatedHubSettings) -> None:
        """The state of every server of hubs: what a constructor does first."""
        self.set_up(settings)
        self.habits = msgspec.structs.replace(settings)  # as faults have changed them
        hubs = self.methods()
        self._paths = {path.rstrip("/").lower(): path.rstrip("/").rpartition("/")[2] for path in hubs}
        self._methods = {self._paths[path.rstrip("/").lower()]: each for path, each in hubs.items()}
        self._doorway = Doorway(settings.negotiated_life, settings.transports)
        self._callers: dict[Peer, Caller] = {}
        self._groups: Groups[str, Caller] = Groups()

    # what a venue adds

    @abstractmethod
    def methods(self) -> Mapping[str, Methods]:
        """The methods of each hub, by the hub's path. Asked once, while the simulator is set up."""

    def accepts(self, token: str) -> bool:
        """Whether a token is good for the hubs."""
        return self.settings.tokens is None or self.settings.tokens(token)

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
            return self._groups.count(group)

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
        with self._lock:
            self._groups.join(group, caller)

    def leave_group(self, group: str, caller: Caller) -> None:
        with self._lock:
            self._groups.leave(group, caller)

    def tell_group(self, group: str, target: str, arguments: Iterable[object]) -> None:
        """Invokes a method of each client in a group. Any thread."""
        with self._lock:
            if group not in self._groups:
                return
            record = framing.invocation(target, list(arguments))
            for caller in self._groups.of(group):
                self.tell_caller(caller, record)

    def tell_caller(self, caller: Caller, record: bytes) -> None:
        """Tells one client what is no answer: a frozen hub does not."""
        if not self.pending.get("frozen", caller.hub):
            caller.say(record)

    # faults

    @fault
    def unauthorized(self, n: TimesOrAll = 1, door: Door = "both", only_hub: OnlyHub = "") -> None:
        """Answers the next `n` clients of each hub with 401, whatever their token."""
        for hub in self._named(only_hub):
            self.pending.set("unauthorized", hub, door, times=n or FOREVER)

    @fault
    def refuse(
        self, status: Status = 503, retry_after: RetryAfter = 0.0, n: TimesOrAll = 1, only_hub: OnlyHub = ""
    ) -> None:
        """Answers the next `n` negotiations or upgrades of each hub with this HTTP status."""
        reply = HttpReply(status, b"refused", retry_header(retry_after))
        for hub in self._named(only_hub):
            self.pending.add("refuse", hub, times=n or FOREVER, what=reply)

    @fault
    def redirect(self, url: Url = "", token: Token = "", n: Times = 1) -> None:
        """Sends the next `n` clients that negotiate to another server."""
        told = {"url": url, "accessToken": token} if token else {"url": url}
        self.pending.add("negotiate", times=n, what=told)

    @fault
    def negotiate_error(self, error: Text = "Not now.", n: Times = 1) -> None:
        """Answers the next `n` negotiations with an error, under HTTP 200."""
        self.pending.add("negotiate", times=n, what={"error": error})

    @fault
    def legacy(self, n: Times = 1) -> None:
        """Answers the next `n` negotiations as ASP.NET SignalR did before there was Core."""
        told = {"Url": "/signalr", "ConnectionToken": "old", "TryWebSockets": True, "ProtocolVersion": "1.5"}
        self.pending.add("negotiate", times=n, what=told)

    @fault
    def reuse_id(self, n: Times = 1) -> None:
        """Gives out `n` ids that are over already: an upgrade with one gets 404."""
        self.pending.add("reuse_id", times=n)

    @fault
    def handshake_error(self, error: Text = _CANCELED, n: Times = 1, only_hub: OnlyHub = "") -> None:
        """Answers the next `n` handshakes of each hub with an error, and closes."""
        for hub in self._named(only_hub):
            self.pending.add("handshake_error", hub, times=n, what=error)

    @fault
    def hub_close(
        self,
        allow_reconnect: Annotated[bool, "as Close says it"] = False,
        error: Annotated[str, "of the error; empty: as a hub's Abort() does"] = "",
        only_hub: OnlyHub = "",
    ) -> None:
        """Sends Close to every client, and closes."""
        for caller in self._in(only_hub):
            caller.end(error, allow_reconnect=allow_reconnect)

    @fault
    def completion_error(
        self, method: HubMethod = "", n: Times = 1, kind: FailureKind = "hub", text: HubText = "no"
    ) -> None:
        """Fails the next `n` invocations of a method."""
        self.pending.add("completion_error", method.lower(), times=n, what=(kind, text))

    @fault
    def server_timeout(self, new: New = False, only_hub: OnlyHub = "") -> None:
        """Sends nothing more, not even pings; sockets stay open."""
        self.mute(new, only_hub)

    @fault
    def frozen(self, hub: OnlyHub = "") -> None:
        """Pings and answers, and pushes nothing any more until heal()."""
        for each in self._named(hub):
            self.pending.set("frozen", each)

    @fault
    def packed(self, n: Annotated[int, "records per message, at most"] = 50) -> None:
        """Puts several records into a message from now on, and the first ping beside the handshake."""
        self.habits.packed = n

    @fault
    def fragmented(self, size: Annotated[int, "bytes per frame, at most"] = 16) -> None:
        """Sends every message in several WebSocket frames from now on."""
        self.habits.fragment = size

    @fault
    def split(self) -> None:
        """Sends every message as two from now on, so that records span messages."""
        self.habits.split = True

    @fault
    def reset(self, only_hub: OnlyHub = "") -> None:
        """Resets TCP without a close frame, as a host that is shut down."""
        self.drop(only_hub)

    @fault
    def drop(self, only_hub: OnlyHub = "") -> None:
        """Resets every connection: no close frame. All are closed when it returns."""
        for peer in self._peers_of(only_hub):
            peer.cut()

    @fault
    def close(self, code: CloseCode = 1001, reason: Reason = "", only_hub: OnlyHub = "") -> None:
        """Closes every connection with a WebSocket close frame alone.

        Raises:
            ValueError: RFC 6455 does not allow this code in a close frame.
        """
        self._close(self._peers_of(only_hub), code, reason)

    @fault
    def mute(self, new: New = True, only_hub: OnlyHub = "") -> None:
        """Answers protocol pings and sends nothing else; what it would have sent is lost."""
        for hub in self._named(only_hub) if new else ():
            self.pending.set("mute", hub)
        for caller in self._in(only_hub):
            caller.peer.muted = True

    @fault
    def deaf(self, new: New = True, only_hub: OnlyHub = "") -> None:
        """Reads nothing and sends nothing, and so does not notice when a client hangs up.

        With `only_hub` new connections are not deaf: their hub is known too late.
        """
        self._deafen(self._peers_of(only_hub), new and not only_hub)

    @fault
    def garbage(self, kind: GarbageKind = "json") -> None:
        """Sends a record that does not decode."""
        if kind in _GARBAGE:
            self.send_frame(framing.frames(_GARBAGE[kind]))
        else:
            super().garbage(kind)

    @fault
    def huge(self, size: Annotated[int, "bytes"] = 2 << 20) -> None:
        """Sends one long record: a well-formed push of an unknown method."""
        empty = framing.invocation("Padding", [""])
        self.say(framing.invocation("Padding", ["x" * (size - len(empty))]))

    def heal(self) -> None:
        """Ends all lasting faults, and those still to come. What was lost stays lost."""
        with self._lock:
            super().heal()
            self.habits = msgspec.structs.replace(self.settings)

    # the doors

    def serves(self, path: str) -> bool:
        return bool(self._hub_at(path))

    def objection(self, request: Request) -> HttpReply | None:
        hub = self._hub_at(request.path)
        return self._turned_away(hub, "upgrade", request) or self._doorway.objection(hub, request)

    def answer(self, request: Request) -> HttpReply | Later:
        path = request.path.rstrip("/").lower()
        hub = self._hub_at(path.removesuffix(_NEGOTIATE))
        if not hub:
            return self.page(request)
        if not path.endswith(_NEGOTIATE):
            return self._turned_away(hub, "", request) or text(400, b"Connection ID required")
        if request.method != "POST":
            return text(405)
        return self._turned_away(hub, "negotiate", request) or self._negotiate(hub, request)

    def page(self, request: Request) -> HttpReply | Later:
        """The answer to a request that is for no hub."""
        return text(404)

    def _negotiate(self, hub: str, request: Request) -> HttpReply:
        told: Mapping[str, Any] | None = self.pending.take("negotiate")
        if told is None:
            return self._doorway.negotiate(hub, request, bool(self.pending.take("reuse_id")))
        return json({**told, "url": self.hub_url(hub)} if told.get("url") == "" else told)

    def _turned_away(self, hub: str, door: str, request: Request) -> HttpReply | None:
        refusal: HttpReply | None = self.pending.take("refuse", hub) if door else None
        if refusal is not None:
            return refusal
        refused = door and any(self.pending.take("unauthorized", hub, each) for each in (door, "both"))
        if refused or not self.accepts(bearer(request)):
            challenge = 'Bearer error="invalid_token"' if bearer(request) else "Bearer"
            return HttpReply(401, b"", {"WWW-Authenticate": challenge})
        return None

    def _hub_at(self, path: str) -> str:
        """The name of the hub at this path; empty: there is none."""
        return self._paths.get(path.rstrip("/").lower(), "")

    def _named(self, only_hub: str) -> list[str]:
        """The hubs that are meant. Raises ValueError where there is none."""
        if only_hub:
            one_of(self._methods, only_hub, "hub")
        return [only_hub] if only_hub else list(self._methods)

    def _in(self, only_hub: str) -> list[Caller]:
        hubs = self._named(only_hub)
        return [each for each in self._callers.values() if each.hub in hubs and each.peer.open]

    def _peers_of(self, only_hub: str) -> list[Peer]:
        """The connections to a hub; none named: all, those that are no WebSocket yet among them."""
        return [each.peer for each in self._in(only_hub)] if only_hub else list(self._peers)

    # the connections

    def opened(self, peer: Peer) -> None:
        hub = self._hub_at(peer.request.path)
        peer.muted = peer.muted or bool(self.pending.get("mute", hub))
        self._callers[peer] = Caller(self, peer, hub, self._doorway.admit(hub, peer.request))

    def closed(self, peer: Peer) -> None:
        caller = self._callers.pop(peer, None)
        if caller is not None:
            caller.ticket.over = True
            self._groups.leave_all(caller)

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
        error: str | None = self.pending.take("handshake_error", hub)
        return framing.handshake_error(said) if error is None else error

    def invoked(self, caller: Caller, message: dict[str, Any]) -> None:
        target, arguments = message.get("target"), message.get("arguments")
        if not isinstance(target, str) or not isinstance(arguments, list):
            raise framing.Broken
        id = message.get("invocationId") or ""

        def act() -> None:
            try:
                result = self._invoke(caller, target, arguments, message["type"])
                record = framing.completion(id, result)
            except InvocationFailed as failed:
                record = framing.completion(id, error=str(failed))
            # Without an id nothing comes back, not even of a failure.
            if id and not self.pending.take("lose_ack"):
                caller.say(record)
            self.announce()

        self.subscription_asked(caller.peer, act)

    def _invoke(self, caller: Caller, target: str, arguments: list[Any], kind: int) -> object:
        for method in (target.lower(), ""):
            if failure := self.pending.take("completion_error", method):
                raise InvocationFailed(failure[0], target, failure[1])
        if kind == framing.STREAM_INVOCATION:
            raise InvocationFailed("streaming", target)
        return invoke(self._methods[caller.hub], caller, target, arguments)
