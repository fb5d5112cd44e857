"""TLS of the service's port, from its config to a tail."""

from __future__ import annotations

import http.client
import ssl
from pathlib import Path

import pytest
import trustme
from msgspec import structs
from websockets.sync.client import connect

from actors import Runtime
from actors.service import Service, ServiceError
from actors.service.tls import server_context
from actors.settings.schema import ServiceSettings
from actors.simulators import SimulatedO2
from tests.service.conftest import PORT
from tests.service.visitor import BEARER, Told, hear, raw, rest, tail_path


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(ca: trustme.CA, tmp_path: Path) -> ServiceSettings:
    certificate = ca.issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    return structs.replace(PORT, tls_certificate=str(chain), tls_key=str(key))


@pytest.fixture
def trusting(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


def test_requests_and_tails_are_encrypted(
    runtime: Runtime, o2: SimulatedO2, market: str, secure: ServiceSettings, trusting: ssl.SSLContext
) -> None:
    with Service(runtime, secure) as service:
        assert service.url == f"https://127.0.0.1:{service.port}"
        for _ in range(3):
            connection = http.client.HTTPSConnection(
                "127.0.0.1", service.port, context=trusting, timeout=20.0
            )
            connection.request("GET", "/status", headers=BEARER)
            assert Told(connection.getresponse()).body["state"] == "live"
            connection.close()
        url = f"wss://127.0.0.1:{service.port}{tail_path('trades', market)}"
        with connect(url, ssl=trusting, additional_headers=BEARER, proxy=None) as tailing:
            for _ in range(3):
                o2.trade(market)
                assert hear(tailing)["type"] == "Trade"


def test_a_plain_request_is_told_to_speak_tls(runtime: Runtime, secure: ServiceSettings) -> None:
    with Service(runtime, secure) as service, raw(service, b"GET /status HTTP/1.1\r\n\r\n") as sock:
        told = rest(sock)
    assert told.startswith(b"HTTP/1.1 400 ")
    assert b"this port speaks TLS: use https://" in told


def test_without_a_certificate_there_is_no_tls() -> None:
    assert server_context(PORT) is None


def test_what_is_no_certificate_is_told_before_it_listens(
    runtime: Runtime, secure: ServiceSettings, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_text("no certificate")
    for key in ("tls_certificate", "tls_key"):
        with pytest.raises(ServiceError, match=r"are no certificate and its key: .* see tls_certificate in"):
            Service(runtime, structs.replace(secure, **{key: str(other)})).start()
        with pytest.raises(ServiceError, match="No such file or directory"):
            Service(runtime, structs.replace(secure, **{key: str(tmp_path / "gone.pem")})).start()


def test_an_encrypted_key_asks_for_no_password(secure: ServiceSettings) -> None:
    from cryptography.hazmat.primitives import serialization

    path = Path(secure.tls_key)
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        )
    )
    with pytest.raises(ServiceError, match="the key is encrypted, and Linewarden has no password for it"):
        server_context(secure)
