"""Where a service is reached: the path of its Unix socket, or a URL. Without I/O.

A service and the commands that look for it follow the same rules, so neither needs an address in the usual
case.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from msgspec import Struct

SYSTEM: Final = Path("/run/linewarden")  # of the services that a system's service manager or root starts
SUFFIX: Final = ".sock"
LONGEST_PATH: Final = 103  # bytes: sun_path has 108 on Linux, 104 on macOS, with the NUL at its end
EXAMPLES: Final = "unix:/run/linewarden/linewarden.sock or https://example.org:9700"


class UnixAddress(Struct, frozen=True):
    """A Unix socket."""

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"


class HttpAddress(Struct, frozen=True):
    """A service behind TCP, perhaps below a path of a proxy."""

    host: str  # without brackets
    port: int | None  # None: the one of the scheme
    secure: bool
    netloc: str  # host and port as they stand in a URL
    path: str = ""  # without a slash at its end

    def __str__(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.netloc}{self.path}"


ServiceAddress: TypeAlias = UnixAddress | HttpAddress


def usual_socket(name: str, environ: Mapping[str, str], uid: int | None = None) -> Path:
    """The socket of a service of this name (`[runtime] name`) whose config says `socket = "auto"`.

    `uid`: of the user; None: of this process.
    """
    return own_folder(environ, uid) / f"{name}{SUFFIX}"


def candidates(environ: Mapping[str, str], uid: int | None = None) -> tuple[Path, ...]:
    """The folders in which a client looks for sockets: the user's own, then the one of system services."""
    return tuple(dict.fromkeys((own_folder(environ, uid), SYSTEM)))


def own_folder(environ: Mapping[str, str], uid: int | None = None) -> Path:
    """What systemd gave, else the user's runtime folder (XDG), else one of root or of the user's state."""
    given = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]  # systemd.exec(5): several, with colons
    if given:
        return Path(given)
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime, "linewarden")
    if (_uid() if uid is None else uid) == 0:
        return SYSTEM
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or "/", ".local", "state")
    return Path(environ.get("XDG_STATE_HOME") or home, "linewarden", "run")


def parse_address(text: str) -> ServiceAddress:
    """Of `unix:/path`, `http://host:port/path` or `https://…`; without a scheme it is `http://`.

    Raises:
        ValueError: it is none of these. The message does not repeat the text, which may contain a token.
    """
    text = text.strip()
    scheme, separator, rest = text.partition(":")
    if separator and scheme.lower() == "unix":
        path = "/" + rest.lstrip("/") if rest.startswith("/") else rest
        if mistake := path_mistake(path):
            raise ValueError(f"the path of the socket: {mistake}")
        return UnixAddress(Path(path))
    return _http(text if "://" in text else f"http://{text}")


def path_mistake(path: str) -> str:
    """Why no Unix socket can have this path; empty: one can."""
    if not path.startswith("/") or "\0" in path:
        return "expected an absolute path, such as /run/linewarden/linewarden.sock"
    if path.endswith("/"):
        return "expected the path of a file, found the path of a folder"
    if len(os.fsencode(path)) > LONGEST_PATH:
        return f"expected at most {LONGEST_PATH} bytes, which is what the system allows for a socket"
    return ""


def _http(text: str) -> HttpAddress:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError:
        raise ValueError(f"expected an address such as {EXAMPLES}") from None
    if "@" in parts.netloc:
        raise ValueError("the address contains a token; set LINEWARDEN_TOKEN instead")
    is_known = parts.scheme in {"http", "https"} and host and port != 0
    if not is_known or parts.query or parts.fragment or not text.isprintable() or " " in text:
        raise ValueError(f"expected an address such as {EXAMPLES}")
    return HttpAddress(host, port, parts.scheme == "https", parts.netloc, parts.path.rstrip("/"))


def _uid() -> int:
    """-1: this system has no user ids."""
    return os.geteuid() if hasattr(os, "geteuid") else -1
