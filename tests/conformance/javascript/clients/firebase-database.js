"use strict";

const { FakeWebSocket } = require("../server.js");

// The library takes its WebSocket from this package.
const faye = require.resolve("faye-websocket");
require.cache[faye] = { id: faye, filename: faye, loaded: true, exports: { Client: FakeWebSocket } };

const { deleteApp, initializeApp } = require("@firebase/app");
const { enableLogging, getDatabase, goOffline, onValue, ref } = require("@firebase/database");

enableLogging(() => {});
let apps = 0;

module.exports = {
  package: "@firebase/database",
  start() {
    const app = initializeApp({ databaseURL: "http://gateway.test?ns=n", appId: "a" }, `app${apps++}`);
    const database = getDatabase(app);
    onValue(ref(database, "ticks"), () => {});
    return () => {
      goOffline(database);
      deleteApp(app);
    };
  },
  protocol: {
    opened(socket) {
      if (socket.step.do === "open") return socket.drop();
      const hello = { ts: Date.now(), v: "5", h: "gateway.test", s: "session" };
      socket.message(JSON.stringify({ t: "c", d: { t: "h", d: hello } }));
      return socket.joined();
    },
    sent(socket, data) {
      // Without an answer, the client closes the connection as unhealthy after 30 s.
      if (data === '{"t":"c","d":{"t":"p","d":{}}}') socket.message('{"t":"c","d":{"t":"o","d":{}}}');
    },
  },
};
