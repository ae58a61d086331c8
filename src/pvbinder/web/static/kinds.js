// The five columns and their words: what every other module says of kinds, levels and identifiers of rows.
//
// Pure: no document, no network, no clock.

export const KINDS = ["class", "volume", "claim", "pod", "node"];
export const COLUMN = Object.fromEntries(KINDS.map((kind, at) => [kind, at]));
export const TITLES = { class: "Classes", volume: "Volumes", claim: "Claims", pod: "Pods", node: "Nodes" };

// Worst first: the order of groups in a column.
export const LEVELS = ["bad", "wait", "ok", "idle"];
export const LEVEL_WORDS = { bad: "needs somebody", wait: "waiting", ok: "fine", idle: "idle" };

const NAMESPACED = new Set(["claim", "pod"]);

/** Return kind, namespace ("" of what has none) and name of a row's identifier. */
export function partsOf(id) {
  const [kind, ...rest] = id.split("/");
  if (NAMESPACED.has(kind)) return { kind, namespace: rest[0] ?? "", name: rest.slice(1).join("/") };
  return { kind, namespace: "", name: rest.join("/") };
}

/** Return a row's name as people say it: NAMESPACE/NAME, or NAME. */
export function fullName(row) {
  return row.namespace ? `${row.namespace}/${row.name}` : row.name;
}

const IDENTIFIER = /([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

/** Return a name with the tail of each UUID left out, as the head is enough to tell volumes apart. */
export function shortName(name) {
  return name.replace(IDENTIFIER, "$1…");
}

/** Return a key that sorts db-2 before db-10, by namespace and then by name. */
export function sortKey(row) {
  return `${row.namespace ?? ""}\u0000${row.name}`.replace(/\d+/g, (digits) => digits.padStart(12, "0"));
}

/** Return how many there are of a thing, in words: "1 claim", "12 claims", "2 classes". */
export function counted(count, word) {
  if (count === 1) return `1 ${word}`;
  return `${grouped(count)} ${word}${/(s|x|ch)$/.test(word) ? "es" : "s"}`;
}

/** Return a number with thin spaces between groups of three digits from 10 000 on. */
export function grouped(count) {
  const digits = String(count);
  return digits.length < 5 ? digits : digits.replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** Return the rows that a decision is about, in words, unless its message names them itself. */
export function aboutInWords(decision) {
  const names = (decision.about ?? []).map((id) => fullName(partsOf(id))).filter((name) => !decision.message.includes(name));
  return names.map(shortName).join(", ");
}
