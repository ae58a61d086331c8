// What a row is linked to, through the columns, and where the lines between rows go.
//
// Pure: no document, no network, no clock.
//
// RELATION-1  From a row the links are followed to the left and to the right, and never back: a claim leads to its pods, but not
//             on to the other claims of these pods.
// RELATION-2  A line whose end is scrolled out of sight ends at the edge of its column.

import { COLUMN } from "./kinds.js";

const LINES_MAX = 400;
const BEYOND_MAX = 60;

/** Return the identifiers of all rows related to `id`, itself included, each with its distance in links. */
export function relatedTo(store, id) {
  const found = new Map([[id, 0]]);
  if (!store.get(id)) return found;
  for (const onward of [-1, 1]) {
    let reached = [id];
    for (let distance = 1; reached.length; distance++) {
      const next = [];
      for (const from of reached) {
        const column = COLUMN[store.get(from).kind];
        for (const to of store.neighbours(from)) {
          const row = store.get(to);
          if (!row || found.has(to) || (COLUMN[row.kind] - column) * onward <= 0) continue;
          found.set(to, distance);
          next.push(to);
        }
      }
      reached = next;
    }
  }
  return found;
}

/** Tell whether a link says what a longer way says already: class to claim when there is a volume, volume to node when there is a pod. */
export function isShortcut(store, left, right, chosen) {
  if (COLUMN[right.kind] - COLUMN[left.kind] < 2) return false;
  if (left.kind === "class" && right.kind === "claim") {
    return store.neighbours(right.id).some((id) => store.get(id)?.kind === "volume" && store.neighbours(id).includes(left.id));
  }
  return left.kind === "volume" && right.kind === "node" && left.id !== chosen && right.id !== chosen;
}

/**
 * Return the lines to draw, from left to right: {from, to, focused, beyond, broken}.
 * `visible` has the identifiers in sight; `related` those of the chosen row, or null if none is chosen.
 */
export function linesOf(store, visible, related, chosen, pointed) {
  const lines = new Map();
  const add = (one, other) => {
    const [left, right] = COLUMN[one.kind] < COLUMN[other.kind] ? [one, other] : [other, one];
    const key = `${left.id} ${right.id}`;
    if (lines.has(key) || lines.size >= LINES_MAX || left.kind === right.kind || isShortcut(store, left, right, chosen)) return;
    lines.set(key, {
      from: left.id,
      to: right.id,
      focused: related !== null && related.has(left.id) && related.has(right.id),
      pointed: left.id === pointed || right.id === pointed,
      beyond: !visible.has(left.id) || !visible.has(right.id),
      broken: isBroken(left) || isBroken(right),
    });
  };
  const chosenRow = chosen ? store.get(chosen) : undefined;
  if (chosenRow) {
    for (const id of store.neighbours(chosen)) {
      if (lines.size >= BEYOND_MAX) break; // a class has thousands: those in sight come below
      if (store.get(id)) add(chosenRow, store.get(id));
    }
  }
  for (const id of visible) {
    const row = store.get(id);
    if (!row) continue;
    for (const other of row.links) { // a link is given on one side at least: no row's thousands are looked through
      if (!visible.has(other) || !store.get(other)) continue;
      if (related === null || (related.has(id) && related.has(other)) || id === pointed || other === pointed) add(row, store.get(other));
    }
  }
  return [...lines.values()];
}

function isBroken(row) {
  return row.missing === true && row.level === "bad";
}

/** Return the path of a line between two points, as SVG takes it: level where it leaves a row. */
export function pathOf(x1, y1, x2, y2) {
  const bend = Math.max(12, (x2 - x1) / 2);
  const round = (value) => Math.round(value * 10) / 10;
  return `M${round(x1)} ${round(y1)}C${round(x1 + bend)} ${round(y1)} ${round(x2 - bend)} ${round(y2)} ${round(x2)} ${round(y2)}`;
}
