"""What ProjectX offers: keys in one form, hubs on lines, addresses that belong together, prices, books."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, assert_type, get_args

import msgspec
import pytest

from actors.errors import LinewardenError
from actors.events import Topic
from actors.protocol import Opening, Print
from actors.protocol.channel import TypedChannel
from actors.protocol.conversation import Token
from actors.protocol.prices import Price
from actors.rules.order_book import Book
from actors.secret import Secret
from actors.venues import VENUES, projectx
from actors.venues.projectx import Depth, DepthReset, DomType, ProjectX, ProjectXSettings
from actors.venues.projectx.messages import nanoseconds
from actors.venues.projectx.platforms import HOSTS, Platform

VENUE = ProjectX("projectx", ProjectXSettings())
CONTRACT = "CON.F.US.EP.Z26"
BOOK = VENUE.topic("depth", CONTRACT, {})
TOKEN = Token(Secret("eyJ9.a+b/c=.d"))


def on(**settings: Any) -> ProjectX:
    return ProjectX("projectx", ProjectXSettings(**settings))


# ── topics and lines ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("channel", "key", "canonical"),
    [
        ("quotes", " con.f.us.ep.z26 ", CONTRACT),
        ("trades", CONTRACT, CONTRACT),
        ("orders", "0042", "42"),
        ("account_trades", " 4242", "4242"),
        ("accounts", " ", ""),
    ],
)
def test_spellings_of_a_key_are_one_topic(channel: str, key: str, canonical: str) -> None:
    assert VENUE.topic(channel, key, {}) == Topic("projectx", channel, canonical)


@pytest.mark.parametrize(
    ("channel", "key", "options", "words"),
    [
        ("quote", CONTRACT, {}, "did you mean 'quotes'?"),
        (
            "quotes",
            "ES",
            {},
            "such as CON.F.US.EP.Z26, and was given 'ES'. runtime.ask('projectx').contract('ES')",
        ),
        ("depth", "", {}, "and was given no key."),
        (
            "orders",
            "PRACTICE",
            {},
            "was given 'PRACTICE'. runtime.ask('projectx').account('PRACTICE')",
        ),
        ("orders", "-1", {}, "and was given '-1'."),
        ("orders", "٤", {}, "and was given '٤'."),
        ("accounts", "4242", {}, "accounts takes no key, and was given '4242'; it is of all accounts."),
        ("trades", CONTRACT, {"depth": 5}, "trades has no option 'depth'. It takes none."),
    ],
)
def test_a_mistake_is_told_with_advice(channel: str, key: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(LinewardenError, match=re.escape(words)):
        VENUE.topic(channel, key, options)


def test_both_hubs_are_there_from_the_start_and_each_has_its_channels() -> None:
    assert VENUE.first_lines() == ("projectx/user", "projectx/market")
    keys = {name: CONTRACT if "contract" in each.key else "1" for name, each in VENUE.channels.items()}
    topics = [VENUE.topic(name, keys[name] if each.key else "", {}) for name, each in VENUE.channels.items()]
    spread = VENUE.spread(topics)
    assert [each.channel for each in spread["projectx/user"]] == [
        "accounts",
        "positions",
        "orders",
        "account_trades",
    ]
    assert [each.channel for each in spread["projectx/market"]] == ["quotes", "trades", "depth"]
    assert all(VENUE.needs_token(line) for line in spread)
    with pytest.raises(ValueError, match="is no line of ProjectX"):
        VENUE.session(Opening("projectx"))


def test_typed_names_carry_their_events() -> None:
    assert VENUES["projectx"] is ProjectX
    assert_type(projectx.QUOTES, TypedChannel[projectx.Quote])
    assert_type(projectx.DEPTH, TypedChannel[Depth | DepthReset])
    assert {each.name for each in VENUE.channels.values() if each.account} == {
        "accounts",
        "positions",
        "orders",
        "account_trades",
    }
    msgspec.json.encode(VENUE.topic(str(projectx.QUOTES), CONTRACT, {}))


# ── addresses ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("settings", "user", "market", "rest"),
    [
        (
            {},
            "wss://rtc.topstepx.com/hubs/user",
            "wss://rtc.topstepx.com/hubs/market",
            "https://api.topstepx.com",
        ),
        (
            {"platform": "thefuturesdesk"},
            "wss://rtc.thefuturesdesk.projectx.com/hubs/user",
            "wss://rtc.thefuturesdesk.projectx.com/hubs/market",
            "https://api.thefuturesdesk.projectx.com",
        ),
        (
            {"platform": "demo", "api_url": "https://elsewhere/"},
            "wss://gateway-rtc-demo.s2f.projectx.com/hubs/user",
            "wss://gateway-rtc-demo.s2f.projectx.com/hubs/market",
            "https://elsewhere",
        ),
        (
            {"api_url": "https://api.firm.projectx.com/api"},  # as project-x-py has it
            "wss://rtc.topstepx.com/hubs/user",
            "wss://rtc.topstepx.com/hubs/market",
            "https://api.firm.projectx.com",
        ),
        (
            {"url": "ws://127.0.0.1:9/"},
            "ws://127.0.0.1:9/hubs/user",
            "ws://127.0.0.1:9/hubs/market",
            "http://127.0.0.1:9",
        ),
        ({"url": "wss://gw/px/"}, "wss://gw/px/hubs/user", "wss://gw/px/hubs/market", "https://gw"),
        ({"url": "wss://gw/px/hubs"}, "wss://gw/px/hubs/user", "wss://gw/px/hubs/market", "https://gw"),
        (
            {"url": "wss://gateway-rtc-demo.s2f.projectx.com/hubs/user?a=1"},
            "wss://gateway-rtc-demo.s2f.projectx.com/hubs/user?a=1",
            "wss://gateway-rtc-demo.s2f.projectx.com/hubs/market?a=1",
            "https://gateway-api-demo.s2f.projectx.com",
        ),
        (
            {"url": "wss://one/u1", "market_url": "wss://two/m1"},
            "wss://one/u1",
            "wss://two/m1",
            "https://one",
        ),
        (
            {"market_url": "wss://rtc.firm.projectx.com/hubs/market"},
            "wss://rtc.firm.projectx.com/hubs/user",
            "wss://rtc.firm.projectx.com/hubs/market",
            "https://api.firm.projectx.com",
        ),
        (
            {"url": "https://rtc.firm.projectx.com/hubs/user/"},
            "wss://rtc.firm.projectx.com/hubs/user",
            "wss://rtc.firm.projectx.com/hubs/market",
            "https://api.firm.projectx.com",
        ),
        (
            {"url": "http://127.0.0.1:8000/", "market_url": "https://firm/hubs/market"},
            "ws://127.0.0.1:8000/hubs/user",
            "wss://firm/hubs/market",
            "http://127.0.0.1:8000",
        ),
        (
            {"market_url": "https://rtc.firm.projectx.com/hubs/market"},
            "wss://rtc.firm.projectx.com/hubs/user",
            "wss://rtc.firm.projectx.com/hubs/market",
            "https://api.firm.projectx.com",
        ),
    ],
)
def test_addresses_belong_together(settings: dict[str, Any], user: str, market: str, rest: str) -> None:
    venue = on(**settings)
    assert venue.endpoint(Opening("projectx/user")).url == user
    assert venue.endpoint(Opening("projectx/market")).url == market
    request = next(on(**settings, user_name="me", api_key=Secret("k")).login(0))
    assert request.url == f"{rest}/api/Auth/loginKey"


def test_every_platform_has_its_hosts() -> None:
    assert set(HOSTS) == set(get_args(Platform))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "wss://one/u1"}, "market_url is missing: the path of url does not tell where it is"),
        ({"market_url": "wss://one/m1"}, "url is missing"),
        (
            {"url": "wss://one/hubs/market"},
            "url is the user hub's or a base, and its path is the market hub's",
        ),
        ({"market_url": "wss://one/hubs/user"}, "market_url is the market hub's or a base"),
        ({"url": "wss://one/hubs/market/"}, "write it as market_url, or leave the path out"),
        ({"market_url": "sim://one/m1"}, "market_url is a URL that starts with wss:// or https://"),
        ({"api_url": "wss://one"}, "api_url is a URL that starts with https:// or http://"),
        ({"url": "https://rtc/hubs/user?access_token=T"}, "an access_token in a URL is not used: add token"),
        ({"user_name": "me"}, "user_name and api_key go together"),
        ({"api_key": Secret("k")}, "user_name and api_key go together"),
        ({"user_name": "me", "api_key": Secret("k"), "token": Secret("t")}, "one of the two is enough"),
    ],
)
def test_settings_that_contradict_each_other(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        ProjectXSettings(**settings)


def test_the_token_stands_in_the_query_or_a_header_and_in_no_text() -> None:
    endpoint = VENUE.endpoint(Opening("projectx/user", TOKEN))
    assert endpoint.url == "wss://rtc.topstepx.com/hubs/user?access_token=eyJ9.a%2Bb%2Fc%3D.d"
    assert "eyJ9" not in repr(endpoint)
    by_header = on(token_in="header", token=Secret("eyJ9.t.t")).endpoint(Opening("projectx/user", TOKEN))
    assert by_header.url == "wss://rtc.topstepx.com/hubs/user"
    assert by_header.headers == (("Authorization", "Bearer eyJ9.a+b/c=.d"),)
    shown = repr(on(token=Secret("eyJ9.t.t")).settings) + repr(by_header) + repr(TOKEN)
    assert "eyJ9" not in shown


def test_hubs_are_asked_first_where_the_settings_say_so() -> None:
    skipped = VENUE.approach(Opening("projectx/market", TOKEN))
    with pytest.raises(StopIteration) as told:
        next(skipped)
    assert told.value.value == VENUE.endpoint(Opening("projectx/market", TOKEN))
    request = next(on(skip_negotiation=False).approach(Opening("projectx/market", TOKEN)))
    assert request.method == "POST"
    assert request.url == "https://rtc.topstepx.com/hubs/market/negotiate?negotiateVersion=1"
    assert request.headers == (("Authorization", "Bearer eyJ9.a+b/c=.d"),)


# ── what events say ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("stamp", "ns"),
    [
        ("2026-10-08T14:32:05.1234567Z", 1_791_469_925_123_456_700),
        ("2026-10-08T14:32:05.123+00:00", 1_791_469_925_123_000_000),
        ("2026-10-08T16:32:05+02:00", 1_791_469_925_000_000_000),
        ("2026-10-08 16:32:05+02", 1_791_469_925_000_000_000),
        ("2026-10-08T14:32:05", 1_791_469_925_000_000_000),
        ("0001-01-01T00:00:00", None),
        ("2026-13-08T14:32:05Z", None),
        ("t", None),
        ("", None),
        (None, None),
    ],
)
def test_times_are_read_to_the_digit(stamp: str | None, ns: int | None) -> None:
    assert nanoseconds(stamp) == ns


def test_prices_of_quotes_and_trades() -> None:
    quote = projectx.Quote(
        contract_id=CONTRACT,
        changed=("best_bid",),
        best_bid=Decimal("1.5"),
        last_price=Decimal(9),
        last_updated="2026-10-08T14:32:05Z",
    )
    at_ns = 1_791_469_925_000_000_000
    assert VENUE.price(quote) == Price(CONTRACT, bid=Decimal("1.5"), quoted_ns=at_ns)
    trade = projectx.Trade(contract_id=CONTRACT, price=Decimal(2), volume=Decimal(3))
    assert VENUE.price(trade) == Price(CONTRACT, last=Decimal(2), last_size=Decimal(3))
    assert VENUE.price(entry(DomType.BID, 1, 1)) is None


def test_a_print_of_the_market_makes_bars_and_a_quote_does_not() -> None:
    trade = projectx.Trade(
        contract_id=CONTRACT, price=Decimal(2), volume=Decimal(3), timestamp="2026-10-08T14:32:05Z"
    )
    assert VENUE.trade(trade) == Print(Decimal(2), Decimal(3), 1_791_469_925_000_000_000)
    assert VENUE.trade(projectx.Trade(contract_id=CONTRACT, price=Decimal(2), volume=Decimal(3))) is None
    assert VENUE.trade(projectx.Quote(contract_id=CONTRACT, changed=(), last_price=Decimal(9))) is None


def entry(type: DomType, price: int, volume: int | None, current: int | None = None) -> Depth:
    exact = [None if each is None else Decimal(each) for each in (volume, current)]
    return Depth(
        contract_id=CONTRACT, type=type, price=Decimal(price), volume=exact[0], current_volume=exact[1]
    )


def book_of(venue: ProjectX, *events: Depth | DepthReset) -> tuple[Any, Any]:
    book = Book(BOOK)
    for event in events:
        if (update := venue.book_update(event)) is not None:
            book.apply(update, 0, 1)
    view = book.view()
    assert view.synced
    return view.bids, view.asks


def test_a_book_begins_with_a_reset_and_follows_every_kind_of_bid_and_ask() -> None:
    whole = DepthReset(
        contract_id=CONTRACT,
        entries=(entry(DomType.BID, 1, 5), entry(DomType.ASK, 3, 5), entry(DomType.BID, 1, 6)),
    )
    changes = (
        entry(DomType.BEST_BID, 2, 7),
        entry(DomType.NEW_BEST_ASK, 3, 0),
        entry(DomType.BEST_ASK, 4, 1),
        entry(DomType.TRADE, 9, 9),
        entry(DomType.FILL, 9, 9),
        entry(DomType(99), 9, 9),
    )
    assert book_of(VENUE, whole, *changes) == (((2, 7), (1, 6)), ((4, 1),))
    assert book_of(VENUE, whole, *changes, DepthReset(contract_id=CONTRACT)) == ((), ())


def test_which_volume_rests_is_a_setting_and_the_other_one_stands_in() -> None:
    events = (DepthReset(), entry(DomType.BID, 1, 5, 2), entry(DomType.ASK, 2, None, 3))
    assert book_of(VENUE, *events) == (((1, 5),), ((2, 3),))
    assert book_of(on(depth_size="current_volume"), *events) == (((1, 2),), ((2, 3),))


def test_only_orders_and_fills_can_be_told_from_each_other() -> None:
    fill = projectx.AccountTrade(id=1, account_id=4242, price=Decimal(1))
    topic = VENUE.topic("account_trades", "4242", {})
    assert VENUE.duplicate_key(topic, fill) == VENUE.duplicate_key(topic, msgspec.structs.replace(fill))
    assert VENUE.duplicate_key(topic, fill) != VENUE.duplicate_key(
        topic, msgspec.structs.replace(fill, voided=True)
    )
    assert VENUE.joins_history(topic, fill)
    assert not VENUE.joins_history(topic, msgspec.structs.replace(fill, voided=True))
    order = projectx.Order(id=1, update_timestamp="2026-10-08T14:32:05Z", status=projectx.OrderStatus.OPEN)
    later = msgspec.structs.replace(order, status=projectx.OrderStatus.FILLED)
    keys = {VENUE.duplicate_key(topic, each) for each in (order, later, msgspec.structs.replace(order))}
    assert len(keys) == 2
    for event in (
        projectx.Order(id=1),
        projectx.Position(id=1),
        projectx.Account(id=1),
        projectx.Quote(contract_id=CONTRACT),
        projectx.Trade(price=Decimal(1)),
        entry(DomType.BID, 1, 1),
    ):
        assert VENUE.duplicate_key(topic, event) is None


def test_numbers_that_are_not_known_yet_are_themselves() -> None:
    status = projectx.OrderStatus(99)
    assert (status, status.name, status.is_final) == (99, "unknown(99)", False)
    assert projectx.OrderStatus.FILLED.is_final
    assert projectx.Position(id=1, type=projectx.PositionType.SHORT, size=3).net == -3
    assert projectx.Position(id=1, type=projectx.PositionType.UNDEFINED, size=3).net is None
    assert projectx.Position(id=1, size=0).net == 0
