// The panel "what if": manifests are pasted or dropped, and plan's answer is shown.

import { Component, html } from "./vendor/htm-preact.js";
import * as api from "./api.js";
import { CopyButton, Icon } from "./icons.js";
import { Sections } from "./sections.js";

const BYTES_MAX = 1024 * 1024;
const EXAMPLE = `apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: new
  namespace: default
spec:
  accessModes: [ReadWriteOnce]
  resources:
    requests:
      storage: 5Gi
`;

export class WhatIf extends Component {
  constructor(props) {
    super(props);
    this.state = { text: props.app.manifests ?? "", busy: false, answer: null, asText: false, over: false, problem: "" };
  }

  take(text) {
    this.props.app.manifests = text;
    this.setState({ text, problem: "" });
  }

  async ask() {
    const { app } = this.props;
    const { text } = this.state;
    if (!text.trim()) return this.setState({ problem: "Paste a manifest first, or drop a file." });
    if (new Blob([text]).size > BYTES_MAX) return this.setState({ problem: "These manifests are larger than 1 MiB; pvbinder plan -f takes larger ones." });
    this.setState({ busy: true, problem: "" });
    const { value, error } = await api.plan(text);
    app.announce(error ? `plan can't answer: ${error}` : "plan has answered");
    return this.setState({ busy: false, answer: value ?? null, problem: error ?? "" });
  }

  async takeFiles(files) {
    const texts = await Promise.all([...files].slice(0, 20).map((file) => (file.size > BYTES_MAX ? "" : file.text())));
    if (!texts.some(Boolean)) return this.setState({ over: false, problem: "The file is empty, or larger than 1 MiB." });
    this.setState({ over: false });
    return this.take(texts.filter(Boolean).join("\n---\n"));
  }

  onKeyDown(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      this.ask();
      event.preventDefault();
    }
  }

  render({ app }, { text, busy, answer, asText, over, problem }) {
    const drop = {
      onDragOver: (event) => (event.preventDefault(), this.setState({ over: true })),
      onDragLeave: () => this.setState({ over: false }),
      onDrop: (event) => (event.preventDefault(), this.takeFiles(event.dataTransfer.files)),
    };
    return html`<div class="ask-plan ${over ? "over" : ""}" ...${drop}>
      <div class="asking">
        <label for="manifests">Manifests that you would apply</label>
        <textarea id="manifests" autofocus spellcheck=${false} placeholder=${EXAMPLE} value=${text} onInput=${(event) => this.take(event.target.value)} onKeyDown=${(event) => this.onKeyDown(event)}></textarea>
        <div class="buttons">
          <button type="button" class="primary" disabled=${busy} onClick=${() => this.ask()}>${busy ? "Asking …" : "Ask"}</button>
          <label class="file">Choose a file<input type="file" multiple accept=".yaml,.yml,.json" onChange=${(event) => this.takeFiles(event.target.files)} /></label>
          ${text ? "" : html`<button type="button" class="quiet-text" onClick=${() => this.take(EXAMPLE)}>Take the example</button>`}
        </div>
        <p class="hint">They are applied to a copy in memory; nothing of the cluster changes.</p>
        ${problem ? html`<p class="problem" role="alert">${problem}</p>` : ""}
      </div>
      <div class="answer" aria-live="polite">
        ${answer ? html`<div class="answer-head"><p class="lead">${answer.text.split("\n")[0]}</p>
          <button type="button" class="quiet-text" aria-pressed=${asText ? "true" : "false"} onClick=${() => this.setState({ asText: !asText })}><${Icon} name="list" />As text</button><${CopyButton} text=${answer.text} label="Copy the answer" app=${app} /></div>
          ${asText ? html`<pre class="plan-text" tabindex="0">${answer.text}</pre>` : html`<${Sections} report=${answer.report} app=${app} />`}` : html`<p class="hint">The answer tells what each claim would get and why, what else would change, and what the API server would refuse.</p>`}
      </div>
    </div>`;
  }
}
