"""By which rule is a response fresh for as long as it is?"""

from __future__ import annotations

from proxy.message.fields import Fields
from proxy.message.heads import Response
from proxy.policy.facts import field_name
from proxy.policy.lifetimes import operators_word
from proxy.policy.rules import Rules
from proxy.policy.said import said
from proxy.policy.stored import Terms

#: What ``cache_page`` counts for, as in storing.
_PAGES = (200, 206)


def lifetime_rule(response: Response, terms: Terms, rules: Rules) -> str:
    """Return the field and directive, or the setting between backticks, that gave a response its lifetime."""
    status = response.status
    if status in _PAGES and rules.cache_page is not None:
        return "`routes[].cache_page`"
    if terms.explicit:
        return _said(response.fields, rules) or "`heuristic.percent`"
    word = operators_word(response, said(response.fields, rules.targeted), terms.born, rules)
    if word.lifetime is not None:
        return ", ".join(sorted(map(field_name, word.fields)))
    return _given(status, rules) or _said(response.fields, rules) or "`heuristic.percent`"


def lifetime_source(status: int, terms: Terms, rules: Rules) -> str:
    """Return who gave a stored response its lifetime, as far as that is still known."""
    if status in _PAGES and rules.cache_page is not None:
        return "`routes[].cache_page`"
    given = _given(status, rules)
    # One that is neither stated nor the default is what surrogates were told.
    is_theirs = given is not None and status == 200 and terms.unsaid and terms.lifetime != rules.site_lifetime
    if terms.explicit or terms.no_cache or is_theirs:
        return "the application"
    return given or "`heuristic.percent`"


def _said(fields: Fields, rules: Rules) -> str | None:
    """Return the words of the response that say how long it is fresh, or that it is not to be used unasked."""
    words = said(fields, rules.targeted)
    targeted = next((name for name in rules.targeted if words.is_targeted and name in fields), b"cache-control")
    for name in (b"s-maxage", b"max-age"):
        if name in words.directives:
            value = words.directives[name]
            return f"{field_name(targeted)}: {name.decode()}" + (f"={value.decode('latin-1')[:20]}" if value else "")
    if b"expires" in fields and not words.is_targeted:
        return "Expires"
    return f"{field_name(targeted)}: no-cache" if b"no-cache" in words.directives else None


def _given(status: int, rules: Rules) -> str | None:
    """Return the setting that gives a lifetime to a response whose origin gave none."""
    if status in rules.status_lifetimes or status // 100 in rules.status_lifetimes:
        return "`routes[].status_ttl`"
    if status != 200 or not rules.site_lifetime:
        return None
    return "`CACHE_MIDDLEWARE_SECONDS`" if rules.page_types is None else "`page_types`"
