// Draws the lines between rows, after each drawing of the columns.

import { COLUMN, KINDS } from "./kinds.js";
import { linesOf, pathOf } from "./relations.js";

const SVG = "http://www.w3.org/2000/svg";

/** Draw the lines of what is in sight. */
export function drawLinks(app) {
  const svg = document.querySelector(".board .links");
  const parts = app.columnParts;
  if (!svg || !parts || getComputedStyle(svg).display === "none") return;
  const frame = svg.parentElement.getBoundingClientRect();
  const boxes = Object.fromEntries(KINDS.map((kind) => [kind, boxOf(parts[kind].list, frame)]));
  const visible = new Set();
  for (const kind of KINDS) for (const id of parts[kind].inSight()) visible.add(id);
  const { selected } = app.state;
  const lines = linesOf(app.shown, visible, app.related, selected, app.pointed ?? null);
  const drawn = [];
  for (const line of lines) {
    const [left, right] = [line.from, line.to].map((id) => end(parts, boxes, id));
    if (!left || !right) continue;
    const names = ["focused", "pointed", "beyond", "broken"].filter((name) => line[name]);
    drawn.push({ path: pathOf(left.right, left.y, right.left, right.y), names: names.join(" ") });
  }
  drawn.sort((one, other) => one.names.length - other.names.length);
  fill(svg, drawn);
}

function boxOf(list, frame) {
  const box = list.getBoundingClientRect();
  return { left: box.left - frame.left, right: box.right - frame.left, top: box.top - frame.top };
}

function end(parts, boxes, id) {
  const kind = id.slice(0, id.indexOf("/"));
  if (!(kind in COLUMN)) return null;
  const middle = parts[kind].middleOf(id);
  return middle && { left: boxes[kind].left, right: boxes[kind].right, y: boxes[kind].top + middle.y };
}

function fill(svg, drawn) {
  while (svg.childNodes.length > drawn.length) svg.lastChild.remove();
  while (svg.childNodes.length < drawn.length) svg.append(document.createElementNS(SVG, "path"));
  drawn.forEach(({ path, names }, at) => {
    const element = svg.childNodes[at];
    if (element.getAttribute("d") !== path) element.setAttribute("d", path);
    if (element.getAttribute("class") !== names) element.setAttribute("class", names);
  });
}
