"""The names that o2-sdk has for what Linewarden has too; docs/migrating has all of them."""

from __future__ import annotations

from actors.protocol import ForeignWords

# What stays with o2-sdk.
ORDERS = ("create_order", "cancel_order", "cancel_all_orders", "batch_actions")
READS = ("get_markets", "get_market", "get_balances", "get_orders", "get_order", "get_nonce")
ACTIONS = (
    "setup_account",
    "upgrade_account",
    "top_up_from_faucet",
    "create_session",
    "set_session",
    "clear_session",
    "settle_balance",
    "actions_for",
    "withdraw",
)
WALLETS = ("generate_wallet", "generate_evm_wallet", "load_wallet", "load_evm_wallet", "Wallet", "EvmWallet")
_EVENTS = "channel {!r}; each entry of its list is an event of its own, o2.{}"

WORDS = (
    ForeignWords(
        sdk="o2-sdk",
        channels={
            "stream_depth": "channel 'depth'",
            "subscribe_depth": "channel 'depth'",
            "subscribe_depth_update": "channel 'depth'",
            "stream_orders": "channel 'orders'",
            "subscribe_orders": "channel 'orders'",
            "stream_trades": "channel 'trades'",
            "subscribe_trades": "channel 'trades'",
            "stream_balances": "channel 'balances'",
            "subscribe_balances": "channel 'balances'",
            "stream_nonce": "channel 'nonce'",
            "subscribe_nonce": "channel 'nonce'",
            "lifecycle": "runtime.lifecycle(feed)",
            "stream_lifecycle": "runtime.lifecycle(feed)",
        },
        options={
            "wire_precision": "option 'precision'",
            "identities": "the keys of the call, which may be mappings",
            "market": "the key of the call, which may be a name such as FUEL/USDC",
            "market_id": "the key of the call",
        },
        keys={
            "ws_url": "key 'url'",
            "custom_config": "key 'url'",
            "api_base": "key 'url', whose host serves REST as well",
            "max_reconnect_attempts": "max_restarts in [feeds.NAME.restart]",
            "ping_interval": "ping_interval in [feeds.NAME.heartbeat]",
            "pong_timeout": "pong_timeout in [feeds.NAME.heartbeat]",
            "action_timeout_seconds": "a setting of actions, which stay with o2-sdk",
            **dict.fromkeys(
                ("fuel_rpc", "faucet_url", "whitelist_required"), "a setting that stays with o2-sdk"
            ),
            "precision": "an option of a subscription, beside its channel and keys",
        },
        calls={
            "O2Client": "actors.start(...)",
            "O2WebSocket": "actors.start(...)",
            "O2Api": "runtime.book(...), runtime.bars(...) and runtime.latest(...); o2-sdk keeps the rest",
            "Network": "the key network of a feed",
            "NetworkConfig": "the keys network and url of a feed",
            "ConnectionEvent": "actors.Lifecycle",
            "ConnectionState": "the state of an actors.Lifecycle",
            "DepthBook": "runtime.book(...)",
            "DepthUpdate": "the events of channel 'depth', o2.DepthSnapshot and o2.DepthChange",
            "DepthChanges": "the bids and asks of an o2.DepthChange",
            "DepthLevel": "o2.Level",
            "OrderUpdate": _EVENTS.format("orders", "Order"),
            "TradeUpdate": _EVENTS.format("trades", "Trade"),
            "BalanceUpdate": _EVENTS.format("balances", "Balance"),
            "NonceUpdate": "o2.Nonce",
            "OrderBookBalance": "o2.BookBalance",
            "Identity": "a key of a subscription: its text, or its mapping",
            "get_config": "the key network of a feed",
            "close": "runtime.stop(), or stream.close() of one stream",
            "stream_depth": "runtime.subscribe(feed, o2.DEPTH, ...)",
            "stream_orders": "runtime.subscribe(feed, o2.ORDERS, ...)",
            "stream_trades": "runtime.subscribe(feed, o2.TRADES, ...)",
            "stream_balances": "runtime.subscribe(feed, o2.BALANCES, ...)",
            "stream_nonce": "runtime.subscribe(feed, o2.NONCE, ...)",
            "stream_lifecycle": "runtime.lifecycle(feed)",
            "unsubscribe_depth": "stream.close()",
            "unsubscribe_orders": "stream.close()",
            "unsubscribe_trades": "stream.close()",
            "unsubscribe_balances": "stream.close()",
            "unsubscribe_nonce": "stream.close()",
            "disconnect": "runtime.stop()",
            "get_depth": "runtime.book(...)",
            "get_bars": "runtime.bars(...)",
            "get_ticker": "runtime.latest(...)",
            "get_trades": "runtime.subscribe(feed, o2.TRADES, ...); o2-sdk keeps the older ones",
            **dict.fromkeys(ORDERS, "an order, which Linewarden does not place at O2: keep o2-sdk for it"),
            **dict.fromkeys(READS, "a read over REST, which Linewarden has not: keep o2-sdk for it"),
            **dict.fromkeys(WALLETS, "a wallet, which Linewarden does not need: keep o2-sdk for it"),
            **dict.fromkeys(ACTIONS, "an action that Linewarden has not: keep o2-sdk for it"),
        },
    ),
)
