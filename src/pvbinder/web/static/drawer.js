// The drawer of a row: what explain says of it, live, in its very words; what it is linked to; what was decided about it.

import { Component, html } from "./vendor/htm-preact.js";
import { CopyButton, Icon, RowLink, RuleChip, Sign } from "./icons.js";
import { KINDS, LEVEL_WORDS, TITLES, fullName, partsOf, shortName } from "./kinds.js";
import { clock, dayAndClock } from "./timescale.js";
import { Sections } from "./sections.js";

const TABS = [
  ["report", "Report"],
  ["text", "As text"],
  ["history", "History"],
];
const FACTS = { size: "size", modes: "access modes", class: "class", driver: "driver", zone: "zone", created: "created" };
const DECISIONS_MAX = 100;
const LINKED_MAX = 12;

export class Drawer extends Component {
  componentDidUpdate(before) {
    if (before.id !== this.props.id && this.body) this.body.scrollTop = 0;
  }

  onKeyDown(event) {
    const { app } = this.props;
    if (event.key === "Escape") {
      event.stopPropagation();
      closeDrawer(app);
    } else if ((event.key === "ArrowLeft" || event.key === "ArrowRight") && event.target.getAttribute("role") === "tab") {
      const at = TABS.findIndex(([name]) => name === app.state.tab);
      const next = TABS[(at + (event.key === "ArrowRight" ? 1 : TABS.length - 1)) % TABS.length][0];
      app.openDrawer(next);
      requestAnimationFrame(() => document.getElementById(`tab:${next}`)?.focus());
      event.preventDefault();
    }
  }

  render({ app, id }) {
    const row = app.shown.get(id) ?? { ...partsOf(id), id, state: "Gone", level: "idle", facts: {}, links: [] };
    const { tab } = app.state;
    return html`<aside class="drawer ${tab === "text" ? "wide" : ""}" aria-label="${row.kind} ${fullName(row)}" onKeyDown=${(event) => this.onKeyDown(event)}>
      <header class="drawer-head">
        <button type="button" class="quiet close" aria-label="Close" title="Close (Esc)" onClick=${() => closeDrawer(app)}><${Icon} name="close" /></button>
        <p class="kind">${row.kind}</p>
        <h2 tabindex="-1" title=${fullName(row)}>${row.namespace ? html`<span class="namespace">${row.namespace}/</span>` : ""}${shortName(row.name)}</h2>
        <p class="state-line ${row.level}"><${Sign} level=${row.level} /> ${row.state} <span class="word">${LEVEL_WORDS[row.level]}</span></p>
        <div role="tablist" class="tabs" aria-label="Views of the ${row.kind}">
          ${TABS.map(([name, title]) => html`<button key=${name} type="button" role="tab" id="tab:${name}" aria-selected=${tab === name ? "true" : "false"} aria-controls="drawer-body" tabindex=${tab === name ? 0 : -1} onClick=${() => app.openDrawer(name)}>${title}</button>`)}
        </div>
      </header>
      <div class="drawer-body" id="drawer-body" role="tabpanel" aria-labelledby="tab:${tab}" tabindex="0" ref=${(body) => (this.body = body)}>
        ${app.past && tab !== "history" ? html`<p class="hint past">This is what explain says now. The columns show an earlier moment${row.state ? html`: then it was <b>${row.state}</b>` : ""}.</p>` : ""}
        ${tab === "history" ? html`<${History} app=${app} row=${row} />` : html`<${Explained} app=${app} row=${row} asText=${tab === "text"} />`}
        ${tab === "report" ? html`<${Facts} row=${row} /><${Linked} app=${app} row=${row} />` : ""}
      </div>
    </aside>`;
  }
}

/** Close the drawer and give the keyboard back to the row. */
export function closeDrawer(app) {
  const { selected } = app.state;
  app.closeDrawer();
  if (selected) app.columnParts[partsOf(selected).kind]?.list.focus({ preventScroll: true });
}

function Explained({ app, row, asText }) {
  const { answer, id } = app.explained;
  if (row.missing) {
    return html`<p class="lead">There is no ${row.kind} ${row.name}. ${app.shown.neighbours(row.id).length > 1 ? "The rows below name it." : "The row below names it."}</p>`;
  }
  if (!answer || id !== row.id) return html`<p class="hint">Asking explain …</p>`;
  if (answer.error) {
    if (answer.status === 404) return html`<p class="hint">${answer.error}</p>`;
    return html`<p class="hint">explain gave no answer: ${answer.error}</p>`;
  }
  const { text, report } = answer.value;
  if (asText || !report) {
    return html`<div class="as-text"><${CopyButton} text=${text} label="Copy the text" app=${app} /><pre class="explain-text" tabindex="0">${text}</pre></div>`;
  }
  return html`<${Sections} report=${report} app=${app} />`;
}

function Facts({ row }) {
  const facts = Object.entries(row.facts ?? {}).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  if (!facts.length) return "";
  const shown = (name, value) => (name === "created" ? dayAndClock(Date.parse(value), Date.now()).replace(/\.\d+$/, "") : String(value));
  return html`<section class="part"><h3>Facts</h3>
    <dl class="facts">${facts.map(([name, value]) => html`<div key=${name}><dt>${FACTS[name] ?? name}</dt><dd>${shown(name, value)}</dd></div>`)}</dl>
  </section>`;
}

function Linked({ app, row }) {
  const related = app.related;
  if (!related || related.size < 2) return "";
  const byKind = Object.fromEntries(KINDS.map((kind) => [kind, []]));
  for (const [id, distance] of related) if (id !== row.id) byKind[partsOf(id).kind].push([distance, id]);
  return html`<section class="part"><h3>Linked to</h3>
    ${KINDS.filter((kind) => byKind[kind].length).map((kind) => {
      const ids = byKind[kind].sort((one, other) => one[0] - other[0]).map(([, id]) => id);
      return html`<div class="linked-rows" key=${kind}><h4>${TITLES[kind]}</h4><ul>
        ${ids.slice(0, LINKED_MAX).map((id) => html`<li key=${id}><${RowLink} app=${app} id=${id} /></li>`)}
        ${ids.length > LINKED_MAX ? html`<li class="more">and ${ids.length - LINKED_MAX} more</li>` : ""}
      </ul></div>`;
    })}
  </section>`;
}

function History({ app, row }) {
  const decisions = app.journal.about(row.id, DECISIONS_MAX);
  if (!decisions.length) return html`<p class="hint">Nothing was decided about it since decisions are kept.</p>`;
  return html`<ol class="history">
    ${decisions.map(
      (each) => html`<li key=${each.seq} class=${app.state.moment === each.seq ? "now" : ""}>
        <button type="button" onClick=${() => app.showMoment(each.seq)} aria-label="${clock(each.at)} ${each.message}: show this moment">
          <time dateTime=${each.time}>${dayAndClock(each.at, Date.now())}</time><${RuleChip} rule=${each.rule} /> <span class="message">${each.message}</span>
        </button>
        <${Change} decision=${each} />
      </li>`,
    )}
  </ol>`;
}

/** What a decision changed: fields before and after, and the writes. */
export function Change({ decision }) {
  const names = [...new Set([...Object.keys(decision.before ?? {}), ...Object.keys(decision.after ?? {})])];
  const shown = (value) => (value === undefined || value === null || value === "" ? "–" : typeof value === "string" ? value : JSON.stringify(value));
  if (!names.length && !decision.writes?.length) return "";
  return html`<div class="change">
    ${names.length ? html`<dl>${names.map((name) => html`<div key=${name}><dt>${name}</dt><dd><span class="before ${decision.before?.[name] ? "" : "none"}">${shown(decision.before?.[name])}</span> <span aria-label="becomes">→</span> <span class="after">${shown(decision.after?.[name])}</span></dd></div>`)}</dl>` : ""}
    ${decision.writes?.length ? html`<ul class="writes">${decision.writes.map((write, at) => html`<li key=${at}><code>${write.method} ${write.path}</code> <span class="status">${write.status}</span></li>`)}</ul>` : ""}
  </div>`;
}
