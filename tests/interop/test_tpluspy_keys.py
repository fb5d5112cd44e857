"""Key files and ids of assets that tpluspy itself has made."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.errors import ConfigError
from actors.rules.topics import key_of
from actors.settings import load
from actors.venues.tplus import Tplus, TplusSettings
from actors.venues.tplus.ids import asset_id
from actors.venues.tplus.login import key_of as key_of_seed
from actors.venues.tplus.login import public_key
from benchmarks.installs import TPLUSPY

SEED = "07" * 32
CHAIN = "00000000000000a4b1"
HEX = "0123456789abcdefABCDEF" * 8
PASSWORD = "pässwörd ☂"


class Sdk:
    """tpluspy in a process of its own, with a home of its own."""

    def __init__(self, python: Path, home: Path) -> None:
        self.users = home / ".tplus" / "users"
        script = Path(__file__).with_name("tpluspy_keys.py")
        self._process = subprocess.Popen(
            [python, "-I", script, home], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, do: str, **arguments: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        self._process.communicate()


@pytest.fixture
def sdk(tmp_path: Path, sdk_python: Callable[[str], Path]) -> Iterator[Sdk]:
    each = Sdk(sdk_python(TPLUSPY), tmp_path)
    yield each
    each.end()


def user_of(keystore: Path, password: str) -> str:
    """The public key of the account that a feed with this file logs in to."""
    keys = {"keystore": str(keystore), "keystore_password": password}
    own = load({"feeds": {"tplus": {"venue": "tplus", **keys}}}).feeds["tplus"].own
    assert isinstance(own, TplusSettings)
    assert own.private_key is not None
    return public_key(key_of_seed(own.private_key))


@pytest.mark.parametrize("key", [SEED, f"0x{SEED}", ""], ids=["seed", "0x", "generated"])
@pytest.mark.parametrize("password", ["hunter2", PASSWORD, " two words "], ids=["plain", "unicode", "spaces"])
def test_a_key_file_of_the_sdk_is_the_same_account_here(sdk: Sdk, key: str, password: str) -> None:
    theirs = sdk.ask("store", name="alice", key=key, password=password)
    keystore = sdk.users / "alice"
    keystore.chmod(0o600)
    assert user_of(keystore, password) == theirs
    with pytest.raises(ConfigError, match="the password is wrong"):
        user_of(keystore, password + "!")


def test_a_key_with_its_public_key_behind_it_is_the_same_account_here(sdk: Sdk) -> None:
    theirs = sdk.ask("store", name="first", key=SEED, password=PASSWORD)
    assert sdk.ask("store", name="both", key=SEED + theirs, password=PASSWORD) == theirs
    keystore = sdk.users / "both"
    keystore.chmod(0o600)
    assert user_of(keystore, PASSWORD) == theirs


def test_the_account_of_a_wallet_is_the_same_here_once_its_key_is_stored(sdk: Sdk) -> None:
    theirs = sdk.ask("store_wallet", name="wallet", signature="5a" * 65, password=PASSWORD)
    keystore = sdk.users / "wallet"
    keystore.chmod(0o600)
    assert user_of(keystore, PASSWORD) == theirs


def test_the_sdk_leaves_its_key_file_open_and_here_it_has_to_be_private(sdk: Sdk) -> None:
    sdk.ask("store", name="alice", key=SEED, password=PASSWORD)
    keystore = sdk.users / "alice"
    assert keystore.stat().st_mode & 0o044
    with pytest.raises(ConfigError, match=f"chmod 600 {keystore}"):
        user_of(keystore, PASSWORD)


ASSETS: list[Any] = [
    200,
    0,
    "200",
    *(f"{prefix}{HEX[:digits]}@{CHAIN}" for digits in range(2, 66, 2) for prefix in ("", "0x")),
    f"{HEX[:64]}@0x{CHAIN}",
    {"Index": 200},
    {"Address": f"{HEX[:64].lower()}@{CHAIN}"},
    {"Address": {"address": list(bytes.fromhex(HEX[:64])), "chain": list(bytes.fromhex(CHAIN))}},
]


def test_what_the_sdk_takes_for_an_asset_is_the_same_asset_here(sdk: Sdk) -> None:
    venue = Tplus("tplus", TplusSettings())
    for written in ASSETS:
        theirs = sdk.ask("asset", written=written)
        assert theirs is not None
        assert asset_id(key_of(venue, written)) == theirs
    token = "0x62622E77D1349Face943C6e7D5c01C61465FE1dc"
    assert asset_id(f"{token}@{42161:018x}") == sdk.ask("asset_of_evm", address=token, chain=42161)


def test_what_the_sdk_takes_for_no_asset_is_none_here(sdk: Sdk) -> None:
    for written in ("", "BTC", "x@y", f"{HEX[:64]}@42161", HEX[:64], f"{HEX[:63]}@{CHAIN}", "@"):
        assert sdk.ask("asset", written=written) is None
        assert asset_id(written) is None
