// The graph page.

import { Refresher, State, api, bind, defaultNamespace, html, milliseconds, percent, say, setUpKeys } from "./common.js";
import { Camera, arrows, drawBox, drawEdge, drawNode, shape, svg } from "./draw.js";
import { Panel } from "./panel.js";
import { Animation } from "./particles.js";

const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
const state = new State({
  namespace: defaultNamespace, type: "versionedApp", label: "rate", interval: "5m", refresh: "15",
  services: "1", operations: "0", idle: "0", compressed: "1", animation: still ? "0" : "1", badges: "1",
  find: "", hide: "", focus: "", selected: "",
});
const ASKED = ["namespace", "type", "label", "interval", "services", "operations", "idle", "compressed", "badges", "find", "hide", "focus"];

const element = document.getElementById("graph");
const world = svg("g");
const layers = { boxes: svg("g"), edges: svg("g"), nodes: svg("g") };
world.append(layers.boxes, layers.edges, layers.nodes);
element.append(arrows(), world);
const camera = new Camera(element, world);
const animation = new Animation();
const groups = { boxes: new Map(), edges: new Map(), nodes: new Map() };
const tip = document.getElementById("tip");
let picture = null;
let drawnShape = "";

const panel = new Panel(document.getElementById("panel"), () => select(""), (box) => focusOn(box));

const refresher = new Refresher(async (signal) => {
  const asked = Object.fromEntries(ASKED.map((name) => [name, state.get(name)]));
  const find = document.querySelector("[name=find]");
  const hide = document.querySelector("[name=hide]");
  try {
    picture = await api("graph", asked, signal);
    for (const field of [find, hide]) field.removeAttribute("aria-invalid");
  } catch (error) {
    if (error.refused) for (const field of [find, hide]) if (field.value) field.setAttribute("aria-invalid", "true");
    throw error;
  }
  draw();
  await loadPanel(signal);
});

async function loadPanel(signal) {
  const id = state.get("selected");
  if (!id) { panel.close(); return; }
  await panel.load(id, state.get("interval"), boxOf(id), signal);
  refit();
}

function boxOf(id) {
  const node = picture?.nodes.find((n) => n.id === id);
  return node && !state.get("focus") ? node.box || node.id : "";
}

/** Keeps the elements of `items` in a layer by their ids; `fill` brings each up to date. */
function keep(kind, items, make, fill) {
  const known = groups[kind];
  const ids = new Set(items.map((item) => item.id));
  for (const [id, group] of known) if (!ids.has(id)) { group.remove(); known.delete(id); }
  for (const item of items) {
    if (!known.has(item.id)) {
      const group = make(item);
      known.set(item.id, group);
      layers[kind].append(group);
    }
    fill(known.get(item.id), item);
  }
}

function draw() {
  const nodes = new Map(picture.nodes.map((node) => [node.id, node]));
  const drawn = [];
  keep("boxes", picture.boxes, (box) => boxGroup(box.id), drawBox);
  keep("nodes", picture.nodes, (node) => actor("node", node.id), drawNode);
  keep("edges", picture.edges, (edge) => actor("edge", edge.id), (group, edge) => {
    const box = nodes.get(edge.source)?.box;
    const line = drawEdge(group, edge, Boolean(box) && box === nodes.get(edge.target)?.box);
    drawn.push([edge, line, group.parts.particles]);
  });
  mark();
  animation.follow(drawn, state.on("animation"));
  const isEmpty = picture.nodes.length === 0;
  const empty = document.getElementById("empty");
  empty.hidden = !isEmpty;
  empty.textContent = isEmpty ? emptyText() : "";
  const now = [...groups.nodes.keys()].join() + state.get("focus");
  if (now !== drawnShape) { drawnShape = now; camera.fit(picture.width, picture.height); }
  else refit();
  describe();
}

/** Fits again where the place has changed, unless the person has moved the graph. */
function refit() {
  if (!picture || camera.touched) return;
  camera.fit(picture.width, picture.height);
}

function emptyText() {
  if (picture.hidden) return "All of the graph is hidden.";
  const about = `No traffic in the namespace ${picture.namespace} in the last ${state.get("interval")}`;
  return `${about}. The graph appears by itself as soon as there are requests.`;
}

function describe() {
  const { summary } = picture;
  document.getElementById("updated").textContent =
    `${summary.services} services · ${summary.workloads} workloads · ${summary.arcs} arcs · ${new Date().toLocaleTimeString()}`;
  const back = document.getElementById("back");
  back.hidden = !state.get("focus");
  const matches = document.getElementById("matches");
  const parts = [];
  if (state.get("find")) parts.push(`${picture.found} found`);
  if (state.get("hide")) parts.push(`${picture.hidden} hidden`);
  if (state.get("focus")) parts.push(`in ${summary.in || "nothing"}, out ${summary.out || "nothing"}`);
  matches.textContent = parts.join(" · ");
  const { degraded = 0, failure = 0 } = summary.health;
  say(`Graph of ${picture.namespace}: ${summary.services} services, ${summary.arcs} arcs, ${degraded} degraded, ${failure} failing.`);
}

function mark() {
  const selected = state.get("selected");
  for (const kind of ["nodes", "edges"]) {
    for (const [id, group] of groups[kind]) {
      group.classList.toggle("selected", id === selected);
      group.setAttribute("aria-pressed", String(id === selected));
    }
  }
}

function actor(className, id) {
  const group = svg("g", { class: className, tabindex: "0", role: "button", "data-id": id });
  group.addEventListener("click", () => { if (!camera.dragging) select(state.get("selected") === id ? "" : id); });
  group.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); event.stopPropagation(); select(id); }
  });
  group.addEventListener("dblclick", (event) => {
    const node = picture.nodes.find((n) => n.id === id);
    if (node) { event.stopPropagation(); focusOn(node.box || node.id); }
  });
  if (className === "edge") {
    const over = (event) => { animation.pause(id, true); showTip(id, event); };
    const out = () => { animation.pause(id, false); tip.hidden = true; };
    group.addEventListener("pointerenter", over);
    group.addEventListener("pointermove", over);
    group.addEventListener("pointerleave", out);
    group.addEventListener("focus", () => { if (group.matches(":focus-visible")) over(null); });
    group.addEventListener("blur", out);
  }
  return group;
}

function boxGroup(id) {
  const group = svg("g", { class: "box", "data-id": id });
  group.addEventListener("dblclick", () => focusOn(id));
  return group;
}

function showTip(id, event) {
  const edge = picture.edges.find((e) => e.id === id);
  if (!edge) return;
  const rows = [html("b", {}, edge.rateText || "No traffic")];
  if (edge.rate) rows.push(`${percent(100 - edge.errorShare)} success, ${percent(edge.errorShare)} error`, html("br"));
  if (edge.latency !== null) rows.push(`average ${milliseconds(edge.latency)}`);
  tip.replaceChildren(...rows);
  tip.hidden = false;
  const place = element.getBoundingClientRect();
  const x = event ? event.clientX - place.left : camera.x + edge.x * camera.k;
  const y = event ? event.clientY - place.top : camera.y + edge.y * camera.k;
  tip.style.left = `${Math.max(4, Math.min(x + 14, place.width - tip.offsetWidth - 6))}px`;
  tip.style.top = `${Math.max(4, Math.min(y + 14, place.height - tip.offsetHeight - 6))}px`;
}

function select(id) {
  if (id === state.get("selected")) return;
  state.set({ selected: id });
  mark();
  if (!id) { panel.close(); refit(); return; }
  refresher.now();
}

function focusOn(box) {
  if (box === state.get("focus")) return;
  state.set({ focus: box, selected: "" }, true);
  panel.close();
  refresher.now();
}

function setUpLegend() {
  const picturePart = (...children) => svg("svg", { viewBox: "-20 -20 40 40", width: 34, height: 26, "aria-hidden": "true" }, ...children);
  const node = (kind) => picturePart(svg("g", { class: "node", "data-health": "healthy", transform: "scale(.7)" }, shape(kind)));
  const line = (health) => picturePart(svg("g", { class: "edge", "data-health": health }, svg("path", { class: "line", d: "M-19 0H19" })));
  const rows = [
    [node("app"), "workload (a version of an app)"], [node("service"), "service"], [node("external"), "external service"],
    [node("operation"), "operation"], [node("unknown"), "source outside of the mesh"],
    [line("healthy"), "healthy"], [line("degraded"), "degraded: 5xx above 0, 4xx from 10 %"],
    [line("failure"), "failing: 5xx from 10 %, 4xx from 20 %"], [line("idle"), "nothing flows"],
    [picturePart(svg("circle", { class: "particle good", r: 6 })), "answers without an error"],
    [picturePart(svg("rect", { class: "particle bad", x: -7, y: -7, width: 14, height: 14 })), "failures"],
    [picturePart(svg("circle", { class: "particle bytes", r: 5 })), "bytes (TCP)"],
    [picturePart(svg("g", { class: "node" }, svg("g", { class: "badge" }, svg("rect", { x: -14, y: -9, width: 28, height: 18, rx: 9 }),
      svg("text", { x: 0, y: 4 }, "VS")))), "VirtualService"],
  ];
  const body = document.getElementById("legend-body");
  for (const [drawn, words] of rows) body.append(drawn, html("span", {}, words));
  body.append(html("span", {}, ""), html("span", { class: "quiet" },
    "Double click an app to zoom to it. Keys: R refresh, 0 fit, + − zoom, arrows move, Esc back."));
}

async function setUpNamespaces() {
  const field = document.querySelector("[name=namespace]");
  const fill = (names) => {
    const all = [...new Set([...names, state.get("namespace")])].sort();
    field.replaceChildren(...all.map((name) => html("option", { value: name }, name)));
    field.value = state.get("namespace");
  };
  fill([]);
  const load = () => api("namespaces").then((found) => fill(found.namespaces)).catch(() => {});
  field.addEventListener("focus", load);
  await load();
}

setUpLegend();
bind(state, [...document.querySelectorAll("#controls select, #show input, .search input")], (name) => {
  if (name === "refresh") { refresher.every(state.get("refresh")); return; }
  if (name === "namespace") state.set({ focus: "", selected: "" });
  if (name === "type" || name === "services") state.set({ focus: "", selected: "" });
  refresher.now();
});
state.listeners.push(mark);
addEventListener("popstate", () => refresher.now());
document.getElementById("cycle").addEventListener("click", () => refresher.now());
document.getElementById("back").addEventListener("click", () => focusOn(""));
document.getElementById("zoom-in").addEventListener("click", () => camera.zoom(1.25));
document.getElementById("zoom-out").addEventListener("click", () => camera.zoom(0.8));
document.getElementById("zoom-fit").addEventListener("click", () => picture && camera.fit(picture.width, picture.height));
document.addEventListener("click", (event) => {
  const menu = document.getElementById("show");
  if (menu.open && !menu.contains(event.target)) menu.open = false;
});
setUpKeys({
  r: () => refresher.now(), "+": () => camera.zoom(1.25), "-": () => camera.zoom(0.8),
  0: () => picture && camera.fit(picture.width, picture.height),
  ArrowLeft: () => camera.pan(40, 0), ArrowRight: () => camera.pan(-40, 0),
  ArrowUp: () => camera.pan(0, 40), ArrowDown: () => camera.pan(0, -40),
  Escape: () => {
    const menu = document.getElementById("show");
    if (menu.open) menu.open = false;
    else if (state.get("selected")) select("");
    else if (state.get("focus")) focusOn("");
  },
});
new ResizeObserver(refit).observe(element);
setUpNamespaces();
refresher.seconds = Number(state.get("refresh"));
refresher.now();
