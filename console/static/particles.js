// The animation: circles for answers without an error, squares for failures, hollow circles for bytes.
// How many says the rate, how fast the latency.

const SVG = "http://www.w3.org/2000/svg";
const SAMPLES = 60;
const MOST = 14;

function count(edge) {
  const weight = edge.protocol === "tcp" ? edge.bytes / 1000 : edge.rate;
  return Math.max(1, Math.min(MOST, Math.round(2 + 4 * Math.log10(1 + weight))));
}

/** Seconds from end to end: 1.6 for an instant answer, up to 9 for a slow one. */
function seconds(edge) {
  const latency = edge.protocol === "tcp" ? 5 : edge.latency ?? 5;
  return Math.min(9, 1.6 + 1.7 * Math.log10(1 + latency / 4));
}

class Stream {
  constructor(group) {
    this.group = group;
    this.particles = [];
    this.paused = false;
    this.failed = 0;
  }

  follow(edge, path) {
    this.edge = edge;
    if (this.d !== edge.path) {
      this.d = edge.path;
      const length = path.getTotalLength();
      this.points = Array.from({ length: SAMPLES + 1 }, (_, i) => path.getPointAtLength((length * i) / SAMPLES));
    }
    const wanted = edge.health === "idle" ? 0 : count(edge);
    while (this.particles.length > wanted) this.particles.pop().element.remove();
    const missing = wanted - this.particles.length;
    if (missing) {
      while (this.particles.length < wanted) this.particles.push({ at: 0, element: null, bad: null });
      // Evenly along the arc, from wherever the first one is.
      this.particles.forEach((particle, i) => { particle.at = (this.particles[0].at + i / wanted) % 1; });
    }
    for (const particle of this.particles) this.dress(particle);
  }

  /** Gives a particle its shape; failures come as often as the share of errors says. */
  dress(particle, anew = false) {
    const tcp = this.edge.protocol === "tcp";
    if (particle.element && !anew && particle.tcp === tcp && (particle.bad ? this.edge.errorShare > 0 : true)) return;
    this.failed += tcp ? 0 : this.edge.errorShare / 100;
    const bad = this.failed >= 1 - 1e-9;
    if (bad) this.failed -= 1;
    if (particle.element && particle.bad === bad && particle.tcp === tcp) return;
    particle.element?.remove();
    particle.bad = bad;
    particle.tcp = tcp;
    const element = document.createElementNS(SVG, bad ? "rect" : "circle");
    if (bad) {
      for (const [key, value] of Object.entries({ x: -4.5, y: -4.5, width: 9, height: 9 })) element.setAttribute(key, value);
    } else element.setAttribute("r", tcp ? 3.2 : 3.6);
    element.setAttribute("class", `particle ${bad ? "bad" : tcp ? "bytes" : "good"}`);
    particle.element = element;
    this.group.append(element);
  }

  move(elapsed) {
    if (this.paused || !this.edge) return;
    const step = elapsed / seconds(this.edge);
    for (const particle of this.particles) {
      particle.at += step;
      if (particle.at >= 1) {
        particle.at %= 1;
        this.dress(particle, true);
      }
      const place = particle.at * SAMPLES;
      const i = Math.min(SAMPLES - 1, Math.floor(place));
      const [a, b] = [this.points[i], this.points[i + 1]];
      const x = a.x + (b.x - a.x) * (place - i);
      const y = a.y + (b.y - a.y) * (place - i);
      particle.element.setAttribute("transform", `translate(${x.toFixed(2)} ${y.toFixed(2)})`);
    }
  }

  clear() {
    for (const particle of this.particles) particle.element?.remove();
    this.particles = [];
  }
}

export class Animation {
  constructor() {
    this.streams = new Map();
    this.enabled = false;
    this.last = 0;
    this.frame = null;
  }

  /** Follows the arcs that are drawn: [edge, path element, group of its particles] each. */
  follow(drawn, enabled) {
    this.enabled = enabled;
    const ids = new Set(drawn.map(([edge]) => edge.id));
    for (const [id, stream] of this.streams) {
      if (!enabled || !ids.has(id)) { stream.clear(); this.streams.delete(id); }
    }
    if (!enabled) return;
    for (const [edge, path, group] of drawn) {
      if (!this.streams.has(edge.id)) this.streams.set(edge.id, new Stream(group));
      this.streams.get(edge.id).follow(edge, path);
    }
    this.frame ??= requestAnimationFrame((time) => this.draw(time));
  }

  pause(id, paused) {
    const stream = this.streams.get(id);
    if (stream) stream.paused = paused;
  }

  draw(time) {
    this.frame = null;
    if (!this.enabled || !this.streams.size) return;
    // After a pause of the page nothing jumps.
    const elapsed = Math.min(0.1, (time - this.last) / 1000);
    this.last = time;
    for (const stream of this.streams.values()) stream.move(elapsed);
    this.frame = requestAnimationFrame((next) => this.draw(next));
  }
}
