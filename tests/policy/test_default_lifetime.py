"""Lifetimes that nobody stated: for which responses, and for which a stale one never stands in."""

from __future__ import annotations

import pytest

from proxy.config.units import Seconds
from proxy.config.usual import HEALTH_AGENTS, HEALTH_PATHS, PAGE_TYPES
from proxy.policy.decisions import Detail, Discard, Fetch, Store, Storing
from proxy.policy.default_lifetime import HealthChecks, MediaTypes, is_data
from proxy.policy.directives import NO_TERMS
from proxy.policy.reuse import decide_reuse
from proxy.policy.storing import decide_storing
from proxy.policy.told import site_fields
from proxy.policy.validation import may_stand_in
from tests.policy.making import TIMES, later, request, response, rules, stored

HEALTH = HealthChecks(HEALTH_PATHS, HEALTH_AGENTS)
UNSET = {"page_types": MediaTypes(PAGE_TYPES), "health_checks": HEALTH, "tells_default": False, "stale_data": False}


def decide(*lines: str, target: str = "/page", agent: str = "Mozilla/5.0", **changes: object) -> Storing:
    asked = request(f"User-Agent: {agent}", target=target.encode())
    return decide_storing(asked, NO_TERMS, response(*lines), TIMES, rules(**{**UNSET, **changes}))


@pytest.mark.parametrize(
    ("media_type", "is_kept"),
    [
        *((kind, True) for kind in ("text/html", "TEXT/HTML; charset=utf-8", "application/xhtml+xml", "text/css")),
        *((kind, True) for kind in ("text/javascript", "application/javascript", "image/png", "image/svg+xml")),
        *((kind, True) for kind in ("font/woff2", "application/rss+xml", "application/atom+xml; charset=x")),
        *((kind, False) for kind in ("application/json", "application/ld+json", "application/problem+json")),
        *((kind, False) for kind in ("application/x-ndjson", "application/json-seq", "text/plain; charset=utf-8")),
        *(
            (kind, False)
            for kind in ("text/csv", "application/xml", "text/xml", "application/octet-stream", "video/mp4")
        ),
        *((kind, False) for kind in ("", "html", "text/htmlx", "xtext/html", "application/openmetrics-text")),
    ],
)
def test_only_pages_and_files_have_a_lifetime_that_nobody_stated(media_type: str, is_kept: bool) -> None:
    """Real applications: MLflow 3.17 and FastAPI 0.165 (JSON), Prometheus 2.42 (``/metrics``), WordPress 6 (pages)."""
    lines = [f"Content-Type: {media_type}"] if media_type else []
    decision = decide(*lines)
    assert isinstance(decision, Store) if is_kept else decision == Discard(Detail.NO_FRESHNESS)
    assert isinstance(decide(*lines, page_types=None), Store), "where it is set, it means what Django means"
    assert isinstance(decide(*lines, "Cache-Control: max-age=5"), Store)


def test_a_list_of_ones_own() -> None:
    every = MediaTypes(("*",))
    assert isinstance(decide("Content-Type: application/json", page_types=every), Store)
    assert decide(page_types=every) == Discard(Detail.NO_FRESHNESS)
    assert decide("Content-Type: text/html", page_types=MediaTypes(())) == Discard(Detail.NO_FRESHNESS)


@pytest.mark.parametrize(
    "target",
    [
        *(
            "/health",
            "/health/",
            "/health/live",
            "/healthz",
            "/api/health",
            "/api/v1/healthz",
            "/livez",
            "/readyz?verbose",
        ),
        *("/up", "/ping", "/-/healthy", "/actuator/health/liveness", "/__heartbeat__", "/%68ealth", "/metrics"),
        # django-health-check, Quarkus, .NET, php-fpm
        *("/ht/", "/hc", "/health.html", "/HEALTH", "/up/", "/api/health/db", "/q/health/live", "/healthcheck.php"),
    ],
)
def test_what_a_health_check_asks_for_has_none(target: str) -> None:
    """Rails 8 (``/up`` is HTML), MLflow 3.17 (``/health`` is HTML), Spring Boot 3, Prometheus, Kubernetes."""
    assert decide("Content-Type: text/html", target=target) == Discard(Detail.HEALTH_CHECK)
    assert isinstance(decide("Content-Type: text/html", target=target, page_types=None), Store)


@pytest.mark.parametrize("target", ["/healthy-food", "/", "/blog/up-and-down", "/upload", "/pings", "/topic?health"])
def test_pages_that_are_no_health_checks(target: str) -> None:
    assert isinstance(decide("Content-Type: text/html", target=target), Store)


@pytest.mark.parametrize(
    "agent",
    [
        *("kube-probe/1.31", "ELB-HealthChecker/2.0", "GoogleHC/1.0", "Consul Health Check", "Envoy/HC"),
        *("Amazon-Route53-Health-Check-Service (ref x)", "Mozilla/5.0+(compatible; UptimeRobot/2.0; x)", "x" * 300),
        *("Cloudflare-Healthchecks/1.0 (+x)", "Better Uptime Bot", "Datadog/Synthetics", "check_http/v2.3", "AlwaysOn"),
    ],
)
def test_who_checks_health(agent: str) -> None:
    is_known = not agent.startswith("xxx")
    decision = decide("Content-Type: text/html", agent=agent)
    assert decision == Discard(Detail.HEALTH_CHECK) if is_known else isinstance(decision, Store)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(["Content-Type: text/html"], True, id="page"),
        pytest.param(["Content-Type: application/pdf"], True, id="file"),
        pytest.param([], True, id="untyped"),
        pytest.param(["Content-Type: application/json"], False, id="json"),
        pytest.param(["Content-Type: application/vnd.api+json"], False, id="json-suffix"),
        pytest.param(["Content-Type: application/x-ndjson"], False, id="ndjson"),
        pytest.param(["Content-Type: application/jsonl"], False, id="jsonl"),
        pytest.param(["Content-Type: text/plain; version=0.0.4"], False, id="plain"),
    ],
)
@pytest.mark.rfc(5861, "4")
def test_a_stale_answer_never_stands_in_for_data_unless_somebody_says_so(lines: list[str], expected: bool) -> None:
    unset = rules(**UNSET, stale_if_error=Seconds(3600))
    for_all = rules(**{**UNSET, "stale_data": True}, stale_if_error=Seconds(3600))
    kept = stored("Cache-Control: max-age=5", *lines)
    assert may_stand_in(request(), kept, later(10), unset) is expected
    assert may_stand_in(request(), kept, later(10), for_all)
    assert not may_stand_in(request(target=b"/health"), kept, later(10), for_all)
    assert not may_stand_in(request("User-Agent: kube-probe/1.31"), kept, later(10), for_all)
    said = stored("Cache-Control: max-age=5, stale-if-error=60", *lines)
    assert may_stand_in(request(target=b"/health"), said, later(10), unset)
    assert is_data(response(*lines).fields) is not expected


@pytest.mark.parametrize(("status", "stands_in"), [(200, True), (301, True), (404, True), (410, True), (403, False)])
def test_what_was_good_stands_in(status: int, stands_in: bool) -> None:
    kept = stored("Cache-Control: max-age=5", status=status)
    assert may_stand_in(request(), kept, later(10), rules(stale_if_error=Seconds(3600))) is stands_in


@pytest.mark.parametrize("status", [400, 401, 429, 500, 502, 503, 504])
@pytest.mark.rfc(5861, "4")
def test_a_stored_error_never_stands_in(status: int) -> None:
    kept = stored("Cache-Control: max-age=5, stale-if-error=60, stale-while-revalidate=60", status=status)
    assert isinstance(decide_reuse(request(), NO_TERMS, kept, later(10), rules()), Fetch)
    assert not may_stand_in(request(), kept, later(10), rules(stale_if_error=Seconds(3600)))


def test_browsers_are_not_told_of_it() -> None:
    came = response("Content-Type: text/html")
    unset = rules(**UNSET)
    decision = decide_storing(request(), NO_TERMS, came, TIMES, unset)
    assert isinstance(decision, Store)
    assert site_fields(came.fields.raw, decision.terms, unset) == came.fields.raw
    told = rules(**{**UNSET, "tells_default": True})
    decision = decide_storing(request(), NO_TERMS, came, TIMES, told)
    assert isinstance(decision, Store)
    assert (b"Cache-Control", b"max-age=600") in site_fields(came.fields.raw, decision.terms, told)


@pytest.mark.parametrize(
    ("line", "lifetime"),
    [
        pytest.param("x-nextjs-cache: STALE", 0, id="stale"),
        pytest.param("X-Nextjs-Cache: stale", 0, id="case"),
        pytest.param("x-nextjs-cache: HIT", 60, id="another-value"),
        pytest.param("x-other: STALE", 60, id="another-field"),
        pytest.param("x-slow: 1", 20, id="shorter"),
        pytest.param("x-long: 1", 60, id="never-longer"),
    ],
)
def test_a_field_makes_a_lifetime_shorter(line: str, lifetime: int) -> None:
    """Next.js 16.4: ``x-nextjs-cache: STALE`` comes with the whole ``s-maxage``."""
    lifetimes = {
        b"x-nextjs-cache": {b"stale": Seconds(0)}, b"x-slow": {b"1": Seconds(20)}, b"x-long": {b"1": Seconds(99)}
    }  # fmt: skip
    said = "Cache-Control: s-maxage=60, stale-while-revalidate=99"
    decision = decide(said, line, response_lifetimes=lifetimes, stale_after_s_maxage=True)
    assert isinstance(decision, Store)
    assert decision.terms.lifetime == lifetime
    assert decision.terms.sharable


@pytest.mark.parametrize(("bare", "expected"), [(0, 0), (3600, 3600)])
@pytest.mark.rfc(5861, "3")
def test_stale_while_revalidate_without_a_value(bare: int, expected: int) -> None:
    """Nuxt 4.5 (Nitro): ``s-maxage=60, stale-while-revalidate`` means for ever."""
    for said, means in (("stale-while-revalidate", expected), ("stale-while-revalidate=5", 5)):
        decision = decide(f"Cache-Control: max-age=60, {said}", bare_while_revalidate=Seconds(bare))
        assert isinstance(decision, Store)
        assert decision.terms.stale_while_revalidate == means
    decision = decide("Cache-Control: max-age=60, stale-while-revalidate=x", bare_while_revalidate=Seconds(bare))
    assert isinstance(decision, Store)
    assert decision.terms.stale_while_revalidate == 0
