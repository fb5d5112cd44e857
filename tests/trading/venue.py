"""A venue with orders, as the config and the commands see it."""

from __future__ import annotations

from typing import ClassVar, cast
from urllib.parse import urlsplit

from actors.protocol.trading import TradingApi
from actors.venues.o2.venue import O2


class _Api:
    def __init__(self, host: str) -> None:
        self.host = host


class Exchange(O2):
    name: ClassVar[str] = "exchange"

    def trading(self) -> TradingApi:
        return cast(TradingApi, _Api(urlsplit(self.settings.url).hostname or "api.exchange.example"))
