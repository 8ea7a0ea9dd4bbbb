"use strict";

const { FakeWebSocket } = require("../server.js");

// The library takes its WebSocket from this package.
const ws = require.resolve("ws");
require.cache[ws] = { id: ws, filename: ws, loaded: true, exports: FakeWebSocket };

const Ably = require("ably");

module.exports = {
  package: "ably",
  start() {
    const client = new Ably.Realtime({
      key: "app.key:secret", useBinaryProtocol: false, endpoint: "gateway.test", fallbackHosts: [],
      transports: ["web_socket"], disableConnectivityCheck: true, logLevel: 0, logHandler() {},
    });
    return () => client.close();
  },
  protocol: {
    opened(socket) {
      if (socket.step.do === "open") return socket.drop();
      if (socket.step.do === "connect-error") {
        const error = { code: 40101, statusCode: 401, message: "refused" };
        socket.server.ended();
        return socket.message(JSON.stringify({ action: 9, error }));
      }
      const connectionDetails = {
        connectionKey: "k", clientId: "", maxMessageSize: 65536, maxIdleInterval: 0, connectionStateTtl: 120_000,
      };
      socket.message(JSON.stringify({ action: 4, connectionId: "c", connectionDetails }));
      return socket.joined();
    },
  },
};
