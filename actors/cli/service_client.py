"""Asks a running service over HTTP: its address, its token and its answers."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from pathlib import Path
from urllib.parse import quote, urlencode

from actors.client.service_http import DEFAULT, Reply, ServiceHttp, decoded
from actors.errors import ServiceUnreachableError
from actors.protocol.formatting import printable
from actors.secret import Secret
from actors.settings import ServiceSettings, Settings
from actors.settings.addresses import local_url
from actors.settings.config import ConfigReader
from actors.settings.toml_file import parsed, text_of, user_path
from actors.status import Status

ANSWER = 10.0  # seconds; the service itself waits 5 for its actors
SLICE = 0.5  # seconds of one wait of a tail: on Windows nothing interrupts a wait
PING, PONG = 20.0, 60.0  # seconds: how a tail notices that its service is gone without a word
GOODBYE = 1.0  # seconds


class CommandClient(ServiceHttp):
    """A service as the commands ask it. A request opens a connection; the constructor opens none."""

    address_advice = "If it has another address, give --url, LINEWARDEN_URL or -c CONFIG."
    token_advice = "set LINEWARDEN_TOKEN"

    def __init__(
        self,
        address: ServiceAddress | str | None,
        token: Secret | None = None,
        *,
        name: str = "",
        timeout: float = ANSWER,
    ) -> None:
        """`address`: None: that of the one service of this machine, or of the one whose socket has this name.

        Raises: ValueError: `address` is none. The message does not repeat it.
        """
        address = parse_address(address) if isinstance(address, str) else address
        super().__init__(address, token, timeout, connector())

    def status(self) -> Status:
        return read_status(self.get("/status"), self.url)

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
        from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
        from websockets.sync.client import connect

        query = [("feed", feed), ("channel", channel), *(("key", key) for key in keys), *options]
        query += [("markers", "1")] * markers
        with self.reaching(InvalidHandshake, self._timeout):
            try:
                connection = connect(
                    f"{self.url.replace('http', 'ws', 1)}/tail?{urlencode(query)}",
                    additional_headers=self.headers(),
                    proxy=None,
                    compression=None,
                    open_timeout=self._timeout,
                    ping_interval=PING,
                    ping_timeout=PONG,
                    close_timeout=GOODBYE,
                    max_size=None,
                )
            except InvalidStatus as error:
                raise self.refusal(
                    Reply(error.response.status_code, bytes(error.response.body or b""))
                ) from None
        with connection:
            while True:
                try:
                    yield str(connection.recv(timeout=SLICE))
                except TimeoutError:
                    continue
                except ConnectionClosed as error:
                    why = printable(error.rcvd.reason if error.rcvd else "") or "the connection was lost"
                    raise ServiceUnreachableError(
                        f"the tail of {feed}/{channel} at {self.url} has ended: {why}."
                    ) from None


def read_status(body: bytes, url: str) -> Status:
    """Raises: ServiceUnreachableError: the service is of another version."""
    status = decoded(body, Status)
    if status is None:
        raise ServiceUnreachableError(
            f"{url} answers in the format of another version of Linewarden; "
            "linewarden status --json prints it."
        )
    return status


def find_service(url: str | None, config: Path | None, *, timeout: float = ANSWER) -> CommandClient:
    """Returns the service at `url`, else the one of this config, else the one at the default address.

    The token is that of LINEWARDEN_TOKEN, else the config's.

    Raises:
        ConfigError: [service] of the config has mistakes.
        ServiceUnreachableError: the config does not fix the port.
        ValueError: `url` is not an address.
    """
    service = read_settings(config, "service").service if config is not None else ServiceSettings()
    token = Secret(os.environ.get("LINEWARDEN_TOKEN", ""))
    if not url and config is not None:
        host, port = service.address
        if port == 0:
            raise ServiceUnreachableError(
                f"{config} lets the system choose the port (listen ends with :0); "
                "give the address from the log of linewarden run with --url."
            )
        url = local_url(host, port)
    return CommandClient(url or DEFAULT, token or service.token, timeout=timeout)


def read_settings(config: Path, name: str) -> Settings:
    """Reads this table alone, such as [service]: the secrets of the feeds need not be in the environment.

    Raises:
        ConfigError: the file cannot be read, or this table of it has mistakes.
    """
    table = parsed(text_of(user_path(config), str(config)), str(config)).get(name, {})
    return ConfigReader(str(config), config.parent, os.environ, {}).settings({name: table})


def in_path(target: str) -> str:
    return quote(target, safe="/")
