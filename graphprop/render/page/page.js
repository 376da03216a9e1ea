
(() => {
"use strict";

// the page may stand alone, or with others in a document that is not ours: nothing outside of its root is touched
const root = [...document.querySelectorAll(".graphprop-page:not([data-started])")][0];
root.dataset.started = "";
const alone = root.parentElement === document.body;
const byId = (id) => root.querySelector(`#${CSS.escape(id)}`);
const data = JSON.parse(byId("data").textContent);
const view = byId("view");
const svg = view.querySelector("svg");
const drawn = (id) => byId(`${data.prefix}-${id}`);
const nodes = new Map(data.nodes.map((node) => [node.id, node]));
const edges = new Map(data.edges.map((edge) => [edge.id, edge]));
const into = new Map(data.nodes.map((node) => [node.id, []]));
const outOf = new Map(data.nodes.map((node) => [node.id, []]));
for (const edge of data.edges) {
  into.get(edge.target).push(edge);
  outOf.get(edge.source).push(edge);
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "math") element.innerHTML = unbroken(value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** HTML of the library, in which every name is escaped; a symbol such as δ[y][0] stays on one line. */
const unbroken = (html) => html.replaceAll("][", "]&NoBreak;[");
const nameOf = (id) => nodes.get(id).name;
const titleOf = (id) => (edges.has(id) ? `${nameOf(edges.get(id).source)} → ${nameOf(edges.get(id).target)}` : nameOf(id));

// ---------------------------------------------------------------- numbers and their formulas

function number(place) {
  const entry = data.numbers[place];
  const block = make("div", { class: "number", "data-place": place });
  const line = (kind, text) =>
    block.append(make("span", { class: "equals" }, "="), make("span", { class: `text ${kind}`, math: text }));
  block.append(make("span", { class: "symbol", math: entry.symbol }));
  const formula = entry.formula;
  if (formula !== undefined && formula !== entry.numbers) line("formula", formula);
  if (formula !== undefined && entry.numbers !== entry.value) line("numbers", entry.numbers);
  line("result", entry.value);
  if (entry.exact) block.lastChild.title = `every digit: ${entry.exact}`;
  if (entry.note) block.append(make("span", { class: "note" }, entry.note));
  if (entry.terms && entry.terms.length) {
    const summary = make("summary", {}, "where these come from");
    block.append(unfolding(summary, () => make("ul", { class: "terms" }, ...entry.terms.map(term))));
  }
  return block;
}

function term(place) {
  const entry = data.numbers[place];
  const text = make("span", { class: "math", math: `${entry.symbol} = ${entry.value}` });
  if (entry.formula === undefined && !entry.note) return make("li", {}, text);
  return make("li", {}, unfolding(make("summary", {}, text), () => number(place)));
}

/** Details whose content is made when they are first opened. */
function unfolding(summary, content) {
  const details = make("details", {}, summary);
  details.addEventListener("toggle", () => details.append(content()), { once: true });
  return details;
}

function rows(list) {
  return list.flatMap(([heading, places, more]) => [
    make("h3", {}, data.headings[heading]),
    ...places.map(number),
    ...(more ? [make("p", { class: "hint" }, `and ${more} more`)] : []),
  ]);
}

// ---------------------------------------------------------------- the steps

const steps = data.steps;
const passLength = { forward: 0, backward: 0 };
const known = { forward: new Map(), backward: new Map() }; // from which step on a node's numbers are known
steps.forEach((step, i) => {
  step.index = passLength[step.pass] += 1;
  for (const id of step.shapes) known[step.pass].set(id, i + 1);
});
const written = new Map(); // the numbers in the diagram, as they are when everything is known
for (const span of svg.querySelectorAll(".forward, .backward")) written.set(span, span.textContent);
let position = 0;
let playing = null;

const isKnown = (pass, id) => position === 0 || position >= (known[pass].get(id) ?? 0);

function goTo(to, spoken = true) {
  position = Math.max(0, Math.min(steps.length, to));
  for (const node of data.nodes) reveal(drawn(node.id), node.id, isKnown("forward", node.id));
  for (const edge of data.edges) {
    drawn(edge.id).classList.toggle("plain", !data.by_weights && !isKnown("backward", edge.target));
    reveal(byId(`${data.prefix}-${edge.id}-label`), edge.target, true);
  }
  const ended = position === 0 || position === steps.length;
  for (const span of svg.querySelectorAll(".legend .backward")) write(span, ended);
  for (const element of svg.querySelectorAll(".now, .used")) element.classList.remove("now", "used");
  const step = steps[position - 1];
  if (step) {
    for (const id of step.shapes) {
      drawn(id).classList.add("now");
      const carrying = step.pass === "forward" || id === "J" ? into : outOf;
      for (const edge of carrying.get(id)) drawn(edge.id).classList.add("used");
    }
  }
  if (step?.shapes.length === 1) centre(step.shapes[0]);
  showStep(step);
  byId("slider").value = position;
  byId("slider").setAttribute("aria-valuetext", whereText(step));
  byId("where").textContent = whereText(step);
  byId("first").disabled = byId("back").disabled = position === 0;
  byId("next").disabled = byId("last").disabled = position === steps.length;
  if (spoken) say([whereText(step), ...resultsOf(step)].join(". "));
}

function reveal(element, id, valued) {
  if (!element) return;
  element.classList.toggle("waiting", !valued);
  const sloped = isKnown("backward", id);
  for (const span of element.querySelectorAll(".forward")) write(span, valued);
  for (const span of element.querySelectorAll(".backward")) write(span, sloped);
}

function write(span, isGiven) {
  span.textContent = isGiven ? written.get(span) : "–";
  span.classList.toggle("unknown", !isGiven);
}

function whereText(step) {
  if (!step) return steps.length ? "Whole picture" : "No steps";
  return `${step.pass === "forward" ? "Forward" : "Backward"} ${step.index} of ${passLength[step.pass]}: ${step.title}`;
}

function resultsOf(step) {
  if (!step || !step.rows.length) return [];
  const [, places] = step.rows.at(step.pass === "forward" ? -1 : 0);
  return places.slice(0, 3).map((place) => {
    const entry = data.numbers[place];
    return make("span", { math: `${entry.symbol} = ${entry.value}` }).textContent;
  });
}

function showStep(step) {
  const panel = byId("step");
  if (step) {
    const way = step.pass === "forward" ? "Forward pass" : "Backward pass";
    const heading = make("h2", {}, make("span", { class: "way" }, `${way}, ${step.index} of ${passLength[step.pass]}`));
    heading.append(make("br"), step.title);
    panel.replaceChildren(heading, ...rows(step.rows));
    byId("side").scrollTop = 0;
    return;
  }
  const texts = [];
  if (data.objective) texts.push(`Derivatives are of ${data.objective}.`);
  if (steps.length) texts.push("Press play, or →, to see how the numbers come about, node by node.");
  if (Object.keys(data.of).length) texts.push("Choose a node or an edge to see where its numbers come from.");
  if (!steps.length) texts.push(...data.notes);
  panel.replaceChildren(make("h2", {}, "Whole picture"), ...texts.map((text) => make("p", { class: "hint" }, text)));
}

function play(on) {
  clearInterval(playing);
  playing = null;
  if (on && steps.length) {
    if (position === steps.length) goTo(0);
    const tick = () => (position < steps.length ? goTo(position + 1) : play(false));
    tick();
    playing = setInterval(tick, Number(byId("speed").value));
  }
  byId("play").querySelector("path").setAttribute("d", playing === null ? "M7 4l12 8-12 8z" : "M8 5v14 M16 5v14");
  byId("play").setAttribute("aria-label", playing === null ? "Play" : "Pause");
}

function walk(to) {
  play(false);
  goTo(to);
}

function say(text) {
  byId("live").textContent = text;
}

// ---------------------------------------------------------------- what is told of a node or an edge

const MOST_CHIPS = 24;

function choose(id, move = false) {
  for (const element of svg.querySelectorAll(".chosen")) element.classList.remove("chosen");
  held = null;
  if (!svg.matches(":hover")) light(null);
  const panel = byId("told");
  panel.hidden = id === null;
  if (id === null) {
    panel.replaceChildren();
    return say(whereText(steps[position - 1]));
  }
  drawn(id).classList.add("chosen");
  const edge = edges.get(id);
  const kind = edge ? "edge" : nodes.get(id).kind;
  const heading = make("h2", {}, make("bdi", {}, titleOf(id)), " ", make("span", { class: "kind" }, kind));
  const close = make("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => choose(null) }, "✕");
  panel.replaceChildren(make("div", { class: "top" }, heading, close));
  const ends = edge ? [[edge.source, nameOf(edge.source)], [edge.target, nameOf(edge.target)]] : [];
  panel.append(...(edge ? [chips("nodes", ends)] : neighbours(id)));
  const told = data.of[id];
  if (told) panel.append(...rows(told));
  else panel.append(...nodes.get(edge ? edge.target : id).tooltip.split("\n").map((text) => make("p", { class: "hint" }, text)));
  panel.append(...paths(edge ? edge.target : id, Boolean(edge)));
  if (move) centre(id);
  panel.scrollIntoView({ block: "nearest" });
  if (panel.offsetTop > byId("side").scrollTop) byId("side").scrollTop = panel.offsetTop - byId("side").offsetTop;
  say(`${titleOf(id)}, ${kind}, is explained`);
}

function chips(heading, list) {
  const button = ([id, text]) =>
    make("button", { type: "button", onclick: () => choose(id, true) }, make("bdi", {}, text));
  const more = list.length > MOST_CHIPS ? [make("span", {}, `and ${list.length - MOST_CHIPS} more`)] : [];
  return make("div", { class: "chips" }, make("span", {}, heading), ...list.slice(0, MOST_CHIPS).map(button), ...more);
}

function neighbours(id) {
  const ends = [
    chips("edges from", into.get(id).map((edge) => [edge.id, nameOf(edge.source)])),
    chips("edges to", outOf.get(id).map((edge) => [edge.id, nameOf(edge.target)])),
  ];
  return ends.filter((row) => row.querySelector("button"));
}

function paths(id, onward) {
  const parts = [];
  for (const sum of data.paths[id] ?? []) {
    const from = onward ? `from ${nameOf(id)} on, ` : "";
    parts.push(make("h3", {}, `${from}the largest of ${sum.count === "path" ? "1 path" : sum.count}`));
    parts.push(make("p", { class: "hint math" }, make("bdi", {}, sum.symbol), " = ", make("span", { math: sum.total })));
    for (const path of sum.paths) parts.push(onePath(path));
    if (sum.rest_count) {
      const amount = make("span", { class: "amount math", math: sum.rest });
      parts.push(make("div", { class: "path" }, amount, `the other ${sum.rest_count}`));
    }
  }
  return parts;
}

function onePath(path) {
  const along = (path.edges ?? []).map((e) => edges.get(`e${e}`)).filter(Boolean);
  const lit = new Set(along.flatMap((edge) => [edge.id, edge.source, edge.target]));
  const button = make("button", { type: "button", "aria-pressed": "false" }, make("bdi", {}, path.names));
  const show = () => light(lit);
  button.addEventListener("pointerenter", show);
  button.addEventListener("pointerleave", () => light(held));
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") === "false";
    for (const other of byId("told").querySelectorAll(".path button")) other.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-pressed", String(on));
    held = on ? lit : null;
    light(held);
  });
  const block = make("div", { class: "path" }, make("span", { class: "amount math", math: path.amount }), button);
  if (path.formula) block.append(make("span", { class: "product math" }, path.formula));
  if (path.numbers) block.append(make("span", { class: "product math", math: `= ${path.numbers}` }));
  return block;
}

// ---------------------------------------------------------------- ancestors and descendants

let held = null; // what stays lit

function light(lit) {
  svg.classList.toggle("lighting", Boolean(lit));
  for (const element of svg.querySelectorAll(".lit")) element.classList.remove("lit");
  for (const id of lit ?? []) {
    drawn(id)?.classList.add("lit");
    byId(`${data.prefix}-${id}-label`)?.classList.add("lit");
  }
}

function kin(id) {
  const edge = edges.get(id);
  const found = new Set([id]);
  const spread = (start, next, end) => {
    const waiting = [start];
    const seen = new Set(waiting);
    while (waiting.length) {
      const here = waiting.pop();
      found.add(here);
      for (const step of next.get(here)) {
        found.add(step.id);
        if (!seen.has(step[end])) waiting.push(step[end]);
        seen.add(step[end]);
      }
    }
  };
  spread(edge ? edge.source : id, into, "source");
  spread(edge ? edge.target : id, outOf, "target");
  return found;
}

// ---------------------------------------------------------------- the view: pan, zoom, fit

const box = { x: 0, y: 0, width: 1, height: 1 };
let whole = null;

function extent() {
  const boxes = [".picture", ".legend"].flatMap((selector) => {
    const element = svg.querySelector(selector);
    if (!element) return [];
    const own = element.getBBox();
    const by = element.transform.baseVal.consolidate().matrix;
    return own.width ? [[own.x + by.e, own.y + by.f, own.x + by.e + own.width, own.y + by.f + own.height]] : [];
  });
  const side = (i, pick) => pick(...boxes.map((b) => b[i]));
  const [left, top] = [side(0, Math.min) - 14, side(1, Math.min) - 14];
  return { x: left, y: top, width: side(2, Math.max) + 14 - left, height: side(3, Math.max) + 14 - top };
}

function show() {
  svg.setAttribute("viewBox", `${box.x} ${box.y} ${box.width} ${box.height}`);
}

function fit() {
  whole = extent();
  byId("diagram").style.setProperty("--ratio", (whole.height / whole.width).toFixed(3));
  const scale = Math.max(whole.width / view.clientWidth, whole.height / view.clientHeight, 0.5);
  box.width = scale * view.clientWidth;
  box.height = scale * view.clientHeight;
  box.x = whole.x + (whole.width - box.width) / 2;
  box.y = whole.y + (whole.height - box.height) / 2;
  show();
}

function zoom(factor, u = 0.5, v = 0.5) {
  const width = Math.min(Math.max(box.width / factor, 40), 4 * Math.max(whole.width, whole.height));
  const by = width / box.width;
  box.x += u * box.width * (1 - by);
  box.y += v * box.height * (1 - by);
  box.width *= by;
  box.height *= by;
  show();
}

function pan(dx, dy) {
  box.x -= (dx / view.clientWidth) * box.width;
  box.y -= (dy / view.clientHeight) * box.height;
  show();
}

function middle(id) {
  const by = svg.querySelector(".picture").transform.baseVal.consolidate().matrix;
  const line = edges.has(id) && drawn(id).querySelector(".hit");
  const at = line && line.getPointAtLength(line.getTotalLength() / 2);
  const [x, y] = line ? [at.x, at.y] : nodes.get(id).middle;
  return [x + by.e, y + by.f];
}

const LEGIBLE = 2.5; // lengths of the picture in one pixel, above which nothing can be read

/** Bring a node or an edge into view, if it is not there or too small to be read. */
function centre(id) {
  const [x, y] = middle(id);
  const [u, v] = [(x - box.x) / box.width, (y - box.y) / box.height];
  const scale = box.width / view.clientWidth;
  if (scale > LEGIBLE) zoom(scale);
  else if (u > 0 && u < 1 && v > 0 && v < 1) return;
  box.x = x - box.width / 2;
  box.y = y - box.height / 2;
  show();
}

const pointers = new Map();
let moved = 0;

svg.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  if (!pointers.size) moved = 0;
  pointers.set(event.pointerId, event);
});
window.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
  moved += Math.abs(dx) + Math.abs(dy);
  const other = [...pointers.values()].find((pointer) => pointer.pointerId !== event.pointerId);
  if (other) {
    const apart = (pointer) => Math.hypot(pointer.clientX - other.clientX, pointer.clientY - other.clientY);
    const frame = view.getBoundingClientRect();
    const [u, v] = [(other.clientX - frame.left) / frame.width, (other.clientY - frame.top) / frame.height];
    zoom(apart(event) / Math.max(apart(before), 1), u, v);
  } else if (moved > 4) {
    svg.classList.add("moving");
    pan(dx, dy);
  }
  pointers.set(event.pointerId, event);
});
for (const end of ["pointerup", "pointercancel"]) {
  window.addEventListener(end, (event) => {
    pointers.delete(event.pointerId);
    if (!pointers.size) svg.classList.remove("moving");
  });
}
view.addEventListener(
  "wheel",
  (event) => {
    const scrolls = !alone || document.documentElement.scrollHeight > window.innerHeight + 1;
    if (scrolls && !event.ctrlKey && !event.metaKey) return; // the wheel belongs to the page
    event.preventDefault();
    const frame = view.getBoundingClientRect();
    const [u, v] = [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
    zoom(Math.exp(-event.deltaY / (event.deltaMode ? 20 : 500)), u, v);
  },
  { passive: false },
);

// ---------------------------------------------------------------- nodes and edges of the diagram

const SVG = "http://www.w3.org/2000/svg";

function enliven(id, element) {
  element.addEventListener("pointerenter", () => light(kin(id)));
  element.addEventListener("pointerleave", () => light(held));
  element.addEventListener("click", () => moved <= 4 && choose(id));
}

function ring(element) {
  const own = element.getBBox();
  const frame = document.createElementNS(SVG, "rect");
  const size = { x: own.x - 5, y: own.y - 5, width: own.width + 10, height: own.height + 10, rx: 9 };
  for (const [name, value] of Object.entries(size)) frame.setAttribute(name, value);
  frame.setAttribute("class", "ring");
  element.append(frame);
}

svg.setAttribute("role", "group");
svg.removeAttribute("width");
svg.removeAttribute("height");
for (const node of data.nodes) {
  const element = drawn(node.id);
  ring(element);
  enliven(node.id, element);
  element.setAttribute("role", "button");
  element.setAttribute("tabindex", data.nodes.length <= 60 ? 0 : -1);
  element.setAttribute("aria-label", node.tooltip.replaceAll("\n", ", "));
  element.addEventListener("focus", () => {
    if (element.matches(":focus-visible")) {
      light(kin(node.id));
      centre(node.id);
    }
  });
  element.addEventListener("blur", () => light(held));
  element.addEventListener("keydown", (event) => event.key === "Enter" && choose(node.id));
}
for (const edge of data.edges) {
  const element = drawn(edge.id);
  const line = element.querySelector("path:last-of-type");
  const hit = line.cloneNode();
  for (const name of ["stroke", "stroke-width", "stroke-dasharray"]) hit.removeAttribute(name);
  hit.setAttribute("class", "hit");
  element.append(hit);
  enliven(edge.id, element);
  const label = byId(`${data.prefix}-${edge.id}-label`);
  if (label) enliven(edge.id, label);
}

// ---------------------------------------------------------------- search

const search = byId("search");
const list = byId("found");
const MOST = 8;
let matches = [];
let active = 0;

function find() {
  const text = search.value.trim().toLowerCase();
  matches = text ? data.nodes.filter((node) => node.name.toLowerCase().includes(text)) : [];
  const begins = (node) => Number(!node.name.toLowerCase().startsWith(text));
  matches.sort((one, other) => begins(one) - begins(other));
  active = 0;
  for (const node of data.nodes) drawn(node.id).classList.toggle("found", matches.includes(node));
  const option = (node, i) =>
    make("li", { role: "option", id: `found-${i}`, onpointerdown: (event) => take(event, node) }, make("bdi", {}, node.name));
  list.replaceChildren(...matches.slice(0, MOST).map(option));
  if (matches.length > MOST) list.append(make("li", { class: "none" }, `and ${matches.length - MOST} more`));
  if (text && !matches.length) list.append(make("li", { class: "none" }, "no node of this name"));
  list.hidden = !text;
  search.setAttribute("aria-expanded", String(Boolean(text)));
  mark();
  say(text ? `${matches.length} ${matches.length === 1 ? "node" : "nodes"} found` : "");
}

function mark() {
  [...list.children].forEach((item, i) => item.role && item.setAttribute("aria-selected", String(i === active)));
  if (matches.length) search.setAttribute("aria-activedescendant", `found-${active}`);
  else search.removeAttribute("aria-activedescendant");
}

function take(event, node) {
  event.preventDefault();
  search.value = "";
  find();
  choose(node.id, true);
}

search.addEventListener("input", find);
search.addEventListener("blur", () => {
  list.hidden = true;
  search.setAttribute("aria-expanded", "false");
});
search.addEventListener("focus", () => search.value && find());
search.addEventListener("keydown", (event) => {
  const shown = Math.min(matches.length, MOST);
  if (event.key === "Enter" && matches.length) take(event, matches[active]);
  if ((event.key === "ArrowDown" || event.key === "ArrowUp") && shown) {
    event.preventDefault();
    active = (active + (event.key === "ArrowDown" ? 1 : shown - 1)) % shown;
    mark();
  }
  if (event.key === "Escape") {
    const begun = search.value !== "";
    search.value = "";
    find();
    search.blur();
    if (!begun) return; // there is nothing to clear, so it means what is chosen
  }
  event.stopPropagation();
});

// ---------------------------------------------------------------- dark and light, keys

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : prefersDark.matches);

function showTheme() {
  byId("theme").textContent = isDark() ? "Light" : "Dark";
  byId("theme").setAttribute("aria-pressed", String(isDark()));
  byId("theme").setAttribute("aria-label", "Dark colours");
}

function switchTheme() {
  root.dataset.theme = isDark() ? "light" : "dark";
  showTheme();
}

const PAN = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
const KEYS = {
  ArrowRight: () => walk(position + 1),
  ArrowLeft: () => walk(position - 1),
  Home: () => walk(0),
  End: () => walk(steps.length),
  " ": () => play(playing === null),
  "+": () => zoom(1.25),
  "=": () => zoom(1.25),
  "-": () => zoom(0.8),
  "0": fit,
  "/": () => search.focus(),
  d: switchTheme,
  Escape: () => {
    choose(null);
    light(null);
  },
};

(alone ? document : root).addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = event.target;
  const own = at.closest("input, select") || (event.key === " " && at.closest("button, summary"));
  if (own && event.key !== "Escape") return;
  if (event.shiftKey && PAN[event.key]) pan(...PAN[event.key]);
  else if (KEYS[event.key]) KEYS[event.key]();
  else return;
  event.preventDefault();
});

const CLICKS = {
  first: () => walk(0),
  back: () => walk(position - 1),
  play: () => play(playing === null),
  next: () => walk(position + 1),
  last: () => walk(steps.length),
  closer: () => zoom(1.25),
  farther: () => zoom(0.8),
  fit,
  theme: switchTheme,
};
for (const [id, act] of Object.entries(CLICKS)) byId(id).addEventListener("click", act);
byId("slider").max = steps.length;
byId("slider").addEventListener("input", () => walk(Number(byId("slider").value)));
byId("speed").addEventListener("change", () => playing !== null && play(true));
prefersDark.addEventListener("change", showTheme);
for (const id of ["first", "back", "play", "next", "last", "slider", "speed"]) byId(id).disabled = !steps.length;
if (steps.length) byId("notes").append(...data.notes.map((note) => make("p", {}, note)));
new ResizeObserver(() => fit()).observe(view);
showTheme();
fit();
goTo(0, false);
})();
