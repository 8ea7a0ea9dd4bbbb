"use strict";

const { DefaultReconnectPolicy } = require("livekit-client");
const { attempt } = require("../server.js");

module.exports = {
  package: "livekit-client",
  // The client itself needs WebRTC. Its policy is asked as the client asks it: with the failures since it was connected.
  start() {
    const policy = new DefaultReconnectPolicy();
    let retryCount = 0;
    const connect = () => {
      const { server, step } = attempt();
      if (!step) return;
      if (step.do === "join") retryCount = 0;
      setTimeout(() => {
        server.ended();
        const delayMs = policy.nextRetryDelayInMs({ retryCount: retryCount++, elapsedMs: 0 });
        if (delayMs !== null) setTimeout(connect, delayMs);
      }, step.session_ms ?? 0);
    };
    connect();
  },
  protocol: {},
};
