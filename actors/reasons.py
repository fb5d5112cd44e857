"""Why an actor ended, in OTP's sense; and how an attempt to connect, to log in or to ask failed."""

from __future__ import annotations

from msgspec import Struct


class Stopped(Struct, frozen=True):
    """It was asked to: OTP's `normal` and `shutdown`."""

    text: str = "stopped"
    code: str = "stopped"


class Retryable(Struct, frozen=True):
    """The network or the venue failed in a way that passes: it is retried after the backoff.

    `code` is short and stable (`lost`, `pong_timeout`, `http_503`, `close_1006`); `text` is for
    people and names no secret, `advice` what they can do, where something helps.
    """

    text: str
    code: str = "lost"
    advice: str = ""


class Slow(Struct, frozen=True):
    """The venue asked for a pause, of `retry_after` seconds where it says how long. It is retried after that.

    `exact`: a locally computed delay; it is kept exactly, and not doubled on repetition. `shared`: the pause
    is of the account or the address, not of this line alone; with `retry_after` it always is.
    """

    text: str
    code: str
    retry_after: float | None = None
    exact: bool = False
    shared: bool = False


class Fatal(Struct, frozen=True):
    """A verdict on the credentials, or a config that cannot work: a person has to act on `advice`.

    `probe_after`: the seconds after which the supervisor tries it once more all the same, where
    `rules/restarts.py` wants that; None: never.
    """

    text: str
    code: str
    advice: str = ""
    probe_after: float | None = None


class Weather(Fatal, frozen=True):
    """A refusal that says nothing certain: 403, 404, a redirect, a certificate for another host.

    Before any stable life it is fatal, because the config may be wrong. After one with the same URL and
    credentials it may pass, and `rules/restarts.py` makes it slow.
    """


class Crashed(Struct, frozen=True):
    """A defect of ours: an unexpected exception. The traceback is in the log."""

    text: str
    code: str = "crashed"


Reason = Stopped | Retryable | Slow | Fatal | Crashed


HANDED_OVER = "handed_over"  # the reason's code of a connection that has handed over
