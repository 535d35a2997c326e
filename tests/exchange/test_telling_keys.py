"""Does Cache-Status name the key that was looked for, where it is to be told? (RFC 9211 §2.7)"""

from __future__ import annotations

import re

import pytest

from proxy.errors import UpstreamUnreachable
from proxy.message.heads import Request
from proxy.storage.responses import Responses
from tests.exchange.making import Bench, Client, Gate, request, settled, whole
from tests.exchange.remotes import Counting, remote

FRESH = "cache-control: max-age=60"


class Telling(Bench):
    """A driver that tells its keys."""

    def __init__(self, *answers: object, storage: Responses | None = None) -> None:
        super().__init__(*answers, storage=storage, tells_keys=True)

    def start(self, asked: Request, client: Client | None = None) -> Client:
        client = client or Client()
        self.driver.handle_telling(asked, client)
        return client


@pytest.fixture(params=["memory", "storage"])
def bench(request: pytest.FixtureRequest) -> Telling:
    return Telling(storage=None if request.param == "memory" else remote(Counting()))


def told(client: Client) -> tuple[str, str]:
    """Return the key, and the rest of what Cache-Status says."""
    parts = client.cache_status.split("; ")
    (key,) = [part for part in parts if re.fullmatch('key="page[.][0-9a-f]{40}"', part)]
    return key, "; ".join(part for part in parts if part != key)


@pytest.mark.rfc(9211, "2.7")
async def test_one_page_has_one_key_and_another_has_another(bench: Telling) -> None:
    bench.give(whole(FRESH), whole(FRESH))
    keys = []
    for target, rest in (("/a", "fwd=uri-miss; fwd-status=200; ttl=60; stored"), ("/a", "hit; ttl=60")):
        key, said = told(await bench.get(target))
        assert said == rest
        keys.append(key)
    other, _ = told(await bench.get("/b"))
    head, _ = told(await bench.get("/a", method="HEAD"))
    assert keys == [head, head]
    assert other != head


@pytest.mark.rfc(9211, "2.7")
async def test_it_is_told_whatever_the_answer_is(bench: Telling) -> None:
    """Of a 304, a part, a stale page, a failure, a refusal and one that waited for another's answer."""
    bench.give(whole(FRESH))
    key, _ = told(await bench.get())
    assert told(await bench.get("/page", "if-modified-since: Sun, 09 Sep 2001 01:46:40 GMT"))[0] == key
    part = await bench.get("/page", "range: bytes=0-1")
    assert (part.status, told(part)) == (206, (key, "hit; ttl=60"))
    bench.clock.turn(61)
    bench.give(UpstreamUnreachable("gone"), UpstreamUnreachable("gone"))
    stale = "fwd=stale; ttl=-1; detail=stale-if-error"
    assert told(await bench.get()) == (key, stale)
    other, said = told(await bench.get("/other"))
    assert said == "fwd=uri-miss; detail=upstream-unreachable"
    assert told(await bench.get("/other", "cache-control: only-if-cached")) == (other, "detail=only-if-cached")
    gate = Gate()
    bench.give(gate)
    crowd = await bench.crowd([request("/third"), request("/third")])
    gate.open(whole(FRESH))
    await settled()
    assert len({told(client)[0] for client in crowd}) == 1


@pytest.mark.rfc(9211, "2.7")
async def test_what_bypasses_the_cache_has_no_key(bench: Telling) -> None:
    bench.give(whole(status=204))
    assert (await bench.ask(request(method="POST"))).cache_status == "fwd=method; fwd-status=204"


async def test_nothing_of_a_key_is_told_unless_the_operator_says_so() -> None:
    bench = Bench(whole(FRESH))
    assert "key" not in (await bench.get()).cache_status
    assert "key" not in (await bench.get()).cache_status
