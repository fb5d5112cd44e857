"""The service of a config: where its clients find it. Imported only when a config is given."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

from actors.client.configured_service import configured_service
from actors.errors import ConfigError, ServiceUnreachableError
from actors.settings import ServiceSettings, Settings
from actors.settings.addresses import host_and_port
from actors.settings.config import ConfigReader
from actors.settings.service_address import ServiceAddress
from actors.settings.toml_file import parsed, text_of, user_path
from actors.settings.wording import keys_of

WHERE: Final = "[service]"
KEYS: Final = {"socket", "listen", "tls_certificate"}  # a client needs no tokens, and may not know them


def address_of(config: Path) -> ServiceAddress:
    """Its Unix socket, if it has one that exists; else the address at which it listens.

    Raises:
        ConfigError: [runtime] or [service] of the config has mistakes.
        ServiceUnreachableError: the config lets no client in or does not fix the port, or several services
            of its name run.
    """
    name, service = read_settings(config, "runtime").runtime.name, _read_service(config)
    try:
        return configured_service(service.socket, service.local_url, name)
    except ServiceUnreachableError as error:
        raise ServiceUnreachableError(f"{config}: {error}") from None


def _read_service(config: Path) -> ServiceSettings:
    """Its address alone: the tokens need not be in the environment of a client."""
    reader, raw = _opened(config, "service", KEYS)
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


def _opened(config: Path, name: str, keys: Collection[str] = ()) -> tuple[ConfigReader, object]:
    """The reader, and a table as it is written. `env_file` is read only for a variable that is needed.

    `keys`: those that are needed; empty: all.
    """
    whole = parsed(text_of(user_path(config), str(config)), str(config))
    reader, raw = ConfigReader(str(config), config.parent, os.environ, {}), whole.get(name, {})
    needed = raw if not keys or not isinstance(raw, dict) else [raw.get(key) for key in keys]
    if reader.says_variable(needed):
        reader.read_env_file(whole)
    return reader, raw
