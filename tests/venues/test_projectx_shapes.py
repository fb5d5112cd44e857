"""Whatever shape a push comes in: nothing that is well-formed is lost, nothing raises, numbers are exact."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from actors.events import Topic
from actors.protocol import Opening
from actors.protocol.session import TEXT, Confirm, Deliver, Effect, Missed, Quarantine, Session, Unrouted
from actors.venues.projectx import Depth, DepthReset, ProjectX, ProjectXSettings, Quote, Trade
from actors.venues.projectx.hub_methods import BY_TARGET, STREAMS
from actors.venues.projectx.normalise import contract_of, elements_of
from actors.venues.projectx.pending import MOST

VENUE = ProjectX("projectx", ProjectXSettings())
CONTRACT = "CON.F.US.EP.Z26"
RS = "\x1e"


def found(target: str, arguments: str) -> tuple[str, list[tuple[int | None, Any]]]:
    """The contract, where there is one, and each thing with its action."""
    stream = BY_TARGET[target.lower()]
    pieces = elements_of(Raw(arguments.encode()))
    contract = contract_of(pieces) if stream.hub == "market" else ""
    rest = pieces[1:] if contract else pieces
    return contract, [(each.action, json.loads(bytes(each.raw))) for each in stream.reader.find(rest)]


@pytest.mark.parametrize(
    ("target", "arguments", "contract", "things"),
    [
        ("GatewayUserOrder", '[{"id":1}]', "", [(None, {"id": 1})]),
        ("GatewayUserOrder", '[{"action":1,"data":{"id":1}}]', "", [(1, {"id": 1})]),
        (
            "GatewayUserOrder",
            '[[{"action":0,"data":{"id":1}},{"action":1,"data":{"id":2}}]]',
            "",
            [(0, {"id": 1}), (1, {"id": 2})],
        ),
        (
            "GatewayUserOrder",
            '[{"action":0,"data":{"id":1}},{"action":1,"data":{"id":2}}]',
            "",
            [(0, {"id": 1}), (1, {"id": 2})],
        ),
        (
            "GatewayTrade",
            '["C",[{"price":1},null,{"price":2}]]',
            "C",
            [(None, {"price": 1}), (None, {"price": 2})],
        ),
        (
            "GatewayDepth",
            '["C",{"type":6,"price":0,"volume":0}]',
            "C",
            [(None, {"type": 6, "price": 0, "volume": 0})],
        ),
        ("GatewayUserOrder", '[{"id":1,"data":{"id":2}}]', "", [(None, {"id": 1, "data": {"id": 2}})]),
        ("GatewayUserOrder", '[{"data":"x"}]', "", [(None, {"data": "x"})]),
        ("GatewayUserOrder", "[]", "", []),
        ("GatewayTrade", '["C"]', "C", []),
    ],
)
def test_the_vectors(target: str, arguments: str, contract: str, things: list[Any]) -> None:
    assert found(target, arguments) == (contract, things)


def test_lists_within_lists_have_a_bound() -> None:
    with pytest.raises(ValueError, match="no end"):
        found("GatewayUserOrder", "[" * 30 + "]" * 30)


# ── sessions ────────────────────────────────────────────────────────────────────────────────────


def opened(hub: str, topics: Sequence[Topic], venue: ProjectX = VENUE) -> Session:
    """Subscribed, and confirmed."""
    session = venue.session(Opening(f"projectx/{hub}"))
    session.opened(0.0)
    session.received([(TEXT, b"{}\x1e")], 0.0)
    session.subscribe(topics, 0.0)
    for number in range(len(topics)):
        hear(session, {"type": 3, "invocationId": str(number), "result": None})
    return session


def hear(session: Session, *messages: dict[str, Any], now: float = 0.0) -> list[Effect]:
    text = "".join(json.dumps(each) + RS for each in messages)
    return session.received([(TEXT, text.encode())], now)


def push(target: str, *arguments: Any) -> dict[str, Any]:
    return {"type": 1, "target": target, "arguments": arguments}


def delivered(effects: Sequence[Effect]) -> list[Any]:
    return [event for each in effects if isinstance(each, Deliver) for _, event in each.pairs]


def user_shapes(things: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Arguments of a push, in any mixture of what clients have met."""
    enveloped = st.builds(lambda thing, action: {"action": action, "data": thing}, things, st.integers(0, 3))
    one = things | enveloped | st.none()
    batch = st.lists(one, max_size=4)
    return st.lists(one | batch | batch.map(lambda each: {"action": 1, "data": each}), max_size=4)


def bare(shape: Any) -> list[dict[str, Any]]:
    """What is in a shape, by another way than the one that is tried."""
    if shape is None:
        return []
    if isinstance(shape, list):
        return [thing for each in shape for thing in bare(each)]
    return bare(shape["data"]) if "data" in shape else [shape]


ids = st.integers(1, 2**63 - 1)
orders = st.fixed_dictionaries(
    {"id": ids, "accountId": st.just(4242)}, optional={"status": st.integers(0, 99), "new": st.none()}
)
prices = st.decimals(-10_000, 10_000, places=4, allow_nan=False)
prints = st.fixed_dictionaries({"price": prices.map(str)}, optional={"type": st.integers(0, 9)})
levels = st.fixed_dictionaries(
    {"type": st.integers(0, 12), "price": prices.map(str), "volume": st.integers(0, 9)}
)


@given(user_shapes(orders))
def test_every_order_is_told_once_and_in_order(arguments: list[Any]) -> None:
    session = opened("user", [VENUE.topic("orders", "4242", {})])
    effects = hear(session, push("GatewayUserOrder", *arguments))
    assert [event.id for event in delivered(effects)] == [each["id"] for each in bare(arguments)]
    assert all(isinstance(each, Deliver) for each in effects)


@given(user_shapes(prints))
def test_every_print_is_told_once_and_in_order(arguments: list[Any]) -> None:
    session = opened("market", [VENUE.topic("trades", CONTRACT, {})])
    effects = hear(session, push("GatewayTrade", CONTRACT, *arguments))
    told = delivered(effects)
    assert [(type(each), each.contract_id, each.price) for each in told] == [
        (Trade, CONTRACT, Decimal(each["price"])) for each in bare(arguments)
    ]


def spread_out(told: Sequence[Any]) -> list[tuple[int, Decimal | None]]:
    """Changes and resets as they came."""
    flat: list[tuple[int, Decimal | None]] = []
    for event in told:
        if isinstance(event, DepthReset):
            flat += [(6, None), *((each.type, each.price) for each in event.entries)]
        else:
            flat.append((event.type, event.price))
    return flat


@given(st.lists(user_shapes(levels), max_size=3), st.sampled_from(["reset", "first_list"]))
def test_every_level_is_told_once_and_in_order(pushes: list[Any], begins: Any) -> None:
    venue = ProjectX("projectx", ProjectXSettings(depth_begins=begins))
    session = opened("market", [venue.topic("depth", CONTRACT, {})], venue)
    effects = hear(session, *(push("GatewayDepth", CONTRACT, *each) for each in pushes))
    told = delivered(effects)
    assumed = [place for place, each in enumerate(told) if isinstance(each, DepthReset) and each.assumed]
    assert assumed in ([], [0])
    assert spread_out(told)[len(assumed) :] == [
        (each["type"], None if each["type"] == 6 else Decimal(each["price"])) for each in bare(pushes)
    ]
    assert all(isinstance(each, Depth | DepthReset) and each.contract_id == CONTRACT for each in told)


def test_the_first_list_of_a_subscription_may_count_as_the_book() -> None:
    venue = ProjectX("projectx", ProjectXSettings(depth_begins="first_list"))
    topic = venue.topic("depth", CONTRACT, {})
    session = opened("market", [topic], venue)
    rows = [{"type": 1, "price": 2, "volume": 1}, {"type": 2, "price": 1, "volume": 1}]
    (whole,) = delivered(hear(session, push("GatewayDepth", CONTRACT, rows)))
    assert (whole.assumed, len(whole.entries)) == (True, 2)
    assert len(delivered(hear(session, push("GatewayDepth", CONTRACT, rows)))) == 2
    session.resync([topic], 0.0)
    hear(session, {"type": 3, "invocationId": "1"})
    assert delivered(hear(session, push("GatewayDepth", CONTRACT, rows))) == []  # the hub has not answered
    (again,) = delivered(hear(session, {"type": 3, "invocationId": "2"}))
    assert again.assumed


# Names on the wire and in the events, of what makes a quote.
FIELDS = {
    "lastPrice": "last_price",
    "bestBid": "best_bid",
    "bestAsk": "best_ask",
    "high": "high",
    "volume": "volume",
}
sparse = st.dictionaries(st.sampled_from(sorted(FIELDS)), prices.map(str) | st.none(), max_size=4)


@given(st.lists(sparse, max_size=8))
def test_a_quote_is_all_that_was_told_and_names_what_changed(told: list[dict[str, str | None]]) -> None:
    session = opened("market", [VENUE.topic("quotes", CONTRACT, {})])
    effects = hear(session, push("GatewayQuote", CONTRACT, told))
    known: dict[str, Decimal | None] = dict.fromkeys(FIELDS.values())
    for event, each in zip(delivered(effects), told, strict=True):
        before = dict(known)
        known |= {FIELDS[name]: None if value is None else Decimal(value) for name, value in each.items()}
        assert type(event) is Quote
        assert {name: getattr(event, name) for name in known} == known
        assert set(event.changed) == {name for name in known if known[name] != before[name]}


def test_who_is_never_answered_does_not_wait_for_ever() -> None:
    topic = VENUE.topic("trades", CONTRACT, {})
    session = VENUE.session(Opening("projectx/market"))
    session.opened(0.0)
    hear(session, {})
    session.subscribe([topic], 0.0)
    prints = [push("GatewayTrade", CONTRACT, {"price": number}) for number in range(MOST)]
    assert hear(session, *prints) == []
    effects = hear(session, push("GatewayTrade", CONTRACT, {"price": MOST}))
    assert effects[0] == Confirm((topic,), assumed=True)
    assert [event.price for event in delivered(effects)] == list(range(MOST + 1))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["id", "accountId", "data", "action", "type", "price", "volume", "bestBid", "size"]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(sorted(STREAMS)), st.lists(anything, max_size=3), st.booleans())
def test_nothing_that_comes_raises_and_what_was_not_understood_is_shown(
    channel: str, arguments: list[Any], named: bool
) -> None:
    stream = STREAMS[channel]
    key = "" if not stream.keyed else CONTRACT if stream.hub == "market" else "4242"
    topic = VENUE.topic(channel, key, {})
    session = opened(stream.hub, [topic])
    if named and stream.hub == "market":
        arguments = [CONTRACT, *arguments]
    effects = hear(session, push(stream.target, *arguments), push("GatewayLater", 1))
    for effect, after in zip(effects, [*effects[1:], None], strict=True):
        assert isinstance(effect, Deliver | Quarantine | Missed | Unrouted)
        if isinstance(effect, Quarantine):
            assert after == Missed((topic,), "quarantine")
    for event in delivered(effects):
        repr(event)
        VENUE.price(event)
        VENUE.book_update(event)
        hash(VENUE.duplicate_key(topic, event))


@pytest.mark.parametrize(
    "price", ['"NaN"', '"sNaN"', '"Infinity"', "1e999999999", "1e-999999999", "null", "true"]
)
def test_what_is_no_price_is_put_aside(price: str) -> None:
    session = opened("market", [VENUE.topic("trades", CONTRACT, {})])
    rows = f'[{{"price":{price}}},{{"price":2.50}}]'
    text = f'{{"type":1,"target":"GatewayTrade","arguments":["{CONTRACT}",{rows}]}}{RS}'
    effects = session.received([(TEXT, text.encode())], 0.0)
    assert [type(each) for each in effects] == [Quarantine, Missed, Deliver]
    assert [str(event.price) for event in delivered(effects)] == ["2.50"]


def test_a_price_has_the_digits_that_the_wire_has() -> None:
    session = opened("market", [VENUE.topic("trades", CONTRACT, {})])
    row = '{"price":6801.2500000000000000001}'
    text = f'{{"arguments":["{CONTRACT}",{row}],"type":1,"target":"GatewayTrade"}}{RS}'
    (event,) = delivered(session.received([(TEXT, text.encode())], 0.0))
    assert str(event.price) == "6801.2500000000000000001"
