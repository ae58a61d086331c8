// Puts the page together: the app, its views, and the keys that work everywhere.

import { html, render } from "./vendor/htm-preact.js";
import { App } from "./app.js";
import { Board } from "./columns.js";
import { Decisions } from "./decisions.js";
import { Dialog } from "./dialogs.js";
import { Drawer, closeDrawer } from "./drawer.js";
import { NO_FILTERS } from "./filter.js";
import { LEVELS, partsOf } from "./kinds.js";
import { drawLinks } from "./links.js";
import { TimeBar } from "./timebar.js";
import { ColumnTabs, Connection, Filters, Notes, Toolbar } from "./toolbar.js";

const root = document.getElementById("page");
const app = new App(draw, () => drawLinks(app));

function Page() {
  const { selected, drawer, dialog, listOpen, announcement } = app.state;
  return html`<div class="page ${drawer ? "with-drawer" : ""} ${app.past ? "in-past" : ""} ${app.connection.state === "lost" || app.connection.state === "ended" ? "stale" : ""}">
    <${Toolbar} app=${app} />
    <${Filters} app=${app} />
    <${Connection} app=${app} />
    <${Notes} app=${app} />
    <${ColumnTabs} app=${app} />
    <div class="middle">
      <${Board} app=${app} />
      ${drawer && selected ? html`<${Drawer} app=${app} id=${selected} />` : ""}
    </div>
    ${listOpen ? html`<${Decisions} app=${app} />` : ""}
    <${TimeBar} app=${app} />
    ${dialog ? html`<${Dialog} app=${app} name=${dialog} key=${dialog} />` : ""}
    <p class="unseen" role="status" aria-live="polite">${announcement}</p>
  </div>`;
}

function draw() {
  render(html`<${Page} />`, root);
  drawLinks(app);
}

function onKey(event) {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (event.ctrlKey || event.metaKey || event.altKey || app.state.dialog) return;
  if (event.key === "Escape" && !typing) {
    if (app.state.drawer) closeDrawer(app);
    else if (app.state.listOpen) app.set({ listOpen: false });
    else if (app.state.selected) app.select(null);
    return;
  }
  if (typing) return;
  const acts = {
    "/": () => document.getElementById("search").focus(),
    "?": () => app.set({ dialog: "keys" }),
    w: () => app.info?.plan && app.set({ dialog: "whatif" }),
    t: () => app.nextTheme(),
    d: () => app.set({ listOpen: !app.state.listOpen }),
    l: () => app.showMoment(null),
    p: () => (app.state.replay ? app.showMoment(app.state.moment) : app.replay(app.speed)),
    ",": () => app.stepTime(-1),
    ".": () => app.stepTime(1),
    0: () => app.filter(NO_FILTERS),
  };
  LEVELS.forEach((level, at) => (acts[at + 1] = () => app.filter({ level: app.state.filters.level.join() === level ? [] : [level] })));
  const arrows = { ArrowUp: 1, ArrowDown: 1, ArrowLeft: 1, ArrowRight: 1 };
  if (event.key in acts) {
    acts[event.key]();
    event.preventDefault();
  } else if (event.key in arrows && event.target === document.body) {
    const kind = app.state.selected ? partsOf(app.state.selected).kind : "claim";
    const { list } = app.columnParts[kind];
    list.focus({ preventScroll: true });
    app.columnParts[kind].onKeyDown(event);
  }
}

document.addEventListener("keydown", onKey);
setInterval(() => document.visibilityState === "visible" && app.changed(), 1000); // "… ago", and the next try
root.replaceChildren();
app.start();
draw();
