"""What an operator is warned of, and what not."""

# ruff: noqa: E501  a row is one line of output, whole

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.config.memory_limit import memory_limit
from proxy.config.pitfalls import warnings

UP = "upstream: http://127.0.0.1:8000\n"
MIB = 2**20
PAGES = "CACHES: {default: {BACKEND: locmem, OPTIONS: {MAX_ENTRIES: null, MAX_BYTES: 100MiB}}}\n"


def warned(yaml: str, folder: Path, memory: int | None = None, cores: int | None = None) -> list[str]:
    file = folder / "site.yaml"
    file.write_text(yaml if "upstream:" in yaml else UP + yaml)
    return warnings(load(file, {}, {}), memory, cores)


@pytest.mark.parametrize(
    ("yaml", "memory", "cores", "expected"),
    [
        pytest.param("", 256 * MIB, None, "MAX_BYTES: the caches may hold 256MiB, and the memory limit of this control group is 256MiB: when they fill up, the kernel ends the process", id="memory"),
        pytest.param(PAGES + "workers: 1", 124 * MIB, None, "MAX_BYTES: the caches may hold 100MiB, and the memory limit of this control group is 124MiB: when they fill up, the kernel ends the process", id="memory-left-for-nothing-else"),
        pytest.param("workers: 2", 300 * MIB, None, "MAX_BYTES: the caches may hold 256MiB, and the memory limit of this control group is 300MiB: when they fill up, the kernel ends the process", id="memory-of-all"),
        pytest.param("workers: 3", None, 2, "workers: 3 are more than the 2 usable cores", id="cores"),
        pytest.param("workers: 2\nCACHES: {default: {BACKEND: locmem, OPTIONS: {MAX_ENTRIES: null}}}", None, None, 'workers: each of the 2 has its own "default" cache: a page is fetched once for each, and invalidated in one only', id="cache-of-each"),
        pytest.param("workers: 2\nCACHES: {default: {BACKEND: locmem, OPTIONS: {MAX_ENTRIES: null}}}", 600 * MIB, None, "MAX_BYTES: the caches may hold 512MiB in 2 workers, and the memory limit of this control group is 600MiB: when they fill up, the kernel ends the process", id="memory-of-each"),
        pytest.param("workers: 2\nCACHES: {default: {BACKEND: redis, LOCAL_TIER: 64MiB}}", 128 * MIB, None, "MAX_BYTES, LOCAL_TIER: the caches may hold 128MiB in 2 workers, and the memory limit of this control group is 128MiB: when they fill up, the kernel ends the process", id="memory-of-local-tiers"),
        pytest.param("CACHES: {default: {BACKEND: locmem}}", None, None, "CACHES.default.OPTIONS.MAX_ENTRIES: Django's default of 300 is few for pages: set it, or set it to null to be bounded by MAX_BYTES alone", id="few-pages"),
        pytest.param("CACHES: {default: {BACKEND: locmem, OPTIONS: {MAX_ENTRIES: null, MAX_BYTES: null}}}", None, None, "CACHES.default.OPTIONS: neither MAX_BYTES nor MAX_ENTRIES is set: the cache grows until memory runs out", id="unbounded"),
        pytest.param("CACHES: {default: {BACKEND: dummy}}", None, None, 'CACHE_MIDDLEWARE_ALIAS: "default" is a dummy cache: nothing is ever stored', id="dummy"),
        pytest.param("CACHES: {default: {BACKEND: redis, SERIALIZER: pickle}}", None, None, "CACHES.default.SERIALIZER: pickle runs whatever code a stored value holds: whoever can write to the store can run code here", id="pickles"),
        pytest.param("workers: 2\nCACHES: {default: {BACKEND: redis}, mine: {BACKEND: locmem, OPTIONS: {MAX_ENTRIES: 5}}}", None, None, 'workers: each of the 2 has its own "mine" cache: a page is fetched once for each, and invalidated in one only', id="only-memory-is-of-each"),
        pytest.param("limits: {stored_body: 1GiB}", None, None, "limits.stored_body: 1GiB for one response is more than CACHES.default.OPTIONS.MAX_BYTES (256MiB) holds: such a response is never kept", id="body-larger-than-cache"),
        pytest.param("set_cookie: explicit", None, None, "set_cookie: explicit: a cookie in a response that says how long it is fresh is set in every visitor's browser: if it is a session, they all share it", id="set-cookie"),
        pytest.param("sites: {a: {hosts: a.org, routes: [{match: /a}, {set_cookie: explicit}]}}", None, None, "sites.a.routes[1].set_cookie: explicit: a cookie in a response that says how long it is fresh is set in every visitor's browser: if it is a session, they all share it", id="set-cookie-of-a-route"),
        pytest.param("identity_fields: [X-Our-Key]", None, None, "identity_fields: API keys and the fields of authenticating proxies say nothing of who asks; add usual to count them too", id="identity-fields-without-the-usual"),
        pytest.param("downstream_headers: true\npurge: {dialects: wagtail, networks: 127.0.0.1, token: 0123456789abcdef}", None, None, "downstream_headers: browsers are told to keep pages for the operator's lifetime, and what is purged here stays there; leave it out where purge.dialects are set", id="told-and-purged"),
        pytest.param("cookies: {ignore: [sessionid]}", None, None, 'cookies.ignore: "sessionid" covers "sessionid", which looks like a session: one user may be shown another\'s page', id="session"),
        pytest.param("cookies: {ignore: ['*']}", None, None, 'cookies.ignore: "*" covers "sessionid", which looks like a session: one user may be shown another\'s page', id="every-cookie"),
        pytest.param("cookies: {ignore: ['phpsess*']}", None, None, 'cookies.ignore: "phpsess*" covers "PHPSESSID", which looks like a session: one user may be shown another\'s page', id="session-by-pattern"),
        pytest.param("routes: [{cookies: {ignore: [jwt]}}]", None, None, 'routes[0].cookies.ignore: "jwt" covers "jwt", which looks like a session: one user may be shown another\'s page', id="session-of-a-route"),
        pytest.param("sites: {a: {hosts: a.org, cookies: {ignore: '*', preset: django}}}", None, None, 'sites.a.cookies.ignore: "*" covers "PHPSESSID", which looks like a session: one user may be shown another\'s page', id="session-that-the-preset-does-not-know"),
        pytest.param("cookies: {ignore: ['wordpress_logged_in_*']}", None, None, 'cookies.ignore: "wordpress_logged_in_*" covers "wordpress_logged_in_0", which looks like a session: one user may be shown another\'s page', id="wordpress"),
        pytest.param("trusted_proxies: [0.0.0.0/0]", None, None, "trusted_proxies: 0.0.0.0/0 is everybody: any client can claim any address, scheme and host", id="trusts-everybody"),
        pytest.param("client_cache_control: trusted", None, None, "client_cache_control: trusted, and trusted_proxies is empty: no request's Cache-Control counts", id="trusts-nobody"),
        pytest.param("listen: unix:/a\ntrusted_proxies: 10.0.0.0/8", None, None, "listen: unix:/a: whoever comes over a Unix socket is a proxy on this machine: name it (trusted_proxies: [unix]), or its X-Forwarded-For and -Proto are dropped", id="unix-and-not-trusted"),
        pytest.param("listen: :8080", None, None, "listen: :8080 can be reached from outside and trusted_proxies is empty: behind a load balancer, name its network, or its X-Forwarded-For and -Proto are dropped", id="public"),
        pytest.param("upstream: http://web:80\nlisten: :80\ntrusted_proxies: 10.0.0.0/8", None, None, "upstream.url: has the port of listen (:80): if web is this machine, requests go round in a loop", id="same-port"),
        pytest.param("routes: [{match: /a}, {match: [/b, '*']}, {match: /c}]", None, None, "routes[1]: takes every request: those behind it are never reached", id="routes-never-reached"),
        pytest.param("routes: [{regex: ^/a$}, {regex: '^/([a-z]+-?)+$'}]", None, None, 'routes[1].regex: "([a-z]+-?)+" repeats a repetition: on a path made for it, matching takes longer than anybody waits', id="slow-pattern"),
        pytest.param("sites: {a: {hosts: a.org, routes: [{regex: (a*)*b}]}}", None, None, 'sites.a.routes[0].regex: "(a*)*" repeats a repetition: on a path made for it, matching takes longer than anybody waits', id="slow-pattern-of-a-site"),
        pytest.param("CACHES: {default: {BACKEND: locmem}, d: {BACKEND: dummy}}\nroutes: [{cache: d}]", None, None, 'routes[0].cache: "d" is a dummy cache: nothing is ever stored', id="dummy-of-a-route"),
        pytest.param("CACHES: {default: {BACKEND: locmem}, d: {BACKEND: dummy}}\nsites: {a: {hosts: a.org, CACHE_MIDDLEWARE_ALIAS: d}}", None, None, 'sites.a.CACHE_MIDDLEWARE_ALIAS: "d" is a dummy cache: nothing is ever stored', id="dummy-of-a-site"),
        pytest.param("sites: {a: {hosts: a.org, upstream: 'http://web:80'}}\nlisten: :80\ntrusted_proxies: 10.0.0.0/8", None, None, "sites.a.upstream.url: has the port of listen (:80): if web is this machine, requests go round in a loop", id="same-port-of-a-site"),
        pytest.param(f"upstream: {{url: http://web, ca_file: {__file__}}}", None, None, "upstream.ca_file: has no effect, since upstream.url is not https", id="ca-for-http"),
    ],
)  # fmt: skip
def test_warning(yaml: str, memory: int | None, cores: int | None, expected: str, tmp_path: Path) -> None:
    got = warned(yaml, tmp_path, memory, cores)
    assert expected in got
    assert all(line.isprintable() for line in got)


@pytest.mark.parametrize(
    ("yaml", "memory", "cores"),
    [
        pytest.param("", None, None, id="nothing-set"),
        pytest.param("", 2**30, 2, id="room-enough"),
        pytest.param(PAGES, 128 * MIB, None, id="room-for-the-rest"),
        pytest.param("CACHES: {default: {BACKEND: locmem, OPTIONS: {MAX_ENTRIES: 300}}}", None, None, id="few-pages-on-purpose"),
        *(
            pytest.param(f"workers: 2\nlimits: {{stored_body: 1GiB}}\nCACHES: {{default: {{BACKEND: {name}}}}}", 2**20, None, id=name)
            for name in ("filebased", "redis", "pymemcache", "pylibmc", "db", "my.own.Cache")
        ),
        pytest.param("listen: [127.0.0.1:1, '[::1]:1', unix:/a]\ntrusted_proxies: unix", None, None, id="loopback"),
        pytest.param("listen: :80\ntrusted_proxies: 10.0.0.0/8", None, None, id="public-behind-a-proxy"),
        pytest.param("upstream: http://web:80\nlisten: 127.0.0.1:80", None, None, id="same-port-elsewhere"),
        pytest.param("upstream: unix:/a\nlisten: unix:/b\ntrusted_proxies: [10.0.0.0/8, unix]", None, None, id="sockets"),
        pytest.param("cookies: {ignore: ['_ga*', 'sess!']}", None, None, id="analytics"),
        pytest.param(f"upstream: {{url: https://web, ca_file: {__file__}}}", None, None, id="ca-for-https"),
    ],
)  # fmt: skip
def test_no_warning(yaml: str, memory: int | None, cores: int | None, tmp_path: Path) -> None:
    assert warned(yaml, tmp_path, memory, cores) == []


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        pytest.param({}, None, id="no-control-groups"),
        pytest.param({"sys/fs/cgroup/memory.max": "max\n"}, None, id="v2-unlimited"),
        pytest.param({"sys/fs/cgroup/memory.max": "1048576\n"}, 1048576, id="v2-in-a-container"),
        pytest.param({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "7\n"}, 7, id="v2-of-a-service"),
        pytest.param(
            {"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "5\n", "sys/fs/cgroup/a/b/memory.max": "max"}, 5, id="v2-above"
        ),
        pytest.param({"proc/self/cgroup": "0::/../x\n", "sys/x/memory.max": "5"}, None, id="v2-outside-what-we-see"),
        pytest.param({"sys/fs/cgroup/memory/memory.limit_in_bytes": "4096\n"}, 4096, id="v1"),
        pytest.param({"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, None, id="v1-unlimited"),
        pytest.param({"sys/fs/cgroup/memory.max": "ä", "proc/self/cgroup": "1:memory:/a"}, None, id="unreadable"),
    ],
)  # fmt: skip
def test_memory_limit(files: dict[str, str], limit: int | None, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    assert memory_limit(tmp_path) == limit
