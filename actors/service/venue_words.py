"""What is told of a line that is down: a code to every caller, a venue's words with the right `account`.

A venue may name the account in what it says of a login or of a connection: "no margin on 77341". Texts that
Linewarden writes by itself are shown to every caller.
"""

from __future__ import annotations

from typing import Final

from msgspec import structs

from actors.errors import StalePriceError
from actors.events import Freshness, Lifecycle, Marker, Tried
from actors.market.latest_prices import OWN_WORDS
from actors.rules.latest_price import REST
from actors.rules.order_book import BookView

HIDDEN: Final = "its text needs the right account"

# Of these codes the text is Linewarden's or the system's. With any other one it may be the venue's.
OWN: Final = frozenset(
    {
        "ack_timeout",
        "certificate",
        "close_1006",  # a connection that has ended without a close frame
        "connect_timeout",
        "descriptors",
        "dns",
        "hostname",
        "login_budget",
        "login_timeout",
        "lost",
        "max_message",
        "pong_timeout",
        "refused",
        "resources",
        "routes",
        "send_buffer",
        "server_timeout",
        "stopped",
        "tls",
        "token_expired",
        "unreachable",
        "wedged",
    }
)

_DOWN: Final = frozenset({"connecting", "disconnected", "reconnecting", "failed", "paused"})


def public_text(code: str, text: str) -> str:
    """Of a reason with this code."""
    return text if code in OWN or not text else HIDDEN


def public_freshness(found: Freshness) -> Freshness:
    """That its line is down, without the reason in brackets."""
    if found.cause not in {"not_live", "silent_loss"}:
        return found
    return structs.replace(found, text=found.text.partition(" (")[0])


def public_book(view: BookView) -> BookView:
    """That its line is down, without the reason behind the colon."""
    about, colon, _ = view.reason.partition(": ")
    is_of_line = bool(colon) and about.rpartition(" is ")[2] in _DOWN
    return structs.replace(view, reason=about) if is_of_line else view


def public_stale(error: StalePriceError) -> StalePriceError:
    """Without what the venue answered to the question for a price."""
    words = [each.why for each in error.tried if _is_of_venue(each)]
    text = str(error)
    for each in filter(None, words):
        text = text.replace(each, HIDDEN)
    tried = [structs.replace(each, why=HIDDEN) if _is_of_venue(each) else each for each in error.tried]
    return StalePriceError(text, tried)


def _is_of_venue(tried: Tried) -> bool:
    return tried.source == REST and tried.part is None and tried.why not in OWN_WORDS


def public_marker(marker: Marker) -> Marker:
    """A lifecycle without its reason: it has no code that says whose words they are."""
    if isinstance(marker, Lifecycle) and marker.reason:
        return structs.replace(marker, reason=HIDDEN)
    return marker
