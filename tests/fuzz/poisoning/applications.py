"""Two applications that write into their pages all that they can see of a request.

``php`` folds paths and fields as PHP does behind httpd, nginx or lighttpd; ``wsgi`` goes by the environment of PEP 3333
as gunicorn, uWSGI and Werkzeug make and read it. Both say ``Cache-Control: max-age``, and ``Vary`` for what they are
right to negotiate by. Pages are the same for equal requests: nothing counts, nothing tells the time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, unquote_plus

Pairs = list[tuple[str, str]]
Page = dict[str, object]
"""What is seen, by where it comes from: ``host.links``, ``path.folded`` ..."""

#: Each round has a host of its own, and the page does not tell which.
_ROUND = re.compile(r"v\d+(?=\.)", re.IGNORECASE)
#: A page under this path negotiates, and says so.
VARIED = "/varied"
NEGOTIATED = ("Accept-Language", "Accept-Encoding", "Cookie", "X-Custom-Lang", "X-Requested-With")
_ANALYTICS = ("_ga", "_gid", "__utma", "_fbp")
_ABOUT_CLIENTS = ("FOR", "REAL_IP", "CLIENT_IP", "CONNECTING_IP", "CLUSTER_CLIENT")


@dataclass
class Raw:
    """A request as it came off the wire."""

    method: str
    target: str
    fields: Pairs
    body: bytes = b""
    version: str = "1.1"

    def all(self, name: str) -> list[str]:
        return [value for known, value in self.fields if known.lower() == name]


@dataclass
class Reply:
    """A response, before it is written."""

    body: bytes
    status: int = 200
    fields: Pairs = field(default_factory=list)

    def bytes_for(self, method: str) -> bytes:
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.fields)
        bodiless = self.status in (204, 304)
        length = "" if bodiless else f"Content-Length: {len(self.body)}\r\n"
        head = f"HTTP/1.1 {self.status} OK\r\n{lines}{length}\r\n".encode("latin-1")
        return head if bodiless or method == "HEAD" else head + self.body


@dataclass(frozen=True)
class Sight:
    """What an application looks at, as far as proxies before it differ in what they promise."""

    clients: bool = True
    """The addresses of clients: everybody's are the same, where nobody can say another."""
    identities: bool = True
    """Fields that say who asks, beside Authorization."""
    analytics: bool = True
    """Cookies of analytics, which are ignored: what comes of them is not in the key."""


Application = Callable[[Raw, Sight], Reply]


def parse(head: bytes, body: bytes = b"") -> Raw:
    """Read a request as a server does that believes the proxy before it."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    target, _, version = rest.rpartition(" ")
    pairs = [(name, value.strip(" \t")) for name, _, value in (line.partition(":") for line in lines if line)]
    return Raw(method, target, pairs, body, version.removeprefix("HTTP/"))


def php(raw: Raw, sight: Sight) -> Reply:
    """Show ``$_SERVER``, ``$_GET`` and ``$_COOKIE`` under lighttpd, which makes ``_`` of all but letters and digits."""
    server: dict[str, str] = {}
    for name, value in raw.fields:
        # Of several, the last.
        server["HTTP_" + re.sub(r"[^A-Z0-9]", "_", name.upper())] = value
    uri = _first(server, "HTTP_X_ORIGINAL_URL", "HTTP_X_REWRITE_URL", "HTTP_X_ORIGINAL_URI") or raw.target
    path, _, query = _past_authority(uri).partition("?")
    folded = _folded(unquote(path).replace("\\", "/"), keeps_parameters=False)
    script, info = _path_info(folded)
    host = _first(server, "HTTP_X_FORWARDED_HOST", "HTTP_X_HOST", "HTTP_X_ORIGINAL_HOST", "HTTP_HOST") or ""
    secure = "on" in _all(server, "HTTP_X_FORWARDED_SSL", "HTTP_FRONT_END_HTTPS", "HTTP_X_ARR_SSL")
    secure = secure or "https" in _all(server, "HTTP_X_FORWARDED_PROTO", "HTTP_X_SCHEME", "HTTP_X_URL_SCHEME")
    cookies = _cookies(server.get("HTTP_COOKIE", ""), lambda name: re.sub(r"[ .]", "_", unquote(name)))
    page: Page = {
        "method": _overridden(raw.method, server, query),
        "path.uri": uri,
        "path.folded": [script, info],
        "query.raw": query,
        "query.parameters": _php_parameters(query),
        "host.links": f"{'https' if secure else 'http'}://{host}/",
        "body.input": raw.body.decode("latin-1") if raw.method in ("GET", "HEAD") else "",
    }
    return _reply(raw, _seen(page, server, cookies, folded, sight), server)


def wsgi(raw: Raw, sight: Sight) -> Reply:
    """Show the environment of PEP 3333 as gunicorn before 22 makes it: ``-`` is ``_``, and commas join fields."""
    environ: dict[str, str] = {}
    for name, value in raw.fields:
        key = "HTTP_" + name.upper().replace("-", "_")
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    path, _, query = _past_authority(raw.target).partition("?")
    script = _first(environ, "HTTP_SCRIPT_NAME", "HTTP_X_SCRIPT_NAME", "HTTP_X_FORWARDED_PREFIX") or ""
    # As gunicorn lets its forwarder_headers do.
    info = environ.get("HTTP_PATH_INFO") or unquote(path)
    scheme = _first(environ, "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_PROTOCOL", "HTTP_X_FORWARDED_SCHEME") or "http"
    scheme = "https" if environ.get("HTTP_X_FORWARDED_SSL", "").lower() == "on" else scheme
    host = _first(environ, "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_SERVER", "HTTP_HOST") or "unnamed"
    port = environ.get("HTTP_X_FORWARDED_PORT", host.rpartition(":")[2] if ":" in host else "80")
    page: Page = {
        "method": _overridden(raw.method, environ, query),
        "path.info": [script, info],
        "path.uri": path,
        "query.raw": query,
        # Of several, the first; the separator of Python before 3.10.
        "query.parameters": dict(reversed([_pair(one) for one in re.split("[&;]", query) if one])),
        "host.links": f"{scheme}://{host}{script}/",
        "host.port": port,
        "body.input": raw.body.decode("latin-1") if raw.method in ("GET", "HEAD") else "",
    }
    cookies = _cookies(environ.get("HTTP_COOKIE", ""), str)
    return _reply(raw, _seen(page, environ, cookies, _folded(info, keeps_parameters=True), sight), environ)


APPLICATIONS: dict[str, Application] = {"php": php, "wsgi": wsgi}

#: What servers and frameworks read from fields, beside what the applications above take for themselves.
READ = re.compile(
    "HTTP_(?:X_FORWARDED_.*|FORWARDED|PROXY|SURROGATE_CAPABILITY|X_REAL_IP|CLIENT_IP|TRUE_CLIENT_IP|X_CLIENT_IP"
    "|CF_CONNECTING_IP|CF_VISITOR|X_CLUSTER_CLIENT_IP|FASTLY_CLIENT_IP|X_ORIGINAL_.*|X_REWRITE_URL|X_SCRIPT_NAME|X_HOST"
    "|X_PATH_INFO|SCRIPT_NAME|PATH_INFO|X_SENDFILE_TYPE|X_ACCEL_MAPPING|X_MIDDLEWARE_SUBREQUEST|X_INVOKE_.*"
    "|X_MATCHED_PATH|X_NOW_ROUTE_MATCHES|X_ARR_SSL|X_SCHEME|X_URL_SCHEME|FRONT_END_HTTPS|X_PROTO"
    "|TRANSFER_ENCODING|UPGRADE|TE|HTTP2_SETTINGS|KEEP_ALIVE|PROXY_CONNECTION|CONTENT_LENGTH|X_HTTP_.*"
    "|X_METHOD_OVERRIDE)"
)
IDENTITIES = re.compile(
    "HTTP_(?:AUTHORIZATION|PROXY_AUTHORIZATION|X_API_KEY|X_AUTH_TOKEN|REMOTE_USER|X_REMOTE_USER|X_FORWARDED_USER"
    "|X_FORWARDED_EMAIL|X_AUTH_REQUEST_.*|CF_ACCESS_.*|X_AMZN_OIDC_.*|X_GOOG_.*|PRIVATE_TOKEN|TAILSCALE_USER_.*"
    "|X_FORWARDED_CLIENT_CERT|SSL_CLIENT_.*|X_SSL_.*|X_MS_CLIENT_PRINCIPAL.*)"
)


def _seen(page: Page, server: Mapping[str, str], cookies: Pairs, path: str, sight: Sight) -> Page:
    """Add what is in fields, each where the page says so if it may be there at all."""
    for key, value in sorted(server.items()):
        if IDENTITIES.fullmatch(key) and (sight.identities or key == "HTTP_AUTHORIZATION"):
            page[f"identity.{key}"] = value
        elif key == "HTTP_FORWARDED":
            page["read.forwarded"] = value if sight.clients else _forwarded(value)
        elif READ.fullmatch(key) and (sight.clients or not key.endswith(_ABOUT_CLIENTS)) and value != "0":
            page[f"read.{key}"] = value
    # Of those that nobody is known by, as they are: another that a page shows without Vary is its own fault.
    known = _cookies(server.get("HTTP_COOKIE", ""), str) if sight.analytics else []
    page["cookies.analytics"] = [pair for pair in known if pair[0] in _ANALYTICS]
    if path.startswith(VARIED):
        page["cookies.all"] = cookies
        page["varied.language"] = _wanted(server.get("HTTP_ACCEPT_LANGUAGE"))
        page["varied.encoding"] = _wanted(server.get("HTTP_ACCEPT_ENCODING"))
        page["varied.custom"] = server.get("HTTP_X_CUSTOM_LANG", "default")
        page["varied.fragment"] = server.get("HTTP_X_REQUESTED_WITH", "")
    return page


def _reply(raw: Raw, page: Page, server: Mapping[str, str]) -> Reply:
    text = "".join(f"{key}: {_ROUND.sub('v', repr(value))}\n" for key, value in page.items())
    body = text.encode("utf-8", "backslashreplace")
    fields = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "max-age=3600"), ("ETag", '"one"')]
    fields += [("Vary", ", ".join(NEGOTIATED))] if "cookies.all" in page else []
    if page["method"] not in ("GET", "HEAD"):
        return Reply(body, fields=fields[:1])
    tags = server.get("HTTP_IF_NONE_MATCH", "")
    if '"one"' in tags or tags.strip() == "*":
        return Reply(b"", 304, fields)
    if server.get("HTTP_IF_MATCH", '"one"') != '"one"':
        return Reply(b"precondition", 412, fields[:1])
    # httpd takes Request-Range for Range.
    wanted = server.get("HTTP_RANGE") or server.get("HTTP_REQUEST_RANGE", "")
    matched = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
    if matched is None or raw.method == "HEAD" or int(matched[1]) >= len(body):
        return Reply(body, fields=fields)
    start, end = int(matched[1]), min(int(matched[2] or len(body)), len(body) - 1)
    fields.append(("Content-Range", f"bytes {start}-{end}/{len(body)}"))
    return Reply(body[start : end + 1], 206, fields)


def _first(server: Mapping[str, str], *names: str) -> str | None:
    return next((server[name] for name in names if server.get(name)), None)


def _all(server: Mapping[str, str], *names: str) -> list[str]:
    return [server.get(name, "").lower() for name in names]


def _past_authority(target: str) -> str:
    """Return path and query, of a target in absolute form too."""
    matched = re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/?]*", target)
    return target[matched.end() :] or "/" if matched else target


def _folded(path: str, *, keeps_parameters: bool) -> str:
    """Merge slashes, take out dot segments, and what stands behind ``;`` in each segment."""
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        name = segment if keeps_parameters else segment.partition(";")[0]
        if name == "..":
            kept = kept[:-1]
        elif name not in ("", "."):
            kept.append(name)
    return "/" + "/".join(kept)


def _path_info(path: str) -> tuple[str, str]:
    script, dot, info = path.partition(".php")
    return (script + dot, info) if dot and (not info or info.startswith("/")) else (path, "")


def _overridden(method: str, server: Mapping[str, str], query: str) -> str:
    names = ("HTTP_X_HTTP_METHOD_OVERRIDE", "HTTP_X_HTTP_METHOD", "HTTP_X_METHOD_OVERRIDE")
    wanted = _first(server, *names) or dict(_pair(one) for one in query.split("&")).get("_method") or method
    return "GET" if wanted == "HEAD" else wanted


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return unquote_plus(name), unquote_plus(value)


def _php_parameters(query: str) -> dict[str, str]:
    """Of several, the last; spaces and dots in names are ``_``."""
    pairs = [_pair(one) for one in query.split("&") if one]
    return {re.sub(r"[ .]", "_", name.lstrip(" ")): value for name, value in pairs}


def _cookies(value: str, folded: Callable[[str], str]) -> Pairs:
    parts = [part.strip() for part in re.split(";", value)]
    return [(folded(name), unquote(of)) for name, _, of in (part.partition("=") for part in parts if part)]


def _forwarded(value: str) -> list[str]:
    """Return what Forwarded says of others than the client."""
    pairs = [pair.strip() for pair in re.split("[;,]", value)]
    return [pair for pair in pairs if not pair.lower().startswith("for")]


def _wanted(value: str | None) -> Iterable[tuple[str, float]] | None:
    """Return what a field that negotiates says, however it says it."""
    if value is None:
        return None
    wanted = []
    for member in value.split(","):
        name, *parameters = (part.strip() for part in member.split(";"))
        weights = [part.partition("=")[2].strip() for part in parameters if part.lower().startswith("q")]
        if name:
            wanted.append(
                (name.lower(), float(weights[0]) if weights and re.fullmatch(r"[01](\.\d*)?", weights[0]) else 1.0)
            )
    return sorted(wanted, key=lambda one: (-one[1], one[0]))
