// Draws the graph as SVG: each node, arc and box is an element that keyboard and screen reader reach.

const SVG = "http://www.w3.org/2000/svg";
const RADIUS = 22;
const MARKS = { degraded: "!", failure: "×" };

export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const polygon = (corners, radius, turn, dy = 0) =>
  Array.from({ length: corners }, (_, i) => {
    const angle = (Math.PI * 2 * i) / corners + turn;
    return `${(Math.cos(angle) * radius).toFixed(2)},${(Math.sin(angle) * radius + dy).toFixed(2)}`;
  }).join(" ");

/** The shape of a kind of node, around (0, 0). */
export function shape(kind, className = "shape", grow = 0) {
  const radius = RADIUS + grow;
  const up = -Math.PI / 2;
  switch (kind) {
    case "service": return svg("polygon", { class: className, points: polygon(3, radius * 1.12, up, 4) });
    case "external": return svg("polygon", { class: className, points: polygon(5, radius, up, 1) });
    case "operation": return svg("polygon", { class: className, points: polygon(6, radius, 0) });
    case "unknown": return svg("circle", { class: className, r: radius * 0.86 });
    default: {
      const half = radius * 0.84;
      return svg("rect", { class: className, x: -half, y: -half, width: 2 * half, height: 2 * half, rx: 3 });
    }
  }
}

function clip(text, length = 24) { return text.length > length ? `${text.slice(0, length - 1)}…` : text; }

/** Fills the group of a node. */
export function drawNode(group, node) {
  group.replaceChildren(shape(node.kind, "halo", 8), shape(node.kind));
  group.setAttribute("transform", `translate(${node.x} ${node.y})`);
  group.setAttribute("data-health", node.health);
  group.setAttribute("data-kind", node.kind);
  group.setAttribute("aria-label", node.text);
  group.classList.toggle("boxed", Boolean(node.box));
  group.classList.toggle("found", node.found);
  if (node.kind === "unknown") group.append(text("?", 0, 5, "glyph"));
  group.append(text(clip(node.label), 0, RADIUS + 20, "label"));
  if (node.sublabel) group.append(text(node.sublabel, 0, RADIUS + 35, "sub"));
  if (MARKS[node.health]) {
    group.append(svg("g", { class: "mark", transform: `translate(${RADIUS - 4} ${-RADIUS + 4})` },
      svg("circle", { r: 8.5 }), text(MARKS[node.health], 0, 4)));
  }
  if (node.badge) {
    const badge = svg("g", { class: "badge", transform: `translate(${-RADIUS + 1} ${-RADIUS + 8})` },
      svg("rect", { x: -11, y: -8, width: 22, height: 15, rx: 7 }), text("VS", 0, 3.5));
    badge.append(svg("title", {}, `VirtualService ${node.badge}`));
    group.append(badge);
  }
}

export function text(content, x, y, className = "") {
  return svg("text", { x, y, class: className }, content);
}

/** Fills the group of an arc; its particles' group stays. Returns the path. */
export function drawEdge(group, edge, inner) {
  let parts = group.parts;
  if (!parts) {
    parts = group.parts = {
      halo: svg("path", { class: "halo" }), line: svg("path", { class: "line" }), hit: svg("path", { class: "hit" }),
      particles: svg("g", { class: "particles" }), texts: svg("g", { class: "texts" }),
    };
    group.append(parts.halo, parts.line, parts.hit, parts.particles, parts.texts);
  }
  for (const path of [parts.halo, parts.line, parts.hit]) path.setAttribute("d", edge.path);
  parts.line.setAttribute("marker-end", `url(#arrow-${edge.health})`);
  group.setAttribute("data-health", edge.health);
  group.setAttribute("aria-label", edge.text);
  group.classList.toggle("inner", inner);
  group.classList.toggle("found", edge.found);
  const rows = [];
  const failing = edge.errorShare > 0;
  if (edge.label) rows.push(text(edge.label, edge.x, edge.y + (failing ? -8 : -6)));
  if (failing) rows.push(text(`${MARKS[edge.health] ?? ""} ${shareText(edge.errorShare)}`.trim(), edge.x, edge.y + 16, "share"));
  parts.texts.replaceChildren(...rows);
  return parts.line;
}

function shareText(share) { return `${share >= 10 ? share.toFixed(0) : share.toFixed(1)} %`; }

export function drawBox(group, box) {
  group.replaceChildren(
    svg("rect", { x: box.x, y: box.y, width: box.width, height: box.height, rx: 8 }),
    text(box.name, box.x + 12, box.y + 19),
  );
}

export function arrows() {
  const definitions = svg("defs");
  for (const health of ["healthy", "degraded", "failure", "idle"]) {
    definitions.append(svg("marker", {
      id: `arrow-${health}`, viewBox: "0 0 10 10", refX: 8, refY: 5, markerWidth: 9, markerHeight: 9,
      markerUnits: "userSpaceOnUse", orient: "auto-start-reverse",
    }, svg("path", { d: "M0 0L10 5L0 10z", style: `fill: var(--${health})` })));
  }
  return definitions;
}

/** Moves and scales what is drawn: by wheel, by drag, by keys. */
export class Camera {
  constructor(element, world) {
    this.element = element;
    this.world = world;
    this.x = 0; this.y = 0; this.k = 1;
    this.touched = false;
    this.setUp();
  }

  apply() {
    this.world.setAttribute("transform", `translate(${this.x} ${this.y}) scale(${this.k})`);
    // Where all is small, letters shrink less, so that they can be read.
    this.world.style.setProperty("--letters", Math.max(1, Math.min(1.35, 0.88 / this.k)).toFixed(3));
  }

  fit(width, height) {
    const { clientWidth, clientHeight } = this.element;
    if (!width || !clientWidth) return;
    this.size = [width, height];
    this.k = Math.min(1.5, (clientWidth - 72) / width, (clientHeight - 40) / height);
    this.x = (clientWidth - width * this.k) / 2;
    this.y = (clientHeight - height * this.k) / 2;
    this.touched = false;
    this.apply();
  }

  zoom(factor, x = this.element.clientWidth / 2, y = this.element.clientHeight / 2) {
    const k = Math.max(0.15, Math.min(4, this.k * factor));
    this.x = x - ((x - this.x) * k) / this.k;
    this.y = y - ((y - this.y) * k) / this.k;
    this.k = k;
    this.touched = true;
    this.apply();
  }

  pan(dx, dy) { this.x += dx; this.y += dy; this.touched = true; this.apply(); }

  setUp() {
    const { element } = this;
    element.addEventListener("wheel", (event) => {
      event.preventDefault();
      const place = element.getBoundingClientRect();
      this.zoom(Math.exp(-event.deltaY * 0.0015), event.clientX - place.left, event.clientY - place.top);
    }, { passive: false });
    let from = null;
    element.addEventListener("pointerdown", (event) => { if (event.button === 0) from = [event.clientX, event.clientY]; });
    element.addEventListener("pointermove", (event) => {
      if (!from || !(event.buttons & 1)) { from = null; return; }
      const [dx, dy] = [event.clientX - from[0], event.clientY - from[1]];
      if (!this.dragging && Math.hypot(dx, dy) < 4) return;
      if (!this.dragging) { this.dragging = true; element.classList.add("dragging"); element.setPointerCapture(event.pointerId); }
      this.pan(dx, dy);
      from = [event.clientX, event.clientY];
    });
    const end = () => {
      from = null;
      element.classList.remove("dragging");
      // The click that ends a drag selects nothing.
      setTimeout(() => { this.dragging = false; });
    };
    element.addEventListener("pointerup", end);
    element.addEventListener("pointercancel", end);
  }
}
