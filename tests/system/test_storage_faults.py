"""Does a site go on answering when the storage of its pages is full, damaged, or turns the proxy away?"""

from __future__ import annotations

import os
import pickle
import re
import subprocess
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import pytest
import redis

from tests.storage import postgresql
from tests.storage.postgresql import URL_PASSWORD
from tests.storage.servers import await_that, running
from tests.system.processes import ROOT, Process, admin_port
from tests.system.storing import DATABASES, STORAGES, Proxies, Storage, get, in_memcached, in_redis, proxies, until


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Proxies]:
    with proxies(tmp_path) as started:
        yield started


# Damaged.

CANARY = "canary"


class Malicious:
    """Whoever unpickles it makes a file."""

    def __reduce__(self):
        return (open, (CANARY, "w"))


DAMAGES: dict[str, Callable[[bytes, bytes], bytes]] = {
    "flipped": lambda own, _: own[: len(own) // 2] + bytes([own[len(own) // 2] ^ 4]) + own[len(own) // 2 + 1 :],
    "flipped-in-the-body": lambda own, _: own[:-3] + bytes([own[-3] ^ 1]) + own[-2:],
    "cut": lambda own, _: own[: len(own) * 2 // 3],
    "empty": lambda _own, _: b"",
    "longer": lambda own, _: own + b"!",
    "foreign": lambda _own, _: b"not ours",
    "number": lambda _own, _: b"17",
    "pickle": lambda _own, _: pickle.dumps(Malicious()),
    "of-another-page": lambda _, other: other,
}


def metrics(process: Process) -> str:
    with urlopen(f"http://127.0.0.1:{admin_port(process)}/metrics") as response:
        return response.read().decode()


def pages(storage: Storage, others: Container[str]) -> dict[str, bytes]:
    """Return the records that are none of these."""
    return {name: record for name, record in storage.of("damaged").items() if name not in others}


def stored(process: Process) -> int:
    """Return how many records the storage has taken."""
    name = r'^sitecache_storage_operation_duration_seconds_count\{alias="default",operation="set"\} (\d+)'
    found = re.search(name, metrics(process), re.MULTILINE)
    return int(found[1]) if found else 0


@pytest.mark.parametrize("kind", ["redis", "memcached", "postgresql", "mariadb", "sqlite", "files"])
def test_what_is_damaged_is_a_miss_and_the_next_is_a_hit(start: Proxies, storages, kind: str) -> None:
    with nullcontext(storages(kind)) if kind != "files" else STORAGES[kind]() as storage:
        process, port = start.start(storage.settings(KEY_PREFIX="damaged", DEADLINE="2s"))
        # The count of purges, and the one that it began with.
        purges: dict[str, bytes] = {}
        await_that(lambda: purges.update(storage.of("damaged")) or len(purges) == 2)
        chosen = DAMAGES if kind not in DATABASES else ["flipped-in-the-body", "pickle", "of-another-page"]
        for number, damage in enumerate([DAMAGES[name] for name in chosen], start=1):
            for path in ("/a", "/b"):
                assert until(port, "hit", path) == f"{path} made {number} times"
            # A hit may still be on its way to the storage.
            await_that(lambda number=number: stored(process) == 2 + 2 * number)
            # memcached's list of keys comes from a thread of its own, a little later.
            records: dict[str, bytes] = {}
            await_that(lambda records=records: records.update(pages(storage, purges)) or len(records) == 2)
            for name, other in zip(records, reversed(records), strict=True):
                storage.put(name, damage(records[name], records[other]))
            for path in ("/a", "/b"):
                body, said = get(port, path)
                assert (body, said.startswith("hit")) == (f"{path} made {number + 1} times", False)
        process.stop()
        assert "Traceback" not in process.output()
        assert not (ROOT / CANARY).exists()


# Full.


def full(port: int, process: Process, wanted: str, most: int = 200) -> None:
    """Ask for large pages until the log says so; each is answered."""
    start = len(process.lines())
    for number in range(most):
        get(port, f"/large/{number}")
        if any(wanted in line for line in process.lines()[start:]):
            return
    raise AssertionError(process.output())


def served_while_full_and_kept_again(port: int, room: Callable[[], object]) -> None:
    for number in range(5):
        body, _ = get(port, f"/large/full/{number}")
        assert body == f"/large/full/{number} made 1 times"
    room()
    until(port, "hit", "/large/again")


def errors(process: Process) -> dict[str, float]:
    """Return what the metrics say of operations that failed, by reason."""
    said = metrics(process)
    found = re.findall(r'^sitecache_storage_errors_total{alias="default",reason="(\w+)"} (\S+)$', said, re.MULTILINE)
    return {reason: float(number) for reason, number in found}


def limit_files(size: int | str, *pids: int, run: Callable[..., list[str]] = lambda *command: [*command]) -> None:
    """No file of these processes grows beyond it: for whoever writes, the disk is full."""
    for pid in pids:
        subprocess.run(run("prlimit", f"--pid={pid}", f"--fsize={size}:unlimited"), check=True)


@pytest.mark.parametrize("kind", ["files", "sqlite"])
def test_a_full_disk(start: Proxies, kind: str) -> None:
    with STORAGES[kind]() as storage:
        process, port = start.start(storage.settings(DEADLINE="2s", BREAKER_REST="1s"))
        until(port, "hit")
        limit_files(40_000, process.pid)
        full(port, process, "not stored" if kind == "files" else "disk I/O error")
        served_while_full_and_kept_again(port, lambda: limit_files("unlimited", process.pid))
        process.stop()
        assert "Traceback" not in process.output()


def test_a_full_disk_of_postgresql(start: Proxies, storages) -> None:
    storage = storages("postgresql")
    process, port = start.start(storage.settings(KEY_PREFIX="full", DEADLINE="2s", BREAKER_REST="1s"))
    until(port, "hit")
    pid = storage.server.process.pid

    def limit(size: int | str) -> None:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        limit_files(size, pid, *map(int, children), run=postgresql.as_nobody)

    # The pieces of its log have 16 MiB, and those must not fail.
    limit(16 * 2**20)
    full(port, process, "File too large")
    served_while_full_and_kept_again(port, lambda: limit("unlimited"))
    assert "Traceback" not in process.output()


def test_a_redis_that_is_full_and_evicts_nothing(start: Proxies) -> None:
    with in_redis("--maxmemory", "3mb", "--maxmemory-policy", "noeviction") as storage:
        process, port = start.start(storage.settings(DEADLINE="2s", BREAKER_REST="1s"))
        full(port, process, "used memory > 'maxmemory'")
        assert errors(process)["error"] > 0
        more = ["redis-cli", "-p", str(storage.server.port), "config", "set", "maxmemory", "0"]
        served_while_full_and_kept_again(port, lambda: subprocess.run(more, check=True, capture_output=True))
        assert "Traceback" not in process.output()


@pytest.mark.parametrize("backend", ["PyMemcacheCache", "PyLibMCCache"])
def test_a_page_that_memcached_does_not_take(start: Proxies, backend: str) -> None:
    with in_memcached("-I", "512k", "-m", "8", backend=backend) as storage:
        process, port = start.start(storage.settings(DEADLINE="2s"))
        for number in range(3):
            assert not get(port, f"/huge/{number}")[1].startswith("hit")
            until(port, "hit", f"/small/{number}")
            # It counts as stored until it was refused.
            await_that(lambda number=number: errors(process)["refused"] == number + 1)
        assert not get(port, "/huge/0")[1].startswith("hit")
        assert errors(process)["error"] == 0
        assert process.output().count("no room for its") == 1


# Turned away.

WRONG = "wrong-secret"


@contextmanager
def redis_with_password(_: Path) -> Iterator[Storage]:
    with running("redis-server", "--requirepass", "right", listen="tcp") as server:
        yield Storage({"BACKEND": "redis", "LOCATION": f"redis://:{WRONG}@{server.name}"})


@contextmanager
def redis_with_users(_: Path) -> Iterator[Storage]:
    with running("redis-server", listen="tcp") as server, redis.Redis(port=server.port) as client:
        client.acl_setuser("pages", enabled=True, passwords=["+right"], keys=["*"], commands=["+@all"])
        yield Storage({"BACKEND": "redis", "LOCATION": f"redis://pages:{WRONG}@{server.name}"})


@contextmanager
def memcached_with_sasl(tmp_path: Path) -> Iterator[Storage]:
    add = ["saslpasswd2", "-p", "-c", "-a", "memcached", "-f", f"{tmp_path}/sasldb", "pages"]
    subprocess.run(add, input=b"right", check=True, env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"})
    (tmp_path / "memcached.conf").write_text(f"mech_list: plain\nsasldb_path: {tmp_path}/sasldb\n")
    with running("memcached", "-S", listen="tcp", environment={"SASL_CONF_PATH": str(tmp_path)}) as server:
        options = {"binary": True, "username": "pages", "password": WRONG}
        yield Storage({"BACKEND": "pylibmc", "LOCATION": server.name, "OPTIONS": options})


TURNS_AWAY = {
    "redis": (redis_with_password, "WRONGPASS|invalid"),
    "redis-acl": (redis_with_users, "WRONGPASS|invalid"),
    "postgresql": (None, "password authentication failed"),
    "mariadb": (None, "Access denied for user 'cache'"),
    "memcached-sasl": (memcached_with_sasl, "AUTHENTICATION FAILURE"),
}


@pytest.mark.parametrize("kind", TURNS_AWAY)
def test_a_wrong_password_is_one_clear_line_without_it(start: Proxies, storages, tmp_path: Path, kind: str) -> None:
    begin, says = TURNS_AWAY[kind]
    with ExitStack() as stack:
        if begin is None:
            url = storages(kind).beside["DATABASES"]["default"].replace(URL_PASSWORD, WRONG)
            storage = replace(storages(kind), beside={"DATABASES": {"default": url}})
        else:
            storage = stack.enter_context(begin(tmp_path))
        process, port = start.start(storage.settings(DEADLINE="2s"))
        for number in range(12):
            assert get(port, f"/{number}")[1].endswith("detail=storage-failed")
        process.wait_for(says)
        said = [line for line in process.lines() if "storage" in line]
        assert 1 <= len(said) <= 2, "when it fails, and when it is left alone"
        assert process.stop() == 0
        assert "secret" not in process.output()
        assert "Traceback" not in process.output()
