// One event, a quiet time, a lost connection and a return: is a stock client given its session back?
//   node quiet.js KEPT_MS QUIET_MS AWAY_MS
// The in-memory adapter forgets old packets once a minute; here it does so ten times a second.
const setTimer = globalThis.setInterval;
globalThis.setInterval = (run, ms, ...more) => setTimer(run, ms === 60_000 ? 100 : ms, ...more);

const { createServer } = require("node:http");
const { Server } = require("socket.io");
const { io: connect } = require("socket.io-client");

const [keptMs, quietMs, awayMs] = process.argv.slice(2).map(Number);
const http = createServer();
const server = new Server(http, { connectionStateRecovery: { maxDisconnectionDuration: keptMs } });

const next = (client, name) => new Promise((done) => client.once(name, done));
const pass = (ms) => new Promise((done) => setTimeout(done, ms));

http.listen(0, "127.0.0.1", async () => {
  const client = connect(`http://127.0.0.1:${http.address().port}`, {
    transports: ["websocket"],
    reconnectionDelay: awayMs,
    randomizationFactor: 0,
  });
  await next(client, "connect");
  const news = next(client, "news");
  server.emit("news");
  await news;
  await pass(quietMs);
  client.io.engine.close();
  await next(client, "connect");
  console.log(JSON.stringify({ recovered: client.recovered }));
  process.exit(0);
});
