"""The rules of whose page it is, each broken in one way: what ``mutations`` applies.

The names of rules are those of docs/configuration.md and RFC 9111.
"""

from __future__ import annotations

from dataclasses import dataclass

USERS = ("tests/fuzz/test_users.py",)
POISONING = ("tests/fuzz/test_poisoning.py",)


@dataclass(frozen=True)
class Mutation:
    """One way to break a rule."""

    rule: str
    name: str
    changes: tuple[tuple[str, str, str], ...]
    """Files, what stands there once, and what is to stand there."""
    tests: tuple[str, ...] = USERS


def _one(rule: str, name: str, file: str, old: str, new: str, tests: tuple[str, ...] = USERS) -> Mutation:
    return Mutation(rule, name, ((f"proxy/{file}", old, new),), tests)


_SOMEBODY = "an answer made for somebody is stored only where it says for whom"
_STORED = "a page is for a user only where it says so"
_CREDENTIALS = "RFC 9111 §3.5 holds for all that identifies a client"
_OTHERS = "a user ends nothing for others"
_REFUSALS = "a refusal answers nobody who has other credentials"
_DIRECTIVES = "what forbids in Cache-Control needs no correct syntax"
_OTHER_WORDS = "an application's other ways to say no count"
_LIFETIMES = "nobody gives data a lifetime that nobody stated"
_SEEN = "what the origin sees is what the key has"
_ROUTES = "routes hold for every spelling of a path"

MUTATIONS = (
    _one(
        _SOMEBODY,
        "max-age-0-is-a-word",
        "policy/lifetimes.py",
        "(bool(stated) and not no_cache)",
        "(stated is not None and not no_cache)",
    ),
    _one(
        _SOMEBODY,
        "no-cache-is-a-word",
        "policy/lifetimes.py",
        "(bool(stated) and not no_cache)",
        "bool(stated)",
    ),
    _one(
        _SOMEBODY,
        "explicit-is-enough",
        "policy/storing.py",
        "if terms.explicit and terms.sharable:",
        "if terms.explicit:",
    ),
    _one(
        _SOMEBODY,
        "whatever-a-user-gets-is-stored",
        "policy/storing.py",
        "return None if terms.sharable else unaccounted(request, terms.vary, rules.distinctions)",
        "return None",
    ),
    _one(
        _STORED,
        "explicit-is-for-all",
        "policy/reuse.py",
        "if not terms.sharable and (personal",
        "if not terms.explicit and (personal",
    ),
    _one(
        _STORED,
        "nobody-is-a-stranger",
        "policy/reuse.py",
        "    return unaccounted(request, terms.vary, rules.distinctions)",
        "    return None",
    ),
    _one(
        _CREDENTIALS,
        "max-age-shares-authorization",
        "policy/storing.py",
        '_SHARED_BY = frozenset((b"public",',
        '_SHARED_BY = frozenset((b"max-age", b"public",',
    ),
    _one(
        _CREDENTIALS,
        "keys-are-no-credentials",
        "policy/storing.py",
        "return Detail.IDENTITY if is_known else None",
        "return None",
    ),
    _one(
        _CREDENTIALS,
        "identity-fields-say-nothing",
        "policy/identity.py",
        "return self._pattern is not None and self._pattern.match(_text(name)) is not None",
        "return False",
    ),
    _one(
        _CREDENTIALS,
        "any-vary-accounts-for-cookies",
        "policy/identity.py",
        'if cookie is None or b"cookie" in vary:',
        "if cookie is None or vary:",
    ),
    _one(
        _CREDENTIALS,
        "vary-by-cookie-accounts-for-authorization",
        "policy/identity.py",
        'if b"authorization" in index and b"authorization" not in vary:',
        'if b"authorization" in index and not {b"authorization", b"cookie"} & set(vary):',
    ),
    _one(
        _OTHERS,
        "what-a-user-gets-outdates",
        "policy/storing.py",
        "    return unaccounted(request, stored.terms.vary, rules.distinctions) is None\n\n\nFOR",
        "    return True\n\n\nFOR",
    ),
    _one(
        _OTHERS,
        "head-of-a-user-freshens",
        "policy/heading.py",
        " or is_personal(request, stored, answer, times[1], rules):",
        ":",
    ),
    _one(
        _OTHERS,
        "304-of-a-user-freshens",
        "policy/validation.py",
        "if is_personal(request, stored, answer, times[1], rules):",
        "if False:",
    ),
    _one(
        _REFUSALS,
        "a-refusal-is-for-all",
        "policy/lifetimes.py",
        "    if status in _REFUSALS:\n        return False\n",
        "",
    ),
    _one(
        _REFUSALS,
        "a-403-is-for-all",
        "policy/lifetimes.py",
        "_REFUSALS = frozenset({401, 403, 407})",
        "_REFUSALS = frozenset({401, 407})",
    ),
    _one(
        _DIRECTIVES,
        "semicolons-hide",
        "policy/directives.py",
        "    for name in forbidding_words(value):\n",
        "    for name in ():\n",
    ),
    _one(
        _DIRECTIVES,
        "private-may-be-hidden",
        "policy/directives.py",
        'FORBIDDING = (b"no-store", b"no-cache", b"private",',
        'FORBIDDING = (b"no-store", b"no-cache",',
    ),
    _one(
        _OTHER_WORDS,
        "surrogates-are-not-meant",
        "policy/lifetimes.py",
        "    return surrogate_word(response.fields, now)",
        "    return NO_WORD",
    ),
    _one(
        _OTHER_WORDS,
        "pragma-says-nothing",
        "policy/lifetimes.py",
        "no_cache = no_cache or _says_pragma(response)",
        "pass",
    ),
    _one(
        _LIFETIMES,
        "data-has-the-default",
        "policy/lifetimes.py",
        "rules.page_types.take(response.fields) and not",
        "not",
    ),
    _one(
        _SEEN,
        "the-client-spells-the-host",
        "policy/forwarding.py",
        "if storable and host != request.host:",
        "if False:",
        POISONING,
    ),
    _one(
        _SEEN,
        "ignored-cookies-are-shown",
        "policy/forwarding.py",
        "(remaining := cookies.remaining(cookie)):",
        "(remaining := cookie):",
        POISONING,
    ),
    _one(
        _SEEN,
        "lines-are-not-combined",
        "policy/forwarding.py",
        "if storable and len(index) != len(request.fields.raw):",
        "if False:",
        POISONING,
    ),
    _one(
        _SEEN,
        "nothing-is-left-out",
        "policy/forwarding.py",
        "(name not in dropped and kind(name) not in apart)]",
        "name not in dropped]",
        POISONING,
    ),
    _one(
        _ROUTES,
        "paths-are-as-they-are-spelled",
        "policy/routing.py",
        "    for reading in readings(path, parameters=parameters) or ():\n",
        "    for reading in (decoded_path(path),):\n",
        POISONING,
    ),
)
