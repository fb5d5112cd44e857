"""Where a firm's gateway is: two hubs and their REST part. Each firm has hosts of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit, urlunsplit

from msgspec import Struct

Platform = Literal["topstepx", "demo", "thefuturesdesk"]
Hub = Literal["user", "market"]

# Host of the hubs, host of the REST part. TopStepX is the gateway's own documentation's default, the
# demo its older one's; firms at projectx.com follow one pattern.
HOSTS: Final[Mapping[Platform, tuple[str, str]]] = {
    "topstepx": ("rtc.topstepx.com", "api.topstepx.com"),
    "demo": ("gateway-rtc-demo.s2f.projectx.com", "gateway-api-demo.s2f.projectx.com"),
    "thefuturesdesk": ("rtc.thefuturesdesk.projectx.com", "api.thefuturesdesk.projectx.com"),
}
HTTP: Final = {"ws": "http", "wss": "https"}

_RTC = re.compile(r"(?<![a-z0-9])rtc(?![a-z0-9])")


class HubAddresses(Struct, frozen=True):
    """`user` and `market` are the hubs' URLs, `rest` is without a slash at its end."""

    user: str
    market: str
    rest: str


def places(url: str, market_url: str, api_url: str, platform: Platform) -> HubAddresses:
    """What is given goes first; what is not follows from what is, and only where nothing is given
    from the platform: half of one firm and half of another would belong to no account.

    `url` may be the user hub's or a base, which is a URL without a path or with a slash at its end.

    Raises:
        ValueError: a URL that is given is the other hub's, or does not tell where that is.
    """
    if not url and not market_url:
        hubs, rest = HOSTS[platform]
        base = f"wss://{hubs}/hubs"
        return HubAddresses(f"{base}/user", f"{base}/market", without_api(api_url) or f"https://{rest}")
    user = hub(url, "user") if url else beside(hub(market_url, "market"), "user")
    market = hub(market_url, "market") if market_url else beside(user, "market")
    return HubAddresses(user, market, without_api(api_url) or rest_of(url or market_url))


def without_api(url: str) -> str:
    """The REST part's URL without the `/api` at its end that SDKs have there."""
    return url.rstrip("/").removesuffix("/api")


def hub(url: str, which: Hub) -> str:
    """The hub at a URL that may be a base.

    Raises:
        ValueError: it is the other hub's.
    """
    parts = urlsplit(url)
    other: Hub = "market" if which == "user" else "user"
    if parts.path.lower().endswith(("/hubs/user/", "/hubs/market/")):
        parts = parts._replace(path=parts.path[:-1])
        url = urlunsplit(parts)
    if parts.path.lower().endswith(f"/hubs/{other}"):
        key, its = ("url", "market_url") if which == "user" else ("market_url", "url")
        raise ValueError(
            f"{key} is the {which} hub's or a base, and its path is the {other} hub's; write it as {its}, "
            "or leave the path out"
        )
    if parts.path in ("", "/"):
        return _with_path(parts, f"/hubs/{which}")
    if parts.path.endswith("/"):
        inner = "" if parts.path.endswith("/hubs/") else "hubs/"
        return _with_path(parts, f"{parts.path}{inner}{which}")
    return _with_path(parts, f"{parts.path}/{which}") if parts.path.endswith("/hubs") else url


def beside(url: str, which: Hub) -> str:
    """The other hub of the same gateway.

    Raises:
        ValueError: nothing in the path names a hub.
    """
    parts = urlsplit(url)
    path, slash, last = parts.path.rpartition("/")
    if last.lower() not in ("user", "market"):
        names = ("url", "market_url") if which == "market" else ("market_url", "url")
        raise ValueError(f"{names[1]} is missing: the path of {names[0]} does not tell where it is")
    return _with_path(parts, f"{path}{slash}{which}")


def rest_of(url: str) -> str:
    """The REST part of a hub's gateway: `api` for the word `rtc` in its host, else the same host."""
    parts = urlsplit(url)
    return f"{HTTP.get(parts.scheme, parts.scheme)}://{_RTC.sub('api', parts.netloc, count=1)}"


def _with_path(parts: SplitResult, path: str) -> str:
    return urlunsplit(parts._replace(path=path))
