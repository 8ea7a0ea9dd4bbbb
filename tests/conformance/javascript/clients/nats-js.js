"use strict";

const { wsconnect } = require("@nats-io/nats-core");

const encoded = (text) => new TextEncoder().encode(text).buffer;
const INFO = { server_id: "s", version: "2.10.0", proto: 1, headers: true, max_payload: 1048576 };

module.exports = {
  package: "@nats-io/nats-core",
  start() {
    // The fake server answers no pings after the first.
    const connecting = wsconnect({ servers: "ws://gateway.test:8080", pingInterval: 7_200_000 });
    connecting.catch(() => {});
    return () => { connecting.then((connection) => connection.close()).catch(() => {}); };
  },
  protocol: {
    opened(socket) { socket.message(encoded(`INFO ${JSON.stringify(INFO)}\r\n`)); },
    sent(socket, data) {
      if (!new TextDecoder().decode(data).includes("PING")) return;
      if (socket.step.do === "open") socket.drop();
      else if (socket.step.do === "connect-error") {
        socket.message(encoded("-ERR 'Authorization Violation'\r\n"));
        socket.drop(1000);
      } else {
        socket.message(encoded("PONG\r\n"));
        if (!socket.pinged) socket.joined();
        socket.pinged = true;
      }
    },
  },
};
