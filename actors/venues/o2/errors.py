"""O2's errors: what each code means for a subscription, or for the connection."""

from __future__ import annotations

from collections.abc import Mapping

from actors.protocol import Reason, Retryable, Slow, Weather
from actors.venues.o2.messages import Failure

# What refuses a subscription, and after how many seconds it may be asked for again. All others
# concern trading and REST, or no topic: they are passed on as complaints.
REFUSALS: Mapping[str, float | None] = {
    "1001": None,  # invalid request
    "1002": None,  # cannot parse
    "2000": None,  # market not found
    "2001": 60.0,  # market paused
    "4002": None,  # account not found
    "6001": None,  # too many subscriptions
    "6002": 5.0,  # subscription error
}
ALREADY = "6000"  # already subscribed: benign


def ending(code: str, text: str) -> Reason | None:
    """Why the connection is of no more use after this error; None: it is."""
    match code:
        case "1000":
            return Retryable(text, "o2_1000")
        case "1003":
            return Slow(text, "o2_1003", shared=True)
        case "1004":
            advice = "O2 does not serve this location: run it from where O2 may be used."
            return Weather(text, "o2_1004", advice)
    return None


def is_error(failure: Failure, action: str, known: bool) -> bool:
    """Whether a frame that is no data is an error; `known`: its action is one that bears data.

    Its shape is unconfirmed: any code is an error, and any message with an unknown action.
    A change of a book is never taken for one, for then its loss would not show.
    """
    if action == "error" or failure.resync_required:
        return True
    if action == "subscribe_depth_update":
        return False
    return failure.code is not None or (bool(failure.text) and not known)
