// The side panel of an arc or node.

import { api, bytes, colour, html, loadPlotly, milliseconds, number, onTheme, percent } from "./common.js";

const LINES = [["Average", "solid"], ["P50", "dot"], ["P95", "dash"], ["P99", "dashdot"]];
const TONES = { Average: "accent", P50: "healthy", P95: "degraded", P99: "failure" };

export class Panel {
  constructor(element, onClose, onZoom) {
    this.element = element;
    this.onClose = onClose;
    this.onZoom = onZoom;
    this.tab = "traffic";
    this.data = null;
    onTheme(() => { if (this.data) this.show(); });
  }

  close() {
    this.element.hidden = true;
    this.element.replaceChildren();
    this.data = null;
    this.shownId = null;
  }

  async load(id, interval, box, signal) {
    this.box = box;
    if (this.shownId !== id) {
      this.shownId = id;
      this.data = null;
      this.element.hidden = false;
      this.element.replaceChildren(html("p", { class: "quiet" }, "Reading …"));
    }
    const data = await api("panel", { id, interval }, signal);
    if (this.shownId !== id) return;
    this.data = data;
    this.show();
  }

  show() {
    const { data } = this;
    const scrolled = this.element.scrollTop;
    const focused = document.activeElement?.id;
    const tabs = [["traffic", "Traffic"], ["promql", "PromQL"]];
    const list = html("div", { class: "tabs", role: "tablist", "aria-label": "Views of the selection" },
      ...tabs.map(([name, title]) => html("button", {
        type: "button", role: "tab", id: `tab-${name}`, "aria-selected": String(this.tab === name), "aria-controls": "tab-body",
        tabindex: this.tab === name ? "0" : "-1",
        onclick: () => { this.tab = name; this.show(); document.getElementById(`tab-${name}`).focus(); },
        onkeydown: (event) => {
          if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
          this.tab = this.tab === "traffic" ? "promql" : "traffic";
          this.show();
          document.getElementById(`tab-${this.tab}`).focus();
          event.stopPropagation();
        },
      }, title)));
    const body = html("div", { id: "tab-body", role: "tabpanel", "aria-labelledby": `tab-${this.tab}` });
    for (const direction of data.directions) {
      if (direction.name) body.append(html("h3", {}, direction.name));
      body.append(...(this.tab === "traffic" ? this.traffic(direction) : this.promql(direction)));
    }
    this.element.replaceChildren(
      html("div", { class: "panel-head" },
        html("div", {}, html("h2", {}, data.title), html("p", { class: "quiet" }, `${data.about}, last ${data.interval}`)),
        html("button", { type: "button", id: "panel-close", "aria-label": "Close the panel", title: "Close (Esc)", onclick: this.onClose }, "✕")),
      ...(this.box ? [html("button", { type: "button", id: "panel-zoom", onclick: () => this.onZoom(this.box) }, "Zoom to the app")] : []),
      list, body);
    this.element.scrollTop = scrolled;
    if (focused && !["", "body"].includes(focused)) document.getElementById(focused)?.focus({ preventScroll: true });
  }

  traffic(direction) {
    const { http, tcp } = direction;
    const parts = [];
    if (!http && !tcp) parts.push(html("p", { class: "quiet" }, "No traffic in this interval."));
    if (http) parts.push(...this.http(http), ...this.plot(direction));
    if (http) parts.push(...this.hosts(http));
    if (tcp) {
      parts.push(html("table", { class: "tcp" }, html("caption", { class: "hidden-text" }, "TCP traffic"),
        html("tbody", {}, row(["TCP sent", `${bytes(tcp.sent)}/s`]), row(["TCP received", `${bytes(tcp.received)}/s`]))));
    }
    return parts;
  }

  http(http) {
    const shares = html("div", { class: "shares" },
      html("div", {}, html("b", { "data-value": "rate" }, number(http.rate)), html("span", {}, "req/s")),
      html("div", {}, html("b", { "data-value": "success" }, percent(http.success)), html("span", {}, "success")),
      html("div", {}, html("b", { "data-value": "error" }, percent(http.error)), html("span", {}, "error")));
    const seen = http.classes.filter((c) => c.share > 0);
    const label = http.classes.map((c) => `${name(c)} ${percent(c.share)}`).join(", ");
    const bar = html("div", { class: "classes", role: "img", "aria-label": `Status classes: ${label}` },
      ...seen.map((c) => html("i", { class: `c${c.name}`, style: `flex: ${c.share}` })));
    const key = html("div", { class: "key" },
      ...http.classes.map((c) => html("span", {}, html("i", { class: `c${c.name}` }), `${name(c)} ${percent(c.share)}`)));
    const flags = http.flags.length
      ? table("Response flags", ["Code", "Flags", "Share"], http.flags.map((f) => [f.code, flagText(f.flags), percent(f.share)]), [2])
      : html("p", { class: "quiet" }, "No answers in this interval.");
    return [shares, html("h3", {}, "Status classes"), bar, key, html("h3", {}, "Response flags"), flags];
  }

  hosts(http) {
    return [html("h3", {}, "Hosts"),
      table("Hosts", ["Host", "req/s", "Errors"], http.hosts.map((h) => [h.host, number(h.rate), percent(h.error)]), [1, 2])];
  }

  plot(direction) {
    const drawn = html("div", { class: "plot", role: "img", "aria-label": plotText(direction.plot) });
    loadPlotly().then((plotly) => drawn.isConnected && plotly.newPlot(drawn, traces(direction.plot), layout(), { displayModeBar: false, responsive: true }))
      .catch((error) => { drawn.textContent = error.message; });
    return [html("h3", {}, "Latency, one point a minute"), drawn];
  }

  promql(direction) {
    return direction.promql.map(({ name: title, query }) => {
      const copy = html("button", { type: "button", "aria-label": `Copy: ${title}` }, "Copy");
      copy.addEventListener("click", async () => {
        await copyText(query);
        copy.textContent = "Copied";
        setTimeout(() => { copy.textContent = "Copy"; }, 1500);
      });
      return html("div", { class: "promql" }, html("span", {}, title), html("pre", { tabindex: "0" }, query), copy);
    });
  }
}

async function copyText(text) {
  if (navigator.clipboard && isSecureContext) return navigator.clipboard.writeText(text);
  // Over plain HTTP browsers have the old way only.
  const area = html("textarea", { class: "hidden-text" });
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  return undefined;
}

const name = (c) => (c.name === "0" ? "0 (no answer)" : c.name);
const flagText = (flags) => (flags === "-" ? "– (none)" : flags);
const row = (cells) => html("tr", {}, html("th", { scope: "row" }, cells[0]), html("td", { class: "number" }, cells[1]));

export function table(caption, heads, rows, numbers = []) {
  const cls = (i) => (numbers.includes(i) ? "number" : undefined);
  return html("table", {}, html("caption", { class: "hidden-text" }, caption),
    html("thead", {}, html("tr", {}, ...heads.map((head, i) => html("th", { scope: "col", class: cls(i) }, head)))),
    html("tbody", {}, ...rows.map((cells) => html("tr", {}, ...cells.map((cell, i) => html("td", { class: cls(i) }, cell))))));
}

function plotText(plot) {
  const last = plot.map((t) => `${t.name} ${milliseconds(t.points.at(-1)?.[1])}`).join(", ");
  return `Latency over time; last point: ${last}`;
}

function traces(plot) {
  return LINES.map(([title, dash]) => {
    const points = plot.find((t) => t.name === title)?.points ?? [];
    return {
      name: title, type: "scatter", mode: "lines+markers", line: { color: colour(TONES[title]), width: 2, dash }, marker: { size: 5 },
      x: points.map(([time]) => new Date(time * 1000)), y: points.map(([, value]) => value), hovertemplate: "%{y:.1f} ms",
    };
  });
}

function layout() {
  return {
    margin: { l: 44, r: 8, t: 6, b: 46 }, paper_bgcolor: "transparent", plot_bgcolor: "transparent", hovermode: "x unified",
    font: { color: colour("text"), size: 11 }, legend: { orientation: "h", y: -0.22, x: 0 }, dragmode: false,
    hoverlabel: { bgcolor: colour("raised"), bordercolor: colour("line"), font: { color: colour("text") } },
    xaxis: { gridcolor: colour("line"), tickformat: "%H:%M", nticks: 6 },
    yaxis: { gridcolor: colour("line"), rangemode: "tozero", ticksuffix: " ms", automargin: true, nticks: 5 },
  };
}
