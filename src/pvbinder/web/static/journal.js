// The decisions that were taken, and the past that can be rebuilt from them.
//
// Pure: no document, no network, no clock.
//
// JOURNAL-1  A decision is kept once, in the order of time, however often and in whatever order it comes: what somebody else
//            wrote may be told of later than what followed from it.
// JOURNAL-2  The state after a decision is today's, with every later change undone; nothing of today's rows is changed by it.
// JOURNAL-3  A row that was made later isn't there; one that is gone since is there again.

import { partsOf } from "./kinds.js";
import { Store } from "./store.js";

const ENTRIES_MAX = 20_000;
const BEFORE_ALL = { at: -Infinity, seq: 0 };
const AFTER_ALL = { at: Infinity, seq: Infinity };

/** Compare two moments: by time, and within a millisecond by number. */
function compared(one, other) {
  return one.at === other.at ? one.seq - other.seq : one.at - other.at;
}

function isLater(one, other) {
  return compared(one, other) > 0;
}

export class Journal {
  constructor() {
    this.decisions = [];
    this.bySeq = new Map();
    this.befores = new Map(); // row ID → [{at, seq, row}], ascending
    this.oldest = null; // the least number that the server has, once it said so
  }

  /** The least number that is known; 0 if there is none. */
  get first() {
    return this.decisions.length ? Math.min(...this.bySeq.keys()) : 0;
  }

  /** Take decisions in; return those that are new. */
  add(decisions) {
    const fresh = [];
    for (const decision of decisions) {
      if (this.bySeq.has(decision.seq)) continue;
      decision.at = Date.parse(decision.time) || 0;
      this.bySeq.set(decision.seq, decision);
      fresh.push(decision);
      for (const row of decision.rows ?? []) this.remember(row.id, decision, row);
    }
    if (!fresh.length) return fresh;
    this.decisions = this.decisions.concat(fresh).sort(compared);
    if (this.decisions.length > ENTRIES_MAX) this.forget(this.decisions.length - ENTRIES_MAX);
    return fresh;
  }

  /** Remember that a row is gone, which no decision need say: somebody deleted it. */
  gone(row) {
    const { at, seq } = this.decisions[this.decisions.length - 1] ?? BEFORE_ALL;
    this.remember(row.id, { at, seq: seq + 0.5 }, row);
  }

  /** Return the moment just after decision `seq`; of one that isn't known, before all or after all. */
  momentAfter(seq) {
    return this.bySeq.get(seq) ?? (this.decisions.length && seq > this.first ? AFTER_ALL : BEFORE_ALL);
  }

  /** Return where the decision numbered `seq` stands in the order of time; -1 before all. */
  indexOf(seq) {
    const moment = this.momentAfter(seq);
    let low = 0;
    let high = this.decisions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (!isLater(this.decisions[middle], moment)) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Return the row `id` as it was at a moment: a short row, null if it wasn't there, undefined if unchanged since. */
  rowAt(id, moment) {
    const before = this.befores.get(id)?.find((each) => isLater(each, moment));
    if (before === undefined) return undefined;
    return before.row.state === "" ? null : before.row;
  }

  /** Yield the identifiers of the rows that changed after moment `from`, up to `to`. */
  *changedBetween(from, to) {
    for (const [id, befores] of this.befores) {
      if (befores.some((each) => isLater(each, from) && !isLater(each, to))) yield id;
    }
  }

  /** Return the newest decisions about a row, newest first. */
  about(id, most) {
    const found = [];
    for (let at = this.decisions.length - 1; at >= 0 && found.length < most; at--) {
      if (this.decisions[at].about?.includes(id)) found.push(this.decisions[at]);
    }
    return found;
  }

  remember(id, { at, seq }, row) {
    let list = this.befores.get(id);
    if (!list) this.befores.set(id, (list = []));
    const last = list[list.length - 1];
    list.push({ at, seq, row });
    if (last && isLater(last, list[list.length - 1])) list.sort(compared);
  }

  forget(count) {
    const dropped = this.decisions.splice(0, count);
    for (const { seq } of dropped) this.bySeq.delete(seq);
    const last = dropped[dropped.length - 1];
    for (const [id, list] of this.befores) {
      const kept = list.filter((each) => isLater(each, last));
      if (kept.length) this.befores.set(id, kept);
      else this.befores.delete(id);
    }
  }
}

/** The rows as they were after one decision: a store of its own that moves from one moment to another. */
export class Past {
  constructor(today, journal, seq) {
    this.today = today;
    this.journal = journal;
    this.store = today.copy();
    this.moment = AFTER_ALL;
    this.moveTo(seq);
  }

  /** Bring the rows to the state just after number `seq`. */
  moveTo(seq) {
    const moment = this.journal.momentAfter(seq);
    const [early, late] = [moment, this.moment].sort(compared);
    const ids = new Set(this.journal.changedBetween(early, late));
    const [from, to] = [this.timeOf(early), this.timeOf(late)];
    for (const row of this.today.rows.values()) if (created(row) > from && created(row) <= to) ids.add(row.id);
    Object.assign(this, { seq, moment });
    for (const id of ids) this.set(id);
  }

  /** Return the time of a moment: of one before all decisions that are known, just before the first. */
  timeOf({ at }) {
    return at === -Infinity && this.journal.decisions.length ? this.journal.decisions[0].at - 1 : at;
  }

  set(id) {
    const row = rowAt(this.today.rows.get(id), this.journal.rowAt(id, this.moment), id, this.timeOf(this.moment));
    if (row) this.store.put(row);
    else this.store.remove(id);
  }
}

function created(row) {
  return (row.createdAt ??= Date.parse(row.facts?.created ?? "") || 0);
}

function rowAt(today, before, id, time) {
  if (before === null) return null;
  if (before === undefined) return today && created(today) <= time ? { ...today } : null;
  const { facts = {}, note = "" } = before.facts ? before : { facts: today?.facts };
  return { ...partsOf(id), facts, note, ...before, id, links: before.links ?? today?.links ?? [] };
}

/** Return a store with the rows as they were just after number `seq`; for tests, and for one look. */
export function stateAfter(today, journal, seq) {
  return new Past(today, journal, seq).store;
}

