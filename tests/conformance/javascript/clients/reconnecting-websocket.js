"use strict";

const { FakeWebSocket, plain } = require("../server.js");

module.exports = {
  package: "reconnecting-websocket",
  start() {
    // The first delay is drawn when the page loads the library.
    delete require.cache[require.resolve("reconnecting-websocket")];
    const ReconnectingWebSocket = require("reconnecting-websocket");
    const socket = new ReconnectingWebSocket("ws://gateway.test", [], { WebSocket: FakeWebSocket });
    return () => socket.close();
  },
  protocol: plain,
};
