// The list of decisions above the time bar: what was decided, by which rule, and what it changed.

import { Component, html } from "./vendor/htm-preact.js";
import { Change } from "./drawer.js";
import { Icon, RowLink, RuleChip } from "./icons.js";
import { aboutInWords, counted } from "./kinds.js";
import { dayAndClock } from "./timescale.js";

const LINE_HEIGHT = 30;
const AROUND = 6;

export class Decisions extends Component {
  constructor(props) {
    super(props);
    this.scrollTop = 0;
    this.viewport = 240;
  }

  componentDidMount() {
    this.viewport = this.list.clientHeight;
    this.follow(true);
  }

  componentDidUpdate() {
    this.follow(false);
  }

  /** Keep the shown moment in sight when it moves. */
  follow(always) {
    const { app } = this.props;
    const { moment } = app.state;
    if (!always && this.followed === moment) return;
    this.followed = moment;
    const { decisions } = app.journal;
    const at = moment === null ? decisions.length - 1 : app.journal.indexOf(moment);
    const top = (decisions.length - 1 - at) * LINE_HEIGHT; // newest first
    if (top < this.list.scrollTop || top + LINE_HEIGHT > this.list.scrollTop + this.viewport) {
      this.list.scrollTop = Math.max(0, top - this.viewport / 2);
    }
  }

  onScroll() {
    const { app } = this.props;
    this.scrollTop = this.list.scrollTop;
    this.viewport = this.list.clientHeight;
    if (this.scrollTop + this.viewport > this.list.scrollHeight - 2 * LINE_HEIGHT) app.askOlder();
    app.changed();
  }

  onKeyDown(event) {
    const { app } = this.props;
    const page = Math.max(1, Math.floor(this.viewport / LINE_HEIGHT) - 1);
    const steps = { ArrowDown: -1, ArrowUp: 1, PageDown: -page, PageUp: page };
    if (event.key in steps) app.stepTime(steps[event.key]);
    else if (event.key === "Home") app.showMoment(null);
    else if (event.key === "End") app.stepTime(-app.journal.decisions.length + 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  render({ app }) {
    const { decisions } = app.journal;
    const { moment } = app.state;
    const chosenAt = moment === null ? decisions.length - 1 : app.journal.indexOf(moment);
    const chosen = decisions[chosenAt];
    const from = Math.max(0, Math.floor(this.scrollTop / LINE_HEIGHT) - AROUND);
    const to = Math.min(decisions.length, from + Math.ceil(this.viewport / LINE_HEIGHT) + 2 * AROUND);
    const lines = [];
    for (let at = from; at < to; at++) lines.push([at, decisions[decisions.length - 1 - at]]);
    return html`<section class="decisions" id="decisions" aria-label="Decisions">
      <header><h2>Decisions</h2><span class="total">${counted(decisions.length, "decision")}, newest first</span>
        <button type="button" class="quiet" aria-label="Close the list" onClick=${() => app.set({ listOpen: false })}><${Icon} name="close" /></button></header>
      <div class="decisions-body">
        <div
          class="lines"
          role="listbox"
          tabindex="0"
          aria-label="Decisions, newest first"
          aria-activedescendant=${chosen ? `decision:${chosen.seq}` : undefined}
          ref=${(list) => (this.list = list ?? this.list)}
          onScroll=${() => this.onScroll()}
          onKeyDown=${(event) => this.onKeyDown(event)}
        >
          <div class="space" role="presentation" style=${{ height: `${decisions.length * LINE_HEIGHT}px` }}>
            ${lines.map(
              ([at, each]) => html`<div
                key=${each.seq}
                id="decision:${each.seq}"
                class="decision ${each === chosen ? "chosen" : ""} ${moment !== null && decisions.length - 1 - at > chosenAt ? "later" : ""}"
                role="option"
                aria-selected=${each === chosen ? "true" : "false"}
                aria-setsize=${decisions.length}
                aria-posinset=${at + 1}
                style=${{ top: `${at * LINE_HEIGHT}px` }}
                onClick=${() => app.showMoment(each.seq)}
              ><time dateTime=${each.time}>${dayAndClock(each.at, Date.now())}</time><span class="rule-cell"><${RuleChip} rule=${each.rule} /></span><span class="abouts-cell">${aboutInWords(each)}</span><span class="message">${each.message}</span><span class="writes-count">${each.writes?.length ? counted(each.writes.length, "write") : ""}</span></div>`,
            )}
          </div>
        </div>
        ${chosen ? html`<div class="decision-detail" aria-label="The chosen decision"><p class="message">${chosen.message}</p>
          <p class="abouts">${(chosen.about ?? []).map((id) => html`<${RowLink} key=${id} app=${app} id=${id} />`)}</p>
          <${Change} decision=${chosen} /></div>` : ""}
      </div>
    </section>`;
  }
}
