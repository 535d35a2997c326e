"""Do the files of config/ that need a server pass ``check`` as they are, and serve pages with a real one?"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from proxy.cli import main
from tests.storage.postgresql import address, postgresql
from tests.storage.servers import running
from tests.system.processes import ROOT, run_once, start_proxy
from tests.system.storing import Origin, until

CONFIG = ROOT / "config"


@contextmanager
def redis() -> Iterator[dict[str, str]]:
    with running("redis-server", "--requirepass", "hidden", listen="tcp") as server:
        yield {"REDIS_URL": f"redis://:hidden@{server.name}/3"}


@contextmanager
def memcached() -> Iterator[dict[str, str]]:
    with running("memcached", listen="tcp") as one, running("memcached", listen="tcp") as other:
        yield {"MEMCACHED": f"{one.name},{other.name}"}


@contextmanager
def database() -> Iterator[dict[str, str]]:
    with postgresql() as server:
        yield {"DATABASE_URL": address(server)}


SERVERS = {"redis": redis, "memcached": memcached, "database": database}


@pytest.mark.parametrize("file", sorted(CONFIG.glob("*.yaml")), ids=lambda file: file.stem)
def test_check_has_nothing_against_it(file: Path) -> None:
    clean = {name: None for name in os.environ if name.startswith(("SITECACHE_", "APP_"))}
    done = CliRunner().invoke(main, ["check", str(file)], env=clean)
    assert (done.exit_code, "config error" in done.stderr) == (0, False)
    if file.stem in SERVERS:
        assert [line for line in done.stderr.splitlines() if "more than the" not in line] == []


@pytest.mark.parametrize("name", SERVERS)
def test_pages_are_served_and_outlive_the_proxy(name: str) -> None:
    with ExitStack() as stack:
        environment: Mapping[str, str] = stack.enter_context(SERVERS[name]())
        origin = stack.enter_context(Origin())
        stack.callback(origin.shutdown)
        file = f"config/{name}.yaml"
        if name == "database":
            make = [sys.executable, "-m", "proxy", "createcachetable", "--config", file]
            for _ in range(2):
                run_once("createcachetable", make, environment)
        served = ["--config", file, "--access-log", "off", "--workers", "1"]
        paths = [f"/{number}" for number in range(20)]
        process, port = start_proxy(origin.url, *served, env=environment)
        stack.callback(process.stop)
        for path in paths:
            until(port, "hit", path)
        assert process.stop() == 0
        made = dict(origin.made)
        process, port = start_proxy(origin.url, *served, env=environment)
        stack.callback(process.stop)
        # One that was too slow, on a busy machine, is made anew.
        found = {until(port, "hit", path) for path in paths}
        assert found & {f"{path} made {made[path]} times" for path in paths}
        assert "hidden" not in process.output()
