"use strict";

const { FakeWebSocket } = require("../server.js");

const ping = (socket) => socket.message('{"type":"ping","message":1}');

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
    "namespace-disconnect"(socket) {
      socket.server.ended();
      socket.message('{"type":"disconnect","reason":"remote","reconnect":false}');
    },
  },
};
