// How does something get into the page? As text, never as HTML: most of it was sent by clients.

const SVG = "http://www.w3.org/2000/svg";
const WIDE = 300;
const HIGH = 40;

/** Make an element; children that are no elements become text. */
export function make(name, given = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (key === "click") element.addEventListener("click", value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Text in which `settings` stand out. */
export function marked(text) {
  return text.split("`").map((piece, i) => i % 2 ? make("code", {}, piece) : piece);
}

export function badge(word, kind = "") {
  return make("span", { class: `badge ${kind}` }, word);
}

/** Good, bad, or something in between, by what the cache did. */
export function kind(word, detail, code) {
  if (word === "hit") return "good";
  if (detail?.startsWith("upstream-") || detail?.startsWith("storage-") || code >= 500) return "bad";
  return word === "hit-stale" ? "good" : "";
}

export function fill(element, ...children) {
  element.replaceChildren(...children.filter((child) => child !== null));
}

/** A table; `columns` are names, those that begin with # of numbers. A cell is a list of what is in it. */
export function table(caption, columns, rows) {
  const named = columns.map((name) => ({ name: name.replace("#", ""), class: name.startsWith("#") ? "number" : null }));
  const head = named.map((one) => make("th", { scope: "col", role: "columnheader", class: one.class }, one.name));
  return make("table", { role: "table", "aria-label": caption },
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...head)),
    make("tbody", { role: "rowgroup" }, ...rows.map((cells) => row(named, cells))));
}

function row(named, cells) {
  return make("tr", { role: "row" }, ...cells.map((cell, i) => make(
    i ? "td" : "th",
    { role: i ? "cell" : "rowheader", scope: i ? null : "row", class: named[i].class, "data-label": i ? named[i].name : null },
    ...[cell].flat().map((one) => one instanceof Node ? one : String(one)))));
}

function shape(name, given) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(given)) element.setAttribute(key, value);
  return element;
}

/** A curve of what is known, one minute at least; its numbers stand beside it as text. */
export function curve() {
  const svg = shape("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const area = shape("polygon", { class: "area" });
  const line = shape("polyline", { class: "curve" });
  svg.append(area, shape("line", { class: "floor", x1: 0, x2: WIDE, y1: HIGH, y2: HIGH }), line);
  return {
    svg,
    show(points, top) {
      const most = top ?? Math.max(1e-9, ...points.map((point) => point.value)) * 1.1;
      const since = Math.max(60, ...points.map((point) => point.ago));
      const places = points.map(({ ago, value }) =>
        [WIDE - ago * WIDE / since, HIGH - 1 - Math.min(1, value / most) * (HIGH - 3)].map((n) => n.toFixed(1)));
      const text = places.map((place) => place.join(",")).join(" ");
      line.setAttribute("points", text);
      area.setAttribute("points", places.length > 1 ? `${places[0][0]},${HIGH} ${text} ${places.at(-1)[0]},${HIGH}` : "");
    },
  };
}

/** A bar that says how much of the whole this is; the number stands beside it as text. */
export function bar(share) {
  const svg = shape("svg", { class: "bar", viewBox: "0 0 100 1", preserveAspectRatio: "none", "aria-hidden": "true" });
  svg.append(shape("rect", { width: Math.max(0.5, share * 100).toFixed(1), height: 1 }));
  return svg;
}
