"""Is what is foreseen what the driver then does, and does looking change nothing?"""

from __future__ import annotations

import pytest

from proxy.exchange.foresight import Foresight, foresee
from proxy.message.framing import CHUNKED
from proxy.message.heads import Request
from proxy.policy.decisions import Detail
from tests.exchange.making import Bench, Client, coming, request, whole
from tests.exchange.remotes import Counting, Unreachable, remote
from tests.exchange.test_details import FRESH, ROWS, TAG

#: What is known without the origin's answer.
FORESEEN = (
    *(Detail.HOST_NOT_ALLOWED, Detail.ROUTE, Detail.UPGRADE, Detail.PRECONDITION, Detail.REQUEST_BODY),
    *(Detail.REQUEST_NO_CACHE, Detail.REQUEST_MAX_AGE, Detail.REQUEST_MIN_FRESH, Detail.ONLY_IF_CACHED),
    *(Detail.STORAGE_FAILED, Detail.STORAGE_DAMAGED, Detail.NO_CACHE, Detail.PURGED),
    *(Detail.STALE_WHILE_REVALIDATE, Detail.MAX_STALE),
)


async def see(bench: Bench, asked: Request) -> Foresight:
    return await foresee(bench.driver._sites, asked, bench.clock())


@pytest.mark.parametrize("detail", [pytest.param(detail, id=detail.value) for detail in ROWS])
async def test_what_is_foreseen_is_done(detail: Detail) -> None:
    row = ROWS[detail]()
    bench = Bench(storage=row.storage, route=row.route, **row.rules)
    if row.before is not None:
        bench.give(whole(*row.before))
        await bench.get()
        bench.clock.turn(row.after)
    if row.purge is not None:
        await bench.responses.purge(row.purge, alone=False)
    before = (bench.times_asked, len(bench.entries))
    seen = await see(bench, row.asked)
    assert (bench.times_asked, len(bench.entries)) == before
    if row.answer is not None:
        bench.give(row.answer)
    body = coming().body if row.asked.framing is CHUNKED else None
    client = await bench.ask(row.asked, Client(body))
    done = next(entry.outcome for entry in bench.entries[before[1] :])
    assert seen.outcome.word() == done.word()
    assert seen.outcome.detail is (detail if detail in FORESEEN else None)
    assert client.detail == detail.value


async def test_a_hit_is_foreseen_with_what_is_stored() -> None:
    bench = Bench(whole(FRESH))
    await bench.get()
    bench.clock.turn(10)
    seen = await see(bench, request())
    assert (seen.outcome.hit, seen.outcome.ttl) == (True, 50)
    assert seen.listed == (seen.selected,)
    assert seen.vary == ()


async def test_nothing_is_known_of_a_new_url() -> None:
    seen = await see(Bench(), request())
    assert (seen.outcome.word(), seen.selected, seen.listed, seen.vary) == ("uri-miss", None, (), None)


async def test_all_variants_are_listed_and_the_selected_one_is_known() -> None:
    bench = Bench(whole(FRESH, "vary: accept-language"), whole(FRESH, "vary: accept-language"))
    await bench.get("/page", "accept-language: de")
    await bench.get("/page", "accept-language: en")
    seen = await see(bench, request("/page", "accept-language: de"))
    assert len(seen.listed) == 2
    assert any(one is seen.selected for one in seen.listed)
    assert seen.vary == (b"accept-language",)
    other = await see(bench, request("/page", "accept-language: fr"))
    assert (other.outcome.word(), other.selected, len(other.listed)) == ("vary-miss", None, 2)


async def test_looking_keeps_nothing_from_being_evicted_or_validated() -> None:
    """A stale page that is looked at is validated by the next request as if nobody had looked."""
    bench = Bench(whole(FRESH, TAG), whole(FRESH, TAG, status=304))
    await bench.get()
    bench.clock.turn(61)
    for _ in range(3):
        assert (await see(bench, request())).outcome.word() == "stale"
    assert bench.times_asked == 1
    assert "fwd=stale" in (await bench.get()).cache_status


async def test_variants_in_a_cache_that_has_to_be_waited_for() -> None:
    bench = Bench(whole(FRESH, "vary: accept"), whole(FRESH, "vary: accept"), storage=remote(Counting()))
    await bench.get("/page", "accept: a")
    await bench.get("/page", "accept: b")
    seen = await see(bench, request("/page", "accept: a"))
    assert (seen.outcome.word(), len(seen.listed), seen.vary) == ("hit", 2, (b"accept",))
    bench.give(whole(FRESH))
    await bench.get("/plain")
    assert len((await see(bench, request("/plain"))).listed) == 1
    assert (await see(bench, request("/nothing"))).listed == ()


async def test_a_cache_that_fails_lists_nothing() -> None:
    seen = await see(Bench(storage=remote(Unreachable())), request())
    assert (seen.outcome.detail, seen.listed) == (Detail.STORAGE_FAILED, ())
