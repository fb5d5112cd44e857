"""How the answer to one request may fail: a row for each, and what takes it from the table of faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import Struct

from actors.simulators.base.client import HttpReply, retry_header
from actors.simulators.base.faults import Code, PendingFaults, RetryAfter, Status, Times, fault
from actors.simulators.projectx.codes import MUTATIONS
from actors.simulators.projectx.envelope import failure, without_list
from actors.simulators.signalr.framing import encode

PageName = Annotated[str, "such as Order/place; `mutations`, `reads`, `logins`; empty: any"]
Mutation = Annotated[str, "such as Order/place; `mutations`: any of them"]
Login = Annotated[str, "loginKey: logins; validate: renewals"]
Effect = Annotated[bool, "the request takes effect all the same"]
Reset = Annotated[bool, "the connection ends by a reset, not by a FIN"]
Absence = Annotated[Literal["null", "missing"], "what becomes of the list"]
Ambiguity = Annotated[Literal["pending", "unknown"], "OrderPending or UnknownError"]
Rubbish = Annotated[
    Literal["json", "empty", "html", "disagree", "bare"],
    "broken JSON, nothing, HTML, success with a code that is not 0, an object without an envelope",
]
Words = Annotated[str, "the venue's errorMessage; empty: null"]
Seconds = Annotated[float, "seconds"]

_RUBBISH = {
    "json": b'{"orderId":98',
    "empty": b"",
    "html": b"<html><body><h1>Bad Gateway</h1></body></html>",
    "disagree": encode({"success": True, "errorCode": 2, "errorMessage": None}),
    "bare": b'{"hello":"world"}',
}


class PageFault(Struct, frozen=True, kw_only=True):
    """What is different for one request. Nothing given: nothing is."""

    wait: float = 0.0  # seconds until it takes effect, whether the client still waits or not
    effect: bool = True
    instead: HttpReply | None = None  # another answer
    ambiguity: str | None = None  # the name of a code that leaves open what has happened
    edit: Callable[[HttpReply], HttpReply] | None = None  # its own answer, changed
    hang_up: bool = False  # the connection ends at once
    hold: float = 0.0  # seconds until its answer leaves
    cut_at: int | None = None  # so many bytes of the answer are sent, and the connection ends
    reset: bool = False
    events_wait: float = 0.0  # seconds from its answer until what it makes the hubs tell


USUAL = PageFault()


def take_fault(pending: PendingFaults, page: str) -> PageFault:
    """What waits for a request for this page: what names the page comes first, then its kind, then any."""
    kind = "mutations" if page in MUTATIONS else "logins" if page.startswith("Auth/") else "reads"
    found = (pending.take("page", name) for name in (page.lower(), kind, ""))
    return next((each for each in found if each is not None), USUAL)


class PageFaults:
    """The faults of a venue's REST. Each is of the next `n` requests for a page."""

    pending: PendingFaults

    def _expect(self, page: str, n: int, what: PageFault) -> None:
        name = page.removeprefix("/api/").lower()
        known = {each.lower() for each in self.page_names()} | {"mutations", "reads", "logins", ""}
        if name not in known:
            raise ValueError(f"there is no page {page!r}; there is {', '.join(self.page_names())}")
        self.pending.add("page", name, times=n, what=what)

    def page_names(self) -> list[str]:
        """The pages that there are, as faults name them."""
        raise NotImplementedError

    @fault
    def refuse_login(self, code: Code = 3, n: Times = 1, page: Login = "loginKey") -> None:
        """Fails the next `n` logins or renewals under HTTP 200."""
        field = "newToken" if page == "validate" else "token"
        reply = failure(code, "Refused.", **{field: None})
        self._expect(f"Auth/{page}", n, PageFault(effect=False, instead=reply))

    @fault
    def refuse_page(
        self,
        status: Status = 503,
        n: Times = 1,
        retry_after: RetryAfter = 0.0,
        page: PageName = "",
        effect: Effect = False,
    ) -> None:
        """Answers the next `n` requests for a page with this HTTP status."""
        reply = HttpReply(status, b"", retry_header(retry_after))
        self._expect(page, n, PageFault(effect=effect, instead=reply))

    @fault
    def redirect_page(
        self,
        status: Status = 307,
        n: Times = 1,
        page: PageName = "",
        location: Annotated[str, "where to; `?`: the same page"] = "?",
    ) -> None:
        """Sends the next `n` requests for a page to another place, and does not do what they ask for."""
        reply = HttpReply(status, b"", {"Location": location})
        self._expect(page, n, PageFault(effect=False, instead=reply))

    @fault
    def refuse_mutation(
        self, code: Code = 2, text: Words = "", n: Times = 1, page: Mutation = "mutations"
    ) -> None:
        """Refuses the next `n` mutations with this code of their page, and does not do them."""
        reply = failure(code, text or None)
        self._expect(page, n, PageFault(effect=False, instead=reply))

    @fault
    def pending_code(
        self, kind: Ambiguity = "pending", effect: Effect = True, n: Times = 1, page: Mutation = "mutations"
    ) -> None:
        """Answers the next `n` mutations with a code that leaves open what has happened."""
        self._expect(page, n, PageFault(effect=effect, ambiguity=kind))

    @fault
    def answer_lost(self, n: Times = 1, page: PageName = "mutations", reset: Reset = True) -> None:
        """Does what the next `n` requests ask for, and ends their connection without an answer."""
        self._expect(page, n, PageFault(cut_at=0, reset=reset))

    @fault
    def request_lost(self, n: Times = 1, page: PageName = "mutations", reset: Reset = True) -> None:
        """Ends the connection of the next `n` requests, and does not do what they ask for."""
        self._expect(page, n, PageFault(effect=False, cut_at=0, reset=reset))

    @fault
    def answer_late(self, seconds: Seconds = 1.0, n: Times = 1, page: PageName = "mutations") -> None:
        """Does what the next `n` requests ask for at once, and answers later."""
        self._expect(page, n, PageFault(hold=seconds))

    @fault
    def request_late(
        self,
        seconds: Seconds = 1.0,
        n: Times = 1,
        page: PageName = "mutations",
        hang_up: Annotated[bool, "the connection ends at once, without an answer"] = False,
    ) -> None:
        """Does what the next `n` requests ask for later, whether the client still waits or not."""
        self._expect(page, n, PageFault(wait=seconds, hang_up=hang_up, reset=True))

    @fault
    def event_first(self, seconds: Seconds = 0.05, n: Times = 1, page: Mutation = "mutations") -> None:
        """Answers the next `n` mutations so much later than the hubs tell what they have done."""
        self._expect(page, n, PageFault(hold=seconds))

    @fault
    def event_late(self, seconds: Seconds = 0.05, n: Times = 1, page: Mutation = "mutations") -> None:
        """Makes the hubs tell what the next `n` mutations have done only so long after the answer."""
        self._expect(page, n, PageFault(events_wait=seconds))

    @fault
    def list_absent(self, kind: Absence = "null", n: Times = 1, page: PageName = "reads") -> None:
        """Leaves the list out of the next `n` answers, in an envelope that says that all is well."""
        self._expect(page, n, PageFault(edit=without_list(kind)))

    @fault
    def garbage_answer(
        self, kind: Rubbish = "json", n: Times = 1, page: PageName = "", effect: Effect = True
    ) -> None:
        """Answers the next `n` requests under HTTP 200 with what is no answer."""
        self._expect(page, n, PageFault(effect=effect, instead=HttpReply(200, _RUBBISH[kind])))

    @fault
    def cut_answer(
        self,
        size: Annotated[int, "bytes that are sent, the head among them; below 0: so many are missing"] = 40,
        n: Times = 1,
        page: PageName = "mutations",
        reset: Reset = False,
    ) -> None:
        """Does what the next `n` requests ask for, and ends the connection within the answer."""
        self._expect(page, n, PageFault(cut_at=size, reset=reset))
