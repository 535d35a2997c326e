"""Whose bytes may reach whom: the judge of ``test_users``.

It goes by RFC 9111 §3.5 and §4.1 and the rules that docs/configuration.md words, and knows none of the policy's code.
It is stricter than the RFC in one thing: a lifetime that nobody stated is never for a user.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tests.fuzz.users import Asked, Identity, Made, Said, identity_of

REFUSALS = frozenset({401, 403, 407})
CAREFUL = frozenset({"default", "routed"})
"""Where the operator gives no lifetime to what is neither a page nor a file."""


@dataclass(frozen=True)
class Visit:
    """One request."""

    number: int
    fields: Mapping[str, str]
    target: str
    method: str = "GET"
    wish: str = ""

    def identity(self, world: str) -> Identity:
        return identity_of(world, self.fields)


@dataclass(frozen=True)
class Got:
    """What a client got."""

    status: int
    marks: Sequence[int]
    """Of every response that made a part of it."""
    vary: int | None = None
    """The response that its Vary came with."""
    merged: Said | None = None
    """What the stored response said at last, after all 304s (RFC 9111 §3.2)."""


def declared(world: str, target: str, said: Said) -> Said:
    """Return what a response says when the route has written into it what the operator wanted."""
    if world != "routed":
        return said
    if target == "/declared":
        # What the operator writes into a field that was not right, is; the lifetime in it is not.
        unread = {"max_age": None, "s_maxage": None} if said.is_odd else {}
        return replace(said, words=said.words - {"private"} | {"public"}, between=", ", **unread)
    if target == "/keyed":
        return replace(said, vary=", ".join(filter(None, (said.vary, "X-Api-Key"))))
    if target == "/session":
        # Every cookie that tells somebody here is that one.
        return replace(said, vary=", ".join(filter(None, (said.vary, "Cookie"))))
    return said


def is_for_all(said: Said, known_by: str) -> bool:
    """Tell whether a response says that it is for everybody, made for a request that was known by this field."""
    if is_public(said):
        return True
    is_stated = (said.stated or 0) > 0 and "no-cache" not in said.words
    if known_by == "cookie":
        return is_stated
    # §3.5, of a lifetime that somebody stated.
    return is_stated and (said.s_maxage is not None or "must-revalidate" in said.words)


def is_public(said: Said) -> bool:
    return "public" in said.words and not said.is_odd


def varies_by(said: Said) -> frozenset[str]:
    return frozenset(name.strip().lower() for name in (said.vary or "").split(","))


def forbidden(world: str, made: Made) -> bool:
    """Tell whether a response may reach nobody but who asked for it."""
    said = declared(world, made.asked.target, made.said)
    if said.words & {"no-store", "private"} or "*" in varies_by(said):
        return True
    if world == "routed" and made.asked.target == "/bypass":
        return True
    if "no-store" in made.asked.fields.get("cache-control", ""):
        return True
    shares_cookies = world == "letter" or (world == "routed" and made.asked.target == "/cookies")
    # Of a 304, what it freshens may state the lifetime.
    return said.set_cookie and not (shares_cookies and (said.stated is not None or made.unchanged))


def unsaid(world: str, made: Made) -> frozenset[str]:
    """Return by what the maker was known, as far as the response does not say that it is for others as well."""
    said = declared(world, made.asked.target, made.said)
    known = made.asked.identity(world)
    return frozenset(name for name in known if not is_for_all(said, name) and name not in varies_by(said))


def is_shared(world: str, made: Made) -> bool:
    """Tell whether a response may change anything for others."""
    said = declared(world, made.asked.target, made.said)
    return all(is_for_all(said, name) for name in made.asked.identity(world))


def judge_storage(world: str, made: Iterable[Made]) -> None:
    """Say whether these responses may lie in a storage."""
    for one in made:
        assert not forbidden(world, one), f"it lies in the storage: {one}"
        assert not _is_refused(one), f"it was not to be kept: {one}"
        assert not unsaid(world, one), f"kept, and nobody had said that it is shared: {one}"


def _is_refused(made: Made) -> bool:
    """Tell whether an application said in the words of another cache that nothing is to be kept, and in no other."""
    said = made.said
    is_said = bool(said.no) and not said.no.startswith("pragma")
    return is_said and not said.directives and said.expires is None and not made.unchanged


def judge(world: str, visit: Visit, got: Got, record: Sequence[Made]) -> None:
    """Say whether a client may have got this."""
    others = [record[serial] for serial in got.marks if record[serial].asked.visit != visit.number]
    for made in others:
        assert made.asked.target == visit.target, "two resources"
        assert not forbidden(world, made), f"what is for one reached another: {made}"
        assert not unsaid(world, made), f"a user's bytes reached another request: {made}"
        for name in for_whom(world, made):
            _judge_variant(world, visit, made, name, record)
    if others:
        _judge_page(world, visit, got, others)
    if others and got.vary is not None and got.merged is not None:
        # Of a stored response that was freshened, the latest Vary counts.
        names = varies_by(declared(world, visit.target, got.merged))
        for name in names & {"cookie", "authorization", "x-api-key", "accept-language", "remote-user"}:
            _judge_variant(world, visit, record[got.vary], name, record)


def for_whom(world: str, made: Made) -> frozenset[str]:
    """Return by what the maker was known, where the response is for who is known by the same."""
    said = declared(world, made.asked.target, made.said)
    return frozenset(name for name in made.asked.identity(world) if not is_for_all(said, name))


def told(made: Iterable[Made]) -> str:
    return " ".join(map(str, made))


def _judge_variant(world: str, visit: Visit, made: Made, name: str, record: Sequence[Made]) -> None:
    """RFC 9111 §4.1: what a response varies by has to be the same in both requests."""
    value = _value(world, name, visit)
    is_same = value == _value(world, name, made.asked)
    assert is_same or _was_named(world, name, value, made, record), f"another variant, by {name}: {made}"


def _was_named(world: str, name: str, value: str | None, made: Made, record: Sequence[Made]) -> bool:
    """§4.3.1, with ``validate_variants``: the origin may have said that a variant answers such a request, too."""
    if world != "letter" or name in ("cookie", "authorization"):
        return False
    alike = [one.asked for one in record if one.unchanged and one.asked.target == made.asked.target]
    return any(_value(world, name, asked) == value for asked in alike)


def _value(world: str, name: str, asked: Visit | Asked) -> str | None:
    return asked.identity(world).get(name) if name == "cookie" else asked.fields.get(name)


def _judge_page(world: str, visit: Visit, got: Got, others: Sequence[Made]) -> None:
    """Say whether a page that was made for somebody else may reach a user, or an old one anybody."""
    known = visit.identity(world)
    if got.status in REFUSALS:
        had = [made.asked.identity(world).items() for made in others]
        assert all(known.items() <= one for one in had), f"a refusal reached who has credentials: {told(others)}"
    if got.merged is None:
        return
    said = declared(world, visit.target, got.merged)
    is_stated = is_public(said) or ((said.stated or 0) > 0 and "no-cache" not in said.words)
    strangers = known.keys() - varies_by(said)
    assert is_stated or not strangers, f"a user got a page that nobody had said is for him: {told(others)}"
    # §4.2.1: what is not right in a lifetime may count as one that is over, so that the page is stale at once.
    if said.stated is None and not said.is_odd and visit.target != "/paged" and len(others) == len(got.marks):
        assert world not in CAREFUL or said.kind == "text/html", f"nobody stated a lifetime: {told(others)}"
        assert not said.no, f"a page that was not to be kept: {told(others)}"
