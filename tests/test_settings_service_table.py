"""`[service]`: where it listens, and which caller has which right."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from actors.errors import ConfigError
from actors.secret import Secret
from actors.settings import load
from actors.settings.schema import ServiceSettings, ServiceTokens

TOKEN = "a-token-that-nothing-guesses"
TOKENS = {"look": TOKEN}
HERE = "127.0.0.1:9700"


def service(**keys: Any) -> ServiceSettings:
    return load({"service": keys}, {}).service


def mistakes(**keys: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load({"service": keys}, {})
    return [problem.removeprefix("<config>: ") for problem in caught.value.problems]


def warnings(**keys: Any) -> list[str]:
    told = load({"service": keys}, {}).warnings
    return [each.removeprefix("<config>: ") for each in told if "[feeds]" not in each]


def test_by_default_it_has_a_socket_and_no_port() -> None:
    assert service() == ServiceSettings(socket="auto", listen="")
    assert warnings() == []


def test_a_whole_table(tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).touch()
    config = tmp_path / "desk.toml"
    config.write_text(
        f"""
        [service]
        socket = "/run/desk/desk.sock"
        listen = "[::]:9700"
        tls_certificate = "cert.pem"
        tls_key = "key.pem"
        [service.tokens]
        look = "{TOKEN}"
        act = "${{ACT}}"
        [service.users]
        alice = ["look"]
        1001 = ["look", "act"]
        "@traders" = ["account"]
        """
    )
    assert load(config, {"ACT": TOKEN * 2}).service == ServiceSettings(
        socket="/run/desk/desk.sock",
        listen="[::]:9700",
        tls_certificate=str(tmp_path / "cert.pem"),
        tls_key=str(tmp_path / "key.pem"),
        tokens=ServiceTokens(look=Secret(TOKEN), act=Secret(TOKEN * 2)),
        users={"alice": ("look",), "1001": ("look", "act"), "@traders": ("account",)},
    )


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        (
            {"listen": "9700", "tokens": TOKENS},
            '[service] listen: expected host and port, such as "127.0.0.1:9700" or "[::1]:9700".',
        ),
        ({"listen": "[::1]:97000", "tokens": TOKENS}, "[service] listen: the port 97000 is above 65535."),
        (
            {"listen": HERE},
            "[service.tokens]: missing; a port needs a token, also on loopback; "
            'add look = "${LINEWARDEN_TOKEN}", or account or act.',
        ),
        *(
            (
                {"listen": listen, "tokens": TOKENS},
                "[service] listen: beyond loopback, tokens and data need TLS: set tls_certificate and "
                "tls_key, or behind_tls_proxy = true if a proxy encrypts them.",
            )
            for listen in (":80", "0.0.0.0:80", "[::]:80", "desk.example:80")
        ),
        (
            {"listen": HERE, "tokens": TOKENS, "tls_certificate": "/dev/null/nothing", "tls_key": "/"},
            "[service] tls_certificate: there is no such file.",
        ),
        (
            {"listen": HERE, "tokens": TOKENS, "tls_certificate": __file__},
            "[service] tls_key: missing; a certificate and its key go together.",
        ),
        (
            {"token": TOKEN},
            "[service] token: there is no such key; write [service.tokens] with look, account or act: "
            "a token for each right.",
        ),
        ({"act": TOKEN}, "[service] act: there is no such key; it belongs in [service.tokens]."),
        ({"tokens": {"look": "a b"}}, "[service.tokens] look: expected printable ASCII without spaces."),
        ({"tokens": {"look": ""}}, "[service.tokens] look: expected text that is not empty."),
        ({"tokens": {"look": 12345}}, "[service.tokens] look: expected text, found a number."),
        (
            {"tokens": {"all": TOKEN}},
            "[service.tokens] all: there is no such key; expected one of: account, act, look.",
        ),
        ({"tokens": TOKEN}, "[service.tokens]: expected a table, found text."),
        (
            {"socket": "desk.sock"},
            "[service] socket: expected an absolute path, such as /run/linewarden/linewarden.sock; "
            'or "auto", or "none".',
        ),
        (
            {"users": {"ali ce": ["look"]}},
            '[service.users] "ali ce": expected a user such as alice or "1001", '
            'or a group such as "@traders".',
        ),
        (
            {"users": {"65534": ["look"]}},
            "[service.users] 65534: 65534 stands for all that this machine does not know; it gets no right.",
        ),
        (
            {"users": {"@065534": ["look"]}},
            '[service.users] "@065534": 65534 stands for all that this machine does not know; '
            "it gets no right.",
        ),
        (
            {"users": {"4294967295": ["look"]}},
            "[service.users] 4294967295: no user and no group has a number above 4294967294.",
        ),
        (
            {"users": {"alice": ["see"]}},
            '[service.users] alice: expected a list, each of it one of: "look", "account", "act", '
            "found a list that contains text.",
        ),
        (
            {"users": {"alice": "look"}},
            '[service.users] alice: expected a list, each of it one of: "look", "account", "act", '
            "found text.",
        ),
    ],
)
def test_a_mistake_is_told_in_one_sentence(keys: dict[str, Any], problem: str) -> None:
    assert problem in mistakes(**keys)


def test_no_mistake_repeats_a_token() -> None:
    assert TOKEN not in "".join(mistakes(token=TOKEN, tokens={"look": f"{TOKEN} ", "see": TOKEN}))


@pytest.mark.parametrize(
    ("keys", "warning"),
    [
        ({"tokens": TOKENS}, "[service] tokens: it has no effect without listen."),
        ({"behind_tls_proxy": True}, "[service] behind_tls_proxy: it has no effect without listen."),
        (
            {"socket": "none"},
            '[service]: no command can ask it: socket is "none", and listen is not set.',
        ),
        (
            {"socket": "none", "listen": HERE, "tokens": TOKENS, "users": {"alice": ["look"]}},
            '[service.users]: it has no effect: socket is "none".',
        ),
        (
            {"listen": HERE, "tokens": {"act": "short"}},
            "[service.tokens] act: it has fewer than 16 characters and can be guessed; "
            "make one with: openssl rand -hex 32.",
        ),
    ],
)
def test_what_is_allowed_and_should_be_looked_at(keys: dict[str, Any], warning: str) -> None:
    assert warnings(**keys) == [warning]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such bits")
@pytest.mark.parametrize(("mode", "is_open"), [(0o644, True), (0o640, False), (0o600, False)])
def test_a_key_that_every_user_can_read_is_a_warning(tmp_path: Path, mode: int, is_open: bool) -> None:
    key = tmp_path / "key.pem"
    key.touch(mode)
    key.chmod(mode)
    keys = {"listen": HERE, "tokens": TOKENS, "tls_certificate": str(key), "tls_key": str(key)}
    told = "every user of this machine can read the key (mode 0644); chmod o= makes it private."
    assert warnings(**keys) == [f"[service] tls_key: {told}"] * is_open


def test_rights_cannot_stand_among_the_defaults() -> None:
    for key in ("tokens", "users", "service", "look", "act", "trading"):
        with pytest.raises(ConfigError, match=rf"\[defaults\] {key}: "):
            load({"defaults": {key: {}}}, {})
