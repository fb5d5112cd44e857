"""`{ credential = "NAME" }`: texts that a service manager puts into a folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from actors.errors import ConfigError
from actors.settings import load

CANARY = "canary-31c0"
PASSWORD = "correct horse battery staple"
KEYSTORE = Path(__file__).parent / "venues" / "tplus" / "keystores" / "alice"


def feed(**keys: object) -> dict[str, Any]:
    return {"feeds": {"a": {"venue": "alpaca", "key": {"credential": "key"}, "secret": "s", **keys}}}


def mistakes(config: dict[str, Any], folder: Path | None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(config, {"CREDENTIALS_DIRECTORY": str(folder)} if folder else {})
    return [problem.removeprefix("<config>: ") for problem in caught.value.problems]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_it_is_the_text_of_a_file(tmp_path: Path, end: str) -> None:
    (tmp_path / "key").write_bytes(f" {CANARY}{end}".encode())
    settings = load(feed(), {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    own: Any = settings.feeds["a"].own
    assert own.key.reveal() == f" {CANARY}"
    assert CANARY not in repr(settings)


def test_it_may_stand_wherever_a_text_may(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k")
    (tmp_path / "proxy").write_text("http://user:pass@host:8080\n")
    (tmp_path / "symbol").write_text("AAPL")
    wanted = [{"channel": "quotes", "keys": [{"credential": "symbol"}]}]
    config = feed(proxy={"credential": "proxy"}, subscribe=wanted)
    its = load(config, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).feeds["a"]
    assert its.proxy == "http://user:pass@host:8080"
    assert its.subscribe[0].keys == ("AAPL",)


def test_it_may_be_the_file_that_a_key_names(tmp_path: Path) -> None:
    shutil.copy(KEYSTORE, tmp_path / "wallet")
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    table = {
        "venue": "tplus",
        "keystore": {"credential": "wallet"},
        "keystore_password": {"credential": "password"},
    }
    settings = load({"feeds": {"a": table}}, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert settings.feeds["a"].build_venue() is not None  # the file has been decrypted
    assert PASSWORD not in repr(settings)


UNIT = "systemd sets it for a unit with LoadCredential=key:/path"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            None,
            "there is no credential 'key' in the folder of CREDENTIALS_DIRECTORY; "
            "add LoadCredential=key:/path to the unit.",
        ),
        (b"", "expected text that is not empty."),
        (CANARY.encode() + b"\xff", f"the credential 'key' is not UTF-8 text (byte {len(CANARY)})."),
        (b"x" * 65_537, "the credential 'key' has more than 65,536 bytes."),
    ],
)
def test_what_cannot_be_read_is_a_mistake_that_shows_nothing_of_it(
    tmp_path: Path, content: bytes | None, problem: str
) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    assert mistakes(feed(), tmp_path) == [f"[feeds.a] key: {problem}"]


def test_without_a_service_manager_the_sentence_says_which_line_of_the_unit_is_missing() -> None:
    told = "there is no credential 'key': CREDENTIALS_DIRECTORY is not set; "
    assert mistakes(feed(), None) == [f"[feeds.a] key: {told}{UNIT}."]


@pytest.mark.parametrize("name", ["../key", "/etc/passwd", "", ".", "..", "a\n", 3, ["key"]])
def test_a_name_leads_out_of_no_folder(tmp_path: Path, name: object) -> None:
    form = 'expected { credential = "NAME" }, a name of letters, digits, -, _ and dots.'
    assert mistakes(feed(key={"credential": name}), tmp_path) == [f"[feeds.a] key: {form}"]


def test_a_value_that_is_none_of_the_allowed_ones_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(CANARY)
    config = feed(stream={"credential": "key"}, url={"credential": "key"})
    told = mistakes(config, tmp_path)
    assert len(told) == 2
    assert not any(CANARY in each for each in told)
