"use strict";

const { RealtimeClient } = require("@supabase/realtime-js");
const { FakeWebSocket } = require("../server.js");
const { protocol } = require("./phoenix.js");

module.exports = {
  package: "@supabase/realtime-js",
  start() {
    const client = new RealtimeClient("ws://gateway.test/socket", {
      params: { apikey: "k" },
      transport: FakeWebSocket,
    });
    client.connect();
    return () => client.disconnect();
  },
  protocol: {
    ...protocol,
    sent(socket, data) {
      if (data.startsWith("[")) protocol.sent(socket, data);
      else {
        const { ref, topic, event } = JSON.parse(data);
        const payload = { status: "ok", response: {} };
        if (event === "heartbeat") socket.message(JSON.stringify({ ref, topic, event: "phx_reply", payload }));
      }
    },
  },
};
