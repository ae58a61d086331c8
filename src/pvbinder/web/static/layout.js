// Where the rows of a column stand, so that only those in sight need be in the document.
//
// Pure: no document, no network, no clock.
//
// LAYOUT-1  The rows in sight, and a few around them, are found without looking at the others.

export const ROW_HEIGHT = 46;
export const HEAD_HEIGHT = 28;
const AROUND = 4;

/** Return groups with their places, and the height of all. */
export function laidOut(groups) {
  let top = 0;
  const placed = groups.map((group) => {
    const height = HEAD_HEIGHT + group.rows.length * ROW_HEIGHT;
    const result = { ...group, top, height };
    top += height;
    return result;
  });
  return { groups: placed, height: top };
}

/** Return which rows of a placed group are in sight, or nearly: [from, to). */
export function inSight(group, scrollTop, viewport, around = AROUND) {
  const start = scrollTop - group.top - HEAD_HEIGHT;
  const from = Math.max(0, Math.floor(start / ROW_HEIGHT) - around);
  const to = Math.min(group.rows.length, Math.ceil((start + viewport) / ROW_HEIGHT) + around);
  return [Math.min(from, group.rows.length), Math.max(to, Math.min(from, group.rows.length))];
}

/** Return {group, index, at, top} of a row, or null: `at` counts through all groups, `top` is in pixels. */
export function placeOf(layout, id) {
  let at = 0;
  for (const group of layout.groups) {
    const index = group.rows.findIndex((row) => row.id === id);
    if (index >= 0) return { group, index, at: at + index, top: group.top + HEAD_HEIGHT + index * ROW_HEIGHT };
    at += group.rows.length;
  }
  return null;
}

/** Return how many rows a layout has. */
export function countOf(layout) {
  return layout.groups.reduce((sum, group) => sum + group.rows.length, 0);
}

/** Return the row that stands at number `at`, counted through all groups, kept within bounds; null if there is none. */
export function rowAt(layout, at) {
  const count = countOf(layout);
  if (count === 0) return null;
  let left = Math.min(Math.max(at, 0), count - 1);
  for (const group of layout.groups) {
    if (left < group.rows.length) return group.rows[left];
    left -= group.rows.length;
  }
  return null;
}

/** Return the scroll position, as near as can be to `scrollTop`, at which a row at `top` is in full sight. */
export function scrolledTo(top, scrollTop, viewport) {
  const highest = Math.max(0, top - HEAD_HEIGHT); // the head of the group stays above its rows
  if (highest < scrollTop) return highest;
  const lowest = top + ROW_HEIGHT - viewport;
  return lowest > scrollTop ? lowest : scrollTop;
}
