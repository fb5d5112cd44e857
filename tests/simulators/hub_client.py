"""A plain client of a hub: what it hears, record by record, and nothing done behind its back."""

from __future__ import annotations

import http.client
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

RS = "\x1e"
HELLO = '{"protocol":"json","version":1}' + RS


class HubClient:
    """Says records, and hears them one by one however they were packed."""

    def __init__(self, connection: ClientConnection) -> None:
        self.socket = connection
        self.messages: list[str] = []  # of the WebSocket, as they came
        self._records: deque[Any] = deque()
        self._rest = ""
        self._invoked = 0

    def say(self, **message: Any) -> None:
        self.say_text(msgspec.json.encode(message).decode() + RS)

    def say_text(self, text: str) -> None:
        self.socket.send(text)

    def shake_hands(self) -> HubClient:
        self.say_text(HELLO)
        assert self.hear() == {}
        return self

    def hear(self, timeout: float = 5.0) -> Any:
        while not self._records:
            message = self.socket.recv(timeout=timeout, decode=True)
            assert isinstance(message, str)
            self.messages.append(message)
            *whole, self._rest = (self._rest + message).split(RS)
            self._records.extend(msgspec.json.decode(each) for each in whole)
        return self._records.popleft()

    def hear_push(self) -> tuple[str, list[Any]]:
        """The next invocation by the server: its target and arguments."""
        while (heard := self.hear())["type"] != 1:
            assert heard["type"] == 6, heard
        return heard["target"], heard["arguments"]

    def ask(self, target: str, *arguments: Any) -> str:
        """Invokes a method, and does not wait for it; returns the invocation's id."""
        self._invoked += 1
        id = f"i{self._invoked}"
        self.say(type=1, invocationId=id, target=target, arguments=arguments)
        return id

    def invoke(self, target: str, *arguments: Any) -> dict[str, Any]:
        """The completion of a method; nothing but pings may come before it."""
        id = self.ask(target, *arguments)
        while (heard := self.hear())["type"] == 6:
            pass
        assert (heard["type"], heard["invocationId"]) == (3, id), heard
        return {key: value for key, value in heard.items() if key not in ("type", "invocationId")}

    def hear_until_closed(self) -> list[Any]:
        """All that comes before the connection ends, however it ends; pings left out."""
        heard = []
        with suppress(ConnectionClosed):
            while True:
                heard.append(self.hear())
        return [each for each in heard if each != {"type": 6}]

    @property
    def close_code(self) -> int | None:
        """None: the connection ended without a close frame."""
        received = self.socket.protocol.close_rcvd
        return None if received is None else received.code


@contextmanager
def dialled(url: str, headers: Mapping[str, str] = {}, /, **query: str) -> Iterator[HubClient]:
    """A WebSocket to a hub, on which nothing has been said."""
    asked = f"?{urlencode(query)}" if query else ""
    with connect(
        url.replace("http", "ws", 1) + asked,
        additional_headers=dict(headers),
        ping_interval=None,
        proxy=None,
        max_size=None,
        compression=None,
        open_timeout=5,
        close_timeout=0.5,
    ) as each:
        yield HubClient(each)


@contextmanager
def joined(url: str, **query: str) -> Iterator[HubClient]:
    """A client of a hub that has shaken hands."""
    with dialled(url, **query) as each:
        yield each.shake_hands()


def refused(url: str, headers: Mapping[str, str] = {}, /, **query: str) -> tuple[int, bytes]:
    """The status and the text of an upgrade that is none."""
    try:
        with dialled(url, headers, **query):
            raise AssertionError("it was accepted")
    except InvalidStatus as error:
        return error.response.status_code, bytes(error.response.body or b"")


def fetch(
    method: str, url: str, body: Any = None, headers: Mapping[str, str] = {}
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers in lower case, and body of a page."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    try:
        said = b"" if body is None else msgspec.json.encode(body)
        connection.request(method, f"{parts.path}?{parts.query}", said, dict(headers))
        answer = connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, told, answer.read()
    finally:
        connection.close()


def negotiate(url: str, headers: Mapping[str, str] = {}, /, **query: str) -> Any:
    """What a hub answers to a negotiation."""
    status, _, body = fetch("POST", f"{url}/negotiate?{urlencode(query)}", headers=headers)
    assert status == 200, (status, body)
    return msgspec.json.decode(body)
