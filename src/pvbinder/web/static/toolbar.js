// The head of the page: what is looked at, search and filters, colours, and the state of the line.

import { html } from "./vendor/htm-preact.js";
import { Icon, Sign } from "./icons.js";
import { NO_FILTERS, choices, isFiltering, levelCounts } from "./filter.js";
import { KINDS, LEVELS, LEVEL_WORDS, TITLES, grouped } from "./kinds.js";
import { rowAt } from "./layout.js";
import { inWords } from "./timescale.js";

const THEMES = [
  ["auto", "half", "as the system has it"],
  ["light", "sun", "light"],
  ["dark", "moon", "dark"],
];

export function Toolbar({ app }) {
  const { filters } = app.state;
  return html`<header class="toolbar">
    <h1 class="brand">pvbinder</h1>
    ${app.info ? html`<span class="source" title="pvbinder ${app.info.version}"><span class="source-kind">${app.info.source?.kind}</span> ${app.info.source?.name}</span>` : ""}
    ${app.info && app.info.mayWrite === false ? html`<span class="badge">read-only</span>` : ""}
    <div class="search">
      <${Icon} name="search" />
      <input id="search" type="search" placeholder="Search" aria-label="Search all columns" aria-keyshortcuts="/" autocomplete="off" spellcheck=${false} value=${filters.text} onInput=${(event) => app.filter({ text: event.target.value })} onKeyDown=${(event) => onSearchKey(event, app)} />
      <kbd aria-hidden="true">/</kbd>
    </div>
    <span class="gap"></span>
    ${app.info?.plan ? html`<button type="button" class="text-button" title="What would become of a manifest? (w)" onClick=${() => app.set({ dialog: "whatif" })}><${Icon} name="ask" />What if</button>` : ""}
    <${ThemeButton} app=${app} />
    <button type="button" class="icon-button" aria-label="Keys" title="Keys (?)" onClick=${() => app.set({ dialog: "keys" })}><${Icon} name="keys" /></button>
  </header>`;
}

function onSearchKey(event, app) {
  if (event.key === "Escape") {
    if (app.state.filters.text) app.filter({ text: "" });
    else event.target.blur();
    event.stopPropagation();
  } else if (event.key === "Enter" || event.key === "ArrowDown") {
    const kinds = ["claim", ...KINDS.filter((kind) => kind !== "claim")];
    const kind = kinds.find((each) => app.column(each).shown > 0);
    const row = kind && rowAt(app.column(kind).layout, 0);
    if (row) {
      app.select(row.id, { step: true });
      app.columnParts[kind].list.focus({ preventScroll: true });
    }
    event.preventDefault();
  }
}

function ThemeButton({ app }) {
  const at = THEMES.findIndex(([name]) => name === app.theme);
  const [, icon, words] = THEMES[at];
  const next = THEMES[(at + 1) % THEMES.length];
  return html`<button type="button" class="icon-button" aria-label="Colours: ${words}; press for ${next[2]}" title="Colours: ${words}" onClick=${() => app.setTheme(next[0])}><${Icon} name=${icon} /></button>`;
}

export function Filters({ app }) {
  const { filters } = app.state;
  const { counts, can } = app.summary(() => ({ counts: levelCounts(app.shown, KINDS), can: choices(app.shown) }));
  return html`<div class="filters" role="group" aria-label="Filters">
    <div class="chips" role="group" aria-label="Levels">
      ${LEVELS.map(
        (level) => html`<button key=${level} type="button" class="chip ${level}" aria-pressed=${filters.level.includes(level) ? "true" : "false"} onClick=${() => app.toggleLevel(level)}>
          <${Sign} level=${level} /><span>${LEVEL_WORDS[level]}</span><b>${grouped(counts[level])}</b>
        </button>`,
      )}
    </div>
    <${Choice} app=${app} name="namespace" all="all namespaces" values=${can.namespace} />
    <${Choice} app=${app} name="class" all="all classes" values=${can.class} />
    <${Choice} app=${app} name="state" all="all states" values=${can.state} />
    ${isFiltering(filters) ? html`<button type="button" class="quiet-text" onClick=${() => app.filter(NO_FILTERS)}><${Icon} name="close" />Clear filters</button>` : ""}
  </div>`;
}

function Choice({ app, name, all, values }) {
  const value = app.state.filters[name];
  const known = value && !values.includes(value) ? [value, ...values] : values;
  return html`<select class=${value ? "set" : ""} aria-label=${name} value=${value} onChange=${(event) => app.filter({ [name]: event.target.value })}>
    <option value="" selected=${!value}>${all}</option>
    ${known.map((each) => html`<option key=${each} value=${each} selected=${each === value}>${each}</option>`)}
  </select>`;
}

/** On a phone one column is in sight: this chooses it. */
export function ColumnTabs({ app }) {
  return html`<nav class="column-tabs" aria-label="Columns">
    ${KINDS.map((kind) => {
      const view = app.column(kind);
      const bad = view.groups.some((group) => group.name === "bad" || (group.name === "linked" && group.rows.some((row) => row.level === "bad")));
      return html`<button key=${kind} type="button" aria-current=${app.state.column === kind ? "true" : "false"} onClick=${() => app.showColumn(kind)}>
        <span>${TITLES[kind]}</span><b>${bad ? html`<${Sign} level="bad" />` : ""}${grouped(view.shown)}</b>
      </button>`;
    })}
  </nav>`;
}

/** What couldn't be read, until somebody has seen it. */
export function Notes({ app }) {
  const notes = app.info?.missing ?? [];
  if (!notes.length || app.state.notesSeen) return "";
  return html`<div class="banner note" role="note"><p>${notes.slice(0, 3).map((note) => html`<span key=${note}>${note}</span>`)}${notes.length > 3 ? html`<span>and ${notes.length - 3} more</span>` : ""}</p>
    <button type="button" onClick=${() => app.set({ notesSeen: true })}>Understood</button></div>`;
}

/** What is wrong with the line to the server, if anything. */
export function Connection({ app }) {
  const { state, retryAt, since } = app.connection;
  if (state === "ended") {
    return html`<div class="banner bad" role="alert"><${Sign} level="bad" /><p><b>This session has ended.</b> For a new link press Enter in the terminal where pvbinder runs; if it has ended, start <code>pvbinder up</code> or <code>pvbinder page</code> again. What is shown is of ${inWords(Date.now() - since)} ago.</p></div>`;
  }
  if (state === "lost") {
    const wait = retryAt ? Math.max(0, Math.ceil((retryAt - Date.now()) / 1000)) : 0;
    return html`<div class="banner wait" role="alert"><${Sign} level="wait" /><p><b>No connection.</b> What is shown is of ${inWords(Date.now() - since)} ago. ${wait ? `Next try in ${wait} s.` : "Trying …"}</p><button type="button" onClick=${() => app.stream.open()}>Try now</button></div>`;
  }
  return "";
}
