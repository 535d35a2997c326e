"""Is a client that asks for a purge always answered?"""

from __future__ import annotations

import logging

import pytest

from proxy.config.purging import PurgeConfig, PurgeDialect
from proxy.downstream.public_purges import PublicPurges
from proxy.downstream.purge_dialects import Door
from proxy.exchange.replies import Exchange, Replies
from proxy.policy.asked_purges import Asked, Done
from proxy.policy.directives import NO_TERMS
from proxy.policy.key import PrimaryKey
from tests.exchange.making import Bench, Client, request, settled

TOKEN = "a-token-of-some-length"


async def answered(method: str, carry: object) -> Client:
    bench = Bench()
    door = Door.of(PurgeConfig(dialects=tuple(PurgeDialect), networks=("0.0.0.0/0",), token=TOKEN))
    assert door is not None
    replies = Replies(bench.counters, bench.clock)
    purges = PublicPurges(door, bench.driver, replies, bench.counters, carry)  # type: ignore[arg-type]  # it fits
    asked = request("/page", f"authorization: Bearer {TOKEN}", method=method)
    asked.peer = "192.0.2.7"
    client = Client()
    route = bench.driver._sites.route(asked)
    assert purges.take(Exchange(asked, client, bench.clock(), NO_TERMS, PrimaryKey(b""), route))
    await settled()
    return client


async def test_a_purge_is_answered() -> None:
    async def carry(_: Asked) -> Done:
        return Done(caches=("default",))

    client = await answered("PURGE", carry)
    assert client.status == 200


@pytest.mark.parametrize("method", ["PURGE", "REFRESH"])
async def test_a_fault_of_ours_leaves_nobody_waiting(method: str, caplog: pytest.LogCaptureFixture) -> None:
    async def carry(_: Asked) -> Done:
        raise RuntimeError("a fault")

    with caplog.at_level(logging.CRITICAL, "sitecache"):
        client = await answered(method, carry)
    assert client.is_aborted
