"""How long does a purge take to reach everybody? ``python -m tests.bench.purging`` measures it, and shows a table.

For each kind of cache: from the request to ``POST /purge`` until its answer, which says that it holds for all workers;
and from then until a second proxy on the same storage, or another worker, is seen to go by it, asked all the time.
"""

from __future__ import annotations

import http.client
import json
import statistics
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.system.processes import PATIENCE, admin_port
from tests.system.storing import Proxies, in_files, in_memcached, in_redis, proxies, until

ROUNDS = 100
PATH = "/page"
#: What is measured is the purge, and not how busy this machine is.
PATIENT = {"DEADLINE": "20s"}


class Watching:
    """Asks one proxy for a page all the time, on one connection, and notes when it was another one."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self._seen = ""
        self._new = threading.Event()
        self._stop = False
        self.at = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop:
            self._connection.request("GET", PATH, headers={"Host": "site.test"})
            asked = time.perf_counter()
            body = self._connection.getresponse().read().decode()
            if body != self._seen:
                # The first that was asked after the purge held for it.
                self.at, self._seen = asked, body
                self._new.set()

    def wait(self) -> float:
        """Return when the next other page was asked for."""
        self._new.wait(PATIENCE)
        self._new.clear()
        return self.at

    def forget(self) -> None:
        self._new.clear()

    def stop(self) -> None:
        self._stop = True
        self._thread.join(PATIENCE)
        self._connection.close()


def measured(started: Proxies, settings: dict[str, object], *, shared: bool) -> tuple[list[float], list[float]]:
    """Return the seconds until the answer, and until another proxy goes by it after that."""
    process, port = started.start({**settings, "workers": 2})
    other = started.start({**settings, "workers": 2})[1] if shared else port
    until(port, "hit", PATH)
    admin = http.client.HTTPConnection("127.0.0.1", admin_port(process), timeout=PATIENCE)
    watching = Watching(other)
    watching.wait()
    answered, reached = [], []
    for _ in range(ROUNDS):
        time.sleep(0.02)
        watching.forget()
        began = time.perf_counter()
        admin.request("POST", "/purge", json.dumps({"url": f"http://site.test{PATH}"}))
        assert admin.getresponse().read().startswith(b'{\n "status": "ok"')
        ended = time.perf_counter()
        answered.append(ended - began)
        reached.append(max(0.0, watching.wait() - ended))
    watching.stop()
    admin.close()
    return answered, reached


def shown(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"{statistics.median(ordered) * 1000:.1f} / {ordered[int(len(ordered) * 0.99)] * 1000:.1f}"


def main() -> None:
    """Measure every kind, or those that are named."""
    kinds = {"redis": in_redis, "memcached": in_memcached, "files": in_files}
    wanted = sys.argv[1:] or ["locmem", "shared", *kinds]
    print("| cache | answered, ms (median / 99th) | seen elsewhere after that, ms |\n|---|---|---|")
    for name in wanted:
        with ExitStack() as stack, TemporaryDirectory() as directory:
            started = stack.enter_context(proxies(Path(directory)))
            if name in kinds:
                settings = stack.enter_context(kinds[name]()).settings(**PATIENT)
            else:
                settings = {"CACHES": {"default": {"BACKEND": name}}}
            answered, reached = measured(started, settings, shared=name in kinds)
        print(f"| `{name}` | {shown(answered)} | {shown(reached)} |", flush=True)


if __name__ == "__main__":
    main()
