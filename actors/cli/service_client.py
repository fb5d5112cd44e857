"""Asks a running service over HTTP: its address, its token and its answers."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import msgspec
from msgspec import Struct

from actors.display.text import printable
from actors.errors import LinewardenError
from actors.secret import Secret
from actors.settings import ServiceSettings, Settings
from actors.settings.addresses import local_url
from actors.settings.config import ConfigReader
from actors.settings.toml_file import parsed, text_of
from actors.status import Status

DEFAULT = "http://127.0.0.1:9700"
ANSWER = 10.0  # seconds; the service itself waits 5 for its actors
SLICE = 0.5  # seconds of one wait of a tail: on Windows nothing interrupts a wait
PING, PONG = 20.0, 60.0  # seconds: how a tail notices that its service is gone without a word
GOODBYE = 1.0  # seconds

STRANGER = "another program listens there"

_TOKEN = re.compile(r"[!-~]+")


class UnreachableError(LinewardenError):
    """No service answers, or it cannot answer now. The message has the address and what to do."""


class DeclinedError(LinewardenError):
    """The service declines; the message has its reason."""


class ServiceClient:
    """A service at an address. A request opens a connection; the constructor opens none."""

    def __init__(self, url: str, token: Secret | None = None, *, timeout: float = ANSWER) -> None:
        """Raises: ValueError: `url` is not an address. The message does not repeat it."""
        url = url if "://" in url else f"http://{url}"
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and parts.hostname and _has_sound_port(parts)
        if not known or parts.query or parts.fragment:
            raise ValueError(f"expected an address such as {DEFAULT}")
        if "@" in parts.netloc:
            raise ValueError("the address contains a token; set LINEWARDEN_TOKEN instead")
        self._host, self._port = str(parts.hostname), parts.port
        self._secure = parts.scheme == "https"
        self._path = parts.path.rstrip("/")
        self._token = token
        self._timeout = timeout
        self.url = f"{parts.scheme}://{parts.netloc}{self._path}"

    def status(self) -> Status:
        return read_status(self.get("/status"), self.url)

    def get(self, path: str) -> bytes:
        return self._ask("GET", path)

    def post(self, path: str) -> bytes:
        return self._ask("POST", path)

    def _ask(self, method: str, path: str) -> bytes:
        """Returns the body of the answer.

        Raises:
            DeclinedError: the service declines, with its reason.
            UnreachableError: no service answers.
        """
        kind = HTTPSConnection if self._secure else HTTPConnection
        connection = kind(self._host, self._port, timeout=self._timeout)
        with self._reaching(HTTPException), closing(connection):
            connection.request(method, self._path + path, headers=self._headers())
            answer = connection.getresponse()
            body = answer.read()
        if answer.status >= 300:
            raise self._refusal(answer.status, body)
        return body

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
            DeclinedError: the service or the venue declines.
            UnreachableError: no service answers, or the tail has ended.
        """
        from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
        from websockets.sync.client import connect

        query = [("feed", feed), ("channel", channel), *(("key", key) for key in keys), *options]
        query += [("markers", "1")] * markers
        with self._reaching(InvalidHandshake):
            try:
                connection = connect(
                    f"{self.url.replace('http', 'ws', 1)}/tail?{urlencode(query)}",
                    additional_headers=self._headers(),
                    proxy=None,
                    compression=None,
                    open_timeout=self._timeout,
                    ping_interval=PING,
                    ping_timeout=PONG,
                    close_timeout=GOODBYE,
                    max_size=None,
                )
            except InvalidStatus as error:
                raise self._refusal(error.response.status_code, error.response.body or b"") from None
        with connection:
            while True:
                try:
                    yield str(connection.recv(timeout=SLICE))
                except TimeoutError:
                    continue
                except ConnectionClosed as error:
                    why = printable(error.rcvd.reason if error.rcvd else "") or "the connection was lost"
                    raise UnreachableError(
                        f"the tail of {feed}/{channel} at {self.url} has ended: {why}."
                    ) from None

    @contextmanager
    def _reaching(self, strange: type[Exception]) -> Iterator[None]:
        """Errors of the network become sentences; `strange` is raised for the answer of another program."""
        try:
            yield
        except TimeoutError:
            raise self._unreachable(f"no answer within {self._timeout:g} s") from None
        except OSError as error:
            raise self._unreachable(error.strerror or str(error)) from None
        except strange:
            raise self._unreachable(STRANGER) from None

    def _headers(self) -> dict[str, str]:
        if self._token is None:
            return {}
        if not _TOKEN.fullmatch(self._token.reveal()):  # the library's own error would show it
            raise DeclinedError("the token in LINEWARDEN_TOKEN is not printable ASCII without spaces.")
        return {"Authorization": f"Bearer {self._token.reveal()}"}

    def _unreachable(self, why: str) -> UnreachableError:
        return UnreachableError(
            f"cannot reach the service at {self.url}: {why}; is `linewarden run` running? "
            "If it has another address, give --url, LINEWARDEN_URL or -c CONFIG."
        )

    def _refusal(self, status: int, body: bytes | bytearray) -> LinewardenError:
        if status == 401 and self._token is None:
            advice = "set LINEWARDEN_TOKEN, or give its config with -c"
            return DeclinedError(f"{self.url} requires a token: {advice}.")
        if status == 401:
            return DeclinedError(f"{self.url} rejected the token: its config has another one.")
        try:
            refused = msgspec.json.decode(body, type=_Error)
        except msgspec.MsgspecError:
            return self._unreachable(f"{STRANGER} (it answered with status {status})")
        sentences = refused.problems or (refused.error,)
        words = "\n".join(printable(sentence) for sentence in sentences)
        if status == 503:
            return UnreachableError(f"{self.url} cannot answer: {words}")
        return DeclinedError(words)


def _has_sound_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


class _Error(Struct):
    error: str
    problems: tuple[str, ...] = ()


def read_status(body: bytes, url: str) -> Status:
    """Raises: UnreachableError: the service is of another version."""
    try:
        return msgspec.json.decode(body, type=Status)
    except msgspec.MsgspecError:
        raise UnreachableError(
            f"{url} answers in the format of another version of Linewarden; "
            "linewarden status --json prints it."
        ) from None


def find_service(url: str | None, config: Path | None, *, timeout: float = ANSWER) -> ServiceClient:
    """Returns the service at `url`, else the one of this config, else the one at the default address.

    The token is that of LINEWARDEN_TOKEN, else the config's.

    Raises:
        ConfigError: [service] of the config has mistakes.
        UnreachableError: the config does not fix the port.
        ValueError: `url` is not an address.
    """
    service = read_settings(config, "service").service if config is not None else ServiceSettings()
    token = Secret(os.environ.get("LINEWARDEN_TOKEN", ""))
    if not url and config is not None:
        host, port = service.address
        if port == 0:
            raise UnreachableError(
                f"{config} lets the system choose the port (listen ends with :0); "
                "give the address from the log of linewarden run with --url."
            )
        url = local_url(host, port)
    return ServiceClient(url or DEFAULT, token or service.token, timeout=timeout)


def read_settings(config: Path, name: str) -> Settings:
    """Reads this table alone, such as [service]: the secrets of the feeds need not be in the environment.

    Raises:
        ConfigError: the file cannot be read, or this table of it has mistakes.
    """
    table = parsed(text_of(config.expanduser(), str(config)), str(config)).get(name, {})
    return ConfigReader(str(config), config.parent, os.environ, {}).settings({name: table})


def in_path(target: str) -> str:
    return quote(target, safe="/")
