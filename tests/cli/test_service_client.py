"""Finding a service, and others than a service at its address."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.cli.service_client import CommandClient, find_service, in_path, read_settings
from actors.errors import ConfigError, ServiceDeclinedError, ServiceUnreachableError
from actors.secret import Secret


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LINEWARDEN_TOKEN", raising=False)


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], Path]:
    def write(service: str) -> Path:
        file = tmp_path / "desk.toml"
        file.write_text(f'[service]\n{service}\n[feeds.a]\nvenue = "unheard-of"\nkey = "${{NOT_THERE}}"\n')
        return file

    return write


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


def http(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


# ── finding it ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("127.0.0.1:9801", "http://127.0.0.1:9801"),
        ("[::1]:9801", "http://[::1]:9801"),
        ("0.0.0.0:9801", "http://127.0.0.1:9801"),
        ("[::]:9801", "http://[::1]:9801"),
        (":9801", "http://127.0.0.1:9801"),
    ],
)
def test_a_config_says_where(config: Callable[[str], Path], listen: str, url: str) -> None:
    assert find_service(None, config(f'listen = "{listen}"\ntoken = "t"')).url == url


def test_an_address_goes_before_a_config_and_nothing_is_the_usual_place(
    config: Callable[[str], Path],
) -> None:
    file = config('listen = "127.0.0.1:9801"')
    assert find_service("http://10.0.0.1:1/", file).url == "http://10.0.0.1:1"
    assert find_service("10.0.0.1:1", None).url == "http://10.0.0.1:1"
    assert find_service("https://desk.example/watch/", None).url == "https://desk.example/watch"
    assert find_service("", None).url == find_service(None, None).url == "http://127.0.0.1:9700"
    assert find_service(None, config("")).url == "http://127.0.0.1:9700"


@pytest.mark.parametrize(
    "url", ["ftp://a", "http://", "http://a:99999", "http://a:b", "ws://a", "http://a?x", "http://u:s3cr3t@a"]
)
def test_what_is_no_address_is_told_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError) as told:
        find_service(url, None)
    assert "s3cr3t" not in str(told.value)


def test_a_port_that_the_system_chose_is_known_to_the_log_alone(config: Callable[[str], Path]) -> None:
    with pytest.raises(ServiceUnreachableError, match=r"give the address from the log of linewarden run"):
        find_service(None, config('listen = "127.0.0.1:0"'))


def test_only_the_services_table_is_read(config: Callable[[str], Path], tmp_path: Path) -> None:
    assert read_settings(config('token = "t"'), "service").service.token == Secret("t")
    for problem, text in (("liste", 'liste = "a"'), ("NOT_SET", 'token = "${NOT_SET}"')):
        with pytest.raises(ConfigError, match=problem):
            read_settings(config(text), "service")
    with pytest.raises(ConfigError, match="not TOML"):
        read_settings(config("listen ="), "service")
    with pytest.raises(ConfigError, match="no such file"):
        read_settings(tmp_path / "elsewhere.toml", "service")


def test_a_token_of_the_environment_goes_first(
    config: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = config('token = "of-the-config"')
    assert find_service(None, file).headers() == {"Authorization": "Bearer of-the-config"}
    monkeypatch.setenv("LINEWARDEN_TOKEN", "of-the-environment")
    assert find_service(None, file).headers() == {"Authorization": "Bearer of-the-environment"}


@pytest.mark.parametrize("token", ["a b", "a\r\nX: y", "ä", " "])
def test_a_token_that_is_none_is_not_shown(token: str) -> None:
    with pytest.raises(ServiceDeclinedError) as told:
        CommandClient("http://127.0.0.1:1", Secret(token)).status()
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


def test_a_target_is_a_path() -> None:
    assert in_path("o2/2 ?#%") == "o2/2%20%3F%23%25"
