"""Asks a running service over HTTP: its address, its token and its answers."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from pathlib import Path
from urllib.parse import quote, urlencode

from actors.client.open_socket import connector
from actors.client.service_http import Reply, ServiceHttp, base_path, decoded, host_header
from actors.display.escaping import printable
from actors.errors import ServiceUnreachableError
from actors.secret import Secret
from actors.settings.service_address import ServiceAddress, parse_address
from actors.status import Status

ANSWER = 10.0  # seconds; the service itself waits 5 for its actors
SLICE = 0.5  # seconds of one wait of a tail: on Windows nothing interrupts a wait
PING, PONG = 20.0, 60.0  # seconds: how a tail notices that its service is gone without a word
GOODBYE = 1.0  # seconds
LONGEST_FRAME = 256 * 1_048_576  # bytes of one event of a tail, as of an answer


class CommandClient(ServiceHttp):
    """A service as the commands ask it. A request opens a connection; the constructor opens none."""

    address_advice = "If it has another address, give --url, LINEWARDEN_URL or -c CONFIG."
    token_advice = "set LINEWARDEN_TOKEN"

    def __init__(
        self,
        address: ServiceAddress | str | None,
        token: Secret | None = None,
        *,
        timeout: float = ANSWER,
    ) -> None:
        """`address`: None: that of the one service of this machine.

        Raises: ValueError: `address` is none. The message does not repeat it.
        """
        address = parse_address(address) if isinstance(address, str) else address
        super().__init__(address, token, timeout, connector())

    def status(self) -> Status:
        return read_status(self.get("/status"), self.name)

    def get(self, path: str) -> bytes:
        """Returns the body of the answer.

        Raises:
            ServiceDeclinedError: the service declines, with its reason.
            ServiceUnreachableError: no service answers.
        """
        return self._body("GET", path)

    def post(self, path: str) -> bytes:
        """As `get`."""
        return self._body("POST", path)

    def _body(self, method: str, path: str) -> bytes:
        reply = self.request(method, path)
        if reply.status >= 300:
            raise self.refusal(reply)
        return reply.body

    def tail(
        self,
        feed: str,
        channel: str,
        keys: Sequence[str],
        options: Sequence[tuple[str, str]],
        *,
        markers: bool,
    ) -> Generator[str, None, None]:
        """The frames of a tail, one JSON object each, until the service ends it.

        Raises:
            ServiceDeclinedError: the service or the venue declines.
            ServiceUnreachableError: no service answers, or the tail has ended.
        """
        from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
        from websockets.sync.client import connect

        query = [("feed", feed), ("channel", channel), *(("key", key) for key in keys), *options]
        query += [("markers", "1")] * markers
        address = self.address()
        # A redirect is a ValueError, because the socket is given.
        with self.reaching((InvalidHandshake, InvalidURI, ValueError), self._timeout, address):
            sock = self.open(address, self._timeout)
            try:
                headers = self.headers(sock, address)
                sock.settimeout(None)
                connection = connect(
                    f"ws://{host_header(address)}{base_path(address)}/tail?{urlencode(query)}",
                    sock=sock,
                    additional_headers=headers,
                    proxy=None,
                    compression=None,
                    open_timeout=self._timeout,
                    ping_interval=PING,
                    ping_timeout=PONG,
                    close_timeout=GOODBYE,
                    max_size=LONGEST_FRAME,
                )
            except InvalidStatus as error:
                answer = error.response
                reply = Reply(answer.status_code, bytes(answer.body or b""), address)
                raise self.refusal(reply) from None
            except BaseException:
                sock.close()
                raise
        with connection:
            while True:
                try:
                    yield str(connection.recv(timeout=SLICE))
                except TimeoutError:
                    continue
                except ConnectionClosed as error:
                    why = printable(error.rcvd.reason if error.rcvd else "") or "the connection was lost"
                    raise ServiceUnreachableError(
                        f"the tail of {feed}/{channel} at {address} has ended: {why}."
                    ) from None


def read_status(body: bytes, name: str) -> Status:
    """`name`: of the service, for the error.

    Raises:
        ServiceUnreachableError: the service is of another version.
    """
    status = decoded(body, Status)
    if status is None:
        raise ServiceUnreachableError(
            f"{name} answers in the format of another version of Linewarden; "
            "linewarden status --json prints it."
        )
    return status


def find_service(url: str | None, config: Path | None, *, timeout: float = ANSWER) -> CommandClient:
    """Returns the service at `url`, else the one of this config, else the one of this machine.

    The token is that of LINEWARDEN_TOKEN.

    Raises:
        ConfigError: [runtime] or [service] of the config has mistakes.
        ServiceUnreachableError: the config does not fix the port.
        ValueError: `url` is not an address.
    """
    token = Secret(os.environ.get("LINEWARDEN_TOKEN", ""))
    address = parse_address(url) if url else None
    if address is None and config is not None:
        from actors.cli.configured_service import address_of  # the settings cost more than a look at a status

        address = address_of(config)
    return CommandClient(address, token or None, timeout=timeout)


def in_path(target: str) -> str:
    return quote(target, safe="/")
