"use strict";

const { SubscriptionClient } = require("subscriptions-transport-ws");
const { FakeWebSocket } = require("../server.js");

module.exports = {
  package: "subscriptions-transport-ws",
  start() {
    const client = new SubscriptionClient("ws://gateway.test", { reconnect: true, minTimeout: 7_200_000 }, FakeWebSocket);
    return () => client.close();
  },
  protocol: {
    opened(socket) {
      if (socket.step.do === "open") socket.drop();
      else {
        socket.message('{"type":"connection_ack"}');
        socket.joined();
      }
    },
  },
};
