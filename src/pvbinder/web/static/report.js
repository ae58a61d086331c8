// The structured answer of explain or plan as sections to show: headings are ours, every sentence is theirs.
//
// Pure: no document, no network, no clock.
//
// REPORT-1  No sentence is made up or changed: each text in a section is a text of the answer.
// REPORT-2  An answer of a kind that isn't known here is shown, too, as names and values.

const SHORT_MODES = { ReadWriteOnce: "RWO", ReadOnlyMany: "ROX", ReadWriteMany: "RWX", ReadWriteOncePod: "RWOP" };

/** Return the sections of a report: {type: "lead"|"facts"|"table"|"steps"|"lines"|"heading", …}. */
export function sectionsOf(report) {
  const kinds = { ClaimExplanation: ofClaim, VolumeExplanation: ofVolume, PodExplanation: ofPod, Plan: ofPlan };
  const sections = (kinds[report?.kind] ?? ofAnything)(report ?? {});
  return sections.filter((section) => section && !isEmpty(section));
}

/** Return a sentence in pieces: {text} and {command}; a command begins with the name of a program and goes to the end of its line. */
export function pieces(sentence) {
  const found = [];
  for (const line of sentence.split("\n")) {
    const match = /^(.*?)((?:kubectl|pvbinder|helm) [a-z].*)$/.exec(line);
    if (match && (match[1].trim() === "" || /[:`]\s*$/.test(match[1]))) {
      if (match[1].trim()) found.push({ text: match[1].trim() });
      found.push({ command: match[2].replace(/`$/, "").trim() });
    } else if (line.trim()) {
      found.push({ text: line.trim() });
    }
  }
  return found;
}

function isEmpty(section) {
  if (section.type === "table") return section.rows.length === 0;
  if (section.type === "facts") return section.facts.length === 0;
  if (section.type === "steps" || section.type === "lines") return section.lines.length === 0;
  return false;
}

function lead(report, subject) {
  return {
    type: "lead",
    subject,
    phase: report.phase ?? "",
    verdict: report.verdict ?? "",
    summary: report.summary ?? "",
    rules: report.rules ?? [],
    next: report.next ?? "",
  };
}

function facts(title, pairs) {
  const kept = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false);
  return { type: "facts", title, facts: kept.map(([name, value]) => [name, String(value)]) };
}

function table(title, columns, rows) {
  return { type: "table", title, columns, rows };
}

function advice(report) {
  const lines = report.advice ?? [];
  return { type: "steps", title: lines.length > 1 ? "Any one of these lets it go on" : "What to do", lines };
}

function events(report) {
  const rows = (report.events ?? []).map((event) => [event.reason, event.message, event.count > 1 ? `×${event.count}` : ""]);
  return table("Events", ["Reason", "Message", ""], rows);
}

function modes(list) {
  return (list ?? []).map((mode) => SHORT_MODES[mode] ?? mode).join(", ");
}

function ofClaim(report) {
  const wants = report.wants ?? {};
  const known = report.storageClass ?? {};
  const volumes = report.volumes ?? [];
  return [
    lead(report, report.claim),
    advice(report),
    facts("Wants", [
      ["storage", wants.storage],
      ["access modes", modes(wants.accessModes)],
      ["volume mode", wants.volumeMode],
      ["class", wants.storageClass === "" ? '""' : wants.storageClass],
      ["selector", wants.selector],
      ["attributes class", wants.attributesClass],
    ]),
    facts("Has", [["volume", report.volume]]),
    table("Volumes, nearest first", ["Volume", "Why not", "Rule"], volumes.map((each) => [{ row: `volume/${each.name}`, text: each.name }, each.why, { rule: each.rule }])),
    ...(report.volumeGroups ?? []).map((group) => ofGroup(group)),
    table("Pods that use it", ["Pod", "Phase", "Problem"], (report.pods ?? []).map((pod) => [pod.name, pod.phase || "Pending", pod.problem ?? ""])),
    facts("Class", [
      ["name", known.name],
      ["exists", known.exists === false ? "no" : ""],
      ["provisioner", known.provisioner],
      ["binding mode", known.bindingMode],
      ["driver", known.driver],
      ["driver registered", known.driverRegistered === false ? "no" : ""],
    ]),
    facts("Selected node", [["node", report.node?.name]]),
    events(report),
  ];
}

function ofGroup(group) {
  const rows = (group.names ?? []).slice(0, 20).map((name) => [{ row: `volume/${name}`, text: name }]);
  return table(group.why ?? "Volumes alike", ["Volume"], rows);
}

function ofVolume(report) {
  const waiting = report.waiting ?? [];
  return [
    lead(report, report.volume),
    advice(report),
    facts("Offers", [
      ["volume", report.offers],
      ["reclaim policy", report.reclaimPolicy],
      ["claim", report.claim],
      ["attached to", (report.attachedTo ?? []).join(", ")],
    ]),
    table("Claims that wait", ["Claim", "Why not", "Rule"], waiting.map((each) => [{ row: `claim/${each.claim}`, text: each.claim }, each.why, { rule: each.rule }])),
    events(report),
  ];
}

function ofPod(report) {
  return [
    { ...lead(report, report.pod), next: report.problem && report.problem !== report.summary ? report.problem : "" },
    facts("Runs on", [["node", report.node]]),
    ...(report.claims ?? []).flatMap((claim) => [{ type: "heading", title: claim.claim, row: `claim/${claim.claim}` }, ...ofClaim(claim)]),
  ];
}

const PLAN_KINDS = { PersistentVolumeClaim: "claim", PersistentVolume: "volume", Pod: "pod", StorageClass: "class", Node: "node" };

function ofPlan(report) {
  const state = (each) => (each ? [each.phase, each.partner].filter(Boolean).join(" ") + (each.summary ? `: ${each.summary}` : "") : "–");
  const object = (each) => ({ row: `${PLAN_KINDS[each.kind] ?? each.kind}/${each.name}`, text: `${PLAN_KINDS[each.kind] ?? each.kind} ${each.name}` });
  return [
    table("Refused by the API server", ["Object", "Reason", "Message"], (report.refused ?? []).map((each) => [each.object, each.reason, each.message])),
    ...ofPlannedClaims(report.claims ?? []),
    table("Others change, too", ["Object", "Before", "After"], (report.others ?? []).map((each) => [object(each), state(each.before), state(each.after)])),
    table("New findings of the audit", ["Code", "Object", "Finding"], findings(report.newAudit)),
    table("The audit finds no longer", ["Code", "Object", "Finding"], findings(report.mendedAudit)),
    table("Applied", ["Object", ""], Object.entries(report.applied ?? {})),
    { type: "lines", title: "Notes", lines: report.notes ?? [] },
  ];
}

function ofPlannedClaims(claims) {
  const rows = claims.map((each) => [
    { row: `claim/${each.claim}`, text: each.claim },
    [each.phase, each.volume && `volume ${each.volume}`, each.size, each.provisioner].filter(Boolean).join(", "),
    each.runnerUp ? `${each.runnerUp.volume}: ${each.runnerUp.why}` : "",
    { rule: (each.rules ?? []).join(", ") },
  ]);
  const waiting = claims.filter((each) => each.summary);
  return [
    table("What each claim gets", ["Claim", "Gets", "Runner-up", "Rules"], rows),
    ...waiting.flatMap((each) => [
      { type: "heading", title: each.claim, row: `claim/${each.claim}` },
      { type: "lines", title: "", lines: [each.summary] },
      advice(each),
    ]),
  ];
}

function findings(list) {
  return (list ?? []).map((each) => [each.code, each.object, each.summary]);
}

function ofAnything(report) {
  const simple = Object.entries(report).filter(([name, value]) => name !== "version" && typeof value !== "object");
  return [facts("", simple)];
}
