// What is taken out of the cache on demand? The form, and what /purge answers.

import { Refused, Told, canPurge, post } from "./ask.js";
import { fill, make, say } from "./draw.js";

const $ = (id) => document.getElementById(id);

/** By the word that /purge knows it by: what is asked for, an example, and whether a host may stand beside it. */
const KINDS = {
  url: { label: "URL", example: "https://www.example.org/page", beside: false },
  prefix: { label: "Path", example: "/blog/", beside: true },
  glob: { label: "Path, * for any text", example: "/blog/*/comments", beside: true },
  tag: { label: "Tag", example: "article-7", beside: true },
  host: { label: "Host", example: "www.example.org", beside: false, sure: "Yes, purge all of this host" },
  all: { label: "", example: "", beside: false, sure: "Yes, purge everything" },
};

export function preparePurge({ announce, refused }) {
  if (!canPurge) return null;
  let sure = false;
  $("purge").hidden = $("to-purge").hidden = false;

  function settle() {
    const kind = KINDS[$("purge-kind").value];
    sure = false;
    $("purge-what-label").hidden = !kind.label;
    $("purge-what").required = Boolean(kind.label);
    say($("purge-what-name"), kind.label);
    $("purge-what").placeholder = kind.example;
    $("purge-host-label").hidden = !kind.beside;
    say($("purge-go"), "Purge");
    $("purge-go").classList.remove("danger");
  }

  function asked() {
    const kind = $("purge-kind").value;
    const host = KINDS[kind].beside ? $("purge-host").value.trim() : "";
    return {
      ...(kind === "all" ? { all: true } : { [kind]: $("purge-what").value.trim() }),
      ...(host ? { host } : {}), ...($("purge-soft").checked ? { soft: true } : {}),
    };
  }

  async function run() {
    const { sure: question } = KINDS[$("purge-kind").value];
    if (question && !sure) {
      sure = true;
      say($("purge-go"), question);
      $("purge-go").classList.add("danger");
      announce(`${question}? Press again.`);
      return;
    }
    const what = asked();
    const name = what.all ? "everything" : what.url ?? what.prefix ?? what.glob ?? what.tag ?? what.host;
    settle();
    try {
      const done = await post("purge", what);
      told(`${what.soft ? "Marked stale" : "Purged"}: ${name}. Done in: ${done.caches.join(", ")}.`, "box");
    } catch (error) {
      if (error instanceof Refused) refused();
      else told(`Not purged: ${error instanceof Told ? error.message : "no answer"}`, "trouble");
    }
  }

  function told(text, kind) {
    fill($("purged"), make("p", { class: kind }, text));
    announce(text);
  }

  $("purge-kind").addEventListener("change", settle);
  $("purge-what").addEventListener("input", () => { if (sure) settle(); });
  $("purge-form").addEventListener("submit", (event) => { event.preventDefault(); run(); });
  settle();
  return (url) => {
    $("purge-kind").value = "url";
    settle();
    $("purge-what").value = url;
    fill($("purged"));
    $("purge").scrollIntoView();
    $("purge-go").focus({ preventScroll: true });
  };
}
