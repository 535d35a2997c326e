"""What each right configuration is read as, and where each value is said to come from."""

# ruff: noqa: A002, E501  a row is one line of output, whole, named by pytest's own word

from __future__ import annotations

from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path

import pytest

from proxy.config.load import Loaded, load
from proxy.config.model import DEFAULT_CACHES, AccessLog, ClientCacheControl, Config, UpstreamConfig
from proxy.config.reader import leaves
from proxy.config.rules import usable_cores
from proxy.errors import ConfigError

UP = "upstream: http://127.0.0.1:8000\n"
CONFIG = Path(__file__).parents[2] / "config"


def loaded(text: str, folder: Path, environ: Mapping[str, str] | None = None, **overrides: object) -> Loaded:
    (folder / "site.yaml").write_text(text, "utf-8")
    with chdir(folder):
        return load(Path("site.yaml"), environ or {}, overrides)


def value(config: Config, path: str) -> object:
    return next(leaf.value for leaf in leaves(config) if leaf.path == path)


def row(yaml: str, path: str, expected: object, *, id: str) -> object:
    return pytest.param(UP + yaml, path, expected, id=id)


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        # durations, sizes, counts
        row("timeouts: {header: 250ms}", "timeouts.header", 0.25, id="milliseconds"),
        row("timeouts: {header: 90}", "timeouts.header", 90, id="bare-seconds"),
        row("timeouts: {header: 1.5}", "timeouts.header", 1.5, id="fraction-of-seconds"),
        row("timeouts: {header: '5m'}", "timeouts.header", 300, id="quoted-duration"),
        row("timeouts: {drain: 0}", "timeouts.drain", 0, id="zero-where-it-means-something"),
        row("limits: {body: 2GiB}", "limits.body", 2**31, id="binary-size"),
        row("limits: {body: 10KB}", "limits.body", 10_000, id="decimal-size"),
        row("limits: {body: 1.5KiB}", "limits.body", 1536, id="fraction-of-a-unit"),
        row("limits: {body: 0}", "limits.body", 0, id="no-request-bodies"),
        row("limits: {headers: 1_000}", "limits.headers", 1000, id="underscores"),
        row("workers: auto", "workers", usable_cores(), id="workers-auto"),
        row("CACHES: {default: {BACKEND: locmem, TIMEOUT: null}}", "CACHES.default.TIMEOUT", None, id="timeout-never"),
        row("CACHES: {default: {BACKEND: locmem, TIMEOUT: 0}}", "CACHES.default.TIMEOUT", 0, id="timeout-zero"),
        row("CACHES: {default: {BACKEND: locmem, OPTIONS: {MAX_BYTES: }}}", "CACHES.default.OPTIONS.MAX_BYTES", None, id="empty-is-null"),
        # words
        row("access_log: off", "access_log", AccessLog.OFF, id="off-is-a-word"),
        row("access_log: 'off'", "access_log", AccessLog.OFF, id="off-quoted"),
        row("access_log: json", "access_log", AccessLog.JSON, id="json"),
        row("client_cache_control: trusted", "client_cache_control", ClientCacheControl.TRUSTED, id="trusted"),
        # text
        row("CACHE_MIDDLEWARE_KEY_PREFIX: 'no'", "CACHE_MIDDLEWARE_KEY_PREFIX", "no", id="quoted-boolean"),
        row("CACHE_MIDDLEWARE_KEY_PREFIX: !!str 1", "CACHE_MIDDLEWARE_KEY_PREFIX", "1", id="explicit-string"),
        row("CACHE_MIDDLEWARE_KEY_PREFIX: 2026-01-01", "CACHE_MIDDLEWARE_KEY_PREFIX", "2026-01-01", id="date-is-text"),
        row("CACHE_MIDDLEWARE_KEY_PREFIX: häuser", "CACHE_MIDDLEWARE_KEY_PREFIX", "häuser", id="utf-8"),
        row("CACHE_MIDDLEWARE_KEY_PREFIX: a$b{c}$$d", "CACHE_MIDDLEWARE_KEY_PREFIX", "a$b{c}$$d", id="dollars-alone"),
        row("CACHE_MIDDLEWARE_KEY_PREFIX: $${N}", "CACHE_MIDDLEWARE_KEY_PREFIX", "${N}", id="escaped-variable"),
        # listeners
        row("listen: :80", "listen", (":80",), id="every-address"),
        row("listen: 8080", "listen", ("127.0.0.1:8080",), id="port-alone"),
        row("listen: '8080'", "listen", ("127.0.0.1:8080",), id="port-alone-quoted"),
        row("listen: '[::1]:80'", "listen", ("[::1]:80",), id="ipv6"),
        row("listen: '[0:0::1]:80'", "listen", ("[::1]:80",), id="ipv6-written-at-length"),
        row("listen: LocalHost:80", "listen", ("localhost:80",), id="name"),
        row("listen: my_app.internal.:80", "listen", ("my_app.internal.:80",), id="name-with-underscore-and-root"),
        row("listen: unix:/run/a.sock", "listen", ("unix:/run/a.sock",), id="socket"),
        row("listen: [1.2.3.4:80, 127.0.0.1:80, 'unix:/a']", "listen", ("1.2.3.4:80", "127.0.0.1:80", "unix:/a"), id="several"),
        row("listen: [127.0.0.1:0, 127.0.0.1:0]", "listen", ("127.0.0.1:0", "127.0.0.1:0"), id="any-free-port-twice"),
        row("listen: ['0.0.0.0:80', '[::]:80']", "listen", ("0.0.0.0:80", "[::]:80"), id="both-ip-versions"),
        row("admin: off", "admin.listen", "off", id="admin-off"),
        row("admin: {listen: 'off'}", "admin.listen", "off", id="admin-off-in-its-section"),
        row("admin: localhost:1", "admin.listen", "localhost:1", id="admin-address"),
        row("admin: unix:/run/b", "admin.listen", "unix:/run/b", id="admin-socket"),
        row("admin: {listen: '0.0.0.0:9180', token: abcdefghijklmnop}", "admin.listen", "0.0.0.0:9180", id="admin-with-a-token"),
        row("admin: '[::1]:1'", "admin.listen", "[::1]:1", id="admin-ipv6"),
        # lists
        row("trusted_proxies: 10.0.0.0/8", "trusted_proxies", ("10.0.0.0/8",), id="one-for-a-list"),
        row("trusted_proxies: [10.1.2.3, '::1', 'fc00::/7']", "trusted_proxies", ("10.1.2.3/32", "::1/128", "fc00::/7"), id="networks"),
        row("trusted_proxies: [unix, 'unix:', 10.0.0.0/8]", "trusted_proxies", ("unix", "unix", "10.0.0.0/8"), id="unix-peers"),
        row("request_fields: {key: X-Tenant, forward: ['HX-*']}", "request_fields.forward", ("hx-*",), id="request-fields"),
        row("trusted_proxies: []", "trusted_proxies", (), id="empty-list"),
        row("cookies: {ignore: ['_a*', b]}", "cookies.ignore", ("_a*", "b"), id="cookies"),
        row("cookies: {preset: django}", "cookies.preset", ("django",), id="preset"),
        row("cookies: {preset: []}", "cookies.preset", (), id="no-preset"),
        row("normalize: {accept-encoding: [BR, gzip]}", "normalize.accept_encoding", ("br", "gzip"), id="named-like-a-field"),
        row("normalize: {accept_language: [en, pt-BR]}", "normalize.accept_language", ("en", "pt-br"), id="named-like-ours"),
        row("normalize: {fields: ['*', X-A]}", "normalize.fields", ("*", "x-a"), id="lists"),
        # caches
        *(
            row(f"CACHES: {{default: {{BACKEND: {spelling}}}}}", "CACHES.default.BACKEND", backend, id=spelling)
            for backend, cls in (("locmem", "LocMemCache"), ("dummy", "DummyCache"))
            for spelling in (backend, f"django.core.cache.backends.{backend}.{cls}", f"proxy.storage.backends.{backend}.{cls}")
        ),
        row("CACHES: {'default': {'BACKEND': 'locmem', 'OPTIONS': {'MAX_ENTRIES': 10000,},},}", "CACHES.default.OPTIONS.MAX_ENTRIES", 10000, id="pasted-python"),
        row("CACHES: {default: {BACKEND: locmem}}", "CACHES.default.OPTIONS.MAX_ENTRIES", 300, id="djangos-default"),
        row("CACHES: {default: {BACKEND: locmem}, a b: {BACKEND: dummy}}", 'CACHES."a b".BACKEND', "dummy", id="alias-with-a-space"),
        row("CACHES:\n  default: &d {BACKEND: locmem, VERSION: 2}\n  b: {<<: *d, KEY_PREFIX: x}", "CACHES.b.VERSION", 2, id="merge"),
        row("CACHES:\n  default: &d {BACKEND: locmem, VERSION: 2}\n  b: {<<: [*d, *d], VERSION: 3}", "CACHES.b.VERSION", 3, id="own-key-over-merged"),
    ],
)  # fmt: skip
def test_value(text: str, path: str, expected: object, tmp_path: Path) -> None:
    assert value(loaded(text, tmp_path).config, path) == expected


@pytest.mark.parametrize(
    ("upstream", "expected"),
    [
        pytest.param("http://127.0.0.1:8000", "http://127.0.0.1:8000", id="http"),
        pytest.param("http://app", "http://app:80", id="port-of-http"),
        pytest.param("https://App.Example/", "https://app.example:443", id="port-of-https-and-slash"),
        pytest.param("HTTP://[::1]:9", "http://[::1]:9", id="ipv6"),
        pytest.param("http://my_app:8000", "http://my_app:8000", id="underscore"),
        pytest.param("unix:/run/app.sock", "unix:/run/app.sock", id="socket"),
        pytest.param("{url: http://app:1}", "http://app:1", id="section"),
    ],
)
def test_upstream(upstream: str, expected: str, tmp_path: Path) -> None:
    assert loaded(f"upstream: {upstream}", tmp_path).config.upstream.url == expected


@pytest.mark.parametrize(
    ("yaml", "path", "expected", "origin"),
    [
        pytest.param("workers: ${N}", "workers", 3, "${N} at site.yaml:2", id="number"),
        pytest.param("workers: '${N}'", "workers", 3, "${N} at site.yaml:2", id="number-in-quotes"),
        pytest.param("workers: ${NONE:-4}", "workers", 4, "${NONE} at site.yaml:2", id="default"),
        pytest.param("workers: ${EMPTY:-4}", "workers", 4, "${EMPTY} at site.yaml:2", id="default-for-empty"),
        pytest.param("CACHE_MIDDLEWARE_KEY_PREFIX: ${N}", "CACHE_MIDDLEWARE_KEY_PREFIX", "3", "${N} at site.yaml:2", id="digits-as-text"),
        pytest.param("CACHE_MIDDLEWARE_KEY_PREFIX: a${N}-${T}", "CACHE_MIDDLEWARE_KEY_PREFIX", "a3-t", "${N}, ${T} at site.yaml:2", id="two"),
        pytest.param("CACHE_MIDDLEWARE_KEY_PREFIX: '${EMPTY}'", "CACHE_MIDDLEWARE_KEY_PREFIX", "", "${EMPTY} at site.yaml:2", id="empty"),
        pytest.param("CACHE_MIDDLEWARE_KEY_PREFIX: ${BRACED}", "CACHE_MIDDLEWARE_KEY_PREFIX", "${N}", "${BRACED} at site.yaml:2", id="read-once"),
        pytest.param("trusted_proxies: ${NETS}", "trusted_proxies", ("10.0.0.0/8", "::1/128"), "${NETS} at site.yaml:2", id="list"),
        pytest.param("limits: {body: '${N}MiB'}", "limits.body", 3 * 2**20, "${N} at site.yaml:2", id="part-of-a-size"),
        pytest.param("admin: ${OFF}", "admin.listen", "off", "${OFF} at site.yaml:2", id="off"),
        pytest.param("CACHES: {default: {BACKEND: dummy, TIMEOUT: '${NULL}'}}", "CACHES.default.TIMEOUT", None, "${NULL} at site.yaml:2", id="null"),
    ],
)  # fmt: skip
def test_environment_in_the_file(yaml: str, path: str, expected: object, origin: str, tmp_path: Path) -> None:
    environ = {
        "N": "3",
        "T": "t",
        "EMPTY": "",
        "BRACED": "${N}",
        "NETS": "10.0.0.0/8, ::1",
        "OFF": "off",
        "NULL": "null",
    }
    got = loaded(UP + yaml, tmp_path, environ)
    assert (value(got.config, path), got.origins[path]) == (expected, origin)


@pytest.mark.parametrize(
    ("environ", "overrides", "path", "expected", "origin"),
    [
        pytest.param({}, {}, "workers", 2, "site.yaml:2", id="file"),
        pytest.param({"SITECACHE_WORKERS": "3"}, {}, "workers", 3, "environment SITECACHE_WORKERS", id="environment-over-file"),
        pytest.param({"SITECACHE_WORKERS": ""}, {}, "workers", 2, "site.yaml:2", id="empty-is-unset"),
        pytest.param({"SITECACHE_WORKERS": "3"}, {"workers": "4"}, "workers", 4, "option --workers", id="option-over-environment"),
        pytest.param({}, {"workers": None}, "workers", 2, "site.yaml:2", id="option-not-given"),
        pytest.param({}, {"workers": 5}, "workers", 5, "option --workers", id="a-number"),
        pytest.param({}, {"workers": "auto"}, "workers", usable_cores(), "option --workers (auto)", id="auto"),
        pytest.param({"SITECACHE_UPSTREAM": "unix:/a"}, {}, "upstream.url", "unix:/a", "environment SITECACHE_UPSTREAM", id="upstream"),
        pytest.param({}, {"upstream": "unix:/b"}, "upstream.url", "unix:/b", "option --upstream", id="upstream-option"),
        pytest.param({}, {"upstream": "unix:/b"}, "upstream.max_idle", 9, "site.yaml:1", id="beside-the-url-all-stays"),
        pytest.param({}, {"upstream.max_idle": 7}, "upstream.url", "http://a:80", "site.yaml:1", id="beside-the-option-all-stays"),
        pytest.param({}, {"timeouts.idle": "5s"}, "timeouts.idle", 5, "option timeouts.idle", id="any-path"),
        pytest.param({"SITECACHE_LISTEN": ":1, :2"}, {}, "listen", (":1", ":2"), "environment SITECACHE_LISTEN", id="listeners"),
        pytest.param({}, {"listen": (":1", ":2")}, "listen", (":1", ":2"), "option --listen", id="listen-options"),
        pytest.param({}, {"listen": ()}, "listen", ("127.0.0.1:8080",), "default", id="no-listen-option"),
        pytest.param({"SITECACHE_ADMIN": "off"}, {}, "admin.listen", "off", "environment SITECACHE_ADMIN", id="admin"),
        pytest.param({}, {"admin": "off"}, "admin.listen", "off", "option --admin", id="admin-option"),
        pytest.param({"SITECACHE_ACCESS_LOG": "text"}, {}, "access_log", AccessLog.TEXT, "environment SITECACHE_ACCESS_LOG", id="log"),
        pytest.param({}, {"access_log": "json"}, "access_log", AccessLog.JSON, "option --access-log", id="log-option"),
    ],
)  # fmt: skip
def test_what_stands_above_what(
    environ: dict[str, str], overrides: dict[str, object], path: str, expected: object, origin: str, tmp_path: Path
) -> None:
    got = loaded("upstream: {url: http://a, max_idle: 9}\nworkers: 2\n", tmp_path, environ, **overrides)
    assert (value(got.config, path), got.origins[path]) == (expected, origin)


def test_option_over_upstream_in_its_short_form(tmp_path: Path) -> None:
    assert loaded("upstream: http://a\n", tmp_path, upstream="http://b").config.upstream.url == "http://b:80"
    kept = loaded("upstream: http://a\n", tmp_path, **{"upstream.max_idle": 3}).config.upstream
    assert kept == UpstreamConfig(url="http://a:80", max_idle=3)


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        pytest.param({"workers": True}, "the boolean true", id="boolean"),
        pytest.param({"workers": 1.5}, "1.5", id="fraction"),
        pytest.param({"workers": {"n": 1}}, "a mapping", id="mapping"),
        pytest.param({"workers": [None]}, "a list", id="list"),
        pytest.param({"workers": 10**40}, "(too long)", id="huge"),
        pytest.param({"workers": object}, "\"<class 'object'>\"", id="object"),
    ],
)
def test_option_of_a_wrong_type(overrides: dict[str, object], found: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(None, {}, {"upstream": "http://a"} | overrides)
    expected = "a whole number from 1 to 1024, or auto"
    assert str(raised.value) == f"config error: option --workers: workers: expected {expected}, found {found}"


def test_option_does_not_hide_a_section_of_a_wrong_shape(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"upstream: expected a mapping with url, .*, found a list"):
        loaded("upstream: [a]", tmp_path, upstream="http://a")


def test_without_a_file_an_upstream_is_enough() -> None:
    got = load(None, {}, {"upstream": "http://127.0.0.1:8000"})
    assert got.config == Config(upstream=UpstreamConfig(url="http://127.0.0.1:8000"))
    assert got.config.CACHES == DEFAULT_CACHES
    assert {path for path, origin in got.origins.items() if origin != "default"} == {"upstream.url"}


def test_every_setting_has_an_origin(tmp_path: Path) -> None:
    got = loaded(UP + "CACHES: {default: {BACKEND: dummy}}", tmp_path)
    assert list(got.origins) == [leaf.path for leaf in leaves(got.config)]


def test_certificates_that_exist(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x")
    assert loaded("upstream: {url: https://a, ca_file: ca.pem}", tmp_path).config.upstream.ca_file == "ca.pem"


def test_byte_order_mark_and_crlf(tmp_path: Path) -> None:
    assert loaded("\ufeffupstream: http://a\r\nworkers: 2\r\n", tmp_path).config.workers == 2


@pytest.mark.parametrize("name", [path.name for path in sorted(CONFIG.glob("*.yaml"))])
def test_ready_configurations(name: str) -> None:
    upstream = load(CONFIG / name, {}, {}).config.upstream
    assert upstream is not None
    assert upstream.url == "http://127.0.0.1:8000"


def test_sites_and_routes(tmp_path: Path) -> None:
    text = UP + (
        "ALLOWED_HOSTS: [.Example.ORG., '[::0001]', '*']\n"
        "routes: [{match: [/a, '*.css'], cache_page: 5m, vary_on: [User-Agent, 'cookie:Lang'], status_ttl: {404: 30s, 5xx: 1}}]\n"
        "sites: {s: {hosts: [A.org], upstream: 'http://127.0.0.1:9', routes: [{bypass: yes, hosts: [], methods: []}]}}\n"
    )
    config = loaded(text, tmp_path).config
    assert config.ALLOWED_HOSTS == (".example.org", "[::1]", "*")
    (route,) = config.routes
    assert (route.match, route.cache_page, route.vary_on) == (("/a", "*.css"), 300, ("user-agent", "cookie:Lang"))
    assert route.status_ttl == {"404": 30, "5xx": 1}
    site = config.sites["s"]
    assert site.hosts == ("a.org",)
    assert site.upstream is not None
    assert site.upstream.url == "http://127.0.0.1:9"
    assert site.routes[0].bypass


@pytest.mark.parametrize(
    "given", ["[en, pt-br]", "[[en, English], [pt-br, Portugues]]", "'en, pt-br'", "[en, en, pt-br]"]
)
def test_languages_as_django_has_them(given: str, tmp_path: Path) -> None:
    assert loaded(f"{UP}LANGUAGES: {given}\n", tmp_path).config.LANGUAGES == ("en", "pt-br")


def test_where_a_zone_is_named(tmp_path: Path) -> None:
    text = UP + "USE_TZ: true\nTIME_ZONE: Europe/Berlin\ntimezone_from: header:X-Zone\n"
    assert loaded(text, tmp_path).config.timezone_from == "header:x-zone"


def test_both_ready_configurations_are_there() -> None:
    assert {"minimal.yaml", "django.yaml"} <= {path.name for path in CONFIG.glob("*.yaml")}


@pytest.mark.rfc(9111, "1.2.2")
def test_the_longest_duration(tmp_path: Path) -> None:
    assert loaded(UP + "stale_if_error: 2147483647", tmp_path).config.stale_if_error == 2**31 - 1
    with pytest.raises(ConfigError):
        loaded(UP + "stale_if_error: 2147483648", tmp_path)
