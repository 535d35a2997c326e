"""Which Redis servers does a LOCATION name, and how is each of them spoken to?

``redis://``, ``rediss://`` and ``unix://`` are read as the client library does; several are a leader and its replicas.
``redis+sentinel://user:password@host:port,host:port/name/db`` asks those Sentinels for the leader of that name,
``redis+cluster://user:password@host:port,host:port`` begins at those nodes of a Cluster; ``rediss+`` means TLS.
"""

from __future__ import annotations

import random
import time
from asyncio import CancelledError
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from redis._parsers import BaseParser, _AsyncHiredisParser, _AsyncRESP2Parser
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisClusterException, RedisError, ResponseError

from proxy.errors import StorageError
from proxy.storage.backends.locations import Location, import_dotted, split_location
from proxy.storage.backends.redis_asking import Asker, can_ask

Options = dict[str, Any]

#: What the client library takes from OPTIONS; what the settings of Django have beside that is ours.
ALLOWED = frozenset({
    "client_name", "credential_provider", "db", "health_check_interval", "max_connections", "parser_class",
    "password", "pool_class", "protocol", "retry", "retry_on_error", "retry_on_timeout", "sentinel_kwargs",
    "socket_connect_timeout", "socket_keepalive", "socket_keepalive_options", "socket_read_size", "socket_timeout",
    "ssl_ca_certs", "ssl_ca_data", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_ciphers",
    "ssl_keyfile", "ssl_min_version", "ssl_password", "timeout", "username",
})  # fmt: skip

#: Seconds. The guard of the storage gives up earlier; this is for scripts, which have none.
_PATIENCE = 5
#: Seconds that a replica is left alone after a failure, twice as long each time.
_FIRST_REST = 1
_LONGEST_REST = 30
#: More at once wait for a connection. The library's own pool raises an error there.
_CONNECTIONS = 64

#: What the settings of Django name is the library's face without await; we take the other one of the same kind.
_POOLS: Mapping[str, type[ConnectionPool]] = {
    "ConnectionPool": ConnectionPool,
    "BlockingConnectionPool": BlockingConnectionPool,
}
_PARSERS: Mapping[str, type[BaseParser]] = {
    "HiredisParser": _AsyncHiredisParser,
    "_HiredisParser": _AsyncHiredisParser,
    "PythonParser": _AsyncRESP2Parser,
    "_RESP2Parser": _AsyncRESP2Parser,
    "_RESP3Parser": _AsyncRESP2Parser,  # the library takes RESP3's where the protocol is 3
}

_PLAIN = ("redis", "rediss", "unix")
_SENTINEL = ("redis+sentinel", "rediss+sentinel")
_CLUSTER = ("redis+cluster", "rediss+cluster")


@dataclass(slots=True)
class Server:
    """A server, or what stands for several of them, with the client that speaks to it."""

    name: str
    """For people: ``host:port`` or the path of a socket."""
    client: Any
    """Redis or RedisCluster: ``execute_command``, ``pipeline``, ``scan_iter``, ``pubsub`` and ``aclose`` are used."""
    secrets: Sequence[str]
    close: Callable[[], Awaitable[None]]
    rest: float = 0
    """How long it was left alone last; 0 when it answered last."""
    until: float = 0
    """Until then it is left alone, where another would do."""
    _asker: Asker | None = field(init=False)
    """Asks past the client, over its connections."""

    def __post_init__(self) -> None:
        """See what the client is."""
        self._asker = Asker(self.client) if can_ask(self.client) else None

    async def run(self, *command: object) -> Any:
        """Return the reply to one command."""
        with self.translating():
            return await self.client.execute_command(*command)

    async def ask(self, *question: str) -> Any:
        """Return the reply to a command that changes nothing, with less work where that can be."""
        with self.translating():
            if self._asker is None:
                return await self.client.execute_command(*question)
            return await self._asker.ask(*question)

    async def run_all(self, commands: Sequence[tuple[object, ...]], *, raising: bool = True) -> list[Any]:
        """Return the replies to many commands in one round trip; errors stand among them unless they are raised."""
        if not commands:
            return []
        with self.translating():
            pipeline = self.client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            return list(await pipeline.execute(raise_on_error=raising))

    def raise_first(self, replies: Sequence[object]) -> None:
        """Raise the first error among the replies as a StorageError."""
        error = next((reply for reply in replies if isinstance(reply, Exception)), None)
        if error is not None:
            with self.translating():
                raise error

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Make a StorageError in one line of what the library raises, without the password."""
        try:
            yield
        except ResponseError as error:
            self.rest = 0
            raise StorageError(f"Redis at {self.name}: {_reason(error, self.secrets)}") from None
        except (RedisError, RedisClusterException, OSError) as error:
            self._failed()
            raise StorageError(f"Redis at {self.name}: {_reason(error, self.secrets)}") from None
        except CancelledError:
            # Somebody's deadline has passed.
            self._failed()
            raise
        self.rest = 0

    def _failed(self) -> None:
        if time.monotonic() >= self.until:
            self.rest = min(max(2 * self.rest, _FIRST_REST), _LONGEST_REST)
            self.until = time.monotonic() + self.rest


class Servers:
    """The servers of one LOCATION. Their clients are made when first needed, and again after ``close``."""

    def __init__(self, location: Location, options: Mapping[str, object]) -> None:
        """Check everything and open nothing; ValueError says what is wrong, without the password."""
        self._urls = _urls(location)
        self._options = _checked(options)
        self._secrets = _secrets(self._urls, self._options)
        self._servers: dict[int, Server] = {}
        scheme = self._urls[0].scheme
        self.are_cluster = scheme in _CLUSTER
        for url in self._urls:
            try:
                _try(url, self._options)
            except (TypeError, ValueError, RedisError) as error:
                raise ValueError(f"Redis at {_name(url)}: {_reason(error, self._secrets)}") from None

    def writer(self) -> Server:
        """Return the server for writes, and for what must see them."""
        return self._server(0)

    def reader(self) -> Server:
        """Return one of the servers for reads: a replica that answers, as far as is known, else the leader."""
        replicas = [self._server(number) for number in range(1, len(self._urls))]
        now = time.monotonic()
        awake = [server for server in replicas if not server.rest or now >= server.until]
        return random.choice(awake) if awake else self._server(0)  # noqa: S311 (it spreads load, it guards nothing)

    @asynccontextmanager
    async def apart(self) -> AsyncIterator[Server]:
        """Give a server for writes with connections of its own, for what takes one for long."""
        client, close = _connect(self._urls[0], self._options)
        try:
            yield Server(_name(self._urls[0]), client, self._secrets, close)
        finally:
            await close()

    def name_of(self, key: str, *, writing: bool) -> str:
        """Return who is asked for a key: the servers that fail together have one name."""
        if self.are_cluster:
            try:
                node = self._server(0).client.get_node_from_key(key)
            except RedisClusterException:
                return ""  # it was not asked for its nodes yet
            return "" if node is None else str(node.name)
        return "" if len(self._urls) == 1 else self._server(0).name if writing else "the replicas"

    async def close(self) -> None:
        """Close every connection."""
        servers, self._servers = self._servers, {}
        for server in servers.values():
            await server.close()

    def _server(self, index: int) -> Server:
        server = self._servers.get(index)
        if server is None:
            url = self._urls[index]
            client, close = _connect(url, self._options)
            server = self._servers[index] = Server(_name(url), client, self._secrets, close)
        return server


def _urls(location: Location) -> list[SplitResult]:
    """Split what may be several; the one URL of Sentinels or of a Cluster holds commas of its own."""
    if isinstance(location, str) and location.partition("://")[0].strip() in _SENTINEL + _CLUSTER:
        location = [location]
    urls = [urlsplit(text) for text in split_location(location)]
    known = _PLAIN if len(urls) > 1 else _PLAIN + _SENTINEL + _CLUSTER
    for url in urls:
        if url.scheme not in known:
            found = f"{url.scheme}://..." if url.scheme and url.netloc else "an address without a scheme"
            raise ValueError(f"LOCATION: expected a URL that begins with {'://, '.join(known)}://, found {found}")
    return urls


def _checked(options: Mapping[str, object]) -> Options:
    """Return OPTIONS with classes in the place of dotted paths; ValueError names the one that is wrong."""
    checked: Options = dict(options)
    checked["pool_class"] = pool_class = _class("pool_class", checked.get("pool_class"), _POOLS, ConnectionPool)
    if "parser_class" in checked:
        checked["parser_class"] = _class("parser_class", checked["parser_class"], _PARSERS, BaseParser)
    if "db" in checked:
        checked["db"] = _db("OPTIONS.db", checked["db"])
    unknown = sorted(set(checked) - ALLOWED)
    # A pool of the operator's own may have options of its own.
    if unknown and pool_class in _POOLS.values():
        raise ValueError(f"OPTIONS.{unknown[0]}: expected one of {', '.join(sorted(ALLOWED))}, found {unknown[0]!r}")
    checked.setdefault("socket_timeout", _PATIENCE)
    checked.setdefault("socket_connect_timeout", _PATIENCE)
    checked.setdefault("max_connections", _CONNECTIONS)
    return checked


def _class(option: str, asked: object, known: Mapping[str, type], base: type) -> type[Any]:
    """Return the class of ours for one that the library has twice, or the operator's own."""
    if asked is None:
        return BlockingConnectionPool
    module, _, name = asked.rpartition(".") if isinstance(asked, str) else ("", "", getattr(asked, "__name__", ""))
    module = module or getattr(asked, "__module__", "")
    if module.partition(".")[0] == "redis" and name in known:
        return known[name]
    found = import_dotted(option, asked)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ValueError(
            f"OPTIONS.{option}: expected a class made from {base.__module__}.{base.__name__}, found {asked!r}"
        )
    return found


def _db(where: str, asked: object) -> int:
    if isinstance(asked, int) and not isinstance(asked, bool) and asked >= 0:
        return asked
    if isinstance(asked, str) and asked.isdecimal():
        return int(asked)
    raise ValueError(f"{where}: expected the number of a database, found {asked!r}")


def _connect(url: SplitResult, options: Options) -> tuple[Any, Callable[[], Awaitable[None]]]:
    """Return a client, which has opened nothing yet, and what closes it."""
    if url.scheme in _SENTINEL:
        return _sentinel(url, options)
    if url.scheme in _CLUSTER:
        cluster = RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in _hosts(url, 6379)],
            **_of_several(url, options, but={"db"}),
        )
        return cluster, cluster.aclose
    own = {name: value for name, value in options.items() if name not in {"pool_class", "sentinel_kwargs"}}
    if issubclass(options["pool_class"], BlockingConnectionPool):
        own.setdefault("timeout", _PATIENCE)
    pool = options["pool_class"].from_url(url.geturl(), **own)
    pool.connection_kwargs.pop("decode_responses", None)  # the URL of a Django application may have it; we keep bytes
    client = Redis.from_pool(pool)
    return client, client.aclose


def _sentinel(url: SplitResult, options: Options) -> tuple[Any, Callable[[], Awaitable[None]]]:
    """Return a client for the leader that the Sentinels name, asked again whenever a connection is made."""
    leader, _, db = url.path.strip("/").partition("/")
    if not leader:
        raise ValueError("expected redis+sentinel://host:port/name, found no name of a leader")
    own = _of_several(url, options, but={"sentinel_kwargs"})
    if db:
        own["db"] = _db("the database in LOCATION", db)
    timeouts = {name: value for name, value in options.items() if name.startswith("socket_")}
    # The library would wait and ask the same Sentinel again; the next one is the better try.
    asking = timeouts | {"retry": Retry(NoBackoff(), 0)} | options.get("sentinel_kwargs", {})
    sentinel = Sentinel(_hosts(url, 26379), sentinel_kwargs=asking, **own)  # type: ignore[no-untyped-call]  # it has no types
    client = sentinel.master_for(leader)

    async def close() -> None:
        await client.aclose()
        for one in sentinel.sentinels:
            await one.aclose()

    return client, close


def _of_several(url: SplitResult, options: Options, but: set[str]) -> Options:
    """Return the options of a client that finds its servers by asking; user, password and TLS come from the URL."""
    own = {name: value for name, value in options.items() if name not in but | {"pool_class", "timeout"}}
    own |= {name: unquote(value) for name in ("username", "password") if (value := getattr(url, name))}
    if url.query:
        raise ValueError("expected OPTIONS for what follows the question mark, found it in the URL")
    return own | ({"ssl": True} if url.scheme.startswith("rediss") else {})


def _hosts(url: SplitResult, default_port: int) -> list[tuple[str, int]]:
    """Return the addresses between commas; IPv6 stands in brackets."""
    found = []
    for address in url.netloc.rpartition("@")[2].split(","):
        one = urlsplit(f"//{address.strip()}")
        if not one.hostname:
            raise ValueError("expected host:port between commas, found nothing")
        found.append((one.hostname, one.port or default_port))
    return found


def _try(url: SplitResult, options: Options) -> None:
    """Let the library object to its options now and not at the first request; nothing is opened."""
    client, _ = _connect(url, options)
    if url.scheme not in _CLUSTER:
        client.connection_pool.make_connection()


def _name(url: SplitResult) -> str:
    address = url.netloc.rpartition("@")[2]
    if url.scheme == "unix":
        return address + unquote(url.path)
    if url.scheme in _SENTINEL:
        return f"{url.path.strip('/').partition('/')[0]} of the Sentinels {address}"
    return address if "," in address or address.rpartition(":")[2].isdecimal() else f"{address}:6379"


def _secrets(urls: Sequence[SplitResult], options: Options) -> list[str]:
    """Return every form of every password, the longest first so that none is left over in part."""
    found = {str(value) for name, value in options.items() if "password" in name}
    found |= {str(value) for name, value in options.get("sentinel_kwargs", {}).items() if "password" in name}
    for url in urls:
        found |= {url.password or "", *parse_qs(url.query).get("password", [])}
    found |= {unquote(secret) for secret in found}
    return sorted(found - {"", "None"}, key=len, reverse=True)


def _reason(error: Exception, secrets: Sequence[str]) -> str:
    if isinstance(error, AuthenticationError) and "HELLO must be called" in str(error):
        return "the server asks for a password, and neither LOCATION nor OPTIONS has one"
    # An old server repeats the arguments of HELLO and AUTH when it does not know these.
    said = " ".join(str(error).split()).partition(", with args beginning with:")[0]
    for secret in secrets:
        said = said.replace(secret, "***")
    return said or type(error).__name__
