"""How long does it take from the command to the first answer?"""

import http.client
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.load.processes import Running, free_port
from tests.bench.load.rounds import TESTED_CORE, Bench, Figure
from tests.bench.load.servers import SERVERS as ALL_SERVERS
from tests.bench.load.servers import Place
from tests.bench.load.traffic import STORED, page
from tests.bench.load.wrk import LoadError

START = "start"
SERVERS = ("sitecache", "nginx-debian")
SECONDS = "seconds to the first answer"
LIMIT = 20.0
#: Seconds between two attempts; the client runs on the other core.
EVERY = 0.002


def measure(bench: Bench) -> Iterator[Figure]:
    """Start each server anew in each round; one start before them leaves its bytecode."""
    for number in range(bench.rounds + 1):
        for name in SERVERS:
            took = _start(bench, name)
            if number:
                bench.say(f"{START:12} {number}  {name:19} {took:10.3f} s")
                yield Figure(START, name, number, SECONDS, took)


def _start(bench: Bench, name: str) -> float:
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        place = Place(Path(folder), free_port(), bench.origin.port)
        # The admin listener is part of what starts, as it does without any setting; only its port is ours.
        command = [f"127.0.0.1:{free_port()}" if word == "off" else word for word in ALL_SERVERS[name].command(place)]
        began = time.perf_counter()
        process = subprocess.Popen(
            ["taskset", "-c", str(TESTED_CORE), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        running = Running(name, place.port, process, Path(folder) / "output")
        try:
            while not _answers(place.port):
                if process.poll() is not None or time.perf_counter() - began > LIMIT:
                    raise LoadError(f"{name} did not start")
                time.sleep(EVERY)
            return time.perf_counter() - began
        finally:
            running.stop()


def _answers(port: int) -> bool:
    path = f"{STORED}{0:010d}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status == 200 and answer.read() == page(path)
    except ConnectionError:
        return False
    finally:
        connection.close()
