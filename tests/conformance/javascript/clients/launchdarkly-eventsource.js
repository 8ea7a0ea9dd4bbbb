"use strict";

const { EventEmitter } = require("node:events");
const http = require("node:http");
const { Readable } = require("node:stream");
const { attempt, GIVEN_UP_AFTER_MS } = require("../server.js");

// The library asks node:http.
http.request = (...parameters) => {
  const answered = parameters.find((parameter) => typeof parameter === "function");
  const request = new EventEmitter();
  const { server, step } = attempt();
  Object.assign(request, { setNoDelay() {}, write() {}, destroy() {}, abort() {}, setTimeout() {} });
  request.end = () => queueMicrotask(() => {
    if (!step) return;
    if (step.do === "refuse" || step.do === "silent") {
      setTimeout(() => {
        server.ended();
        request.emit("error", new Error("connection failed"));
      }, step.do === "silent" ? GIVEN_UP_AFTER_MS : 0);
      return;
    }
    const response = Object.assign(new Readable({ read() {} }), {
      statusCode: step.status ?? 200, statusMessage: "", headers: { "content-type": "text/event-stream" },
    });
    if (step.do === "status") server.ended();
    (answered ?? ((message) => request.emit("response", message)))(response);
    if (step.do === "status") return;
    setTimeout(() => {
      server.ended();
      response.push(null);
      response.resume();
    }, step.session_ms);
  });
  return request;
};

const { EventSource } = require("launchdarkly-eventsource");

module.exports = {
  package: "launchdarkly-eventsource",
  start() {
    const source = new EventSource("http://gateway.test/feed");
    source.onerror = () => {};
    return () => source.close();
  },
  protocol: {},
};
