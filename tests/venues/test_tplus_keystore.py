"""Key files of tpluspy.

`keystores/alice` was written by tpluspy 0.6.0: `UserManager().add("alice", SEED, PASSWORD)`.
"""

from __future__ import annotations

import hashlib
import json
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from hypothesis import given, settings
from hypothesis import strategies as st

import actors
from actors.errors import ConfigError, LinewardenError
from actors.secret import Secret, SecretFile
from actors.settings import load
from actors.venues.tplus.keystore import seed_of
from tests.venues.test_tplus_login import SEED, USER

PASSWORD = "correct horse battery staple"
WRITTEN = (Path(__file__).parent / "tplus" / "keystores" / "alice").read_text("utf-8")

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def alice(tmp_path: Path) -> Path:
    path = tmp_path / "alice"
    path.write_text(WRITTEN, "utf-8")
    path.chmod(0o600)
    return path


def feed(**keys: object) -> dict[str, Any]:
    return {"feeds": {"tplus": {"venue": "tplus", "url": "sim://tplus", **keys}}}


def mistake(**keys: object) -> str:
    with pytest.raises(ConfigError) as told:
        load(feed(**keys), {"TPLUS_PASSWORD": PASSWORD})
    [problem] = told.value.problems
    return problem


def changed(change: Change) -> SecretFile:
    content = json.loads(WRITTEN)
    change(content)
    return SecretFile("alice", Secret(json.dumps(content)))


def encrypted(key: bytes, password: str = PASSWORD) -> SecretFile:
    """A file of the same form with any key in it, at the price of one iteration."""
    derived = hashlib.pbkdf2_hmac("sha256", password.encode(), b"salt", 1, 32)
    text = Cipher(AES(derived[:16]), CTR(bytes(16))).encryptor().update(key)
    mac = hashlib.sha3_256(derived[16:] + text).digest()
    crypto = {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": b64encode(bytes(16)).decode()},
        "ciphertext": b64encode(text).decode(),
        "kdf": "pbkdf2",
        "kdfparams": {
            "salt": b64encode(b"salt").decode(),
            "iterations": 1,
            "dklen": 32,
            "digest": "sha256",
        },
        "mac": b64encode(mac).decode(),
    }
    return SecretFile("alice", Secret(json.dumps({"crypto": crypto})))


# ── in a config ──


def test_a_feed_logs_in_with_a_file_that_tpluspy_has_written(alice: Path) -> None:
    config = feed(keystore=str(alice), keystore_password=PASSWORD)
    with actors.start(config, wait=30) as runtime:
        positions = runtime.subscribe("tplus", "positions", wait=30)
        assert positions is not None
    own = load(config).feeds["tplus"].own
    assert own == load(feed(private_key=SEED)).feeds["tplus"].own
    assert SEED not in repr(own)
    assert PASSWORD not in repr(own)


def test_the_password_comes_from_the_environment_or_from_a_file(alice: Path, tmp_path: Path) -> None:
    environ = {"TPLUS_PASSWORD": PASSWORD, "HOME_OF_KEYS": str(alice.parent)}
    from_environment = feed(keystore="${HOME_OF_KEYS}/alice", keystore_password="${TPLUS_PASSWORD}")
    assert load(from_environment, environ).feeds["tplus"].build_venue().account()
    for ending in ("", "\n", "\r\n"):
        file = tmp_path / "password"
        file.write_bytes((PASSWORD + ending).encode())
        file.chmod(0o600)
        settings = load(feed(keystore=str(alice), keystore_password_file=str(file)))
        assert settings.feeds["tplus"].own == load(feed(private_key=SEED)).feeds["tplus"].own
    file.chmod(0o644)
    assert "keystore_password_file" in mistake(keystore=str(alice), keystore_password_file=str(file))
    file.write_text("\n")
    file.chmod(0o600)
    assert mistake(keystore=str(alice), keystore_password_file=str(file)).endswith(
        "keystore_password_file is empty."
    )


def test_a_feed_at_the_venues_own_hosts_takes_the_password_as_tpluspy_does(alice: Path) -> None:
    environ = {"TPLUS_PASSWORD": PASSWORD, "TPLUS_PRIVATE_KEY": "ab" * 32}
    keys = {"venue": "tplus", "keystore": str(alice)}
    its = load({"feeds": {"tplus": keys}}, environ).feeds["tplus"]
    assert its.login_variables == ("TPLUS_PASSWORD",)
    assert its.own == load({"feeds": {"tplus": {"venue": "tplus", "private_key": SEED}}}).feeds["tplus"].own
    named = load({"feeds": {"tplus": keys | {"keystore_password": PASSWORD}}}, {"TPLUS_PASSWORD": "another"})
    assert named.feeds["tplus"].own == its.own
    assert named.feeds["tplus"].login_variables == ()
    without = {"feeds": {"tplus": {"venue": "tplus"}}}
    assert load(without, environ).feeds["tplus"].login_variables == ()


@pytest.mark.parametrize("keys", [{"url": "wss://oms.example"}, {"env_login": False}])
def test_a_feed_with_an_address_of_its_own_names_its_password(alice: Path, keys: dict[str, Any]) -> None:
    feeds = {"tplus": {"venue": "tplus", "keystore": str(alice), **keys}}
    with pytest.raises(ConfigError, match="keystore has no password"):
        load({"feeds": feeds}, {"TPLUS_PASSWORD": PASSWORD})


def test_a_wrong_password_is_told_and_not_shown(alice: Path) -> None:
    told = mistake(keystore=str(alice), keystore_password="hunter-two")
    assert told == (
        f"<config>: [feeds.tplus]: keystore: '{alice}' does not open: the password is wrong, or the file is "
        "damaged. Check keystore_password."
    )


def test_a_password_is_wanted_once(alice: Path) -> None:
    assert 'add keystore_password = "${TPLUS_PASSWORD}"' in mistake(keystore=str(alice))
    both = {"keystore_password": PASSWORD, "keystore_password_file": str(alice)}
    assert "both given" in mistake(keystore=str(alice), **both)
    assert "no keystore" in mistake(keystore_password=PASSWORD)
    for other in ({"private_key": SEED}, {"token": "t", "user": USER}):
        words = mistake(keystore=str(alice), keystore_password=PASSWORD, **other)
        assert "keystore is given beside private_key or token" in words


def test_a_file_as_tpluspy_leaves_it_is_open_to_others_and_refused(alice: Path) -> None:
    alice.chmod(0o644)
    words = mistake(keystore=str(alice), keystore_password="${TPLUS_PASSWORD}")
    assert f"chmod 600 {alice}" in words


# ── the file ──


def test_a_key_may_have_its_public_key_behind_it() -> None:
    assert seed_of(encrypted(bytes.fromhex(SEED + USER)), Secret(PASSWORD)).reveal() == SEED
    assert seed_of(encrypted(bytes.fromhex(SEED), "pässwörd"), Secret("pässwörd")).reveal() == SEED
    with pytest.raises(LinewardenError, match="64 bytes that are no seed with its public key"):
        seed_of(encrypted(bytes.fromhex(SEED + SEED)), Secret(PASSWORD))
    with pytest.raises(LinewardenError, match="another length"):
        seed_of(encrypted(b"short"), Secret(PASSWORD))


def _scrypt(content: dict[str, Any]) -> None:
    content["crypto"]["kdf"] = "scrypt"
    content["crypto"]["kdfparams"] = {"n": 2**60, "r": 2**30, "p": 2**30, "salt": "", "dklen": 2**60}


def _params(**values: object) -> Change:
    return lambda content: content["crypto"]["kdfparams"].update(values)


def _crypto(**values: object) -> Change:
    return lambda content: content["crypto"].update(values)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_scrypt, "derives its key with 'scrypt'; tpluspy uses pbkdf2"),
        (_crypto(kdf="\n" * 9000), "derives its key with another method"),
        (_crypto(cipher="aes-256-gcm"), "is encrypted with 'aes-256-gcm'; tpluspy uses aes-128-ctr"),
        (_params(iterations=4_000_001), "not from 1 to 4,000,000; tpluspy's is 262,144"),
        (_params(iterations=0), "not from 1 to 4,000,000"),
        (_params(iterations=2**63), "not from 1 to 4,000,000"),
        (_params(iterations="many"), "the parameters of pbkdf2 are others"),
        (_params(dklen=2**40), "pbkdf2 is to give 32 bytes with sha256"),
        (_params(digest="md5"), "pbkdf2 is to give 32 bytes with sha256"),
        (_params(salt="?"), "a value in it is not base64"),
        (_params(salt="AAAA" * 9000), "another length than tpluspy's"),
        (_crypto(mac=""), "another length than tpluspy's"),
        (_crypto(mac="é"), "a value in it is not base64"),
        (_crypto(ciphertext=None), "is no key file of tpluspy"),
        (_crypto(cipherparams={"iv": "AAAA"}), "another length than tpluspy's"),
        (_crypto(cipherparams={}), "is no key file of tpluspy"),
        (lambda content: content.update(version=3), "is an Ethereum keystore: it holds the key of a wallet"),
        (
            lambda content: content.update(version=1, expiry_ns=1, base_url="https://oms.tplus.cx"),
            "is a token that tpluspy has kept, and no key",
        ),
        (lambda content: content.clear(), r"is no key file of tpluspy \(~/.tplus/users/NAME\)"),
        (_crypto(mac=b64encode(bytes(32)).decode()), "the password is wrong, or the file is damaged"),
    ],
)
def test_a_file_of_another_form_is_refused_in_a_sentence_and_at_no_cost(change: Change, words: str) -> None:
    with pytest.raises(LinewardenError, match=f"^keystore: 'alice' .*{words}") as told:
        seed_of(changed(change), Secret(PASSWORD))
    assert len(str(told.value)) < 300
    assert PASSWORD not in str(told.value)


@pytest.mark.parametrize("text", ["", "null", "[]", "x", USER, "[" * 60_000, '{"crypto": ' * 9_000])
def test_what_is_no_file_of_keys_is_refused(text: str) -> None:
    with pytest.raises(LinewardenError, match="is no key file of tpluspy"):
        seed_of(SecretFile("alice.pub", Secret(text)), Secret(PASSWORD))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.sampled_from(["cipher", "cipherparams", "ciphertext", "kdf", "kdfparams", "mac"]),
    JSON,
    st.text(max_size=8),
)
@settings(max_examples=100)
def test_whatever_stands_in_a_file_it_opens_or_is_refused(key: str, value: object, password: str) -> None:
    content = json.loads(encrypted(bytes.fromhex(SEED)).text.reveal())
    content["crypto"][key] = value
    with pytest.raises(LinewardenError, match=r"^keystore: 'it' "):
        seed_of(SecretFile("it", Secret(json.dumps(content))), Secret(password))


def test_the_most_costly_file_is_refused_before_its_key_is_derived() -> None:
    """Four million iterations take a second or more; one more takes none."""
    started = time.process_time()
    for iterations in (4_000_001, 2**31, 2**62):
        with pytest.raises(LinewardenError, match="not from 1 to 4,000,000"):
            seed_of(changed(_params(iterations=iterations)), Secret(PASSWORD))
    assert time.process_time() - started < 1.0
