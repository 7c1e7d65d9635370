// The status page.

import { Refresher, State, api, bind, html, percent, say, setUpKeys } from "./common.js";

const state = new State({ refresh: "15" });
const place = document.getElementById("status");

const refresher = new Refresher(async (signal) => {
  const data = await api("status", {}, signal);
  draw(data);
});

function draw(data) {
  const parts = data.problems.map((text) => html("p", { class: "note", role: "status" }, text));
  if (data.pods?.length === 0) parts.push(html("p", { class: "note", role: "status" }, `Nothing runs in the namespace ${data.namespace}.`));
  if (data.deployments) {
    parts.push(section("Deployments and images", table(["Deployment", "Version", "Ready", "Image", "Content"], data.deployments.map((d) => [
      dot(d.name, d.healthy), d.version, d.ready, html("code", {}, d.image), html("code", {}, d.digest ? d.digest.replace("sha256:", "").slice(0, 12) : "–"),
    ])), true));
  }
  parts.push(section("Traffic weights", data.weights?.length
    ? table(["VirtualService", "Rule", "Service", "Version", "Wanted", "Seen (1 m)"], data.weights.map((w) => [
      w.virtualService, w.rule, w.service, w.version || "all", meter(w.wanted), meter(w.seen),
    ])) : html("p", { class: "quiet" }, data.pods ? "There are no VirtualServices." : "What VirtualServices want is not known here."), true));
  if (data.pods) {
    parts.push(section("Pods", table(["Pod", "State", "Ready", "Restarts", "Since"], data.pods.map((p) => [
      dot(p.name, p.healthy), p.state, p.ready, String(p.restarts), age(p.started),
    ])), true));
  }
  if (data.seen) {
    parts.push(section("Pods that Prometheus scrapes", table(["Pod", "App", "Version", "Up"], data.seen.map((p) => [
      dot(p.pod ?? "", p.up), p.app ?? "", p.version ?? "", p.up ? "yes" : "no"])), true));
  }
  if (data.events) {
    parts.push(section("Last events", data.events.length ? table(["When", "Object", "Reason", "Message", "Count"], data.events.map((e) => [
      age(e.time), e.object, e.type === "Warning" ? html("span", { class: "dot bad" }, e.reason) : e.reason, e.message, String(e.count),
    ])) : html("p", { class: "quiet" }, "None."), true));
  }
  const links = [...document.querySelectorAll(".sidebar a")].map((a) => html("li", {}, html("a", { href: a.href }, a.textContent.trim())));
  parts.push(section("Links", html("ul", {}, ...links), true));
  place.replaceChildren(...parts);
  const ill = data.pods?.filter((p) => !p.healthy).length ?? 0;
  say(data.pods ? `${data.pods.length} pods, ${ill} of them not ready.` : "Status without the Kubernetes API.");
}

function section(title, body, wide) { return html("section", { class: wide ? "wide" : "" }, html("h2", {}, title), body); }

function table(heads, rows) {
  return html("table", {}, html("thead", {}, html("tr", {}, ...heads.map((h) => html("th", { scope: "col" }, h)))),
    html("tbody", {}, ...rows.map((row) => html("tr", {}, ...row.map((cell) => html("td", {}, cell))))));
}

const dot = (text, healthy) => html("span", { class: healthy ? "dot" : "dot bad" }, text, html("span", { class: "hidden-text" }, healthy ? " (ready)" : " (not ready)"));

function meter(value) {
  if (value === null || value === undefined) return html("span", { class: "quiet" }, "no traffic");
  return html("span", {}, html("span", { class: "meter", "aria-hidden": "true" }, html("i", { style: `width: ${value}%` })), percent(value));
}

function age(time) {
  if (!time) return "–";
  const seconds = Math.max(0, (Date.now() - Date.parse(time)) / 1000);
  const text = seconds < 90 ? `${seconds.toFixed(0)} s` : seconds < 5400 ? `${(seconds / 60).toFixed(0)} min` : seconds < 172800 ? `${(seconds / 3600).toFixed(0)} h` : `${(seconds / 86400).toFixed(0)} d`;
  return html("time", { datetime: time, title: time }, text);
}

bind(state, [...document.querySelectorAll("#controls select")], () => refresher.every(state.get("refresh")));
document.getElementById("cycle").addEventListener("click", () => refresher.now());
setUpKeys({ r: () => refresher.now() });
refresher.seconds = Number(state.get("refresh"));
refresher.now();
