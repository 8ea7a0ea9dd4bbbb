// A hostile server behind a fake WebSocket: each attempt of a client gets the next step of a script.
"use strict";

const time = require("./virtual_time.js");

/** When the platform gives up a connection that nobody answers, if the library has not done so before. */
const GIVEN_UP_AFTER_MS = 120_000;

/** What the server does to the attempts of one client, and when they came. */
class Server {
  constructor(steps, protocol) {
    Object.assign(this, { steps, protocol, attempts: 0, endedMs: null, delaysMs: [], lastMs: time.now() });
  }

  /** The script is over, and its last step has ended. */
  get done() { return this.attempts >= this.steps.length && this.endedMs !== null; }

  /** The step of a new attempt; null after the last one. */
  attempt() {
    if (this.endedMs !== null) this.delaysMs.push(time.now() - this.endedMs);
    this.endedMs = null;
    this.lastMs = time.now();
    return this.steps[this.attempts++] ?? null;
  }

  /** An attempt or a session has ended just now. */
  ended() { this.endedMs = this.lastMs = time.now(); }
}

let server = null;

class FakeWebSocket {
  static CONNECTING = 0;
  static OPEN = 1;
  static CLOSING = 2;
  static CLOSED = 3;
  CONNECTING = 0;
  OPEN = 1;
  CLOSING = 2;
  CLOSED = 3;

  constructor(url, protocols = []) {
    this.url = String(url);
    this.protocol = [protocols].flat()[0] ?? "";
    Object.assign(this, { readyState: 0, binaryType: "blob", bufferedAmount: 0, extensions: "", listeners: {} });
    this.server = server;
    // A connection to another host, such as a check whether there is a network, is no attempt.
    this.step = this.url.includes("gateway.test") ? server.attempt() : null;
    if (this.step) queueMicrotask(() => this.#begin());
  }

  #begin() {
    if (this.step.do === "refuse" || this.step.do === "status") return this.fail();
    if (this.step.do === "silent") return setTimeout(() => this.readyState === 0 && this.fail(), GIVEN_UP_AFTER_MS);
    this.readyState = 1;
    this.emit("open", {});
    return this.server.protocol.opened?.(this);
  }

  /** The connection fails before it opens. A browser hides the reason. */
  fail() {
    this.server.ended();
    this.readyState = 3;
    this.emit("error", { message: "connection failed", error: new Error("connection failed") });
    this.emit("close", { code: 1006, reason: "", wasClean: false });
  }

  /** The server has joined the client: the session lasts as long as the step says, then ends as it says. */
  joined() {
    setTimeout(() => {
      this.server.protocol.last?.(this);
      if (this.step.end === "drop") this.drop();
      else this.server.protocol[this.step.end](this);
    }, this.step.session_ms ?? 0);
  }

  /** The server closes the transport. */
  drop(code = this.step.code ?? 1006, reason = this.step.reason ?? "") {
    if (this.readyState === 3) return;
    this.server.ended();
    this.readyState = 3;
    this.emit("close", { code, reason, wasClean: code !== 1006 });
  }

  /** The server sends a message. */
  message(data) { if (this.readyState === 1) this.emit("message", { data }); }

  send(data) {
    if (this.readyState === 1) queueMicrotask(() => this.server.protocol.sent?.(this, data));
  }

  close(code = 1005, reason = "") {
    if (this.readyState >= 2) return;
    const open = this.readyState === 1;
    this.readyState = 2;
    queueMicrotask(() => {
      if (this.step && this.server.endedMs === null) this.server.ended();
      this.readyState = 3;
      if (!open) this.emit("error", { message: "closed before it was open" });
      this.emit("close", { code: open ? code : 1006, reason, wasClean: open });
    });
  }

  terminate() { this.close(1006); }
  on(type, listener) { this.addEventListener(type, listener); }

  addEventListener(type, listener) { (this.listeners[type] ??= []).push(listener); }
  removeEventListener(type, listener) {
    this.listeners[type] = (this.listeners[type] ?? []).filter((other) => other !== listener);
  }

  emit(type, fields) {
    const event = Object.assign(new Event(type), fields);
    for (const name of ["target", "currentTarget"]) Object.defineProperty(event, name, { value: this });
    this[`on${type}`]?.(event);
    for (const listener of this.listeners[type] ?? []) {
      if (typeof listener === "function") listener.call(this, event);
      else listener.handleEvent(event);
    }
  }
}

/** The protocol of a plain WebSocket: what has opened has joined. */
const plain = {
  opened(socket) {
    if (socket.step.do === "join") socket.joined();
    else socket.drop();
  },
};

/** Answers a fetch() of a stream of events as the next step says. */
async function fakeFetch() {
  const current = server;
  const step = current.attempt();
  if (!step) return new Promise(() => {});
  if (step.do === "silent") await new Promise((resolve) => setTimeout(resolve, GIVEN_UP_AFTER_MS));
  if (step.do === "refuse" || step.do === "silent") {
    current.ended();
    throw new TypeError("fetch failed");
  }
  if (step.do === "status") {
    current.ended();
    return new Response("", { status: step.status });
  }
  let stream;
  const body = new ReadableStream({ start(controller) { stream = controller; } });
  setTimeout(() => {
    current.ended();
    // A proper end, as a Close frame is one.
    if ((step.code ?? 1006) !== 1006) stream.close();
    else stream.error(new TypeError("terminated"));
  }, step.session_ms ?? 0);
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

module.exports = {
  GIVEN_UP_AFTER_MS,
  /** The next attempt of a client whose transport is no WebSocket: the server, and the step. */
  attempt: () => ({ server, step: server.attempt() }),
  FakeWebSocket,
  fakeFetch,
  plain,
  Server,
  /** The server of the attempts to come. */
  use(next) { server = next; },
};
