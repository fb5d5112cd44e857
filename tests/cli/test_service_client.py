"""Other programs than a service at its address, and what a service says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from actors.cli.service_client import CommandClient, in_path, read_status
from actors.errors import ServiceDeclinedError, ServiceUnreachableError
from actors.secret import Secret


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LINEWARDEN_TOKEN", raising=False)


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Something that says this to whoever connects, and hangs up; where it is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as sock:
                sock.recv(65_536)
                sock.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10.0)


@pytest.mark.parametrize(
    ("address", "name"),
    [(None, "the service of this machine"), ("unix:/run/any.sock", "the service at unix:/run/any.sock")],
    ids=["none", "socket"],
)
def test_an_answer_of_another_version_is_told_of_the_service_that_was_asked(
    address: str | None, name: str
) -> None:
    with pytest.raises(ServiceUnreachableError, match=f"^{name} answers in the format of another version"):
        read_status(b"{}", CommandClient(address).name)


def http(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


@pytest.mark.parametrize("token", ["a b", "a\r\nX: y", "ä", " "])
def test_a_token_that_is_none_is_not_shown(token: str) -> None:
    with answering(b"") as url, pytest.raises(ServiceDeclinedError) as told:
        CommandClient(url, Secret(token)).status()
    assert str(told.value) == "the token is not printable ASCII without spaces."


# ── what is there ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH\r\n", b"", http(200, b"<html>"), http(404, b"<html>"), http(302, b"")]
)
def test_others_are_no_service(answer: bytes) -> None:
    with answering(answer) as url, pytest.raises(ServiceUnreachableError) as told:
        CommandClient(url).status()
    assert url in str(told.value)
    with answering(answer) as url, pytest.raises(ServiceUnreachableError) as told:
        next(CommandClient(url).tail("o2", "trades", [], [], markers=False))
    assert url in str(told.value)


def test_what_it_says_is_told_in_its_words_and_harmless() -> None:
    for status, body, kind, words in (
        (404, b'{"error": "no \\u001b[2Jfeed"}', ServiceDeclinedError, r"no \x1b[2Jfeed"),
        (400, b'{"error": "a b", "problems": ["a", "b"]}', ServiceDeclinedError, "a\nb"),
        (503, b'{"error": "the service stops"}', ServiceUnreachableError, "cannot answer: the service stops"),
    ):
        with answering(http(status, body)) as url, pytest.raises(kind) as told:
            CommandClient(url).post("/restart/x")
        assert str(told.value).endswith(words)


def test_one_that_hangs_is_waited_for_a_while() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        remote = CommandClient(f"http://127.0.0.1:{deaf.getsockname()[1]}", timeout=0.2)
        with pytest.raises(ServiceUnreachableError, match=r"no answer within 0\.2 s"):
            remote.status()
        with pytest.raises(ServiceUnreachableError, match=r"no answer within 0\.2 s"):
            next(remote.tail("o2", "trades", [], [], markers=False))


def test_a_tail_is_led_nowhere_else() -> None:
    """A redirect would be followed with the token."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        elsewhere = f"ws://127.0.0.1:{other.getsockname()[1]}/tail".encode()
        moved = b"HTTP/1.1 307 Moved\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % elsewhere
        with answering(moved) as url, pytest.raises(ServiceUnreachableError, match="another program"):
            next(CommandClient(url, Secret("t0ken")).tail("o2", "trades", [], [], markers=False))
        other.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            other.accept()


def test_a_target_is_a_path() -> None:
    assert in_path("o2/2 ?#%") == "o2/2%20%3F%23%25"
