"""What does each reason mean in plain words, and what can be done about it?

A setting stands between backticks, as docs/configuration.md writes it; what stands between braces is filled in with the
facts of one exchange.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.policy.cache_status import Outcome
from proxy.policy.decisions import Detail, ForwardReason, Unkept
from proxy.policy.facts import CookieKind, Facts

_SETTING = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Remedy:
    """A reason in plain words."""

    says: str
    """What it means."""
    do: str
    """What to do, or that there is nothing to do."""

    @property
    def settings(self) -> tuple[str, ...]:
        """Return the settings that it names."""
        return tuple(dict.fromkeys(_SETTING.findall(self.do)))

    def about(self, facts: Facts) -> Remedy:
        """Return it with the facts of one exchange filled in."""
        words = facts.words()
        return Remedy(self.says.format_map(words), self.do.format_map(words))


def remedy_of(outcome: Outcome, facts: Facts) -> Remedy:
    """Return the plain words for what became of a request: those of the detail, which is the closest to the cause."""
    if outcome.detail is Detail.SET_COOKIE and facts.kind is not None:
        return COOKIES[facts.kind].about(facts)
    if outcome.detail is Detail.COOKIE and facts.file is not None:
        return FILE_WITH_COOKIES.about(facts)
    if outcome.detail is not None:
        return DETAILS[outcome.detail].about(facts)
    if outcome.forward is ForwardReason.VARY_MISS and not outcome.stored and facts.file and "Cookie" in facts.vary:
        return FILE_BY_COOKIES.about(facts)
    if outcome.forward is not None:
        return (STORED if outcome.stored else FORWARDED[outcome.forward]).about(facts)
    return HIT


HIT = Remedy("A stored response answers, and it is fresh.", "Nothing: this is what the cache is for.")
STORED = Remedy("The application was asked, and its answer was stored.", "Nothing: the next request gets it.")

#: Files behind session cookies: every visitor of a web mail or of a shop with a basket asks for them with cookies.
FILE_WITH_COOKIES = Remedy(
    "The request has {cookies}, and the response, a file ({file}), does not say who may share it.",
    "If such files are the same for everybody, put a route for them (such as match: /static/*) before the others, with "
    "public: true and a max_age in `routes[].cache_control`; or let their server send Cache-Control: public, max-age.",
)
FILE_BY_COOKIES = Remedy(
    "This file ({file}) is stored, but for other cookies than this request has: its response says Vary: Cookie.",
    "If such files are the same for everybody, put a route for them before the others, with the one pattern * in its "
    "`routes[].cookies.ignore`; or let their server leave Cookie out of Vary.",
)

#: Why a request goes to the application.
FORWARDED: Mapping[ForwardReason, Remedy] = {
    ForwardReason.BYPASS: Remedy(
        "The request is not for the cache.",
        "The detail says why. For a page that is the same for everybody, take the cause away.",
    ),
    ForwardReason.METHOD: Remedy(
        "Only GET and HEAD are answered from the cache; this is {method}.",
        "Nothing for requests that change something. A page that is only read should be asked for with GET; "
        "`store_post` lets the answer to a POST answer later GET requests, where it says that it may.",
    ),
    ForwardReason.URI_MISS: Remedy(
        "Nothing is stored for this URL.",
        "Nothing if it is new, was purged or ran out. If it stays like this although answers are stored, the cache may "
        "be too small (`CACHES.<alias>.OPTIONS.MAX_ENTRIES`, `CACHES.<alias>.OPTIONS.MAX_BYTES`), or each visitor "
        "comes with another query (`query.ignore`, `query.preset`).",
    ),
    ForwardReason.VARY_MISS: Remedy(
        "Pages are stored for this URL, but none for what this request says in {vary}.",
        "See in the key what differs. Cookies that do not change the page belong into `cookies.ignore`; the languages "
        "and codings that the application has into `normalize.accept_language` (with Django: `USE_I18N`) and "
        "`normalize.accept_encoding`. Or let the application vary by less.",
    ),
    ForwardReason.REQUEST: Remedy(
        "The client does not want what is stored: its Cache-Control asks for something newer.",
        "A reload in a browser does this. `client_cache_control` says whose wishes count: set it to ignore, or to "
        "trusted.",
    ),
    ForwardReason.STALE: Remedy(
        "What is stored is older than its lifetime, so the application was asked about it.",
        "For fewer questions let pages live longer: a larger max-age, or `routes[].cache_page`. With "
        "`routes[].stale_while_revalidate` nobody waits for the answer; with an ETag or Last-Modified it is short.",
    ),
    ForwardReason.PARTIAL: Remedy(
        "A part of it is stored, and the request wants more than this part.",
        "Nothing: only what is missing is asked for, where the parts fit together.",
    ),
}

#: What became of a request, in the one word of logs and metrics.
WORDS: Mapping[str, Remedy] = {
    "hit": HIT,
    "hit-stale": Remedy(
        "A stored response answers, and it is stale.",
        "The detail says why it may. If it should be fresher, let the application give it a shorter "
        "stale-while-revalidate, or set `routes[].stale_while_revalidate`.",
    ),
    **{reason.value: remedy for reason, remedy in FORWARDED.items()},
    "refused": Remedy(
        "The request was refused without asking the application.",
        "The detail says why: the client wanted only what is stored, or the host is not in `ALLOWED_HOSTS`.",
    ),
    "purge": Remedy(
        "The request asked for a purge.",
        "Nothing, if its answer is 200; else that says what is wrong, or which cache could not be told.",
    ),
}

#: What Cache-Status says in ``detail``.
DETAILS: Mapping[Detail, Remedy] = {
    Detail.HOST_NOT_ALLOWED: Remedy(
        "This host is none of ours, so the request is refused with 421.",
        "If it should be served, add it to `ALLOWED_HOSTS`, or to `sites.<name>.hosts` of its site.",
    ),
    Detail.ROUTE: Remedy(
        "The route {route} keeps this request away from the cache, or servers read its path in several ways that take "
        "different routes.",
        "If pages here may be shared, take `routes[].bypass`, `routes[].never_cache` or the 0 of `routes[].cache_page` "
        "away, or put a route for these pages before it: the first that matches counts.",
    ),
    Detail.UPGRADE: Remedy(
        "The request changes the protocol, as WebSocket does, and is passed through.",
        "Nothing: there is no page to store.",
    ),
    Detail.PRECONDITION: Remedy(
        "The request has If-Match or If-Unmodified-Since, which only the application can judge.",
        "Nothing: programs that write send these. A program that only reads should leave them out.",
    ),
    Detail.REQUEST_BODY: Remedy(
        "The request has a body, and what is stored answers none.",
        "Send what tells pages apart in the query of the URL instead.",
    ),
    Detail.COOKIE: Remedy(
        "The request has {cookies}, and the response does not say who may share it: it might be personal.",
        "If it is the same for everybody, let the application say so with Cache-Control: public, s-maxage or a max-age "
        "above 0, or name cookies that do not change it, never a session's, in `cookies.ignore` (`cookies.preset` "
        "knows many). If it differs by cookie, let it say Vary: Cookie, or name the cookie in `routes[].vary_on`.",
    ),
    Detail.AUTHORIZATION: Remedy(
        "The request has credentials (Authorization), and the response does not say that others may have it.",
        "If it is the same for everybody, let the application send Cache-Control: public, or s-maxage. Else it is "
        "right as it is.",
    ),
    Detail.IDENTITY: Remedy(
        "The request has a field that says who asks (an API key, a token, a user), and the response does not say that "
        "others may have it.",
        "If it is the same for everybody, let the application send Cache-Control: public, or s-maxage; if it differs "
        "by the field, Vary with its name beside max-age. `identity_fields` has the names: leave out what identifies "
        "nobody.",
    ),
    Detail.HEALTH_CHECK: Remedy(
        "It is a health check, which is to hear of the application itself and not of what is stored.",
        "Nothing, if it is one, by its path or by the program that sends it. If it is a page for people, leave its "
        "path out of `health_checks.paths`, or let the application send Cache-Control: max-age.",
    ),
    Detail.REQUEST_NO_CACHE: Remedy(
        "The client asks for the stored page to be checked first (Cache-Control: no-cache), as a forced reload does.",
        "Nothing if only few do. `client_cache_control` says whose wishes count: set it to ignore, or to trusted.",
    ),
    Detail.REQUEST_NO_STORE: Remedy(
        "The client asks for nothing to be stored (Cache-Control: no-store).",
        "`client_cache_control` says whose wishes count: set it to ignore, or to trusted.",
    ),
    Detail.REQUEST_MAX_AGE: Remedy(
        "The stored page is older than the client wants (max-age in its Cache-Control), as at a reload.",
        "Nothing if only few do. `client_cache_control` says whose wishes count: set it to ignore, or to trusted. "
        "Files that never change should be sent with immutable.",
    ),
    Detail.REQUEST_MIN_FRESH: Remedy(
        "The stored page will not be fresh for as long as the client wants (min-fresh in its Cache-Control).",
        "`client_cache_control` says whose wishes count; or let pages live longer with `routes[].cache_page`.",
    ),
    Detail.ONLY_IF_CACHED: Remedy(
        "The client wants a stored page or none (only-if-cached), and there is none for it: it gets 504.",
        "Nothing: it asked for this. `client_cache_control` can ignore such wishes.",
    ),
    Detail.METHOD: Remedy(
        "Only answers to GET are stored; this was {method}.",
        "Nothing for requests that change something. `store_post` stores the answer to a POST that says it may be.",
    ),
    Detail.NO_STORE: Remedy(
        "The response says {control}: {word}, so it is not stored.",
        "If it may be shared, take no-store away where the application adds it: in Django never_cache does, and so do "
        "login pages and the admin. The proxy never stores such a response against its word.",
    ),
    Detail.PRIVATE: Remedy(
        "The response says {control}: private: it is for one visitor only.",
        "If it is the same for everybody, take private away in the application (in Django: cache_control(private=True)"
        "; MediaWiki says it until $wgUseCdn is true, Plone until plone.app.caching gives the page moderate caching), "
        "or write public and an s_maxage for it with `routes[].cache_control`.",
    ),
    Detail.VARY_STAR: Remedy(
        "The response says Vary: *: it may depend on anything, so no other request can get it.",
        "Let the application name the fields that it really depends on.",
    ),
    Detail.SET_COOKIE: Remedy(
        "The response sets {set_cookies}, which would be given to every visitor.",
        "If nobody needs that cookie from this page, list it in `routes[].remove_set_cookie`. Where it is the same for "
        "all, `routes[].set_cookie` as explicit stores it with the page, if the page says how long it is fresh.",
    ),
    Detail.STATUS: Remedy(
        "A response with the status {status} is never stored.",
        "Nothing: it says nothing that another visitor could use.",
    ),
    Detail.PARTIAL_CONTENT: Remedy(
        "The response is a part that cannot be used for others: several parts at once, or one that contradicts itself.",
        "Let the application send Content-Range as the RFC says and one range at a time, or the whole.",
    ),
    Detail.EVENT_STREAM: Remedy(
        "The response is a stream of events: it has no end, and each visitor has one of his own.",
        "Nothing: it is passed through as it comes.",
    ),
    Detail.NO_FRESHNESS: Remedy(
        "Nothing says how long a response with the status {status} is fresh.",
        "Let the application send Cache-Control: max-age, or give such answers a lifetime with `routes[].status_ttl`; "
        "a 200 has one by `routes[].cache_page` or `CACHE_MIDDLEWARE_SECONDS`. Without these only pages and files have "
        "one (`page_types`), and data for programs, as JSON, has none. `heuristic.percent` guesses one.",
    ),
    Detail.NOT_REUSABLE: Remedy(
        "The response is stale as it arrives, and has no ETag or Last-Modified to check it by.",
        "Let the application send a larger max-age, or an ETag (in Django: ConditionalGetMiddleware; in Plone: "
        "moderate caching of plone.app.caching), or set `routes[].cache_page`. Where its clock is behind, correct it.",
    ),
    Detail.TOO_LARGE: Remedy(
        "The response ({length}) is larger than what is stored at most ({limit}).",
        "Raise `limits.stored_body`, if the cache has room for it.",
    ),
    Detail.UNDELIMITED: Remedy(
        "The response ends with its connection, and nobody can tell whether it was whole.",
        "Let the application send Content-Length or use the chunked coding: every current server does over HTTP/1.1.",
    ),
    Detail.UNTRUSTED_PROXY: Remedy(
        "The request says that it came by https, its sender is not trusted, and the "
        "application redirects it to https of the same URL: in a browser that goes on for ever.",
        "If the sender is your proxy, name its address in `trusted_proxies`, or unix if it comes over a Unix socket.",
    ),
    Detail.STORAGE_FAILED: Remedy(
        "The cache did not answer in time or failed, so the application was asked and nothing was stored.",
        "See whether its server runs and is near; the metrics sitecache_storage_errors_total say how it fails. "
        "`CACHES.<alias>.DEADLINE` is how long a request waits for it.",
    ),
    Detail.STORAGE_DAMAGED: Remedy(
        "What the cache held was not what had been written there, so it was passed over.",
        "Once is nothing: it has been replaced. If it goes on, somebody else writes to the same keys: give the cache "
        "a `CACHES.<alias>.KEY_PREFIX` or a place of its own.",
    ),
    Detail.NO_CACHE: Remedy(
        "The response says {control}: no-cache: it is stored, and checked with the application on each use.",
        "If it may be used without asking, let the application send max-age instead.",
    ),
    Detail.PURGED: Remedy(
        "The page was purged softly: it is stale since then, and checked with the application before it is used.",
        "Nothing: the answer takes its place, and the next request is a hit.",
    ),
    Detail.STALE_WHILE_REVALIDATE: Remedy(
        "A stale page was served at once, and is checked in the background.",
        "Nothing: this is what stale-while-revalidate is for (`routes[].stale_while_revalidate`).",
    ),
    Detail.STALE_IF_ERROR: Remedy(
        "The application failed, and a stale page stands in for it.",
        "See to the application: its log has the cause. `stale_if_error` says how long stale pages may help out.",
    ),
    Detail.MAX_STALE: Remedy(
        "A stale page was served, because the client takes one (max-stale in its Cache-Control).",
        "Nothing: it asked for this. `client_cache_control` can ignore such wishes.",
    ),
    Detail.UPSTREAM_UNREACHABLE: Remedy(
        "No connection to the application could be made.",
        "See whether it runs, and whether `upstream.url` is where it listens.",
    ),
    Detail.UPSTREAM_TIMEOUT: Remedy(
        "The application took too long.",
        "Make the page faster, or give it longer: `upstream.timeouts.first_byte` and "
        "`upstream.timeouts.between_bytes`. With `stale_if_error` a stale page stands in for it.",
    ),
    Detail.UPSTREAM_CLOSED: Remedy(
        "The application closed the connection before its answer was whole.",
        "Its log should say why: a worker that was killed, a crash, or its own time limit. Where it closes idle "
        "connections, keep `upstream.timeouts.idle` below its limit.",
    ),
    Detail.UPSTREAM_GARBAGE: Remedy(
        "What the application sent is not an HTTP response that can be read without guessing.",
        "See whether `upstream.url` is an HTTP/1.1 server, and neither TLS nor something else.",
    ),
    Detail.UPSTREAM_ERROR: Remedy(
        "The application failed.",
        "Its log should say why. With `stale_if_error` a stale page stands in for it.",
    ),
    Detail.REQUEST_BODY_LOST: Remedy(
        "The client went away while its request was being passed on.",
        "Nothing if it happens now and then. If uploads end like this, see `timeouts.body` and `limits.body`.",
    ),
}

#: The same as SET_COOKIE, where the name of the cookie says what it is for.
COOKIES: Mapping[CookieKind, Remedy] = {
    CookieKind.SESSION: Remedy(
        "The response sets {set_cookies}, which is a visitor's session, so it is for this visitor only.",
        "Let the application begin no session for those who only read (in Django: do not touch request.session). The "
        "cookie must not be taken away or shared; a page that needs it belongs on a route with `routes[].bypass`.",
    ),
    CookieKind.CSRF: Remedy(
        "The response sets {set_cookies}, the token that protects a form on it, which is for this visitor only.",
        "Do not use the CSRF token in pages for everybody: fetch the form, or the token, on its own. Where no form "
        "on the page needs it, list the cookie in `routes[].remove_set_cookie`.",
    ),
}

#: What happened to a response after its head had said that it would be stored.
UNKEPT: Mapping[Unkept, Remedy] = {
    Unkept.TOO_LARGE: Remedy(
        "It was to be stored, and turned out to be larger than what is stored at most ({limit}).",
        "Raise `limits.stored_body`, if the cache has room for it.",
    ),
    Unkept.CUT_SHORT: Remedy(
        "It was to be stored, and its body did not come whole.",
        "If the application cut it short, its log should say why.",
    ),
    Unkept.INVALIDATED: Remedy(
        "It was to be stored, and meanwhile a write or a purge made it outdated.",
        "Nothing: the next request brings the new one.",
    ),
}
