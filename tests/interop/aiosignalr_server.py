"""A hub on aiosignalr, as published or mended; run by itself, with nothing of ours on the path.

Arguments: `mended` or `published`, and the token that it takes. It says where it listens, and does what
it is asked over HTTP: `POST /do/quote`, `/do/close`, `/do/drop`.
"""
# mypy: ignore-errors

from __future__ import annotations

import asyncio
import json
import sys

from aiohttp import web
from aiosignalr.errors import HubException
from aiosignalr.server import Hub, ServerOptions, SignalRServer, aiohttp_server

KNOWN = {"ESZ6", "NQZ6"}
HOW, TOKEN = sys.argv[1:]


class Quay(Hub):
    """What the table beside it calls."""

    async def SubscribeQuotes(self, contract: str) -> None:
        if contract not in KNOWN:
            raise HubException("no such contract")
        await self.groups.add(contract)
        tell("subscribed", contract)

    async def UnsubscribeQuotes(self, contract: str) -> None:
        await self.groups.remove(contract)
        tell("unsubscribed", contract)


async def send_text(self: aiohttp_server._AiohttpSocket, data: bytes) -> None:
    """As every server does for the JSON protocol; this one, as published, sends binary frames."""
    await self._ws.send_str(data.decode())


def tell(stream: str, told: object) -> None:
    sys.stdout.write(json.dumps({"stream": stream, "told": told}) + "\n")
    sys.stdout.flush()


@web.middleware
async def guard(request: web.Request, handler: object) -> web.StreamResponse:
    shown = request.query.get("access_token") or request.headers.get("Authorization", "")[len("Bearer ") :]
    if request.path.startswith("/hubs/") and shown != TOKEN:
        return web.Response(status=401)
    if request.path == "/hubs/market" and request.headers.get("Upgrade"):
        tell("upgrade", {"id": request.query.get("id", ""), "query": "access_token" in request.query})
        transports.append(request.transport)
    return await handler(request)


transports: list[asyncio.Transport | None] = []


async def main() -> None:
    if HOW == "mended":
        aiohttp_server._AiohttpSocket.send_bytes = send_text
    server = SignalRServer(Quay, options=ServerOptions(keep_alive_interval=0.2))
    app = server.create_application(path="/hubs/market")
    app.middlewares.append(guard)

    async def quote(request: web.Request) -> web.Response:
        contract, bid = await request.json()
        await server.lifetime.send_group(contract, "Quotes", (contract, [{"bid": bid}]))
        return web.Response()

    async def close(request: web.Request) -> web.Response:
        for connection in list(server.lifetime.connections.values()):
            await connection.close()
        return web.Response()

    async def drop(request: web.Request) -> web.Response:
        while transports:
            transport = transports.pop()
            if transport is not None:
                transport.abort()
        return web.Response()

    for name, act in (("quote", quote), ("close", close), ("drop", drop)):
        app.router.add_post(f"/do/{name}", act)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    tell("listening", runner.addresses[0][1])
    await asyncio.Event().wait()


asyncio.run(main())
