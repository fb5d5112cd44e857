"""Credentials: texts that a service manager puts into a folder for this process (systemd.exec(5))."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeGuard

from actors.errors import ConfigError
from actors.settings.secret_files import text_of_file

KEY = "credential"  # `{ credential = "NAME" }` stands for its text
FOLDER = "CREDENTIALS_DIRECTORY"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,255}\Z")


def is_credential(value: object) -> TypeGuard[Mapping[str, object]]:
    """Whether it names a credential."""
    return isinstance(value, Mapping) and list(value) == [KEY]


def read_credential(name: object, environ: Mapping[str, str]) -> str:
    """Its text, without a line break at its end. Access to the folder is the service manager's business.

    Raises:
        ConfigError: it cannot be read. Its one problem is the end of a sentence, without the text.
    """
    if not isinstance(name, str) or not _NAME.match(name) or not name.strip("."):
        raise ConfigError(['expected { credential = "NAME" }, a name of letters, digits, -, _ and dots'])
    folder = environ.get(FOLDER, "")
    if not folder:
        advice = f"systemd sets it for a unit with LoadCredential={name}:/path"
        raise ConfigError([f"there is no credential {name!r}: {FOLDER} is not set; {advice}"])
    try:
        text = text_of_file(Path(folder, name))
    except FileNotFoundError:
        advice = f"add LoadCredential={name}:/path to the unit"
        raise ConfigError([f"there is no credential {name!r} in the folder of {FOLDER}; {advice}"]) from None
    except OSError as error:
        why = f"cannot be read ({error.strerror or error})"
    except UnicodeDecodeError as error:
        why = f"is not UTF-8 text (byte {error.start})"
    except ValueError as error:
        why = str(error)
    else:
        return text.removesuffix("\n").removesuffix("\r")
    raise ConfigError([f"the credential {name!r} {why}"])
