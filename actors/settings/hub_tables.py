"""Tables of SignalR hubs: what their mistakes are, beside those that every table may have."""

from __future__ import annotations

from collections.abc import Mapping

from actors.settings.addresses import hub_url, url_mistake
from actors.settings.venue_table_reader import VenueTableReader, within
from actors.venues.declarative.topics import Names
from actors.venues.signalr.protocol import HubProtocol
from actors.venues.signalr.table import HubChannelTable, HubTable


class HubReader(VenueTableReader[HubTable]):
    """Reads the table of a hub."""

    kind = HubTable

    def protocol(self, table: HubTable, own: Mapping[str, str]) -> HubProtocol:
        return HubProtocol(table, "feed", own)

    def url_mistake(self, url: str) -> str:
        """A hub's address is written in either way."""
        return url_mistake(hub_url(url))

    def check_talk(self, table: HubTable, own: set[str]) -> None:
        self._check_token(table, own)
        for name, channel in table.channels.items():
            self._check_calls(within("[channels]", name), channel, own)

    def check_said(self, table: HubTable, names: Names) -> None:
        call = table.channels[names.name].subscribe
        if call is None or not names.table.key:
            return
        said = call.method.slots | call.arguments.slots
        if "key" not in said | (names.wire.slots if "wire" in said else set()):
            where = within("[channels]", f"{names.name}.subscribe")
            self.complain(where, "arguments", f"nothing tells the hub the key of channel {names.name}")

    def _check_token(self, table: HubTable, own: set[str]) -> None:
        if table.token is None:
            return
        self.check_slots("token", "", table.token.slots, own)
        if not table.token.slots:
            self.complain("token", "", "a token has no place in a table; expected a feed's key, as ${token}")
        for name, key in table.keys.items():
            if f"${name}" in table.token.slots and not key.secret:
                self.complain(within("[keys]", name), "secret", "it is shown as a token; add secret = true")

    def _check_calls(self, where: str, channel: HubChannelTable, own: set[str]) -> None:
        topic = {"channel", "wire", *channel.options} | ({"key"} if channel.key else set()) | own
        for verb, call in (("subscribe", channel.subscribe), ("unsubscribe", channel.unsubscribe)):
            if call is not None:
                self.check_slots(within(where, verb), "method", call.method.slots, topic)
                self.check_frame(f"{within(where, verb)} arguments", call.arguments, topic)
        if channel.unsubscribe is not None and channel.subscribe is None:
            self.complain(where, "subscribe", "missing: what is not subscribed to cannot be given up")
