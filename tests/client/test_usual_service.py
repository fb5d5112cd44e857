"""The service of this machine that needs no address."""

from __future__ import annotations

from pathlib import Path

import pytest

import actors
from actors import ServiceClient
from actors.client.unreachable import UnreachableError
from actors.client.usual_service import usual_service
from actors.settings import service_address
from tests.client.answering import as_another, as_root, at_socket, listening_at, open_folder

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this user. That of the system is `tmp_path / "system"`."""
    for name in ("LINEWARDEN_URL", "RUNTIME_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(service_address, "SYSTEM", tmp_path / "system")
    return tmp_path / "linewarden"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_RUNTIME_DIR": str(tmp_path)}


def test_no_service_is_told_with_where_it_was_looked_for(own: Path, tmp_path: Path) -> None:
    client = ServiceClient()
    with pytest.raises(actors.ServiceUnreachableError) as told:
        client.status()
    assert str(told.value) == (
        f"no service was found: there is no socket in {own} and {tmp_path / 'system'}. Is `linewarden run` "
        "running? If it has another address, give url=, or set LINEWARDEN_URL."
    )
    assert repr(client) == "<ServiceClient of this machine>"


def test_a_client_that_was_made_before_its_service_finds_it(own: Path, tmp_path: Path) -> None:
    client = ServiceClient()
    for folder in (own, tmp_path / "system"):
        with at_socket(folder / "desk.sock"):
            assert client.url == f"unix:{folder / 'desk.sock'}"
            with pytest.raises(actors.ServiceDeclinedError, match="answered"):
                client.status()
        (folder / "desk.sock").unlink()


def test_a_dead_socket_beside_a_living_one_is_passed_over(own: Path, environ: dict[str, str]) -> None:
    with at_socket(own / "new.sock"):
        listening_at(own / "old.sock").close()
        assert usual_service(environ).path.name == "new.sock"


def test_dead_sockets_alone_are_told(own: Path, environ: dict[str, str]) -> None:
    own.mkdir()
    for name in ("a.sock", "b.sock"):
        listening_at(own / name).close()
    with pytest.raises(UnreachableError, match=r"the processes of \S+/a\.sock and \S+/b\.sock have ended"):
        usual_service(environ)


def test_several_services_are_named(own: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    with at_socket(own / "a.sock"), at_socket(tmp_path / "system" / "b.sock"):
        with pytest.raises(actors.ServiceUnreachableError) as told:
            ServiceClient().status()
        text = str(told.value)
        assert (
            f"several services run: unix:{own / 'a.sock'} and unix:{tmp_path / 'system' / 'b.sock'}. " in text
        )
        assert text.endswith("Name one of them: --url, url= or LINEWARDEN_URL.")
        assert usual_service(environ, "b.sock").path.name == "b.sock"
    with pytest.raises(UnreachableError, match=r"there is no c\.sock in"):
        usual_service(environ, "c.sock")


@as_root
def test_a_folder_that_may_not_be_listed_has_the_usual_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_folder() as folder:
        monkeypatch.setattr(service_address, "SYSTEM", folder / "system")
        environ = {"XDG_RUNTIME_DIR": str(folder)}
        with at_socket(folder / "system" / "linewarden.sock"):
            (folder / "system").chmod(0o711)
            (folder / "system" / "linewarden.sock").chmod(0o666)
            found = as_another(lambda: str(usual_service(environ)))
            assert found == f"unix:{folder / 'system' / 'linewarden.sock'}"
            (folder / "system").chmod(0o700)
            monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
            monkeypatch.delenv("LINEWARDEN_URL", raising=False)

            def ask() -> str:
                with pytest.raises(actors.ServiceUnreachableError) as told:
                    ServiceClient().status()
                return str(told.value)

            assert f"may not use the folder {folder / 'system'}: it is open to" in as_another(ask)
