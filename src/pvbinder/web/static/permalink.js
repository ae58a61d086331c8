// What the address of the page holds after its #: the chosen row, the open drawer, the filters and the moment.
//
// Pure: no document, no network, no clock.
//
// LINK-1  An address that was made here leads back to the same view; one that was not is read as far as it makes sense.

import { COLUMN, LEVELS, partsOf } from "./kinds.js";
import { NO_FILTERS } from "./filter.js";

const TABS = ["report", "text", "history"];

/** Return the part of an address after #, without it; "" for the page as it opens. */
export function written({ selected, drawer, tab, filters, moment }) {
  const parts = [];
  const add = (name, value) => parts.push(`${name}=${encodeURIComponent(value).replace(/%2F/g, "/").replace(/%2C/g, ",")}`);
  if (selected) add("row", selected);
  if (selected && drawer) add("open", tab);
  if (filters.text) add("q", filters.text);
  for (const name of ["namespace", "class", "state"]) if (filters[name]) add(name, filters[name]);
  if (filters.level.length) add("level", filters.level.join(","));
  if (moment !== null) add("at", String(moment));
  return parts.join("&");
}

/** Return the view that an address says. */
export function read(hash) {
  const values = new URLSearchParams(hash.replace(/^#/, ""));
  const row = values.get("row") ?? "";
  const selected = partsOf(row).kind in COLUMN && partsOf(row).name ? row : null;
  const open = values.get("open");
  const moment = /^\d+$/.test(values.get("at") ?? "") ? Number(values.get("at")) : null;
  const level = (values.get("level") ?? "").split(",").filter((each) => LEVELS.includes(each));
  return {
    selected,
    drawer: selected !== null && open !== null,
    tab: TABS.includes(open) ? open : "report",
    filters: {
      ...NO_FILTERS,
      text: values.get("q") ?? "",
      namespace: values.get("namespace") ?? "",
      class: values.get("class") ?? "",
      state: values.get("state") ?? "",
      level: [...new Set(level)],
    },
    moment,
  };
}
