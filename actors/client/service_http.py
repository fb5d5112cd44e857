"""One request to a running service over HTTP: its address, its token, and errors as sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from typing import ClassVar, Final, TypeVar
from urllib.parse import SplitResult, urlsplit

import msgspec
from msgspec import Struct

from actors.client.timed_socket import timed
from actors.display.text import cut
from actors.errors import LinewardenError, ServiceDeclinedError, ServiceUnreachableError
from actors.protocol.formatting import printable
from actors.secret import Secret

DEFAULT: Final = "http://127.0.0.1:9700"
LONGEST: Final = 256 * 1_048_576  # bytes of an answer: a status of 200,000 topics
PIECE: Final = 65_536  # bytes of one read
TOLD: Final = 2_000  # characters of a sentence of the service's that an error repeats

_ASCII = re.compile(r"[!-~]+")  # what may stand in a header or a request line
_CONTROL = re.compile(r"[\x00-\x20\x7f]")

Decoded = TypeVar("Decoded")


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
        url = url.strip()
        parts = _parts(url if "://" in url else f"http://{url}")
        if parts is None:
            raise ValueError(f"expected an address such as {DEFAULT}")
        if "@" in parts.netloc:
            raise ValueError("the address contains a token; set LINEWARDEN_TOKEN instead")
        self._host, self._port = str(parts.hostname), parts.port
        self._secure = parts.scheme == "https"
        self._path = parts.path.rstrip("/")
        self._token = token
        self._timeout = timeout
        self.url = f"{parts.scheme}://{parts.netloc}{self._path}"

    def request(self, method: str, path: str, timeout: float | None = None, longest: int = LONGEST) -> Reply:
        """Returns the answer, whatever its status.

        `timeout`: seconds for the connection, and again for the request and the whole answer; None: that of
        the constructor. `longest`: bytes of the answer.

        Raises:
            ServiceUnreachableError: no service answers, or not to the end.
            ServiceDeclinedError: the token cannot be sent.
        """
        timeout = timeout or self._timeout
        headers = self.headers()
        kind = HTTPSConnection if self._secure else HTTPConnection
        connection = kind(self._host, self._port, timeout=timeout)
        with self.reaching(HTTPException, timeout), closing(connection):
            connection.connect()
            with closing(connection.sock) as sock:
                connection.sock = timed(sock, timeout)
                connection.request(method, self._path + path, headers=headers)
                answer = connection.getresponse()
                return Reply(answer.status, self._to_the_end(answer, longest))

    def _to_the_end(self, answer: HTTPResponse, longest: int) -> bytes:
        body = bytearray()
        while piece := answer.read(PIECE):
            body += piece
            if len(body) > longest:
                raise self.unreachable(f"its answer has more than {longest:,} bytes")
        if answer.length:
            raise IncompleteRead(bytes(body), answer.length)
        return bytes(body)

    @contextmanager
    def reaching(self, strange: type[Exception], timeout: float) -> Iterator[None]:
        """Errors of the network become sentences; `strange` is raised for the answer of another program."""
        try:
            yield
        except TimeoutError:
            raise self.unreachable(f"no answer within {timeout:g} s") from None
        except OSError as error:
            raise self.unreachable(error.strerror or str(error)) from None
        except IncompleteRead:
            raise self.unreachable("its answer was cut off") from None
        except strange:
            raise self.unreachable("another program listens there") from None

    def headers(self) -> dict[str, str]:
        if self._token is None:
            return {}
        if not _ASCII.fullmatch(self._token.reveal()):  # the library's own error would show it
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
            return ServiceDeclinedError(f"{self.url} requires a token: {self.token_advice}.", 401)
        if reply.status == 401:
            return ServiceDeclinedError(f"{self.url} rejected the token: its config has another one.", 401)
        refused = decoded(reply.body, Refusal)
        if refused is None:
            return self.unreachable(f"another program listens there (it answered with status {reply.status})")
        words = "\n".join(map(sentence, refused.problems or (refused.error,)))
        if reply.status == 503:
            return ServiceUnreachableError(f"{self.url} cannot answer: {words}")
        return ServiceDeclinedError(words, reply.status)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"


def decoded(body: bytes, kind: type[Decoded]) -> Decoded | None:
    """None: it is not that, whatever it is."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def sentence(text: str) -> str:
    """A text of the service's, as an error repeats it."""
    return cut(printable(text), TOLD)


def _parts(url: str) -> SplitResult | None:
    """None: it is no address of a service."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        host.encode("idna")
        known = parts.scheme in {"http", "https"} and host and parts.port != 0
    except ValueError:  # UnicodeError is one
        return None
    sound = _ASCII.fullmatch(parts.path or "/") and not _CONTROL.search(host)
    return parts if known and sound and not parts.query and not parts.fragment else None
