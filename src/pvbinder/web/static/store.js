// The rows of all columns, and the links between them: what the stream said, made symmetric.
//
// Pure: no document, no network, no clock.
//
// STORE-1  A link that is given on one side is seen from both.
// STORE-2  A row that is named by others and isn't there is shown as missing, once all rows have come.
// STORE-3  The rows of a kind come sorted by namespace and name; a change costs no new sort.

import { KINDS, partsOf, sortKey } from "./kinds.js";

const NONE = new Set();

export class Store {
  constructor() {
    this.clear();
  }

  /** Forget all rows; those that follow are pieces of a whole until `complete()`. */
  clear() {
    this.rows = new Map();
    this.incoming = new Map();
    this.missing = new Map();
    this.whole = false;
    this.version = Object.fromEntries(KINDS.map((kind) => [kind, 0]));
    this.sorted = Object.fromEntries(KINDS.map((kind) => [kind, []]));
    this.added = Object.fromEntries(KINDS.map((kind) => [kind, []]));
    this.removed = Object.fromEntries(KINDS.map((kind) => [kind, false]));
  }

  /** Return a store with the same rows that can change by itself. */
  copy() {
    const copy = new Store();
    for (const row of this.rows.values()) copy.put(row);
    copy.complete();
    return copy;
  }

  /** All rows have come: what is named and isn't among them is missing. */
  complete() {
    this.whole = true;
    for (const id of this.incoming.keys()) this.lookForMissing(id);
  }

  /** Return the row of an identifier, a missing one too, or undefined. */
  get(id) {
    return this.rows.get(id) ?? this.missing.get(id);
  }

  /** Add a row, or replace the one that has its identifier. */
  put(row) {
    const { id } = row;
    if (!(row.kind in this.version)) return;
    const before = this.rows.get(id);
    if (before) {
      this.unlink(before);
      row.key = before.key;
    } else {
      row.key ??= sortKey(row);
      this.drop(this.missing, id);
      this.added[row.kind].push(row);
    }
    row.links ??= [];
    this.rows.set(id, row);
    for (const other of row.links) {
      let sources = this.incoming.get(other);
      if (!sources) this.incoming.set(other, (sources = new Set()));
      sources.add(id);
      this.lookForMissing(other);
    }
    this.version[row.kind] += 1;
  }

  /** Remove a row, and return it if it was there. */
  remove(id) {
    const row = this.rows.get(id);
    if (!row) return undefined;
    this.unlink(row);
    this.rows.delete(id);
    this.removed[row.kind] = true;
    this.version[row.kind] += 1;
    this.lookForMissing(id);
    return row;
  }

  /** Return the identifiers of the rows that a row is linked to, from either side. */
  neighbours(id) {
    const row = this.rows.get(id);
    const from = this.incoming.get(id) ?? NONE;
    if (!row || row.links.length === 0) return [...from];
    if (from.size === 0) return row.links;
    return [...new Set([...row.links, ...from])];
  }

  /** Return the rows of a kind, sorted by namespace and name. */
  list(kind) {
    let rows = this.sorted[kind];
    const added = this.added[kind];
    if (this.removed[kind] || added.length) {
      const current = (row) => this.get(row.id) !== undefined;
      if (this.removed[kind]) rows = rows.filter(current);
      if (added.length) {
        const fresh = [...new Map(added.filter(current).map((row) => [row.id, row])).values()];
        const known = new Set(fresh.map((row) => row.id));
        rows = merged(rows.filter((row) => !known.has(row.id)), fresh.sort(byKey));
      }
      this.added[kind] = [];
      this.removed[kind] = false;
    }
    if (this.listed?.[kind] !== this.version[kind]) {
      rows = rows.map((row) => this.get(row.id));
      (this.listed ??= {})[kind] = this.version[kind];
    }
    this.sorted[kind] = rows;
    return rows;
  }

  unlink(row) {
    for (const other of row.links) {
      const sources = this.incoming.get(other);
      sources?.delete(row.id);
      if (sources?.size === 0) this.incoming.delete(other);
      this.lookForMissing(other);
    }
  }

  lookForMissing(id) {
    if (!this.whole) return;
    const sources = this.incoming.get(id) ?? NONE;
    if (this.rows.has(id) || sources.size === 0) {
      this.drop(this.missing, id);
      return;
    }
    const row = missingRow(id, sources);
    const before = this.missing.get(id);
    if (!(row.kind in this.version) || before?.state === row.state) return;
    this.missing.set(id, row);
    if (!before) this.added[row.kind].push(row);
    this.version[row.kind] += 1;
  }

  drop(map, id) {
    const row = map.get(id);
    if (!row) return;
    map.delete(id);
    this.removed[row.kind] = true;
    this.version[row.kind] += 1;
  }
}

/** Return the row that stands for an object that others name and that isn't there. */
function missingRow(id, sources) {
  const parts = partsOf(id);
  // a volume that was released goes on naming its claim: nobody misses that one
  const isLeft = parts.kind === "claim" && [...sources].every((each) => each.startsWith("volume/"));
  const said = isLeft ? { state: "Gone", level: "idle", note: "a volume still names it" } : { state: "Missing", level: "bad", note: "others name it" };
  const row = { id, ...parts, ...said, facts: {}, links: [], missing: true };
  row.key = sortKey(row);
  return row;
}

function byKey(one, other) {
  return one.key < other.key ? -1 : one.key > other.key ? 1 : 0;
}

function merged(one, other) {
  if (one.length === 0) return other;
  const all = [];
  let at = 0;
  for (const row of other) {
    while (at < one.length && one[at].key <= row.key) all.push(one[at++]);
    all.push(row);
  }
  while (at < one.length) all.push(one[at++]);
  return all;
}
