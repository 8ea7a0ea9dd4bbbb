// Virtual time: timers, Date and performance.now() follow a clock that jumps from one timer to the next.
// Math.random() is seeded. Required before any library, so that the library captures these.
"use strict";

const { setImmediate: realSetImmediate } = globalThis;
const START_MS = 1_700_000_000_000;
const LONGEST_MS = 2 ** 31 - 1;

let nowMs = 0;
let order = 0;
let timers = new Map();

class Timer {
  constructor(call, ms, args, everyMs) {
    // As in Node and browsers: what does not fit into 31 bits, or is no number, is due at once.
    this.ms = ms > 0 && ms <= LONGEST_MS ? Number(ms) : 0;
    Object.assign(this, { call, args, everyMs, id: ++order });
    this.schedule();
  }

  schedule() {
    this.dueMs = nowMs + this.ms;
    this.order = ++order;
    timers.set(this.id, this);
  }

  ref() { return this; }
  unref() { return this; }
  hasRef() { return true; }
  refresh() { this.schedule(); return this; }
  close() { timers.delete(this.id); }
  [Symbol.toPrimitive]() { return this.id; }
}

const clear = (timer) => { if (timer !== undefined && timer !== null) timers.delete(Number(timer)); };
const faked = {
  setTimeout: (call, ms, ...args) => new Timer(call, ms, args, false),
  setInterval: (call, ms, ...args) => new Timer(call, ms, args, true),
  setImmediate: (call, ...args) => realSetImmediate(call, ...args),
  clearTimeout: clear,
  clearInterval: clear,
};
Object.assign(globalThis, faked);
Object.assign(require("node:timers"), faked);

const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...args) { super(...(args.length ? args : [START_MS + nowMs])); }
  static now() { return START_MS + nowMs; }
};
performance.now = () => nowMs;

let seed = 1;
Math.random = () => {
  // mulberry32
  seed = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
};

module.exports = {
  now: () => nowMs,
  /** Forgets all timers. */
  reset() { timers = new Map(); },
  /** Lets promises and events settle; takes no virtual time. */
  async settle() {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => realSetImmediate(resolve));
  },
  /** Jumps to the next timer and runs it; false where there is none. */
  step() {
    let next = null;
    for (const timer of timers.values()) {
      if (!next || timer.dueMs < next.dueMs || (timer.dueMs === next.dueMs && timer.order < next.order)) next = timer;
    }
    if (!next) return false;
    nowMs = Math.max(nowMs, next.dueMs);
    if (next.everyMs) next.schedule();
    else timers.delete(next.id);
    next.call(...next.args);
    return true;
  },
};
