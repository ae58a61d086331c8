// The time bar: how many decisions were taken when, the moment that is shown, and replay.

import { Component, html } from "./vendor/htm-preact.js";
import { BEFORE_ALL } from "./app.js";
import { Icon, RuleChip } from "./icons.js";
import { aboutInWords, counted } from "./kinds.js";
import { dayAndClock, inWords } from "./timescale.js";

const SPEEDS = [1, 4, 16];
const BAR_WIDTH = 3;

/** Return what is said of a moment: the decision after which things are shown. */
export function momentInWords(app) {
  const { decisions } = app.journal;
  if (!decisions.length) return "no decisions yet";
  if (app.state.moment === null) return `live; ${counted(decisions.length, "decision")}`;
  const at = app.journal.indexOf(app.state.moment);
  if (at < 0) return "before the first decision that is known";
  const decision = decisions[at];
  return [dayAndClock(decision.at, Date.now()), decision.rule, aboutInWords(decision), decision.message].filter(Boolean).join(", ");
}

export class TimeBar extends Component {
  componentDidMount() {
    this.resized = new ResizeObserver(() => this.paint());
    this.resized.observe(this.canvas);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.scheme.addEventListener("change", () => this.paint());
    this.paint();
  }

  componentDidUpdate() {
    this.paint();
  }

  componentWillUnmount() {
    this.resized.disconnect();
  }

  paint() {
    const { app } = this.props;
    const { canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    const scale = app.timeScale;
    const playhead = app.state.moment === null ? 1 : scale.fraction(app.journal.indexOf(app.state.moment));
    const theme = document.documentElement.dataset.theme ?? "";
    const key = `${width} ${height} ${ratio} ${scale.decisions.length} ${scale.length} ${playhead} ${theme} ${this.scheme?.matches}`;
    if (!width || this.painted === key) return;
    this.painted = key;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    const draw = canvas.getContext("2d");
    draw.scale(ratio, ratio);
    draw.clearRect(0, 0, width, height);
    const bins = scale.density(Math.max(1, Math.floor(width / (BAR_WIDTH + 1))));
    const most = Math.max(...bins, 1);
    bins.forEach((count, at) => {
      if (!count) return;
      const tall = Math.max(3, (height - 8) * (Math.log1p(count) / Math.log1p(most)));
      const x = (at / bins.length) * width;
      draw.fillStyle = at / bins.length <= playhead ? colour("--accent") : colour("--line-strong");
      draw.fillRect(x, height - tall, BAR_WIDTH, tall);
    });
    draw.strokeStyle = colour("--line-strong");
    draw.setLineDash([2, 3]);
    for (const at of scale.breaks) {
      const x = Math.round(((scale.fraction(at - 1) + scale.fraction(at)) / 2) * width) + 0.5;
      draw.beginPath();
      draw.moveTo(x, 0);
      draw.lineTo(x, height);
      draw.stroke();
    }
  }

  seek(event) {
    const { app } = this.props;
    if (!app.journal.decisions.length) return;
    const box = this.canvas.getBoundingClientRect();
    const fraction = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const { decisions } = app.journal;
    if (fraction > 0.997) return app.showMoment(null);
    const at = app.timeScale.at(fraction);
    return app.showMoment(at < 0 ? BEFORE_ALL : decisions[at].seq);
  }

  onPointer(event) {
    if (event.type === "pointerdown") {
      if (event.button !== 0) return;
      this.slider.setPointerCapture(event.pointerId);
      this.dragging = true;
    } else if (event.type === "pointerup" || event.type === "pointercancel") {
      this.dragging = false;
      return;
    }
    if (this.dragging) this.seek(event);
  }

  onKeyDown(event) {
    const { app } = this.props;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageUp: 20, PageDown: -20 };
    if (event.key in steps) app.stepTime(steps[event.key] * (event.shiftKey ? 10 : 1));
    else if (event.key === "Home") app.stepTime(-app.journal.decisions.length);
    else if (event.key === "End") app.showMoment(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  render({ app }) {
    const { decisions } = app.journal;
    const { moment, replay, listOpen } = app.state;
    const at = moment === null ? decisions.length - 1 : app.journal.indexOf(moment);
    const decision = decisions[at];
    const playhead = moment === null ? 1 : app.timeScale.fraction(at);
    return html`<section class="timebar ${moment === null ? "" : "in-past"} ${decisions.length ? "" : "without"}" aria-label="Decisions over time">
      <div class="time-controls">
        <button type="button" class="icon-button" disabled=${!decisions.length} aria-label=${replay ? "Stop the replay" : "Replay"} title=${replay ? "Stop" : "Replay from the shown moment, or from the beginning (p)"} onClick=${() => (replay ? app.showMoment(moment) : app.replay(app.speed))}><${Icon} name=${replay ? "pause" : "play"} /></button>
        <select aria-label="Speed of the replay" disabled=${!decisions.length} onChange=${(event) => app.setSpeed(Number(event.target.value))}>
          ${SPEEDS.map((speed) => html`<option key=${speed} value=${speed} selected=${app.speed === speed}>${speed}×</option>`)}
        </select>
        <div class="moment">${sentence(app, decision, moment)}</div>
        <button type="button" class="quiet-text" aria-expanded=${listOpen ? "true" : "false"} aria-controls="decisions" title="List the decisions (d)" onClick=${() => app.set({ listOpen: !listOpen })}><${Icon} name="list" /><span class="words">Decisions</span></button>
        <button type="button" class="live ${moment === null ? "on" : ""}" aria-pressed=${moment === null ? "true" : "false"} title="Show what is now (l)" onClick=${() => app.showMoment(null)}><span class="dot" aria-hidden="true"></span>${app.info && !app.info.live ? "Now" : "Live"}</button>
      </div>
      <div
        class="scrubber"
        role="slider"
        tabindex="0"
        aria-label="Moment that is shown"
        aria-valuemin="0"
        aria-valuemax=${decisions.length}
        aria-valuenow=${moment === null ? decisions.length : at + 1}
        aria-valuetext=${momentInWords(app)}
        ref=${(slider) => (this.slider = slider ?? this.slider)}
        onPointerDown=${(event) => this.onPointer(event)}
        onPointerMove=${(event) => this.onPointer(event)}
        onPointerUp=${(event) => this.onPointer(event)}
        onPointerCancel=${(event) => this.onPointer(event)}
        onKeyDown=${(event) => this.onKeyDown(event)}
      >
        <canvas ref=${(canvas) => (this.canvas = canvas ?? this.canvas)} aria-hidden="true"></canvas>
        <span class="playhead" aria-hidden="true" style=${{ left: `${playhead * 100}%` }}></span>
      </div>
      <div class="ends" aria-hidden="true"><span>${decisions.length ? dayAndClock(decisions[0].at, Date.now()).replace(/\.\d+$/, "") : ""}</span><span class="span">${app.timeScale.breaks.length ? "silences are shortened" : ""}</span><span>${decisions.length ? dayAndClock(decisions[decisions.length - 1].at, Date.now()).replace(/\.\d+$/, "") : ""}</span></div>
    </section>`;
  }
}

function sentence(app, decision, moment) {
  if (!app.journal.decisions.length) {
    if (app.info && !app.info.live) return "A dump has no decisions: it is one moment.";
    if (app.info?.decisions === "none") return "Decisions are known of the controllers of pvbinder up only.";
    return "No decisions yet: each one will be a mark on this bar.";
  }
  if (!decision) return html`<b>Before the first decision that is known</b>`;
  const ago = moment === null ? `last, ${inWords(Math.max(0, Date.now() - decision.at))} ago` : dayAndClock(decision.at, Date.now());
  return html`<time class="when" dateTime=${decision.time}>${ago}</time> <${RuleChip} rule=${decision.rule} /> <b>${aboutInWords(decision)}</b> <span class="message">${decision.message}</span>`;
}
