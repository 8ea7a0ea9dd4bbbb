"use strict";

const { Client } = require("@stomp/stompjs");
const { FakeWebSocket } = require("../server.js");

module.exports = {
  package: "@stomp/stompjs",
  start() {
    const client = new Client({ webSocketFactory: () => new FakeWebSocket("ws://gateway.test") });
    client.activate();
    return () => { client.deactivate(); };
  },
  protocol: {
    sent(socket, data) {
      if (!String(data).startsWith("CONNECT") && !String(data).startsWith("STOMP")) return;
      if (socket.step.do === "open") socket.drop();
      else if (socket.step.do === "connect-error") {
        socket.message("ERROR\nmessage:refused\n\n\0");
        socket.drop(1002);
      } else {
        socket.message("CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0");
        socket.joined();
      }
    },
  },
};
