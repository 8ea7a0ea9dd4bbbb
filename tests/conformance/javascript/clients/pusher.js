"use strict";

// What the library expects of a page.
const stored = new Map();
Object.assign(globalThis, {
  self: globalThis,
  window: globalThis,
  document: {
    location: { protocol: "http:" },
    addEventListener() {},
    getElementsByTagName: () => [],
    createElement: () => ({}),
    body: {},
  },
  localStorage: {
    getItem: (key) => stored.get(key) ?? null,
    setItem: (key, value) => stored.set(key, value),
    removeItem: (key) => stored.delete(key),
  },
  addEventListener() {},
});
for (const [key, value] of stored) localStorage[key] = value;

const Pusher = require("pusher-js/dist/web/pusher.js");

const established = JSON.stringify({ socket_id: "1.1", activity_timeout: 7200 });

module.exports = {
  package: "pusher-js",
  start() {
    const client = new Pusher("key", {
      cluster: "", wsHost: "gateway.test", forceTLS: false, enabledTransports: ["ws"], enableStats: false,
      activityTimeout: 7_200_000,
    });
    return () => client.disconnect();
  },
  protocol: {
    opened(socket) {
      if (socket.step.do === "open") return socket.drop();
      if (socket.step.do === "connect-error") {
        socket.message('{"event":"pusher:error","data":{"code":4001,"message":"refused"}}');
        return socket.drop(4001);
      }
      socket.message(JSON.stringify({ event: "pusher:connection_established", data: established }));
      return socket.joined();
    },
    sent(socket, data) {
      if (JSON.parse(data).event === "pusher:ping") socket.message('{"event":"pusher:pong","data":{}}');
    },
  },
};
