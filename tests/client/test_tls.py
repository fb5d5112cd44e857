"""A service behind TLS, and one without TLS where it is expected: the error says what to do."""

from __future__ import annotations

import datetime
import socket
import ssl
from pathlib import Path

import pytest
import trustme

import actors
from actors import ServiceClient
from tests.client.answering import ANSWERED, Answerer, at_tcp, http
from tests.service.visitor import TOKEN

LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return str(path)


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def told_by(url: str, **options: str) -> str:
    try:
        ServiceClient(url, timeout=5.0, **options).status()
    except actors.LinewardenError as error:
        return str(error)
    return "answered"


def test_a_service_of_a_known_authority_is_asked_with_the_token(
    ca: trustme.CA, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with at_tcp(http(ANSWERED), server_context(ca.issue_cert("localhost"))) as (port, answerer):
        url = f"https://localhost:{port}/watch"
        assert told_by(url, ca_file=ca_file, token=TOKEN) == "answered"
        monkeypatch.setenv("LINEWARDEN_CA_FILE", ca_file)
        assert told_by(url, token=TOKEN) == "answered"
        first, second = answerer.requests
    assert first == second
    assert first.startswith(b"GET /watch/status? HTTP/1.1\r\n")
    assert f"\r\nHost: localhost:{port}\r\n".encode() in first
    assert f"\r\nAuthorization: Bearer {TOKEN}\r\n".encode() in first


def test_a_certificate_of_no_known_authority_is_told(ca: trustme.CA) -> None:
    with at_tcp(b"", server_context(ca.issue_cert("localhost"))) as (port, answerer):
        told = told_by(f"https://localhost:{port}", token=TOKEN)
        assert (
            f"cannot reach the service at https://localhost:{port}: its certificate is not trusted (" in told
        )
        assert told.endswith("name the file of that authority with ca_file= or LINEWARDEN_CA_FILE.")
        assert answerer.requests == []


def test_a_certificate_for_another_name_or_another_time_is_told(ca: trustme.CA, ca_file: str) -> None:
    other, old = ca.issue_cert("desk.example"), ca.issue_cert("localhost", not_after=LONG_AGO)
    for certificate, words in (
        (other, "its certificate is not for localhost. Nothing was sent. Give the URL with the name that"),
        (old, "its certificate has expired. Nothing was sent. Renew it, or correct the clock"),
    ):
        with at_tcp(b"", server_context(certificate)) as (port, answerer):
            assert words in told_by(f"https://localhost:{port}", ca_file=ca_file, token=TOKEN)
            assert answerer.requests == []


def test_https_to_a_port_without_tls_is_told() -> None:
    for answer in (http(ANSWERED, b"400 Bad Request"), b"SSH-2.0-OpenSSH\r\n"):
        with at_tcp(answer) as (port, answerer):
            told = told_by(f"https://127.0.0.1:{port}", token=TOKEN)
            expected = f"it does not speak TLS. If that is intended, give its URL as http://127.0.0.1:{port}."
            assert expected in told
            assert TOKEN.encode() not in b"".join(answerer.requests)


def test_http_to_a_port_with_tls_is_told() -> None:
    alert = bytes.fromhex("15030300020228")  # what TLS servers send to what is no TLS: handshake failure
    with at_tcp(alert) as (port, _):
        told = told_by(f"http://127.0.0.1:{port}")
        assert f"it speaks TLS. Give its URL as https://127.0.0.1:{port}." in told


def test_a_port_that_hangs_up_is_told(ca_file: str) -> None:
    with at_tcp(b"") as (port, _):
        assert "it hung up without an answer" in told_by(f"http://127.0.0.1:{port}")
        assert "no TLS connection could be made (" in told_by(f"https://127.0.0.1:{port}", ca_file=ca_file)


@pytest.mark.parametrize(
    ("content", "words"),
    [("no PEM", "it contains no certificate in PEM"), (None, "No such file or directory")],
)
def test_a_file_of_authorities_that_cannot_be_used_is_told(
    content: str | None, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with at_tcp(b"") as (port, _):
        told = told_by(f"https://127.0.0.1:{port}", ca_file=str(file))
    assert f"the file of authorities {file} cannot be used: {words}. Correct ca_file= or LINEWARDEN" in told


def own_address() -> str:
    """An address of this machine that others may reach; empty: it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.254", 9))  # nothing is sent
        except OSError:
            return ""
        return str(sock.getsockname()[0])


@pytest.mark.skipif(own_address() in {"", "127.0.0.1"}, reason="this machine has loopback alone")
def test_a_token_does_not_cross_a_network_in_clear() -> None:
    listener = socket.create_server((own_address(), 0))
    url = f"http://{own_address()}:{listener.getsockname()[1]}"
    with Answerer(listener, http(ANSWERED)) as answerer:
        told = told_by(url, token=TOKEN)
        assert (
            f"cannot reach the service at {url}: the token would cross the network in clear. It was" in told
        )
        assert told.endswith("Use https://, or a tunnel such as ssh -L whose end is on this machine.")
        assert told_by(url) == "answered"
        assert TOKEN.encode() not in b"".join(answerer.requests)
