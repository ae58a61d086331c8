// The decisions that were taken, and the past that can be rebuilt from them.
//
// Pure: no document, no network, no clock.
//
// JOURNAL-1  A decision is kept once, in the order of its number, however often and in whatever order it comes.
// JOURNAL-2  The state after decision N is today's, with every later change undone; nothing of today's rows is changed by it.
// JOURNAL-3  A row that was made later isn't there; one that is gone since is there again.

import { partsOf } from "./kinds.js";
import { Store } from "./store.js";

const ENTRIES_MAX = 20_000;

export class Journal {
  constructor() {
    this.decisions = [];
    this.befores = new Map(); // row ID → [{seq, row}], ascending
    this.oldest = null; // the oldest number that the server has, once it said so
  }

  get newest() {
    return this.decisions.length ? this.decisions[this.decisions.length - 1].seq : 0;
  }

  get first() {
    return this.decisions.length ? this.decisions[0].seq : 0;
  }

  /** Take decisions in; return those that are new. */
  add(decisions) {
    const known = new Set();
    const least = decisions.reduce((least, each) => Math.min(least, each.seq), Infinity);
    for (let at = this.decisions.length - 1; at >= 0 && this.decisions[at].seq >= least; at--) known.add(this.decisions[at].seq);
    const fresh = [];
    for (const decision of decisions) {
      if (known.has(decision.seq)) continue;
      known.add(decision.seq);
      decision.at = Date.parse(decision.time);
      fresh.push(decision);
      for (const row of decision.rows ?? []) this.remember(row.id, decision.seq, row);
    }
    if (!fresh.length) return fresh;
    const inOrder = fresh[0].seq > this.newest && fresh.every((each, at) => at === 0 || each.seq > fresh[at - 1].seq);
    this.decisions = this.decisions.concat(fresh);
    if (!inOrder) this.decisions.sort((one, other) => one.seq - other.seq);
    if (this.decisions.length > ENTRIES_MAX) this.forget(this.decisions.length - ENTRIES_MAX);
    return fresh;
  }

  /** Remember that a row is gone, which no decision need say: somebody deleted it. */
  gone(row) {
    this.remember(row.id, this.newest + 0.5, row);
  }

  /** Return where the decision numbered `seq`, or the last one before it, stands; -1 before all. */
  indexOf(seq) {
    let low = 0;
    let high = this.decisions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.decisions[middle].seq <= seq) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Return the row `id` as it was just after number `seq`: a short row, null if it wasn't there, undefined if unchanged since. */
  rowAfter(id, seq) {
    const before = this.befores.get(id)?.find((each) => each.seq > seq);
    if (before === undefined) return undefined;
    return before.row.state === "" ? null : before.row;
  }

  /** Yield the identifiers of the rows that changed after number `from`, up to `to`. */
  *changedBetween(from, to) {
    for (const [id, befores] of this.befores) {
      if (befores.some((each) => each.seq > from && each.seq <= to)) yield id;
    }
  }

  /** Return the newest decisions about a row, newest first, none later than `seq`. */
  about(id, most, seq = Infinity) {
    const found = [];
    for (let at = this.decisions.length - 1; at >= 0 && found.length < most; at--) {
      const decision = this.decisions[at];
      if (decision.seq <= seq && decision.about?.includes(id)) found.push(decision);
    }
    return found;
  }

  remember(id, seq, row) {
    let list = this.befores.get(id);
    if (!list) this.befores.set(id, (list = []));
    const last = list[list.length - 1];
    list.push({ seq, row });
    if (last && last.seq > seq) list.sort((one, other) => one.seq - other.seq);
  }

  forget(count) {
    const dropped = this.decisions.splice(0, count);
    const last = dropped[dropped.length - 1].seq;
    for (const [id, list] of this.befores) {
      const kept = list.filter((each) => each.seq > last);
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
    this.seq = Infinity;
    this.moveTo(seq);
  }

  /** Bring the rows to the state just after number `seq`. */
  moveTo(seq) {
    const [from, to] = seq < this.seq ? [seq, this.seq] : [this.seq, seq];
    const before = this.moment;
    this.seq = seq;
    this.moment = this.momentOf(seq);
    const ids = new Set(this.journal.changedBetween(from, to));
    const [early, late] = [this.moment, before ?? Infinity].sort((one, other) => one - other);
    for (const row of this.today.rows.values()) if (created(row) > early && created(row) <= late) ids.add(row.id);
    for (const id of ids) this.set(id);
  }

  momentOf(seq) {
    const at = this.journal.indexOf(seq);
    if (at >= 0) return this.journal.decisions[at].at;
    return this.journal.decisions.length ? this.journal.decisions[0].at - 1 : Infinity;
  }

  set(id) {
    const row = rowAt(this.today.rows.get(id), this.journal.rowAfter(id, this.seq), id, this.moment);
    if (row) this.store.put(row);
    else this.store.remove(id);
  }
}

function created(row) {
  return (row.createdAt ??= Date.parse(row.facts?.created ?? "") || 0);
}

function rowAt(today, before, id, moment) {
  if (before === null) return null;
  if (before === undefined) return today && created(today) <= moment ? { ...today } : null;
  const { facts = {}, note = "" } = before.facts ? before : { facts: today?.facts };
  return { ...partsOf(id), facts, note, ...before, id, links: before.links ?? today?.links ?? [] };
}

/** Return a store with the rows as they were just after number `seq`; for tests, and for one look. */
export function stateAfter(today, journal, seq) {
  return new Past(today, journal, seq).store;
}

