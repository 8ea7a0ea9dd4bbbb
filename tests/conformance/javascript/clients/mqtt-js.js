"use strict";

const { Duplex } = require("node:stream");
const { MqttClient } = require("mqtt");
const packets = require("mqtt-packet");
const { attempt } = require("../server.js");

/** A connection to the broker, as the next step of the script says. */
function stream() {
  const { server, step } = attempt();
  const parser = packets.parser();
  const duplex = new Duplex({
    read() {},
    write(data, _, done) {
      parser.parse(data);
      done();
    },
  });
  const drop = () => {
    if (duplex.destroyed) return;
    server.ended();
    duplex.destroy();
  };
  parser.on("packet", ({ cmd }) => {
    if (cmd === "pingreq") duplex.push(packets.generate({ cmd: "pingresp" }));
    if (cmd !== "connect") return;
    if (step.do === "open") return drop();
    const refused = step.do === "connect-error";
    if (refused) server.ended();
    duplex.push(packets.generate({ cmd: "connack", returnCode: refused ? 5 : 0, sessionPresent: false }));
    if (!refused) setTimeout(drop, step.session_ms);
  });
  if (step?.do === "refuse") {
    queueMicrotask(() => {
      server.ended();
      duplex.destroy(new Error("connection refused"));
    });
  }
  return duplex;
}

module.exports = {
  package: "mqtt",
  start() {
    const client = new MqttClient(stream, { protocolId: "MQTT", protocolVersion: 4, clientId: "c" });
    client.on("error", () => {});
    return () => client.end(true);
  },
  protocol: {},
};
