"""Finding the service of a command: by its address, its config, or on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from actors.cli.configured_service import read_settings
from actors.cli.service_client import find_service
from actors.client.configured_service import configured_service
from actors.errors import ConfigError, ServiceUnreachableError
from actors.settings import service_address
from tests.client.answering import as_another, as_root, at_socket, listening_at, open_folder
from tests.service.visitor import TOKEN


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this user's sockets. That of the system is `tmp_path / "system"`."""
    for name in ("LINEWARDEN_TOKEN", "LINEWARDEN_URL", "LINEWARDEN_CONFIG", "RUNTIME_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(service_address, "SYSTEM", tmp_path / "system")
    return tmp_path / "linewarden"


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], Path]:
    """Its feed could not be read: the command needs none."""

    def write(service: str) -> Path:
        file = tmp_path / "desk.toml"
        tables = f'[runtime]\nname = "desk"\n[service]\n{service}\n'
        file.write_text(f'{tables}[feeds.a]\nvenue = "unheard-of"\nkey = "${{NOT_THERE}}"\n')
        return file

    return write


def test_an_address_goes_before_a_config(config: Callable[[str], Path]) -> None:
    file = config('listen = "127.0.0.1:9801"')
    assert find_service("http://10.0.0.1:1/", file).url == "http://10.0.0.1:1"
    assert find_service("10.0.0.1:1", None).url == "http://10.0.0.1:1"
    assert find_service("https://desk.example/watch/", None).url == "https://desk.example/watch"
    assert find_service("unix:/run/a/b.sock", file).url == "unix:/run/a/b.sock"


@pytest.mark.parametrize(
    "url", ["ftp://a", "http://", "http://a:99999", "http://a:b", "ws://a", "http://a?x", "http://u:s3cr3t@a"]
)
def test_a_text_that_is_no_address_is_told_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError) as told:
        find_service(url, None)
    assert "s3cr3t" not in str(told.value)


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
def test_a_config_that_listens_on_tcp_gives_the_address(
    config: Callable[[str], Path], listen: str, url: str
) -> None:
    text = f'socket = "none"\nlisten = "{listen}"\nbehind_tls_proxy = true\ntokens = {{ look = "{TOKEN}" }}'
    assert find_service(None, config(text)).url == url


def test_a_certificate_makes_it_https(config: Callable[[str], Path], tmp_path: Path) -> None:
    for name in ("a.pem", "a.key"):
        (tmp_path / name).touch()
    text = 'socket = "none"\nlisten = "127.0.0.1:9801"\ntls_certificate = "a.pem"\ntls_key = "a.key"'
    assert find_service(None, config(text)).url == "https://127.0.0.1:9801"


def test_a_file_with_the_tokens_is_not_read(config: Callable[[str], Path], tmp_path: Path) -> None:
    file = config('socket = "/run/a.sock"\ntokens = { look = "${TOKEN}" }')
    file.write_text(f'env_file = "{tmp_path}/of-another-user.env"\n' + file.read_text())
    assert find_service(None, file).url == "unix:/run/a.sock"
    file.write_text(file.read_text().replace("/run/a.sock", "/run/${NAME}.sock"))
    with pytest.raises(ConfigError, match="env_file"):
        find_service(None, file)


def test_a_socket_is_preferred_where_it_is(config: Callable[[str], Path], own: Path, tmp_path: Path) -> None:
    file = config('listen = "127.0.0.1:9801"')
    assert find_service(None, file).url == "http://127.0.0.1:9801"
    with at_socket(tmp_path / "system" / "desk.sock"), at_socket(own / "other.sock"):
        assert find_service(None, file).url == f"unix:{tmp_path}/system/desk.sock"
        several = pytest.raises(ServiceUnreachableError, match="several services run: ")
        with at_socket(own / "desk.sock"), several:
            find_service(None, file)
    chosen = tmp_path / "chosen.sock"
    file = config(f'socket = "{chosen}"\nlisten = "127.0.0.1:9801"')
    assert find_service(None, file).url == "http://127.0.0.1:9801"
    listening_at(chosen).close()  # its process has ended, which the error says
    assert find_service(None, file).url == f"unix:{chosen}"


@as_root
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_socket_in_a_folder_that_is_closed_to_this_user_is_not_passed_over() -> None:
    with open_folder() as folder:
        closed = folder / "closed"
        closed.mkdir(0o700)
        where, url = str(closed / "desk.sock"), "http://127.0.0.1:9801"
        assert str(configured_service(where, url, "desk")) == url  # root sees that there is none
        assert as_another(lambda: str(configured_service(where, url, "desk"))) == f"unix:{where}"


def test_a_port_that_the_system_chose_is_known_to_the_log_alone(config: Callable[[str], Path]) -> None:
    with pytest.raises(ServiceUnreachableError, match=r"give the address from the log of linewarden run"):
        find_service(None, config('listen = "127.0.0.1:0"'))


def test_only_the_tables_of_the_service_are_read(config: Callable[[str], Path], tmp_path: Path) -> None:
    tokens = 'socket = "/run/a.sock"\nlisten = ""\ntokens = { look = "${NOT_SET}" }'
    assert read_settings(config(tokens), "runtime").runtime.name == "desk"
    assert find_service(None, config(tokens)).url == "unix:/run/a.sock"
    for problem, text in (
        ("liste", 'liste = "a"'),
        ("not TOML", "listen ="),
        ("host and port", 'listen = "x"'),
    ):
        with pytest.raises(ConfigError, match=problem):
            find_service(None, config(text))
    with pytest.raises(ConfigError, match="no such file"):
        find_service(None, tmp_path / "elsewhere.toml")
