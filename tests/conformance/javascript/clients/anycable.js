"use strict";

const { protocol } = require("../cable.js");
const { FakeWebSocket } = require("../server.js");

module.exports = {
  package: "@anycable/core",
  // The delay has no cap: the twelfth attempt is hours after the eleventh.
  stoppedAfterMs: 86_400_000,
  async start() {
    const { createCable } = await import("@anycable/core");
    const cable = createCable("ws://gateway.test/cable", {
      websocketImplementation: FakeWebSocket, logLevel: "error", logger: { log() {}, warn() {}, debug() {}, info() {}, error() {} },
    });
    cable.connect().catch(() => {});
    return () => cable.disconnect();
  },
  protocol,
};
