"""Names of O2's markets: the list that they are looked up in."""

from __future__ import annotations

from math import inf
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import LinewardenError
from actors.events import Topic
from actors.venues.o2 import O2, O2Settings
from actors.venues.o2.markets import RECENT, KnownMarkets, MarketList, is_name, read_markets

VENUE = O2("desk", O2Settings())
SYMBOLS = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="/"), min_size=1
)
IDS = st.text("0123456789abcdef", min_size=1, max_size=64)
TEXTS = st.text() | st.from_regex(r"\s*[A-Za-z]{0,6}[/_-]?[A-Za-z]{0,6}\s*", fullmatch=True)


def row(name: str, id: str, **over: object) -> dict[str, object]:
    base, _, quote = name.partition("/")
    return {"market_id": id, "base": {"symbol": base}, "quote": {"symbol": quote}} | over


def page(*rows: object) -> bytes:
    return msgspec.json.encode({"markets": rows, "chain_id": "0x0"})


def test_the_list_has_the_ids_in_one_spelling() -> None:
    markets = read_markets(page(row("fFUEL/fUSDC", "AA01"), row("ETH/USDC", "0xBB02")))
    assert markets.ids == {"fFUEL/fUSDC": ("0xaa01",), "ETH/USDC": ("0xbb02",)}
    assert (markets.id("ETH/USDC"), markets.id("eth/usdc"), markets.id("NO/NE")) == ("0xbb02", None, None)


@pytest.mark.parametrize("odd", [7, {}, {"market_id": "0xaa"}, row("A/B", "zz"), row("A/B", ""), None])
def test_a_row_that_cannot_be_read_costs_no_other(odd: object) -> None:
    assert read_markets(page(odd, row("ETH/USDC", "bb"))).ids == {"ETH/USDC": ("0xbb",)}


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"<html>", b'{"markets": 1}', b'{"code": 1000}'])
def test_what_is_no_list_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_markets(body)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("FUEL/USDD", "o2 lists no market 'FUEL/USDD'; did you mean 'FUEL/USDC'?"),
        ("fuel/usdc", "o2 lists no market 'fuel/usdc'; did you mean 'FUEL/USDC'?"),
        ("X/Y", "o2 lists no market 'X/Y'; it lists FUEL/USDC, ETH/USDC"),
        ("ETH/USDC", "2 markets of o2 are called 'ETH/USDC': 0xbb, 0xcc. Use one of the ids"),
    ],
)
def test_a_name_without_an_id_is_told_with_advice(name: str, words: str) -> None:
    rows = (row("FUEL/USDC", "aa"), row("ETH/USDC", "bb"), row("ETH/USDC", "0xCC"), row("ETH/USDC", "BB"))
    markets = read_markets(page(*rows))
    assert markets.id(name) is None
    assert markets.mistake(name) == words


def test_a_long_list_is_shown_in_part_and_an_empty_one_is_said_to_be_empty() -> None:
    long = MarketList({f"A{number}/B": ("0xaa",) for number in range(50)})
    assert long.mistake("?/!").endswith("A8/B, A9/B, …")
    assert MarketList().mistake("A/B") == "o2 lists no market 'A/B'; its list is empty"


def test_a_list_is_recent_for_a_minute() -> None:
    known = KnownMarkets()
    assert not known.is_recent(-inf)
    known.keep(MarketList({"A/B": ("0xaa",)}), 100.0)
    assert known.is_recent(100.0 + RECENT - 1.0)
    assert not known.is_recent(100.0 + RECENT)
    known.keep(MarketList({"A/B": ("0xaa",)}))
    assert not known.is_recent(0.0)
    assert known.id("A/B") == "0xaa"


# ── keys, precisions and identities, of all texts ───────────────────────────────────────────────


@given(SYMBOLS, SYMBOLS, IDS)
def test_each_name_of_the_list_is_found_by_itself(base: str, quote: str, id: str) -> None:
    name = f"{base}/{quote}"
    assert read_markets(page(row(name, id))).id(name) == f"0x{id}"
    if len(name) <= 64:
        assert VENUE.topic("trades", f" {name} ", {}).key == name


def of_trades(key: str) -> tuple[Topic | None, str]:
    """The topic, or the mistake."""
    try:
        return VENUE.topic("trades", key, {}), ""
    except LinewardenError as mistake:
        return None, str(mistake)


@given(TEXTS)
def test_any_text_is_an_id_or_a_name_or_a_mistake_in_words(key: str) -> None:
    topic, mistake = of_trades(key)
    if topic is None:
        assert mistake.startswith("desk: trades takes a market id, 0x…, or name, FUEL/USDC")
        return
    assert VENUE.topic("trades", topic.key, {}) == topic  # its canonical form is one
    assert is_name(topic.key) == ("/" in key)
    assert topic.key == key.strip() if is_name(topic.key) else int(topic.key, 16) >= 0


@given(
    IDS,
    st.sampled_from(("ContractId", "Address", "contractid", "address")),
    st.sampled_from(("", "0x", "0X")),
)
def test_an_identity_is_the_same_as_text_and_as_a_mapping(id: str, kind: str, before: str) -> None:
    text = VENUE.key_text({kind: before + id})
    assert text is not None
    for spelling in (text, f"{kind}:{id.upper()}"):
        key = VENUE.topic("orders", spelling, {}).key
        assert key == (f"Address:0x{id}" if kind.lower() == "address" else f"0x{id}")


@pytest.mark.parametrize("key", [{}, {"ContractId": 7}, {7: "0xaa"}, {"ContractId": "aa", "Address": "bb"}])
def test_another_mapping_is_no_key(key: Any) -> None:
    assert VENUE.key_text(key) is None


@given(st.integers(1, 9), st.sampled_from(("depth", "depth_view")))
def test_a_precision_is_the_same_as_level_and_as_power_of_ten(level: int, channel: str) -> None:
    spellings = (level, str(level), 10**level, str(10**level), f" {level} ")
    topics = {VENUE.topic(channel, "aa", {"precision": each}) for each in spellings}
    assert [dict(topic.options)["precision"] for topic in topics] == [str(10**level)]


@given(st.integers() | st.text(max_size=12) | st.floats() | st.booleans())
def test_every_other_precision_is_a_mistake_in_words(given: int | str | float) -> None:
    known = {str(level) for level in range(1, 10)} | {str(10**level) for level in range(1, 10)}
    if str(given).strip() in known:
        return
    with pytest.raises(LinewardenError, match="precision of depth is one of 1, 2, 3, "):
        VENUE.topic("depth", "aa", {"precision": given})
