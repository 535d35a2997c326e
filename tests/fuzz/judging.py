"""May this response reach this client now, or lie in a storage? The judge of ``test_worlds``.

It knows the record of the origin, the settings of each world as docs/configuration.md words them, and the sections of
the RFCs, but none of the policy's own code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from urllib.parse import parse_qsl

from tests.fuzz.worlds import Made, Origin

IF_ERROR = 3600
"""The default of ``stale_if_error``."""
SITE_LIFETIME = 600
"""That of CACHE_MIDDLEWARE_SECONDS."""

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Wish:
    """What a client asks of caches (RFC 9111 §5.2.1)."""

    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False
    max_age: float = inf
    min_fresh: float = 0
    max_stale: float = 0


WISHES: Mapping[str, Wish] = {
    "": Wish(),
    "no-cache": Wish(no_cache=True),
    "pragma": Wish(no_cache=True),
    "no-store": Wish(no_store=True),
    "only-if-cached": Wish(only_if_cached=True),
    "max-age=3": Wish(max_age=3),
    "max-age=0": Wish(max_age=0),
    "min-fresh=30": Wish(min_fresh=30),
    "min-fresh=55": Wish(min_fresh=55),
    "max-stale": Wish(max_stale=inf),
    "max-stale=10": Wish(max_stale=10),
    "only-if-cached, max-stale=10": Wish(only_if_cached=True, max_stale=10),
    "no-store, max-age=3": Wish(no_store=True, max_age=3),
}
"""As they stand in Cache-Control; ``pragma`` is ``no-cache`` in the field of that name (§5.4)."""


def wished(world: str, wish: str) -> Wish:
    """Return what counts of a wish."""
    return WISHES[""] if world == "queries" else WISHES[wish]


@dataclass(frozen=True)
class Visit:
    """One request."""

    number: int
    user: str
    host: str
    target: str
    language: str
    method: str
    wish: str
    since: int
    """The last event before it."""
    started: float


SEARCHES: Mapping[str, tuple[frozenset[str], bool]] = {
    'params=("u")': (frozenset("u"), True),
    'params=("u"), key-order': (frozenset("u"), False),
    'params=("u" "y")': (frozenset("uy"), True),
    'except=("x")': (frozenset("uy"), True),
    "except=()": (frozenset("uxy"), True),
    "key-order": (frozenset(), False),
}
"""No-Vary-Search by its value: which of the names there are do not count, and whether order does."""


def same_resource(world: str, visit: Visit, made: Made) -> bool:
    """Tell whether what was made for one URL is for another (RFC 9111 §4)."""
    # RFC 3986 §6.2.2.2: what needs no escape is the same with one.
    one, other = (target.replace("%78", "x") for target in (visit.target, made.asked.target))
    if visit.host != made.asked.host:
        return False
    if one == other:
        return True
    if world == "queries":
        return _declared(one) == _declared(other)
    if world != "search" or made.said.search is None:
        return False
    ignored, ordered = SEARCHES[made.said.search]
    path, pairs = _parsed(one)
    other_path, other_pairs = _parsed(other)
    left = [[pair for pair in each if _may_count(pair) or pair[0] not in ignored] for each in (pairs, other_pairs)]
    if not ordered:
        left = [sorted(each, key=lambda pair: pair[0]) for each in left]
    return path == other_path and left[0] == left[1]


def _parsed(target: str) -> tuple[str, Pairs]:
    path, _, query = target.partition("?")
    return path, parse_qsl(query, keep_blank_values=True)


def _declared(target: str) -> tuple[str, Pairs]:
    """Return what the operator said that tells pages apart."""
    path, pairs = _parsed(target)
    if path == "/kept":
        return path, [pair for pair in pairs if pair[0] == "x"]
    left = [pair for pair in pairs if _may_count(pair) or not pair[0].startswith("u")]
    return path, sorted(left, key=lambda pair: pair[0])


def _may_count(pair: tuple[str, str]) -> bool:
    """Some applications see another parameter behind a semicolon."""
    return ";" in pair[1]


def is_paged(world: str, made: Made) -> bool:
    # The routes are those of the hosts that no site names.
    asked = made.asked
    return world == "routed" and asked.host != "two.test" and asked.target == "/paged" and made.said.status == 200


def is_passed(world: str, made: Made) -> bool:
    return world == "routed" and made.asked.host != "two.test" and made.asked.target == "/bypass"


def shares_cookies(world: str, made: Made) -> bool:
    """Tell whether ``set_cookie`` is ``explicit`` there, and this response is."""
    is_special = world == "routed" and made.asked.host != "two.test" and made.asked.target == "/special"
    return (world == "letter" or is_special) and made.said.explicit is not None


def forbidden(world: str, made: Made) -> bool:
    """Tell whether a response may lie in no storage and reach nobody but who asked for it."""
    said = made.said
    if said.words & {"no-store", "private"} or said.vary == "*" or is_passed(world, made):
        return True
    if wished(world, made.asked.wish).no_store:
        return True
    if made.asked.user == "carol" and not said.words & {"public", "must-revalidate", "s-maxage"}:
        return True
    if said.set_cookie and not shares_cookies(world, made):
        return True
    is_post = made.asked.method == "POST" and not (world == "letter" and said.same and said.explicit is not None)
    return made.asked.method == "HEAD" or is_post


def lifetime(world: str, made: Made) -> float | None:
    """Return how long a response is fresh; None where nobody gives it a lifetime."""
    said = made.said
    if is_paged(world, made):
        return 15
    if said.explicit is not None:
        return said.explicit
    if world == "letter":
        guessed = said.status in (200, 404) or "public" in said.words
        return said.modified / 10 if said.modified is not None and guessed else None
    return SITE_LIFETIME if said.status == 200 else None


def born(world: str, made: Made) -> float:
    """Return when a response was made, as far as it says so (RFC 9111 §4.2.3)."""
    said = made.said
    # A lifetime that the operator gives begins when the response comes.
    is_given = is_paged(world, made) or (said.explicit is None and world != "letter")
    return made.sent - max(said.age, 0 if is_given else said.dated)


def judge(world: str, visit: Visit, made: Made, origin: Origin) -> None:
    """Say whether this response may reach this client now."""
    assert same_resource(world, visit, made), "two resources share a response"
    assert visit.method != "POST" or made.asked.visit == visit.number, "a write is answered by another's answer"
    if made.asked.visit == visit.number:
        return
    assert not forbidden(world, made), "shared or stored although it must not be"
    judge_sharing(world, visit, made)
    host = visit.host
    for place in ((host, made.asked.target), (host, visit.target), (host, "g" if made.said.group else "")):
        written = origin.dead.get(place, 0)
        # The answer to the write itself may say that it holds for GET.
        told = made.event if made.asked.method == "POST" else made.asked_event
        assert written > visit.since or told >= written, "it was invalid"
    if made.event <= visit.since:
        judge_freshness(world, visit, made, has_failed=origin.failed > visit.since)


def judge_sharing(world: str, visit: Visit, made: Made) -> None:
    """Say whether what was made for one client is for another (RFC 9111 §3.5, §4.1, §7.3)."""
    said, maker = made.said, made.asked.user
    if said.vary == "accept-language":
        assert made.asked.language == visit.language, "another variant"
    # "Stale at once" and "ask me on each use" say nothing of whom it is for.
    is_said = "public" in said.words or ((said.explicit or 0) > 0 and "no-cache" not in said.words)
    if said.vary == "cookie":
        assert maker == visit.user or {maker, visit.user} == {"carol", "anonymous"}, "another user's"
    elif maker != "anonymous":
        assert is_said, "kept, and nobody had called it shared"
    if not is_said:
        may_have = ("anonymous",) if said.vary != "cookie" else ("anonymous", "alice", "bob")
        assert visit.user in may_have, "somebody is known, and got what nobody had called shared"


def judge_freshness(world: str, visit: Visit, made: Made, *, has_failed: bool) -> None:
    """Say whether what was stored before somebody came may answer him (RFC 9111 §4.2.4, §5.2.1, §5.2.2)."""
    said, wish = made.said, wished(world, visit.wish)
    fresh_for, age = lifetime(world, made), visit.started - born(world, made)
    if not has_failed:
        assert not wish.no_cache, "the client wanted it validated"
        assert age <= wish.max_age + wish.max_stale, "older than the client wanted it"
    if fresh_for is None:
        # Stored for its validator, and good for nothing else.
        assert has_failed, "it had no lifetime"
        return
    if not has_failed and wish.min_fresh:
        assert fresh_for - age >= wish.min_fresh, "not fresh for as long as the client wanted it"
    if age >= fresh_for or "no-cache" in said.words:
        assert may_wait(world, made), "stale although it forbids that"
        reasons = (
            age < fresh_for + (said.while_revalidate if said.targeted is None else 0),
            age <= fresh_for + wish.max_stale and wish.max_stale > 0,
            has_failed and age < fresh_for + IF_ERROR,
        )
        assert any(reasons), "stale without a reason"


def may_wait(world: str, made: Made) -> bool:
    words = made.said.words
    return not words & {"no-cache", "must-revalidate"} and ("s-maxage" not in words or is_paged(world, made))


def judge_error(world: str, visit: Visit, status: int, origin: Origin) -> None:
    """Say whether a client may get an error that is not the origin's."""
    has_failed = origin.failed > visit.since
    refused = status == 504 and wished(world, visit.wish).only_if_cached
    assert status == 416 or (status in (502, 504) and (refused or has_failed)), f"a {status} without a reason"


def judge_asking(world: str, visit: Visit, origin: Origin, made: Made | None) -> None:
    """RFC 9111 §5.2.1.7: who wants a stored response or none has nobody asked."""
    if not wished(world, visit.wish).only_if_cached or visit.method == "POST" or _is_passed_by(world, visit):
        return
    is_refreshed = made is not None and made.said.while_revalidate > 0
    assert is_refreshed or all(asked.visit != visit.number for asked in origin.asked), "the origin was asked"


def _is_passed_by(world: str, visit: Visit) -> bool:
    return world == "routed" and visit.host != "two.test" and visit.target == "/bypass"
