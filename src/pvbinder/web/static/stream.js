// The line to the server: events as they come, a new connection when it is lost, and what is to be said of it.
//
// STREAM-1  After a loss the wait doubles up to 15 seconds, and begins anew with the first event that comes.
// STREAM-2  When the session has ended nothing is tried any more.

import * as api from "./api.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const EVENTS = ["rows", "change", "decisions", "reset"];

/** Return how long to wait before attempt number `attempt`, counted from 0. */
export function waitBefore(attempt) {
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt);
}

export class Stream {
  /** `on` has a function for each event, and `state(name, retryAt)` with "connecting", "open", "lost" or "ended". */
  constructor(on) {
    this.on = on;
    this.attempt = 0;
    this.timer = null;
  }

  open() {
    clearTimeout(this.timer);
    this.source?.close();
    const source = new EventSource("/api/stream");
    this.source = source;
    source.onopen = () => {
      this.on.opened();
      this.on.state("open");
    };
    for (const name of EVENTS) {
      source.addEventListener(name, (event) => {
        this.attempt = 0;
        this.on[name](JSON.parse(event.data));
      });
    }
    source.onerror = () => this.lost(source);
  }

  async lost(source) {
    if (source !== this.source) return;
    source.close();
    this.source = null;
    this.on.state("lost", null);
    const { status } = await api.info();
    if (this.source) return;
    if (status === 401 || status === 403) {
      this.on.state("ended");
      return;
    }
    const wait = waitBefore(this.attempt++);
    this.on.state("lost", Date.now() + wait);
    this.timer = setTimeout(() => this.open(), wait);
  }
}
