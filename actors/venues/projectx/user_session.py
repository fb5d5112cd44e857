"""The hub of accounts. What it tells of bears its account's id, and only that says whose it is."""

from __future__ import annotations

from typing import Any

from msgspec import Raw
from msgspec.structs import force_setattr

from actors.protocol import EffectBatch, Topic
from actors.venues.projectx.hub_methods import HubMethods
from actors.venues.projectx.session import GatewaySession


class UserSession(GatewaySession):
    """One connection to the user hub."""

    hub = "user"

    def handle_push(self, stream: HubMethods, arguments: list[Raw], out: EffectBatch) -> None:
        for found in stream.reader.find(arguments):
            try:
                event = stream.reader.read(found)
                topic = self._topic_of(stream, event)
            except Exception as error:
                self.put_aside(found, error, self._ours(stream), out)
            else:
                force_setattr(event, "action", found.action)  # before it is delivered
                self.tell(topic, [event], out)

    def _ours(self, stream: HubMethods) -> list[Topic]:
        return [topic for topic in self.wanted if topic.channel == stream.channel]

    def _topic_of(self, stream: HubMethods, event: Any) -> Topic:
        """Where it does not say whose it is, it is of the only account that is wanted.

        Raises: ValueError: there are several.
        """
        if not stream.keyed:
            return Topic(self._feed, stream.channel)
        if event.account_id is not None:
            return Topic(self._feed, stream.channel, str(event.account_id))
        ours = self._ours(stream)
        if len(ours) != 1:
            raise ValueError(f"a push of {stream.target} without an accountId")
        return ours[0]
