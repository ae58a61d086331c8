// Which rows are shown: filters, and the groups of a column, worst first.
//
// Pure: no document, no network, no clock.
//
// FILTER-1  A filter that a kind knows nothing of keeps a row if a row it is linked to is kept: with a namespace chosen, the
//           volumes that stay are those of its claims.
// FILTER-2  Rows linked to the chosen one come first in the other columns, whatever the filters are.

import { COLUMN, LEVELS, fullName } from "./kinds.js";

export const NO_FILTERS = Object.freeze({ text: "", namespace: "", class: "", state: "", level: [] });

// Which kinds know a filter themselves; the others ask their neighbours in these.
const KNOWN = {
  namespace: { claim: (row) => row.namespace, pod: (row) => row.namespace },
  class: { class: (row) => row.name, volume: (row) => row.facts?.class ?? "", claim: (row) => row.facts?.class ?? "" },
};
const ASKED = {
  namespace: { class: ["volume", "claim"], volume: ["claim"], node: ["pod"] },
  class: { pod: ["claim"], node: ["pod", "volume"] },
};

/** Return whether filters leave anything out. */
export function isFiltering(filters) {
  return Boolean(filters.text || filters.namespace || filters.class || filters.state || filters.level.length);
}

/** Return the text of a row that a search looks at. */
function searched(row) {
  return (row.searched ??= `${row.kind} ${fullName(row)} ${row.state} ${row.note ?? ""} ${Object.values(row.facts ?? {}).join(" ")}`.toLowerCase());
}

/** Return a function that tells whether a row of `store` is shown. */
export function compiled(store, filters) {
  const words = filters.text.toLowerCase().split(/\s+/).filter(Boolean);
  const levels = new Set(filters.level);
  const fields = ["namespace", "class"].filter((field) => filters[field]);
  const known = Object.fromEntries(fields.map((field) => [field, new Map()]));

  function keeps(field, row) {
    const value = KNOWN[field][row.kind];
    if (value) return value(row) === filters[field];
    let kept = known[field].get(row.id);
    if (kept === undefined) {
      known[field].set(row.id, false);
      const kinds = ASKED[field][row.kind] ?? [];
      kept = store.neighbours(row.id).some((id) => {
        const other = store.get(id);
        return other !== undefined && kinds.includes(other.kind) && keeps(field, other);
      });
      known[field].set(row.id, kept);
    }
    return kept;
  }

  return (row) => {
    if (levels.size && !levels.has(row.level)) return false;
    if (filters.state && row.state !== filters.state) return false;
    for (const word of words) if (!searched(row).includes(word)) return false;
    for (const field of fields) if (!keeps(field, row)) return false;
    return true;
  };
}

/**
 * Return a column: its groups (the linked rows first, then by level, worst first), how many rows are shown, and how many
 * there are. `linked` are the identifiers related to the chosen row, or null in the chosen row's own column.
 */
export function columnOf(store, kind, filters, linked) {
  const rows = store.list(kind);
  const shows = isFiltering(filters) ? compiled(store, filters) : null;
  const byLevel = Object.fromEntries(LEVELS.map((level) => [level, []]));
  const first = [];
  let shown = 0;
  let total = 0; // what is missing is shown, and not counted: it isn't there
  for (const row of rows) {
    if (!row.missing) total += 1;
    if (linked?.has(row.id)) first.push(row);
    else if (shows === null || shows(row)) (byLevel[row.level] ?? byLevel.idle).push(row);
    else continue;
    if (!row.missing) shown += 1;
  }
  const groups = LEVELS.filter((level) => byLevel[level].length).map((level) => ({ name: level, rows: byLevel[level] }));
  if (first.length) groups.unshift({ name: "linked", rows: first });
  return { kind, groups, shown, total };
}

/** Return how many rows of all columns have each level. */
export function levelCounts(store, kinds) {
  const counts = Object.fromEntries(LEVELS.map((level) => [level, 0]));
  for (const kind of kinds) for (const row of store.list(kind)) counts[row.level] = (counts[row.level] ?? 0) + 1;
  return counts;
}

/** Return what can be chosen in the filters, from the rows that there are. */
export function choices(store) {
  const namespaces = new Set();
  const classes = new Set();
  const states = new Set();
  for (const kind of Object.keys(COLUMN)) {
    for (const row of store.list(kind)) {
      if (row.namespace) namespaces.add(row.namespace);
      if (kind === "class") classes.add(row.name);
      if (row.state) states.add(row.state);
    }
  }
  const sorted = (set) => [...set].sort();
  return { namespace: sorted(namespaces), class: sorted(classes), state: sorted(states) };
}
