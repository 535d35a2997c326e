"""Do bytes go both ways once the protocol has been switched? (RFC 9110 §7.8)"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from proxy.errors import UpstreamClosed
from proxy.message.framing import UNTIL_CLOSE
from tests.exchange.making import Bench, Client, Coming, coming, request, settled, whole


@dataclass
class OriginEnd:
    """The connection to the origin, as the tunnel uses it."""

    sent: list[bytes] = field(default_factory=list)
    on_tunnel_writable: object = None
    has_eof: bool = False
    is_closed: bool = False

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def write_eof(self) -> None:
        self.has_eof = True

    def close(self) -> None:
        self.is_closed = True


async def opened(client: Client | None = None) -> tuple[Bench, Client, Coming, OriginEnd]:
    """A tunnel through which nothing has gone yet."""
    origin = OriginEnd()
    answer = coming("upgrade: websocket", "x-accept: 1", status=101, framing=UNTIL_CLOSE, tunnel=origin)
    bench = Bench(answer)
    client = await bench.ask(request("/ws", "upgrade: websocket", upgrade=b"websocket"), client)
    return bench, client, answer, origin


@pytest.mark.rfc(9110, "7.8")
async def test_the_switch_is_asked_for_and_passed_on() -> None:
    bench, client, _, _ = await opened()
    assert bench.origin.asked[0].upgrade
    asked = bench.origin.fields()
    assert (asked.get(b"connection"), asked.get(b"upgrade")) == (b"Upgrade", b"websocket")
    assert client.status == 101
    fields = client.fields
    assert (fields.get(b"connection"), fields.get(b"upgrade"), fields.get(b"x-accept")) == (
        b"Upgrade",
        b"websocket",
        b"1",
    )
    assert client.cache_status == "fwd=bypass; fwd-status=101; detail=upgrade"


@pytest.mark.rfc(9110, "7.8")
async def test_an_upgrade_to_h2c_takes_its_settings_along_where_it_is_allowed() -> None:
    bench = Bench(whole())
    lines = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABk")
    client = await bench.ask(request("/ws", *lines, upgrade=b"h2c"))
    asked = bench.origin.fields()
    assert asked.get(b"connection") == b"Upgrade, HTTP2-Settings"
    assert (asked.get(b"upgrade"), asked.get(b"http2-settings")) == (b"h2c", b"AAMAAABk")
    assert client.status == 200


@pytest.mark.rfc(9110, "7.8")
async def test_an_upgrade_that_is_not_passed_on_is_no_reason_to_ask_the_origin() -> None:
    bench = Bench(whole(), whole())
    await bench.ask(request("/page"))
    lines = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABk")
    for method in ("GET", "HEAD"):
        client = await bench.ask(request("/page", *lines, method=method))
        assert client.cache_status.startswith("hit")
    await bench.ask(request("/other", *lines))
    asked = bench.origin.fields()
    assert not {b"connection", b"upgrade", b"http2-settings"} & asked.index.keys()
    assert len(bench.origin.asked) == 2


async def test_bytes_go_both_ways_and_are_counted() -> None:
    bench, client, answer, origin = await opened()
    assert client.far is not None
    client.far.write(b"ping")
    answer.feed(b"pong", b"!")
    assert (origin.sent, client.content) == ([b"ping"], b"pong!")
    answer.end()
    assert client.is_whole
    assert [(entry.status, entry.size) for entry in bench.entries] == [(101, 5)]


async def test_each_direction_can_be_held_back() -> None:
    _, client, answer, origin = await opened()
    client.block()
    answer.feed(b"much")
    assert answer.wire.paused
    client.unblock()
    assert not answer.wire.paused
    assert callable(origin.on_tunnel_writable)
    origin.on_tunnel_writable(False)
    assert not client.reads
    origin.on_tunnel_writable(True)
    assert client.reads


async def test_the_client_ends_its_direction() -> None:
    _, client, answer, origin = await opened()
    assert client.far is not None
    client.far.write_eof()
    assert origin.has_eof
    answer.feed(b"last words")
    answer.end()
    assert client.got == (101, b"last words", True)


async def test_the_client_is_lost() -> None:
    bench, client, answer, origin = await opened()
    assert client.far is not None
    client.far.abandon()
    assert (origin.is_closed, answer.wire.abandoned) == (True, True)
    assert len(bench.entries) == 1


async def test_the_origin_is_lost() -> None:
    bench, client, answer, _ = await opened()
    answer.fail(UpstreamClosed("gone"))
    assert client.is_aborted
    assert len(bench.entries) == 1
    await settled()
    assert len(bench.driver.tasks) == 0
