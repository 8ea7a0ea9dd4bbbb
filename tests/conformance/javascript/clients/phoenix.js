"use strict";

const { Socket } = require("phoenix");
const { FakeWebSocket, plain } = require("../server.js");

module.exports = {
  package: "phoenix",
  start() {
    const socket = new Socket("ws://gateway.test/socket", { transport: FakeWebSocket });
    socket.connect();
    return () => socket.disconnect();
  },
  protocol: {
    ...plain,
    sent(socket, data) {
      const [joinRef, ref, topic, event] = JSON.parse(data);
      const answer = [joinRef, ref, topic, "phx_reply", { status: "ok", response: {} }];
      if (event === "heartbeat") socket.message(JSON.stringify(answer));
    },
  },
};
