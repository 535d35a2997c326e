"""Which servers can be measured, and with which configuration?"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import Template

from tests.bench.load.traffic import STORED, UNCACHEABLE, page

HERE = Path(__file__).parent
#: What each cache may hold: all pages of the hits load many times over, far less than a cold round brings.
CACHE_MEGABYTES = 256
#: Where the origin tells how many requests it has had.
ASKED = "/asked"
#: How nginx sends stored pages: what measured fastest here, 88,000 hits/s against 57,000 with sendfile alone ...
NGINX_FILES = "sendfile off; open_file_cache max=10000 inactive=60s; open_file_cache_valid 60s;"
#: ... and what Debian's nginx.conf says.
NGINX_FILES_DEBIAN = "sendfile on; tcp_nopush on;"


@dataclass(frozen=True, slots=True)
class Server:
    """A server under test: the command that starts it in a folder of its own, and its version."""

    command: Callable[[Path, int, int], list[str]]
    """(empty folder, port to listen on, port of the origin) -> command that stays in the foreground"""
    version: Callable[[], str]


def nginx_instance(folder: Path, template: str, **values: object) -> list[str]:
    """The command of an nginx of our own, with all its files in `folder`."""
    (folder / "cache").mkdir()
    (folder / "temp").mkdir()
    text = Template((HERE / template).read_text()).substitute(
        folder=folder,
        # The folder is private to whoever runs this, so root's workers stay root.
        user="user root root;" if os.geteuid() == 0 else "",
        megabytes=CACHE_MEGABYTES,
        uncacheable=UNCACHEABLE,
        **values,
    )
    config = folder / "nginx.conf"
    config.write_text(text)
    return ["nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(config)]


def origin_command(folder: Path, port: int) -> list[str]:
    """The origin: an nginx that answers every page from memory and counts what it was asked."""
    path = STORED + "0" * 10
    return nginx_instance(folder, "origin.conf", port=port, asked=ASKED, body=page(path).decode().replace(path, "$uri"))


def _nginx(folder: Path, port: int, origin: int) -> list[str]:
    return nginx_instance(folder, "nginx.conf", port=port, origin=origin, files=NGINX_FILES)


def _nginx_debian(folder: Path, port: int, origin: int) -> list[str]:
    return nginx_instance(folder, "nginx.conf", port=port, origin=origin, files=NGINX_FILES_DEBIAN)


def _varnish(folder: Path, port: int, origin: int) -> list[str]:
    vcl = folder / "site.vcl"
    vcl.write_text(Template((HERE / "site.vcl").read_text()).substitute(origin=origin, uncacheable=UNCACHEABLE))
    parameters = {"thread_pools": 1, "thread_pool_min": 200, "thread_pool_max": 1000, "thread_pool_timeout": 600}
    settings = [word for name, value in parameters.items() for word in ("-p", f"{name}={value}")]
    return [
        *("varnishd", "-F", "-j", "none", "-n", str(folder / "varnish"), "-a", f"127.0.0.1:{port}", "-f", str(vcl)),
        *("-s", f"malloc,{CACHE_MEGABYTES}m", *settings),
    ]


def _sitecache(_: Path, port: int, origin: int) -> list[str]:
    return [
        *(sys.executable, "-m", "proxy", "serve", "--upstream", f"http://127.0.0.1:{origin}"),
        *("--listen", f"127.0.0.1:{port}", "--admin", "off"),
    ]


def program_version(*command: str) -> str:
    """The version number in what a program says of itself."""
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", said.stdout + said.stderr)
    return found[0] if found else "?"


SERVERS = {
    "sitecache": Server(_sitecache, lambda: program_version(sys.executable, "-m", "proxy", "version")),
    "nginx": Server(_nginx, lambda: program_version("nginx", "-v")),
    "nginx-debian": Server(_nginx_debian, lambda: program_version("nginx", "-v")),
    "varnish": Server(_varnish, lambda: program_version("varnishd", "-V")),
}

#: Measured alone in the load `ceiling`: the origin itself, on the core of the servers under test.
BARE = Server(lambda folder, port, _: origin_command(folder, port), lambda: program_version("nginx", "-v"))
