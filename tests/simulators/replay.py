"""Small other ends for the tables: each venue's manners in a few lines, and what it says from its transcript.

A replay acknowledges and refuses as its venue documents it, answers that venue's heartbeat, and says each
message of the transcript to whom subscribed to it.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from msgspec import Struct

from actors.simulators.base.client import Peer, text_frame
from actors.simulators.base.server import Message, Simulator


class Asked(Struct, frozen=True):
    """A request for some topics, in the venue's own names."""

    verb: str  # "subscribe", "unsubscribe", or what else a client may ask
    topics: tuple[str, ...] = ()
    id: Any = None


class Replay(Simulator):
    """A venue that knows the topics that its transcript has messages of, and no others."""

    other_paths: ClassVar[Collection[str]] = ()

    def __init__(self, transcript: Path) -> None:
        super().__init__(rate=0)
        heard = (line[2:] for line in transcript.read_text().splitlines() if line.startswith("< "))
        messages = [json.loads(text) for text in heard if text[0] in "{["]
        self.messages = [message for message in messages if self.topic_of(message)]
        self.known = {self.topic_of(message) for message in self.messages}
        self.subscribed: dict[Peer, dict[str, None]] = {}  # topics in the order in which they came

    # what a venue says

    @abstractmethod
    def topic_of(self, message: Any) -> str:
        """The topic of a message of data; empty: it is something else."""

    @abstractmethod
    def asked(self, message: Any) -> Asked:
        """What a client wants."""

    @abstractmethod
    def confirmed(self, asked: Asked, peer: Peer) -> Iterator[Any]:
        """The acknowledgements of these topics, all of them known."""

    @abstractmethod
    def refused(self, asked: Asked, topic: str) -> Any:
        """The error for a topic that is not known."""

    def greeting(self) -> Iterable[Any]:
        return ()

    def opening(self, asked: Asked) -> Iterable[Any]:
        """What follows the acknowledgement at once: a book's snapshot, say."""
        return ()

    def other(self, asked: Asked) -> Any:
        """The answer to anything else: the venue's own heartbeat."""
        raise NotImplementedError(asked)

    # what a test has it do

    def push(self) -> None:
        """Says each message of the transcript once, to everyone who subscribed to its topic."""
        with self._lock:
            for message in self.messages:
                frame = text_frame(json.dumps(message).encode())
                for peer in self._open():
                    if self.topic_of(message) in self.subscribed.get(peer, {}):
                        peer.tell(frame)

    def topics(self) -> set[str]:
        """What is subscribed to now, over all connections."""
        with self._lock:
            return {topic for topics in self.subscribed.values() for topic in topics}

    # how it goes

    def serves(self, path: str) -> bool:
        return path in self.other_paths or super().serves(path)

    def opened(self, peer: Peer) -> None:
        self.subscribed[peer] = {}
        self._say(peer, self.greeting())

    def closed(self, peer: Peer) -> None:
        self.subscribed.pop(peer, None)

    def decode(self, message: Message) -> Any:
        text = message if isinstance(message, str) else message.decode()
        return json.loads(text) if text[:1] in {"{", "["} else text

    def kind(self, heard: Any) -> str:
        return self.asked(heard).verb

    def received(self, peer: Peer, message: Message) -> None:
        asked = self.asked(self.decode(message))
        topics = self.subscribed[peer]
        if asked.verb == "unsubscribe":
            for topic in asked.topics:
                topics.pop(topic, None)
            self._say(peer, self.confirmed(asked, peer))
        elif asked.verb != "subscribe":
            self._say(peer, [self.other(asked)])
        else:
            self._subscribe(peer, asked)

    def _subscribe(self, peer: Peer, asked: Asked) -> None:
        """One unknown topic refuses the whole request, as most of these venues do."""
        unknown = [topic for topic in asked.topics if topic not in self.known]
        if unknown:
            self._say(peer, [self.refused(asked, unknown[0])])
            return
        self.subscribed[peer].update(dict.fromkeys(asked.topics))
        self._say(peer, self.confirmed(asked, peer))
        self._say(peer, self.opening(asked))

    def _say(self, peer: Peer, messages: Iterable[Any]) -> None:
        for message in messages:
            text = message if isinstance(message, str) else json.dumps(message)
            peer.answer(text_frame(text.encode()))


class BinanceReplay(Replay):
    name = "binance"
    path = "/stream"

    def topic_of(self, message: Any) -> str:
        stream = str(message.get("stream", ""))
        return "" if stream.startswith("!") else stream

    def asked(self, message: Any) -> Asked:
        return Asked(message["method"].lower(), tuple(message["params"]), message["id"])

    def confirmed(self, asked: Asked, peer: Peer) -> Iterator[Any]:
        yield {"result": None, "id": asked.id}

    def refused(self, asked: Asked, topic: str) -> Any:
        return {"error": {"code": 2, "msg": "Invalid request: invalid stream"}, "id": asked.id}


class CoinbaseReplay(Replay):
    """A topic is here `channel/product`. Its acknowledgement lists all that is subscribed to, and calls
    `level2_batch` by a name that Coinbase's pages do not have."""

    name = "coinbase"

    TYPES: ClassVar = {
        "match": "matches",
        "last_match": "matches",
        "ticker": "ticker",
        "snapshot": "level2_batch",
        "l2update": "level2_batch",
        "heartbeat": "heartbeat",
    }

    def topic_of(self, message: Any) -> str:
        channel = self.TYPES.get(message["type"])
        return f"{channel}/{message['product_id']}" if channel else ""

    def asked(self, message: Any) -> Asked:
        return Asked(
            message["type"],
            tuple(
                f"{channel['name']}/{product}"
                for channel in message["channels"]
                for product in channel["product_ids"]
            ),
        )

    def confirmed(self, asked: Asked, peer: Peer) -> Iterator[Any]:
        products: dict[str, list[str]] = {}
        for topic in self.subscribed[peer]:
            channel, _, product = topic.partition("/")
            name = "level2_50" if channel == "level2_batch" else channel
            products.setdefault(name, []).append(product)
        listed = [
            {"name": channel, "product_ids": ids, "account_ids": None} for channel, ids in products.items()
        ]
        yield {"type": "subscriptions", "channels": listed}

    def opening(self, asked: Asked) -> Iterator[Any]:
        for message in self.messages:
            if message["type"] == "snapshot" and self.topic_of(message) in asked.topics:
                yield message

    def refused(self, asked: Asked, topic: str) -> Any:
        reason = f"{topic.partition('/')[2]} is not a valid product"
        return {"type": "error", "message": "Failed to subscribe", "reason": reason}


class KrakenReplay(Replay):
    """Each symbol of a request is acknowledged or refused for itself. A topic is here `channel/symbol`."""

    name = "kraken"
    path = "/v2"

    def greeting(self) -> Iterable[Any]:
        status = {"api_version": "v2", "connection_id": 1, "system": "online", "version": "2.0.10"}
        yield {"channel": "status", "data": [status], "type": "update"}

    def topic_of(self, message: Any) -> str:
        if message.get("channel") in {None, "status", "heartbeat"}:
            return ""
        return f"{message['channel']}/{message['data'][0]['symbol']}"

    def asked(self, message: Any) -> Asked:
        params = message.get("params", {})
        topics = tuple(f"{params['channel']}/{symbol}" for symbol in params.get("symbol", ()))
        return Asked(message["method"], topics, message.get("req_id"))

    def _subscribe(self, peer: Peer, asked: Asked) -> None:
        for topic in asked.topics:
            super()._subscribe(peer, Asked(asked.verb, (topic,), asked.id))

    def confirmed(self, asked: Asked, peer: Peer) -> Iterator[Any]:
        for topic in asked.topics:
            channel, _, symbol = topic.partition("/")
            result = {"channel": channel, "symbol": symbol, "snapshot": True}
            yield {
                "method": asked.verb,
                "result": result,
                "success": True,
                "req_id": asked.id,
                "time_in": "2026-01-05T10:00:00.000001Z",
                "time_out": "2026-01-05T10:00:00.000050Z",
            }

    def refused(self, asked: Asked, topic: str) -> Any:
        symbol = topic.partition("/")[2]
        return {
            "error": f"Currency pair not supported {symbol}",
            "method": asked.verb,
            "req_id": asked.id,
            "success": False,
            "symbol": symbol,
            "time_in": "2026-01-05T10:00:00.000001Z",
            "time_out": "2026-01-05T10:00:00.000050Z",
        }

    def other(self, asked: Asked) -> Any:
        assert asked.verb == "ping"
        return {"method": "pong", "req_id": asked.id}


class KrakenV1Replay(KrakenReplay):
    """A topic is here `channel/pair`, with the channel's name as messages have it: `book-10`."""

    name = "kraken_v1"
    path = "/"

    OPTIONS: ClassVar = {"book": "depth", "ohlc": "interval"}

    def greeting(self) -> Iterable[Any]:
        yield {"connectionID": 1, "event": "systemStatus", "status": "online", "version": "1.9.6"}

    def topic_of(self, message: Any) -> str:
        return f"{message[-2]}/{message[-1]}" if isinstance(message, list) else ""

    def asked(self, message: Any) -> Asked:
        wanted = message.get("subscription", {"name": ""})
        option = wanted.get(self.OPTIONS.get(wanted["name"], ""))
        channel = f"{wanted['name']}-{option}" if option else wanted["name"]
        topics = tuple(f"{channel}/{pair}" for pair in message.get("pair", ()))
        return Asked(message["event"], topics, message.get("reqid"))

    def confirmed(self, asked: Asked, peer: Peer) -> Iterator[Any]:
        for topic in asked.topics:
            yield self._status(topic, f"{asked.verb}d", asked.id)

    def refused(self, asked: Asked, topic: str) -> Any:
        pair = topic.partition("/")[2]
        return self._status(topic, "error", asked.id) | {
            "errorMessage": f"Currency pair not supported {pair}"
        }

    def other(self, asked: Asked) -> Any:
        assert asked.verb == "ping"
        return {"event": "pong", "reqid": asked.id}

    def _status(self, topic: str, status: str, id: Any) -> dict[str, Any]:
        channel, _, pair = topic.partition("/")
        name, _, option = channel.partition("-")
        subscription: dict[str, Any] = {"name": name}
        if option:
            subscription[self.OPTIONS[name]] = int(option)
        said: dict[str, Any] = {
            "event": "subscriptionStatus",
            "pair": pair,
            "status": status,
            "subscription": subscription,
        }
        if status != "error":
            said |= {"channelID": 1, "channelName": channel}
        return said if id is None else said | {"reqid": id}


class OkxReplay(Replay):
    """A topic is here `channel/instrument`; candles are served on another path than the rest."""

    name = "okx"
    path = "/ws/v5/public"
    other_paths = ("/ws/v5/business",)

    def topic_of(self, message: Any) -> str:
        return _okx_topic(message["arg"]) if "data" in message else ""

    def asked(self, message: Any) -> Asked:
        if message == "ping":
            return Asked("ping")
        topics = tuple(map(_okx_topic, message["args"]))
        return Asked(message["op"], topics, message.get("id"))

    def _subscribe(self, peer: Peer, asked: Asked) -> None:
        for topic in asked.topics:
            super()._subscribe(peer, Asked(asked.verb, (topic,), asked.id))

    def confirmed(self, asked: Asked, peer: Peer) -> Iterator[Any]:
        for topic in asked.topics:
            channel, _, instrument = topic.partition("/")
            arg = {"channel": channel, "instId": instrument}
            yield {"id": asked.id, "event": asked.verb, "arg": arg, "connId": "a4d3ae55"}

    def refused(self, asked: Asked, topic: str) -> Any:
        channel, _, instrument = topic.partition("/")
        text = (
            f"Wrong URL or channel:{channel},instId:{instrument} doesn't exist. Please use the correct URL, "
            "channel and parameters referring to API document."
        )
        return {"id": asked.id, "event": "error", "code": "60018", "msg": text, "connId": "a4d3ae55"}

    def other(self, asked: Asked) -> Any:
        assert asked.verb == "ping"
        return "pong"


class BybitReplay(Replay):
    name = "bybit"
    path = "/v5/public/spot"

    def topic_of(self, message: Any) -> str:
        return str(message.get("topic", ""))

    def asked(self, message: Any) -> Asked:
        return Asked(message["op"], tuple(message.get("args", ())), message.get("req_id"))

    def confirmed(self, asked: Asked, peer: Peer) -> Iterator[Any]:
        yield self._answer(asked, success=True, text=asked.verb)

    def refused(self, asked: Asked, topic: str) -> Any:
        return self._answer(asked, success=False, text=f"Invalid symbol :[{topic}]")

    def other(self, asked: Asked) -> Any:
        assert asked.verb == "ping"
        return self._answer(asked, success=True, text="pong")

    def _answer(self, asked: Asked, *, success: bool, text: str) -> dict[str, Any]:
        said = {"success": success, "ret_msg": text, "conn_id": "2324d924", "op": asked.verb}
        return said if asked.id is None else said | {"req_id": asked.id}


def _okx_topic(arg: dict[str, str]) -> str:
    """`channel/instrument`; a channel without instruments stays alone."""
    return "/".join(arg[name] for name in ("channel", "instId") if name in arg)
