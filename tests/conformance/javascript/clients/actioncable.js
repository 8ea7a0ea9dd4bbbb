"use strict";

// What the library expects of a page.
Object.assign(globalThis, {
  self: globalThis,
  window: globalThis,
  document: { visibilityState: "visible", head: { querySelector: () => null }, addEventListener() {} },
  addEventListener() {},
  removeEventListener() {},
});

const { adapters, createConsumer } = require("@rails/actioncable");
const { FakeWebSocket } = require("../server.js");

adapters.WebSocket = FakeWebSocket;

const ping = (socket) => socket.message('{"type":"ping","message":1}');

module.exports = {
  package: "@rails/actioncable",
  start() {
    const consumer = createConsumer("ws://gateway.test/cable");
    consumer.connect();
    return () => consumer.disconnect();
  },
  protocol: {
    opened(socket) {
      if (socket.step.do === "open") return socket.drop();
      if (socket.step.do === "connect-error") {
        socket.server.ended();
        return socket.message('{"type":"disconnect","reason":"unauthorized","reconnect":false}');
      }
      socket.message('{"type":"welcome"}');
      setInterval(() => ping(socket), 3000);
      return socket.joined();
    },
    // The feed has sent something just before the connection is lost.
    last: ping,
    "namespace-disconnect"(socket) {
      socket.server.ended();
      socket.message('{"type":"disconnect","reason":"remote","reconnect":false}');
    },
  },
};
