"""The service of a config: where its clients find it. Imported only when a config is given."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

from actors.client.unreachable import UnreachableError
from actors.client.usual_service import usual_service
from actors.errors import ConfigError, ServiceUnreachableError
from actors.settings import ServiceSettings, Settings
from actors.settings.addresses import host_and_port, local_url
from actors.settings.config import ConfigReader
from actors.settings.service_address import (
    SUFFIX,
    ServiceAddress,
    UnixAddress,
    parse_address,
    usual_socket,
)
from actors.settings.toml_file import parsed, text_of, user_path
from actors.settings.wording import keys_of

WHERE: Final = "[service]"
KEYS: Final = {
    "socket",
    "listen",
    "tls_certificate",
}  # a client has no use for the tokens, and may not know them


def address_of(config: Path) -> ServiceAddress:
    """Its Unix socket, if it has one that exists; else the address at which it listens.

    Raises:
        ConfigError: [runtime] or [service] of the config has mistakes.
        ServiceUnreachableError: the config lets no client in or does not fix the port, or several services
            of its name run.
    """
    name, service = read_settings(config, "runtime").runtime.name, _read_service(config)
    address = _socket_of(service, name)
    if address is not None and (not service.listen or address.path.exists()):
        return address
    if service.listen:
        return _listening_at(config, service)
    raise ServiceUnreachableError(f'{config} lets no client in: [service] has socket = "none" and no listen.')


def _socket_of(service: ServiceSettings, name: str) -> UnixAddress | None:
    """Looked for in the folder of this user, and in that of system services."""
    if service.socket == "none" or not hasattr(socket, "AF_UNIX"):
        return None
    if service.socket != "auto":
        return UnixAddress(Path(service.socket))
    try:
        return usual_service(os.environ, f"{name}{SUFFIX}")
    except UnreachableError as error:
        if error.advice:
            raise ServiceUnreachableError(f"{error.why}. {error.advice}") from None
        return UnixAddress(usual_socket(name, os.environ))


def _listening_at(config: Path, service: ServiceSettings) -> ServiceAddress:
    host, port = service.address
    if port == 0:
        raise ServiceUnreachableError(
            f"{config} lets the system choose the port (listen ends with :0); "
            "give the address from the log of linewarden run with --url."
        )
    url = local_url(host, port)
    return parse_address(url.replace("http", "https", 1) if service.tls_certificate else url)


def _read_service(config: Path) -> ServiceSettings:
    """Its address alone: the tokens need not be in the environment of a client."""
    reader, raw = _opened(config, "service")
    table = reader.table(WHERE, raw)
    reader.reject_unknown(WHERE, table, keys_of(ServiceSettings))
    service = ServiceSettings(**reader.some_fields(WHERE, table, ServiceSettings, KEYS))
    try:
        if service.listen:
            host_and_port(service.listen)
    except ValueError as error:
        reader.complain(WHERE, "listen", str(error))
    if reader.problems:
        raise ConfigError(reader.problems)
    return service


def read_settings(config: Path, name: str) -> Settings:
    """Reads this table alone, such as [runtime]: the secrets of the feeds need not be in the environment.

    Raises:
        ConfigError: the file cannot be read, or this table of it has mistakes.
    """
    reader, raw = _opened(config, name)
    return reader.settings({name: raw})


def _opened(config: Path, name: str) -> tuple[ConfigReader, object]:
    """The reader, and a table as it is written. Only a table that names a variable needs `env_file`."""
    whole = parsed(text_of(user_path(config), str(config)), str(config))
    reader, raw = ConfigReader(str(config), config.parent, os.environ, {}), whole.get(name, {})
    if reader.says_variable(raw):
        reader.read_env_file(whole)
    return reader, raw
