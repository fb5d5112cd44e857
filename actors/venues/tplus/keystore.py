"""The key of an account out of a key file of tpluspy, and nothing but such a file.

Its form is that of tpluspy 0.6.0 (`tplus/utils/user/ed_keyfile.py`), which resembles an Ethereum keystore
and is none: binary values are base64, the key is derived with PBKDF2-HMAC-SHA256 alone, and the MAC is
SHA3-256 and not Keccak-256. `UserManager` writes one for each user, to `~/.tplus/users/NAME`.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from msgspec import Struct

from actors.protocol import LinewardenError, Secret, SecretFile

CIPHER, KDF, DIGEST = "aes-128-ctr", "pbkdf2", "sha256"
# tpluspy takes 262,144. The file names the number, and nothing can interrupt the derivation of a key: four
# million take about a second on a machine of today, and five on a busy one.
MOST_ITERATIONS = 4_000_000
DERIVED = 32  # bytes: half of them for the cipher, half for the MAC
IV = 16
MAC = 32
SEED = 32
LONGEST_SALT = 1024
ETHEREUM = (
    "is an Ethereum keystore: it holds the key of a wallet, and tplus logs in with an Ed25519 key. "
    "See docs/migrating/tpluspy.md for accounts of wallets"
)


class CipherParams(Struct, frozen=True):
    iv: str


class KdfParams(Struct, frozen=True):
    salt: str
    iterations: int
    dklen: int
    digest: str


class Crypto(Struct, frozen=True):
    cipher: str
    cipherparams: CipherParams
    ciphertext: str
    kdf: str
    kdfparams: msgspec.Raw  # their form depends on `kdf`
    mac: str


class KeyFile(Struct, frozen=True):
    crypto: msgspec.Raw = msgspec.Raw(b"")
    version: object = None
    expiry_ns: object = None  # of a token: tpluspy keeps tokens in files of a similar form


_file = msgspec.json.Decoder(KeyFile).decode
_crypto = msgspec.json.Decoder(Crypto).decode
_kdf_params = msgspec.json.Decoder(KdfParams).decode


def seed_of(file: SecretFile, password: Secret) -> Secret:
    """The account's Ed25519 seed, as 64 hexadecimal digits.

    The file sets the number of iterations, within bounds: the call takes some seconds at most, and a few
    hundred bytes.

    Raises:
        LinewardenError: it is no such file, its derivation is another or too costly, or the password does not
            open it. Of the file, the message repeats the names of its methods alone.
    """
    crypto = _crypto_of(file)
    if crypto.cipher != CIPHER:
        raise _mistake(file, f"is encrypted with {_named(crypto.cipher)}; tpluspy uses {CIPHER}")
    params = _params_of(file, crypto)
    salt, iv, mac, ciphertext = _binaries(file, crypto, params)
    secret = password.reveal().encode("utf-8", "surrogatepass")
    derived = hashlib.pbkdf2_hmac(DIGEST, secret, salt, params.iterations, DERIVED)
    for_cipher, for_mac = derived[: DERIVED // 2], derived[DERIVED // 2 :]
    if not hmac.compare_digest(hashlib.sha3_256(for_mac + ciphertext).digest(), mac):
        text = "does not open: the password is wrong, or the file is damaged. Check keystore_password"
        raise _mistake(file, text)
    return _checked(file, Cipher(AES(for_cipher), CTR(iv)).decryptor().update(ciphertext))


def _crypto_of(file: SecretFile) -> Crypto:
    try:
        content = _file(file.text.reveal())
        if content.expiry_ns is not None:
            text = "is a token that tpluspy has kept, and no key; key files are in ~/.tplus/users"
            raise _mistake(file, text)
        if content.version is not None:
            raise _mistake(file, ETHEREUM)
        return _crypto(content.crypto)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise _mistake(file, "is no key file of tpluspy (~/.tplus/users/NAME)") from None


def _params_of(file: SecretFile, crypto: Crypto) -> KdfParams:
    if crypto.kdf != KDF:
        raise _mistake(file, f"derives its key with {_named(crypto.kdf)}; tpluspy uses {KDF}")
    try:
        params = _kdf_params(crypto.kdfparams)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise _mistake(file, f"is no key file of tpluspy: the parameters of {KDF} are others") from None
    if params.digest != DIGEST or params.dklen != DERIVED:
        raise _mistake(file, f"is no key file of tpluspy: {KDF} is to give {DERIVED} bytes with {DIGEST}")
    if not 1 <= params.iterations <= MOST_ITERATIONS:
        text = f"wants a number of iterations that is not from 1 to {MOST_ITERATIONS:,}; tpluspy's is 262,144"
        raise _mistake(file, text)
    return params


def _binaries(file: SecretFile, crypto: Crypto, params: KdfParams) -> tuple[bytes, bytes, bytes, bytes]:
    """Salt, IV, MAC and ciphertext."""
    texts = (params.salt, crypto.cipherparams.iv, crypto.mac, crypto.ciphertext)
    try:
        salt, iv, mac, ciphertext = (b64decode(text, validate=True) for text in texts)
    except ValueError:
        raise _mistake(file, "is no key file of tpluspy: a value in it is not base64") from None
    is_usual = len(salt) <= LONGEST_SALT and len(iv) == IV and len(mac) == MAC
    if not is_usual or len(ciphertext) not in (SEED, 2 * SEED):
        text = "is no key file of an Ed25519 key: a value in it has another length than tpluspy's"
        raise _mistake(file, text)
    return salt, iv, mac, ciphertext


def _checked(file: SecretFile, key: bytes) -> Secret:
    """The seed of a key that is a seed, or a seed and its public key."""
    seed, public = key[:SEED], key[SEED:]
    if public and Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw() != public:
        raise _mistake(file, "holds 64 bytes that are no seed with its public key behind it")
    return Secret(seed.hex())


def _named(method: str) -> str:
    """A method of the file's: its name, if it looks like one."""
    return repr(method) if method.isascii() and len(method) <= 20 else "another method"


def _mistake(file: SecretFile, text: str) -> LinewardenError:
    return LinewardenError(f"keystore: {file.name!r} {text}.")
