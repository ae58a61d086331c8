// What a screen reader is told of changes: one sentence, not more than once a second.
//
// Pure: no document, no network; whoever calls says what time it is.
//
// SAID-1  However many rows change, there is at most one sentence in a second, and the last change is never lost.

import { fullName } from "./kinds.js";

const PAUSE_MS = 1000;
const NAMED_MAX = 2;

export class Said {
  constructor() {
    this.waiting = new Map();
    this.lastAt = -Infinity;
  }

  /** Note that a row is now in a state ("gone" if it isn't there any more). */
  note(row, state) {
    this.waiting.delete(row.id);
    this.waiting.set(row.id, `${row.kind} ${fullName(row)} is ${state}`);
  }

  /** Return in how many milliseconds something may be said; null if there is nothing to say. */
  due(now) {
    return this.waiting.size ? Math.max(0, this.lastAt + PAUSE_MS - now) : null;
  }

  /** Return the sentence that may be said now, or null. */
  take(now) {
    if (this.due(now) !== 0) return null;
    const all = [...this.waiting.values()];
    this.waiting.clear();
    this.lastAt = now;
    const named = all.slice(-NAMED_MAX);
    const more = all.length - named.length;
    return named.join("; ") + (more ? `; and ${more} more changed` : "");
  }
}
