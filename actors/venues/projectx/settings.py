"""What a `[feeds.NAME]` table may say of ProjectX."""

from __future__ import annotations

from typing import Literal

from actors.protocol import FrameLimit, Secret, VenueSettings
from actors.venues.projectx.platforms import HubAddresses, Platform, places


class ProjectXSettings(VenueSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`url` is the user hub's, or a base for both hubs: without a path, or with a slash at its end.

    An account is known by `user_name` and `api_key`, or by a `token` that was got elsewhere: it is
    renewed while it lasts, and cannot be replaced when it does not.

    Two settings are for what the gateway leaves open. `depth_begins`: with a reset, as was seen; or,
    where that never comes, with the first list of a subscription. `depth_size`: which of its two volumes
    is resting at a level.

    Two are for REST. `live_data`: contracts and bars of live accounts. `bars_rate`: requests for bars in a
    time, for which the gateway's documents have named two limits.
    """

    platform: Platform = "topstepx"  # where no url is given
    market_url: str = ""  # the market hub's; empty: the one beside `url`
    api_url: str = ""  # of the REST part; empty: what belongs to the hubs
    user_name: str = ""  # of the platform, not an e-mail address
    api_key: Secret | None = None
    token: Secret | None = None
    skip_negotiation: bool = True  # as the gateway's own examples do
    token_in: Literal["query", "header"] = "query"  # the gateway documents the query alone
    depth_begins: Literal["reset", "first_list"] = "reset"
    depth_size: Literal["volume", "current_volume"] = "volume"
    live_data: bool = False
    bars_rate: str = "30/30s"

    def __post_init__(self) -> None:
        if self.token and (self.api_key or self.user_name):
            raise ValueError("token is given beside user_name and api_key; one of the two is enough")
        if bool(self.api_key) != bool(self.user_name.strip()):
            raise ValueError("user_name and api_key go together, and one of them is missing")
        if self.market_url and not self.market_url.startswith(("wss://", "https://", "ws://", "http://")):
            raise ValueError("market_url is a URL that starts with wss:// or https://, or ws:// or http://")
        if self.api_url and not self.api_url.startswith(("https://", "http://")):
            raise ValueError("api_url is a URL that starts with https:// or http://")
        if "access_token=" in (self.url + self.market_url).lower():  # as the gateway's examples have it
            raise ValueError('an access_token in a URL is not used: add token = "${NAME}" instead')
        if self.url.startswith(("sim:", "replay:")) and (self.market_url or self.api_url):
            raise ValueError("url is a simulator of all of the gateway: leave market_url and api_url out")
        FrameLimit.parse(self.bars_rate)
        _ = self.places

    @property
    def places(self) -> HubAddresses:
        """Raises: ValueError: the URLs that are given do not tell where the others are."""
        return places(self.url, self.market_url, self.api_url, self.platform)
