"""Where a service is found without being told."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.settings.service_address import (
    HttpAddress,
    UnixAddress,
    candidates,
    parse_address,
    path_mistake,
    usual_socket,
)

ALICE, ROOT = 1000, 0


@pytest.mark.parametrize(
    ("environ", "uid", "folder"),
    [
        ({"RUNTIME_DIRECTORY": "/run/desk:/run/other", "XDG_RUNTIME_DIR": "/run/user/1"}, ALICE, "/run/desk"),
        ({"XDG_RUNTIME_DIR": "/run/user/1000", "HOME": "/home/a"}, ALICE, "/run/user/1000/linewarden"),
        ({"HOME": "/root"}, ROOT, "/run/linewarden"),
        ({"HOME": "/home/a", "XDG_STATE_HOME": "/state"}, ALICE, "/state/linewarden/run"),
        ({"HOME": "/home/a"}, ALICE, "/home/a/.local/state/linewarden/run"),
    ],
    ids=["systemd", "session", "root", "state", "home"],
)
def test_the_usual_socket(environ: dict[str, str], uid: int, folder: str) -> None:
    assert usual_socket("desk", environ, uid) == Path(folder, "desk.sock")
    assert candidates(environ, uid) == tuple(dict.fromkeys((Path(folder), Path("/run/linewarden"))))


@pytest.mark.parametrize(
    ("text", "address", "shown"),
    [
        ("unix:/run/a.sock", UnixAddress(Path("/run/a.sock")), "unix:/run/a.sock"),
        ("unix:///run/a.sock", UnixAddress(Path("/run/a.sock")), "unix:/run/a.sock"),
        (
            "127.0.0.1:9700",
            HttpAddress("127.0.0.1", 9700, secure=False, netloc="127.0.0.1:9700"),
            "http://127.0.0.1:9700",
        ),
        (
            "https://example.org/desk/",
            HttpAddress("example.org", None, secure=True, netloc="example.org", path="/desk"),
            "https://example.org/desk",
        ),
        ("http://[::1]:80", HttpAddress("::1", 80, secure=False, netloc="[::1]:80"), "http://[::1]:80"),
    ],
    ids=["unix", "unix-slashes", "bare", "https", "ipv6"],
)
def test_an_address_is_read_and_shown(text: str, address: object, shown: str) -> None:
    assert parse_address(text) == address
    assert str(parse_address(f" {text} ")) == shown


@pytest.mark.parametrize(
    "text",
    [
        *("unix:", "unix:relative.sock", "unix:/folder/", "ftp://host", "http://", "http://host:99999"),
        *("http://host:0", "http://host/?a=b", "http://ho st", "unix:/" + "x" * 120, "", "http://a\u0000b"),
    ],
    ids=lambda text: f"{text[:20]!a}",
)
def test_what_is_no_address_is_declined(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_address(text)


def test_a_token_in_an_address_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="LINEWARDEN_TOKEN") as declined:
        parse_address("https://user:s3cr3t@example.org")
    assert "s3cr3t" not in str(declined.value)


def test_a_path_has_as_many_bytes_as_a_socket_may() -> None:
    assert path_mistake("/" + "é" * 51) == ""
    assert "at most 103 bytes" in path_mistake("/" + "é" * 52)
