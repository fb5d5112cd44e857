"""What the gateway's refusals mean: an HTTP status, or an envelope that says so with status 200."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from actors.protocol import Fatal, HttpAnswer, Reason, Secret, Slow, status_reason
from actors.protocol.signalr.formatting import said

CHECK: Final = (
    "Check user_name (the platform's, not an e-mail address) and api_key, or token; then restart the feed."
)
ADDRESS: Final = "Check platform, url and api_url of this feed; then restart the feed."

# ProjectX, "LoginErrorCode": the name of each, and advice for people.
LOGIN_CODES: Final = {
    1: ("UserNotFound", CHECK),
    2: ("PasswordVerificationFailed", CHECK),
    3: ("InvalidCredentials", CHECK),
    4: ("AppNotFound", CHECK),
    5: ("AppVerificationFailed", CHECK),
    6: ("InvalidDevice", CHECK),
    7: ("AgreementsNotSigned", "Sign the agreements at the platform; then restart the feed."),
    9: ("ApiSubscriptionNotFound", "Subscribe to the API at the platform; then restart the feed."),
    10: ("ApiKeyAuthenticationDisabled", "Have logins by API key allowed; then restart the feed."),
}

# ProjectX, "ValidateErrorCode".
VALIDATE_CODES: Final = {1: "InvalidSession", 2: "SessionNotFound", 3: "ExpiredToken", 4: "UnknownError"}
EXPIRED: Final = "Put a new token into the feed, or user_name and api_key, which get one when it is needed."


class GatewayAnswer(Struct, frozen=True, rename="camel"):
    """The part that all answers share. Its repr shows no token."""

    success: bool | None = None
    error_code: int | None = None
    error_message: Any = None
    token: str | None = None
    new_token: str | None = None

    def __repr__(self) -> str:
        return f"Envelope(success={self.success}, error_code={self.error_code})"

    @property
    def is_good(self) -> bool | None:
        """None: success and code contradict each other, or are not there."""
        if self.success is None or self.success != (self.error_code in (0, None)):
            return None
        return self.success


decode_envelope = msgspec.json.Decoder(GatewayAnswer).decode


def refused_by_status(answer: HttpAnswer, asked: str) -> Reason:
    """What a status other than 200 means."""
    text = f"ProjectX answered {asked} with HTTP {answer.status}"
    return status_reason(answer, text, CHECK if answer.status in (400, 401, 403) else ADDRESS)


def refused_login(envelope: GatewayAnswer, *secrets: Secret | None) -> Reason:
    """What an envelope without success means."""
    words = said(envelope.error_message, *secrets, otherwise="")
    words = f": {words}" if words else ""
    number = envelope.error_code
    if number in LOGIN_CODES:
        name, advice = LOGIN_CODES[number]
        return Fatal(f"ProjectX refused the login ({number} {name}{words})", f"projectx_{number}", advice)
    # 8 is UnknownError, by its name; one that was added since may be anything.
    return Slow(f"ProjectX refused the login ({number}{words})", f"projectx_{number}")


def refused_renewal(envelope: GatewayAnswer, *secrets: Secret | None) -> Fatal:
    """What an envelope without success means for a token that was to be renewed."""
    words = said(envelope.error_message, *secrets, otherwise="")
    number = envelope.error_code
    name = f" {VALIDATE_CODES[number]}" if number in VALIDATE_CODES else ""
    text = f"ProjectX does not renew the token ({number}{name}{f': {words}' if words else ''})"
    return Fatal(text, f"validate_{number}", EXPIRED)
