// The rows and their links.

import { equal, same, row } from "./check.mjs";

export default async function tests(load) {
  const { Store } = await load("store.js");
  const filled = (...rows) => {
    const store = new Store();
    rows.forEach((each) => store.put(each));
    store.complete();
    return store;
  };
  const names = (store, kind) => store.list(kind).map((each) => each.name);

  return {
    "store 1: a link is seen from both sides, and only while it is there": () => {
      const store = filled(row("class/fast"), row("claim/shop/orders", { links: ["class/fast"] }));
      same(store.neighbours("class/fast"), ["claim/shop/orders"]);
      same(store.neighbours("claim/shop/orders"), ["class/fast"]);
      store.put(row("claim/shop/orders", { links: [] }));
      same(store.neighbours("class/fast"), []);
      store.put(row("claim/shop/orders", { links: ["class/fast"] }));
      store.remove("claim/shop/orders");
      same(store.neighbours("class/fast"), []);
    },
    "store 2: a row that others name and that isn't there is shown as missing": () => {
      const store = new Store();
      store.put(row("claim/shop/orders", { links: ["class/tape"] }));
      equal(store.get("class/tape"), undefined, "before all rows have come");
      store.complete();
      equal(store.get("class/tape").level, "bad");
      same(names(store, "class"), ["tape"]);
      store.put(row("class/tape"));
      equal(store.get("class/tape").missing, undefined);
      same(names(store, "class"), ["tape"]);
      store.remove("class/tape");
      equal(store.get("class/tape").missing, true);
      store.remove("claim/shop/orders");
      same(names(store, "class"), []);
    },
    "store 2: a claim that only a released volume still names is gone, and nobody misses it": () => {
      const store = filled(row("volume/v", { links: ["claim/shop/old"] }));
      same([store.get("claim/shop/old").state, store.get("claim/shop/old").level], ["Gone", "idle"]);
      store.put(row("pod/shop/p", { links: ["claim/shop/old"] }));
      same([store.get("claim/shop/old").state, store.list("claim")[0].level], ["Missing", "bad"]);
    },
    "store 3: rows come sorted, numbers as numbers, whatever order they came in": () => {
      const store = filled(row("claim/shop/db-10"), row("claim/shop/db-2"), row("claim/billing/z"));
      same(names(store, "claim"), ["z", "db-2", "db-10"]);
      store.put(row("claim/shop/db-3"));
      store.remove("claim/shop/db-2");
      same(names(store, "claim"), ["z", "db-3", "db-10"]);
      store.put(row("claim/shop/db-3", { state: "Lost" }));
      equal(store.list("claim")[1].state, "Lost");
      store.remove("claim/shop/db-3");
      store.put(row("claim/shop/db-3"));
      same(names(store, "claim"), ["z", "db-3", "db-10"]);
    },
    "store: a kind that isn't known is left out": () => {
      const store = filled(row("lease/x"), row("claim/shop/a", { links: ["lease/x"] }));
      equal(store.get("lease/x"), undefined);
    },
  };
}
