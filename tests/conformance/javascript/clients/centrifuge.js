"use strict";

const { Centrifuge } = require("centrifuge");
const { FakeWebSocket } = require("../server.js");

module.exports = {
  package: "centrifuge",
  start() {
    const client = new Centrifuge("ws://gateway.test/connection/websocket", { websocket: FakeWebSocket });
    client.on("error", () => {});
    client.connect();
    return () => client.disconnect();
  },
  protocol: {
    sent(socket, data) {
      const { id, connect } = JSON.parse(data);
      if (!connect) return;
      if (socket.step.do === "open") socket.drop();
      else if (socket.step.do === "connect-error") {
        socket.server.ended();
        socket.message(JSON.stringify({ id, error: { code: 101, message: "unauthorized" } }));
      } else {
        socket.message(JSON.stringify({ id, connect: { client: "c", version: "5" } }));
        socket.joined();
      }
    },
    "namespace-disconnect"(socket) {
      socket.server.ended();
      socket.message(JSON.stringify({ push: { disconnect: { code: 3503, reason: "force disconnect" } } }));
    },
  },
};
