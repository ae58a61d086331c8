// Filters, groups, relations and the places of rows.

import { equal, ok, row, same } from "./check.mjs";

export default async function tests(load) {
  const { NO_FILTERS, columnOf } = await load("filter.js");
  const { inSight, laidOut, placeOf, rowAt, scrolledTo, HEAD_HEIGHT, ROW_HEIGHT } = await load("layout.js");
  const { linesOf, relatedTo } = await load("relations.js");
  const { shortName, counted, grouped, partsOf } = await load("kinds.js");
  const { Store } = await load("store.js");

  function world() {
    const store = new Store();
    [
      row("class/fast"),
      row("class/bulk"),
      row("volume/a", { links: ["class/fast", "claim/shop/a"], facts: { class: "fast" } }),
      row("volume/b", { links: ["class/bulk", "claim/billing/b"], facts: { class: "bulk" } }),
      row("volume/free", { level: "idle", state: "Available", links: ["class/bulk", "node/n2"], facts: { class: "bulk" } }),
      row("claim/shop/a", { links: ["class/fast", "volume/a"], facts: { class: "fast", size: "5Gi" } }),
      row("claim/billing/b", { links: ["class/bulk", "volume/b"], facts: { class: "bulk" } }),
      row("claim/shop/c", { level: "bad", state: "Pending", note: "no volume fits it", facts: { class: "fast" }, links: ["class/fast"] }),
      row("pod/shop/web", { links: ["claim/shop/a", "claim/shop/c", "node/n1"] }),
      row("node/n1"),
      row("node/n2"),
    ].forEach((each) => store.put(each));
    store.complete();
    return store;
  }
  const listed = (store, kind, filters, linked = null) =>
    Object.fromEntries(columnOf(store, kind, { ...NO_FILTERS, ...filters }, linked).groups.map((group) => [group.name, group.rows.map((each) => each.name)]));

  return {
    "columns are grouped, worst first": () => {
      same(listed(world(), "claim", {}), { bad: ["c"], ok: ["b", "a"] });
    },
    "filter 1: a namespace keeps the rows that its claims are linked to": () => {
      const store = world();
      same(listed(store, "claim", { namespace: "billing" }), { ok: ["b"] });
      same(listed(store, "volume", { namespace: "billing" }), { ok: ["b"] });
      same(listed(store, "class", { namespace: "billing" }), { ok: ["bulk"] });
      same(listed(store, "node", { namespace: "billing" }), {});
      same(listed(store, "node", { namespace: "shop" }), { ok: ["n1"] });
    },
    "filter 1: a class keeps the pods of its claims, and their nodes": () => {
      const store = world();
      same(listed(store, "pod", { class: "fast" }), { ok: ["web"] });
      same(listed(store, "pod", { class: "bulk" }), {});
      same(listed(store, "node", { class: "fast" }), { ok: ["n1"] });
    },
    "filter 2: linked rows come first, whatever the filters are": () => {
      const store = world();
      const linked = relatedTo(store, "claim/shop/a");
      same(listed(store, "volume", { text: "free" }, linked), { linked: ["a"], idle: ["free"] });
    },
    "text, state and level are looked for in each row; all words must be there": () => {
      const store = world();
      same(listed(store, "claim", { text: "SHOP fits" }), { bad: ["c"] });
      same(listed(store, "claim", { text: "5gi" }), { ok: ["a"] });
      same(listed(store, "claim", { state: "Pending" }), { bad: ["c"] });
      same(listed(store, "volume", { level: ["idle"] }), { idle: ["free"] });
    },
    "relation 1: links are followed to both sides, and never back": () => {
      const store = world();
      same([...relatedTo(store, "claim/shop/a").keys()].sort(), ["claim/shop/a", "class/fast", "node/n1", "pod/shop/web", "volume/a"]);
      same([...relatedTo(store, "node/n1").keys()].sort(), ["claim/shop/a", "claim/shop/c", "class/fast", "node/n1", "pod/shop/web", "volume/a"]);
      same([...relatedTo(store, "claim/no/such").keys()], ["claim/no/such"]);
    },
    "relation 2: lines join rows in sight, from left to right, and end at the edge for the chosen one's": () => {
      const store = world();
      const sight = new Set(["class/fast", "volume/a", "claim/shop/a"]);
      same(linesOf(store, sight, null, null, null).map((line) => `${line.from} ${line.to}`).sort(), ["class/fast volume/a", "volume/a claim/shop/a"]);
      const chosen = linesOf(store, sight, relatedTo(store, "claim/shop/a"), "claim/shop/a", null);
      ok(chosen.every((line) => line.focused), "all are related");
      same(chosen.filter((line) => line.beyond).map((line) => line.to), ["pod/shop/web"]);
    },
    "layout 1: rows in sight are found by their places": () => {
      const rows = Array.from({ length: 10_000 }, (_, at) => row(`claim/a/c-${at}`));
      const layout = laidOut([{ name: "bad", rows: rows.slice(0, 3) }, { name: "ok", rows: rows.slice(3) }]);
      equal(layout.height, 2 * HEAD_HEIGHT + 10_000 * ROW_HEIGHT);
      same(inSight(layout.groups[0], 0, 460, 0), [0, 3]);
      const [from, to] = inSight(layout.groups[1], 100_000, 460, 0);
      ok(to - from <= 12 && from > 2000, `${from} to ${to}`);
      const place = placeOf(layout, "claim/a/c-7");
      same([place.at, place.index, place.top], [7, 4, 2 * HEAD_HEIGHT + 7 * ROW_HEIGHT]);
      equal(rowAt(layout, 7).id, "claim/a/c-7");
      equal(rowAt(layout, 99_999).id, "claim/a/c-9999");
      equal(rowAt(layout, -5).id, "claim/a/c-0");
      equal(placeOf(layout, "claim/a/none"), null);
      equal(scrolledTo(place.top, 0, 1000), 0);
      equal(scrolledTo(5000, 0, 460), 5000 + ROW_HEIGHT - 460);
      equal(scrolledTo(1000, 5000, 460), 1000 - HEAD_HEIGHT);
    },
    "names and numbers are said shortly": () => {
      equal(shortName("pvc-74b9d7bb-501b-4923-bc65-9e1ebf0504ce"), "pvc-74b9d7bb…");
      equal(shortName("disk-1"), "disk-1");
      same([counted(1, "class"), counted(2, "class"), counted(2, "claim")], ["1 class", "2 classes", "2 claims"]);
      equal(grouped(10_000), "10\u202f000");
      same(partsOf("claim/shop/orders"), { kind: "claim", namespace: "shop", name: "orders" });
      same(partsOf("volume/disk-1"), { kind: "volume", namespace: "", name: "disk-1" });
    },
  };
}
