"""Files with a secret in them: read once, with the config, and only if no other user can read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from actors.errors import ConfigError
from actors.secret import Secret, SecretFile

LARGEST = 65_536  # bytes: a key or a password has some hundred
OTHERS = stat.S_IRWXO
GROUP = stat.S_IRWXG
# A pipe or a device could keep the start waiting; its kind is looked at before it is read.
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def read_secret_file(path: Path, name: str) -> SecretFile:
    """The file at this path; `name` is what people call it.

    Access is judged as OpenSSH judges that of its keys, and of the file that was opened. A group may read a
    file of another user, such as one that Kubernetes has mounted. Windows has no such bits: nothing is judged
    there.

    Raises:
        ConfigError: it cannot be read, is too large or no text, or others have access to it. Its one problem
            is the end of a sentence.
    """
    try:
        return SecretFile(name, Secret(text_of_file(path, name)))
    except FileNotFoundError:
        problem = f"there is no file {name!r} (from the config's directory)"
    except OSError as error:
        problem = f"{name!r} cannot be read ({error.strerror or error})"
    except UnicodeDecodeError as error:
        problem = f"{name!r} is not UTF-8 text (byte {error.start})"
    except ValueError as error:
        problem = f"{name!r} {error}"
    raise ConfigError([problem])


def text_of_file(path: Path, name: str = "") -> str:
    """Its text. With a `name`, only if no other user has access; the name is for people.

    Raises:
        OSError, UnicodeDecodeError: it cannot be read, or is no text.
        ValueError: what else is wrong with it, such as its size, as the end of a sentence.
    """
    if "\0" in str(path):
        raise ValueError("is no path: there is a NUL in it")
    fd = os.open(path, FLAGS)
    with os.fdopen(fd, "rb") as file:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError("is no regular file")
        if name and os.name != "nt" and (mistake := _access_mistake(facts, name)):
            raise ValueError(mistake)
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"has more than {LARGEST:,} bytes")
    return content.decode("utf-8-sig")


def _access_mistake(facts: os.stat_result, name: str) -> str:
    """Why the file is not private; empty: it is."""
    mode = stat.S_IMODE(facts.st_mode)
    if mode & OTHERS:
        who = "every user of this machine"
    elif mode & GROUP and facts.st_uid == os.geteuid():
        who = "its group"
    else:
        return ""
    told = f"is open to {who} (mode {mode:04o}), so it is not used; chmod 600 {name} makes it private"
    if who == "its group" and facts.st_uid == 0:  # a service of that group may read it
        told += (
            f". If the service runs as a user of group {facts.st_gid}, run this command as that user instead"
        )
    return told
