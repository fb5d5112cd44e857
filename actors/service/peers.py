"""The rights of the users at the Unix socket, and the group that may open it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final

from actors import log_queue
from actors.service.rights import EVERY, Caller, Right, with_implied
from actors.wire.unix_peer import OVERFLOW, Peer, overflow_ids

if sys.platform != "win32":
    import grp
    import pwd

log = log_queue.logger("actors.service")

ROOT: Final = 0
NO_ID: Final = 2**32 - 1  # and above: chown(2) takes it as "leave it as it is"


class SocketRights:
    """Which rights a peer has: those of its uid, and those of each of its groups.

    The service's own user and root have every right, and are its owners. A peer with the overflow uid has
    none: that stands for every user of other namespaces.
    """

    def __init__(
        self,
        by_uid: Mapping[int, frozenset[Right]],
        by_gid: Mapping[int, frozenset[Right]],
        *,
        own: int,
        overflow: tuple[int, int] = (OVERFLOW, OVERFLOW),
    ) -> None:
        """`overflow`: the uid and the gid that stand for unknown ones."""
        self._by_uid, self._by_gid = by_uid, by_gid
        self._own, (self._overflow, self._overflow_group) = own, overflow

    def caller(self, peer: Peer) -> Caller:
        name = f"uid {peer.uid}"
        if peer.uid == self._overflow:
            return Caller(is_local_user=True, name=name)
        if peer.uid in {self._own, ROOT}:
            return Caller(EVERY, is_owner=True, is_local_user=True, name=name)
        groups = peer.groups - {self._overflow_group}
        rights = self._by_uid.get(peer.uid, frozenset[Right]())
        rights = rights.union(*(self._by_gid[gid] for gid in groups & self._by_gid.keys()))
        return Caller(with_implied(rights), is_local_user=True, name=name)


def socket_rights(users: Mapping[str, Iterable[Right]]) -> SocketRights:
    """`[service.users]` with the ids of this machine. A name that it does not know is logged."""
    by_uid: dict[int, frozenset[Right]] = {}
    by_gid: dict[int, frozenset[Right]] = {}
    overflow = overflow_ids()
    for name, rights in users.items():
        is_group = name.startswith("@")
        found, kind = (group_id(name[1:]), "group") if is_group else (user_id(name), "user")
        if found is None:
            text = "[service.users]: this machine has no %s %r; the entry has no effect."
            log.warning("service.users", text, kind, name)
        elif found == overflow[is_group]:
            text = "[service.users]: %s %r stands for all that this machine does not know; it gets no right."
            log.warning("service.users", text, kind, name)
        else:
            place = by_gid if is_group else by_uid
            place[found] = place.get(found, frozenset[Right]()).union(rights)
    return SocketRights(by_uid, by_gid, own=os.geteuid(), overflow=overflow)


def socket_group(users: Iterable[str]) -> int | None:
    """The gid that the socket gets, so that these can open it: a file has one group.

    It is the first group that is named, else one that all of the users have in common.
    """
    named = [name for name in users if name not in {"root", "0"}]
    if not named:
        return None
    groups = {name: _groups_of(name) for name in named}
    common = frozenset.intersection(*groups.values())
    first = [next(iter(groups[name])) for name in named if name.startswith("@") and groups[name]]
    may_give = common if os.geteuid() == ROOT else common & {*os.getgroups(), os.getegid()}
    return first[0] if first else min(may_give, default=os.getegid())


def log_left_out(users: Iterable[str], group: int) -> None:
    """Logs the users that this machine knows and that cannot open a socket of this group."""
    groups = {name: _groups_of(name) for name in users if name not in {"root", "0"}}
    outside = (name for name, its in groups.items() if group not in its and (its or name.isdecimal()))
    if left := ", ".join(outside):
        text = "[service.users]: the socket belongs to the group %s; not a member, so without access: %s"
        log.warning("service.users", text, group_name(group), left)


def group_name(gid: int) -> str:
    """Its number, where it has no name."""
    if sys.platform != "win32":
        with suppress(KeyError, OverflowError):
            return grp.getgrgid(gid).gr_name
    return str(gid)


def number_of(text: str) -> int | None:
    """None: no user and no group has this number."""
    number = int(text) if len(text) <= len(str(NO_ID)) else NO_ID
    return number if number < NO_ID else None


if sys.platform != "win32":

    def user_id(name: str) -> int | None:
        """None: there is no such user."""
        if name.isascii() and name.isdecimal():
            return number_of(name)
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_uid
        return None

    def group_id(name: str) -> int | None:
        """None: there is no such group."""
        if name.isascii() and name.isdecimal():
            return number_of(name)
        with suppress(KeyError):
            return grp.getgrnam(name).gr_gid
        return None

    def _groups_of(name: str) -> frozenset[int]:
        """The group itself, or all of the user's."""
        if name.startswith("@"):
            return frozenset({gid} if (gid := group_id(name[1:])) is not None else ())
        uid = user_id(name)
        with suppress(KeyError):
            entry = pwd.getpwuid(-1 if uid is None else uid)
            return frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid))
        return frozenset()
