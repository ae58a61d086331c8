// Decisions, and the past.

import { equal, row, same } from "./check.mjs";

export default async function tests(load) {
  const { Journal, Past, stateAfter } = await load("journal.js");
  const { Store } = await load("store.js");
  const time = (second) => new Date(Date.UTC(2026, 0, 1, 10, 0, second)).toISOString();
  const decision = (seq, more = {}) => ({ seq, time: time(seq), rule: "SC-U3", message: `number ${seq}`, about: [], writes: [], ...more });

  // a claim is made (1), waits (2), a volume is made (3), and they are bound (4)
  function life() {
    const store = new Store();
    store.put(row("class/fast", { facts: { created: time(0) } }));
    store.put(row("volume/v", { links: ["class/fast", "claim/shop/orders"], facts: { created: time(3) } }));
    store.put(row("claim/shop/orders", { facts: { size: "5Gi", created: time(1) }, links: ["class/fast", "volume/v"] }));
    store.complete();
    const journal = new Journal();
    journal.add([
      decision(2, { rows: [{ id: "claim/shop/orders", state: "" }] }),
      decision(3, { rows: [{ id: "volume/v", state: "" }] }),
      decision(4, {
        about: ["claim/shop/orders", "volume/v"],
        rows: [
          { id: "claim/shop/orders", state: "Pending", level: "wait", links: ["class/fast"] },
          { id: "volume/v", state: "Available", level: "idle", links: ["class/fast"] },
        ],
      }),
    ]);
    return { store, journal };
  }
  const shown = (store) => ["class", "volume", "claim"].flatMap((kind) => store.list(kind).map((each) => `${each.id} ${each.state}`));

  return {
    "journal 1: a decision is kept once, in order": () => {
      const journal = new Journal();
      equal(journal.add([decision(5), decision(6)]).length, 2);
      equal(journal.add([decision(6), decision(2), decision(3)]).length, 2);
      same(journal.decisions.map((each) => each.seq), [2, 3, 5, 6]);
      equal(journal.add([decision(3)]).length, 0);
      same([journal.indexOf(1), journal.indexOf(2), journal.indexOf(5), journal.indexOf(99)], [-1, 0, 2, 3]);
    },
    "journal 1: what is told of later than what followed from it stands where it happened": () => {
      const { store, journal } = life();
      journal.add([{ ...decision(5, { rows: [{ id: "claim/shop/orders", state: "" }] }), time: time(1) }]);
      same(journal.decisions.map((each) => each.seq), [5, 2, 3, 4]);
      equal(stateAfter(store, journal, 4).get("claim/shop/orders").state, "Bound");
      same(shown(stateAfter(store, journal, 0)), ["class/fast Bound"]);
    },
    "journal 1: the oldest are forgotten, and the past still holds": () => {
      const journal = new Journal();
      journal.add(Array.from({ length: 20_010 }, (_, at) => decision(at + 1, { rows: [{ id: "claim/a/b", state: `s${at}` }] })));
      equal(journal.decisions.length, 20_000);
      equal(journal.first, 11);
      equal(journal.rowAt("claim/a/b", journal.momentAfter(11)).state, "s11");
    },
    "journal 2: the state after a decision is today's with later changes undone": () => {
      const { store, journal } = life();
      const now = shown(store);
      same(shown(stateAfter(store, journal, 3)), ["class/fast Bound", "volume/v Available", "claim/shop/orders Pending"]);
      same(stateAfter(store, journal, 3).neighbours("claim/shop/orders"), ["class/fast"]);
      equal(stateAfter(store, journal, 3).get("claim/shop/orders").facts.size, "5Gi");
      same(shown(store), now, "today is as it was");
    },
    "journal 3: what was made later isn't there": () => {
      const { store, journal } = life();
      same(shown(stateAfter(store, journal, 2)), ["class/fast Bound", "claim/shop/orders Pending"]);
      same(shown(stateAfter(store, journal, 1)), ["class/fast Bound"]);
      store.put(row("claim/shop/late", { facts: { created: time(50) } }));
      same(shown(stateAfter(store, journal, 3)), ["class/fast Bound", "volume/v Available", "claim/shop/orders Pending"], "made with no decision");
    },
    "journal 3: what is gone since is there again": () => {
      const { store, journal } = life();
      journal.gone(store.remove("claim/shop/orders"));
      equal(stateAfter(store, journal, 4).get("claim/shop/orders").state, "Bound");
      equal(stateAfter(store, journal, 3).get("claim/shop/orders").state, "Pending");
      journal.add([decision(5)]);
      equal(stateAfter(store, journal, 5).get("claim/shop/orders")?.missing, true, "the volume still names it");
    },
    "journal 2: moving from moment to moment ends where a fresh look does": () => {
      const { store, journal } = life();
      const past = new Past(store, journal, 4);
      for (const seq of [1, 3, 2, 4, 1, 2]) {
        past.moveTo(seq);
        same(shown(past.store), shown(stateAfter(store, journal, seq)), `after ${seq}`);
      }
    },
    "journal: the decisions about a row, newest first": () => {
      const { journal } = life();
      same(journal.about("volume/v", 10).map((each) => each.seq), [4]);
    },
  };
}
