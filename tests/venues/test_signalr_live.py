"""The hub of the guide's table with a running runtime, on a hub that is simulated on loopback."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

import actors
from actors.errors import SubscribeError
from actors.simulators.signalr import Caller, HubError, Method, SimulatedHubs
from actors.status import LineStatus
from tests.support.runtimes import HEARTBEAT, RESTART, until

GUIDE = (Path(__file__).parents[2] / "docs" / "venues.md").read_text(encoding="utf-8")
TABLE = GUIDE.partition("<!-- the hub -->\n```toml\n")[2].partition("```")[0]
TOKEN = "t0ken-c4nary"
CONTRACT = "ESZ6"


class SimulatedQuay(SimulatedHubs):
    """The other end of the guide's table."""

    known: ClassVar = {CONTRACT, "NQZ6"}

    def methods(self) -> Mapping[str, Mapping[str, Method]]:
        methods = {
            "SubscribeQuotes": Method(self._join_quotes, (str,)),
            "UnsubscribeQuotes": Method(lambda caller, key: self.leave_group(key, caller), (str,)),
            "SubscribeBook": Method(self._join_book, (str, int)),
            "UnsubscribeBook": Method(
                lambda caller, key, depth: self.leave_group(f"{key}/{depth}", caller), (str, int)
            ),
        }
        return {"/hubs/market": methods}

    def accepts(self, token: str) -> bool:
        return super().accepts(token) if self.settings.tokens else token == TOKEN

    def quote(self, bid: int, key: str = CONTRACT) -> None:
        self.tell_group(key, "Quotes", [key, [{"bid": bid, "t": 1_700_000_000_123}]])

    def change(self, number: int, kind: str = "change") -> None:
        self.tell_group(f"{CONTRACT}/5", "Book", [CONTRACT, 5, {"n": number, "kind": kind}])

    def _join_quotes(self, caller: Caller, key: str) -> None:
        if key not in self.known:
            raise HubError("no such contract")
        self.join_group(key, caller)

    def _join_book(self, caller: Caller, key: str, depth: int) -> None:
        self.join_group(f"{key}/{depth}", caller)
        self.change(1, "snapshot")


@pytest.fixture
def quay() -> Iterator[SimulatedQuay]:
    with SimulatedQuay() as each:
        yield each


@contextmanager
def runtime_on(
    quay: SimulatedQuay, directory: Path, extra: str = "", *, live: bool = True, **feed: Any
) -> Iterator[actors.Runtime]:
    (directory / "quay.toml").write_text(f"{extra}\n{TABLE}")
    table: dict[str, Any] = {"venue": str(directory / "quay.toml"), "token": TOKEN, "connect_timeout": 5.0}
    table["url"] = re.sub("^http", "ws", quay.hub_url("market"))
    table["restart"] = RESTART | {"slow_initial": 0.05}
    table["heartbeat"] = HEARTBEAT | {"venue_ping_interval": 0.05}
    with actors.start({"feeds": {"quay": table | feed}}, wait=10.0 if live else None) as runtime:
        yield runtime


def line(runtime: actors.Runtime) -> LineStatus:
    return runtime.status().lines()["quay"]


def back(runtime: actors.Runtime, epoch: int = 2) -> LineStatus:
    """The line in a later life, with all its topics confirmed."""

    def is_back(status: Any) -> bool:
        told = status.lines()["quay"]
        return bool(told.epoch >= epoch and told.state == "live")

    return until(runtime, is_back).lines()["quay"]


def test_quotes_reach_the_streams_that_asked_and_a_refusal_is_told(
    quay: SimulatedQuay, tmp_path: Path
) -> None:
    with runtime_on(quay, tmp_path) as runtime:
        quotes = runtime.subscribe("quay", "quotes", "esz6", wait=10.0)
        assert quay.invocations("SubscribeQuotes") == [[CONTRACT]]
        quay.quote(6801)
        event = quotes.get(timeout=10.0)
        assert (event.key, event.data["bid"], event.at_ns) == (CONTRACT, 6801, 1_700_000_000_123_000_000)
        with pytest.raises(SubscribeError, match="no such contract"):
            runtime.subscribe("quay", "quotes", "NOPE", wait=10.0)
        notices = runtime.subscribe("quay", "notices", wait=10.0)
        quay.push("market", "Notice", "The market is open.")
        assert notices.get(timeout=10.0).data == "The market is open."
        quotes.close()
        quay.wait_heard("UnsubscribeQuotes")


@pytest.mark.parametrize("kind", ["server", "binding", "unknown", "forbidden"])
def test_a_call_that_fails_at_the_hub_is_a_refusal(quay: SimulatedQuay, tmp_path: Path, kind: Any) -> None:
    quay.completion_error("SubscribeQuotes", kind=kind)
    with runtime_on(quay, tmp_path) as runtime:
        with pytest.raises(SubscribeError, match="SubscribeQuotes"):
            runtime.subscribe("quay", "quotes", CONTRACT, wait=10.0)
        _stream = runtime.subscribe("quay", "quotes", "NQZ6", wait=10.0)


def test_a_book_with_a_hole_begins_anew(quay: SimulatedQuay, tmp_path: Path) -> None:
    with runtime_on(quay, tmp_path) as runtime:
        book = runtime.subscribe("quay", "book", CONTRACT, wait=10.0)
        assert book.get(timeout=10.0).kind == "snapshot"
        quay.change(2)
        assert book.get(timeout=10.0).data["n"] == 2
        quay.change(5)
        assert book.get(timeout=10.0).kind == "snapshot"
        assert [(gap.reason, gap.missed) for gap in book.gaps] == [("sequence", 2)]
        quay.wait_heard("SubscribeBook", 2)


@pytest.mark.parametrize(
    "fault", ["drop", "reset", "close code=1001", "hub_close allow_reconnect=true", "hub_close error=enough"]
)
def test_after_a_loss_everything_comes_back(quay: SimulatedQuay, tmp_path: Path, fault: str) -> None:
    with runtime_on(quay, tmp_path) as runtime:
        quotes = runtime.subscribe("quay", "quotes", CONTRACT, wait=10.0)
        quay.arm(fault)
        back(runtime)
        assert quay.members(CONTRACT) == 1
        quay.quote(7000)
        assert quotes.get(timeout=10.0).data["bid"] == 7000
        assert [gap.reason for gap in quotes.gaps] == ["disconnect"]


@pytest.mark.parametrize("kind", ["json", "nesting"])
def test_what_is_no_record_is_put_aside(quay: SimulatedQuay, tmp_path: Path, kind: Any) -> None:
    with runtime_on(quay, tmp_path) as runtime:
        quotes = runtime.subscribe("quay", "quotes", CONTRACT, wait=10.0)
        quay.garbage(kind)
        quay.quote(7000)
        assert quotes.get(timeout=10.0).data["bid"] == 7000
        assert [gap.reason for gap in quotes.gaps] == ["quarantine"]
        assert line(runtime).epoch == 1


@pytest.mark.parametrize(
    ("allowed", "code"), [("allow_reconnect=true", "hub_closed"), ("error=enough", "hub_dismissed")]
)
def test_a_hub_that_does_not_ask_us_back_is_left_alone_for_longer(
    quay: SimulatedQuay, tmp_path: Path, allowed: str, code: str
) -> None:
    patient = RESTART | {"initial": 30.0, "maximum": 60.0, "slow_initial": 30.0}
    with runtime_on(quay, tmp_path, restart=patient) as runtime:
        quay.arm(f"hub_close {allowed}")
        status = until(runtime, lambda told: told.lines()["quay"].reason is not None)
        reason = status.lines()["quay"].reason
        assert reason is not None
        assert reason.code == code


def test_an_id_that_is_over_is_answered_with_a_new_negotiation(quay: SimulatedQuay, tmp_path: Path) -> None:
    quay.reuse_id()
    with runtime_on(quay, tmp_path) as runtime:
        assert line(runtime).state == "live"
        asked = [each for each in quay.requests if each.path.endswith("/negotiate")]
        upgrades = [each.query["id"] for each in quay.requests if each.path == "/hubs/market"]
        assert len(asked) == len(set(upgrades)) == 2


def test_a_redirect_is_followed_with_the_token_that_it_gives(tmp_path: Path) -> None:
    with SimulatedQuay(tokens=lambda token: token in {TOKEN, "another"}) as quay:
        quay.redirect(token="another")
        with runtime_on(quay, tmp_path) as runtime:
            _stream = runtime.subscribe("quay", "quotes", CONTRACT, wait=10.0)
            (upgrade,) = [each for each in quay.requests if each.path == "/hubs/market"]
            assert upgrade.query["access_token"] == "another"


@pytest.mark.parametrize("extra", ["skip_negotiation = true", 'token_in = "header"'])
def test_a_hub_is_found_by_every_way_in(quay: SimulatedQuay, tmp_path: Path, extra: str) -> None:
    with runtime_on(quay, tmp_path, extra) as runtime:
        _stream = runtime.subscribe("quay", "quotes", CONTRACT, wait=10.0)
        (upgrade,) = [each for each in quay.requests if each.path == "/hubs/market"]
        assert ("id" in upgrade.query) == ("skip" not in extra)
        assert ("access_token" in upgrade.query) == ("token_in" not in extra)


@pytest.mark.parametrize(
    "habits", [{"packed": 50}, {"fragment": 7}, {"faults": ["split"]}, {"packed": 3, "fragment": 5}]
)
def test_records_come_in_any_packing(tmp_path: Path, habits: dict[str, Any]) -> None:
    with SimulatedQuay(**habits) as quay, runtime_on(quay, tmp_path) as runtime:
        quotes = runtime.subscribe("quay", "quotes", CONTRACT, wait=10.0)
        for bid in range(20):
            quay.quote(bid)
        assert [quotes.get(timeout=10.0).data["bid"] for _ in range(20)] == list(range(20))


def test_a_hub_that_falls_silent_is_given_up(tmp_path: Path) -> None:
    with (
        SimulatedQuay(ping_interval=0.1) as quay,
        runtime_on(quay, tmp_path, "server_timeout = 0.5\nkeep_alive = 0.2") as runtime,
    ):
        quotes = runtime.subscribe("quay", "quotes", CONTRACT, wait=10.0)
        quay.wait_heard("ping", 3)
        assert line(runtime).epoch == 1
        quay.server_timeout()
        back(runtime)
        quay.quote(7)
        assert quotes.get(timeout=10.0).data["bid"] == 7
        assert [gap.reason for gap in quotes.gaps] == ["disconnect"]


def test_a_rotation_leaves_no_gap(quay: SimulatedQuay, tmp_path: Path) -> None:
    with runtime_on(quay, tmp_path) as runtime:
        quotes = runtime.subscribe("quay", "quotes", CONTRACT, wait=10.0)
        runtime.rotate("quay")
        assert line(runtime).epoch == 2
        quay.wait_for(lambda: quay.members(CONTRACT) == 1)
        quay.quote(8)
        assert quotes.get(timeout=10.0).data["bid"] == 8
        assert quotes.gaps == ()


def test_a_wrong_token_fails_the_line_and_is_shown_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        SimulatedQuay(tokens={"another"}.__contains__) as quay,
        runtime_on(quay, tmp_path, live=False) as runtime,
    ):
        status = until(runtime, lambda told: told.lines()["quay"].state == "failed")
        reason = status.lines()["quay"].reason
        assert reason is not None
        assert reason.code == "http_401"
        assert TOKEN not in caplog.text + msgspec.json.encode(status).decode()


def test_a_hub_that_its_feed_describes_is_heard(quay: SimulatedQuay) -> None:
    (described,) = re.findall(r"<!-- the feed's own hub -->\n```toml\n(.*?)```", GUIDE, re.DOTALL)
    config = tomllib.loads(described.replace("${QUAY_TOKEN}", TOKEN))
    config["feeds"]["quay"]["url"] = re.sub("^http", "ws", quay.hub_url("market"))
    with actors.start(config, wait=10.0) as runtime:
        quotes = runtime.subscribe("quay", "quotes", CONTRACT, wait=10.0)
        quay.quote(6801)
        assert quotes.get(timeout=10.0).data["bid"] == 6801


@pytest.mark.long
def test_a_call_whose_frame_waits_for_the_budget_is_not_late(quay: SimulatedQuay, tmp_path: Path) -> None:
    rate = {"frames": ["2/3s"]}
    with runtime_on(quay, tmp_path, "answer_timeout = 1", send_rate=rate) as runtime:
        book = runtime.subscribe("quay", "book", CONTRACT, wait=20.0)
        assert book.get(timeout=10.0).kind == "snapshot"
        quay.change(9)  # a hole: the topic is given up, and asked for when the hub has answered
        assert book.get(timeout=30.0).kind == "snapshot"
        assert [gap.reason for gap in book.gaps] == ["sequence"]
        assert line(runtime).epoch == 1
