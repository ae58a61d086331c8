// What the page shows and what can be done with it: one state, and the acts that change it. Views only draw it.
//
// APP-1  While a moment of the past is shown, news are kept, and shown when the page is live again.
// APP-2  A new view of the page is a new entry of the browser's history; a step with an arrow key isn't.

import * as api from "./api.js";
import { NO_FILTERS, columnOf } from "./filter.js";
import { Journal, Past } from "./journal.js";
import { COLUMN, KINDS, partsOf } from "./kinds.js";
import { laidOut } from "./layout.js";
import * as permalink from "./permalink.js";
import { relatedTo } from "./relations.js";
import { Said } from "./said.js";
import { Store } from "./store.js";
import { Stream } from "./stream.js";
import { TimeScale } from "./timescale.js";

const REPLAY_GAP_MS = 1000;
const OLDER_ASKED_MAX = 16;
export const BEFORE_ALL = 0; // the moment before the first decision that is known: numbers begin with 1

export class App {
  constructor(draw, redrawLinks) {
    this.draw = draw;
    this.redrawLinks = redrawLinks;
    this.speed = 1;
    this.pointed = null; // the row under the pointer
    this.today = new Store();
    this.journal = new Journal();
    this.said = new Said();
    this.past = null;
    this.info = null;
    this.connection = { state: "connecting", retryAt: null };
    this.state = {
      selected: null,
      drawer: false,
      tab: "report",
      filters: NO_FILTERS,
      moment: null, // the number of the decision after which things are shown; null: now
      replay: 0,
      dialog: null, // "whatif" | "keys"
      listOpen: false,
      column: "claim", // the one in sight on a phone
      announcement: "",
      notice: "",
    };
    this.explained = { id: null, answer: null, busy: false, asked: 0 };
    this.columns = {};
    this.pendingMoment = null;
    this.afresh = true;
    this.drawing = false;
  }

  start() {
    this.restore(location.hash, false);
    window.addEventListener("popstate", () => this.restore(location.hash, true));
    window.addEventListener("hashchange", () => this.restore(location.hash, true));
    this.stream = new Stream({
      opened: () => (this.afresh = true),
      state: (state, retryAt = null) => this.connected(state, retryAt),
      rows: (data) => this.tookRows(data),
      change: (data) => this.tookChange(data),
      decisions: (data) => this.tookDecisions(data),
      reset: () => (this.afresh = true),
    });
    this.stream.open();
    this.askInfo();
  }

  async askInfo() {
    const { value } = await api.info();
    if (value) this.info = value;
    this.changed();
  }

  /** The rows to show: those of now, or of a moment of the past. */
  get shown() {
    return this.past?.store ?? this.today;
  }

  /** Draw once, soon. */
  changed() {
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      this.draw();
    });
  }

  // --- news ---------------------------------------------------------------------------------------------------------

  connected(state, retryAt) {
    const before = this.connection.state;
    this.connection = { state, retryAt, since: state === before ? this.connection.since : Date.now() };
    if (state !== before && state === "lost") this.announce("connection lost; what is shown is old");
    if (state !== before && state === "ended") this.announce("the session has ended");
    if (state === "open" && before === "lost") {
      this.announce("connected again");
      this.askInfo();
    }
    this.changed();
  }

  tookRows({ rows, done }) {
    if (this.afresh) {
      this.today.clear();
      this.afresh = false;
    }
    for (const row of rows) this.today.put(row);
    if (done) {
      this.today.complete();
      if (this.past) this.renewPast();
      if (this.state.selected) this.explainAgain();
    }
    this.changed();
  }

  tookChange({ rows = [], gone = [] }) {
    let touches = false;
    const near = this.state.selected ? new Set([this.state.selected, ...this.today.neighbours(this.state.selected)]) : null;
    for (const row of rows) {
      const before = this.today.get(row.id);
      this.today.put(row);
      if (before?.state !== row.state || before?.level !== row.level) this.said.note(row, row.state);
      touches ||= near?.has(row.id) ?? false;
    }
    for (const id of gone) {
      const row = this.today.remove(id);
      if (!row) continue;
      this.journal.gone(row);
      this.said.note(row, "gone");
      touches ||= near?.has(id) ?? false;
    }
    if (touches) this.explainAgain();
    this.speak();
    this.changed();
  }

  tookDecisions({ decisions }) {
    const fresh = this.journal.add(decisions);
    if (fresh.length) this.scale = null;
    if (this.pendingMoment !== null) this.showPending();
    this.changed();
  }

  /** Show the moment that the address says, once its decision is known: it may be older than those that come by themselves. */
  async showPending() {
    const moment = this.pendingMoment;
    this.pendingMoment = null;
    for (let asked = 0; asked < OLDER_ASKED_MAX && moment > BEFORE_ALL && moment < this.journal.first; asked++) {
      const before = this.journal.first;
      await this.askOlder();
      if (this.journal.first === before) break;
    }
    this.showMoment(moment);
  }

  /** Fetch decisions older than those that are known. */
  async askOlder() {
    if (this.askingOlder || !this.journal.first || this.journal.oldest === this.journal.first) return;
    this.askingOlder = true;
    const { value } = await api.decisions(this.journal.first);
    this.askingOlder = false;
    if (!value) return;
    const fresh = this.journal.add(value.decisions ?? []);
    this.journal.oldest = fresh.length ? (value.oldest ?? null) : this.journal.first;
    this.scale = null;
    this.changed();
  }

  // --- what is said -------------------------------------------------------------------------------------------------

  announce(text) {
    this.state.announcement = text;
    this.changed();
  }

  speak() {
    const due = this.said.due(Date.now());
    if (due === null || this.speaking) return;
    this.speaking = setTimeout(() => {
      this.speaking = null;
      const text = this.said.take(Date.now());
      if (text) this.announce(text);
    }, due);
  }

  // --- the columns --------------------------------------------------------------------------------------------------

  /** The identifiers related to the chosen row, or null if none is chosen. */
  get related() {
    const { selected } = this.state;
    if (!selected) return null;
    const key = `${selected} ${this.versionOf(KINDS)} ${this.past?.seq ?? ""}`;
    if (this.relatedKey !== key) {
      this.relatedKey = key;
      this.relatedNow = relatedTo(this.shown, selected);
    }
    return this.relatedNow;
  }

  versionOf(kinds) {
    return kinds.map((kind) => this.shown.version[kind]).join(".");
  }

  /** Return a column and the places of its rows. */
  column(kind) {
    const { selected, filters } = this.state;
    const own = selected && partsOf(selected).kind === kind;
    const depends = filters.namespace || filters.class ? KINDS : [kind];
    const linked = selected && !own ? this.related : null;
    const old = this.columns[kind];
    const key = [this.versionOf(depends), this.shown === this.today].join(" ");
    if (old && old.key === key && old.filters === filters && old.linked === linked) return old;
    const made = columnOf(this.shown, kind, filters, linked);
    this.columns[kind] = { ...made, key, filters, linked, layout: laidOut(made.groups) };
    return this.columns[kind];
  }

  // --- choosing -----------------------------------------------------------------------------------------------------

  /** Choose a row (null: none). `step` says that it was a step with an arrow key. */
  select(id, { open = this.state.drawer, step = false } = {}) {
    if (id === this.state.selected && open === this.state.drawer) return;
    this.state.selected = id;
    this.state.drawer = id !== null && open;
    if (id) this.state.column = partsOf(id).kind;
    this.explainAgain();
    this.address(step);
    this.changed();
  }

  openDrawer(tab = this.state.tab) {
    if (!this.state.selected) return;
    Object.assign(this.state, { drawer: true, tab });
    this.explainAgain();
    this.address(false);
    this.changed();
  }

  closeDrawer() {
    this.state.drawer = false;
    this.address(false);
    this.changed();
  }

  filter(patch) {
    this.state.filters = Object.freeze({ ...this.state.filters, ...patch });
    this.address("text" in patch);
    this.changed();
  }

  toggleLevel(level) {
    const { level: chosen } = this.state.filters;
    this.filter({ level: chosen.includes(level) ? chosen.filter((each) => each !== level) : [...chosen, level] });
  }

  /** Point at a row: its lines are drawn, too. */
  point(id) {
    if (this.pointed === id) return;
    this.pointed = id;
    this.redrawLinks();
  }

  /** Bring a column into sight on a phone. */
  showColumn(kind) {
    this.set({ column: kind });
  }

  /** Return what `make` makes of the rows that are shown, made anew only when they changed. */
  summary(make) {
    const key = `${this.versionOf(KINDS)} ${this.shown === this.today}`;
    if (this.summaryKey !== key) {
      this.summaryKey = key;
      this.summaryNow = make();
    }
    return this.summaryNow;
  }

  set(patch) {
    Object.assign(this.state, patch);
    this.changed();
  }

  // --- explain ------------------------------------------------------------------------------------------------------

  /** Ask explain about the chosen row, if its drawer is open, soon and once. */
  explainAgain() {
    const { selected, drawer } = this.state;
    if (!drawer || !selected) return;
    if (this.explained.id !== selected) this.explained = { id: selected, answer: null, busy: true, asked: 0 };
    clearTimeout(this.explaining);
    const wait = this.explained.answer ? 150 : 0;
    this.explaining = setTimeout(() => this.explainNow(selected), wait);
  }

  async explainNow(id) {
    this.abort?.abort();
    const abort = new AbortController();
    this.abort = abort;
    const answer = await api.explain(partsOf(id), abort.signal);
    if (abort.signal.aborted || this.explained.id !== id) return;
    this.explained = { id, answer, busy: false, asked: Date.now() };
    this.changed();
  }

  // --- time ---------------------------------------------------------------------------------------------------------

  get timeScale() {
    return (this.scale ??= new TimeScale(this.journal.decisions));
  }

  /** Show the state just after decision number `seq`; null shows what is now. */
  showMoment(seq, { replaying = false } = {}) {
    if (!replaying) this.stopReplay();
    if (seq !== null && !this.journal.decisions.length) {
      this.pendingMoment = seq;
      return;
    }
    this.state.moment = seq;
    if (seq === null) this.past = null;
    else if (this.past) this.past.moveTo(seq);
    else this.past = new Past(this.today, this.journal, seq);
    this.columns = {};
    this.relatedKey = null;
    if (!replaying) this.address(true);
    this.changed();
  }

  renewPast() {
    this.past = new Past(this.today, this.journal, this.state.moment);
    this.columns = {};
    this.relatedKey = null;
  }

  /** Go some decisions forward or back; beyond the newest one is now. */
  stepTime(count) {
    const { decisions } = this.journal;
    if (!decisions.length) return;
    const at = this.state.moment === null ? decisions.length - 1 : this.journal.indexOf(this.state.moment);
    const next = at + count;
    if (next < 0) this.askOlder();
    if (next >= decisions.length) this.showMoment(null);
    else this.showMoment(next < 0 ? BEFORE_ALL : decisions[next].seq);
  }

  /** Play the decisions from the shown moment on, `speed` times as fast as they were taken, silences made short. */
  replay(speed) {
    this.stopReplay();
    const { decisions } = this.journal;
    if (!speed || !decisions.length) return;
    if (this.state.moment === null) this.showMoment(BEFORE_ALL);
    this.state.replay = speed;
    const next = () => {
      const at = this.journal.indexOf(this.state.moment) + 1;
      const list = this.journal.decisions;
      if (at >= list.length) {
        this.stopReplay();
        this.showMoment(null);
        return;
      }
      const gap = at > 0 ? Math.min(Math.max(0, list[at].at - list[at - 1].at), REPLAY_GAP_MS) : 0;
      this.replayTimer = setTimeout(() => {
        this.showMoment(list[at].seq, { replaying: true });
        next();
      }, Math.max(16, gap / speed));
    };
    next();
    this.changed();
  }

  stopReplay() {
    clearTimeout(this.replayTimer);
    this.state.replay = 0;
  }

  setSpeed(speed) {
    this.speed = speed;
    if (this.state.replay) this.replay(speed);
    this.changed();
  }

  // --- colours ------------------------------------------------------------------------------------------------------

  get theme() {
    return document.documentElement.dataset.theme ?? "auto";
  }

  /** Choose "auto", "light" or "dark", and remember it. */
  setTheme(name) {
    const { dataset } = document.documentElement;
    if (name === "auto") delete dataset.theme;
    else dataset.theme = name;
    try {
      if (name === "auto") localStorage.removeItem("pvbinder-theme");
      else localStorage.setItem("pvbinder-theme", name);
    } catch {
      // no storage: chosen until the page is closed
    }
    this.announce(`colours: ${name}`);
  }

  nextTheme() {
    this.setTheme({ auto: "light", light: "dark", dark: "auto" }[this.theme]);
  }

  // --- the address --------------------------------------------------------------------------------------------------

  address(inPlace) {
    const hash = permalink.written(this.state);
    const url = hash ? `#${hash}` : location.pathname;
    if (location.hash.replace(/^#/, "") === hash) return;
    if (inPlace) history.replaceState(null, "", url);
    else history.pushState(null, "", url);
  }

  restore(hash, isMove) {
    const view = permalink.read(hash);
    const { moment, ...rest } = view;
    Object.assign(this.state, rest);
    if (rest.selected) this.state.column = partsOf(rest.selected).kind;
    if (moment !== this.state.moment) {
      if (isMove || moment === null) this.showMoment(moment);
      else this.pendingMoment = moment;
    }
    this.explainAgain();
    this.changed();
  }

  /** Return the neighbouring column of a kind, or null at the edge. */
  beside(kind, step) {
    return KINDS[COLUMN[kind] + step] ?? null;
  }
}
