"""Which connections are subscribed to what."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Group = TypeVar("Group", bound=Hashable)
Member = TypeVar("Member", bound=Hashable)


class Groups(Generic[Group, Member]):
    """Members by group, oldest first. A group without members is not kept."""

    def __init__(self) -> None:
        self._members: dict[Group, dict[Member, None]] = {}

    def __contains__(self, group: Group) -> bool:
        return group in self._members

    def __iter__(self) -> Iterator[Group]:
        return iter(self._members)

    def join(self, group: Group, member: Member) -> None:
        self._members.setdefault(group, {})[member] = None

    def leave(self, group: Group, member: Member) -> None:
        members = self._members.get(group, {})
        members.pop(member, None)
        if not members:
            self._members.pop(group, None)

    def leave_all(self, member: Member) -> None:
        for group in list(self._members):
            self.leave(group, member)

    def of(self, group: Group) -> list[Member]:
        """The members of a group, as they are now."""
        return list(self._members.get(group, ()))

    def count(self, group: Group) -> int:
        return len(self._members.get(group, ()))
