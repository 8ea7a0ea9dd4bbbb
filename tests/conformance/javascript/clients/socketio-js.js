"use strict";

const { io } = require("../node_modules/socket.io-client/dist/socket.io.js");

const OPEN = JSON.stringify({
  sid: "s", upgrades: [], pingInterval: 7_200_000, pingTimeout: 7_200_000, maxPayload: 1e6,
});

module.exports = {
  package: "socket.io-client",
  start() {
    const socket = io("http://gateway.test", { transports: ["websocket"], forceNew: true });
    return () => socket.disconnect();
  },
  protocol: {
    opened(socket) { socket.message(`0${OPEN}`); },
    sent(socket, data) {
      if (!data.startsWith("40")) return;
      if (socket.step.do === "join") {
        socket.message('40{"sid":"n"}');
        socket.joined();
      } else if (socket.step.do === "open") socket.drop();
      else {
        socket.server.ended();
        socket.message('44{"message":"refused"}');
      }
    },
    "namespace-disconnect"(socket) {
      socket.server.ended();
      socket.message("41");
    },
  },
};
