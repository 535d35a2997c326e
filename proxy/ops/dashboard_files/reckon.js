// What do the answers of /stats say one after the other? Rates, shares and quantiles; nothing here touches the page.

const KEPT = 300;
const MINUTE = 60;
const SERVED = new Set(["hit", "hit-stale"]);
/** Neither a stored response answered, nor the application. */
const NEITHER = new Set(["refused", "purge"]);

/** Of one answer, what rates are made of: sums since the start. */
function reading(stats) {
  const took = { hit: [], miss: [] };
  for (const [word, { counts }] of Object.entries(stats.duration_seconds.cache)) {
    const sums = SERVED.has(word) ? took.hit : NEITHER.has(word) ? null : took.miss;
    counts.forEach((count, i) => { if (sums) sums[i] = (sums[i] ?? 0) + count; });
  }
  const origins = Object.values(stats.upstreams);
  return {
    time: stats.time,
    total: stats.requests.total,
    hits: stats.requests.hits,
    errors: stats.requests.codes["5xx"] ?? 0,
    saved: stats.bytes.cache,
    sent: stats.bytes.cache + stats.bytes.origin,
    asked: origins.reduce((sum, origin) => sum + origin.requests, 0),
    hit: took.hit,
    miss: took.miss,
  };
}

function difference(one, other) {
  const minus = (a, b) => Array.isArray(a) ? a.map((count, i) => count - (b[i] ?? 0)) : a - (b ?? 0);
  return Object.fromEntries(Object.keys(one).map((name) => [name, minus(one[name], other?.[name] ?? 0)]));
}

export class History {
  #held = [];

  add(stats) {
    const now = reading(stats);
    const last = this.#held.at(-1);
    // Sums fall when the proxy has been started again: what was before says nothing about rates.
    if (last && (now.total < last.total || now.time <= last.time)) this.#held = [];
    this.#held.push(now);
    this.#held = this.#held.filter((one) => one.time >= now.time - KEPT - 5);
  }

  get all() { return difference(this.#held.at(-1), null); }

  /** The last minute, or as much of it as is known; null before there are two answers. */
  get lately() {
    const now = this.#held.at(-1);
    const since = this.#held.find((one) => one.time >= now.time - MINUTE - 1);
    return since === now ? null : difference(now, since);
  }

  /** One point for each two answers: how long ago it was, and what `value` makes of what happened between them. */
  curve(value) {
    const now = this.#held.at(-1).time;
    return this.#held.slice(1).map((one, i) => ({
      ago: now - one.time,
      value: value(difference(one, this.#held[i])),
    })).filter((point) => point.value !== null);
  }
}

/** The quantile of counts by upper ends, in seconds; null where there are none, Infinity beyond the last end. */
export function quantile(counts, ends, share) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (!total) return null;
  let left = total * share;
  for (let i = 0; i < counts.length; i++) {
    if (counts[i] && left <= counts[i]) {
      const from = i ? Number(ends[i - 1]) : 0;
      return ends[i] === "+Inf" ? Infinity : from + (Number(ends[i]) - from) * left / counts[i];
    }
    left -= counts[i];
  }
  return Infinity;
}

export const ratio = (part, whole) => whole > 0 ? part / whole : null;

// Numbers as people read them.

export function count(n) {
  if (n === null) return "–";
  if (n >= 1e9) return `${(n / 1e9).toFixed(1)} G`;
  if (n >= 1e6) return `${(n / 1e6).toFixed(1)} M`;
  if (n >= 1e4) return `${(n / 1e3).toFixed(1)} k`;
  if (n >= 100 || Number.isInteger(n)) return Math.round(n).toLocaleString("en");
  return n.toFixed(n >= 10 ? 1 : 2);
}

export function bytes(n) {
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (n < 1024) return `${n >= 100 || unit === "B" ? Math.round(n) : n.toFixed(1)} ${unit}`;
    n /= 1024;
  }
  return `${n.toFixed(1)} TiB`;
}

export function seconds(s) {
  if (s === null) return "–";
  if (s === Infinity) return "over 30 s";
  if (s < 0.001) return `${Math.max(1, Math.round(s * 1e6))} µs`;
  if (s < 1) return `${s < 0.01 ? (s * 1e3).toFixed(1) : Math.round(s * 1e3)} ms`;
  return `${s < 10 ? s.toFixed(1) : Math.round(s)} s`;
}

export function lasting(s) {
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (s >= 2 * size) return `${(s / size).toFixed(s / size < 10 ? 1 : 0).replace(/\.0$/, "")} ${unit}`;
  }
  return `${Math.max(0, Math.round(s))} s`;
}

export const percent = (share) => share === null ? "–" : `${(share * 100).toFixed(share >= 0.9995 ? 0 : 1)} %`;
