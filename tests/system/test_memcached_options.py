"""Are pages served with each option that decides what a memcached that is away costs?"""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.cache.aliases import Caches
from proxy.errors import StorageError
from tests.storage.servers import running
from tests.system.storing import get, proxies, until


@pytest.mark.parametrize("ignore_exc", [True, False])
def test_without_its_memcached_a_site_goes_on_and_a_program_is_told_where_it_wants_to_be(
    tmp_path: Path, ignore_exc: bool
) -> None:
    with running("memcached", listen="tcp") as server, proxies(tmp_path) as started:
        options = {"ignore_exc": ignore_exc, "retry_timeout": 0, "dead_timeout": 0}
        entry = {"BACKEND": "pymemcache", "LOCATION": server.name, "OPTIONS": options}
        caches = Caches()
        caches.configure({"CACHES": {"default": entry}})
        _, port = started.start({"CACHES": {"default": {**entry, "BREAKER_REST": "100ms"}}})
        until(port, "hit")
        server.kill()
        for number in range(10):
            assert get(port, f"/{number}")[0] == f"/{number} made 1 times"
        if ignore_exc:
            assert caches["default"].get("k", "missing") == "missing"
        else:
            with pytest.raises(StorageError, match=rf"^memcached at {server.name}: "):
                caches["default"].get("k")
        server.start()
        until(port, "hit")
        caches.close_all()
