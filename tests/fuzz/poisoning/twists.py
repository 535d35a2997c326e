"""How attackers twist a plain request: a grammar of spellings, fields and bodies that servers do not read alike.

A twist is a name and what it takes, so that a request can be told, and made smaller by leaving twists out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Draft:
    """A request that is being made."""

    host: str
    target: str = "/"
    method: str = "GET"
    version: str = "1.1"
    fields: Pairs = ()
    body: str = ""
    ends: Pairs = field(default=(("User-Agent", "plain"), ("Accept", "*/*")))
    names_host: bool = True

    def raw(self) -> bytes:
        host = [("Host", self.host)] if self.names_host else []
        lines = [f"{self.method} {self.target} HTTP/{self.version}"]
        lines += [f"{name}: {value}" for name, value in (*host, *self.fields, *self.ends)]
        return ("\r\n".join(lines) + "\r\n\r\n" + self.body).encode("latin-1")

    def adding(self, *fields: tuple[str, str]) -> Draft:
        return replace(self, fields=(*self.fields, *fields))


@dataclass(frozen=True)
class Twist:
    """One step away from a plain request."""

    kind: str
    takes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}({', '.join(map(repr, self.takes))})"

    def apply(self, draft: Draft) -> Draft:
        return _DONE[self.kind](draft, *self.takes)


PATHS = (
    "/",
    "/a",
    "/a/b",
    "/index.php/x",
    "/page.php?id=1",
    "/a?x=1",
    "/a?x=1&y=2",
    "/a%20b?q=c+d",
    "/~u",
    "/caf%C3%A9",
)
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

NAMES = [
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Server",
    "X-Forwarded-Scheme",
    "X-Forwarded-Protocol",
    "X-Forwarded-Ssl",
    "X-Forwarded-For",
    "X-Forwarded-By",
    "X-Forwarded-Uri",
    "X-Forwarded-Path",
    "Forwarded",
    "X-Original-URL",
    "X-Original-Host",
    "X-Original-URI",
    "X-Original-Method",
    "X-Rewrite-URL",
    "X-Host",
    "X-Script-Name",
    "X-Path-Info",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X-HTTP-Host-Override",
    "Front-End-Https",
    "X-Url-Scheme",
    "X-Scheme",
    "X-Proto",
    "X-Arr-Ssl",
    "X-Arr-Log-Id",
    "Proxy",
    "Surrogate-Capability",
    "X-Real-Ip",
    "Client-Ip",
    "True-Client-Ip",
    "X-Client-Ip",
    "Cf-Connecting-Ip",
    "Cf-Visitor",
    "X-Cluster-Client-Ip",
    "Fastly-Client-Ip",
    "X-Sendfile-Type",
    "X-Accel-Mapping",
    "X-Middleware-Subrequest",
    "X-Invoke-Path",
    "X-Invoke-Status",
    "X-Matched-Path",
    "X-Now-Route-Matches",
    "X-Backend-Host",
    "Cdn-Loop",
    "Via",
    "Request-Range",
    "Expect",
    "TE",
    "Trailer",
    "Upgrade",
    "HTTP2-Settings",
    "Keep-Alive",
    "Proxy-Connection",
    "Transfer-Encoding",
    "Content-Length",
    "Script-Name",
    "Path-Info",
    "X-Custom-Lang",
    "X-Requested-With",
    "Accept-Language",
    "Accept-Encoding",
    "Cookie",
    "Host",
    "Range",
]
IDENTITIES = [
    "Authorization",
    "Proxy-Authorization",
    "X-Api-Key",
    "X-Auth-Token",
    "Remote-User",
    "X-Remote-User",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Auth-Request-Email",
    "Cf-Access-Jwt-Assertion",
    "X-Amzn-Oidc-Identity",
    "Private-Token",
    "X-Goog-Iap-Jwt-Assertion",
    "Tailscale-User-Login",
    "X-Forwarded-Client-Cert",
    "X-Ssl-Client-Cert",
    "Ssl-Client-Verify",
    "X-Ms-Client-Principal",
]
VALUES = ("evil", "evil.test", "https", "on", "/evil", "8443", "POST", "DELETE", "host=evil.test;proto=https", "1", "*")
VALUES += (
    "for=192.0.2.9; host = evil.test",
    'proto="https"',
    "gzip",
    "de",
    "websocket",
    "trailers",
    "100-continue",
    "",
)
COOKIES = (
    "_ga=evil",
    "_gid=evil",
    "__utma=evil",
    "_fbp=evil",
    "lang=evil",
    "sessionid=evil",
    "_ga.x=evil",
    "_ga",
    "=evil",
)
COOKIES += (
    '_ga="1; lang=evil"',
    "_ga=1, lang=evil",
    "%5Fga=evil",
    "_ga=1;lang=evil",
    "_ga =evil",
    "_GA=evil",
    "$Version=1",
)
LINES = ("Connection", "connection")


def _respelled_name(draft: Draft, name: str, separator: str, value: str) -> Draft:
    """Spell a name as CGI folds it."""
    return draft.adding((name.replace("-", separator), value))


def _escaped(draft: Draft, place: str, upper: str) -> Draft:
    """Escape one character of the target that needs no escape."""
    target = draft.target
    candidates = [i for i, letter in enumerate(target) if letter.isalnum() and target[max(0, i - 2) : i].find("%") < 0]
    if not candidates:
        return draft
    at = candidates[int(place) % len(candidates)]
    code = f"%{ord(target[at]):02x}"
    return replace(draft, target=target[:at] + (code.upper() if upper else code) + target[at + 1 :])


def _in_path(draft: Draft, old: str, new: str) -> Draft:
    path, mark, query = draft.target.partition("?")
    return replace(draft, target=path.replace(old, new) + mark + query)


def _more_path(draft: Draft, more: str) -> Draft:
    path, mark, query = draft.target.partition("?")
    return replace(draft, target=path + more + mark + query)


def _more_query(draft: Draft, more: str) -> Draft:
    return replace(draft, target=draft.target + ("&" if "?" in draft.target else "?") + more)


def _query(draft: Draft, old: str, new: str) -> Draft:
    path, mark, query = draft.target.partition("?")
    return replace(draft, target=path + mark + query.replace(old, new))


def _absolute(draft: Draft, scheme: str, host: str) -> Draft:
    """Ask in absolute form; ``@`` in the host stands for the plain one."""
    return replace(draft, target=f"{scheme}://{host.replace('@', draft.host)}{draft.target}")


def _host(draft: Draft, how: str) -> Draft:
    return replace(draft, host=HOSTS[how](draft.host))


HOSTS: Mapping[str, Callable[[str], str]] = {
    "upper": str.upper,
    "title": str.title,
    "port": lambda host: host + ":80",
    "colon": lambda host: host + ":",
    "dot": lambda host: host + ".",
    "dot-port": lambda host: host + ".:80",
    "zeros": lambda host: host + ":0080",
    "https-port": lambda host: host + ":443",
    "tab": lambda host: "\t" + host + " ",
    "escaped": lambda host: host.replace("t", "%74", 1),
    "dots": lambda host: host + "..",
    "user": lambda host: "evil@" + host,
    "comma": lambda host: host + ", evil.test",
    "path": lambda host: host + "/evil",
}


def _without_host(draft: Draft, version: str) -> Draft:
    return replace(draft, names_host=False, version=version)


def _method(draft: Draft, method: str) -> Draft:
    return replace(draft, method=method)


def _with_body(draft: Draft, body: str, how: str) -> Draft:
    if how == "chunked":
        chunked = f"{len(body):x}\r\n{body}\r\n0\r\n\r\n"
        return replace(draft.adding(("Transfer-Encoding", "chunked")), body=chunked)
    kind = ("Content-Type", "application/x-www-form-urlencoded")
    return replace(draft.adding(kind, ("Content-Length", str(len(body)))), body=body)


def _added(draft: Draft, name: str, value: str) -> Draft:
    return draft.adding((name, value))


def _spaced(draft: Draft, name: str, before: str, value: str) -> Draft:
    return draft.adding((name, before + value + before))


def _respelled_value(draft: Draft, how: str) -> Draft:
    """Spell the victim's own values otherwise."""
    made = tuple((name, SPELLINGS[how](value)) for name, value in draft.fields)
    return replace(draft, fields=made)


SPELLINGS: Mapping[str, Callable[[str], str]] = {
    "upper": str.upper,
    "spaces": lambda value: value.replace(",", " ,\t").replace(";", " ; "),
    "empty-members": lambda value: f",{value},,",
    "weights": lambda value: re.sub(r"(?<=[a-z])(?=,|$)", ";q=1.0", value),
    "doubled": lambda value: f"{value}, {value}",
    "quoted": lambda value: f'"{value}"',
}


def _split(draft: Draft, name: str, more: str) -> Draft:
    """Say a field on two lines."""
    return replace(draft, fields=(*draft.fields, (name, more)))


def _hop(draft: Draft, names: str) -> Draft:
    return draft.adding(("Connection", names))


def _version(draft: Draft, version: str) -> Draft:
    return replace(draft, version=version)


_DONE: Mapping[str, Callable[..., Draft]] = {
    "name": _respelled_name,
    "escape": _escaped,
    "in-path": _in_path,
    "more-path": _more_path,
    "more-query": _more_query,
    "query": _query,
    "absolute": _absolute,
    "host": _host,
    "without-host": _without_host,
    "method": _method,
    "body": _with_body,
    "field": _added,
    "spaced": _spaced,
    "value": _respelled_value,
    "line": _split,
    "hop": _hop,
    "version": _version,
}


def drawn(random: Random) -> Twist:
    """Draw one twist."""
    kind = random.choices(list(_DRAWN), weights=[weight for weight, _ in _DRAWN.values()])[0]
    return Twist(kind, _DRAWN[kind][1](random))


def _value(random: Random) -> str:
    return random.choice(VALUES)


_OLD = ("/", "/", "a", "s", ".", "%20", "~", "%C3%A9")
_NEW = (
    "//",
    "/./",
    "/%2e%2e/secret/",
    "/x/../",
    "/;x/",
    "s",
    "%73",
    "%2fsecret",
    "//",
    "%2f",
    "%2F",
    "\\",
    ";p=1/",
    "/;/",
    "%5c",
    "%2e",
    "+",
    " ",
    "%7E",
    "%c3%a9",
    "%7e",
    "/%2e/",
    "A",
)
_ENDS = (
    ";evil",
    ";jsessionid=1",
    "/",
    "/.",
    "//",
    "/evil.css",
    "%00",
    "%0a",
    "%20",
    ".",
    "/..;/",
    "#evil",
    "?",
    "%3fx=1",
    "%23x",
)
_DRAWN: Mapping[str, tuple[int, Callable[[Random], tuple[str, ...]]]] = {
    "name": (
        6,
        lambda r: (r.choice(NAMES + IDENTITIES), r.choice(["_", "_", ".", "!", "~", "'", "--", ""]), _value(r)),
    ),
    "field": (8, lambda r: _fielded(r)),  # noqa: PLW0108 - it stands below
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
    "line": (2, lambda r: _lined(r)),  # noqa: PLW0108 - it stands below
    "hop": (3, lambda r: (_hops(r),)),
    "version": (1, lambda r: (r.choice(["1.0", "1.1", "1.2"]),)),
}


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
