"""One request to a running service over HTTP: its address, its token, and errors as sentences."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import (
    BadStatusLine,
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    IncompleteRead,
    RemoteDisconnected,
)
from typing import ClassVar, Final, TypeVar

import msgspec
from msgspec import Struct

from actors.client.open_socket import Connector, check_token_may_go
from actors.client.timed_socket import timed
from actors.client.unreachable import UnreachableError
from actors.client.usual_service import usual_service
from actors.display.escaping import printable
from actors.display.text import cut
from actors.errors import LinewardenError, ServiceDeclinedError, ServiceUnreachableError
from actors.http_types import bracketed
from actors.secret import Secret
from actors.settings.service_address import HttpAddress, ServiceAddress, UnixAddress

LONGEST: Final = 256 * 1_048_576  # bytes of an answer: a status of 200,000 topics
PIECE: Final = 65_536  # bytes of one read
OTHER_VERSION: Final = "it answers in the format of another version of Linewarden"
TOLD: Final = 2_000  # characters of a sentence of the service's that an error repeats

_ASCII = re.compile(r"[!-~]+")  # what may stand in a header
_TLS_ALERT = "\x15\x03"  # the beginning of a record, RFC 8446, 5.1

Decoded = TypeVar("Decoded")


class Reply(Struct, frozen=True):
    status: int
    body: bytes
    address: ServiceAddress  # which has answered


class Refusal(Struct, frozen=True):
    """The body of an answer that is no success."""

    error: str
    problems: tuple[str, ...] = ()


class ServiceHttp:
    """A service at an address. A request opens a connection; the constructor opens none.

    It keeps no connection, so any thread may ask, and so may a process that was forked after it was made. No
    proxy is used, and no redirect is followed. Without an address, each request looks for the one service of
    this machine.
    """

    address_advice: ClassVar[str] = "If it has another address, give url=, or set LINEWARDEN_URL."
    token_advice: ClassVar[str] = "give token=, or set LINEWARDEN_TOKEN"

    def __init__(
        self,
        address: ServiceAddress | None,
        token: Secret | None,
        timeout: float,
        connector: Connector | None = None,
    ) -> None:
        self._address = address
        self._token = token
        self._timeout = timeout
        self._connector = connector or Connector()

    def address(self) -> ServiceAddress:
        """Raises: ServiceUnreachableError: none was given, and there is not one service on this machine."""
        if self._address is not None:
            return self._address
        try:
            return usual_service(os.environ)
        except UnreachableError as error:
            raise self._not_found(error) from None

    @property
    def url(self) -> str:
        """Raises: as `address`."""
        return str(self.address())

    def request(self, method: str, path: str, timeout: float | None = None, longest: int = LONGEST) -> Reply:
        """Returns the answer, whatever its status.

        `timeout`: seconds for the connection, and again for the request and the whole answer; None: that of
        the constructor. `longest`: bytes of the answer.

        Raises:
            ServiceUnreachableError: no service answers, or not to the end, or another program does.
            ServiceDeclinedError: the token cannot be sent.
        """
        timeout = timeout or self._timeout
        address = self.address()
        with self.reaching(HTTPException, timeout, address), closing(self.open(address, timeout)) as sock:
            connection = HTTPConnection(host_header(address))
            connection.sock = timed(sock, timeout)
            headers = {"Host": host_header(address), **self.headers(sock, address)}
            connection.request(method, base_path(address) + path, headers=headers)
            answer = connection.getresponse()
            return Reply(answer.status, self._to_the_end(answer, longest, address), address)

    def open(self, address: ServiceAddress, timeout: float) -> socket.socket:
        return self._connector.open(address, timeout)

    def _to_the_end(self, answer: HTTPResponse, longest: int, address: ServiceAddress) -> bytes:
        body = bytearray()
        while piece := answer.read(PIECE):
            body += piece
            if len(body) > longest:
                raise self.unreachable(f"its answer has more than {longest:,} bytes", address)
        if answer.length:
            raise IncompleteRead(bytes(body), answer.length)
        return bytes(body)

    @contextmanager
    def reaching(
        self, strange: type[Exception] | tuple[type[Exception], ...], timeout: float, address: ServiceAddress
    ) -> Iterator[None]:
        """Errors of the network become sentences; `strange` is raised for the answer of another program."""
        try:
            yield
        except UnreachableError as error:
            raise self.unreachable(error.why, address, error.advice, is_absent=error.is_absent) from None
        except TimeoutError:
            raise self.unreachable(f"no answer within {timeout:g} s", address) from None
        except BadStatusLine as error:
            raise self._no_http(error, address) from None
        except OSError as error:
            is_absent = isinstance(error, ConnectionRefusedError)
            raise self.unreachable(error.strerror or str(error), address, is_absent=is_absent) from None
        except IncompleteRead:
            raise self.unreachable("its answer was cut off", address) from None
        except strange:
            raise self.unreachable("another program listens there", address) from None

    def _no_http(self, error: BadStatusLine, address: ServiceAddress) -> ServiceUnreachableError:
        if isinstance(error, RemoteDisconnected):
            return self.unreachable("it hung up without an answer", address)
        if str(error).startswith(_TLS_ALERT) and isinstance(address, HttpAddress):
            return self.unreachable("it speaks TLS", address, f"Give its URL as https://{address.netloc}.")
        return self.unreachable("another program listens there", address)

    def headers(self, sock: socket.socket, address: ServiceAddress) -> dict[str, str]:
        """Those with the token, if it is needed: over a Unix socket the kernel says which user asks.

        Raises:
            ServiceDeclinedError: the token cannot be sent.
            UnreachableError: others could read it on its way.
        """
        if self._token is None or isinstance(address, UnixAddress):
            return {}
        if not _ASCII.fullmatch(self._token.reveal()):  # the library's own error would show it
            raise ServiceDeclinedError("the token is not printable ASCII without spaces.")
        check_token_may_go(sock, address)
        return {"Authorization": f"Bearer {self._token.reveal()}"}

    def unreachable(
        self, why: str, address: ServiceAddress, advice: str = "", *, is_absent: bool = False
    ) -> ServiceUnreachableError:
        told = f"{why}. {advice}" if advice else f"{why}; is `linewarden run` running? {self.address_advice}"
        return ServiceUnreachableError(f"cannot reach the service at {address}: {told}", is_absent=is_absent)

    def _not_found(self, error: UnreachableError) -> ServiceUnreachableError:
        advice = error.advice or f"Is `linewarden run` running? {self.address_advice}"
        return ServiceUnreachableError(
            f"no service was found: {error.why}. {advice}", is_absent=error.is_absent
        )

    def refusal(self, reply: Reply) -> LinewardenError:
        """An answer that is no success, as an error to raise."""
        address = reply.address
        if reply.status == 401:
            return ServiceDeclinedError(self._unknown_caller(address), 401)
        refused = decoded(reply.body, Refusal)
        if refused is None:
            status = f"it answered with status {reply.status}"
            return self.unreachable(f"another program listens there ({status})", address)
        words = "\n".join(map(sentence, refused.problems or (refused.error,)))
        if reply.status == 503:
            return ServiceUnreachableError(f"{address} cannot answer: {words}")
        return ServiceDeclinedError(words, reply.status)

    def _unknown_caller(self, address: ServiceAddress) -> str:
        if isinstance(address, UnixAddress):
            return f"{address} gives this user no right: add the user to [service.users] of its config."
        if self._token is None:
            return f"{address} requires a token: {self.token_advice}."
        return f"{address} rejected the token: it is none of those in [service.tokens] of its config."

    @property
    def place(self) -> str:
        """For people; nothing is looked for."""
        return str(self._address or "of this machine")

    @property
    def name(self) -> str:
        """The same as the subject of a sentence."""
        return f"the service {'of this machine' if self._address is None else f'at {self._address}'}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.place}>"


def host_header(address: ServiceAddress) -> str:
    """As it stands in a Host header and in the URL of a WebSocket."""
    if isinstance(address, UnixAddress):
        return "localhost"
    name = bracketed(address.host.partition("%")[0]).encode("idna").decode("ascii")
    return name if address.port is None else f"{name}:{address.port}"


def base_path(address: ServiceAddress) -> str:
    return "" if isinstance(address, UnixAddress) else address.path


def decoded(body: bytes, kind: type[Decoded]) -> Decoded | None:
    """None: it is not that, whatever it is."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def sentence(text: str) -> str:
    """A text of the service's, as an error repeats it."""
    return cut(printable(text), TOLD)
