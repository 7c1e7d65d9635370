// The dashboards page: draws Grafana's panels of the types time series, stat and table.

import { Refresher, State, api, bind, bytes, colour, html, loadPlotly, number, onTheme, say, setUpKeys } from "./common.js";

const state = new State({ uid: "", range: "900", from: "", to: "", refresh: "15", hidden: "" });
// Okabe and Ito's colours, which most people tell apart, and a dash of its own for each.
const COLOURS = { light: ["#0072b2", "#d55e00", "#007a5a", "#a8508c", "#8a6d00", "#3c8fc4"], dark: ["#56b4e9", "#ff8c42", "#2fc59c", "#e39ac8", "#f0e442", "#9ec9ff"] };
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const grid = document.getElementById("grid");
let boards = [];
let shown = null;

function board() { return boards.find((b) => b.uid === state.get("uid")) ?? boards[0]; }

const refresher = new Refresher(async (signal) => {
  if (!boards.length) await loadBoards();
  if (!boards.length) throw new Error("There are no dashboards.");
  const asked = Object.fromEntries(variables().map((v) => [`var-${v.name}`, v.field.value]));
  if (state.get("from")) Object.assign(asked, { from: state.get("from"), to: state.get("to") });
  else asked.from = `-${state.get("range") || 900}`;
  shown = await api(`dashboards/${board().uid}`, asked, signal);
  await draw();
});

async function loadBoards() {
  boards = (await api("dashboards")).dashboards;
  const field = document.querySelector("[name=uid]");
  field.replaceChildren(...boards.map((b) => html("option", { value: b.uid }, b.title)));
  field.value = board()?.uid ?? "";
  setUpVariables();
}

function variables() {
  return [...document.querySelectorAll("#variables input")].map((field) => ({ name: field.name.slice(4), field }));
}

function setUpVariables() {
  const query = new URLSearchParams(location.search);
  document.getElementById("variables").replaceChildren(...(board()?.variables ?? []).map((v) => {
    const field = html("input", { type: "text", name: `var-${v.name}`, spellcheck: "false", autocomplete: "off" });
    field.value = query.get(`var-${v.name}`) ?? v.value;
    field.addEventListener("change", () => {
      const now = new URLSearchParams(location.search);
      now.set(field.name, field.value);
      history.replaceState(null, "", `?${now}`);
      refresher.now();
    });
    return html("label", {}, v.label, field);
  }));
  document.getElementById("about").textContent = board()?.description ?? "";
  if (board()) document.title = `${board().title} · Dashboards · c756 console`;
}

async function draw() {
  const plotly = await loadPlotly();
  const wanted = new Set(shown.panels.map((panel) => `panel-${panel.id}`));
  for (const card of [...grid.children]) {
    if (!wanted.has(card.id) || card.dataset.uid !== shown.uid) { purge(plotly, card); card.remove(); }
  }
  for (const panel of shown.panels) {
    let card = document.getElementById(`panel-${panel.id}`);
    if (!card) { card = makeCard(panel); grid.append(card); }
    fill(plotly, card, panel);
  }
  const failed = shown.panels.filter((panel) => panel.error).length;
  say(`${shown.title}: ${shown.panels.length} panels${failed ? `, ${failed} of them failed` : ""}.`);
}

function makeCard(panel) {
  const { x, y, w, h } = panel.place;
  const head = html("h2", {}, panel.title);
  if (panel.description) head.append(html("abbr", { title: panel.description, "aria-label": panel.description, tabindex: "0" }, "i"));
  return html("section", {
    class: "card", id: `panel-${panel.id}`, "data-uid": shown.uid, "aria-label": panel.title,
    style: `grid-area: ${y + 1} / ${x + 1} / span ${h} / span ${w}`,
  }, head, html("div", { class: "body" }));
}

function purge(plotly, card) {
  const drawn = card.querySelector(".js-plotly-plot");
  if (drawn) plotly.purge(drawn);
}

function fill(plotly, card, panel) {
  const body = card.querySelector(".body");
  const isEmpty = panel.type === "table" ? !panel.rows?.length : !panel.series?.length;
  if (panel.error || isEmpty) {
    purge(plotly, card);
    body.replaceChildren(panel.error ? html("p", { class: "failed" }, panel.error) : html("p", { class: "nothing" }, "No data in this time"));
  } else if (panel.type === "timeseries") lines(plotly, body, panel);
  else body.replaceChildren(panel.type === "stat" ? stats(panel) : table(panel));
}

/** A value with its unit, by Grafana's unit ids. */
function format(value, unit, decimals) {
  if (value === null || value === undefined) return "–";
  const d = decimals ?? undefined;
  switch (unit) {
    case "percentunit": return `${number(value * 100, d ?? 1)} %`;
    case "percent": return `${number(value, d ?? 1)} %`;
    case "s": return value < 1 ? `${number(value * 1000)} ms` : `${number(value)} s`;
    case "ms": return value >= 1000 ? `${number(value / 1000)} s` : `${number(value)} ms`;
    case "bytes": return bytes(value);
    case "reqps": return `${number(value, d)} req/s`;
    default: return number(value, d);
  }
}

function tone(value, steps) {
  let found = "";
  for (const step of steps) if (step.value === null || value >= step.value) found = step.color;
  return found;
}

const WORDS = { green: "healthy", yellow: "degraded", red: "failing" };

function stats(panel) {
  const series = [...panel.series].sort((a, b) => a.name.localeCompare(b.name));
  return html("div", { class: "stats" }, ...series.map((s) => {
    const value = s.points.at(-1)?.[1] ?? null;
    const name = value === null ? "" : tone(value, panel.steps);
    return html("div", {}, html("b", { class: `tone-${name}` }, format(value, panel.unit, panel.decimals)),
      html("span", {}, WORDS[name] ? `${s.name} · ${WORDS[name]}` : s.name));
  }));
}

function table(panel) {
  const cell = (row, column) => (column.number ? format(row[column.key] ?? null, column.unit) : row[column.key] ?? "");
  return html("table", {}, html("caption", { class: "hidden-text" }, panel.title),
    html("thead", {}, html("tr", {}, ...panel.columns.map((c) => html("th", { scope: "col", class: c.number ? "number" : undefined }, c.name)))),
    html("tbody", {}, ...panel.rows.map((row) => html("tr", {},
      ...panel.columns.map((c) => html("td", { class: c.number ? "number" : undefined }, cell(row, c)))))));
}

/** What a panel's axis shows: its factor and suffix. */
function axis(panel) {
  const largest = Math.max(0, ...panel.series.flatMap((s) => s.points.map(([, v]) => v ?? 0)));
  switch (panel.unit) {
    case "percentunit": return { tickformat: ".0%", scale: 1 };
    case "s": return largest < 1 ? { ticksuffix: " ms", scale: 1000 } : { ticksuffix: " s", scale: 1 };
    case "ms": return { ticksuffix: " ms", scale: 1 };
    case "bytes": return { ticksuffix: " MB", scale: 1e-6 };
    case "reqps": return { scale: 1 };
    default: return { scale: 1 };
  }
}

function lines(plotly, body, panel) {
  let drawn = body.querySelector(".js-plotly-plot");
  const isNew = !drawn;
  if (isNew) {
    drawn = html("div", { style: "height: 100%", role: "img" });
    body.replaceChildren(drawn);
  }
  const { scale, ...ticks } = axis(panel);
  const hidden = new Set(state.get("hidden").split("|").filter(Boolean));
  const colours = COLOURS[document.documentElement.dataset.theme];
  const names = [...new Set(panel.series.map((s) => key(s)))].sort();
  const series = [...panel.series].sort((a, b) => a.name.localeCompare(b.name));
  const traces = series.map((s) => {
    const index = names.indexOf(key(s));
    return {
      name: s.name, type: "scatter", mode: "lines", connectgaps: false,
      x: s.points.map(([time]) => new Date(time * 1000)), y: s.points.map(([, value]) => (value === null ? null : value * scale)),
      line: { color: colours[index % colours.length], width: s.dashes ? 1.3 : 2.2, dash: s.dashes ? "dot" : DASHES[index % DASHES.length] },
      visible: hidden.has(`${panel.id}:${s.name}`) ? "legendonly" : true,
      text: s.points.map(([, value]) => format(value, panel.unit, panel.decimals)), hovertemplate: "%{text}",
    };
  });
  drawn.setAttribute("aria-label", `${panel.title}; newest values: ${series.map((s) => `${s.name} ${format(s.points.at(-1)?.[1], panel.unit)}`).join(", ")}`);
  const line = colour("line");
  const layout = {
    margin: { l: 52, r: 10, t: 6, b: 26 }, paper_bgcolor: "transparent", plot_bgcolor: "transparent", hovermode: "x unified",
    font: { color: colour("text"), size: 11 }, showlegend: true, legend: { orientation: "h", y: -0.16, x: 0 },
    hoverlabel: { bgcolor: colour("raised"), bordercolor: line, font: { color: colour("text") } },
    xaxis: { gridcolor: line, linecolor: line, range: [new Date(shown.from * 1000), new Date(shown.to * 1000)], nticks: 6, hoverformat: "%H:%M:%S" },
    yaxis: { gridcolor: line, zerolinecolor: line, rangemode: "tozero", fixedrange: true, nticks: 6, automargin: true, ...ticks },
    dragmode: "zoom", uirevision: `${shown.uid}${shown.from}`,
  };
  plotly.react(drawn, traces, layout, { displayModeBar: false, responsive: true });
  if (!isNew) return;
  drawn.on("plotly_relayout", (change) => {
    const [from, to] = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    if (change["xaxis.autorange"]) zoomTo(null, null);
    else if (from && to) zoomTo(Date.parse(local(from)) / 1000, Date.parse(local(to)) / 1000);
  });
  drawn.on("plotly_legendclick", (event) => {
    const name = `${panel.id}:${event.data[event.curveNumber].name}`;
    const now = new Set(state.get("hidden").split("|").filter(Boolean));
    if (!now.delete(name)) now.add(name);
    state.set({ hidden: [...now].join("|") });
    return true;
  });
}

// Plotly gives "2026-01-31 10:00:00.5" in the page's own time.
const local = (text) => (typeof text === "string" ? text.replace(" ", "T") : text);
const key = (series) => Object.entries(series.labels).filter(([k]) => k !== "__name__").sort().map(([, v]) => v).join(" ") || series.name;

/** A drag over a plot zooms all panels; a double click takes it back. */
function zoomTo(from, to) {
  if (from === null) state.set({ from: "", to: "", range: state.get("range") || "900" }, true);
  else if (to - from >= 10) state.set({ from: from.toFixed(0), to: to.toFixed(0), refresh: "0" }, true);
  showRange();
  refresher.every(state.get("refresh"));
  refresher.now();
}

function showRange() {
  const field = document.querySelector("[name=range]");
  field.value = state.get("from") ? "" : state.get("range");
  field.querySelector("[value='']").hidden = !state.get("from");
}

bind(state, [...document.querySelectorAll("#controls select")], (name) => {
  if (name === "refresh") { refresher.every(state.get("refresh")); return; }
  if (name === "uid") { state.set({ hidden: "" }); setUpVariables(); }
  if (name === "range" && state.get("range")) state.set({ from: "", to: "" });
  refresher.now();
});
document.querySelector("[name=range]").addEventListener("change", (event) => {
  // From a zoomed view back to the range that was there before.
  if (event.target.value && state.get("from")) { state.set({ from: "", to: "" }); refresher.now(); }
});
state.listeners.push(() => {
  showRange();
  document.querySelector("[name=uid]").value = board()?.uid ?? "";
});
showRange();
addEventListener("popstate", () => refresher.now());
document.getElementById("cycle").addEventListener("click", () => refresher.now());
onTheme(() => { if (shown) draw(); });
setUpKeys({ r: () => refresher.now() });
refresher.seconds = Number(state.get("refresh"));
refresher.now();
