// What all pages share: the state in the URL, the theme, requests, refreshing, small helpers.

const root = document.documentElement.dataset.root || "";
export const defaultNamespace = document.documentElement.dataset.namespace;

/** State in the URL: values that differ from their defaults, so that a link holds all of a view. */
export class State {
  constructor(defaults) {
    this.defaults = defaults;
    this.values = { ...defaults };
    this.listeners = [];
    this.read();
    addEventListener("popstate", () => { this.read(); this.changed(); });
  }

  read() {
    const query = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(this.defaults)) this.values[name] = query.get(name) ?? value;
  }

  get(name) { return this.values[name]; }

  on(name) { return this.values[name] === "1"; }

  /** Takes new values; `push` makes a step that the browser's back button undoes. */
  set(changes, push = false) {
    Object.assign(this.values, changes);
    const query = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(this.values)) {
      if (value === this.defaults[name] || value === undefined) query.delete(name);
      else query.set(name, value);
    }
    const text = query.toString();
    history[push ? "pushState" : "replaceState"](null, "", text ? `?${text}` : location.pathname);
    this.changed();
  }

  changed() { for (const listener of this.listeners) listener(); }
}

/** Asks the console's own API; an Error's text is for the person who looks. */
export async function api(path, parameters = {}, signal = undefined) {
  let answer;
  try {
    answer = await fetch(`${root}/api/${path}?${new URLSearchParams(parameters)}`, { signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The console itself does not answer.");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const error = new Error(body.error || `The console answers with HTTP ${answer.status}.`);
    error.refused = answer.status === 400;
    throw error;
  }
  return body;
}

const RETRY_SECONDS = 5;

/** Calls `load` at once, at each interval and when asked; after a failure sooner, until it works again. */
export class Refresher {
  constructor(load) {
    this.load = load;
    this.timer = null;
    this.running = null;
    this.seconds = 0;
    document.addEventListener("visibilitychange", () => { if (!document.hidden && this.late) this.now(); });
  }

  every(seconds) { this.seconds = Number(seconds) || 0; this.plan(false); }

  plan(failed) {
    clearTimeout(this.timer);
    const seconds = failed ? Math.min(RETRY_SECONDS, this.seconds || RETRY_SECONDS) : this.seconds;
    if (seconds) {
      this.timer = setTimeout(() => { if (document.hidden) this.late = true; else this.now(); }, seconds * 1000);
    }
  }

  async now() {
    this.late = false;
    this.running?.abort();
    const own = new AbortController();
    this.running = own;
    const button = document.getElementById("cycle");
    button?.classList.add("busy");
    let failed = false;
    try {
      await this.load(own.signal);
      if (this.running === own) problem("");
    } catch (error) {
      if (error.name === "AbortError") return;
      failed = !error.refused;
      problem(failed ? `${error.message} Trying again every ${RETRY_SECONDS} s.` : error.message);
    } finally {
      if (this.running === own) { button?.classList.remove("busy"); this.plan(failed); }
    }
  }
}

/** Shows what is wrong, or hides the message. */
export function problem(text) {
  const element = document.getElementById("problem");
  if (element.textContent !== text) element.textContent = text;
  element.hidden = !text;
  document.getElementById("graph")?.classList.toggle("stale", Boolean(text));
}

export function say(text) {
  const live = document.getElementById("live");
  if (live.textContent !== text) live.textContent = text;
}

/** Makes an HTML element; `children` are elements or texts. */
export function html(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false && value !== null) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function number(value, digits = undefined) {
  if (value === null || value === undefined) return "–";
  if (digits !== undefined) return value.toFixed(digits);
  const size = Math.abs(value);
  if (size && size < 0.01) return value.toPrecision(2);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

export const percent = (value) => (value === null || value === undefined ? "–" : `${number(value)} %`);

export function milliseconds(value) {
  return value === null || value === undefined ? "–" : value >= 1000 ? `${number(value / 1000)} s` : `${number(value)} ms`;
}

export function bytes(value) {
  if (value >= 1e9) return `${number(value / 1e9)} GB`;
  if (value >= 1e6) return `${number(value / 1e6)} MB`;
  return value >= 1e3 ? `${number(value / 1e3)} KB` : `${number(value)} B`;
}

/** Ties selects, text fields and boxes to the state by their names. */
export function bind(state, fields, onChange) {
  const show = () => {
    for (const field of fields) {
      const value = state.get(field.name);
      if (field.type === "checkbox") field.checked = value === "1";
      else if (document.activeElement !== field || field.tagName === "SELECT") field.value = value;
    }
  };
  for (const field of fields) {
    const changed = () => {
      const value = field.type === "checkbox" ? (field.checked ? "1" : "0") : field.value;
      if (value !== state.get(field.name)) { state.set({ [field.name]: value }); onChange(field.name); }
    };
    if (field.type === "search") {
      let wait;
      field.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(changed, 350); });
    }
    field.addEventListener("change", changed);
  }
  state.listeners.push(show);
  show();
}

let plotly = null;
/** Loads plotly.js when the first plot is drawn. */
export function loadPlotly() {
  plotly ??= new Promise((resolve, reject) => {
    const script = html("script", { src: `${root}/plotly.js` });
    script.onload = () => resolve(globalThis.Plotly);
    script.onerror = () => { plotly = null; reject(new Error("plotly.js could not be loaded.")); };
    document.head.append(script);
  });
  return plotly;
}

const themeListeners = [];
export function onTheme(listener) { themeListeners.push(listener); }

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function setUpTheme() {
  const button = document.getElementById("theme");
  const show = () => button.setAttribute("aria-pressed", String(document.documentElement.dataset.theme === "dark"));
  const label = () => { button.textContent = document.documentElement.dataset.theme === "dark" ? "Light mode" : "Dark mode"; };
  button.addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try { localStorage.setItem("c756-theme", theme); } catch { /* storage may be closed */ }
    const query = new URLSearchParams(location.search);
    if (query.has("theme")) {
      query.set("theme", theme);
      history.replaceState(null, "", `?${query}`);
    }
    show(); label();
    for (const listener of themeListeners) listener();
  });
  show(); label();
}

/** R refreshes, wherever no text is being written. */
export function setUpKeys(keys) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const action = keys[event.key];
    if (action) { event.preventDefault(); action(); }
  });
}

setUpTheme();
