"""Does the dashboard show every reason there is, by the word that everything else has for it, and what to do?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp.test_utils import TestServer

from proxy.exchange.counters import Counters
from proxy.ops.admin import admin_app
from proxy.ops.dashboard import dashboard_pages
from proxy.ops.explain_page import explain_pages
from proxy.ops.snapshot import Snapshot, take
from proxy.ops.stats import stats_pages
from proxy.policy.cache_status import Outcome
from proxy.policy.decisions import Detail, ForwardReason
from proxy.policy.facts import Facts
from proxy.policy.remedies import DETAILS, WORDS
from tests.ops.making import NOW, counted, entry, request, sources
from tests.system.chromium import Chromium

WORDS_OF_ROWS = """Object.fromEntries([...document.querySelectorAll('%s tbody tr')].map(
  (row) => [row.querySelector('.badge').textContent, row.querySelector('details')?.textContent]))"""


def everything() -> Snapshot:
    """The numbers of a worker that has seen every word and every detail once, each at a URL of its own."""
    counters = Counters()
    counters.follow([counted((b"GET", 200))])
    outcomes = [Outcome(forward=reason) for reason in ForwardReason]
    outcomes += [Outcome(forward=ForwardReason.BYPASS, detail=detail) for detail in Detail]
    outcomes += [Outcome(hit=True, detail=Detail.MAX_STALE), Outcome(detail=Detail.ONLY_IF_CACHED), Outcome(purge=True)]
    for i, outcome in enumerate(outcomes):
        counters.done(entry(request(target=b"/%d" % i), outcome))
    return take(sources(counters))


async def test_every_reason_has_its_word_and_its_remedy(browser: Chromium) -> None:
    async def collect() -> Sequence[Snapshot]:
        return [everything()]

    async def nobody(_: bytes) -> Sequence[tuple[int, bytes | None]]:
        return []

    pages = [*dashboard_pages(wants_token=False), *stats_pages(collect, lambda: NOW), *explain_pages(nobody)]

    def look(address: str) -> tuple[dict[str, str], dict[str, str]]:
        with browser.tab() as tab:
            tab.open(address)
            tab.until("document.querySelector('#costliest .more button')")
            tab.js("document.querySelector('#costliest .more button').click()")
            found = tab.js(WORDS_OF_ROWS % "#words"), tab.js(WORDS_OF_ROWS % "#costliest")
            assert tab.problems == []
            return found

    async with TestServer(admin_app(pages)) as server:
        reasons, urls = await asyncio.to_thread(look, str(server.make_url("/")))
    remedies = {**WORDS, **{detail.value: remedy for detail, remedy in DETAILS.items()}}
    expected = {
        word: (remedy.about(Facts()).says + remedy.about(Facts()).do).replace("`", "")
        for word, remedy in remedies.items()
    }
    assert reasons == expected
    # Hits and purges cost the application nothing, and what was refused is shown by its detail.
    assert urls.items() <= expected.items()
    assert set(urls) == set(expected) - {"hit", "hit-stale", "refused", "purge"}
