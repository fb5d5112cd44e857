"""What a `[feeds.NAME]` table may say of tplus, and the addresses that come of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from msgspec import Meta, Struct, structs

from actors.protocol import LinewardenError, Secret, SecretFile, VenueSettings
from actors.venues.tplus.depth_session import Sequencing
from actors.venues.tplus.keystore import seed_of

Network = Literal["production", "development", "local"]
# The order service and the market data service of each.
SERVICES: Mapping[Network, tuple[str, str]] = {
    "production": ("wss://oms.tplus.cx", "wss://mds.tplus.cx"),
    "development": ("wss://oms.tplus.dev", "wss://mds.tplus.dev"),
    "local": ("ws://localhost:3032", "ws://localhost:8011"),
}
# A line is a socket, a thread of ours and a TLS connection of the venue's, and tplus names no limit:
# ten markets with depth, trades, bars and ticker, and every stream of an account, are within this.
MAX_LINES = 50

_LABEL = re.compile(r"(?<![^.@/])oms(?=[.:-]|$)", re.IGNORECASE)

Lines = Annotated[int, Meta(ge=1, le=1000, description="a whole number from 1 to 1000")]


class TplusSettings(VenueSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`url` is the order service's base, as ws:// or wss://; a path in it is kept, for gateways.

    An account is known by `private_key`, the 64 hexadecimal digits of its Ed25519 seed, by a `keystore`
    that holds it, or by `user` and a `token` that was got elsewhere. `user` beside a key names the account
    that the key signs for, where that is another's than its own.
    """

    network: Network = "production"  # where no url is given
    market_url: str = ""  # the market data service; empty: the one beside `url`
    user: str = ""  # the account's public key, 64 hexadecimal digits
    private_key: Secret | None = None
    keystore: SecretFile | None = None  # a key file of tpluspy; `of` puts its seed into `private_key`
    keystore_password: Secret | None = None
    keystore_password_file: SecretFile | None = None  # instead of it
    token: Secret | None = None  # presented as it is, and never renewed
    sequence: Sequencing = "strict"  # a false alarm shows, and a hole that is not seen costs money
    max_lines: Lines = MAX_LINES  # sockets at once; a stream is a socket

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """The keystore is opened here, once per config: that takes a tenth of a second of work.

        Raises:
            LinewardenError: it does not open, or its password or it is missing or given twice.
        """
        own = cls(**given)
        passwords = [own.keystore_password, own.keystore_password_file]
        if own.keystore is None:
            if any(each is not None for each in passwords):
                raise LinewardenError("there is a password of a keystore, and no keystore.")
            return own
        if own.private_key is not None or own.token is not None:
            raise LinewardenError("keystore is given beside private_key or token; one of them is enough.")
        if all(each is not None for each in passwords):
            raise LinewardenError(
                "keystore_password and keystore_password_file are both given; one of them is enough."
            )
        if all(each is None for each in passwords):
            raise LinewardenError(
                'keystore has no password; add keystore_password = "${TPLUS_PASSWORD}", or '
                "keystore_password_file with the path of a file that holds it."
            )
        seed = seed_of(own.keystore, own.keystore_password or _password_in(own.keystore_password_file))
        return structs.replace(
            own, private_key=seed, keystore=None, keystore_password=None, keystore_password_file=None
        )


def _password_in(file: SecretFile | None) -> Secret:
    """A password as editors and `echo` write one: without the end of its line."""
    text = "" if file is None else file.text.reveal().removesuffix("\n").removesuffix("\r")
    if not text:
        raise LinewardenError("keystore_password_file is empty.")
    return Secret(text)


class Base(Struct, frozen=True):
    """Where a service is: without a slash at its end, for both of its protocols."""

    ws: str
    http: str
    origin: str


def base(url: str) -> Base:
    """Of a URL of either protocol."""
    parts = urlsplit(url)
    secure = parts.scheme in ("wss", "https")
    path = parts.path.rstrip("/")
    ws, http = ("wss", "https") if secure else ("ws", "http")
    return Base(f"{ws}://{parts.netloc}{path}", f"{http}://{parts.netloc}{path}", f"{http}://{parts.netloc}")


def services(settings: TplusSettings) -> tuple[Base, Base]:
    """The order service and the market data service."""
    oms, mds = SERVICES[settings.network]
    if settings.url:
        oms, mds = settings.url, beside(settings.url)
    return base(oms), base(settings.market_url or mds)


def beside(url: str) -> str:
    """The market data service of an order service: `mds` for the label `oms`, or else the same host."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{_LABEL.sub('mds', host, count=1)}{slash}{path}"
