// Signs and small parts that several views draw.

import { html, useState } from "./vendor/htm-preact.js";
import { fullName, partsOf, shortName } from "./kinds.js";

// A level has a shape of its own, so that colour is never needed to tell it.
const SHAPES = {
  bad: html`<path class="fill" d="M5 1h6l4 4v6l-4 4H5l-4-4V5z" /><path class="cut" d="M8 4.2v4.6M8 11.2v.6" />`,
  wait: html`<circle class="stroke" cx="8" cy="8" r="6.2" /><path class="stroke" d="M8 4.4V8l2.6 1.7" />`,
  ok: html`<circle class="fill" cx="8" cy="8" r="7" /><path class="cut" d="M4.8 8.3l2.2 2.2 4.2-4.7" />`,
  idle: html`<circle class="stroke dotted" cx="8" cy="8" r="6.2" />`,
  linked: html`<circle class="stroke" cx="3.6" cy="8" r="2.4" /><circle class="stroke" cx="12.4" cy="8" r="2.4" /><path class="stroke" d="M6 8h4" />`,
};

const DRAWINGS = {
  close: "M4 4l8 8M12 4l-8 8",
  play: "M5 3.5v9l7.5-4.5z",
  pause: "M5 3.5v9M11 3.5v9",
  copy: "M6 6V2.8h7.2V10H10M2.8 6H10v7.2H2.8z",
  done: "M3 8.5l3.2 3.2L13 5",
  search: "M7 2.5a4.5 4.5 0 110 9 4.5 4.5 0 010-9zM10.4 10.4l3.4 3.4",
  sun: "M8 5.2a2.8 2.8 0 110 5.6 2.8 2.8 0 010-5.6zM8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.2 1.2M11.8 11.8L13 13M3 13l1.2-1.2M11.8 4.2L13 3",
  moon: "M13 9.6A5.6 5.6 0 016.4 3a5.6 5.6 0 106.6 6.6z",
  half: "M8 2.2a5.8 5.8 0 110 11.6 5.8 5.8 0 010-11.6zM8 2.2v11.6M8 5h3.9M8 8h5.6M8 11h3.9",
  list: "M2.5 4h11M2.5 8h11M2.5 12h11",
  keys: "M5.8 6a2.2 2.2 0 114 1.2c-.7.8-1.8 1.1-1.8 2.3M8 12v.4",
  back: "M9.5 3.5L5 8l4.5 4.5",
  ask: "M3 3.5h10v7H8l-3 2.5v-2.5H3z",
};

/** The sign of a level. */
export function Sign({ level }) {
  return html`<svg class="sign ${level}" viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">${SHAPES[level] ?? SHAPES.idle}</svg>`;
}

/** A small drawing of what a button does. */
export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path d=${DRAWINGS[name]} /></svg>`;
}

/** Copy a text to the clipboard; return whether that was possible. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** A button that copies a text, and says so. */
export function CopyButton({ text, label = "Copy", app }) {
  const [done, setDone] = useState(false);
  const act = async () => {
    const worked = await copied(text);
    app.announce(worked ? "copied" : "the browser doesn't let the page copy; select the text instead");
    setDone(worked);
    setTimeout(() => setDone(false), 1500);
  };
  return html`<button type="button" class="quiet copy" onClick=${act} aria-label="${label}: ${text.split("\n")[0]}" title=${label}>
    <${Icon} name=${done ? "done" : "copy"} />
  </button>`;
}

/** A command to be typed, with a button that copies it. */
export function Command({ text, app }) {
  return html`<span class="command"><code>${text}</code><${CopyButton} text=${text} label="Copy the command" app=${app} /></span>`;
}

/** A button that leads to a row, with its sign. */
export function RowLink({ app, id, text }) {
  const row = app.shown.get(id);
  const label = text ?? fullName(partsOf(id));
  if (!row) return html`<span class="row-link gone">${shortName(label)}</span>`;
  return html`<button type="button" class="row-link" title="${row.kind} ${fullName(row)}: ${row.state}" onClick=${() => app.select(id)}><${Sign} level=${row.level} /><span>${shortName(label)}</span></button>`;
}

/** The rule of a decision; there is none where somebody else than the controllers wrote. */
export function RuleChip({ rule }) {
  return rule ? html`<span class="rule">${rule}</span>` : "";
}
