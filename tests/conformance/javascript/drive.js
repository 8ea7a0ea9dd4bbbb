// Plays scripts against one real client library under virtual time.
//   node drive.js <client> <scripts.json     prints {package, version, chains: {script: [[delay in ms, …], …]}}
// A chain is one client; it ends early where the client makes no further attempt.
"use strict";

const path = require("node:path");
const time = require("./virtual_time.js");
const { FakeWebSocket, Server, use } = require("./server.js");

const STOPPED_AFTER_MS = 3_600_000;

globalThis.WebSocket = FakeWebSocket;
process.on("unhandledRejection", () => {}); // libraries report failed attempts in this way as well

async function chain(client, steps) {
  time.reset();
  const server = new Server(steps, client.protocol);
  use(server);
  const stop = await client.start();
  for (;;) {
    await time.settle();
    const idle = time.now() - server.lastMs > (client.stoppedAfterMs ?? STOPPED_AFTER_MS);
    if (server.done || idle || !time.step()) break;
  }
  stop?.();
  await time.settle();
  return server.delaysMs;
}

async function main() {
  const client = require(path.join(__dirname, "clients", `${process.argv[2]}.js`));
  let text = "";
  for await (const part of process.stdin) text += part;
  const chains = {};
  for (const [name, { clients, steps }] of Object.entries(JSON.parse(text))) {
    chains[name] = [];
    for (let number = 0; number < clients; number++) chains[name].push(await chain(client, steps));
  }
  const { version } = require(path.join(__dirname, "node_modules", client.package, "package.json"));
  process.stdout.write(JSON.stringify({ package: client.package, version, chains }), () => process.exit(0));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
