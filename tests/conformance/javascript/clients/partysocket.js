"use strict";

const { default: ReconnectingWebSocket } = require("partysocket/ws");
const { FakeWebSocket, plain } = require("../server.js");

module.exports = {
  package: "partysocket",
  start() {
    const socket = new ReconnectingWebSocket("ws://gateway.test", [], { WebSocket: FakeWebSocket });
    return () => socket.close();
  },
  protocol: plain,
};
