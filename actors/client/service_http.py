"""One request to a running service over HTTP: its address, its token, and errors as sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import ClassVar, Final
from urllib.parse import SplitResult, urlsplit

import msgspec
from msgspec import Struct

from actors.errors import LinewardenError, ServiceDeclinedError, ServiceUnreachableError
from actors.secret import Secret

DEFAULT: Final = "http://127.0.0.1:9700"

_TOKEN = re.compile(r"[!-~]+")


class Reply(Struct, frozen=True):
    status: int
    body: bytes


class Refusal(Struct, frozen=True):
    """The body of an answer that is no success."""

    error: str
    problems: tuple[str, ...] = ()


class ServiceHttp:
    """A service at an address. A request opens a connection; the constructor opens none.

    It keeps no connection, so any thread may ask, and so may a process that was forked after it was made. No
    proxy is used, and no redirect is followed.
    """

    address_advice: ClassVar[str] = "If it has another address, give url=, or set LINEWARDEN_URL."
    token_advice: ClassVar[str] = "give token=, or set LINEWARDEN_TOKEN"

    def __init__(self, url: str, token: Secret | None, timeout: float) -> None:
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

    def request(self, method: str, path: str, timeout: float | None = None) -> Reply:
        """Returns the answer, whatever its status.

        `timeout`: seconds for the connection, and for each part of the answer; None: that of the constructor.

        Raises:
            ServiceUnreachableError: no service answers.
            ServiceDeclinedError: the token cannot be sent.
        """
        timeout = timeout or self._timeout
        kind = HTTPSConnection if self._secure else HTTPConnection
        connection = kind(self._host, self._port, timeout=timeout)
        with self.reaching(HTTPException, timeout), closing(connection):
            connection.request(method, self._path + path, headers=self.headers())
            answer = connection.getresponse()
            return Reply(answer.status, answer.read())

    @contextmanager
    def reaching(self, strange: type[Exception], timeout: float) -> Iterator[None]:
        """Errors of the network become sentences; `strange` is raised for the answer of another program."""
        try:
            yield
        except TimeoutError:
            raise self.unreachable(f"no answer within {timeout:g} s") from None
        except OSError as error:
            raise self.unreachable(error.strerror or str(error)) from None
        except strange:
            raise self.unreachable("another program listens there") from None

    def headers(self) -> dict[str, str]:
        if self._token is None:
            return {}
        if not _TOKEN.fullmatch(self._token.reveal()):  # the library's own error would show it
            raise ServiceDeclinedError("the token is not printable ASCII without spaces.")
        return {"Authorization": f"Bearer {self._token.reveal()}"}

    def unreachable(self, why: str) -> ServiceUnreachableError:
        return ServiceUnreachableError(
            f"cannot reach the service at {self.url}: {why}; is `linewarden run` running? "
            f"{self.address_advice}"
        )

    def refusal(self, reply: Reply) -> LinewardenError:
        """An answer that is no success, as an error to raise."""
        if reply.status == 401 and self._token is None:
            return ServiceDeclinedError(f"{self.url} requires a token: {self.token_advice}.")
        if reply.status == 401:
            return ServiceDeclinedError(f"{self.url} rejected the token: its config has another one.")
        try:
            refused = msgspec.json.decode(reply.body, type=Refusal)
        except msgspec.MsgspecError:
            return self.unreachable(f"another program listens there (it answered with status {reply.status})")
        words = "\n".join(map(self.shown, refused.problems or (refused.error,)))
        if reply.status == 503:
            return ServiceUnreachableError(f"{self.url} cannot answer: {words}")
        return ServiceDeclinedError(words)

    @staticmethod
    def shown(text: str) -> str:
        """A text of the service's, as it is shown to people."""
        return text

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"


def _has_sound_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False
