"""A file with a secret in it: read with the config, and only if it is private, small and a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from actors.errors import ConfigError
from actors.protocol import SecretFile, VenueSettings
from actors.settings import expected, load
from actors.settings.secret_files import LARGEST, read_secret_file
from actors.venues.o2 import O2

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no such bits")


class VaultSettings(VenueSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    vault: SecretFile | None = None


class Vault(O2):
    """A venue whose settings name a file."""

    name = "vault"
    Settings = VaultSettings

    def __init__(self, feed: str, settings: VenueSettings) -> None:
        self.feed, self.settings = feed, settings


def read(tmp_path: Path, vault: object, environ: dict[str, str] | None = None) -> Any:
    """What a config in this folder makes of the key."""
    config = tmp_path / "desk.toml"
    text = f'"{vault}"' if isinstance(vault, str) else vault
    config.write_text(f'[feeds.v]\nvenue = "vault"\nvault = {text}\n')
    feeds = load(config, environ or {}, venues={"vault": Vault}).feeds
    return feeds["v"].own.vault  # type: ignore[attr-defined]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("very secret\n", "utf-8")
    path.chmod(0o600)
    return path


def test_a_path_is_read_from_the_folder_of_the_config(tmp_path: Path, secret: Path) -> None:
    for written in ("secret", str(secret), "./secret"):
        file = read(tmp_path, written)
        assert file.text.reveal() == "very secret\n"
        assert repr(file) == f"SecretFile(name={written!r})"


def test_a_path_with_a_variable_is_shown_as_it_was_written(tmp_path: Path, secret: Path) -> None:
    environ = {"FOLDER": str(tmp_path)}
    assert read(tmp_path, "${FOLDER}/secret", environ).name == "${FOLDER}/secret"
    with pytest.raises(ConfigError) as told:
        read(tmp_path, "${FOLDER}/other", environ)
    assert "there is no file '${FOLDER}/other'" in str(told.value)
    assert str(tmp_path / "other") not in str(told.value)


@POSIX
@pytest.mark.parametrize(
    ("mode", "who"),
    [
        (0o644, "every user of this machine"),
        (0o604, "every user of this machine"),
        (0o602, "every user of this machine"),
        (0o640, "its group"),
        (0o620, "its group"),
    ],
)
def test_a_file_that_others_can_reach_is_refused_with_the_command_that_helps(
    tmp_path: Path, secret: Path, mode: int, who: str
) -> None:
    secret.chmod(mode)
    with pytest.raises(ConfigError) as told:
        read(tmp_path, "secret")
    words = (
        f"'secret' is open to {who} (mode {mode:04o}), so it is not used; chmod 600 secret makes it private"
    )
    assert words in str(told.value)
    is_for_a_service = (
        who == "its group" and os.geteuid() == 0
    )  # root's own file: a service may be of the group
    assert ("run this command as that user instead" in str(told.value)) == is_for_a_service
    assert "very secret" not in str(told.value)


@POSIX
def test_a_group_may_read_a_file_of_another_user(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Kubernetes mounts secrets: of root, and readable for the group of the pod."""
    secret.chmod(0o440)
    other = secret.stat().st_uid + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    assert read_secret_file(secret, "secret").text.reveal() == "very secret\n"
    secret.chmod(0o444)
    with pytest.raises(ConfigError, match="every user"):
        read_secret_file(secret, "secret")


@POSIX
def test_a_pipe_or_device_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(ConfigError, match="is no regular file"):
            read_secret_file(path, "it")


def test_what_is_no_text_or_too_large_is_refused(tmp_path: Path, secret: Path) -> None:
    secret.write_bytes(b"x" * LARGEST)
    assert len(read_secret_file(secret, "it").text.reveal()) == LARGEST
    secret.write_bytes(b"x" * (LARGEST + 1))
    with pytest.raises(ConfigError, match="'it' has more than 65,536 bytes"):
        read_secret_file(secret, "it")
    secret.write_bytes(b"ok\xff")
    with pytest.raises(ConfigError, match=r"is not UTF-8 text \(byte 2\)"):
        read_secret_file(secret, "it")
    with pytest.raises(ConfigError, match="'it' is no path: there is a NUL in it"):
        read_secret_file(Path("a\0b"), "it")
    with pytest.raises(ConfigError, match="'it'"):
        read_secret_file(tmp_path, "it")


@pytest.mark.parametrize(
    ("value", "problem"),
    [("", "expected the path of a file"), ("5", None), (5, "expected the path of a file, found 5")],
)
def test_what_is_no_path_is_a_mistake(tmp_path: Path, value: object, problem: str | None) -> None:
    with pytest.raises(ConfigError, match=problem or "there is no file '5'"):
        read(tmp_path, value)


def test_a_file_may_come_as_one(tmp_path: Path) -> None:
    from actors.protocol import Secret

    given = SecretFile("it", Secret("s"))
    config = {"feeds": {"v": {"venue": "vault", "vault": given}}}
    own = load(config, {}, venues={"vault": Vault}).feeds["v"].own
    assert own.vault is given  # type: ignore[attr-defined]


def test_people_are_told_that_the_key_is_a_path() -> None:
    [field] = [each for each in structs.fields(VaultSettings) if each.name == "vault"]
    assert expected(field.type) == "the path of a file"
