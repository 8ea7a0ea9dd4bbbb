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
const { ping, protocol } = require("../cable.js");
const { FakeWebSocket } = require("../server.js");

adapters.WebSocket = FakeWebSocket;

module.exports = {
  package: "@rails/actioncable",
  start() {
    const consumer = createConsumer("ws://gateway.test/cable");
    consumer.connect();
    return () => consumer.disconnect();
  },
  // The feed has sent something just before the connection is lost.
  protocol: { ...protocol, last: ping },
};
