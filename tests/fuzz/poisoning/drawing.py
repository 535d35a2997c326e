"""What attackers twist is drawn from: a grammar of spellings, fields and bodies that servers do not read alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from tests.fuzz.poisoning.twists import HOSTS, SPELLINGS, Pairs, Twist


def _words(text: str) -> list[str]:
    return text.split()


PATHS = _words("""
    / /a /a/b /index.php/x /page.php?id=1 /a?x=1 /a?x=1&y=2 /a%20b?q=c+d /~u /caf%C3%A9
""")
SECRET_PATHS = ("/secret", "/secret/a?x=1")
"""What is never stored, where there is a route that says so, however the path is spelled."""
VARIED_PATHS = ("/varied", "/varied/a?x=1")
PLAIN_FIELDS: tuple[Pairs, ...] = (
    (),
    (("Accept-Language", "de"),),
    (("Accept-Encoding", "gzip"),),
    (("Cookie", "_ga=GA1.2.victim"),),
    (("Accept-Language", "de, en;q=0.5"), ("Cookie", "_ga=GA1.2.victim; lang=fr")),
)
"""What the victim's own request may have."""

NAMES = _words("""
    X-Forwarded-Host X-Forwarded-Proto X-Forwarded-Port X-Forwarded-Prefix X-Forwarded-Server X-Forwarded-Scheme
    X-Forwarded-Protocol X-Forwarded-Ssl X-Forwarded-For X-Forwarded-By X-Forwarded-Uri X-Forwarded-Path Forwarded
    X-Original-URL X-Original-Host X-Original-URI X-Original-Method X-Rewrite-URL X-Host X-Script-Name X-Path-Info
    X-HTTP-Method-Override X-HTTP-Method X-Method-Override X-HTTP-Host-Override Front-End-Https X-Url-Scheme
    X-Scheme X-Proto X-Arr-Ssl X-Arr-Log-Id Proxy Surrogate-Capability X-Real-Ip Client-Ip True-Client-Ip
    X-Client-Ip Cf-Connecting-Ip Cf-Visitor X-Cluster-Client-Ip Fastly-Client-Ip X-Sendfile-Type X-Accel-Mapping
    X-Middleware-Subrequest X-Invoke-Path X-Invoke-Status X-Matched-Path X-Now-Route-Matches X-Backend-Host Cdn-Loop
    Via Request-Range Expect TE Trailer Upgrade HTTP2-Settings Keep-Alive Proxy-Connection Transfer-Encoding
    Content-Length Script-Name Path-Info X-Custom-Lang X-Requested-With Accept-Language Accept-Encoding Cookie Host
    Range
""")
IDENTITIES = _words("""
    Authorization Proxy-Authorization X-Api-Key X-Auth-Token Remote-User X-Remote-User X-Forwarded-User
    X-Forwarded-Email X-Auth-Request-Email Cf-Access-Jwt-Assertion X-Amzn-Oidc-Identity Private-Token
    X-Goog-Iap-Jwt-Assertion Tailscale-User-Login X-Forwarded-Client-Cert X-Ssl-Client-Cert Ssl-Client-Verify
    X-Ms-Client-Principal
""")
VALUES = _words("""
    evil evil.test https on /evil 8443 POST DELETE host=evil.test;proto=https 1 * gzip de websocket trailers
    100-continue
""")
VALUES += ["for=192.0.2.9; host = evil.test", 'proto="https"', ""]
COOKIES = _words("""
    _ga=evil _gid=evil __utma=evil _fbp=evil lang=evil sessionid=evil _ga.x=evil _ga =evil %5Fga=evil
    _ga=1;lang=evil _GA=evil $Version=1
""")
COOKIES += ['_ga="1; lang=evil"', "_ga=1, lang=evil", "_ga =evil"]


def drawn(random: Random) -> Twist:
    """Draw one twist."""
    kind = random.choices(list(_DRAWN), weights=[weight for weight, _ in _DRAWN.values()])[0]
    return Twist(kind, _DRAWN[kind][1](random))


def _value(random: Random) -> str:
    return random.choice(VALUES)


_OLD = _words("""
    / / a s . %20 ~ %C3%A9
""")
_NEW = _words("""
    // /./ /%2e%2e/secret/ /x/../ /;x/ s %73 %2fsecret // %2f %2F \\ ;p=1/ /;/ %5c %2e + %7E %c3%a9 %7e /%2e/ A
""")
_NEW += [" "]
_ENDS = _words("""
    ;evil ;jsessionid=1 / /. // /evil.css %00 %0a %20 . /..;/ #evil ? %3fx=1 %23x
""")


def _fielded(random: Random) -> tuple[str, str]:
    which = random.random()
    if which < 0.2:
        return random.choice(["Cookie", "cookie"]), random.choice(COOKIES)
    if which < 0.3:
        return random.choice(IDENTITIES), _value(random)
    if which < 0.4:
        wanted = ["bytes=0-3", "bytes=5-", "bytes=0-", "bytes=-5", "bytes=0-1,3-4"]
        return random.choice(["Range", "Request-Range", "If-Range"]), random.choice([*wanted, '"one"'])
    if which < 0.5:
        names = ["If-None-Match", "If-Match", "If-Modified-Since", "If-Unmodified-Since"]
        return random.choice(names), random.choice(['"one"', "*", '"two"', 'W/"one"', "Sun, 06 Nov 1994 08:49:37 GMT"])
    if which < 0.6:
        asked = ["no-cache", "max-age=0", "no-store", "max-stale", "only-if-cached", "no-transform"]
        return "Cache-Control", random.choice(asked)
    return random.choice(NAMES), _value(random)


def _lined(random: Random) -> tuple[str, str]:
    name = random.choice(
        ["Cookie", "Accept-Language", "Accept-Encoding", "Host", "X-Custom-Lang", "Range", "X-Forwarded-Proto"]
    )
    return name, random.choice(COOKIES) if name == "Cookie" else _value(random)


def _hops(random: Random) -> str:
    named = ["close", "keep-alive", "Host", "Cookie", "Accept-Language", "Accept-Encoding", "X-Custom-Lang", "Upgrade"]
    named += [
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "Via",
        "Range",
        "Cache-Control",
        "Content-Length",
        "TE",
        "X-Requested-With",
    ]
    return ", ".join(random.sample(named, random.choice([1, 2, 3])))


_DRAWN: Mapping[str, tuple[int, Callable[[Random], tuple[str, ...]]]] = {
    "name": (
        6,
        lambda r: (r.choice(NAMES + IDENTITIES), r.choice(["_", "_", ".", "!", "~", "'", "--", ""]), _value(r)),
    ),
    "field": (8, _fielded),
    "spaced": (2, lambda r: (r.choice(NAMES), r.choice([" ", "\t", "  ", "\x0b", "\x0c", "\xa0", "\r\n "]), _value(r))),
    "escape": (3, lambda r: (str(r.randrange(30)), r.choice(["", "upper"]))),
    "in-path": (3, lambda r: (r.choice(_OLD), r.choice(_NEW))),
    "more-path": (2, lambda r: (r.choice(_ENDS),)),
    "more-query": (
        2,
        lambda r: (r.choice(["utm_source=evil", "x=2", "X=1", "", "&", ";x=2", "%78=2", "_method=DELETE", "x[]=3"]),),
    ),
    "query": (
        2,
        lambda r: (
            r.choice(["=", "&", "+", "x", "1"]),
            r.choice(["%3d", "%26", ";", "%20", "%2b", "&&", "X", "%78", "=="]),
        ),
    ),
    "absolute": (
        2,
        lambda r: (r.choice(["http", "HTTP", "https", "ftp"]), r.choice(["@", "@:80", "@.", "evil.test", "u@@", "@:"])),
    ),
    "host": (4, lambda r: (r.choice(list(HOSTS)),)),
    "without-host": (1, lambda r: (r.choice(["1.0", "1.1"]),)),
    "method": (2, lambda r: (r.choice(["HEAD", "HEAD", "POST", "get", "Get", "OPTIONS", "QUERY", "PUT", "TRACE"]),)),
    "body": (2, lambda r: (r.choice(["x=evil", "callback=evil", ""]), r.choice(["length", "chunked"]))),
    "value": (3, lambda r: (r.choice(list(SPELLINGS)),)),
    "line": (2, _lined),
    "hop": (3, lambda r: (_hops(r),)),
    "version": (1, lambda r: (r.choice(["1.0", "1.1", "1.2"]),)),
}
