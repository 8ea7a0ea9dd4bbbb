// LiveView's socket, with the least of a page: its own view, which needs the DOM, is left out. What a view does
// after a refused join (`onJoinError`) and after a join (`applyJoin`) to its LiveSocket is done here.
"use strict";

const { FakeWebSocket } = require("../server.js");

const storage = () => {
  const kept = new Map();
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => kept.set(key, String(value)),
    removeItem: (key) => kept.delete(key),
    clear: () => kept.clear(),
  };
};
let page = null;
globalThis.window = Object.assign(globalThis, {
  localStorage: storage(),
  sessionStorage: storage(),
  location: { href: "http://gateway.test/", pathname: "/", protocol: "http:", host: "gateway.test", reload: () => page.load() },
  history: { pushState() {}, replaceState() {}, state: null },
  addEventListener() {},
  removeEventListener() {},
  dispatchEvent() {},
});
globalThis.document = {
  readyState: "loading", documentElement: {}, addEventListener() {}, removeEventListener() {}, querySelector: () => null,
  querySelectorAll: () => [], createElement: () => ({}),
};
const { Socket } = require("phoenix");

class Page {
  constructor(LiveSocket) {
    this.LiveSocket = LiveSocket;
    this.load();
  }

  load() {
    this.live = new this.LiveSocket("ws://gateway.test/live", Socket, { transport: FakeWebSocket });
    this.live.socket.connect();
  }

  refused() {
    const view = { isDestroyed: () => false, isConnected: () => false, destroy() {} };
    this.live.reloadWithJitter(view, () => {});
  }
}

module.exports = {
  package: "phoenix_live_view",
  async start() {
    // Its file for require() is one that Node takes for a module.
    const { LiveSocket } = await import("phoenix_live_view");
    window.localStorage.clear();
    page = new Page(LiveSocket);
    return () => page.live.socket.disconnect();
  },
  protocol: {
    opened(socket) {
      if (socket.step.do === "open") return socket.drop();
      if (socket.step.do === "connect-error") {
        socket.server.ended();
        return page.refused();
      }
      window.localStorage.removeItem("/-consecutive-reloads");
      return socket.joined();
    },
    sent(socket, data) {
      const [joinRef, ref, topic, event] = JSON.parse(data);
      const answer = [joinRef, ref, topic, "phx_reply", { status: "ok", response: {} }];
      if (event === "heartbeat") socket.message(JSON.stringify(answer));
    },
  },
};
