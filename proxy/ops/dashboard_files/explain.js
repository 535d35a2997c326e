// What becomes of a request, and why? The form, and what /explain answers.

import { Refused, Told, get } from "./ask.js";
import { badge, fill, kind, make, marked, table } from "./draw.js";
import { bytes, lasting } from "./reckon.js";

const $ = (id) => document.getElementById(id);
const PLAIN = new Set(["hit", "uri-miss", "vary-miss"]);
const APART = "Each worker has a memory of its own; a cache outside the process (`CACHES.<alias>.BACKEND`) is one for all.";

export function prepareExplain({ announce, refused }) {
  async function run() {
    const fields = $("explain-fields").value.split("\n").map((line) => line.trim()).filter(Boolean);
    const query = [["url", $("explain-url").value], ["method", $("explain-method").value], ...fields.map((line) => ["header", line])];
    try {
      show((await get("explain", query)).workers, announce);
    } catch (error) {
      if (error instanceof Refused) { refused(); return; }
      const why = error instanceof Told ? error.message : "no answer";
      fill($("explained"), make("p", { class: "trouble" }, why));
      announce(`Not explained: ${why}`);
    }
  }
  $("explain-form").addEventListener("submit", (event) => { event.preventDefault(); run(); });
  return (url) => {
    $("explain-url").value = url;
    $("explain-method").value = "GET";
    $("explain-fields").value = "";
    $("explain").scrollIntoView();
    $("explain-title").focus({ preventScroll: true });
    return run();
  };
}

function show(workers, announce) {
  const answers = workers.filter((one) => !one.error);
  const several = workers.length > 1;
  const silent = workers.filter((one) => one.error).map((one) => make("p", { class: "trouble" }, `Worker ${one.worker}: ${one.error}`));
  if (!answers.length) {
    fill($("explained"), make("div", { class: "box" }, ...silent));
    announce("No worker answered");
    return;
  }
  const [first] = answers;
  const words = new Set(answers.map((one) => `${one.now.cache} ${one.now.detail}`));
  const verdicts = words.size > 1 ? answers : [first];
  const remedies = telling(answers.map((one) => one.remedy));
  fill($("explained"), make("div", { class: "box" },
    ...silent,
    ...verdicts.map((one) => verdict(one, words.size > 1)),
    make("p", { class: "small" }, place(first)),
    asked(first),
    words.size > 1 ? make("p", { class: "note" }, ...marked(APART)) : null,
    ...remedies.map(remedy),
    make("h3", {}, "The key"), key(first.key),
    make("h3", {}, "Stored for this URL"), stored(answers, several),
    make("h3", {}, "The last time it was fetched"), ...answers.map((one) => last(one, several))));
  announce(`${said(first.now)} ${remedies[0].says.replaceAll("`", "")}`);
}

function verdict(answer, several) {
  const { cache, detail, cache_status } = answer.now;
  return make("p", { class: "verdict" }, several ? `Worker ${answer.worker}: ` : "", `${said(answer.now)} `,
    badge(cache_status, kind(cache, detail, 200)));
}

function said(now) {
  if (now.cache === "hit") return "A stored response answers.";
  if (now.cache === "hit-stale") return "A stale stored response answers.";
  return now.cache === "refused" ? "It is refused." : "The application is asked.";
}

function asked({ assumed, as_given }) {
  const likely = (assumed ?? []).filter((line) => line.startsWith("Accept-"));
  const other = as_given ? `. A program that sends no such fields: ${as_given.cache_status}` : "";
  return likely.length ? make("p", { class: "small" }, `As a browser asks: ${likely.join("; ")}${other}`) : null;
}

function place(answer) {
  if (!answer.allowed) return "A host that is none of ours";
  const site = answer.site === "-" ? "" : `Site ${answer.site}, `;
  const route = answer.route === "-" ? "no route of its own" : `route ${answer.route}`;
  return `${site}${route}${answer.bypass ? ", which bypasses the cache" : ""}`;
}

function remedy({ reason, says, do: what }) {
  return make("div", { class: "said" }, make("dl", {},
    make("dt", {}, "Why"), make("dd", {}, ...marked(says), reason ? make("span", { class: "small" }, ` (${reason})`) : ""),
    make("dt", {}, "Do"), make("dd", {}, ...marked(what))));
}

function key(parts) {
  return table("The key, part by part", ["Part", "In the key", "Does not count", "Why"],
    parts.map((part) => [part.name, part.kept, part.ignored.join(", "), marked(part.why)]));
}

function stored(answers, several) {
  const all = answers.flatMap((answer) => answer.stored.map((one) => ({ ...one, worker: answer.worker })));
  if (!all.length) return make("p", {}, "Nothing.");
  return table("Stored responses", [...(several ? ["#Worker"] : []), "State", "#Age", "#Lifetime", "Lifetime from", "#Size", "Differs by", "Tags"],
    all.map((one) => [
      ...(several ? [one.worker] : []),
      `${one.status} ${state(one)}${one.selected ? ", the one for this request" : ""}`,
      lasting(one.age), lasting(one.lifetime), marked(one.lifetime_from),
      bytes(one.size) + (one.part ? " (a part)" : ""), one.vary.join(", ") || "nothing", one.tags.join(", ")]));
}

function state(one) {
  if (one.validated_on_each_use) return "validated on each use";
  return one.fresh ? "fresh" : "stale";
}

function last(answer, several) {
  const who = several ? `Worker ${answer.worker}: ` : "";
  const was = answer.last;
  if (!was) return make("p", {}, `${who}None that is remembered.`);
  const status = was.status === null ? "no answer" : `status ${was.status}`;
  const reason = was.unkept ?? was.detail;
  const kept = was.stored ? "stored" : `not stored${reason ? ` (${reason})` : ""}`;
  const behind = was.background ? ", in the background" : "";
  return make("p", {}, `${who}${lasting(was.seconds_ago)} ago${behind}: ${status}, ${kept}. `, ...marked(was.says));
}

/** The remedies that differ, and of these the ones that say more than that nothing is stored here. */
function telling(remedies) {
  const different = [...new Map(remedies.map((one) => [JSON.stringify(one), one])).values()];
  const more = different.filter((one) => !PLAIN.has(one.reason));
  return more.length ? more : different.slice(0, 1);
}
