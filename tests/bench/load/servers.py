"""Which servers can be measured, and with which configuration?"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from string import Template

from tests.bench.load.traffic import FILM, STORED, UNCACHEABLE, page

HERE = Path(__file__).parent
#: What each cache may hold: all pages of the hits load many times over, far less than a cold round brings.
CACHE_MEGABYTES = 256
#: Where the origin tells how many requests it has had.
ASKED = "/asked"
#: How nginx sends stored pages: what measured fastest here, 88,000 hits/s against 57,000 with sendfile alone ...
NGINX_FILES = "sendfile off; open_file_cache max=10000 inactive=60s; open_file_cache_valid 60s;"
#: ... what keeps it from writing large bodies to files while their clients read them ...
NGINX_FILES += " proxy_max_temp_file_size 0;"
#: ... and what Debian's nginx.conf says.
NGINX_FILES_DEBIAN = "sendfile on; tcp_nopush on;"
SHARED = "proxy.storage.backends.shared"
#: Has sitecache with its hot modules compiled, where `make native` has made it.
NATIVE = HERE.parents[2] / ".venv-native/bin/python"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is to run."""

    folder: Path
    """empty, and for it alone"""
    port: int
    """to listen on"""
    origin: int = 0
    """port of the origin"""
    store: int = 0
    """port of the store that it keeps its responses in, where it has one"""


@dataclass(frozen=True, slots=True)
class Server:
    """A server under test: the command that keeps it in the foreground, and its version."""

    command: Callable[[Place], list[str]]
    version: Callable[[], str]
    store: str = ""
    """which of STORES it needs beside it"""
    module: str = ""
    """which module of ours it needs"""
    program: Path | None = None
    """which program that is not made by itself"""

    @property
    def is_there(self) -> bool:
        """Whether it has been built."""
        if self.program is not None and not self.program.exists():
            return False
        return not self.module or find_spec(self.module) is not None


def nginx_instance(place: Place, template: str, **values: object) -> list[str]:
    """The command of an nginx of our own, with all its files in its folder."""
    folder = place.folder
    (folder / "cache").mkdir()
    (folder / "temp").mkdir()
    text = Template((HERE / template).read_text()).substitute(
        folder=folder,
        port=place.port,
        # The folder is private to whoever runs this, so root's workers stay root.
        user="user root root;" if os.geteuid() == 0 else "",
        megabytes=CACHE_MEGABYTES,
        uncacheable=UNCACHEABLE,
        **values,
    )
    config = folder / "nginx.conf"
    config.write_text(text)
    return ["nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(config)]


def origin_command(place: Place) -> list[str]:
    """The origin: an nginx that answers every page from memory and counts what it was asked."""
    path = STORED + "0" * 10
    body = page(path).decode().replace(path, "$uri")
    return nginx_instance(place, "origin.conf", asked=ASKED, film=FILM, body=body)


def _nginx(place: Place) -> list[str]:
    return nginx_instance(place, "nginx.conf", origin=place.origin, files=NGINX_FILES)


def _nginx_debian(place: Place) -> list[str]:
    return nginx_instance(place, "nginx.conf", origin=place.origin, files=NGINX_FILES_DEBIAN)


def _varnish(place: Place) -> list[str]:
    vcl = place.folder / "site.vcl"
    vcl.write_text(Template((HERE / "site.vcl").read_text()).substitute(origin=place.origin, uncacheable=UNCACHEABLE))
    parameters = {"thread_pools": 1, "thread_pool_min": 200, "thread_pool_max": 1000, "thread_pool_timeout": 600}
    settings = [word for name, value in parameters.items() for word in ("-p", f"{name}={value}")]
    return [
        *("varnishd", "-F", "-j", "none", "-n", str(place.folder / "varnish"), "-a", f"127.0.0.1:{place.port}"),
        *("-f", str(vcl), "-s", f"malloc,{CACHE_MEGABYTES}m", *settings),
    ]


def _haproxy(place: Place) -> list[str]:
    config = place.folder / "haproxy.cfg"
    text = Template((HERE / "haproxy.cfg").read_text()).substitute(
        port=place.port, origin=place.origin, megabytes=CACHE_MEGABYTES, uncacheable=UNCACHEABLE
    )
    config.write_text(text)
    return ["haproxy", "-db", "-f", str(config)]


def _sitecache(place: Place) -> list[str]:
    return [sys.executable, "-m", *_serving(place)]


def _native(place: Place) -> list[str]:
    # Without -P it would take the sources in the working directory.
    return [str(NATIVE), "-P", "-m", *_serving(place)]


def _serving(place: Place) -> list[str]:
    return [
        *("proxy", "serve", "--upstream", f"http://127.0.0.1:{place.origin}"),
        *("--listen", f"127.0.0.1:{place.port}", "--admin", "off"),
    ]


def configured(settings: Callable[[Place], Mapping[str, object]]) -> Callable[[Place], list[str]]:
    """The command of a sitecache with these settings in its file."""

    def command(place: Place) -> list[str]:
        file = place.folder / "sitecache.yaml"
        # JSON is YAML.
        file.write_text(json.dumps(settings(place), indent=1))
        return [*_sitecache(place), "--config", str(file)]

    return command


def keeping_in(cache: Callable[[Place], Mapping[str, object]]) -> Callable[[Place], list[str]]:
    """The command of a sitecache whose one cache is set so."""
    return configured(lambda place: {"CACHES": {"default": cache(place)}})


def _redis(place: Place) -> Mapping[str, object]:
    return {"BACKEND": "redis", "LOCATION": f"redis://127.0.0.1:{place.store}/0"}


def _memcached(place: Place) -> Mapping[str, object]:
    options = {"no_delay": True, "ignore_exc": True, "max_pool_size": 8, "use_pooling": True}
    return {"BACKEND": "pymemcache", "LOCATION": f"127.0.0.1:{place.store}", "OPTIONS": options}


def _files(place: Place) -> Mapping[str, object]:
    return {"BACKEND": "filebased", "LOCATION": str(place.folder / "pages"), "OPTIONS": {"MAX_ENTRIES": 100_000}}


def shared(place: Place, megabytes: int = CACHE_MEGABYTES) -> Mapping[str, object]:
    """The cache that all workers share."""
    return {
        "BACKEND": f"{SHARED}.SharedMemoryCache",
        "LOCATION": str(place.folder / "pages"),
        "OPTIONS": {"MAX_ENTRIES": None, "MAX_BYTES": f"{megabytes}MiB"},
    }


def _redis_server(place: Place) -> list[str]:
    return [
        *("redis-server", "--bind", "127.0.0.1", "--port", str(place.port), "--dir", str(place.folder)),
        *("--save", "", "--appendonly", "no"),
        *("--maxmemory", f"{CACHE_MEGABYTES}mb", "--maxmemory-policy", "allkeys-lru"),
    ]


def _memcached_server(place: Place) -> list[str]:
    user = ["-u", "root"] if os.geteuid() == 0 else []
    where = ("-l", "127.0.0.1", "-p", str(place.port), "-U", "0")
    return ["memcached", *user, *where, "-t", "1", "-m", str(CACHE_MEGABYTES)]


def program_version(*command: str) -> str:
    """The version number in what a program says of itself."""
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", said.stdout + said.stderr)
    return found[0] if found else "?"


def own_version() -> str:
    """The version of sitecache."""
    return program_version(sys.executable, "-m", "proxy", "version")


#: What keeps responses for a server under test; they run on the other core.
STORES = {
    "redis": Server(_redis_server, lambda: program_version("redis-server", "--version")),
    "memcached": Server(_memcached_server, lambda: program_version("memcached", "-V")),
}

SERVERS = {
    "sitecache": Server(_sitecache, own_version),
    "nginx": Server(_nginx, lambda: program_version("nginx", "-v")),
    "nginx-debian": Server(_nginx_debian, lambda: program_version("nginx", "-v")),
    "varnish": Server(_varnish, lambda: program_version("varnishd", "-V")),
    "haproxy": Server(_haproxy, lambda: program_version("haproxy", "-v")),
    "sitecache-native": Server(_native, own_version, program=NATIVE),
    "sitecache-shared": Server(keeping_in(shared), own_version, module=SHARED),
    "sitecache-redis": Server(keeping_in(_redis), STORES["redis"].version, store="redis"),
    "sitecache-memcached": Server(keeping_in(_memcached), STORES["memcached"].version, store="memcached"),
    "sitecache-files": Server(keeping_in(_files), own_version),
}

BARE_NGINX = "bare-nginx"
#: Measured alone in the load `ceiling`: the origin itself, on the core of the servers under test.
BARE = Server(origin_command, lambda: program_version("nginx", "-v"))
