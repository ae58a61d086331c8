// The five columns: rows in groups, only those in sight in the document, walked with the keyboard.

import { Component, html } from "./vendor/htm-preact.js";
import { Command, Sign } from "./icons.js";
import { isFiltering, NO_FILTERS } from "./filter.js";
import { COLUMN, KINDS, LEVELS, LEVEL_WORDS, TITLES, counted, fullName, grouped, shortName } from "./kinds.js";
import { ROW_HEIGHT, countOf, inSight, placeOf, rowAt, scrolledTo } from "./layout.js";

const FIRST_SIGHT = 800;

/** Return the identifier of a row's element. */
export function elementId(id) {
  return `row:${id}`;
}

/** All columns; on a phone one is in sight, and a swipe leads to the next. */
export class Board extends Component {
  componentDidMount() {
    this.resized = new ResizeObserver(() => this.bringIntoSight("instant"));
    this.resized.observe(this.board);
  }

  componentWillUnmount() {
    this.resized.disconnect();
  }

  componentDidUpdate() {
    if (this.column !== this.props.app.state.column) this.bringIntoSight("smooth");
  }

  bringIntoSight(behavior) {
    this.column = this.props.app.state.column;
    const { board } = this;
    if (board.scrollWidth <= board.clientWidth + 1) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    board.scrollTo({ left: COLUMN[this.column] * board.clientWidth, behavior: calm ? "instant" : behavior });
    this.heading = COLUMN[this.column];
  }

  onScroll() {
    const { board } = this;
    if (board.scrollWidth <= board.clientWidth + 1) return;
    const place = board.scrollLeft / board.clientWidth;
    const at = Math.round(place);
    if (this.heading !== undefined && at !== this.heading) return; // on the way to the column that was asked for
    this.heading = undefined;
    if (KINDS[at] === this.column) return;
    this.column = KINDS[at];
    this.props.app.set({ column: this.column });
  }

  render({ app }) {
    return html`<main class="board ${app.state.selected ? "has-choice" : ""}" ref=${(board) => (this.board = board ?? this.board)} onScroll=${() => this.onScroll()}>
      <svg class="links" aria-hidden="true"></svg>
      ${KINDS.map((kind) => html`<${Column} key=${kind} kind=${kind} app=${app} view=${app.column(kind)} selected=${app.state.selected} />`)}
    </main>`;
  }
}

class Column extends Component {
  constructor(props) {
    super(props);
    this.scrollTop = 0;
    this.viewport = FIRST_SIGHT;
    this.tops = new Map();
  }

  componentDidMount() {
    const { app, kind } = this.props;
    (app.columnParts ??= {})[kind] = this;
    this.resized = new ResizeObserver(() => {
      const before = this.viewport;
      this.viewport = this.list.clientHeight;
      this.keepInSight(before);
      app.changed();
    });
    this.resized.observe(this.list);
  }

  componentWillUnmount() {
    this.resized.disconnect();
  }

  componentDidUpdate(before) {
    const { view, selected } = this.props;
    if (!this.isOwn) {
      this.revealed = null;
      if (selected && selected !== before.selected) this.scrollTo(0);
      return;
    }
    if (this.revealed === selected && view.layout === before.view.layout) return;
    const place = placeOf(view.layout, selected);
    if (!place) return;
    const old = placeOf(before.view.layout, selected);
    const y = old ? old.top - this.scrollTop : -1;
    const wasInSight = y >= 0 && y <= this.viewport - ROW_HEIGHT;
    if (this.revealed === selected && !wasInSight) return; // somebody looks elsewhere
    this.revealed = selected;
    this.scrollTo(scrolledTo(place.top, wasInSight ? place.top - y : this.scrollTop, this.viewport));
  }

  get isOwn() {
    return this.props.selected?.startsWith(`${this.props.kind}/`) ?? false;
  }

  /** Keep the chosen row in sight when the list gets smaller. */
  keepInSight(before) {
    if (!this.isOwn) return;
    const place = placeOf(this.props.view.layout, this.props.selected);
    if (!place || place.top < this.scrollTop || place.top > this.scrollTop + before) return;
    this.scrollTo(scrolledTo(place.top, this.scrollTop, this.viewport));
  }

  scrollTo(top) {
    if (Math.round(this.list.scrollTop) === Math.round(top)) return;
    this.list.scrollTop = top;
    this.scrolled();
  }

  scrolled() {
    if (this.scrollTop === this.list.scrollTop) return;
    this.scrollTop = this.list.scrollTop;
    this.props.app.changed();
  }

  /** Return where the middle of a row is, in pixels from the list's top, and whether it is in sight; null if it isn't listed. */
  middleOf(id) {
    const top = this.tops.get(id) ?? placeOf(this.props.view.layout, id)?.top;
    if (top === undefined) return null;
    const y = top - this.scrollTop + ROW_HEIGHT / 2;
    return { y: Math.min(Math.max(y, 6), this.viewport - 6), inSight: y >= 0 && y <= this.viewport };
  }

  /** Yield the identifiers of the rows in sight. */
  *inSight() {
    for (const [id, top] of this.tops) {
      const y = top - this.scrollTop + ROW_HEIGHT / 2;
      if (y >= 0 && y <= this.viewport) yield id;
    }
  }

  onKeyDown(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { app, view, kind } = this.props;
    const page = Math.max(1, Math.floor(this.viewport / ROW_HEIGHT) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      const place = app.state.selected ? placeOf(view.layout, app.state.selected) : null;
      const last = countOf(view.layout) - 1;
      const target = place && Math.abs(steps[event.key]) < Infinity ? place.at + steps[event.key] : steps[event.key] > 1 ? last : 0;
      const row = rowAt(view.layout, Math.min(target, last));
      if (row) app.select(row.id, { step: true });
    } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      walkTo(app, kind, event.key === "ArrowLeft" ? -1 : 1);
    } else if (event.key === "Enter" || event.key === " ") {
      app.openDrawer();
      requestAnimationFrame(() => document.querySelector(".drawer h2")?.focus());
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  onRowClick(row) {
    const { app } = this.props;
    const isPhone = matchMedia("(max-width: 760px)").matches;
    const again = app.state.selected === row.id;
    app.select(row.id, { open: app.state.drawer || isPhone });
    if (again) app.openDrawer();
    this.list.focus({ preventScroll: true });
  }

  render({ kind, app, view, selected }) {
    this.tops = new Map();
    const own = this.isOwn;
    const count = countOf(view.layout);
    const groups = this.groups(own, count);
    const active = own && this.tops.has(selected) ? elementId(selected) : undefined;
    const label = `${TITLES[kind]}, ${view.shown === view.total ? view.total : `${view.shown} of ${view.total}`}`;
    return html`<section class="column" data-kind=${kind} aria-label=${TITLES[kind]}>
      <${Head} kind=${kind} view=${view} />
      <div
        class="list"
        role="listbox"
        tabindex="0"
        aria-label=${label}
        aria-activedescendant=${active}
        ref=${(list) => (this.list = list ?? this.list)}
        onScroll=${() => this.scrolled()}
        onKeyDown=${(event) => this.onKeyDown(event)}
      >
        ${count ? html`<div class="space" role="presentation" style=${{ height: `${view.layout.height}px` }}>${groups}</div>` : html`<${Empty} kind=${kind} app=${app} view=${view} />`}
      </div>
    </section>`;
  }

  groups(own, count) {
    const { view, selected, app } = this.props;
    let before = 0;
    return view.layout.groups.map((group) => {
      const first = before;
      before += group.rows.length;
      const [from, to] = inSight(group, this.scrollTop, this.viewport);
      const words = group.name === "linked" ? "linked" : LEVEL_WORDS[group.name];
      const rows = group.rows.slice(from, to);
      rows.forEach((row, at) => this.tops.set(row.id, group.top + group.height - (group.rows.length - from - at) * ROW_HEIGHT));
      return html`<div key=${group.name} class="group ${group.name}" role="group" aria-label="${words}, ${group.rows.length}" style=${{ top: `${group.top}px`, height: `${group.height}px` }}>
        <div class="group-head" role="presentation"><${Sign} level=${group.name} /><span class="words">${words}</span><span class="number">${grouped(group.rows.length)}</span></div>
        ${rows.map(
          (row, at) => html`<${Row}
            key=${row.id}
            row=${row}
            version=${row.state}
            top=${this.tops.get(row.id) - group.top}
            place=${first + from + at + 1}
            count=${count}
            chosen=${row.id === selected}
            related=${group.name === "linked" || (own && row.id === selected)}
            app=${app}
            onChoose=${() => this.onRowClick(row)}
          />`,
        )}
      </div>`;
    });
  }
}

/** Choose the first linked row of the neighbouring column, or else its first row, and go there. */
function walkTo(app, kind, step) {
  let target = kind;
  let row = null;
  while (!row) {
    target = app.beside(target, step);
    if (!target) return;
    row = rowAt(app.column(target).layout, 0);
  }
  app.select(row.id, { step: true });
  app.columnParts[target].list.focus({ preventScroll: true });
}

function Head({ kind, view }) {
  const counts = Object.fromEntries(LEVELS.map((level) => [level, 0]));
  for (const group of view.groups) for (const row of group.name === "linked" ? group.rows : []) counts[row.level] += 1;
  for (const group of view.groups) if (group.name !== "linked") counts[group.name] += group.rows.length;
  return html`<header class="column-head">
    <h2>${TITLES[kind]}</h2>
    <span class="total">${view.shown === view.total ? grouped(view.total) : `${grouped(view.shown)} of ${grouped(view.total)}`}</span>
    <span class="levels" aria-hidden="true">
      ${LEVELS.filter((level) => counts[level] && level !== "idle").map((level) => html`<span class="level ${level}" title="${LEVEL_WORDS[level]}: ${counts[level]}"><${Sign} level=${level} />${grouped(counts[level])}</span>`)}
    </span>
  </header>`;
}

class Row extends Component {
  shouldComponentUpdate(next) {
    const now = this.props;
    return ["row", "version", "top", "place", "count", "chosen", "related"].some((name) => next[name] !== now[name]);
  }

  render({ row, top, place, count, chosen, related, app, onChoose }) {
    const name = shortName(row.name);
    const said = [fullName(row), row.state, LEVEL_WORDS[row.level], row.facts?.size, row.note].filter(Boolean).join(", ");
    return html`<div
      id=${elementId(row.id)}
      class="row ${row.level} ${chosen ? "chosen" : ""} ${related ? "related" : ""} ${row.missing ? "missing" : ""}"
      role="option"
      aria-selected=${chosen ? "true" : "false"}
      aria-setsize=${count}
      aria-posinset=${place}
      aria-label=${said}
      title=${fullName(row)}
      style=${{ top: `${top}px` }}
      onClick=${onChoose}
      onPointerEnter=${() => app.point(row.id)}
      onPointerLeave=${() => app.point(null)}
    >
      <${Sign} level=${row.level} />
      <span class="name">${row.namespace ? html`<span class="namespace">${row.namespace}/</span>` : ""}<span>${name}</span></span>
      <span class="size">${row.facts?.size ?? ""}</span>
      <span class="line"><span class="state">${row.state}</span><span class="aside"> ${[row.facts?.size, row.namespace].filter(Boolean).join(" ")}</span>${row.note ? html`<span class="note"> ${row.note}</span>` : ""}</span>
      ${chosen ? html`<span class="why">Why?</span>` : ""}
    </div>`;
  }
}

const EXAMPLES = {
  class: "kubectl apply -f class.yaml",
  volume: "kubectl apply -f volume.yaml",
  claim: "kubectl apply -f claim.yaml",
  pod: "kubectl apply -f pod.yaml",
};

/** What to do when a column has nothing to show. */
function Empty({ kind, app, view }) {
  const word = TITLES[kind].toLowerCase();
  if (!app.shown.whole && !app.past) return html`<p class="empty">Reading …</p>`;
  if (view.total && isFiltering(view.filters)) {
    return html`<div class="empty">
      <p>None of ${counted(view.total, kind)} passes the filters.</p>
      <button type="button" onClick=${() => app.filter(NO_FILTERS)}>Clear the filters</button>
    </div>`;
  }
  if (app.past) return html`<p class="empty">There were no ${word} at this moment.</p>`;
  if (app.info && !app.info.live) return html`<p class="empty">The dump has no ${word}.</p>`;
  return html`<div class="empty">
    <p>No ${word} yet.</p>
    ${EXAMPLES[kind] ? html`<p>Make one, and see it appear:</p><${Command} text=${EXAMPLES[kind]} app=${app} />` : ""}
  </div>`;
}
