"use strict";

const { HubConnectionBuilder, HttpTransportType, LogLevel } = require("@microsoft/signalr");
const { FakeWebSocket } = require("../server.js");

const END = "\u001e";

module.exports = {
  package: "@microsoft/signalr",
  async start() {
    const connection = new HubConnectionBuilder()
      .withUrl("http://gateway.test/hub", {
        skipNegotiation: true, transport: HttpTransportType.WebSockets, WebSocket: FakeWebSocket,
      })
      .withAutomaticReconnect()
      .configureLogging(LogLevel.None)
      .build();
    // The fake server sends no pings.
    connection.serverTimeoutInMilliseconds = 7_200_000;
    connection.start();
    return () => { connection.stop(); };
  },
  protocol: {
    sent(socket, data) {
      if (!String(data).includes('"protocol"')) return;
      if (socket.step.do === "open") socket.drop();
      else if (socket.step.do === "connect-error") socket.message(`{"error":"refused"}${END}`);
      else {
        socket.message(`{}${END}`);
        socket.joined();
      }
    },
    "namespace-disconnect"(socket) {
      socket.server.ended();
      socket.message(`{"type":7}${END}`);
    },
  },
};
