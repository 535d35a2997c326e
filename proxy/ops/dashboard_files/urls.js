// Which URLs weigh most, why are they not served from the cache, and what can be done about it?

import { badge, fill, kind, make, marked, say, table } from "./draw.js";

const FIRST = 6;
const CUT = 512;

/** One list; it stands still while somebody points at it or is in it, for a row that moves is a wrong one pressed. */
export class Urls {
  #all = false;
  #shown = "";
  #numbers = [];
  #place;
  #what;

  constructor(place, what) {
    this.#place = place;
    this.#what = what;
    this.more = make("button", { type: "button", click: () => { this.#all = !this.#all; this.#draw(true); } });
  }

  show(urls, reasons) {
    this.urls = urls;
    this.reasons = reasons;
    this.#draw(false);
  }

  #draw(now) {
    const busy = this.#place.matches(":hover") || this.#place.contains(document.activeElement);
    const some = this.#all ? this.urls : this.urls.slice(0, FIRST);
    const { title, column, weight } = this.#what;
    const rows = JSON.stringify([this.#all, this.urls.length, ...some.map(({ url, cache, detail, code }) => [url, cache, detail, code])]);
    if (rows === this.#shown) {
      some.forEach((one, i) => say(this.#numbers[i], weight(one)));
      return;
    }
    if (busy && !now && this.#shown) return;
    this.#shown = rows;
    if (!some.length) {
      fill(this.#place, make("p", { class: "box" }, "Nothing yet. Open a page of your site through the proxy."));
      return;
    }
    const cells = some.map((one) => [where(one), weight(one), last(one), why(one, this.reasons), this.#does(one)]);
    const made = table(title, ["URL", `#${column}`, "What the cache did last", "Why, and what to do", "Actions"], cells);
    made.classList.add("heavy", this.#what.purge ? "two" : "one");
    const lines = [...made.tBodies[0].rows];
    this.#numbers = lines.map((line) => line.cells[1]);
    for (const line of lines) {
      line.cells[3].classList.add("told");
      line.cells[4].classList.add("does");
    }
    say(this.more, this.#all ? `Show the first ${FIRST}` : `Show all ${this.urls.length}`);
    this.more.setAttribute("aria-expanded", this.#all);
    fill(this.#place, made, this.urls.length > FIRST ? make("p", { class: "more" }, this.more) : null);
    if (now) this.more.focus();
  }

  #does(one) {
    const cut = target(one.url).length >= CUT;
    const button = (name, act) => make("button", {
      type: "button", disabled: cut, title: cut ? "Its URL is too long to be kept whole" : null,
      "aria-label": `${name} ${shown(one.url)}`, click: () => act(shown(one.url)),
    }, name);
    return [button("Explain", this.#what.explain), ...(this.#what.purge ? [button("Purge", this.#what.purge)] : [])];
  }
}

const target = (url) => url.replace(/^\w+:\/\/[^/]*/, "");

/** A URL as it can be copied: bytes that are no plain characters are escaped, as browsers do. */
export function shown(url) {
  return url.replace(/[^\x21-\x7e]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
}

function where(one) {
  const path = target(one.url);
  const names = [one.site === "-" ? "" : `site ${one.site}`, one.route === "-" ? "" : `route ${one.route}`];
  return [
    make("span", { class: "url" }, shown(path)),
    make("div", { class: "small" }, [shown(one.url.slice(0, one.url.length - path.length)), ...names].filter(Boolean).join(", ")),
  ];
}

function last(one) {
  const beside = `${one.detail ? `${one.cache}, ` : ""}status ${one.code}`;
  return [badge(one.detail || one.cache, kind(one.cache, one.detail, one.code)), make("div", { class: "small" }, beside)];
}

function why(one, reasons) {
  if (one.cache === "hit") return [make("span", { class: "small" }, "Served from the cache.")];
  return meaning(reasons.detail[one.detail] ?? reasons.cache[one.cache], one.url);
}

const turned = new Map();

/** What a reason means, and what to do; `key` is what it is remembered by whether somebody has opened or closed it. */
export function meaning(remedy, key) {
  if (!remedy) return [""];
  const open = turned.get(key) ?? matchMedia("(min-width: 50rem)").matches;
  const made = make("details", { open }, make("summary", {}, ...marked(remedy.says)), make("p", { class: "small" }, ...marked(remedy.do)));
  // It fires for what opens as it is made, too; only a difference is somebody's wish.
  made.addEventListener("toggle", () => { if (made.open !== open) turned.set(key, made.open); else turned.delete(key); });
  return [made];
}
