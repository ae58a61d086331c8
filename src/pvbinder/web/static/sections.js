// Draws the sections of a structured answer: of explain, and of plan.

import { html, useState } from "./vendor/htm-preact.js";
import * as api from "./api.js";
import { Command, RowLink } from "./icons.js";
import { pieces, sectionsOf } from "./report.js";

export function Sections({ report, app }) {
  return html`<div class="sections">${sectionsOf(report).map((section, at) => html`<${Section} key=${at} section=${section} app=${app} />`)}</div>`;
}

function Section({ section, app }) {
  const title = section.title ? html`<h3>${section.title}</h3>` : "";
  if (section.type === "lead") {
    return html`<section class="part lead-part">
      ${section.summary ? html`<p class="lead">${section.summary} ${section.rules.map((rule) => html`<${Rule} key=${rule} id=${rule} app=${app} />`)}</p>` : ""}
      ${section.next ? html`<p class="next"><span class="label">next</span> ${section.next}</p>` : ""}
    </section>`;
  }
  if (section.type === "heading") return html`<h3 class="heading">${section.row ? html`<${RowLink} app=${app} id=${section.row} text=${section.title} />` : section.title}</h3>`;
  if (section.type === "steps") return html`<section class="part steps">${title}<ul>${section.lines.map((line, at) => html`<li key=${at}><${Sentence} text=${line} app=${app} /></li>`)}</ul></section>`;
  if (section.type === "lines") return html`<section class="part">${title}${section.lines.map((line, at) => html`<p key=${at}><${Sentence} text=${line} app=${app} /></p>`)}</section>`;
  if (section.type === "facts") return html`<section class="part">${title}<dl class="facts">${section.facts.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl></section>`;
  return html`<section class="part">${title}<div class="table-frame"><table>
    <thead><tr>${section.columns.map((name, at) => html`<th key=${at} scope="col">${name}</th>`)}</tr></thead>
    <tbody>${section.rows.map((cells, at) => html`<tr key=${at}>${cells.map((cell, place) => html`<td key=${place}><${Cell} cell=${cell} app=${app} /></td>`)}</tr>`)}</tbody>
  </table></div></section>`;
}

function Cell({ cell, app }) {
  if (cell?.row) return html`<${RowLink} app=${app} id=${cell.row} text=${cell.text} />`;
  if (cell?.rule !== undefined) return cell.rule.split(", ").filter(Boolean).map((id) => html`<${Rule} key=${id} id=${id} app=${app} />`);
  return cell ?? "";
}

function Sentence({ text, app }) {
  return pieces(text).map((piece, at) => (piece.command ? html`<${Command} key=${at} text=${piece.command} app=${app} />` : html`<span key=${at}>${piece.text}</span>`));
}

const asked = new Map();

/** The ID of a rule; a press shows the rule's text below it. */
export function Rule({ id, app }) {
  const [text, setText] = useState(null);
  const act = async () => {
    if (text !== null) return setText(null);
    if (!asked.has(id)) asked.set(id, (await api.rule(id)).value?.text ?? null);
    const found = asked.get(id);
    if (found === null) app.announce(`the text of rule ${id} isn't served here; pvbinder explain --rule ${id} prints it`);
    return setText(found ?? `pvbinder explain --rule ${id}`);
  };
  return html`<button type="button" class="rule" aria-expanded=${text !== null ? "true" : "false"} title="Rule ${id}" onClick=${act}>${id}</button>${text !== null ? html`<span class="rule-text">${text}</span>` : ""}`;
}
