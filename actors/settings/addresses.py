"""What may stand in `listen`, `url` and `proxy`."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from actors.http_types import HostPort, is_loopback
from actors.settings.toml_file import user_path

PROXIES = ("none", "env")
PROXY_SCHEMES = ("http", "socks4", "socks4a", "socks5", "socks5h")
URL_SCHEMES = ("ws", "wss", "sim")
LAST_PORT = 65_535
HUB_SCHEMES = {"http": "ws", "https": "wss"}  # as the documentation of SignalR hubs writes their addresses

_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # compared, not bound  # nosec
_FILES = {"talk", "page"}  # parameters of `sim://table` that are files
_PLAIN = re.compile(r"[!-~]+")


def host_and_port(listen: str) -> tuple[str, int]:
    """As a socket takes them. Raises ValueError, in words for people, where `listen` is something else."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\s:\[\]/@]*)):([0-9]{1,5})", listen)
    if match is None or int(match[3]) > LAST_PORT:
        example = 'expected host and port, such as "127.0.0.1:9700" or "[::1]:9700"'
        raise ValueError(_port_mistake(listen) or example)
    return match[1] or match[2] or "", int(match[3])


def local_url(host: str, port: int, *, secure: bool = False) -> str:
    """The URL for clients on this machine of what listens at this address."""
    return f"{'https' if secure else 'http'}://{HostPort(_EVERYWHERE.get(host, host), port)}"


def is_clear(url: str) -> bool:
    """Whether it sends in clear what leaves this machine."""
    return url.startswith("ws://") and not is_loopback(urlsplit(url).hostname or "")


def is_simulated(url: str) -> bool:
    """Whether it leads to no venue, but to a simulator or a recording."""
    return url.startswith(("sim:", "replay:"))


def url_mistake(url: str) -> str:
    """What is wrong with a feed's URL; empty: nothing."""
    wanted = "expected a URL that starts with wss://, ws:// or sim://"
    if not _PLAIN.fullmatch(url):
        return "expected a URL of plain ASCII, without spaces and line breaks"
    written, _, rest = url.partition("://")
    scheme = written.lower()
    if scheme in URL_SCHEMES and scheme != written:  # else one is not known for what it is
        return f"{wanted}, in lower case"
    if scheme in {"http", "https"}:
        return f"{wanted}; did you mean {scheme.replace('http', 'ws')}://?"
    if scheme not in URL_SCHEMES:
        return wanted
    if "@" in re.split("[/?#]", rest)[0]:
        advice = "put it into the venue's own keys, as ${NAME}"
        return f"a user name or password in a URL ends up in logs; {advice}"
    parts = _split(url)
    if parts is None:
        return _port_mistake(url) or "expected a host, and a port up to 65535 if any"
    if parts.fragment:  # RFC 6455, section 3
        return "expected a URL without #…: a WebSocket has no use for it"
    return ""


def hub_url(url: str) -> str:
    """A hub's address as a WebSocket's: both ways to write it mean the same."""
    scheme, separator, rest = url.partition("://")
    return f"{HUB_SCHEMES.get(scheme.lower(), scheme)}{separator}{rest}"


def hub_mistake(url: str) -> str:
    """What is wrong with the URL of a hub's feed, as it was written; empty: nothing."""
    mistake = url_mistake(hub_url(url))
    if not mistake and url.lower().startswith("http://") and is_clear(hub_url(url)):
        return "expected https://: http:// sends everything in clear, also keys, and is for loopback only"
    return mistake


def with_talk(url: str, directory: Path) -> str:
    """A `sim://` URL whose files, a transcript and a page of history, have absolute paths."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    if not _FILES & dict(pairs).keys():
        return url
    found = [
        (key, str(Path(directory, user_path(value)).absolute()) if key in _FILES and value else value)
        for key, value in pairs
    ]
    return parts._replace(query=urlencode(found)).geturl()


def proxy_mistake(proxy: str) -> str:
    """What is wrong with a feed's proxy; empty: nothing."""
    if proxy in PROXIES:
        return ""
    parts = _split(proxy) if _PLAIN.fullmatch(proxy) else None
    if parts is not None and parts.scheme in (*PROXY_SCHEMES, "socks"):
        return ""
    if proxy.startswith(tuple(f"{scheme}://" for scheme in (*PROXY_SCHEMES, "socks"))):
        return _port_mistake(proxy) or "expected a host, and a port up to 65535 if any"
    schemes = ", ".join(f"{scheme}://" for scheme in PROXY_SCHEMES)
    return f'expected "none", "env" or a URL that starts with one of: {schemes}'


def _port_mistake(address: str) -> str:
    """Of an address that ends with a port, or has a path behind it; empty: it has no such mistake."""
    port = re.search(r":(\d{5,})(?=[/?#]|\Z)", address)
    return f"the port {port[1][:10]} is above {LAST_PORT}" if port and int(port[1][:10]) > LAST_PORT else ""


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # the property is what checks it
    except ValueError:
        return None
    return parts if parts.hostname else None
