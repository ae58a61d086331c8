// Addresses, the axis of time, what is said aloud, and the sections of an answer.

import { equal, ok, row, same } from "./check.mjs";

export default async function tests(load) {
  const { read, written } = await load("permalink.js");
  const { NO_FILTERS } = await load("filter.js");
  const { TimeScale, inWords } = await load("timescale.js");
  const { Said } = await load("said.js");
  const { pieces, sectionsOf } = await load("report.js");

  const opened = { selected: null, drawer: false, tab: "report", filters: NO_FILTERS, moment: null };
  const at = (...moments) => moments.map((each) => ({ at: each }));

  return {
    "link 1: an address leads back to its view": () => {
      const views = [
        opened,
        { ...opened, selected: "claim/shop/orders", drawer: true, tab: "text" },
        { ...opened, selected: "volume/a b&c=d#%", drawer: true, moment: 12 },
        { ...opened, filters: { ...NO_FILTERS, text: "50% & more", namespace: "shop", class: "fast", state: "Pending", level: ["bad", "wait"] } },
      ];
      for (const view of views) same(read(`#${written(view)}`), view);
      equal(written(opened), "");
    },
    "link 1: an address that makes no sense is read as far as it does": () => {
      same(read("#row=nonsense&open=1&at=x&level=ok,what,ok&%%%"), { ...opened, filters: { ...NO_FILTERS, level: ["ok"] } });
      same(read("#open=text"), { ...opened, tab: "text" });
      same(read("#row=claim/shop/orders&at=-1"), { ...opened, selected: "claim/shop/orders" });
    },
    "timescale 1: places grow, and lead back": () => {
      const scale = new TimeScale(at(0, 100, 100, 5000, 9000));
      for (let each = 1; each < 5; each++) ok(scale.fraction(each) >= scale.fraction(each - 1), "grows");
      same([0, 2, 3, 4].map((each) => scale.at(scale.fraction(each))), [0, 2, 3, 4]);
      equal(scale.at(-0.1), -1);
      same(scale.density(4), [3, 0, 1, 1]);
      equal(new TimeScale([]).at(0.5), -1);
    },
    "timescale 2: a night of silence leaves a burst to be seen": () => {
      const burst = Array.from({ length: 50 }, (_, each) => each * 20);
      const scale = new TimeScale(at(...burst, 8 * 3_600_000));
      ok(scale.fraction(49) > 0.3, `the burst takes ${scale.fraction(49)} of the bar`);
      same(scale.breaks, [50]);
    },
    "lengths of time in words": () => {
      same([5000, 300_000, 7_200_000, 200_000_000].map(inWords), ["5 s", "5 min", "2 h", "2 days"]);
    },
    "said 1: at most one sentence in a second, and the last change is never lost": () => {
      const said = new Said();
      equal(said.take(0), null);
      said.note(row("claim/shop/a"), "Bound");
      equal(said.take(0), "claim shop/a is Bound");
      for (const name of ["b", "c", "d", "e"]) said.note(row(`claim/shop/${name}`), "Pending");
      said.note(row("claim/shop/c"), "Bound");
      equal(said.due(400), 600);
      equal(said.take(400), null);
      equal(said.take(1000), "claim shop/e is Pending; claim shop/c is Bound; and 2 more changed");
      equal(said.due(1000), null);
    },
    "report 1: every text of a section is a text of the answer": () => {
      const report = {
        kind: "ClaimExplanation",
        claim: "shop/photos",
        phase: "Pending",
        summary: "no volume fits it",
        rules: ["SC-U6"],
        next: "nothing, until one of the things below is done",
        wants: { storage: "50Gi", accessModes: ["ReadWriteOnce"], storageClass: "disk" },
        volumes: [{ name: "hdd", rule: "FM-6a", why: "20Gi is less than 50Gi" }],
        advice: ["add a volume", "reserve it:\n  kubectl patch pv hdd"],
        events: [],
      };
      const sections = sectionsOf(report);
      same(sections.map((each) => each.type), ["lead", "steps", "facts", "table"]);
      equal(sections[0].summary, report.summary);
      same(sections[1].lines, report.advice);
      same(sections[3].rows, [[{ row: "volume/hdd", text: "hdd" }, "20Gi is less than 50Gi", { rule: "FM-6a" }]]);
    },
    "report 2: an answer of another kind is shown as names and values": () => {
      same(sectionsOf({ kind: "SetExplanation", summary: "all is well", version: 1 })[0].facts, [["kind", "SetExplanation"], ["summary", "all is well"]]);
      same(sectionsOf(null), []);
    },
    "a command in a sentence is found": () => {
      same(pieces("reserve hdd:\n  kubectl patch pv hdd -p '{}'"), [{ text: "reserve hdd:" }, { command: "kubectl patch pv hdd -p '{}'" }]);
      same(pieces("delete it: kubectl delete pvc x"), [{ text: "delete it:" }, { command: "kubectl delete pvc x" }]);
      same(pieces("ask kubectl describe for more"), [{ text: "ask kubectl describe for more" }]);
    },
  };
}
