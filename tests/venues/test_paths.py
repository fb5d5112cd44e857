"""The loop that reads the usual messages of a session, and the path that reads any: the same effects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from actors.events import Topic
from actors.protocol.session import BINARY, TEXT, Effect, EffectBatch, Frame, Session, SessionState
from actors.venues.o2 import O2, O2Settings
from actors.venues.o2.session import O2Session
from actors.venues.tplus import Tplus, TplusSettings
from actors.venues.tplus.paths import STREAMS
from actors.venues.tplus.session import TplusSession


class CarefulO2(O2Session):
    def received(self, frames: Sequence[Frame], now: float) -> list[Effect]:
        self._now, out = now, EffectBatch()
        for opcode, payload in frames:
            self._read(opcode, payload, out)
        return out.effects()


class CarefulTplus(TplusSession):
    def received(self, frames: Sequence[Frame], now: float) -> list[Effect]:
        self._now, out = now, EffectBatch()
        for opcode, payload in frames:
            if self.state is SessionState.ENDED:
                break
            self._read(opcode, payload, out)
        return out.effects()


def same_effects(usual: Session, careful: Session, topics: Sequence[Topic], data: st.DataObject) -> None:
    """Reads are cut anywhere; between two of them topics come, go and start again."""
    frames = st.tuples(st.sampled_from([TEXT] * 9 + [BINARY]), st.sampled_from(MESSAGES[type(usual)]))
    reads = st.lists(frames, min_size=1, max_size=12)
    calls = st.sampled_from(["received"] * 6 + ["subscribe", "unsubscribe", "resync", "ping"])
    for step, name in enumerate(data.draw(st.lists(calls, min_size=1, max_size=8))):
        given: tuple[Any, ...] = () if name == "ping" else (data.draw(reads),)
        if name in ("subscribe", "unsubscribe", "resync"):
            given = (data.draw(st.lists(st.sampled_from(topics), min_size=1, unique=True)),)
        told = [getattr(each, name)(*given, float(step)) for each in (usual, careful)]
        assert told[0] == told[1]
        assert usual.state is careful.state


# ── O2 ──────────────────────────────────────────────────────────────────────────────────────────

VENUE = O2("o2", O2Settings())
OF_O2 = [VENUE.topic(channel, market, {}) for channel in ("trades", "depth") for market in ("aa", "bb")]


def of_o2(action: str, **fields: Any) -> bytes:
    return msgspec.json.encode({"action": action, "market_id": "0xaa", "seen_timestamp": "5", **fields})


def prints(*ids: str | int | None, **fields: Any) -> dict[str, Any]:
    entry = {"side": "buy", "price": "10", "quantity": 2}
    return {"trades": [{**entry, "trade_id": id, **fields} for id in ids]}


def sides(name: str, *levels: Any, **fields: Any) -> dict[str, Any]:
    return {name: {"buys": levels, **fields}}


LEVEL = {"price": "1", "quantity": "-2"}
O2_MESSAGES = [
    *(of_o2("subscribe_trades", **prints(str(id))) for id in (1, 2, 3)),
    of_o2("subscribe_trades", **prints(4)),
    of_o2("subscribe_trades", **prints("1", "5", "6")),
    of_o2("subscribe_trades", **prints()),
    of_o2("subscribe_trades", trades=None),
    of_o2("subscribe_trades", **prints("7"), turbo=True),
    of_o2("subscribe_trades", **prints("8"), turbo=False),
    of_o2("subscribe_trades", **prints("9", side="SELL")),
    of_o2("subscribe_trades", **prints("10", side="neither")),
    of_o2("subscribe_trades", **prints("11", price="much")),
    of_o2("subscribe_trades", **prints("12", maker={"ContractId": "0xCC"})),
    of_o2("subscribe_trades", **prints("13"), market_id="AA"),
    of_o2("subscribe_trades", **prints("14"), market_id="0xbb"),
    of_o2("subscribe_trades", **prints("15"), market_id="0xcc"),
    of_o2("subscribe_trades", **prints("16", market_id="0xbb"), market_id=""),
    of_o2("subscribe_trades", code=2000, message="no such market"),
    of_o2("trades", **prints("17")),
    *(
        of_o2("subscribe_depth_update", **sides("changes", LEVEL), market_id=id)
        for id in ("0xaa", "AA", "0xbb")
    ),
    of_o2("subscribe_depth_update", **sides("changes", LEVEL), turbo=True),
    of_o2("subscribe_depth_update", **sides("changes", LEVEL, precision=10)),
    of_o2("subscribe_depth_update", **sides("changes", LEVEL, precision=100)),
    of_o2("subscribe_depth_update", **sides("changes")),
    of_o2("subscribe_depth_update", **sides("changes", ["1", "2"])),
    of_o2("subscribe_depth_update", changes=None),
    of_o2("subscribe_depth_update", changes={}),
    of_o2("subscribe_depth_update", buys=[LEVEL]),
    *(of_o2("subscribe_depth", **sides("orders", LEVEL), market_id=id) for id in ("0xaa", "0xbb")),
    of_o2("subscribe_depth", **sides("orders", LEVEL, precision=10)),
    of_o2("subscribe_depth", resync_required=True),
    *(b"PING", b" pong ", b"", b"{", b'{"action":"news"}', b"[]"),
]


def live(session: Session) -> Session:
    session.opened(0.0)
    session.subscribe(OF_O2, 0.0)
    session.ping(0.0)
    books = [(TEXT, of_o2("subscribe_depth", **sides("orders"), market_id=id)) for id in ("0xaa", "0xbb")]
    session.received([(TEXT, b"PONG"), *books], 0.0)
    return session


@given(st.data())
def test_o2(data: st.DataObject) -> None:
    same_effects(live(O2Session()), live(CarefulO2()), OF_O2, data)


# ── tplus ───────────────────────────────────────────────────────────────────────────────────────

TPLUS = Tplus("tplus", TplusSettings())
CHANNELS = ("trades", "klines", "trade_events")
OF_TPLUS = [TPLUS.topic(name, "200" if STREAMS[name].keyed else "", {}) for name in CHANNELS]


def of_tplus(**fields: Any) -> bytes:
    trade = {"asset_id": "200", "trade_id": 1, "price": "1.5", "quantity": 2, "timestamp_ns": 5}
    bar = dict.fromkeys(("open", "high", "low", "close", "volume"), "3")
    return msgspec.json.encode({**bar, **trade, **fields})


TPLUS_MESSAGES = [
    *(of_tplus(trade_id=id) for id in (1, 2, "3", None)),
    *(of_tplus(asset_id=id) for id in (200, "0x" + "AB" * 20 + "@" + "1" * 16, "none")),
    *(of_tplus(price=price, close=price) for price in ("NaN", "1e50", "-1", None, "much")),
    of_tplus(type="subscriptions"),
    b"[" + of_tplus() + b"," + of_tplus(trade_id=2) + b"]",
    of_tplus() + b"\n" + of_tplus(price="much"),
    b'{"Pending":' + of_tplus() + b"}",
    *(b'{"type":"subscriptions"}', b'{"type":"ping"}', b'{"type":"error","error":"no such stream"}'),
    *(b'{"error":"unauthorized"}', b"null", b"[]", b"{", b"", b"7"),
]


@given(st.data(), st.sampled_from(OF_TPLUS))
def test_tplus(data: st.DataObject, topic: Topic) -> None:
    stream = STREAMS[topic.channel]
    usual, careful = (kind(topic, stream, with_token=False) for kind in (TplusSession, CarefulTplus))
    for session in (usual, careful):
        session.opened(0.0)
    same_effects(usual, careful, [topic], data)


MESSAGES: dict[type[Session], list[bytes]] = {O2Session: O2_MESSAGES, TplusSession: TPLUS_MESSAGES}
