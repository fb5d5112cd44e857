// A program on @microsoft/signalr, as its users write one: what it hears goes to stdout, a JSON object a line.
//
// Its arguments: where the packages are, the hub's URL, a token, how to connect, and what to invoke.
"use strict";
const path = require("path");

const [packages, url, token, how, ...methods] = process.argv.slice(2);
const signalR = require(path.join(packages, "@microsoft/signalr"));

const tell = (stream, what) => process.stdout.write(JSON.stringify({ stream, ...what }) + "\n");
const text = (error) => (error ? String(error.message || error) : null);

class Log {
  log(level, message) {
    tell("log", { level: signalR.LogLevel[level], text: message });
  }
}

const direct = how === "direct";
const connection = new signalR.HubConnectionBuilder()
  .withUrl(direct ? `${url}?access_token=${encodeURIComponent(token)}` : url, {
    accessTokenFactory: () => token,
    skipNegotiation: direct,
    transport: signalR.HttpTransportType.WebSockets,
    timeout: 10000,
  })
  .withAutomaticReconnect([0, 100, 500, 1000])
  .configureLogging(new Log())
  .build();
connection.serverTimeoutInMilliseconds = how === "hasty" ? 400 : 30000;

const targets = [
  "GatewayUserAccount", "GatewayUserOrder", "GatewayUserPosition", "GatewayUserTrade",
  "GatewayQuote", "GatewayTrade", "GatewayDepth", "GatewayLogout",
];
for (const target of targets) {
  connection.on(target, (...args) => tell(target, { arguments: args }));
}
connection.on("Ask", (question) => `heard ${question}`);
connection.onreconnecting((error) => tell("state", { state: "reconnecting", error: text(error) }));
connection.onclose((error) => tell("state", { state: "closed", error: text(error) }));

async function subscribe() {
  for (const each of methods) {
    const [method, ...args] = JSON.parse(each);
    try {
      tell(method, { result: await connection.invoke(method, ...args) });
    } catch (error) {
      tell(method, { error: text(error) });
    }
  }
}

connection.onreconnected(async () => {
  tell("state", { state: "reconnected", error: null });
  await subscribe();
});

async function main() {
  try {
    await connection.start();
  } catch (error) {
    tell("state", { state: "refused", error: text(error) });
    return;
  }
  tell("state", { state: "connected", error: null });
  await subscribe();
}

main();
setInterval(() => {}, 1000); // until it is killed
