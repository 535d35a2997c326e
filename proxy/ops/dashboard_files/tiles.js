// Which numbers stand at the top, and what are they made of?

import { curve, make, say } from "./draw.js";
import { bytes, count, percent, quantile, ratio, seconds } from "./reckon.js";

const rate = (part) => (span) => span[part] / span.time;

/** Each: its title, the large number, the small line, and what its curve shows. */
const TILES = [
  {
    title: "Hit ratio",
    large: ({ all, lately }) => percent(ratio(lately.hits, lately.total) ?? ratio(all.hits, all.total)),
    small: ({ all, lately }) => lately.total ? `${percent(ratio(all.hits, all.total))} since the start` : quiet("requests"),
    point: (span) => ratio(span.hits, span.total),
    top: 1,
  },
  {
    title: "Requests",
    large: ({ lately }) => `${count(rate("total")(lately))} /s`,
    small: ({ all, lately }) => `${count(all.total)} since the start${errors(lately.errors)}`,
    point: rate("total"),
  },
  {
    title: "Asked of the application",
    large: ({ lately }) => `${count(rate("asked")(lately))} /s`,
    small: ({ all, inflight }) => `${count(all.asked)} since the start; ${count(inflight)} under way`,
    point: rate("asked"),
  },
  {
    title: "Bytes saved",
    large: ({ all }) => bytes(all.saved),
    small: ({ all, lately }) => `${percent(ratio(all.saved, all.sent))} of what clients got; ${bytes(rate("saved")(lately))}/s now`,
    point: rate("saved"),
  },
  time("A hit takes", "hit", "hits"),
  time("A miss takes", "miss", "misses"),
];

function time(title, part, name) {
  const of = ({ all, lately, ends }, share) => quantile(lately[part], ends, share) ?? quantile(all[part], ends, share);
  return {
    title,
    large: (seen) => seconds(of(seen, 0.5)),
    small: (seen) => quantile(seen.lately[part], seen.ends, 0.5) === null
      ? quiet(name)
      : `median; 95 % within ${seconds(of(seen, 0.95))}`,
    point: (span, ends) => quantile(span[part], ends, 0.5),
  };
}

/** What is said where the last minute says nothing. */
const quiet = (name) => `since the start; no ${name} in the last minute`;
const errors = (n) => n ? `; ${count(n)} with 5xx in the last minute` : "";

export function prepareTiles(place) {
  const made = TILES.map((tile) => {
    const large = make("p", { class: "big" });
    const small = make("p", { class: "small" });
    const line = curve();
    place.append(make("article", { class: "tile" }, make("h3", {}, tile.title), large, small, line.svg));
    return { tile, large, small, line };
  });
  return (history, stats) => {
    const { ends } = stats.duration_seconds;
    const all = history.all;
    // Before two answers make a rate there is only one, and what it says is since the start.
    const started = Math.max(1, stats.time - stats.started);
    const seen = {
      all, ends, lately: history.lately ?? { ...all, time: started },
      inflight: stats.metrics.sitecache_inflight_exchanges[0]?.value ?? 0,
    };
    for (const { tile, large, small, line } of made) {
      say(large, tile.large(seen));
      say(small, tile.small(seen));
      line.show(history.curve((span) => tile.point(span, ends)), tile.top);
    }
  };
}
