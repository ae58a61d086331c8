// The dialogs: what if, and the keys.

import { Component, html } from "./vendor/htm-preact.js";
import { Icon } from "./icons.js";
import { WhatIf } from "./whatif.js";

export const KEYS = [
  ["Rows", [["↑ ↓", "the next row"], ["← →", "the linked row of the next column"], ["PgUp PgDn", "a page up or down"], ["Home End", "the first row, the last row"], ["Enter", "explain the row"], ["Esc", "close what is open; then forget the choice"]]],
  ["Finding", [["/", "search"], ["1 2 3 4", "show one level only: needs somebody, waiting, fine, idle"], ["0", "clear the filters"]]],
  ["Time", [[", .", "one decision back or on"], ["p", "replay, or stop it"], ["l", "live"], ["d", "list the decisions"]]],
  ["More", [["w", "what if"], ["t", "colours"], ["?", "these keys"]]],
];

export class Dialog extends Component {
  componentDidMount() {
    this.before = document.activeElement;
    this.dialog.showModal();
  }

  componentWillUnmount() {
    this.before?.focus?.({ preventScroll: true });
  }

  close() {
    this.props.app.set({ dialog: null });
  }

  render({ app, name }) {
    const title = name === "keys" ? "Keys" : "What if";
    return html`<dialog
      class="dialog ${name}"
      aria-labelledby="dialog-title"
      ref=${(dialog) => (this.dialog = dialog ?? this.dialog)}
      onCancel=${(event) => (event.preventDefault(), this.close())}
      onClick=${(event) => event.target === this.dialog && this.close()}
      onKeyDown=${(event) => event.stopPropagation()}
    >
      <div class="dialog-frame">
        <header><h2 id="dialog-title">${title}</h2><button type="button" class="quiet" aria-label="Close" title="Close (Esc)" onClick=${() => this.close()}><${Icon} name="close" /></button></header>
        ${name === "keys" ? html`<${Keys} />` : html`<${WhatIf} app=${app} />`}
      </div>
    </dialog>`;
  }
}

function Keys() {
  return html`<div class="keys-list">
    ${KEYS.map(([title, keys]) => html`<section key=${title}><h3>${title}</h3><dl>${keys.map(([key, does]) => html`<div key=${key}><dt>${key.split(" ").map((each, at) => html`<kbd key=${at}>${each}</kbd>`)}</dt><dd>${does}</dd></div>`)}</dl></section>`)}
    <section><h3>Signs</h3><p class="hint">Each level has a shape of its own: a full octagon needs somebody, a clock waits, a tick is fine, a dotted ring is idle.</p></section>
  </div>`;
}
