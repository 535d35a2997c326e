"""Does anything configured make the cache serve or keep what it must not: sites, routes, languages, the letter?

One request after the other, against storages in memory and behind bytes. As in ``test_sequences``, the origin records
what it made for whom; the judge knows that record, the settings of each world, and the sections, but no policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.config.load import load
from proxy.config.model import Config
from proxy.errors import UpstreamTimeout
from proxy.exchange.site import Route, Sites
from proxy.message.fields import Fields
from proxy.message.framing import NO_BODY, Length
from proxy.message.grammar import format_date
from proxy.sites import Parts, distinctions_of, sites_of
from proxy.storage.responses import MemoryResponses, Responses
from proxy.upstream.connection import Answer, Ask
from tests.exchange.making import Bench, Client, _head_fields, coming, request, settled, whole
from tests.exchange.remotes import Counting, remote

LETTER = Path(__file__).parents[2] / "config" / "rfc9111.yaml"
UPSTREAM = {"upstream": "http://one.test:80", "ALLOWED_HOSTS": ["*"]}
WORLDS: Mapping[str, Mapping[str, Any]] = {
    "plain": UPSTREAM,
    "letter": yaml.safe_load(LETTER.read_text()) | UPSTREAM,
    "routed": UPSTREAM
    | {
        "routes": [
            {"match": "/paged*", "cache_page": 15},
            {"match": "/special*", "cache": "special"},
            {"match": "/bypass*", "bypass": True},
        ],
        "sites": {"two": {"hosts": ["two.test"]}},
        "CACHES": {"default": {"BACKEND": "locmem"}, "special": {"BACKEND": "locmem", "LOCATION": "special"}},
        "USE_I18N": True,
        "LANGUAGES": ["en", "de"],
        "LANGUAGE_CODE": "en",
    },
}
USERS = {
    "anonymous": [],
    "alice": ["cookie: s=alice"],
    "bob": ["cookie: s=bob"],
    "carol": ["authorization: Basic Y2Fyb2w="],
}
HOSTS = ("one.test", "two.test")
TARGETS = ("/a", "/b", "/paged", "/special", "/bypass")
IF_ERROR = 3600


Asked = tuple[str, str, str, str, str]
"""Host, target, method, user and language of a request that reaches the origin."""


@cache
def config(world: str) -> Config:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "site.yaml"
        file.write_text(yaml.safe_dump(dict(WORLDS[world])))
        return load(file, {}, {}).config


@dataclass(frozen=True)
class Said:
    """What the origin says about a response."""

    max_age: int | None = None
    s_maxage: int | None = None
    expires: int | None = None
    targeted: str | None = None
    word: str = ""
    while_revalidate: int = 0
    modified: int | None = None
    """Seconds since it last changed."""
    vary: str | None = None
    set_cookie: bool = False
    etag: bool = True
    status: int = 200
    group: bool = False
    same: bool = False
    """An answer to POST that says it is what GET would get."""

    @property
    def words(self) -> set[str]:
        """The directives that count (RFC 9213 §2.2)."""
        if self.targeted is not None:
            return {self.targeted} - {"max-age=40"}
        return {self.word, "" if self.s_maxage is None else "s-maxage"} - {""}

    @property
    def explicit(self) -> int | None:
        if self.targeted is not None:
            return 40 if self.targeted == "max-age=40" else None
        numbers = (self.s_maxage, self.max_age, self.expires)
        return next((number for number in numbers if number is not None), None)

    def lines(self, serial: int, now: float) -> list[str]:
        numbers = {"max-age": self.max_age, "s-maxage": self.s_maxage}
        directives = [f"{name}={number}" for name, number in numbers.items() if number is not None]
        directives += [f"stale-while-revalidate={self.while_revalidate}"] if self.while_revalidate else []
        directives += [self.word] if self.word else []
        lines = [f"x-serial: {serial}", f"x-mark: {mark(serial)}", f"date: {date(now)}"]
        lines += [f"cache-control: {', '.join(directives)}"] if directives else []
        lines += [f"cdn-cache-control: {self.targeted}"] if self.targeted else []
        lines += [f"expires: {date(now + self.expires)}"] if self.expires is not None else []
        lines += [f"last-modified: {date(now - self.modified)}"] if self.modified is not None else []
        lines += [f"vary: {self.vary}"] if self.vary else []
        lines += [f'etag: "{serial}"'] if self.etag else []
        lines += ['cache-groups: "g"'] if self.group else []
        return lines + (["set-cookie: s=new"] if self.set_cookie else [])


def date(when: float) -> str:
    return format_date(when).decode()


def mark(serial: int) -> str:
    return f"mark-{serial:06d}"


def body_of(serial: int) -> bytes:
    """Return a body that no other response has, of a length of its own."""
    return mark(serial).encode() + b"." * (serial % 7)


@dataclass
class Made:
    """One response, and for whom it was made."""

    said: Said
    host: str
    target: str
    method: str
    user: str
    language: str
    born: float
    event: int


@dataclass(frozen=True)
class Plan:
    """How the origin answers next."""

    said: Said
    holds: bool = False
    fails: bool = False
    ranges: bool = True


@dataclass
class Origin:
    """An origin that follows plans and keeps a record."""

    now: Any
    plan: Plan = field(default_factory=lambda: Plan(Said()))
    made: list[Made] = field(default_factory=list)
    events: int = 0
    failed: int = -1
    dead: dict[tuple[str, str], int] = field(default_factory=dict)
    """When a URL, or with ``g`` a group, was last made invalid."""

    async def send(self, ask: Ask) -> Answer:
        self.events += 1
        if self.plan.fails:
            self.failed = self.events
            raise UpstreamTimeout("as planned")
        fields = _head_fields(ask.head)
        method, target = (part.decode() for part in ask.head.split(b" ", 2)[:2])
        asked = (
            (fields.get(b"host") or b"").decode(),
            target,
            method,
            user_of(fields),
            (fields.get(b"accept-language") or b"").decode(),
        )
        if method == "POST":
            return self._written(asked)
        held = self._held(asked, fields.get(b"if-none-match") or fields.get(b"if-range") or b"")
        now = self.now()
        if held is not None:
            made = self.made[held]
            if fields.get(b"if-none-match") is not None:
                made.event, made.born = self.events, now
                # RFC 9111 §3.2: it tells of no body.
                return whole(*made.said.lines(held, now), "content-length: 999", status=304).answer
            return self._answer(held, method, fields)
        said = self.plan.said
        if said.status >= 500:
            self.failed = self.events
        self.made.append(Made(said, *asked, now, self.events))
        return self._answer(len(self.made) - 1, method, Fields([]) if b"if-range" in fields else fields)

    def _held(self, asked: Asked, condition: bytes) -> int | None:
        """Return the latest response with one of these tags, if it still holds for whoever asks."""
        if not self.plan.holds:
            return None
        for serial in range(len(self.made) - 1, -1, -1):
            made = self.made[serial]
            alike = (made.host, made.target, made.user, made.language) == (asked[0], asked[1], asked[3], asked[4])
            if f'"{serial}"'.encode() in condition and alike and made.said.status == 200:
                return serial
        return None

    def _written(self, asked: Asked) -> Answer:
        host, target = asked[:2]
        said = self.plan.said
        serial = len(self.made)
        self.made.append(Made(said, *asked, self.now(), self.events))
        lines = said.lines(serial, self.now())
        if 200 <= said.status < 400:
            self.dead[host, target] = self.events
            if said.group:
                self.dead[host, "g"] = self.events
                lines += ['cache-group-invalidation: "g"']
        lines += [f"content-location: {target}"] if said.same else []
        return whole(*lines, status=said.status, body=body_of(serial)).answer

    def _answer(self, serial: int, method: str, fields: Fields) -> Answer:
        made, body = self.made[serial], body_of(serial)
        lines = made.said.lines(serial, made.born)
        if method == "HEAD":
            return Answer(coming(*lines, framing=Length(len(body))).answer.response, whole(status=204).body, NO_BODY)
        value = fields.get(b"range")
        if value is None or b"," in value or not self.plan.ranges or made.said.status != 200:
            return whole(*lines, status=made.said.status, body=body).answer
        first, _, last = value.removeprefix(b"bytes=").decode().partition("-")
        start, end = int(first), min(int(last or len(body)), len(body) - 1)
        lines += [f"content-range: bytes {start}-{end}/{len(body)}"]
        return whole(*lines, status=206, body=body[start : end + 1]).answer


def user_of(fields: Fields) -> str:
    cookie = fields.get(b"cookie") or b""
    if b"authorization" in fields:
        return "carol"
    return next((name for name in ("alice", "bob") if name.encode() in cookie), "anonymous")


class World(Bench):
    """A driver with the sites of a world, whose origin keeps a record."""

    def __init__(self, world: str, kind: str) -> None:
        self.world = world
        self.kind = kind
        self.caches: dict[str, Counting] = {}
        self.found: dict[str, Responses] = {}
        super().__init__()
        self.record = Origin(self.clock)
        self.origin.send = self.record.send  # type: ignore[method-assign]

    def sites(self, plain: Route) -> Sites:
        del plain
        return sites_of(Parts(config(self.world), self._of, lambda _: self.origin))  # type: ignore[arg-type,return-value]

    def _of(self, alias: str) -> Responses:
        if alias not in self.found:
            backend = self.caches[alias] = Counting(self.clock)
            distinctions = distinctions_of(config(self.world))
            self.found[alias] = (
                remote(backend) if self.kind == "remote" else MemoryResponses(backend, distinctions, 128)
            ).told_apart_by(distinctions)
        return self.found[alias]

    def kept(self) -> Iterator[bytes]:
        """Everything that lies in the storages, as bytes."""
        for backend in self.caches.values():
            for held, _, _ in backend._slots.values():
                response = getattr(held, "response", held)
                yield (
                    held if isinstance(held, bytes) else getattr(response, "head", b"") + getattr(response, "body", b"")
                )

    async def visit(self, user: str, host: str, target: str, language: str, extra: str) -> None:
        lines = [f"host: {host}", *USERS[user], f"accept-language: {language}"]
        lines += ["range: bytes=2-4"] if extra == "range" else []
        method = extra if extra in ("HEAD", "POST") else "GET"
        since, started = self.record.events, self.clock()
        client = await self.ask(request(target, *lines, method=method, host=host.encode()))
        assert client.is_whole
        serial = client.fields.get(b"x-serial")
        if serial is None:
            assert client.status in (416, 502, 504)
        elif method != "POST":
            visit = Visit(user, host, target, language, method, since, started)
            self.judge(visit, client, int(serial))
        await settled()
        self.judge_storage()

    def judge(self, visit: Visit, client: Client, serial: int) -> None:
        made, body = self.record.made[serial], body_of(serial)
        part = client.status == 206
        assert client.content == (b"" if visit.method == "HEAD" else body[2:5] if part else body)
        length = client.fields.get(b"content-length")
        assert length is None or int(length) == len(body[2:5] if part else body), "another length than the body's"
        judge(self.world, visit, made, self.record)
        if made.event <= visit.since:
            assert client.age is not None
            assert client.age >= int(visit.started - made.born)

    def judge_storage(self) -> None:
        kept = b"\n".join(self.kept())
        for serial, made in enumerate(self.record.made):
            if forbidden(self.world, made):
                assert mark(serial).encode() not in kept, "it lies in the storage"


@dataclass(frozen=True)
class Visit:
    """One request."""

    user: str
    host: str
    target: str
    language: str
    method: str
    since: int
    started: float


def is_paged(world: str, made: Made) -> bool:
    # The routes are those of the hosts that no site names.
    return world == "routed" and made.host != "two.test" and made.target == "/paged" and made.said.status == 200


def is_passed(world: str, made: Made) -> bool:
    return world == "routed" and made.host != "two.test" and made.target == "/bypass"


def forbidden(world: str, made: Made) -> bool:
    """Tell whether a response may lie in no storage, whoever asks."""
    said = made.said
    if said.words & {"no-store", "private"} or said.vary == "*" or is_passed(world, made):
        return True
    if made.user == "carol" and not said.words & {"public", "must-revalidate", "s-maxage"}:
        return True
    if said.set_cookie and (world != "letter" or said.explicit is None):
        return True
    is_post = made.method == "POST" and not (world == "letter" and said.same and said.explicit is not None)
    return made.method == "HEAD" or is_post


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
    return 600 if said.status == 200 else None


def judge(world: str, visit: Visit, made: Made, origin: Origin) -> None:
    """Say whether this response may reach this client now."""
    said = made.said
    assert (made.host, made.target) == (visit.host, visit.target), "two resources share a response"
    is_new = made.event > visit.since
    if is_new and made.user == visit.user:
        return
    assert not forbidden(world, made), "shared or stored although it must not be"
    if said.vary == "accept-language":
        assert made.language == visit.language, "another variant"
    has_cookie = made.user in ("alice", "bob")
    is_shared = said.explicit is not None and (said.explicit > 0 or not is_paged(world, made))
    if made.user == "carol":
        is_shared = is_shared or "public" in said.words
    if said.vary == "cookie":
        assert made.user == visit.user or {made.user, visit.user} == {"carol", "anonymous"}, "another user's"
    elif has_cookie or made.user == "carol":
        assert is_shared, "one user's response was kept, and nobody had called it shared"
    for place in ((made.host, made.target), (made.host, "g" if said.group else "")):
        assert made.event >= origin.dead.get(place, 0), "it was invalid"
    if not is_new:
        judge_freshness(world, visit, made, origin)


def judge_freshness(world: str, visit: Visit, made: Made, origin: Origin) -> None:
    said = made.said
    fresh_for = lifetime(world, made)
    has_failed = origin.failed > visit.since
    can_wait = "no-cache" not in said.words and "must-revalidate" not in said.words
    can_wait = can_wait and ("s-maxage" not in said.words or is_paged(world, made))
    if fresh_for is None:
        # Stored for its validator, and good for nothing else.
        assert has_failed, "it had no lifetime"
        return
    staleness = visit.started - made.born - fresh_for
    if staleness >= 0 or "no-cache" in said.words:
        assert can_wait, "stale although it forbids that"
        window = said.while_revalidate if said.targeted is None else 0
        assert staleness < window or (has_failed and staleness < IF_ERROR), "stale without a reason"


def often(usual: object, *others: object) -> st.SearchStrategy[Any]:
    """Draw the usual one three times in four: where everything is odd at once, nothing is ever stored."""
    return st.sampled_from([usual] * (3 * len(others)) + list(others))


SAID = st.builds(
    Said,
    max_age=st.sampled_from([None, 0, 5, 60, 60, 60]),
    s_maxage=often(None, 10),
    expires=often(None, 20),
    targeted=often(None, "max-age=40", "no-store", "private"),
    word=often("", "private", "no-store", "no-cache", "public", "must-revalidate"),
    while_revalidate=often(0, 20),
    modified=often(None, 100, 1000),
    vary=often(None, "accept-language", "cookie", "*"),
    set_cookie=often(False, True),
    etag=st.booleans(),
    status=often(200, 404, 503),
    group=st.booleans(),
    same=st.booleans(),
)
PLANS = st.builds(Plan, SAID, st.booleans(), often(False, True), st.booleans())
STEPS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.none(), PLANS),
        st.sampled_from(list(USERS)),
        often(*HOSTS),
        often(*TARGETS),
        often("en", "de"),
        often("", "HEAD", "POST", "range"),
        often(1, 0, 6, 11, 41, 61, 700),
    ),
    min_size=8,
    max_size=24,
)


@pytest.mark.parametrize("kind", ["memory", "remote"])
@pytest.mark.parametrize("world", list(WORLDS))
@given(first=PLANS, steps=STEPS)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
async def test_nothing_is_served_or_kept_that_must_not_be(
    world: str, kind: str, first: Plan, steps: list[tuple[Any, ...]]
) -> None:
    bench = World(world, kind)
    bench.record.plan = first
    for plan, *visit, seconds in steps:
        bench.record.plan = plan or bench.record.plan
        await bench.visit(*visit)
        bench.clock.turn(seconds)


@pytest.mark.parametrize("kind", ["memory", "remote"])
async def test_the_storage_shows_what_is_kept(kind: str) -> None:
    bench = World("plain", kind)
    bench.record.plan = Plan(Said(max_age=60))
    await bench.visit("anonymous", "one.test", "/a", "en", "")
    assert mark(0).encode() in b"\n".join(bench.kept())
