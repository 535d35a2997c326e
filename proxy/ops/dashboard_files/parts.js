// How are the caches, the applications and the routes, and why was the application asked?

import { badge, bar, fill, kind, make, say, table } from "./draw.js";
import { bytes, count, percent, ratio } from "./reckon.js";
import { meaning } from "./urls.js";

const sum = (counts) => Object.values(counts ?? {}).reduce((whole, one) => whole + one, 0);
const named = (counts) => Object.entries(counts ?? {}).filter(([, n]) => n).map(([name, n]) => `${count(n)} ${name}`).join(", ");

/** What is wrong now, in lines that say where to look. */
export function troubles(stats) {
  const found = [];
  for (const [address, origin] of Object.entries(stats.upstreams)) {
    if (origin.failing) found.push(`The application at ${address} fails: its last requests got no usable answer. What is stored is still served.`);
  }
  for (const [alias, cache] of Object.entries(stats.caches)) {
    const resting = Object.entries(cache.resting ?? {}).filter(([, workers]) => workers).map(([server]) => server);
    if (resting.length) found.push(`The cache ${alias} fails${resting[0] === "-" ? "" : ` (${resting.join(", ")})`} and is left alone for now. Pages come from the application.`);
  }
  if (stats.metrics.sitecache_last_reload_successful[0]?.value === 0) {
    found.push("The configuration was read again and has faults, so the one of before counts. The log says which.");
  }
  return found;
}

function card(title, state, facts) {
  const rows = facts.filter(([, value]) => value !== null).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
  return make("article", { class: "card" }, make("h3", {}, `${title} `, badge(...state)), make("dl", {}, ...rows));
}

export function showParts(place, stats) {
  fill(place, ...caches(stats.caches), ...upstreams(stats.upstreams));
}

function caches(found) {
  return Object.entries(found).map(([alias, cache]) => {
    const resting = sum(cache.resting) > 0;
    const made = card(`Cache ${alias}`, resting ? ["fails", "bad"] : ["works", "good"], [
      ["Stored", cache.entries === undefined ? "not known: others use it too" : of(cache.entries, cache.limit_entries, count)],
      ["Memory", cache.bytes === undefined ? null : of(cache.bytes, cache.limit_bytes, bytes)],
      ["Evicted to make room", count(sum(cache.evictions))],
      ["Failures", cache.errors ? named(cache.errors) || "none" : null],
      ["Damaged", cache.damaged ? count(cache.damaged) : null],
      ["Deletions owed", cache.owed_deletions ? count(cache.owed_deletions) : null],
    ]);
    if (cache.limit_bytes) {
      const full = make("progress", { max: cache.limit_bytes, value: cache.bytes, "aria-label": `How full the cache ${alias} is` });
      made.append(full);
    }
    return made;
  });
}

const of = (held, limit, form) => limit ? `${form(held)} of ${form(limit)}` : form(held);

function upstreams(found) {
  return Object.entries(found).map(([address, origin]) => card(
    `Application ${address}`, origin.failing ? ["fails", "bad"] : ["answers", "good"], [
      ["Asked", count(origin.requests)],
      ["Answers", named(origin.responses) || "none yet"],
      ["No usable answer", named(origin.errors) || "none"],
      ["Asked again", origin.retries ? count(origin.retries) : null],
      ["Connections", named(origin.connections) || "none open"],
    ]));
}

export function showRoutes(place, routes) {
  if (routes.length < 2) { fill(place); return; }
  const sorted = [...routes].sort((one, other) => other.total - one.total);
  fill(place, make("h3", {}, "Routes, since the start"), table("Routes", ["Route", "#Requests", "#Hit ratio"], sorted.map((one) => [
    [one.route === "-" ? "no route" : one.route, one.site === "-" ? "" : make("div", { class: "small" }, `site ${one.site}`)],
    count(one.total), percent(ratio(one.hits, one.total))])));
}

/** The words first, then the details: what happened, and why. */
export function showWords(place, stats, reasons) {
  const whole = stats.requests.total;
  const lists = [
    ["What the cache did", "Word", stats.requests.cache, reasons.cache],
    ["Why, where it was not a plain hit", "Detail", stats.details, reasons.detail],
  ].map(([title, column, counts, remedies]) => ({ title, column, remedies, found: most(counts) }));
  const all = lists.flatMap(({ found }) => found);
  // Rows stay as long as they are the same: whoever reads them is not to lose the place.
  if (place.dataset.shown !== all.map(([word]) => word).join()) {
    if (place.contains(document.activeElement)) return;
    place.dataset.shown = all.map(([word]) => word).join();
    fill(place, ...lists.flatMap(wordTable));
    if (!all.length) fill(place, make("p", { class: "box" }, "Nothing yet."));
  }
  [...place.querySelectorAll("tbody tr")].forEach(({ cells }, i) => {
    const [, n] = all[i];
    say(cells[1], count(n));
    fill(cells[2], percent(ratio(n, whole)), bar(ratio(n, whole)));
  });
}

const most = (counts) => Object.entries(counts).filter(([, n]) => n).sort((one, other) => other[1] - one[1]);

function wordTable({ title, column, remedies, found }) {
  if (!found.length) return [];
  const rows = found.map(([word]) => [badge(word, kind(word, word, 200)), "", "", meaning(remedies[word], word)]);
  return [make("h3", {}, title), table(title, [column, "#Requests", "#Share", "What it means, and what to do"], rows)];
}
