"""What a halt is about, as people and programs name it: all, a feed, or an account of a feed or host."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from actors.errors import LinewardenError

ALL = "all"


class HaltTarget(Struct, frozen=True):
    """`host` empty: all venues; `account` None: all accounts there."""

    host: str = ""
    account: int | None = None

    def covers(self, host: str) -> bool:
        """Whether some account of this host is among what is halted."""
        return self.host in {"", host}


def names_host(target: str) -> bool:
    """Whether this is a host, or an account of one: no feed has such a name."""
    name = target.partition("/")[0]
    return "." in name or ":" in name or name == "localhost"


def halt_target(target: str, hosts: Mapping[str, str | None]) -> HaltTarget:
    """Returns what this names: empty or `all`, a feed, a host, or one of these with `/` and an account.

    `hosts`: by feed, of its venue's REST; None: the feed takes no orders.

    Raises:
        LinewardenError: it names nothing that could be halted.
    """
    name, slash, number = target.partition("/")
    if not target or target == ALL:
        return HaltTarget()
    if slash and not (number.isascii() and number.isdecimal() and len(number) <= 18):
        text = f"{target!r}: expected the number of an account after the slash. Nothing is halted."
        raise LinewardenError(text)
    account = int(number) if slash else None
    if name in hosts:
        host = hosts[name]
        if host is None:
            raise LinewardenError(f"feed {name} takes no orders. Nothing is halted.")
        return HaltTarget(host, account)
    if names_host(name):
        return HaltTarget(name.lower(), account)
    known = ", ".join([ALL, *hosts])
    raise LinewardenError(f"{name!r} is no feed and no host; known: {known}. Nothing is halted.")
