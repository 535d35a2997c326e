"""Each wrong configuration, and the one line it gets."""

# ruff: noqa: A002, E501  a row is one line of output, whole, named by pytest's own word

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.config.locales import LANGUAGES
from proxy.errors import ConfigError

ADDRESS = 'an address such as "127.0.0.1:8080", ":8080" or "unix:/run/site.sock"'
URL = 'a URL such as "http://127.0.0.1:8000", or "unix:/run/app.sock"'
ADMIN = 'an address such as "127.0.0.1:9180", "unix:/run/admin.sock", or off'
LASTING = "a duration longer than 0, such as 30s or 5m"
DURATION = "a duration such as 30s, 5m or 1d"
BACKEND = "locmem, dummy, shared, filebased, redis, pymemcache, pylibmc or db, or the dotted path of a class"
NETWORK = 'a network such as "10.0.0.0/8", or an address'
PROXY = 'a network such as "10.0.0.0/8", an address, or unix'
GUARDED = "a loopback address or a Unix socket where there is no admin.token"
TOKEN = "or set admin.token, as ${ADMIN_TOKEN}"
ROUTE = (
    "match, regex, methods, hosts, name, cache_page, cache, key_prefix, bypass, never_cache, cache_control, vary_on, "
    "stale_while_revalidate, stale_if_error, status_ttl, query, cookies, normalize, "
    "set_cookie, remove_set_cookie and downstream_headers"
)
HOST = "a host such as www.example.org, or .example.org for it and all below it"
UP = "upstream: http://127.0.0.1:8000\n"
GIVE = "give it with --upstream http://127.0.0.1:8000, or with upstream: in the file"


def faults(text: str | bytes, folder: Path, **environ: str) -> list[str]:
    (folder / "site.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with chdir(folder), pytest.raises(ConfigError) as raised:
        load(Path("site.yaml"), environ, {})
    return [str(fault).removeprefix("config error: ") for fault in raised.value.faults]


def line(yaml: str, expected: str, *, at: int = 2, id: str) -> object:
    return pytest.param(UP + yaml, f"site.yaml:{at}: {expected}" if at else expected, id=id)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # names
        line("limit: {}", 'limit: expected a known key, found an unknown key; did you mean "limits"?', id="section-misspelt"),
        line(
            "timeouts:\n  idel: 3s",
            'timeouts.idel: expected a known key, found an unknown key; did you mean "idle"?',
            at=3,
            id="key-misspelt",
        ),
        line("Listen: 8081", 'Listen: expected a known key, found an unknown key; did you mean "listen"?', id="key-in-capitals"),
        line(
            "timeouts: {zzz: 1}",
            "timeouts.zzz: expected one of header, body, idle, write, linger or drain, found an unknown key",
            id="key-like-none",
        ),
        line(
            "upgrades: [websocket/13]",
            'upgrades[0]: expected the name of a protocol, as Upgrade has it, such as websocket, found "websocket/13"; '
            "without its version",
            id="protocol-with-a-version",
        ),
        line(
            "upgrades: [web socket]",
            'upgrades[0]: expected the name of a protocol, as Upgrade has it, such as websocket, found "web socket"',
            id="protocol",
        ),
        line(
            "CACHES: {default: {BACKEND: locmem, KEY_FUNCTION: make_key}}",
            'CACHES.default.KEY_FUNCTION: expected the dotted path of a function, or null, found "make_key"',
            id="key-function",
        ),
        line(
            "CACHES: {default: {BACKEND: locmem, MAX_ENTRIES: 5}}",
            "CACHES.default.MAX_ENTRIES: expected a known key, found an unknown key; it belongs under OPTIONS",
            id="misplaced",
        ),
        line(
            "workers: 1\nworkers: 2",
            'workers: expected each key once, found "workers" again; the first is at site.yaml:2',
            at=3,
            id="key-twice",
        ),
        line("[a]: 1", "the file: expected the name of a setting, found a list", id="key-is-a-list"),
        # shapes
        line(
            "timeouts: 5s",
            'timeouts: expected a mapping with header, body, idle, write, linger and drain, found "5s"',
            id="scalar-for-section",
        ),
        line(
            "timeouts:",
            "timeouts: expected a mapping with header, body, idle, write, linger and drain, found nothing; "
            "leave the key out to use the defaults",
            id="empty-section",
        ),
        line("workers: [1]", "workers: expected a whole number from 1 to 1024, or auto, found a list", id="list-for-scalar"),
        line("workers: {n: 1}", "workers: expected a whole number from 1 to 1024, or auto, found a mapping", id="mapping-for-scalar"),
        line("trusted_proxies: {a: 1}", f"trusted_proxies: expected {PROXY}, or a list, found a mapping", id="mapping-for-list"),
        line("listen: []", f"listen: expected {ADDRESS}, or a list of them, found a list; the list is empty", id="no-listener"),
        line("listen:", f"listen: expected {ADDRESS}, or a list, found nothing", id="listen-null"),
        line("listen: [[8080]]", f"listen[0]: expected {ADDRESS}, found a list", id="list-in-list"),
        line("CACHES: [locmem]", "CACHES: expected a mapping of names, found a list", id="caches-a-list"),
        # numbers
        line("workers: true", "workers: expected a whole number from 1 to 1024, or auto, found the boolean true", id="bool-for-count"),
        line("workers: 0", "workers: expected a whole number from 1 to 1024, or auto, found 0", id="no-workers"),
        line("workers: -1", "workers: expected a whole number from 1 to 1024, or auto, found -1", id="negative-workers"),
        line("workers: 1.5", "workers: expected a whole number from 1 to 1024, or auto, found 1.5", id="half-a-worker"),
        line("workers: 2000", "workers: expected a whole number from 1 to 1024, or auto, found 2000", id="too-many-workers"),
        line(
            "workers: atuo",
            'workers: expected a whole number from 1 to 1024, or auto, found "atuo"; did you mean "auto"?',
            id="auto-misspelt",
        ),
        line(
            'workers: "2"',
            'workers: expected a whole number from 1 to 1024, or auto, found "2"; leave out the quotes',
            id="text-for-count",
        ),
        line("workers: 0x10", "workers: expected a whole number from 1 to 1024, or auto, found 0x10", id="hexadecimal"),
        line("workers: 010", "workers: expected a whole number from 1 to 1024, or auto, found 010", id="octal-or-not"),
        line("limits: {headers: 0}", "limits.headers: expected a whole number of at least 1, found 0", id="zero-headers"),
        line(
            "limits: {headers: 99999999999}",
            "limits.headers: expected a whole number of at least 1, found 99999999999",
            id="count-too-large",
        ),
        line("upstream_x: 1", 'upstream_x: expected a known key, found an unknown key; did you mean "upstream"?', id="near-upstream"),
        # durations
        line("timeouts: {header: 5 minutes}", f'timeouts.header: expected {LASTING}, found "5 minutes"', id="words-for-duration"),
        line("timeouts: {header: 0}", f"timeouts.header: expected {LASTING}, found 0", id="zero-timeout"),
        line("timeouts: {header: -5}", f"timeouts.header: expected {LASTING}, found -5", id="negative-timeout"),
        line("timeouts: {header: yes}", f"timeouts.header: expected {LASTING}, found the boolean yes", id="bool-for-duration"),
        line("timeouts: {header: null}", f"timeouts.header: expected {LASTING}, found null", id="null-for-duration"),
        line("timeouts: {header: .inf}", f"timeouts.header: expected {LASTING}, found .inf", id="infinite"),
        line("timeouts: {header: 1:30}", f"timeouts.header: expected {LASTING}, found 1:30", id="sexagesimal"),
        line("timeouts: {header: 1e3}", f'timeouts.header: expected {LASTING}, found "1e3"', id="exponent"),
        line("timeouts: {drain: 100 years}", f'timeouts.drain: expected {DURATION}, found "100 years"', id="years"),
        line("timeouts: {drain: 9999999999}", f"timeouts.drain: expected {DURATION}, found 9999999999", id="duration-too-long"),
        line("timeouts: {drain: 0.0001}", f"timeouts.drain: expected {DURATION}, found 0.0001", id="duration-too-short"),
        line("timeouts: {drain: 00:30}", f'timeouts.drain: expected {DURATION}, found "00:30"', id="clock-time"),
        line(
            "CACHES: {default: {BACKEND: locmem, TIMEOUT: None}}",
            f'CACHES.default.TIMEOUT: expected {DURATION}, or null, found "None"; YAML writes it null',
            id="python-none",
        ),
        # sizes
        line("limits: {body: 1 gigabyte}", 'limits.body: expected a size such as 64KiB or 10MB, found "1 gigabyte"', id="size-in-words"),
        line("limits: {body: 1.5}", "limits.body: expected a size such as 64KiB or 10MB, found 1.5", id="half-a-byte"),
        line("limits: {body: 5m}", 'limits.body: expected a size such as 64KiB or 10MB, found "5m"', id="duration-for-size"),
        line("limits: {body: -1}", "limits.body: expected a size such as 64KiB or 10MB, found -1", id="negative-size"),
        line("limits: {body: 9999999TiB}", 'limits.body: expected a size such as 64KiB or 10MB, found "9999999TiB"', id="size-too-large"),
        line(
            "limits: {stored_body: 0}",
            "limits.stored_body: expected a size of at least 1 byte, such as 64KiB, found 0",
            id="zero-where-meaningless",
        ),
        # text
        line(
            "CACHE_MIDDLEWARE_KEY_PREFIX: 123",
            "CACHE_MIDDLEWARE_KEY_PREFIX: expected a string, found 123; put it in quotes if that is the text you mean",
            id="number-for-text",
        ),
        line(
            "CACHE_MIDDLEWARE_KEY_PREFIX: no",
            "CACHE_MIDDLEWARE_KEY_PREFIX: expected a string, found the boolean no; put it in quotes if that is the text you mean",
            id="norway",
        ),
        line("CACHE_MIDDLEWARE_KEY_PREFIX:", "CACHE_MIDDLEWARE_KEY_PREFIX: expected a string, found nothing", id="nothing-for-text"),
        line(
            'CACHE_MIDDLEWARE_KEY_PREFIX: "a\\nb"',
            'CACHE_MIDDLEWARE_KEY_PREFIX: expected a string, found "a\\nb"; it holds a control character',
            id="newline-in-text",
        ),
        line(
            'CACHE_MIDDLEWARE_KEY_PREFIX: "\\ud800"',
            'CACHE_MIDDLEWARE_KEY_PREFIX: expected a string, found "\\ud800"; it holds a control character',
            id="lone-surrogate",
        ),
        # words
        line("access_log: jsn", 'access_log: expected off, text or json, found "jsn"; did you mean "json"?', id="word-misspelt"),
        line("access_log: on", "access_log: expected off, text or json, found the boolean on", id="access-log-on"),
        line("access_log: [text]", "access_log: expected off, text or json, found a list", id="list-for-word"),
        line("client_cache_control:", "client_cache_control: expected honour, ignore or trusted, found nothing", id="no-word"),
        # listeners
        line("listen: localhost", f'listen[0]: expected {ADDRESS}, found "localhost"; the port is missing', id="no-port"),
        line("listen: 'localhost:'", f'listen[0]: expected {ADDRESS}, found "localhost:"; the port is missing', id="empty-port"),
        line("listen: a:http", f'listen[0]: expected {ADDRESS}, found "a:http"; the port is not a number', id="named-port"),
        line("listen: 70000", f"listen[0]: expected {ADDRESS}, found 70000; a port is a number from 0 to 65535", id="port-too-large"),
        line("listen: '::1:80'", f'listen[0]: expected {ADDRESS}, found "::1:80"; an IPv6 address stands in brackets: [::1]:8080', id="bare-ipv6"),
        line("listen: '[::g]:80'", f'listen[0]: expected {ADDRESS}, found "[::g]:80"; [::g] is not an IPv6 address', id="not-ipv6"),
        line("listen: 1.2.3.999:80", f'listen[0]: expected {ADDRESS}, found "1.2.3.999:80"; "1.2.3.999" is not an IPv4 address', id="not-ipv4"),
        line("listen: a b:80", f'listen[0]: expected {ADDRESS}, found "a b:80"; "a b" is not a host name', id="not-a-name"),
        line(
            "listen: http://a:80",
            f'listen[0]: expected {ADDRESS}, found "http://a:80"; an address to listen on has no scheme: write host:port',
            id="url-for-listener",
        ),
        line("listen: /run/a", f'listen[0]: expected {ADDRESS}, found "/run/a"; did you mean "unix:/run/a"?', id="bare-path"),
        line(
            "listen: unix:run/a",
            f'listen[0]: expected {ADDRESS}, found "unix:run/a"; the path of a Unix socket is absolute: unix:/run/site.sock',
            id="relative-socket",
        ),
        line(
            f"listen: unix:/{'a' * 107}",
            f'listen[0]: expected {ADDRESS}, found "unix:/{"a" * 71}..."; the path of a Unix socket has at most 107 bytes',
            id="socket-path-too-long",
        ),
        line(
            "listen: [8081, '127.0.0.1:8081']",
            'listen[1]: expected an address of its own, found "127.0.0.1:8081"; listen[0] is "127.0.0.1:8081"',
            id="listener-twice",
        ),
        line(
            "listen: [':8081', '[::1]:8081']",
            'listen[1]: expected an address of its own, found "[::1]:8081"; listen[0] is ":8081"',
            id="listener-covered",
        ),
        # upstream loops, admin
        line("purge: {dialects: wagtail, token: sixteen-characters}", "purge.networks: expected the addresses that purges are taken from, beside purge.dialects, found none", at=0, id="purges-from-nowhere"),
        line("purge: {dialects: wagtail, networks: 127.0.0.1}", "purge.token: expected what purges have to show, beside purge.dialects, found none; set it, as ${PURGE_TOKEN}", at=0, id="purges-without-token"),
        line("purge: {dialects: [wagtial]}", 'purge.dialects[0]: expected wagtail, wordpress, w3tc, varnish, varnish-xkey or fastly, found "wagtial"; did you mean "wagtail"?', id="purge-dialect"),
        line("purge: {networks: [10.0.0.1/8]}", f'purge.networks[0]: expected {NETWORK}, found "10.0.0.1/8"; did you mean "10.0.0.0/8"?', id="purge-network"),
        line("admin: 0.0.0.0:9180", f'admin.listen: expected {GUARDED}, found "0.0.0.0:9180"; {TOKEN}', id="admin-public"),
        line("admin: {listen: ':9180'}", f'admin.listen: expected {GUARDED}, found ":9180"; {TOKEN}', id="admin-every-address"),
        line("admin: {listen: site.internal:9180}", f'admin.listen: expected {GUARDED}, found "site.internal:9180"; {TOKEN}', id="admin-name"),
        line("admin: of", f'admin.listen: expected {ADMIN}, found "of"; did you mean "off"?', id="off-misspelt"),
        line("admin: null", "admin: expected a mapping with listen and token, found null; leave the key out to use the defaults", id="admin-null"),
        line(
            "admin: localhost:8080",
            'admin.listen: expected an address of its own, found "localhost:8080"; listen[0] is "127.0.0.1:8080"',
            id="admin-is-listener",
        ),
        line(
            "admin: 127.0.0.1:8000",
            'admin.listen: expected an address other than the upstream\'s, found "127.0.0.1:8000"',
            id="admin-is-upstream",
        ),
        # proxies, cookies
        line("trusted_proxies: [10.0.0.1/8]", f'trusted_proxies[0]: expected {PROXY}, found "10.0.0.1/8"; did you mean "10.0.0.0/8"?', id="host-bits"),
        line("trusted_proxies: unix:/run/a", f'trusted_proxies[0]: expected {PROXY}, found "unix:/run/a"; "unix" stands for every Unix socket', id="one-socket"),
        line("request_fields: {key: 'X-*'}", 'request_fields.key[0]: expected the name of a field, found "X-*"; the whole name is needed', id="pattern-in-the-key"),
        line("request_fields: {withhold: Cookie}", 'request_fields.withhold[0]: expected the name of a field, * standing for any text, found "Cookie"; see cookies', id="cookie-is-no-single-field"),
        line("request_fields: {forward: '*'}", 'request_fields.forward[0]: expected the name of a field, * standing for any text, found "*"; it is in the key, or about the connection', id="every-field"),
        line("request_fields: {forward: 'a b'}", 'request_fields.forward[0]: expected the name of a field, * standing for any text, found "a b"', id="no-field"),
        line("trusted_proxies: nginx", f'trusted_proxies[0]: expected {PROXY}, found "nginx"', id="proxy-by-name"),
        line("cookies: {ignore: ['a b']}", 'cookies.ignore[0]: expected the name of a cookie, * standing for any text, found "a b"', id="cookie-name"),
        # limits
        line(
            "limits: {target: 65KiB}",
            "limits.target: expected at most limits.header_bytes (64KiB), which the target is part of, found 65KiB",
            id="target-above-head",
        ),
        # caches
        line("CACHES: {}", 'CACHES: expected a cache named "default", found no cache', id="no-cache"),
        line(
            "CACHES:\n  defualt: {BACKEND: locmem}",
            'CACHES: expected a cache named "default", found "defualt"; rename "defualt"',
            id="default-misspelt",
        ),
        line("CACHES: {default: {TIMEOUT: 5}}", f"CACHES.default.BACKEND: expected {BACKEND}, found nothing", id="no-backend"),
        line(
            "CACHES: {default: {BACKEND: locmen}}",
            f'CACHES.default.BACKEND: expected {BACKEND}, found "locmen"; did you mean "locmem"?',
            id="backend-misspelt",
        ),
        *(
            line(
                f"CACHES: {{default: {{BACKEND: {name}, LOCATION: [a, b], OPTIONS: {{db: 1}}}}}}",
                f'CACHES.default.BACKEND: expected {BACKEND}, found "{name}"; did you mean "{meant}"?',
                id=name,
            )
            for name, meant in (
                ("django.core.cache.backends.redis.RedisCach", "django.core.cache.backends.redis.RedisCache"),
                ("django.core.cache.backends.memcached.MemcachedCache", "django.core.cache.backends.memcached.PyMemcacheCache"),
                ("jango.core.cache.backends.db.DatabaseCache", "django.core.cache.backends.db.DatabaseCache"),
                ("proxy.storage.backends.file.FileBasedCache", "proxy.storage.backends.filebased.FileBasedCache"),
                ("memcache", "memcached"),
                ("Redis", "redis"),
            )
        ),
        line("CACHES: {default: {BACKEND: proxy.zzz}}", f'CACHES.default.BACKEND: expected {BACKEND}, found "proxy.zzz"', id="backend-of-ours-that-is-none"),
        line("CACHES: {default: {BACKEND: mysite.Own-Cache}}", f'CACHES.default.BACKEND: expected {BACKEND}, found "mysite.Own-Cache"', id="no-dotted-path"),
        line("CACHES: {default: {BACKEND: locmem, LOCATION: [a, b]}}", "CACHES.default.LOCATION: expected a string, found a list", id="one-place-only"),
        line("CACHES: {default: {BACKEND: redis, LOCATION: [a, 1]}}", "CACHES.default.LOCATION[1]: expected a string, found 1; put it in quotes if that is the text you mean", id="server-that-is-a-number"),
        line("CACHES: {default: {BACKEND: redis, LOCATION: {a: b}}}", "CACHES.default.LOCATION: expected a string, found a mapping", id="location-mapping"),
        line("CACHES: {default: {BACKEND: filebased, OPTIONS: {MAX_ENTRYS: 3}}}", 'CACHES.default.OPTIONS.MAX_ENTRYS: expected a known key, found an unknown key; did you mean "MAX_ENTRIES"?', id="option-of-files"),
        line("CACHES: {default: {BACKEND: redis, SERIALIZER: json}}", 'CACHES.default.SERIALIZER: expected typed, pickle or the dotted path of a class, or null, found "json"', id="serializer"),
        # sites and routes
        line("routes: {match: /a}", f"routes: expected a list of mappings with {ROUTE}, found a mapping", id="routes-a-mapping"),
        line("routes: [/a]", f'routes[0]: expected a mapping with {ROUTE}, found "/a"', id="route-a-text"),
        line("routes: [{match: /a, mach: b}]", 'routes[0].mach: expected a known key, found an unknown key; did you mean "match"?', id="route-key"),
        line("routes:\n- {match: /a}\n- {match: b/*}", 'routes[1].match[0]: expected a path such as /blog/*, * standing for any text, found "b/*"; did you mean "/b/*"?', at=4, id="path-without-slash"),
        line("routes: [{match: '/s?q=*'}]", 'routes[0].match[0]: expected a path such as /blog/*, * standing for any text, found "/s?q=*"; the query is no part of it; see query', id="path-with-query"),
        line("routes: [{match: /caf%C3%A9}]", 'routes[0].match[0]: expected a path such as /blog/*, * standing for any text, found "/caf%C3%A9"; it is matched with the decoded path: did you mean "/café"?', id="path-encoded"),
        line("routes: [{regex: '(a'}]", 'routes[0].regex: expected a regular expression of Python, or null, found "(a"; missing ), unterminated subpattern at position 0', id="regex"),
        line("routes: [{match: /a, regex: b}]", "routes[0].regex: expected either match or regex, found both; make two routes of them", id="match-and-regex"),
        line("routes: [{methods: get}]", 'routes[0].methods[0]: expected a method such as GET, found "get"; did you mean "GET"?', id="method-in-lower-case"),
        line("routes: [{methods: 'A B'}]", 'routes[0].methods[0]: expected a method such as GET, found "A B"', id="no-method"),
        line("routes: [{hosts: '*.a.org'}]", f'routes[0].hosts[0]: expected {HOST}, found "*.a.org"; did you mean ".a.org"?', id="host-with-star"),
        line("routes: [{hosts: 'http://a.org'}]", f'routes[0].hosts[0]: expected {HOST}, found "http://a.org"; it has neither a scheme nor a path', id="host-with-scheme"),
        line("routes: [{name: a b}]", 'routes[0].name: expected a name of letters, digits, - and _, at most 64, or null, found "a b"', id="route-name"),
        line("routes: [{name: a}, {name: a}]", 'routes[1].name: expected a name of its own, found "a"; routes[0] has it', id="route-name-twice"),
        line("routes: [{cache_page: soon}]", f'routes[0].cache_page: expected {DURATION}, or null, found "soon"', id="cache-page"),
        line("CACHES: {default: {BACKEND: locmem}}\nroutes: [{cache: defualt}]", 'routes[0].cache: expected a cache of CACHES ("default"), found "defualt"; did you mean "default"?', at=3, id="route-cache"),
        line("routes: [{bypass: maybe}]", 'routes[0].bypass: expected true or false, found "maybe"', id="bypass-maybe"),
        line("routes: [{bypass: 'true'}]", 'routes[0].bypass: expected true or false, found "true"; leave out the quotes', id="bypass-text"),
        line("routes: [{bypass: 1}]", "routes[0].bypass: expected true or false, found 1", id="bypass-number"),
        *(
            line(f"routes: [{{{one}, {other}: {value}}}]", f"routes[0].{other}: expected not together with {one.partition(':')[0]}, found both; {said} stores nothing and looks nothing up", id=f"{said}-{other}")
            for one, said, several in (
                ("bypass: true", "bypass", (("cache_page", "5m"), ("vary_on", "Accept"), ("never_cache", "true"), ("query", "{sort: true}"), ("set_cookie", "explicit"))),
                ("never_cache: true", "never_cache", (("cache_page", "5m"), ("cache_control", "{public: true}"), ("key_prefix", "a"), ("set_cookie", "never"))),
                ("cache_page: 0", "cache_page: 0", (("cache", "default"), ("status_ttl", "{404: 5}"), ("set_cookie", "explicit"))),
            )
            for other, value in several
        ),
        line("routes: [{cache_control: [public]}]", "routes[0].cache_control: expected a mapping of names, found a list", id="directives-a-list"),
        line("routes: [{cache_control: {max_age: soon}}]", f'routes[0].cache_control.max_age: expected {DURATION}, found "soon"', id="directive-duration"),
        line("routes: [{cache_control: {max_age: true}}]", f"routes[0].cache_control.max_age: expected {DURATION}, found the boolean true", id="directive-bare-duration"),
        line("routes: [{cache_control: {public: false}}]", "routes[0].cache_control.public: expected true, found the boolean false", id="directive-false"),
        line("routes: [{cache_control: {no_cache: [a]}}]", "routes[0].cache_control.no_cache: expected true, or names of fields, found something else", id="directive-list"),
        line("routes: [{cache_control: {ext: null}}]", "routes[0].cache_control.ext: expected true, a word or a number, found null", id="directive-null"),
        line("routes: [{cache_control: {max_agee: 5}}]", 'routes[0].cache_control.max_agee: expected a directive of responses, found "max_agee"; did you mean "max_age"?', id="directive-misspelt"),
        line("routes: [{cache_control: {a b: 5}}]", 'routes[0].cache_control."a b": expected the name of a directive such as max_age, found "a b"', id="directive-name"),
        line("routes: [{cache_control: {public: true, private: true}}]", "routes[0].cache_control: expected either private or public, found both", id="private-and-public"),
        line("routes: [{vary_on: User Agent}]", 'routes[0].vary_on[0]: expected the name of a field such as User-Agent, or cookie:NAME, found "User Agent"', id="vary-on"),
        line("routes: [{vary_on: 'header:x'}]", 'routes[0].vary_on[0]: expected the name of a field such as User-Agent, or cookie:NAME, found "header:x"', id="vary-on-what"),
        line("routes: [{status_ttl: {4x: 5}}]", 'routes[0].status_ttl.4x: expected a status such as 404, or a class such as 4xx, found "4x"', id="status"),
        line("routes: [{status_ttl: {304: 5}}]", 'routes[0].status_ttl.304: expected a status that can be stored, found "304"', id="status-never-stored"),
        line("routes: [{status_ttl: {404: x}}]", f'routes[0].status_ttl.404: expected {DURATION}, found "x"', id="status-duration"),
        line("routes: [{query: {ignore: 'a=b'}}]", 'routes[0].query.ignore[0]: expected the name of a parameter, * standing for any text, found "a=b"', id="parameter"),
        line("query: {keep: a, preset: tracking}", "query.keep: expected either keep, or ignore and preset, found both; keep ignores all others", id="keep-and-preset"),
        # cookies.ignore beside a preset that keeps the same cookie (Wagtail 8.0.1: a form page has csrftoken)
        line("cookies: {preset: [django], ignore: [csrftoken]}", 'cookies.ignore[0]: expected a cookie that cookies.preset (django) does not keep, found "csrftoken"; leave csrftoken out, or where no page depends on it write analytics in the place of django', id="ignored-and-kept"),
        line("cookies: {preset: [analytics, django], ignore: [theme, sessionid]}", 'cookies.ignore[1]: expected a cookie that cookies.preset (django) does not keep, found "sessionid"; leave sessionid out, or where no page depends on it write analytics in the place of django', id="ignored-and-kept-by-one-of-two"),
        line("cookies: {preset: [laravel, spring], ignore: XSRF-TOKEN}", 'cookies.ignore[0]: expected a cookie that cookies.preset (laravel and spring) does not keep, found "XSRF-TOKEN"; leave XSRF-TOKEN out, or where no page depends on it take the preset out', id="ignored-and-kept-by-both"),
        line("routes: [{cookies: {preset: wordpress, ignore: [wordpress_logged_in_ab*]}}]", 'routes[0].cookies.ignore[0]: expected a cookie that cookies.preset (wordpress) does not keep, found "wordpress_logged_in_ab*"; leave wordpress_logged_in_ab* out, or where no page depends on it take the preset out', id="ignored-and-kept-by-pattern"),
        line("sites: {a: {hosts: a.org, cookies: {preset: aspnet, ignore: .AspNetCore.Session}}}", 'sites.a.cookies.ignore[0]: expected a cookie that cookies.preset (aspnet) does not keep, found ".AspNetCore.Session"; leave .AspNetCore.Session out, or where no page depends on it write analytics in the place of aspnet', id="ignored-and-kept-of-a-site"),
        line("routes: [{query: {keep: a, ignore: b}}]", "routes[0].query.keep: expected either keep, or ignore and preset, found both; keep ignores all others", id="keep-and-ignore"),
        line("query: {preset: trackers}", 'query.preset[0]: expected tracking, found "trackers"; did you mean "tracking"?', id="query-preset"),
        line("cookies: {preset: djngo}", 'cookies.preset[0]: expected analytics, django, flask, rails, laravel, symfony, express, spring, aspnet, phoenix, drupal or wordpress, found "djngo"; did you mean "django"?', id="cookie-preset"),
        line("normalize: {accept-encoding: identity}", 'normalize.accept_encoding[0]: expected a coding such as br or gzip, found "identity"', id="coding"),
        line("normalize: {accept_language: pt_BR}", 'normalize.accept_language[0]: expected a language tag such as en or pt-BR, found "pt_BR"; did you mean "pt-BR"?', id="language-tag"),
        line("normalize: {accept_language: '*'}", 'normalize.accept_language[0]: expected a language tag such as en or pt-BR, found "*"', id="language-any"),
        line("normalize: {fields: Cookie}", 'normalize.fields[0]: expected the name of a field that is a list, or *, found "Cookie"', id="cookie-is-no-list"),
        line("normalize: {accept-encoding: br, accept_encoding: br}", "normalize.accept-encoding: expected a known key, found an unknown key; did you mean \"accept_encoding\"?", id="spelt-twice"),
        line("USE_I18N: true\nLANGUAGES: [en]\nLANGUAGE_CODE: en\nnormalize: {accept_language: en}", "normalize.accept_language: expected not together with USE_I18N, found both; LANGUAGES says already which language a request gets", at=5, id="languages-twice"),
        line("USE_I18N: true\nLANGUAGES: [en]\nLANGUAGE_CODE: en\nsites: {a: {hosts: x.org, normalize: {language_order: false}}}", "sites.a.normalize.language_order: expected not together with USE_I18N, found both; LANGUAGES says already which language a request gets", at=5, id="languages-twice-in-a-site"),
        line("routes: [{set_cookie: explicitly}]", 'routes[0].set_cookie: expected never or explicit, or null, found "explicitly"; did you mean "explicit"?', id="set-cookie-of-a-route"),
        line("routes: [{remove_set_cookie: '*'}]", 'routes[0].remove_set_cookie[0]: expected the name of a cookie, found "*"; the whole name is needed', id="cookie-pattern"),
        line("ALLOWED_HOSTS: 'a.org:80'", f'ALLOWED_HOSTS[0]: expected {HOST}, or *, found "a.org:80"; ports make no difference: did you mean "a.org"?', id="allowed-port"),
        line("ALLOWED_HOSTS: ['a..b']", f'ALLOWED_HOSTS[0]: expected {HOST}, or *, found "a..b"', id="allowed-no-host"),
        line("ALLOWED_HOSTS: ['[x]']", f"""ALLOWED_HOSTS[0]: expected {HOST}, or *, found "[x]"; At least 3 parts expected in 'x'""", id="allowed-no-ipv6"),
        line("sites: {a: {}}", f"sites.a.hosts: expected {HOST}, found nothing; say which hosts the site has", id="site-without-hosts"),
        line("sites: {a: {hosts: []}}", f"sites.a.hosts: expected {HOST}, or a list of them, found a list; the list is empty", id="site-with-no-host"),
        line("sites: {a: {hosts: '*'}}", 'sites.a.hosts[0]: expected a host of this site, found "*"; hosts that no site names are those of upstream and routes at the top of the file', id="site-of-every-host"),
        line("sites: {a: {hosts: x.org}, b: {hosts: [y.org, X.org.]}}", 'sites.b.hosts[1]: expected a host of one site, found "x.org"; sites.a.hosts[0] has it', id="host-of-two-sites"),
        line("ALLOWED_HOSTS: [.a.org]\nsites: {a: {hosts: [x.a.org, a.org, b.org]}}", 'sites.a.hosts[2]: expected a host that ALLOWED_HOSTS allows, found "b.org"; add it there', at=3, id="site-not-allowed"),
        line("sites: {a: {hosts: x.org, CACHE_MIDDLEWARE_ALIAS: b}}", 'sites.a.CACHE_MIDDLEWARE_ALIAS: expected a cache of CACHES ("default"), found "b"', id="site-alias"),
        line("sites: {a: {hosts: x.org, routes: [{status_ttl: {1: 1}}]}}", 'sites.a.routes[0].status_ttl.1: expected a status such as 404, or a class such as 4xx, found "1"', id="route-of-a-site"),
        line("sites: {a: {hosts: x.org, upstream: '127.0.0.1:8080'}}", f'sites.a.upstream.url: expected {URL}, found "127.0.0.1:8080"; did you mean "http://127.0.0.1:8080"?', id="site-upstream"),
        line("sites: {a: {hosts: x.org, upstream: 'http://127.0.0.1:8080'}}", 'sites.a.upstream.url: expected an address that is not our own, found "http://127.0.0.1:8080"; listen[0] is "127.0.0.1:8080": requests would go round in a loop', id="site-loop"),
        # languages and zones
        line("USE_I18N: true", "LANGUAGES: expected the languages of the site, since USE_I18N is true, found none; leave USE_I18N out where every page has one language", at=0, id="no-languages"),
        line("USE_I18N: true\nLANGUAGES: [de, es]", 'LANGUAGE_CODE: expected one of LANGUAGES, found "en-us"; it is the language of those who ask for none of the others', at=0, id="another-language"),
        line("LANGUAGES: [en, no]", f"LANGUAGES: expected {LANGUAGES}, found a list", id="norwegian"),
        line("LANGUAGES: 5", f"LANGUAGES: expected {LANGUAGES}, found 5", id="languages-number"),
        line("LANGUAGE_CODE: e", 'LANGUAGE_CODE: expected a language code such as en-us, found "e"', id="language-code"),
        line("USE_TZ: true", "USE_TZ: expected to be left out, as no page differs by time zone, found true; or say with timezone_from (cookie:NAME or header:NAME) where visitors have zones of their own", id="no-zone-source"),
        line("timezone_from: query:tz", 'timezone_from: expected cookie:NAME or header:NAME, or null, found "query:tz"', id="zone-source"),
        line("TIME_ZONE: Europe/Berlim", 'TIME_ZONE: expected a time zone such as Europe/Berlin, found "Europe/Berlim"; did you mean "Europe/Berlin"?', id="zone"),
        # databases
        line("DATABASES: sqlite", 'DATABASES: expected a mapping of names, found "sqlite"', id="databases-text"),
        line("DATABASES: {a: 1}", "DATABASES.a: expected a string, found 1; put it in quotes if that is the text you mean", id="database-number"),
        *(
            line(f"ROUTER: {written}", f"ROUTER: expected aliases of DATABASES under read, write and migrate, or a dotted path, found {found}", id=f"router-{written}")
            for written, found in (("mine", '"mine"'), ("5", "5"), ("[a]", "a list"), ("{reed: a}", "a mapping"), ("{read: []}", "a mapping"), ("{write: [a]}", "a mapping"))
        ),
        # options that the backend judges
        line("CACHES: {default: {BACKEND: redis, OPTIONS: [db]}}", "CACHES.default.OPTIONS: expected a mapping of names, found a list", id="options-list"),
        line("CACHES: {default: {BACKEND: redis, OPTIONS: {db: 0x1}}}", "CACHES.default.OPTIONS.db: expected a number in decimal, found 0x1; put it in quotes if that is the text you mean", id="option-hexadecimal"),
        line("CACHES: {default: {BACKEND: redis, OPTIONS: {a: {b: [.nan]}}}}", "CACHES.default.OPTIONS.a.b[0]: expected a number in decimal, found .nan; put it in quotes if that is the text you mean", id="option-no-number"),
        line("CACHES: {default: {BACKEND: redis, OPTIONS: {a: !!bool maybe}}}", "CACHES.default.OPTIONS.a: expected true or false, found the boolean maybe; put it in quotes if that is the text you mean", id="option-no-boolean"),
        line('CACHES: {default: {BACKEND: redis, OPTIONS: {a: "b\\n"}}}', 'CACHES.default.OPTIONS.a: expected a string, found "b\\n"; it holds a control character', id="option-newline"),
        line("CACHES: {default: {BACKEND: redis, OPTIONS: {password: 0x1f}}}", "CACHES.default.OPTIONS.password: expected a number in decimal, found a value that is not shown; put it in quotes if that is the text you mean", id="option-secret"),
        line("CACHES: {default: {BACKEND: redis, OPTIONS: {'': 1}}}", 'CACHES.default.OPTIONS."": expected the name of an option, found ""', id="option-without-name"),
        line("CACHES: {default: {BACKEND: redis, OPTIONS: {a: !x 1}}}", 'CACHES.default.OPTIONS.a: expected a plain value, found the tag "!x"', id="option-tag"),
        line(f"CACHES: {{default: {{BACKEND: redis, OPTIONS: {{a: {'[' * 17}{']' * 17}}}}}}}", "CACHES.default.OPTIONS: expected at most 1000 values, nested at most 16 deep, found more", id="options-too-deep"),
        line(f"CACHES: {{default: {{BACKEND: redis, OPTIONS: {{a: &a [{'1, ' * 40}], b: [{'*a, ' * 25}]}}}}}}", "CACHES.default.OPTIONS: expected at most 1000 values, nested at most 16 deep, found more", id="options-of-aliases"),
        line("CACHES: {default: {BACKEND: locmem, LOCAL_TIER: 1MiB}}", 'CACHES.default.LOCAL_TIER: expected a cache outside the process, found "locmem"; its pages are in the memory of the process already', id="local-tier-of-memory"),
        line("CACHES: {default: {BACKEND: shared, LOCAL_TIER: 1MiB}}", 'CACHES.default.LOCAL_TIER: expected a cache outside the process, found "shared"; each process has its hot pages ready already, and knows at once when they change', id="local-tier-of-shared"),
        line("CACHES: {default: {BACKEND: dummy, LOCAL_TIER: 1MiB}}", 'CACHES.default.LOCAL_TIER: expected a cache outside the process, found "dummy"; it keeps nothing that could be copied', id="local-tier-of-nothing"),
        line("CACHES: {default: {BACKEND: redis, LOCAL_TIER: 0}}", "CACHES.default.LOCAL_TIER: expected a size of at least 1 byte, such as 64KiB, or null, found 0", id="local-tier-of-no-bytes"),
        line("CACHES: {default: {BACKEND: redis, LOCAL_TIER_SECONDS: 0}}", "CACHES.default.LOCAL_TIER_SECONDS: expected a duration longer than 0, such as 30s or 5m, found 0", id="local-tier-for-no-time"),
        line("CACHES: {default: }", "CACHES.default: expected a mapping with BACKEND, LOCATION, TIMEOUT, OPTIONS, KEY_PREFIX, VERSION, KEY_FUNCTION, SERIALIZER, DEADLINE, BREAKER_FAILURES, BREAKER_REST, LOCAL_TIER and LOCAL_TIER_SECONDS, found nothing", id="empty-cache"),
        line(
            "CACHES: {default: {BACKEND: locmem}, pages: {BACKEND: locmem}}\nCACHE_MIDDLEWARE_ALIAS: page",
            'CACHE_MIDDLEWARE_ALIAS: expected a cache of CACHES ("default" or "pages"), found "page"; did you mean "pages"?',
            at=3,
            id="alias-of-nothing",
        ),
        line(
            "CACHES: {default: {BACKEND: locmem, OPTIONS: {MAX_ENTRIES: 0}}}",
            "CACHES.default.OPTIONS.MAX_ENTRIES: expected a whole number of at least 1, or null, found 0",
            id="no-entries",
        ),
        # the environment
        line(
            "workers: ${N}",
            "workers: expected the environment variable N to be set, found no such variable; set it, or give a default: ${N:-...}",
            id="variable-unset",
        ),
        line(
            "workers: ${N", 'workers: expected "${VAR}" or "${VAR:-default}", found "${N"; write $${ for the characters ${ themselves',
            id="variable-unclosed",
        ),
        line(
            "workers: ${1-N}", 'workers: expected "${VAR}" or "${VAR:-default}", found "${1-N}"; write $${ for the characters ${ themselves',
            id="variable-misnamed",
        ),
        line("workers: ${EMPTY}", 'workers: expected a whole number from 1 to 1024, or auto, found ""', id="variable-empty"),
        line(
            "CACHES: {default: {BACKEND: '${N}'}}",
            "CACHES.default.BACKEND: expected the environment variable N to be set, found no such variable; "
            "set it, or give a default: ${N:-...}",
            id="variable-unset-where-a-value-is-needed",
        ),
        line("timeouts: {drain: ٣s}", f'timeouts.drain: expected {DURATION}, found "٣s"', id="digits-of-another-script"),
        line("listen: a/b", f'listen[0]: expected {ADDRESS}, found "a/b"', id="path-for-listener"),
        line("limits: {<<: [!x {body: 1}]}", 'limits.<<[0]: expected a plain value, found the tag "!x"', id="merge-of-a-tag"),
        # odd YAML
        line("workers: !!python/name:os.system x", 'workers: expected a plain value, found the tag "tag:yaml.org,2002:python/name:os.system"', id="python-tag"),
        line("workers: !mine 2", 'workers: expected a plain value, found the tag "!mine"', id="own-tag"),
        line("listen: &a [*a]", "listen[0]: expected a value, found an alias that contains itself", id="alias-of-itself"),
        line("limits: {<<: 5}", "limits.<<: expected a mapping to merge, found something else", id="merge-of-a-number"),
    ],
)  # fmt: skip
def test_one_fault(text: str, expected: str, tmp_path: Path) -> None:
    assert faults(text, tmp_path, EMPTY="") == [expected]


@pytest.mark.parametrize(
    ("upstream", "found"),
    [
        pytest.param("8000", '8000; put it in quotes if that is the text you mean', id="port-alone"),
        pytest.param("'8000'", '"8000"; did you mean "http://127.0.0.1:8000"?', id="port-alone-quoted"),
        pytest.param("app:8000", '"app:8000"; did you mean "http://app:8000"?', id="no-scheme"),
        pytest.param("/run/app.sock", '"/run/app.sock"; did you mean "unix:/run/app.sock"?', id="bare-path"),
        pytest.param("unix:///run/app.sock", '"unix:///run/app.sock"; did you mean "unix:/run/app.sock"?', id="unix-with-slashes"),
        pytest.param("ftp://a", '"ftp://a"', id="other-scheme"),
        pytest.param("http://", '"http://"; the host is missing', id="no-host"),
        pytest.param("http://:80", '"http://:80"; the host is missing', id="port-without-host"),
        pytest.param("http://a:x", '"http://a:x"; the port is not a number', id="named-port"),
        pytest.param("http://a:0", '"http://a:0"; a port is a number from 1 to 65535', id="port-zero"),
        pytest.param("http://a:80/b", '"http://a:80/b"; it must not hold a path or a query: each request keeps its own', id="path"),
        pytest.param("http://a?b", '"http://a?b"; it must not hold a path or a query: each request keeps its own', id="query"),
        pytest.param("http://me:pw@a", '"http://***@a"; it must not hold credentials', id="credentials-masked"),
        pytest.param("http://256.1.1.1", '"http://256.1.1.1"; "256.1.1.1" is not an IPv4 address', id="not-ipv4"),
        pytest.param("app:99999", '"app:99999"', id="port-too-large"),
        pytest.param("'http://[::1'", '"http://[::1"', id="bracket-open"),
        pytest.param("http://-a", '"http://-a"; "-a" is not a host name', id="not-a-name"),
        pytest.param("'http://a b'", '"http://a b"; "a b" is not a host name', id="space"),
    ],
)  # fmt: skip
def test_upstream_that_is_no_address(upstream: str, found: str, tmp_path: Path) -> None:
    got = faults(f"upstream: {upstream}", tmp_path)
    assert got == [f"site.yaml:1: upstream.url: expected {URL}, found {found}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("workers: 2", f"upstream: expected the address of the application, found nothing; {GIVE}", id="absent"),
        pytest.param("upstream:", f"site.yaml:1: upstream: expected the address of the application, found nothing; {GIVE}", id="null"),
        pytest.param("upstream: {max_idle: 3}", f"site.yaml:1: upstream.url: expected {URL}, found nothing; {GIVE}", id="without-url"),
        pytest.param("upstream: [a]", "site.yaml:1: upstream: expected a mapping with url, timeouts, limits, max_idle, resolve_every and ca_file, found a list", id="list"),
        pytest.param(
            "upstream: http://127.0.0.1:8080",
            'site.yaml:1: upstream.url: expected an address that is not our own, found "http://127.0.0.1:8080"; '
            'listen[0] is "127.0.0.1:8080": requests would go round in a loop',
            id="loop",
        ),
        pytest.param(
            "upstream: http://localhost:80\nlisten: ':80'",
            'site.yaml:1: upstream.url: expected an address that is not our own, found "http://localhost:80"; '
            'listen[0] is ":80": requests would go round in a loop',
            id="loop-through-every-address",
        ),
        pytest.param(
            "upstream: unix:/run/a\nlisten: unix:/run/a",
            'site.yaml:1: upstream.url: expected an address that is not our own, found "unix:/run/a"; '
            'listen[0] is "unix:/run/a": requests would go round in a loop',
            id="loop-through-a-socket",
        ),
        pytest.param(
            "upstream: {url: https://a, ca_file: ./nowhere.pem}",
            'site.yaml:1: upstream.ca_file: expected the path of a file of certificates, or null, found "./nowhere.pem"; no such file',
            id="no-certificates",
        ),
        pytest.param(b"", "site.yaml: the file: expected a mapping of settings, found nothing: the file is empty", id="empty"),
        pytest.param(b"# only\n---\n", "site.yaml: the file: expected a mapping of settings, found nothing: the file is empty", id="comments-only"),
        pytest.param(b"!x {upstream: a}", 'site.yaml:1: the file: expected a plain value, found the tag "!x"', id="tag-at-top"),
        pytest.param(b"- a", "site.yaml: the file: expected a mapping of settings, found a list at the top", id="list-at-top"),
        pytest.param(b"a", "site.yaml: the file: expected a mapping of settings, found a single value at the top", id="scalar-at-top"),
        pytest.param(b"a: 1\n\xff", "site.yaml:2: the file: expected UTF-8 text, found the byte 0xff", id="not-utf-8"),
        pytest.param(b"a: 1\nb: [", "site.yaml:2: the file: expected valid YAML, found a mistake (expected the node content, but found '<stream end>')", id="unclosed"),
        pytest.param(b"a:\n\tb: 1", "site.yaml:2: the file: expected valid YAML, found a mistake (found character '\\t' that cannot start any token)", id="tab"),
        pytest.param(b"a: 1\n\x07", "site.yaml:2: the file: expected valid YAML, found a control character", id="bell"),
        pytest.param(b"a: 1\n---\nb: 1", "site.yaml:2: the file: expected valid YAML, found a mistake (but found another document)", id="two-documents"),
        pytest.param(b"a: *b", "site.yaml:1: the file: expected valid YAML, found a mistake (found undefined alias 'b')", id="no-such-anchor"),
        pytest.param(b'a: "\\UFFFFFFFF"', "site.yaml: the file: expected valid YAML, found an escape or a number that YAML cannot hold", id="no-such-character"),
        pytest.param(b"[" * 20000, "site.yaml: the file: expected valid YAML, found lists or mappings nested too deeply", id="deep"),
        pytest.param(b"#" * 1100000, "site.yaml: the file: expected a file of at most 1 MiB, found a larger one", id="large"),
        pytest.param(
            "\n".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9) if i else '{b: 1, c: 2, d: 3}'}]}}" for i in range(600)),
            'site.yaml: the file: expected at most 10000 merged keys, found more, by "<<"',
            id="merges-of-merges",
        ),
    ],
)  # fmt: skip
def test_file_as_a_whole(text: str | bytes, expected: str, tmp_path: Path) -> None:
    assert faults(text, tmp_path) == [expected]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        pytest.param("nowhere.yaml", "nowhere.yaml: the file: expected a YAML file that can be read, found no such file or directory", id="missing"),
        pytest.param(".", ".: the file: expected a YAML file that can be read, found is a directory", id="directory"),
        pytest.param("a\0b", "a\\x00b: the file: expected a YAML file that can be read, found an impossible path", id="nul"),
        pytest.param("a\nb", "a\\nb: the file: expected a YAML file that can be read, found no such file or directory", id="newline"),
    ],
)  # fmt: skip
def test_file_that_is_none(path: str, found: str, tmp_path: Path) -> None:
    with chdir(tmp_path), pytest.raises(ConfigError) as raised:
        load(Path(path), {}, {})
    assert str(raised.value) == f"config error: {found}"


def test_every_fault_is_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "limit: 1\nlisten: [x]\nlimits: {target: 1GiB}\nadmin: ${NOPE}\nCACHES: {a: {BACKEND: radis}, b: {}}\n"
    got = faults(text, tmp_path, SITECACHE_WORKERS="many")
    assert [fault.split(": expected")[0] for fault in got] == [
        "site.yaml:1: limit",
        "site.yaml:2: listen[0]",
        "site.yaml:3: limits.target",
        "site.yaml:4: admin",
        "site.yaml:5: CACHES.a.BACKEND",
        "site.yaml:5: CACHES.b.BACKEND",
        "site.yaml:5: CACHES",
        "environment SITECACHE_WORKERS: workers",
        "upstream",
    ]


def test_sites_without_any_upstream(tmp_path: Path) -> None:
    assert faults("sites:\n  a: {hosts: x.org}\nroutes: [{match: /a}]\n", tmp_path) == [
        "site.yaml:3: routes: expected routes of a site, since there is no upstream for other hosts, found routes of its own",
        "sites.a.upstream: expected the address of the application, found nothing; give it here, or at the top of the file for all sites",
    ]


def test_billion_laughs_end_early(tmp_path: Path) -> None:
    levels = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 60)]
    got = faults("\n".join(["a0: &a0 lol", *levels]), tmp_path)
    assert len(got) == 61


def test_faults_are_listed_up_to_a_hundred(tmp_path: Path) -> None:
    assert len(faults("\n".join(f"zz{i}: 1" for i in range(500)), tmp_path)) <= 101
