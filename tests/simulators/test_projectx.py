"""ProjectX from the client's side: what its documents tell, what clients met, and how it may fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from actors.errors import ConfigError
from actors.simulators import SimulatedProjectX, embed, from_url
from actors.simulators.base.faults import faults_of
from actors.simulators.base.server import Simulator
from actors.simulators.projectx.account import Account
from actors.simulators.projectx.auth import TokenGate, claims_of
from actors.simulators.projectx.clock import VenueClock
from actors.simulators.projectx.codes import ASK, BID
from actors.simulators.projectx.instruments import Listing
from actors.simulators.projectx.payloads import market_arguments, user_arguments
from actors.simulators.signalr import SimulatedHubs
from tests.simulators.hub_client import HubClient, dialled, fetch, joined, negotiate, refused
from tests.simulators.projectx_client import ALICE, BOB, ENQ, EP, SUBSCRIBE, got, on_hub, post
from tests.support.examples import examples

pytest_plugins = ["actors.testing"]

LOGIN = {"userName": "trader", "apiKey": "hush"}


@pytest.fixture
def market(simulated_projectx: SimulatedProjectX) -> Iterator[HubClient]:
    with on_hub(simulated_projectx, "market", "quotes", "trades", "depth") as client:
        yield client


@pytest.fixture
def user(simulated_projectx: SimulatedProjectX) -> Iterator[HubClient]:
    with on_hub(simulated_projectx, "user", "accounts", "orders", "positions", "user_trades") as client:
        yield client


def hears_nothing(client: HubClient) -> bool:
    """Whether nothing stands between here and an answer."""
    return "error" in client.invoke("Heartbeat")


# tokens


def test_a_key_is_good_for_a_token_that_opens_both_hubs(simulated_projectx: SimulatedProjectX) -> None:
    token = got(simulated_projectx, "Auth/loginKey", LOGIN, token="")["token"]
    claims = claims_of(token)
    assert claims["exp"] - claims["iat"] == 86_400
    for hub in ("user", "market"):
        url = simulated_projectx.hub_url(hub)
        assert url == f"{simulated_projectx.http_url}/hubs/{hub}"
        told = negotiate(url, access_token=token)
        for shown in ({"id": told["connectionId"]}, {}):
            with joined(url, access_token=token, **shown) as client:
                assert hears_nothing(client)
        with dialled(url, {"Authorization": f"Bearer {token}"}) as client:
            assert hears_nothing(client.shake_hands())
    assert simulated_projectx.logins == 1


def test_a_wrong_key_is_told_under_http_200() -> None:
    with SimulatedProjectX(rate=0, keys={"Trader": "hush"}) as projectx:
        assert got(projectx, "Auth/loginKey", LOGIN, token="")["token"]  # the name's case is no matter
        for wrong in ({"apiKey": "HUSH"}, {"userName": "other"}):
            status, told = post(projectx, "Auth/loginKey", LOGIN | wrong, token="")
            assert (status, told["success"], told["errorCode"], told["token"]) == (200, False, 3, None)
        assert post(projectx, "Auth/loginKey", {"userName": "trader"}, token="")[0] == 400


def test_a_token_is_made_new_and_the_old_one_lives_on(simulated_projectx: SimulatedProjectX) -> None:
    old = simulated_projectx.token()
    new = got(simulated_projectx, "Auth/validate", token=old)["newToken"]
    assert new != old
    assert simulated_projectx.renewals == 1
    for token in (old, new):
        with joined(simulated_projectx.hub_url("user"), access_token=token) as client:
            assert hears_nothing(client)
    got(simulated_projectx, "Auth/logout", token=old)
    assert post(simulated_projectx, "Auth/validate", token=old)[0] == 401
    assert got(simulated_projectx, "Auth/validate", token=new)


@pytest.mark.parametrize("wrong", ["", "guess", "a.b.c", "expired", "forged"])
def test_what_is_no_good_token_opens_nothing(simulated_projectx: SimulatedProjectX, wrong: str) -> None:
    made = {"expired": simulated_projectx.token(life=-1), "forged": TokenGate(60, None).issue("trader")}
    token = made.get(wrong, wrong)
    url = simulated_projectx.hub_url("market")
    assert refused(url, access_token=token)[0] == 401
    assert refused(url, {"Authorization": f"Bearer {token}"})[0] == 401
    assert fetch("POST", f"{url}/negotiate?access_token={token}")[0] == 401
    assert post(simulated_projectx, "Account/search", {"onlyActiveAccounts": True}, token=token) == (401, {})
    assert post(simulated_projectx, "Auth/validate", token=token)[0] == 401


def test_the_life_of_tokens_is_an_argument() -> None:
    with SimulatedProjectX(rate=0, token_life=0.0) as projectx:
        token = got(projectx, "Auth/loginKey", LOGIN, token="")["token"]
        assert refused(projectx.hub_url("user"), access_token=token)[0] == 401


def test_all_tokens_expire_to_order(simulated_projectx: SimulatedProjectX, user: HubClient) -> None:
    old = simulated_projectx.token()
    simulated_projectx.expire_tokens()
    assert refused(simulated_projectx.hub_url("user"), access_token=old)[0] == 401
    assert hears_nothing(user)  # a token is looked at when a connection is made, and only then
    simulated_projectx.arm("expire_tokens close=true")
    (said,) = user.hear_until_closed()
    assert (said["type"], said["allowReconnect"]) == (7, True)
    with joined(simulated_projectx.hub_url("user"), access_token=simulated_projectx.token()) as client:
        assert hears_nothing(client)


# pages


def test_the_pages_tell_what_there_is(simulated_projectx: SimulatedProjectX) -> None:
    accounts = got(simulated_projectx, "Account/search", {"onlyActiveAccounts": True})["accounts"]
    assert [each["id"] for each in accounts] == [ALICE, BOB]
    assert accounts[0].keys() == {"id", "name", "balance", "canTrade", "isVisible", "simulated"}
    found = got(simulated_projectx, "Contract/search", {"searchText": "nq", "live": False})["contracts"]
    assert [each["id"] for each in found] == [ENQ]
    one = got(simulated_projectx, "Contract/searchById", {"contractId": EP})["contract"]
    assert (one["name"], one["symbolId"], one["tickSize"]) == ("ESZ6", "F.US.EP", Decimal("0.25"))
    assert len(got(simulated_projectx, "Contract/available", {"live": False})["contracts"]) == 3
    status, told = post(simulated_projectx, "Contract/searchById", {"contractId": "ES"})
    assert (status, told["success"], told["errorCode"]) == (200, False, 1)


def test_a_simulator_may_have_other_contracts_and_accounts() -> None:
    projectx = SimulatedProjectX(contracts=["CON.F.US.XYZ.H27"], accounts=[7])
    assert projectx.contracts == ["CON.F.US.XYZ.H27"]
    assert list(projectx.accounts) == [7]
    with pytest.raises(ValueError, match="'ES' is no contract"):
        SimulatedProjectX(contracts=["ES"])


@pytest.mark.parametrize("page", ["Order/search", "Order/searchOpen", "Position/searchOpen", "Trade/search"])
def test_an_account_that_is_not_there_has_nothing(simulated_projectx: SimulatedProjectX, page: str) -> None:
    body = {"accountId": 1, "startTimestamp": "2026-01-01T00:00:00Z"}
    status, told = post(simulated_projectx, page, body)
    assert (status, told["success"], told["errorCode"]) == (200, False, 1)
    assert list(got(simulated_projectx, page, body | {"accountId": BOB}).values()) == [[]]


def test_a_page_that_is_asked_wrongly(simulated_projectx: SimulatedProjectX) -> None:
    url = f"{simulated_projectx.http_url}/api"
    assert fetch("GET", f"{url}/Status/ping?")[0] == 200
    assert fetch("GET", f"{url}/Account/search?")[0] == 405
    assert fetch("POST", f"{url}/Account/nothing?")[0] == 404
    assert post(simulated_projectx, "Account/search", {})[0] == 400
    assert post(simulated_projectx, "Account/search", [1])[0] == 400
    token = simulated_projectx.token()
    assert fetch("POST", f"{url}/Auth/validate?access_token={token}")[0] == 401  # pages mind the header alone


def test_an_order_is_placed_changed_and_cancelled(
    simulated_projectx: SimulatedProjectX, user: HubClient
) -> None:
    with on_hub(simulated_projectx, "market", "depth") as market:
        asked = {"accountId": ALICE, "contractId": EP, "type": 1, "side": 0, "size": 3, "limitPrice": 6800.25}
        id = got(simulated_projectx, "Order/place", asked | {"customTag": "mine"})["orderId"]
        event, (order,) = user.hear_push()
        assert (event, order["id"], order["status"], order["customTag"]) == (
            "GatewayUserOrder",
            id,
            1,
            "mine",
        )
        level = market.hear_push()[1][1][0]
        assert (level["type"], level["price"]) == (2, 6800.25)
        (listed,) = got(simulated_projectx, "Order/searchOpen", {"accountId": ALICE})["orders"]
        assert (listed["id"], listed["customTag"]) == (id, "mine")

        which = {"accountId": ALICE, "orderId": id}
        got(simulated_projectx, "Order/modify", which | {"size": 5})
        assert user.hear_push()[1][0]["size"] == 5
        got(simulated_projectx, "Order/cancel", which)
        assert user.hear_push()[1][0]["status"] == 3
        levels = [market.hear_push()[1][1][0]["volume"] for _ in range(3)]
        assert [volume - levels[0] for volume in levels] == [0, 5, 0]  # taken away, put back, taken away
    assert got(simulated_projectx, "Order/searchOpen", {"accountId": ALICE})["orders"] == []
    since = {"accountId": ALICE, "startTimestamp": "2026-01-01T00:00:00Z"}
    assert [each["status"] for each in got(simulated_projectx, "Order/search", since)["orders"]] == [3]
    assert post(simulated_projectx, "Order/cancel", which)[1]["errorCode"] == 2
    assert post(simulated_projectx, "Order/place", asked | {"contractId": "ES"})[1]["errorCode"] == 8


def test_a_market_order_is_filled_at_once(simulated_projectx: SimulatedProjectX, user: HubClient) -> None:
    asked = {"accountId": ALICE, "contractId": EP, "type": 2, "side": 1, "size": 2}
    id = got(simulated_projectx, "Order/place", asked)["orderId"]
    heard = [user.hear_push() for _ in range(5)]
    assert [event for event, _ in heard] == [
        "GatewayUserOrder",
        "GatewayUserOrder",
        "GatewayUserTrade",
        "GatewayUserPosition",
        "GatewayUserAccount",
    ]
    assert [heard[0][1][0]["status"], heard[1][1][0]["status"]] == [1, 2]
    assert (heard[2][1][0]["orderId"], heard[2][1][0]["profitAndLoss"]) == (id, None)
    assert (heard[3][1][0]["type"], heard[3][1][0]["size"]) == (2, 2)
    (position,) = got(simulated_projectx, "Position/searchOpen", {"accountId": ALICE})["positions"]
    assert (position["type"], position["size"]) == (2, 2)


# the hubs


@pytest.mark.parametrize("channel", ["orders", "positions", "user_trades"])
def test_an_account_is_heard_of_by_who_asked_for_it(
    simulated_projectx: SimulatedProjectX, channel: str
) -> None:
    tell = {
        "orders": simulated_projectx.order,
        "positions": simulated_projectx.position,
        "user_trades": simulated_projectx.user_trade,
    }[channel]
    with on_hub(simulated_projectx, "user", channel) as client:
        assert simulated_projectx.subscribers(channel, ALICE) == 1
        tell(BOB)
        told = tell(ALICE)
        _, (heard,) = client.hear_push()
        assert (heard["id"], heard["accountId"]) == (told["id"], ALICE)
        assert client.invoke(f"Un{SUBSCRIBE[channel].lower()}", ALICE) == {"result": None}
        tell(ALICE)
        assert hears_nothing(client)


def test_accounts_are_heard_of_all_at_once(simulated_projectx: SimulatedProjectX) -> None:
    with on_hub(simulated_projectx, "user", "accounts") as client:
        simulated_projectx.account(BOB, balance=Decimal("12.50"), canTrade=False)
        event, (heard,) = client.hear_push()
        assert (event, heard["id"], heard["balance"], heard["canTrade"]) == (
            "GatewayUserAccount",
            BOB,
            12.5,
            False,
        )


@pytest.mark.parametrize("channel", ["quotes", "trades", "depth"])
def test_a_contract_is_heard_of_by_who_asked_for_it(
    simulated_projectx: SimulatedProjectX, channel: str
) -> None:
    def tell(contract: str) -> object:
        say: dict[str, Callable[[], object]] = {
            "quotes": lambda: simulated_projectx.quote(contract, bestBid=1.5),
            "trades": lambda: simulated_projectx.trade(contract),
            "depth": lambda: simulated_projectx.depth(contract, bids=[(1000, 1)]),
        }
        return say[channel]()

    with on_hub(simulated_projectx, "market", channel) as client:
        assert simulated_projectx.subscribers(channel, EP) == 1
        tell(ENQ)
        tell(EP)
        assert client.hear_push()[1][0] == EP
        assert client.invoke(f"Un{SUBSCRIBE[channel].lower()}", EP) == {"result": None}
        tell(EP)
        assert hears_nothing(client)


def test_what_is_not_there_is_refused_or_stays_silent(simulated_projectx: SimulatedProjectX) -> None:
    assert_refused(
        simulated_projectx, "HubException: Contract ES not found", "HubException: Account 1 not found"
    )
    with SimulatedProjectX(rate=0, strict=False) as projectx, on_hub(projectx, "market", "quotes", key="ES"):
        assert projectx.subscribers("quotes", "ES") == 1


def test_a_key_is_rejected_to_order(simulated_projectx: SimulatedProjectX) -> None:
    simulated_projectx.reject(EP)
    simulated_projectx.reject(str(ALICE))
    assert_refused(simulated_projectx, f"Contract {EP} not found", f"Account {ALICE} not found", EP, ALICE)


def assert_refused(
    projectx: SimulatedProjectX,
    contract_words: str,
    account_words: str,
    contract: str = "ES",
    account: int = 1,
) -> None:
    with on_hub(projectx, "market") as market, on_hub(projectx, "user") as user:
        assert contract_words in market.invoke("SubscribeContractQuotes", contract)["error"]
        assert account_words in user.invoke("SubscribeOrders", account)["error"]
        assert "Failed to invoke" in user.invoke("SubscribeOrders", str(ALICE))["error"]  # a text is no id
        assert (projectx.subscribers("quotes", contract), projectx.subscribers("orders", account)) == (0, 0)


def test_a_subscription_starts_with_the_whole() -> None:
    with (
        SimulatedProjectX(rate=0) as projectx,
        joined(projectx.hub_url("market"), access_token=projectx.token()) as client,
    ):
        client.ask("SubscribeContractQuotes", EP)
        _, (contract, quote) = client.hear_push()
        assert contract == EP
        assert {"lastPrice", "bestBid", "bestAsk", "open", "high", "low", "volume", "change"} <= quote.keys()
        assert client.hear()["type"] == 3
        client.ask("SubscribeContractMarketDepth", EP)
        _, (_, rows) = client.hear_push()
        assert rows[0]["type"] == 6
        assert {row["type"] for row in rows[1:]} == {1, 2}


def test_a_quote_tells_what_has_changed_and_nothing_else(
    simulated_projectx: SimulatedProjectX, market: HubClient
) -> None:
    simulated_projectx.quote(bestAsk=Decimal("6802.50"))
    _, (_, quote) = market.hear_push()
    assert quote.keys() == {"symbol", "bestAsk", "lastUpdated"}
    assert '"bestAsk":6802.50,' in market.messages[-1]  # with its zero
    simulated_projectx.quote()
    assert market.hear_push()[1][1]["bestAsk"] == 6802.5


def test_prices_lie_on_ticks(simulated_projectx: SimulatedProjectX) -> None:
    with pytest.raises(ValueError, match="not a multiple"):
        simulated_projectx.trade(price="6801.10")
    with pytest.raises(ValueError, match="no contract 'ES'"):
        simulated_projectx.trade("ES")
    with pytest.raises(ValueError, match="no account 1"):
        simulated_projectx.order(1)


@pytest.mark.parametrize(
    ("shape", "arguments"),
    [
        ("object", [[{"id": 1}], [{"id": 2}]]),
        ("action", [[{"action": 0, "data": {"id": 1}}], [{"action": 1, "data": {"id": 2}}]]),
        ("list", [[[{"action": 0, "data": {"id": 1}}, {"action": 1, "data": {"id": 2}}]]]),
        ("several", [[{"action": 0, "data": {"id": 1}}, {"action": 1, "data": {"id": 2}}]]),
    ],
)
def test_the_user_hub_tells_in_many_shapes(
    simulated_projectx: SimulatedProjectX, user: HubClient, shape: Any, arguments: list[Any]
) -> None:
    told = [(0, {"id": 1}), (1, {"id": 2})]
    assert user_arguments(shape, told) == arguments
    simulated_projectx.tell_user("orders", ALICE, *told, shape=shape)
    assert [user.hear_push() for _ in arguments] == [("GatewayUserOrder", each) for each in arguments]


@pytest.mark.parametrize(
    ("shape", "arguments"),
    [
        ("object", [[EP, {"price": 1}], [EP, {"price": 2}]]),
        ("list", [[EP, [{"price": 1}, {"price": 2}]]]),
        ("nulls", [[EP, [None, {"price": 1}, None, {"price": 2}, None]]]),
        ("data", [[EP, {"data": {"price": 1}}], [EP, {"data": {"price": 2}}]]),
        ("data_list", [[EP, {"data": [{"price": 1}, {"price": 2}]}]]),
    ],
)
@pytest.mark.parametrize(("channel", "event"), [("trades", "GatewayTrade"), ("depth", "GatewayDepth")])
def test_the_market_hub_tells_in_many_shapes(
    simulated_projectx: SimulatedProjectX,
    market: HubClient,
    channel: str,
    event: str,
    shape: Any,
    arguments: list[Any],
) -> None:
    rows = [{"price": 1}, {"price": 2}]
    assert market_arguments(shape, EP, rows) == arguments
    simulated_projectx.tell_market(channel, EP, *rows, shape=shape)
    assert [market.hear_push() for _ in arguments] == [(event, each) for each in arguments]


# the session


def test_an_order_lives_through_its_fills(simulated_projectx: SimulatedProjectX, user: HubClient) -> None:
    order = simulated_projectx.order(size=3, side=0)
    assert user.hear_push()[1][0]["status"] == 1
    for size, status, price in ((1, 1, "6801.25"), (2, 2, "6802.75")):
        simulated_projectx.fill(order["id"], size, price)
        heard = dict(user.hear_push() for _ in range(4))
        assert heard["GatewayUserOrder"][0]["status"] == status
        assert heard["GatewayUserTrade"][0]["profitAndLoss"] is None
    position = heard["GatewayUserPosition"][0]
    assert (position["type"], position["size"], position["averagePrice"]) == (1, 3, 6802.25)

    out = simulated_projectx.order(size=3, side=1)
    _, half_turn, position, account = simulated_projectx.fill(out["id"], price="6803.25")
    assert half_turn["profitAndLoss"] == Decimal("150.00")  # three times four ticks of 12.5
    assert position["size"] == 0
    assert account["balance"] == 50_000 + 150 - 6 * Decimal("1.40")
    assert got(simulated_projectx, "Position/searchOpen", {"accountId": ALICE})["positions"] == []
    since = {"accountId": ALICE, "startTimestamp": "2026-01-01T00:00:00Z"}
    assert len(got(simulated_projectx, "Trade/search", since)["trades"]) == 3
    with pytest.raises(ValueError, match="no order 1"):
        simulated_projectx.fill(1)


@given(some.lists(some.tuples(some.sampled_from([BID, ASK]), some.integers(1, 9), some.integers(-40, 40))))
@settings(max_examples=examples(50))
def test_whatever_is_filled_the_account_adds_up(fills: list[tuple[int, int, int]]) -> None:
    numbers = iter(range(1, 10_000))
    account = Account(1, "one", numbers=numbers, clock=VenueClock())
    listing = Listing(EP, seed=0, moving=False, clock=VenueClock())
    cash, held = Decimal(0), 0
    last = listing.last
    for side, size, ticks in fills:
        _, order = account.order(listing, {"side": side, "size": size})
        last = listing.last + ticks * listing.terms.tick
        account.fill(listing, order, size, last)
        signed = size if side == BID else -size
        held += signed
        cash -= signed * last
        assert account.orders[order["id"]]["status"] == 2
    position = account.positions.get(EP, {"size": 0, "type": 1, "averagePrice": last})
    assert (position["size"] if position["type"] == 1 else -position["size"]) == held
    fees = sum((each["fees"] for each in account.fills), Decimal(0))
    made = account.row["balance"] - 50_000 + fees
    money = listing.terms.tick_value / listing.terms.tick
    expected = (cash + held * position["averagePrice"]) * money
    assert abs(made - expected) <= Decimal("0.02") * (1 + len(fills))  # averages and gains are rounded


def test_a_market_that_moves_is_one_story() -> None:
    """What is heard of a contract adds up to what the venue has, whoever joins when."""
    with (
        SimulatedProjectX(rate=0, seed=3, contracts=[EP], accounts=[ALICE]) as projectx,
        joined(projectx.hub_url("market"), access_token=projectx.token()) as market,
        on_hub(projectx, "user", "orders", "positions", "user_trades", "accounts") as user,
    ):
        projectx.steps(20)
        for channel in ("quotes", "trades", "depth"):
            market.ask(SUBSCRIBE[channel], EP)
        projectx.wait_heard("SubscribeContractMarketDepth")
        projectx.steps(400)
        market.ask("Heartbeat")
        book: dict[int, dict[float, int]] = {1: {}, 2: {}}
        quote: dict[str, Any] = {}
        trades = 0
        while "error" not in (heard := market.hear()):
            if heard["type"] != 1:
                continue
            told = heard["arguments"][1]
            if heard["target"] == "GatewayQuote":
                quote |= told
            elif heard["target"] == "GatewayTrade":
                trades += len(told)
            else:
                follow(book, told)
        bids, asks = projectx.book(EP)
        assert book == {2: as_floats(bids), 1: as_floats(asks)}
        assert trades > 50
        assert (quote["bestBid"], quote["bestAsk"]) == (float(max(bids)), float(min(asks)))
        assert quote["lastPrice"] == float(projectx.listings[EP].last)
        projectx.arm("gateway_logout only_hub=user")
        kinds = [event for event, _ in iter(user.hear_push, ("GatewayLogout", []))]
        assert {"GatewayUserOrder", "GatewayUserTrade", "GatewayUserPosition", "GatewayUserAccount"} == set(
            kinds
        )


def follow(book: dict[int, dict[float, int]], rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row["type"] == 6:
            book[1].clear()
            book[2].clear()
        elif row["volume"]:
            book[row["type"]][row["price"]] = row["volume"]
        else:
            book[row["type"]].pop(row["price"], None)


def as_floats(side: dict[Decimal, int]) -> dict[float, int]:
    return {float(price): volume for price, volume in side.items()}


def test_it_moves_by_itself_and_the_same_for_the_same_seed() -> None:
    with (
        SimulatedProjectX(rate=500) as projectx,
        on_hub_with_snapshots(projectx) as client,
    ):
        while client.hear_push()[0] != "GatewayTrade":
            pass
    one, other = (SimulatedProjectX(rate=0, seed=5) for _ in range(2))
    for each in (one, other):
        each.steps(200)
    assert [one.book(each) for each in one.contracts] == [other.book(each) for each in one.contracts]


@contextmanager
def on_hub_with_snapshots(projectx: SimulatedProjectX) -> Iterator[HubClient]:
    with joined(projectx.hub_url("market"), access_token=projectx.token()) as client:
        for contract in projectx.contracts:
            client.say(type=1, target="SubscribeContractTrades", arguments=[contract])
        yield client


@pytest.mark.parametrize("packed", [1, 50])
def test_numbered_trades_come_complete_and_in_order(packed: int) -> None:
    with SimulatedProjectX(rate=0, packed=packed) as projectx, on_hub(projectx, "market", "trades") as client:
        assert projectx.number_trades(EP, 500) == range(1, 501)
        assert projectx.number_trades(EP, 20, per_second=2000, background=True) == range(501, 521)
        heard = [client.hear_push()[1][1][0]["volume"] for _ in range(520)]
        assert heard == list(range(1, 521))
        assert (max(each.count("\x1e") for each in client.messages) > 1) == (packed > 1)


# faults


def test_a_logout_is_said_on_one_hub_or_both(
    simulated_projectx: SimulatedProjectX, market: HubClient, user: HubClient
) -> None:
    simulated_projectx.arm("gateway_logout")
    assert market.hear_push() == user.hear_push() == ("GatewayLogout", [])
    simulated_projectx.arm("gateway_logout only_hub=user close=true")
    assert user.hear_until_closed() == [{"type": 1, "target": "GatewayLogout", "arguments": []}, {"type": 7}]
    assert hears_nothing(market)


def test_a_login_or_a_renewal_is_refused_to_order(simulated_projectx: SimulatedProjectX) -> None:
    simulated_projectx.arm("refuse_login code=9")
    status, told = post(simulated_projectx, "Auth/loginKey", LOGIN, token="")
    assert (status, told["success"], told["errorCode"], told["token"]) == (200, False, 9, None)
    simulated_projectx.arm("refuse_login code=3 page=validate")
    status, told = post(simulated_projectx, "Auth/validate")
    assert (status, told["success"], told["errorCode"], told["newToken"]) == (200, False, 3, None)
    assert got(simulated_projectx, "Auth/loginKey", LOGIN, token="")
    assert got(simulated_projectx, "Auth/validate")


def test_a_page_is_out_of_order(simulated_projectx: SimulatedProjectX) -> None:
    simulated_projectx.arm("refuse_page status=429 retry_after=3 page=Auth/loginKey")
    assert got(simulated_projectx, "Contract/available", {"live": False})
    status, headers, _ = fetch("POST", f"{simulated_projectx.http_url}/api/Auth/loginKey?", LOGIN)
    assert (status, headers["retry-after"]) == (429, "3")
    simulated_projectx.refuse_page(n=2)
    assert post(simulated_projectx, "Contract/available", {"live": False})[0] == 503
    simulated_projectx.heal()
    assert got(simulated_projectx, "Auth/loginKey", LOGIN, token="")


def test_a_book_is_told_anew(simulated_projectx: SimulatedProjectX, market: HubClient) -> None:
    simulated_projectx.depth(bids=[("6800.00", 0), ("6700.25", 8)])
    _, (_, rows) = market.hear_push()
    assert [(row["price"], row["volume"]) for row in rows] == [(6800.0, 0), (6700.25, 8)]
    simulated_projectx.arm("reset_depth")
    _, (_, rows) = market.hear_push()
    book: dict[int, dict[float, int]] = {1: {0.0: 1}, 2: {0.0: 1}}
    follow(book, rows)
    bids, asks = simulated_projectx.book()
    assert book == {2: as_floats(bids), 1: as_floats(asks)}
    assert book[2][6700.25] == 8


def test_values_come_that_are_not_known(
    simulated_projectx: SimulatedProjectX, market: HubClient, user: HubClient
) -> None:
    simulated_projectx.arm("unknown_values")
    (order,) = user.hear_push()[1]
    assert (order["status"], order["type"], order["side"]) == (99, 98, 97)
    assert market.hear_push()[1][1][0]["type"] == 99
    assert market.hear_push() == ("GatewayWeather", ["sunny"])


def test_one_hub_freezes_while_the_other_goes_on() -> None:
    with (
        SimulatedProjectX(rate=0, snapshots=False, ping_interval=0.01) as projectx,
        on_hub(projectx, "market", "trades") as market,
        on_hub(projectx, "user", "orders") as user,
    ):
        projectx.arm("frozen hub=market")
        projectx.trade()
        projectx.order()
        assert user.hear_push()[0] == "GatewayUserOrder"
        assert market.hear() == {"type": 6}
        assert hears_nothing(market)


OF_EVERYBODY = faults_of(Simulator).keys()
OF_EVERY_HUB = faults_of(SimulatedHubs).keys() - OF_EVERYBODY
OF_PROJECTX = faults_of(SimulatedProjectX).keys() - OF_EVERY_HUB - OF_EVERYBODY


def test_the_faults_have_these_names() -> None:
    assert {
        "unauthorized",
        "handshake_error",
        "hub_close",
        "completion_error",
        "server_timeout",
    } <= OF_EVERY_HUB
    assert {"reuse_id", "reset", "packed", "fragmented", "split", "frozen"} <= OF_EVERY_HUB
    assert {"gateway_logout", "expire_tokens", "refuse_login", "refuse_page", "reset_depth"} <= OF_PROJECTX


def test_a_url_starts_one() -> None:
    projectx = embed("sim://projectx?rate=0&token_life=60&user_shape=action&fault=packed+n%3D9")
    try:
        assert isinstance(projectx, SimulatedProjectX)
        assert projectx.url == f"ws://127.0.0.1:{projectx.port}/"
        assert projectx.habits.packed == 9
        with on_hub(projectx, "user", "orders") as client:
            projectx.order()
            assert client.hear_push()[1][0]["action"] == 1  # of new ones and changed ones
    finally:
        projectx.stop()
    with pytest.raises(ConfigError, match="user_shape takes object or action"):
        from_url("sim://projectx?user_shape=round")
