"""Reads `[service]`: where the service listens, and which caller has which right."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from actors.http_types import is_loopback
from actors.settings.addresses import host_and_port
from actors.settings.schema import Right, ServiceLimits, ServiceSettings, ServiceTokens
from actors.settings.service_address import path_mistake
from actors.settings.table_reader import RefusedError, SettingsReader
from actors.settings.toml_file import is_file, user_path
from actors.settings.wording import keys_of

WHERE: Final = "[service]"
TOKENS: Final = "[service.tokens]"
USERS: Final = "[service.users]"
LIMITS: Final = "[service.limits]"
TABLES: Final = {"tokens", "users", "limits"}
FORMER: Final = f"write {TOKENS} with look, account or act: a token for each right"
SHORTEST_TOKEN: Final = 16  # characters; a shorter one can be guessed
OVERFLOW: Final = "65534"  # what Linux shows for every user that a container does not know
HIGHEST: Final = str(2**32 - 2)  # number of a user or a group

_TOKEN = re.compile(r"[!-~]+")
_USER = re.compile(r"@?[^\s@:/]+")


def read_service(reader: SettingsReader, raw: object, directory: Path) -> ServiceSettings:
    """The table; its mistakes are the reader's. Files are those beside the config in `directory`."""
    table = reader.table(WHERE, raw)
    keys = keys_of(ServiceSettings)
    for key in [key for key in table if key not in keys and key in keys_of(ServiceTokens)]:
        reader.complain(WHERE, key, f"there is no such key; it belongs in {TOKENS}")
        del table[key]
    if table.pop("token", None) is not None:
        reader.complain(WHERE, "token", f"there is no such key; {FORMER}")
    reader.reject_unknown(WHERE, table, keys)
    fields = reader.some_fields(WHERE, table, ServiceSettings, keys - TABLES)
    tokens = _tokens(reader, table.get("tokens", {}))
    users = _users(reader, table.get("users", {}))
    limits = ServiceLimits(**reader.fields(LIMITS, table.get("limits", {}), ServiceLimits))
    for key in ("tls_certificate", "tls_key"):
        if fields.get(key):
            fields[key] = str(Path(directory, user_path(fields[key])).absolute())
    if fields.get("socket", "").startswith("~"):
        fields["socket"] = str(user_path(fields["socket"]))
    service = ServiceSettings(**fields, tokens=tokens, users=users, limits=limits)
    _check_socket(reader, service)
    _check_listen(reader, service, table)
    _check_tls(reader, service)
    return service


def _tokens(reader: SettingsReader, raw: object) -> ServiceTokens:
    tokens = ServiceTokens(**reader.fields(TOKENS, raw, ServiceTokens))
    for right, token in tokens.by_right():
        if not _TOKEN.fullmatch(token.reveal()):
            reader.complain(TOKENS, right, "expected printable ASCII without spaces")
        elif len(token.reveal()) < SHORTEST_TOKEN:
            text = f"it has fewer than {SHORTEST_TOKEN} characters and can be guessed"
            reader.warn(TOKENS, right, f"{text}; make one with: openssl rand -hex 32")
    return tokens


def _users(reader: SettingsReader, raw: object) -> dict[str, tuple[Right, ...]]:
    users: dict[str, tuple[Right, ...]] = {}
    for name, rights in reader.table(USERS, raw).items():
        if not _USER.fullmatch(name):
            text = 'expected a user such as alice or "1001", or a group such as "@traders"'
            reader.complain(USERS, name, text)
        elif mistake := _mistaken_number(name.removeprefix("@")):
            reader.complain(USERS, name, mistake)
        else:
            with suppress(RefusedError):
                users[name] = reader.convert(USERS, name, rights, tuple[Right, ...])
    return users


def _mistaken_number(name: str) -> str:
    """Empty: it is none, or it is the number of a user or a group."""
    if not (name.isascii() and name.isdecimal()):
        return ""
    number = name.lstrip("0")
    if number == OVERFLOW:
        return f"{OVERFLOW} stands for all that this machine does not know; it gets no right"
    if len(number) > len(HIGHEST) or (len(number) == len(HIGHEST) and number > HIGHEST):
        return f"no user and no group has a number above {HIGHEST}"
    return ""


def _check_socket(reader: SettingsReader, service: ServiceSettings) -> None:
    if service.socket not in {"auto", "none"} and (mistake := path_mistake(service.socket)):
        reader.complain(WHERE, "socket", f'{mistake}; or "auto", or "none"')
    if service.users and (service.socket == "none" or sys.platform == "win32"):
        why = "this system has no Unix socket" if sys.platform == "win32" else 'socket is "none"'
        reader.warn(USERS, "", f"it has no effect: {why}")


def _check_listen(reader: SettingsReader, service: ServiceSettings, table: Mapping[str, object]) -> None:
    if not service.listen:
        given = {key for key in ("behind_tls_proxy", "tls_certificate", "tokens") if table.get(key)}
        for key in sorted(given):
            reader.warn(WHERE, key, "it has no effect without listen")
        if service.socket == "none":
            reader.warn(WHERE, "", 'no command can ask it: socket is "none", and listen is not set')
        return
    try:
        host, _ = host_and_port(service.listen)
    except ValueError as error:
        reader.complain(WHERE, "listen", str(error))
        return
    if not (service.tokens.by_right() or table.get("tokens")):
        advice = 'add look = "${LINEWARDEN_TOKEN}", or account or act'
        reader.complain(TOKENS, "", f"missing; a port needs a token, also on loopback; {advice}")
    if not (is_loopback(host) or service.tls_certificate or service.tls_key or service.behind_tls_proxy):
        text = "beyond loopback, tokens and data need TLS: set tls_certificate and tls_key, or"
        advice = "behind_tls_proxy = true if a proxy encrypts them"
        reader.complain(WHERE, "listen", f"{text} {advice}")


def _check_tls(reader: SettingsReader, service: ServiceSettings) -> None:
    with suppress(OSError, ValueError):
        mode = Path(service.tls_key).stat().st_mode if service.tls_key and os.name != "nt" else 0
        if mode & stat.S_IRWXO and Path(service.tls_key).is_file():
            text = (
                f"every user of this machine can read the key (mode {stat.S_IMODE(mode):04o}); chmod o= makes"
            )
            reader.warn(WHERE, "tls_key", f"{text} it private")
    pair = {"tls_certificate": service.tls_certificate, "tls_key": service.tls_key}
    for key, path in pair.items():
        if path and not is_file(Path(path)):
            reader.complain(WHERE, key, "there is no such file")
        elif not path and any(pair.values()):
            reader.complain(WHERE, key, "missing; a certificate and its key go together")
