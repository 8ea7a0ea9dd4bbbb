// The WebSocket transport of SockJS, with its request for /info and its socket replaced.
"use strict";

const { EventEmitter } = require("node:events");
const http = require("node:http");
const { Readable } = require("node:stream");
const { FakeWebSocket } = require("../server.js");

http.request = (options, answered) => {
  const request = new EventEmitter();
  const body = Readable.from([JSON.stringify({ websocket: true, origins: ["*:*"], cookie_needed: false, entropy: 1 })]);
  const response = Object.assign(body, { statusCode: 200, headers: {} });
  request.end = () => queueMicrotask(() => (answered ? answered(response) : request.emit("response", response)));
  return Object.assign(request, { write() {}, abort() {}, setTimeout() {} });
};
require("faye-websocket").Client = FakeWebSocket;
const SockJS = require("sockjs-client");

module.exports = {
  package: "sockjs-client",
  start() {
    const socket = new SockJS("http://gateway.test/feed", null, { transports: ["websocket"] });
    return () => socket.close();
  },
  protocol: {
    opened(socket) {
      socket.message("o");
      socket.joined();
    },
  },
};
