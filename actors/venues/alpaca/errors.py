"""Alpaca's error table: what each code means for the change in flight, or for the connection."""

from __future__ import annotations

from enum import Enum

from actors.protocol import Fatal, Reason, Retryable, Slow


class Verdict(Enum):
    """What an error says of the subscription change that is in flight."""

    SYMBOL = "symbol"  # one of its symbols is to blame: the others may be fine
    LIMIT = "limit"  # it is too much: a part of it may fit
    CHANNEL = "channel"  # a channel is to blame


VERDICTS = {
    "400": Verdict.SYMBOL,  # malformed
    "405": Verdict.LIMIT,  # of symbols; the subscriptions are unchanged
    "410": Verdict.CHANNEL,  # not offered by this feed
    "413": Verdict.SYMBOL,  # a star, for option quotes
}
NOT_AUTHENTICATED = "401"
ALREADY_AUTHENTICATED = "403"

ADVICE = {
    "405": "the plan allows no more symbols: give up others, or change it",
    "410": "this stream does not offer the channel",
}

KEYS = (
    "Check key and secret in this feed's table: they are of one environment, "
    "live, paper or sandbox, and this must be it."
)
_FATAL = {
    "402": KEYS,
    "408": "The account has no access to version 2 of the market data.",
    "409": "The plan does not include this stream: choose another in `stream`, or change the plan.",
    "411": "The token's scope does not allow this: use the account's own key and secret.",
    "412": 'Options come in msgpack alone: leave `encoding` out, or set it to "msgpack".',
}
# The venue may hold the place of a session that died without a close for about 90 s.
_SLOW = {"406"}
_RETRYABLE = {
    "404": "the login came too late",
    "407": "events were read too slowly, and the venue gives up",
    "500": "the venue failed",
}


def ending(code: str, words: str) -> Reason | None:
    """Why the connection is of no more use after this error; None: it is."""
    text, name = told(code, words), f"alpaca_{code}"
    if code in _FATAL:
        return Fatal(text, name, _FATAL[code])
    if code in _SLOW:
        return Slow(text, name, shared=True)
    if code in _RETRYABLE:
        return Retryable(f"{text}: {_RETRYABLE[code]}", name)
    return None


def told(code: str, words: str) -> str:
    """An error in one line."""
    return f"alpaca error {code}".rstrip() + f": {words or 'no words'}"
