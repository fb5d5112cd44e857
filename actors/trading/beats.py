"""The beats of a program, for the service whose dead man's switch watches it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urlencode

from actors import log_queue
from actors.client.open_socket import connector
from actors.client.service_http import ServiceHttp
from actors.errors import LinewardenError, ServiceDeclinedError, ServiceUnreachableError
from actors.secret import Secret
from actors.settings.service_address import ServiceAddress, parse_address
from actors.supervision.forks import Home

log = log_queue.logger("actors.trading.beats")

ANSWER: Final = 2.0  # seconds for one beat
LONGEST: Final = 65_536  # bytes of an answer


class Beats:
    """Sends beats for one feed. Any thread may call.

    A beat is sent because the program has called, and never by itself: a program that hangs does not beat.
    `service`: its address, `unix:/path`, `https://…` or `http://…`; or a function that returns it for each
    beat, for a service that may start again elsewhere. `by`: the program's name there; several programs of a
    feed have different ones. `token`: one with the right `act`; over TCP only.

    Raises:
        ValueError: `service` is a text and no address.
    """

    def __init__(
        self,
        service: str | Callable[[], ServiceAddress],
        feed: str,
        *,
        by: str,
        token: Secret | str | None = None,
    ) -> None:
        self._find = _always(parse_address(service)) if isinstance(service, str) else service
        self._connector = connector()
        self._path = f"/beat/{quote(feed, safe='')}?{urlencode({'by': by})}"
        self._feed, self._token = feed, Secret(token) if isinstance(token, str) else token
        self._home = Home()
        self._lock = threading.Lock()
        self._asked = threading.Event()
        self._is_stopped = False
        self._thread: threading.Thread | None = None
        self._is_unheard = False

    def beat(self) -> None:
        """The program is alive. Returns at once; a beat that waits stands for later ones."""
        self._home.check()
        with self._lock:
            self._asked.set()
            if self._thread is None and not self._is_stopped:
                self._thread = threading.Thread(target=self._run, name="beats", daemon=True)
                self._thread.start()

    def end(self) -> None:
        """The program ends in good order: its switch is disarmed. Waits for the answer, 2 s at most.

        Raises:
            LinewardenError: the service has not confirmed it, and will halt the feed.
        """
        self._home.check()
        self.stop()
        if why := self._send("&last=1"):
            raise LinewardenError(f"{self._feed}: its dead man's switch is still armed: {why}")

    def stop(self) -> None:
        """Sends no beat any more. The switch stays armed. Any number of times."""
        with self._lock:
            self._is_stopped = True
            self._asked.set()

    # ── on its own thread ──

    def _run(self) -> None:
        while True:
            self._asked.wait()
            self._asked.clear()  # first: a beat that is asked for meanwhile is sent
            if self._is_stopped:
                return
            self._note(self._send())

    def _send(self, more: str = "") -> str:
        """Returns why it was not taken; empty: it was."""
        try:
            service = ServiceHttp(self._find(), self._token, ANSWER, self._connector)
            reply = service.request("POST", self._path + more, longest=LONGEST)
        except (ServiceUnreachableError, ServiceDeclinedError) as error:
            return str(error).rstrip(".")
        return "" if reply.status < 300 else str(service.refusal(reply)).rstrip(".")

    def _note(self, why: str) -> None:
        if why and not self._is_unheard:
            log.error(
                "beat.refused",
                "%s: a beat was not taken: %s. The feed will be halted if none is.",
                self._feed,
                why,
                feed=self._feed,
            )
        if not why and self._is_unheard:
            log.warning("beat.accepted", "%s: beats are taken again", self._feed, feed=self._feed)
        self._is_unheard = bool(why)


def _always(address: ServiceAddress) -> Callable[[], ServiceAddress]:
    return lambda: address
