"use strict";

const { fakeFetch } = require("../server.js");

// The library is one for pages.
globalThis.window = globalThis;
globalThis.document = { addEventListener() {}, removeEventListener() {} };
const { fetchEventSource } = require("@microsoft/fetch-event-source");

module.exports = {
  package: "@microsoft/fetch-event-source",
  start() {
    const stop = new AbortController();
    fetchEventSource("http://gateway.test/feed", { fetch: fakeFetch, openWhenHidden: true, signal: stop.signal });
    return () => stop.abort();
  },
  protocol: {},
};
