"""The loop for the usual pushes and the careful reader: the same frames have the same effects by both."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.events import Topic
from actors.protocol import Session
from actors.protocol.session import TEXT, Deliver, Effect
from actors.protocol.signalr import HubSession
from actors.venues.projectx import pushes
from actors.venues.projectx.market_session import Begins, MarketSession
from tests.support.examples import examples

CONTRACT, OTHER = "CON.F.US.EP.Z26", "CON.F.US.NQ.Z26"
CHANNELS = {"GatewayTrade": "trades", "GatewayDepth": "depth", "GatewayQuote": "quotes"}
TOPICS = [Topic("projectx", channel, key) for channel in CHANNELS.values() for key in (CONTRACT, OTHER)]
RS = "\x1e"
BARE = "§"  # a text that begins with it stands in the JSON as it is
TIME = "2026-10-08T14:32:05Z"


class LongWay(MarketSession):
    """Takes every push apart piece by piece."""

    read_all = HubSession.read_all


# ── what is pushed ──────────────────────────────────────────────────────────────────────────────

usual_numbers = st.sampled_from(["6801.25", "6801.250", "6801.50", "6801", "-12.5", "1e5"])
ODD = (
    *("0", "-0", "0.0", "-0.00", "0E-40", "1e30", "1e31", "1E-30", "1e-31", "-1e31", "1e999999999"),
    *("1" * 31, "1" * 32, "0." + "1" * 30, "null", "true", "false", "[]", "{}", '"x"', '""'),
    *('"NaN"', '"sNaN"', '"-Infinity"', '"12.5"', '"7"', '"-0"', '"null"', '"NULL"'),
)
odd_numbers = st.sampled_from(ODD)
numbers = (usual_numbers | usual_numbers | odd_numbers).map(lambda text: BARE + text)
exact = usual_numbers.map(lambda text: BARE + text)
texts = st.sampled_from([TIME, "F.US.EP", "", None, 7])

PRICES = ("lastPrice", "bestBid", "bestAsk", "change", "changePercent", "open", "high", "low", "volume")
NAMES = ("symbol", "symbolName", "lastUpdated", "timestamp")
whole = st.fixed_dictionaries({**dict.fromkeys(NAMES, st.just(TIME)), **dict.fromkeys(PRICES, exact)})
sparse_fields = dict.fromkeys(NAMES, texts) | dict.fromkeys((*PRICES, "contractId", "changed"), numbers)
sparse = st.fixed_dictionaries({}, optional=sparse_fields)
prints = st.fixed_dictionaries(
    {"price": exact, "volume": exact, "type": st.integers(0, 2), "timestamp": texts}
)
odd_prints = st.fixed_dictionaries(
    {"price": numbers}, optional={"volume": numbers, "type": numbers, "contractId": texts}
)
levels = st.fixed_dictionaries({"type": st.integers(1, 7), "price": exact, "volume": exact})
odd_levels = st.fixed_dictionaries(
    {"type": st.integers(0, 12)}, optional={"price": numbers, "volume": numbers, "currentVolume": numbers}
)
THINGS: dict[str, tuple[st.SearchStrategy[Any], st.SearchStrategy[Any]]] = {
    "GatewayQuote": (whole, sparse),
    "GatewayTrade": (prints, odd_prints),
    "GatewayDepth": (levels, odd_levels),
}
strange: st.SearchStrategy[Any] = st.sampled_from([None, {}, "x", 7, [], [[]], {"data": {}}, {"data": None}])


def written(message: dict[str, Any]) -> str:
    text = json.dumps(message, ensure_ascii=False)
    return re.sub(f'"{BARE}((?:[^"\\\\]|\\\\.)*)"', lambda found: found[1].replace('\\"', '"'), text) + RS


@st.composite
def pushed(draw: st.DrawFn) -> str:
    """One push: of the usual shape, of another that is known, or of none."""
    target = draw(st.sampled_from(sorted(THINGS)))
    usual, odd = THINGS[target]
    contract = draw(st.sampled_from([CONTRACT, CONTRACT, OTHER]))
    if draw(st.booleans()):
        argument = draw(usual | st.lists(usual, max_size=3))
        return written({"type": 1, "target": target, "arguments": [contract, argument]})
    any_other = sparse | odd_prints | odd_levels
    one = usual | odd | odd | any_other | strange
    enveloped = one.map(lambda each: {"action": 1, "data": each})
    rest = draw(st.lists(one | enveloped | st.lists(one | enveloped, max_size=3), min_size=1, max_size=2))
    extras: list[dict[str, Any]] = [{"invocationId": "7"}, {"type": "1"}, {"headers": {}}]
    extra = draw(st.sampled_from([{}, {}, {}, *extras, {"target": target.lower()}]))
    return written({"type": 1, "target": target, "arguments": [contract, *rest]} | extra)


others = st.sampled_from(
    [
        '{"type":6}',
        "",
        "nonsense",
        '{"type":1,"target":"GatewayQuote"}',
        '{"type":1,"target":"GatewayTrade","arguments":[]}',
        '{"type":1,"target":"GatewayTrade","arguments":[7,{"price":1,"volume":1}]}',
        '{"type":1,"target":"GatewayLater","arguments":[]}',
        '{"type":2,"invocationId":"1","item":1}',
        '{"type":99}',
    ]
).map(lambda text: text + RS)
endings = st.sampled_from(
    ['{"type":7,"error":"bye"}', '{"type":1,"target":"GatewayLogout","arguments":[]}']
).map(lambda text: text + RS)
answers = st.builds(
    lambda number, fields: written({"type": 3, "invocationId": str(number), **fields}),
    st.integers(0, 14),
    st.sampled_from([{"result": None}, {"result": None}, {"error": "no"}]),
)

# ── what is done ────────────────────────────────────────────────────────────────────────────────

Step = Callable[[Session, float], list[Effect]]


def heard(records: Sequence[str], places: Sequence[int]) -> Step:
    stream = "".join(records).encode()
    cuts = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    frames = [(TEXT, stream[begin:end]) for begin, end in pairwise(cuts)]
    return lambda session, now: session.received(frames, now)


def asked(what: str, topics: Sequence[Topic]) -> Step:
    return lambda session, now: getattr(session, what)(topics, now)


def looked(session: Session, now: float) -> list[Effect]:
    return session.ping(now)


pushes_of_a_read = st.lists(pushed() | pushed() | pushed() | others | answers, max_size=6)
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(heard, pushes_of_a_read, st.lists(st.integers(0, 900), max_size=2)),
    st.builds(heard, st.lists(answers, max_size=6), st.just(())),
    st.builds(heard, st.lists(pushed() | endings, max_size=4), st.just(())),
    st.builds(
        asked,
        st.sampled_from(["subscribe", "unsubscribe", "resync"]),
        st.lists(st.sampled_from(TOPICS), min_size=1, max_size=3, unique=True),
    ),
    st.just(looked),
)


def opened(kind: type[MarketSession], begins: Begins) -> MarketSession:
    session = kind("projectx", begins)
    session.opened(0.0)
    session.received([(TEXT, b"{}\x1e")], 0.0)
    return session


@settings(max_examples=examples(400), deadline=None)
@given(st.lists(steps, max_size=9), st.booleans(), st.sampled_from(["reset", "first_list"]))
def test_the_loop_for_usual_pushes_and_the_careful_reader_have_the_same_effects(
    steps: list[Step], answered: bool, begins: Begins
) -> None:
    sessions = opened(MarketSession, begins), opened(LongWay, begins)
    first = asked("subscribe", TOPICS[::2])
    answer = heard([written({"type": 3, "invocationId": str(number)}) for number in range(3)], ())
    for place, step in enumerate([first, answer, *steps] if answered else [first, *steps]):
        by_loop, with_care = [step(session, 4.0 * place) for session in sessions]
        assert repr(by_loop) == repr(with_care)  # to the digit: 1.5 and 1.50 are equal
        assert by_loop == with_care
        assert sessions[0].state is sessions[1].state


WHOLE = {**dict.fromkeys(NAMES, TIME), **dict.fromkeys(PRICES, BARE + "6801.25"), "change": BARE + "0.0"}
PRINT = {"price": 6801.25, "volume": 1, "type": 1, "timestamp": TIME}
LEVEL = {"type": 3, "price": 1.5, "volume": 1, "currentVolume": 1}
ODD_THINGS: dict[str, list[dict[str, Any]]] = {
    "GatewayQuote": [
        {},
        {"data": WHOLE | {"bestBid": 1}},
        {"data": {"bestBid": 1}, "change": 2},
        *({**WHOLE, name: BARE + number} for name in ("bestBid", "change", "symbol") for number in ODD),
        *({"bestBid": BARE + number} for number in ODD),
        *({**WHOLE, "bestBid": 1, "bestAsk": BARE + number} for number in ODD),
    ],
    "GatewayTrade": [{**PRINT, name: BARE + number} for name in PRINT for number in ODD],
    "GatewayDepth": [
        *({**LEVEL, name: BARE + number} for name in LEVEL for number in ODD),
        *({"type": kind, "price": 1} for kind in range(13)),
    ],
}


@pytest.mark.parametrize(
    ("target", "usual"), [("GatewayQuote", WHOLE), ("GatewayTrade", PRINT), ("GatewayDepth", LEVEL)]
)
@pytest.mark.parametrize("in_list", [False, True])
def test_every_oddity_has_the_same_effects_by_both(target: str, usual: dict[str, Any], in_list: bool) -> None:
    topic = Topic("projectx", CHANNELS[target], CONTRACT)
    for odd in ODD_THINGS[target]:
        things = [usual, odd, usual, odd, odd | {"timestamp": TIME}, usual]
        arguments = [[usual, odd, usual], *([each] for each in things)] if in_list else things
        pushed = [{"type": 1, "target": target, "arguments": [CONTRACT, each]} for each in arguments]
        first, *rest = [written(each) for each in pushed]
        told = []
        for session in (opened(MarketSession, "reset"), opened(LongWay, "reset")):
            session.subscribe([topic], 0.0)
            parts = ['{"type":3,"invocationId":"0"}' + RS], [first], rest
            told.append([effect for part in parts for effect in heard(part, ())(session, 1.0)])
        assert repr(told[0]) == repr(told[1]), odd


USUAL = [
    ("GatewayQuote", {**dict.fromkeys(NAMES, TIME), **dict.fromkeys(PRICES, 6801.25), "volume": 7}),
    ("GatewayQuote", [{"bestBid": 6801.5, "timestamp": TIME}]),
    ("GatewayTrade", [{"price": 6801.25, "volume": 0, "type": 0}, {"price": -1, "volume": 1, "type": 1}]),
    ("GatewayTrade", {"price": 6801.25, "volume": 1}),
    ("GatewayDepth", [{"type": 3, "price": 1.5, "volume": 1}]),
]


@pytest.mark.parametrize(("target", "thing"), USUAL)
def test_the_careful_reader_is_not_called_for_usual_pushes(
    target: str, thing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened(MarketSession, "reset")
    topic = Topic("projectx", CHANNELS[target], CONTRACT)
    session.subscribe([topic], 0.0)
    session.received([(TEXT, b'{"type":3,"invocationId":"0"}\x1e')], 0.0)
    usual = written({"type": 1, "target": target, "arguments": [CONTRACT, thing]}).encode()
    first = session.received([(TEXT, usual)], 0.0)
    monkeypatch.setattr(session, "read", None)
    again = session.received([(TEXT, usual)], 0.0)
    assert [type(effect) for effect in (*first, *again)] == [Deliver, Deliver]


def test_numbers_that_are_kept_are_bounded() -> None:
    decimals = pushes.Decimals()
    for number in range(pushes.MOST + 3):
        assert str(decimals[f"{number}.50"]) == f"{number}.50"
        assert len(decimals) <= pushes.MOST
    assert str(decimals["1." + "5" * pushes.LONGEST]) == "1." + "5" * pushes.LONGEST
    assert all(len(text) <= pushes.LONGEST for text in decimals)
