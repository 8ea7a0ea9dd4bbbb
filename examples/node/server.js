// A Socket.IO gateway: a signed token, a snapshot on connect, then a feed of ticks. Settings come from the environment.
const { createHmac, timingSafeEqual } = require("node:crypto");
const { createServer } = require("node:http");
const { monitorEventLoopDelay, performance } = require("node:perf_hooks");
const { Server } = require("socket.io");

const { HOST = "127.0.0.1", PORT = "3000", RATE_HZ = "5", POSITIONS = "8000", DRAIN_S = "3" } = process.env;
const { TOKEN_SECRET = "change-me", RECOVERY_S = "0" } = process.env;
const LAG_RESOLUTION_MS = 10;

// What a real gateway reads from its session store: some 700 kB of JSON.
const position = (_, id) => ({ id, symbol: `SYM${id}`, quantity: (id * 37) % 1000, price: 100 + id / 8, open: true });
const SESSION = JSON.stringify({ positions: Array.from({ length: Number(POSITIONS) }, position) });

const loopDelay = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
loopDelay.enable();
let lastUtilization = performance.eventLoopUtilization();

function metrics() {
  const now = performance.eventLoopUtilization();
  const { utilization } = performance.eventLoopUtilization(now, lastUtilization);
  lastUtilization = now;
  // The monitor measures how long its own timer took, so an idle loop shows the resolution.
  const lag = Math.max(0, (loopDelay.percentile(99) || 0) / 1e6 - LAG_RESOLUTION_MS) / 1000;
  loopDelay.reset();
  return `nodejs_eventloop_utilization ${utilization}\nnodejs_eventloop_lag_p99_seconds ${lag}\n`
    + `socketio_clients ${io.of("/").sockets.size}\n`;
}

const http = createServer((request, response) => {
  const answer = (status, text) => response.writeHead(status, { "Content-Type": "text/plain" }).end(text);
  if (request.url === "/healthz") answer(200, "alive\n");
  else if (request.url === "/readyz") answer(200, "ready\n");
  else if (request.url === "/metrics") answer(200, metrics());
  else answer(404, "not found\n");
});
// Connection state recovery: how long the state of a session is kept after a disconnect. 0 switches it off.
const kept = { connectionStateRecovery: { maxDisconnectionDuration: 1000 * Number(RECOVERY_S) } };
const io = new Server(http, Number(RECOVERY_S) ? kept : {});

function isGenuine(token) {
  const [user, given = ""] = String(token).split(".");
  const expected = createHmac("sha256", TOKEN_SECRET).update(user).digest();
  const signature = Buffer.from(given, "hex");
  return signature.length === expected.length && timingSafeEqual(signature, expected);
}

io.use((socket, next) => next(isGenuine(socket.handshake.auth.token) ? undefined : new Error("invalid token")));
io.on("connection", (socket) => {
  if (socket.recovered) return; // it has its rooms and its data, and has been sent what it had missed
  // The expensive part of a handshake: it blocks the event loop, and therefore everybody's ticks.
  const { positions } = JSON.parse(SESSION);
  socket.emit("snapshot", positions.filter((one) => one.quantity > 990));
});

// Tick k is due at k / RATE_HZ seconds since 1970, so all pods count alike and none drifts. `ts` is when the tick
// was due, not when the event loop got to it: otherwise a blocked loop would show in no latency.
const period = 1000 / Number(RATE_HZ);
let seq = Math.ceil(Date.now() / period);
(function publish() {
  for (; seq * period <= Date.now(); seq += 1) io.emit("tick", { seq, ts: Math.round(seq * period) });
  setTimeout(publish, Math.max(1, seq * period - Date.now()));
})();

process.on("SIGTERM", () => {
  http.close(() => process.exit(0)); // new connections go to the other pods
  // One client after the other: all at once, they would be a storm for the other pods. `disconnectSockets` would tell
  // the clients to stay away: they do not reconnect by themselves after it.
  const connections = Object.values(io.engine.clients);
  const gap = (1000 * Number(DRAIN_S)) / connections.length;
  connections.forEach((connection, place) => setTimeout(() => connection.close(), place * gap));
  setTimeout(() => process.exit(0), 1000 * Number(DRAIN_S) + 500); // for clients that do not answer
});

http.listen(Number(PORT), HOST, () => console.log(`listens on http://${HOST}:${PORT}`));
