"use strict";

const { FakeWebSocket } = require("../server.js");

module.exports = {
  package: "graphql-ws",
  async start() {
    const { createClient } = await import("graphql-ws");
    // Not lazy: as with a subscription that lasts.
    const client = createClient({
      url: "ws://gateway.test/graphql", webSocketImpl: FakeWebSocket, lazy: false, onNonLazyError() {},
    });
    return () => client.dispose();
  },
  protocol: {
    sent(socket, data) {
      if (JSON.parse(data).type !== "connection_init") return;
      if (socket.step.do === "open") socket.drop();
      else if (socket.step.do === "connect-error") socket.drop(4403, "Forbidden");
      else {
        socket.message('{"type":"connection_ack"}');
        socket.joined();
      }
    },
  },
};
