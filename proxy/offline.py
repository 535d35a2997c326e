"""Would this response be stored by this configuration? Without a proxy that runs, and without asking anybody."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any, cast

from proxy.config.model import Config
from proxy.config.units import UnixTime
from proxy.downstream.browsers import as_browsers, assumed
from proxy.downstream.pretended import Asked, pretend
from proxy.exchange.site import Route
from proxy.message.framing import Length, UntilClose, response_framing
from proxy.message.heads import Request, Response
from proxy.ops.explain import keying, shown_remedy, shown_request, shown_route, shown_tags, varied_name
from proxy.policy.cache_status import Outcome
from proxy.policy.decisions import Detail, Discard, ForwardReason, Store, Storing
from proxy.policy.facts import facts_of
from proxy.policy.freshness import date_value
from proxy.policy.https_loop import is_https_loop
from proxy.policy.key_parts import key_parts
from proxy.policy.lifetime_rule import lifetime_rule
from proxy.policy.patching import patched
from proxy.policy.posting import answers_get
from proxy.policy.remedies import remedy_of
from proxy.policy.reuse import bypass, terms_asked
from proxy.policy.storing import decide_storing, vary_names
from proxy.policy.tags import tags_of
from proxy.policy.told import site_fields
from proxy.sites import Parts, sites_of
from proxy.storage.responses import NoResponses
from proxy.upstream.client import Origin
from proxy.upstream.parser import parse_response_head

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_STATUS_LINE = re.compile(rb"HTTP/(1\.0|1\.1|2|3)(?:\.0)? +(\d{3})(?: [^\r\n]*)?")
_TOLD = (b"cache-control", b"expires", b"vary")


def explain_response(config: Config, asked: Asked, captured: bytes, now: UnixTime) -> dict[str, Any]:
    """Say whether a response would be stored, for how long, by which rule, and what to do about it.

    ``captured`` is what ``curl -i`` prints. ValueError or SitecacheError says what is wrong with it, or with what was
    asked.
    """
    browser = as_browsers(asked)[0]
    request = pretend(browser, config.limits, config.trusted_proxies, config.upgrades)
    nobody = cast("Origin", None)
    route = sites_of(Parts(config, lambda _: NoResponses(), lambda _: nobody)).route(request)
    response, body = read_captured(captured)
    if route.patches is not None:
        response.fields = patched(response.fields, route.patches, now)
    # It may have been captured a while ago, and was not that old then.
    then = date_value(response.fields, now)
    storing = _storing(request, route, response, body, then)
    vary = storing.terms.vary if isinstance(storing, Store) else vary_names(response.fields)
    return {
        "request": shown_request(request),
        "assumed": assumed(asked, browser),
        **shown_route(route),
        "key": [asdict(part) for part in key_parts(request, keying(route, request), vary)],
        "vary": None if vary is None else [varied_name(name) for name in vary],
        "status": response.status,
        "tags": shown_tags(tags_of(response.fields)),
        **_judged(request, route, response, storing, then),
        "notes": _notes(response),
    }


def _judged(request: Request, route: Route, response: Response, storing: Storing, now: UnixTime) -> dict[str, Any]:
    facts = facts_of(request, response, route.rules, route.name)
    if isinstance(storing, Discard):
        remedy = remedy_of(Outcome(detail=storing.why), facts)
        return {"stored": False, "reason": storing.why.value, "remedy": shown_remedy(remedy)}
    terms = storing.terms
    told = site_fields(list(response.fields), terms, route.rules, response.status)
    return {
        "stored": True,
        "reason": None,
        "lifetime": int(terms.lifetime),
        "lifetime_from": lifetime_rule(response, terms, route.rules),
        "age": int(terms.age(now)),
        "kept_for": int(storing.retention),
        "validated_on_each_use": terms.no_cache,
        "without_fields": sorted(name.decode("latin-1") for name in storing.withheld),
        "told": {name.decode(): value.decode("latin-1") for name, value in told if name.lower() in _TOLD},
        "remedy": shown_remedy(remedy_of(Outcome(forward=ForwardReason.URI_MISS, stored=True), facts)),
    }


def _storing(request: Request, route: Route, response: Response, body: bytes, now: UnixTime) -> Storing:
    """Decide as the proxy would, once the body is there."""
    rules = route.rules
    if not route.is_ours:
        return Discard(Detail.HOST_NOT_ALLOWED)
    passing = bypass(request)
    replaces = rules.store_post and answers_get(request, response)
    if route.bypass or (passing is not None and not replaces):
        return Discard(Detail.ROUTE if passing is None else passing.detail or Detail.METHOD)
    if is_https_loop(request, response):
        return Discard(Detail.UNTRUSTED_PROXY)
    framing = response_framing(response.fields, response.status, request.method)
    storing = decide_storing(request, terms_asked(request, rules), response, (now, now), rules)
    if isinstance(storing, Store) and isinstance(framing, UntilClose):
        return Discard(Detail.UNDELIMITED)
    if isinstance(storing, Store) and not isinstance(framing, Length) and len(body) > rules.stored_body:
        return Discard(Detail.TOO_LARGE)
    return storing


def _notes(response: Response) -> list[str]:
    notes = []
    if b"sitecache" in (response.fields.get(b"cache-status") or b"") + (response.fields.get(b"via") or b""):
        notes.append("It was captured behind sitecache, which has changed it: capture it from the application itself.")
    return notes


def read_captured(captured: bytes) -> tuple[Response, bytes]:
    """Read what ``curl -i`` prints: the last of its heads, and the body; ValueError where it is something else."""
    rest = captured
    while True:
        begins = _STATUS_LINE.match(rest)
        if begins is None:
            raise ValueError("expected what curl -i prints: a line such as HTTP/1.1 200 OK, the fields, and the body")
        ends = _HEAD_END.search(rest)
        head, body = (rest, b"") if ends is None else (rest[: ends.start()], rest[ends.end() :])
        if _STATUS_LINE.match(body) is None:
            break
        # An interim response, or a redirection that was followed.
        rest = body
    lines = head.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")[1:]
    minor = 0 if begins[1] == b"1.0" else 1
    status = b"HTTP/1.%d %b OK" % (minor, begins[2])
    is_newer = begins[1] in (b"2", b"3")
    if is_newer and not any(line.lower().startswith(b"content-length:") for line in lines):
        # Their frames say where a body ends.
        lines.append(b"Transfer-Encoding: chunked")
    return parse_response_head(b"\r\n".join([status, *lines, b"", b""])), body
