// A hostile server behind a fake WebSocket: each attempt of a client gets the next step of a script.
"use strict";

const time = require("./virtual_time.js");

/** What the server does to the attempts of one client, and when they came. */
class Server {
  constructor(steps, protocol) {
    Object.assign(this, { steps, protocol, attempts: 0, endedMs: null, delaysMs: [], current: null });
  }

  /** The script is over, and its last step has ended. */
  get done() { return this.attempts >= this.steps.length && this.endedMs !== null; }

  /** The step of a new attempt; null after the last one. */
  attempt() {
    if (this.endedMs !== null) this.delaysMs.push(time.now() - this.endedMs);
    this.endedMs = null;
    return this.steps[this.attempts++] ?? null;
  }

  /** An attempt or a session has ended just now. */
  ended() { this.endedMs = time.now(); }
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
    this.step = server.attempt();
    if (this.step) queueMicrotask(() => this.#begin());
  }

  #begin() {
    if (this.step.do === "refuse" || this.step.do === "status") return this.fail();
    if (this.step.do === "silent") return undefined;
    this.readyState = 1;
    this.emit("open", {});
    if (this.step.code && this.step.do === "open") return this.drop();
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
      if (this.server.endedMs === null) this.server.ended();
      this.readyState = 3;
      if (!open) this.emit("error", { message: "closed before it was open" });
      this.emit("close", { code: open ? code : 1006, reason, wasClean: open });
    });
  }

  terminate() { this.close(1006); }

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

module.exports = {
  FakeWebSocket,
  Server,
  /** The server of the attempts to come. */
  use(next) { server = next; },
};
