// What does the dashboard do, from the first look to the last? It asks /stats every two seconds while it can be seen.

import { Refused, get, keeper, wantsToken } from "./ask.js";
import { fill, make, say } from "./draw.js";
import { prepareExplain } from "./explain.js";
import { showParts, showRoutes, showWords, troubles } from "./parts.js";
import { preparePurge } from "./purge.js";
import { History, count, lasting, seconds } from "./reckon.js";
import { prepareTiles } from "./tiles.js";
import { Urls } from "./urls.js";

const EVERY = 2000;
const $ = (id) => document.getElementById(id);
const history = new History();
let reasons = null;
let timer = 0;
let paused = false;
let asking = false;
let wrong = "";

/** Tell those who listen; only changes of state come here, never numbers. */
function announce(text) { say($("news"), text); }

function state(text, lamp) {
  if ($("state").textContent === text) return;
  say($("state"), text);
  $("lamp").className = lamp;
  announce(text);
}

/** Show the numbers, or the question for the token. */
function at(numbers) {
  for (const id of ["numbers", "ways", "pause"]) $(id).hidden = !numbers;
  $("login").hidden = numbers;
}

function askForToken(text) {
  keeper.forget();
  clearTimeout(timer);
  at(false);
  say($("refused"), text);
  state("Waiting for the token", "");
  $("token").focus();
}

const refused = () => askForToken("That is not the token of this proxy.");
const explain = prepareExplain({ announce, refused });
const purge = preparePurge({ announce, refused });
const tiles = prepareTiles($("tiles"));
const acts = { explain, purge };
const costliest = new Urls($("costliest"), {
  ...acts, title: "What costs the application most", column: "Time it took", weight: (one) => seconds(one.weight),
});
const busiest = new Urls($("busiest"), {
  ...acts, title: "What is asked for most", column: "Requests", weight: (one) => count(Math.round(one.weight)),
});

async function look() {
  if (asking || paused || document.hidden || wantsToken()) return;
  asking = true;
  clearTimeout(timer);
  try {
    const stats = await get("stats");
    reasons ??= await get("reasons");
    show(stats);
    state("Live", "good");
  } catch (error) {
    if (error instanceof Refused) { refused(); return; }
    state("No answer from the proxy; trying again", "bad");
    console.debug(error);
  } finally {
    asking = false;
  }
  timer = setTimeout(look, EVERY);
}

function show(stats) {
  history.add(stats);
  at(true);
  const workers = stats.workers === 1 ? "1 worker" : `${stats.workers} workers`;
  say($("about"), `version ${stats.version}, ${workers}, started ${lasting(stats.time - stats.started)} ago`);
  const found = troubles(stats);
  if (found.join() !== wrong) {
    fill($("troubles"), ...found.map((text) => make("li", { class: "trouble" }, text)));
    announce(found.join(" ") || "What was wrong is over.");
    wrong = found.join();
  }
  tiles(history, stats);
  costliest.show(stats.costliest, reasons);
  busiest.show(stats.busiest, reasons);
  showWords($("words"), stats, reasons);
  showParts($("cards"), stats);
  showRoutes($("routes"), stats.requests.routes);
}

$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", paused);
  if (paused) { clearTimeout(timer); state("Paused", ""); } else look();
});
$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  keeper.keep($("token").value);
  $("token").value = "";
  say($("refused"), "");
  look();
});
document.addEventListener("visibilitychange", () => { if (document.hidden) clearTimeout(timer); else look(); });

if (wantsToken()) askForToken("");
else look();
