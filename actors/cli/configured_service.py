"""The service of a config: where its clients find it. Imported only when a config is given."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

from actors.client.unreachable import UnreachableError
from actors.client.usual_service import usual_service
from actors.errors import ServiceUnreachableError
from actors.settings import Settings
from actors.settings.addresses import local_url
from actors.settings.config import ConfigReader
from actors.settings.service_address import (
    SUFFIX,
    ServiceAddress,
    UnixAddress,
    parse_address,
    usual_socket,
)
from actors.settings.toml_file import parsed, text_of, user_path

GUARDED: Final = {
    "tokens",
    "users",
    "token",
}  # of [service]: a client needs none, and may not have the variables


def address_of(config: Path) -> ServiceAddress:
    """Its Unix socket, if it has one that exists; else the address at which it listens.

    Raises:
        ConfigError: [runtime] or [service] of the config has mistakes.
        ServiceUnreachableError: the config lets no client in, or does not fix the port.
    """
    settings = read_settings(config, "runtime", "service")
    socket_address = _socket_of(settings)
    if socket_address is not None and (not settings.service.listen or socket_address.path.exists()):
        return socket_address
    if settings.service.listen:
        return _listening_at(config, settings)
    raise ServiceUnreachableError(f'{config} lets no client in: [service] has socket = "none" and no listen.')


def _socket_of(settings: Settings) -> UnixAddress | None:
    """Looked for in the folder of this user, and in that of system services."""
    where = settings.service.socket
    if where == "none" or not hasattr(socket, "AF_UNIX"):
        return None
    if where != "auto":
        return UnixAddress(Path(where))
    name = settings.runtime.name
    try:
        return usual_service(os.environ, f"{name}{SUFFIX}")
    except UnreachableError:
        return UnixAddress(usual_socket(name, os.environ))


def _listening_at(config: Path, settings: Settings) -> ServiceAddress:
    host, port = settings.service.address
    if port == 0:
        raise ServiceUnreachableError(
            f"{config} lets the system choose the port (listen ends with :0); "
            "give the address from the log of linewarden run with --url."
        )
    url = local_url(host, port)
    return parse_address(url.replace("http", "https", 1) if settings.service.tls_certificate else url)


def read_settings(config: Path, *names: str) -> Settings:
    """Reads these tables alone, such as [service]: the secrets of the feeds need not be in the environment.

    Raises:
        ConfigError: the file cannot be read, or one of these tables has mistakes.
    """
    whole = parsed(text_of(user_path(config), str(config)), str(config))
    tables = {name: whole[name] for name in names if name in whole}
    if isinstance(service := tables.get("service"), dict):
        tables["service"] = {key: value for key, value in service.items() if key not in GUARDED}
    return ConfigReader(str(config), config.parent, os.environ, {}).settings(tables)
