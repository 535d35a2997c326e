"""Real servers for the tests: each a process of its own in a directory of its own, ended by its own pid."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

import redis


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@dataclass
class Server:
    """A server that can be killed and started again at the same address."""

    command: Sequence[str]
    address: tuple[str, int] | str
    """Host and port, or the path of a Unix socket."""
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def port(self) -> int:
        return int(self.address[1])

    @property
    def name(self) -> str:
        return self.address if isinstance(self.address, str) else f"{self.address[0]}:{self.address[1]}"

    def start(self, within: float = 20) -> None:
        """Return when it accepts connections."""
        log = self.directory / "log"
        with log.open("ab") as out:
            environment = {**os.environ, **self.environment}
            self.process = subprocess.Popen(self.command, cwd=self.directory, env=environment, stdout=out, stderr=out)
        until = time.monotonic() + within
        while not self._accepts():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self.command[0]} does not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.01)

    def kill(self) -> None:
        """End it as a crash does; its address is free when this returns."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        if isinstance(self.address, str):
            Path(self.address).unlink(missing_ok=True)

    def _accepts(self) -> bool:
        family = socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET
        with socket.socket(family) as client:
            return client.connect_ex(self.address) == 0


@contextmanager
def running(
    program: str, *arguments: str, listen: str = "unix", environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run redis-server or memcached, on a Unix socket or (``listen="tcp"``) on a free port of loopback.

    ``{port}`` in an argument is that port.
    """
    directory = Path(mkdtemp(prefix=f"{program}-"))
    address = str(directory / "socket") if listen == "unix" else ("127.0.0.1", free_port())
    make = {"redis-server": _redis, "memcached": _memcached}[program]
    told = [argument.format(port=address[1]) for argument in arguments]
    server = Server([*make(address), *told], address, directory, environment or {})
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(directory, ignore_errors=True)


def _redis(address: tuple[str, int] | str) -> list[str]:
    where = (
        ["--port", "0", "--unixsocket", address]
        if isinstance(address, str)
        else ["--bind", address[0], "--port", str(address[1])]
    )
    # A replica is not made to wait for others that might come.
    quick = ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"]
    return ["redis-server", *quick, "--enable-debug-command", "yes", *where]


def _memcached(address: tuple[str, int] | str) -> list[str]:
    where = ["-s", address] if isinstance(address, str) else ["-l", address[0], "-p", str(address[1])]
    # It refuses to run as root without being told to.
    return ["memcached", "-U", "0", "-t", "1", *(["-u", "root"] if os.geteuid() == 0 else []), *where]


@contextmanager
def redis_cluster(nodes: int = 3, *arguments: str) -> Iterator[list[Server]]:
    """Run a Redis Cluster of leaders only, which holds every slot when this begins."""
    with ExitStack() as stack:
        servers = [stack.enter_context(cluster_node(*arguments)) for _ in range(nodes)]
        clients = [stack.enter_context(redis.Redis(port=server.port)) for server in servers]
        for number, client in enumerate(clients):
            first, after = 16384 * number // nodes, 16384 * (number + 1) // nodes
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server, bus in zip(servers, [server.command[-1] for server in servers], strict=True):
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", server.port, bus)
        await_that(lambda: all(_knows_all(client, nodes) for client in clients))
        yield servers


def _knows_all(client: redis.Redis, nodes: int) -> bool:
    info = client.execute_command("CLUSTER", "INFO").decode().split("\r\n")
    return {"cluster_state:ok", f"cluster_known_nodes:{nodes}"} <= set(info)


@contextmanager
def cluster_node(*arguments: str) -> Iterator[Server]:
    """Run a Redis that may become a node of a Cluster."""
    own = ("--cluster-enabled", "yes", *arguments, "--cluster-port", str(free_port()))
    with running("redis-server", *own, listen="tcp") as server:
        yield server


def add_replica(cluster: Sequence[Server], leader: Server, replica: Server) -> None:
    """Make a node the replica of a leader of that Cluster; it has its values when this returns."""
    with redis.Redis(port=leader.port) as first, redis.Redis(port=replica.port) as second:
        name = first.execute_command("CLUSTER", "MYID").decode()
        second.execute_command("CLUSTER", "MEET", "127.0.0.1", leader.port, leader.command[-1])
        await_that(lambda: _knows_all(second, len(cluster) + 1))
        await_that(lambda: _accepted(second, "CLUSTER", "REPLICATE", name))
        await_that(lambda: second.info("replication").get("master_link_status") == "up")
        for server in cluster:
            with redis.Redis(port=server.port) as one:
                await_that(lambda one=one: _knows_all(one, len(cluster) + 1))
        await_that(lambda: first.execute_command("CLUSTER", "REPLICAS", name))


def _accepted(client: redis.Redis, *command: str) -> bool:
    try:
        client.execute_command(*command)
    except redis.ResponseError:
        return False
    return True


@contextmanager
def redis_sentinel(leader: Server, name: str, *settings: str) -> Iterator[Server]:
    """Run a Sentinel that watches that leader; ``settings`` are such as ``down-after-milliseconds 300``."""
    directory = Path(mkdtemp(prefix="sentinel-"))
    port = free_port()
    file = directory / "sentinel.conf"
    more = "".join(f"sentinel {one.partition(' ')[0]} {name} {one.partition(' ')[2]}\n" for one in settings)
    file.write_text(f"bind 127.0.0.1\nport {port}\nsentinel monitor {name} 127.0.0.1 {leader.port} 1\n{more}")
    server = Server(["redis-server", str(file), "--sentinel"], ("127.0.0.1", port), directory)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(directory, ignore_errors=True)


def await_that(condition, within: float = 20) -> None:
    """Return when the condition holds; fail after so many seconds."""
    until = time.monotonic() + within
    while not condition():
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.02)
