// A Socket.IO gateway that has nothing to do with ours: its own path, namespace, credentials and events.
const { createServer } = require("node:http");
const { createServer: createTlsServer } = require("node:https");
const { readFileSync } = require("node:fs");
const { Server } = require("socket.io");

const [key, cert] = process.argv.slice(2);
const http = key ? createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }) : createServer();
const io = new Server(http, { path: "/realtime/", pingInterval: 300, pingTimeout: 20000 });
const seen = { upgrades: 0, polling: 0, acknowledged: 0 };

io.use((socket, next) => next());
const feed = io.of("/feed");
feed.use((socket, next) => {
  const request = socket.handshake;
  const known =
    request.auth.token === "secret" &&
    request.query.room === "a" &&
    request.headers["x-tenant"] === "blue" &&
    /(^|; )session=42($|;)/.test(request.headers.cookie ?? "");
  next(known ? undefined : new Error("who are you?"));
});
feed.on("connection", (socket) => {
  if (socket.conn.transport.name === "polling") {
    seen.polling += 1;
    socket.conn.on("upgrade", () => { seen.upgrades += 1; });
  }
  socket.emit("welcome", { blob: Buffer.from([0, 1, 2]), text: "zoë" });
});

let number = 0;
setInterval(() => {
  number += 1;
  feed.emit("price", { meta: { at: Date.now(), number }, bid: 1.25 });
  feed.emit("chart", { at: Date.now() / 1000, image: Buffer.from([number & 255, 1]), more: [Buffer.from("x")] });
  feed.emit("bare", [number, "no time at all"]);
  feed.emit("hr", process.hrtime.bigint().toString());
  feed.timeout(1000).emit("please acknowledge", number, () => {});
}, 100);

http.listen(0, "127.0.0.1", () => console.log(http.address().port));
process.on("SIGUSR2", () => console.log(JSON.stringify(seen)));
