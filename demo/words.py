"""Which texts of the demo are too regular for a template? Those of Cache-Status, and one page in three languages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Greeting:
    """The page in one language."""

    hello: str
    today: str
    explain: str
    choose: str


GREETINGS = {
    "en": Greeting(
        "Good to see you!",
        "Today is",
        "This is the English page. Yours is chosen by your cookie, and without one by what your browser prefers.",
        "Read it in",
    ),
    "es": Greeting(
        "¡Qué gusto verte!",
        "Hoy es",
        "Esta es la página en español. La tuya la elige tu cookie y, si no tienes, lo que prefiere tu navegador.",
        "Léela en",
    ),
    "de": Greeting(
        "Schön, dass du da bist!",
        "Heute ist der",
        "Das ist die deutsche Seite. Welche du siehst, sagt dein Cookie, und ohne Cookie die Vorliebe deines Browsers.",
        "Lies sie auf",
    ),
}

#: (heading, ((words, meaning), ...)) in the order of a request.
CACHE_STATUS = (
    (
        "Who answered",
        (
            ("hit", "The proxy answered from what it had stored; the site was not asked."),
            ("fwd=uri-miss", "Nothing was stored for this address, so the site was asked."),
            ("fwd=partial", "A part of it was stored, and the visitor wants more."),
            ("fwd=vary-miss", "Something was stored, but for other visitors: another cookie, another language."),
            ("fwd=stale", "What was stored had outlived its lifetime, so the site was asked."),
            ("fwd=request", "The visitor asked for a newer page, as browsers do on reload."),
            ("fwd=method", "Not a GET or HEAD. Those always go to the site."),
            ("fwd=bypass", "The cache was left out; detail says why."),
        ),
    ),
    (
        "What else it tells",
        (
            ("ttl=20", "Fresh for 20 more seconds. Negative: stale for so long."),
            ("stored", "This answer of the site was kept for the next visitor."),
            ("collapsed", "Somebody else was already waiting for the same page; you shared the answer."),
            ("fwd-status=304", "What the site answered. 304: what was stored still holds."),
        ),
    ),
    (
        "Why it was not stored",
        (
            ("detail=set-cookie", "The answer gives a visitor a cookie. It is theirs alone."),
            ("detail=cookie", "The visitor sent a cookie, and the page does not say whether it depends on it."),
            ("detail=authorization", "The visitor logged in by HTTP, and the page does not say that it is for all."),
            ("detail=identity", "The visitor sent an API key or the like; it does not say that it is for all."),
            ("detail=health-check", "A health check is answered by the site itself."),
            ("detail=untrusted-proxy", "The site redirects to https for ever: a proxy in front is not trusted."),
            ("detail=no-store", "The site forbids it."),
            ("detail=private", "The site allows it to browsers only."),
            ("detail=storage-damaged", "What was kept had been damaged, so it was passed over and the site asked."),
            ("detail=storage-failed", "The place where pages are kept does not answer, so the site does."),
            ("detail=event-stream", "A stream of events has no end, and each visitor's begins when they come."),
            ("detail=vary-star", "The page depends on more than the request, so no request is known to match it."),
            ("detail=method", "Only answers to GET are stored."),
            ("detail=status", "An answer with this status is not for storing."),
            ("detail=no-freshness", "Neither the site nor a rule gives it a lifetime: 404s and other errors."),
            ("detail=not-reusable", "It could never be used again: no lifetime and nothing to validate it by."),
            ("detail=partial-content", "It is several parts, or a part that contradicts itself."),
            ("detail=too-large", "It is larger than what one page may take."),
            ("detail=undelimited", "It ended with the connection alone, so nobody can tell whether it is whole."),
        ),
    ),
    (
        "Why the cache could not answer",
        (
            ("detail=request-no-cache", "The visitor wants the site to be asked."),
            ("detail=request-no-store", "The visitor wants nothing to be kept."),
            ("detail=request-max-age", "What is stored is older than the visitor accepts."),
            ("detail=request-min-fresh", "What is stored does not stay fresh for as long as the visitor wants."),
            ("detail=only-if-cached", "The visitor wanted a stored page or none."),
            ("detail=route", "A rule for this address leaves the cache out."),
            ("detail=host-not-allowed", "The proxy does not serve this host."),
            ("detail=precondition", "A condition on the request that only the site can judge."),
            ("detail=request-body", "A GET with a body. Only the site can know what that means."),
            ("detail=upgrade", "A WebSocket or the like: from here on the proxy only carries bytes."),
            ("detail=no-cache", "The site wants to be asked on every use."),
        ),
    ),
    (
        "When something is stale or broken",
        (
            ("detail=stale-while-revalidate", "You got the stale page at once; the proxy fetches a new one."),
            ("detail=stale-if-error", "The site failed, and the stale page stands in."),
            ("detail=max-stale", "The visitor accepts stale pages."),
            ("detail=purged", "Somebody has purged it softly, so the site is asked whether it still holds."),
            ("detail=upstream-unreachable", "The site does not take connections."),
            ("detail=upstream-timeout", "The site took too long."),
            ("detail=upstream-closed", "The site hung up."),
            ("detail=upstream-garbage", "What the site sent is not HTTP."),
            ("detail=upstream-error", "The site failed in another way."),
            ("detail=request-body-lost", "The visitor's upload broke off."),
        ),
    ),
)
