"""Are pages served from storages outside the process, kept when it ends, and shared by proxies?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.storing import STORAGES, Proxies, get, proxies, until


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Proxies]:
    with proxies(tmp_path) as started:
        yield started


@pytest.mark.parametrize("kind", STORAGES)
def test_pages_outlive_the_proxy_and_are_shared_unless_the_prefix_differs(start: Proxies, storages, kind: str) -> None:
    storage = storages(kind)
    process, port = start.start(storage.settings(KEY_PREFIX="a"))
    get(port)
    assert until(port, "hit") == "/page made 1 times"
    assert process.stop() == 0
    _, again = start.start(storage.settings(KEY_PREFIX="a"))
    assert until(again, "hit") == "/page made 1 times"
    _, other = start.start(storage.settings(KEY_PREFIX="b"))
    assert get(other)[0] == "/page made 2 times"
    assert until(other, "hit") == "/page made 2 times"
    assert until(again, "hit") == "/page made 1 times"
    get(other, "/another")
    assert until(other, "hit", "/another") == "/another made 1 times"
    assert get(again, "/another")[0] == "/another made 2 times"


def test_two_proxies_of_one_prefix_share_what_either_stores(start: Proxies, storages) -> None:
    if storage := storages("redis"):
        ports = [start.start(storage.settings(KEY_PREFIX="both"))[1] for _ in range(2)]
        for port, path in zip(ports, ("/1", "/2"), strict=True):
            until(port, "hit", path)
            storage.until_stored("both", path)
        for port, path in zip(ports, ("/2", "/1"), strict=True):
            assert until(port, "hit", path) == f"{path} made 1 times"


@pytest.mark.rfc(9211, "2.7")
def test_the_key_that_is_told_is_the_name_of_the_page_in_its_cache(start: Proxies, storages) -> None:
    if storage := storages("redis"):
        _, port = start.start({**storage.settings(KEY_PREFIX="told"), "cache_status": {"key": True}})
        until(port, "hit")
        _, _, told = get(port)[1].partition('; key="')
        assert f"told:1:{told.removesuffix(chr(34))}" in storage.of("told")


@pytest.mark.rfc(9211, "2.7")
def test_a_page_in_memory_has_a_key_too(start: Proxies) -> None:
    _, port = start.start({"cache_status": {"key": True}})
    _, _, stored = get(port)[1].partition("; key=")
    until(port, "hit")
    _, _, found = get(port)[1].partition("; key=")
    assert stored == found != ""


def test_another_version_is_another_cache(start: Proxies, storages) -> None:
    if storage := storages("redis"):
        _, first = start.start(storage.settings())
        _, newer = start.start(storage.settings(VERSION=2))
        assert get(first)[0] == "/page made 1 times"
        assert get(newer)[0] == "/page made 2 times"
        assert until(first, "hit") == "/page made 1 times"
