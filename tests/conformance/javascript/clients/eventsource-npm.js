"use strict";

const { EventSource } = require("eventsource");
const { fakeFetch } = require("../server.js");

module.exports = {
  package: "eventsource",
  start() {
    const source = new EventSource("http://gateway.test/feed", { fetch: fakeFetch });
    return () => source.close();
  },
  protocol: {},
};
