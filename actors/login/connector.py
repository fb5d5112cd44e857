"""How a line gets in: its venue's endpoint, and the feed's token where the line has to show one.

A login may be metered (tplus: 100 requests in half an hour for an address), so one token serves all
lines of a feed for as long as it lives, whatever happens to their connections.
"""

from __future__ import annotations

from actors.http_types import Endpoint, HttpFailed
from actors.login.redaction import in_the_path, secrets_in, secrets_shown, without_secrets
from actors.login.token_store import LATE, Shows, TokenStore, _not_proved, is_turned_away
from actors.protocol.conversation import Token
from actors.protocol.venue import Opening, Venue
from actors.reasons import Fatal, Reason, Retryable, Stopped
from actors.wire.connect import ConnectCancel, ConnectFailed, Dial, SocketOpened, open_socket


class Connector:
    """Connects and logs in one line, for one epoch."""

    def __init__(
        self,
        venue: Venue,
        line: str,
        dial: Dial,
        connect_cancel: ConnectCancel,
        token_store: TokenStore,
        shows: Shows = "stored",
    ) -> None:
        self._shows = shows
        self.dial, self.connect_cancel = dial, connect_cancel
        self.redactor = token_store.redactor
        self._venue, self._line, self._token_store = venue, line, token_store
        self._token: Token | None = None
        self._is_new = False  # made by a login for this connection, and not accepted by the venue yet
        self._shown_at = 0.0  # monotonic seconds

    def open(self) -> SocketOpened:
        """An upgraded socket. Blocks; a thread of its own calls it.

        A token that the venue turns away at the connector is replaced once, and shown once more.

        Raises:
            ConnectFailed: with the reason.
        """
        if not self._venue.needs_token(self._line):
            return self._connect()
        shown, self._is_new = self._token_store.token(self._line, self.connect_cancel, shows=self._shows)
        self._token = shown
        try:
            return self._connect()
        except ConnectFailed as failed:
            if self._is_new or not is_turned_away(failed.reason):
                raise
            refusal = failed
        self._token, _ = self._token_store.token(self._line, self.connect_cancel, shown)
        if self._token == shown:  # it was given to us, and there is no other
            raise refusal
        self._is_new = True
        return self._connect()

    def token_taken(self) -> None:
        """Inside, the venue has confirmed a topic: from now on the token is one that was good once."""
        self._is_new = False

    def token_refused(self, text: str) -> Reason:
        """What it means that the venue, once inside, does not take the token."""
        # A venue may confirm nothing: a token that it has not refused for `LATE` seconds counts as accepted.
        held = self._token_store.clock.monotonic() - self._shown_at
        if self._token is None or (self._is_new and held < LATE):
            if self._token_store.doubts(self._token, self._line):
                return _not_proved(text)
            advice = f"Check the credentials of [feeds.{self._venue.feed}]."
            return Fatal(text, "token_refused", advice)
        self._token_store.refuse(self._token)
        return Retryable(f"{text}; it was accepted before, so a new one is made", "token_refused")

    def _connect(self) -> SocketOpened:
        if self.connect_cancel.cancelled:
            raise ConnectFailed(Stopped())
        self._shown_at = self._token_store.clock.monotonic()
        try:
            endpoint = self._endpoint()
            settings = self._venue.settings
            shown = (*secrets_shown(endpoint), *in_the_path(settings.url), *secrets_in(settings))
            self.redactor.add_secrets(shown)
            return open_socket(endpoint, self.dial, self.connect_cancel)
        except ConnectFailed as failed:
            if is_turned_away(failed.reason) and self._token_store.doubts(self._token, self._line):
                raise ConnectFailed(_not_proved(failed.reason.text)) from None
            raise

    def _endpoint(self) -> Endpoint:
        asking = self._venue.approach(Opening(self._line, self._token))
        if asking is None:
            return self._venue.endpoint(Opening(self._line, self._token))
        from actors.wire.http_client import converse  # an HTTP client, where one is needed

        outcome = converse(asking, self.dial, self.connect_cancel)
        if self.connect_cancel.cancelled:
            raise ConnectFailed(Stopped())
        if isinstance(outcome, HttpFailed):
            outcome = outcome.reason()
        if not isinstance(outcome, Endpoint):
            raise ConnectFailed(without_secrets(outcome, self.redactor))
        return outcome
